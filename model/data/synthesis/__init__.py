"""Make up words and lines from the letters that people wrote."""
