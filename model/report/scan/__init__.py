"""The report on pages: `inkstream evaluate pages`."""
