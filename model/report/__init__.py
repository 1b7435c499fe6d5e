"""The report on lines: `inkstream evaluate lines`."""
