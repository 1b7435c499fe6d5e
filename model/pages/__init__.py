"""A scan or photo of a page -> its ink, its lines, and each line as columns. It needs OpenCV."""
