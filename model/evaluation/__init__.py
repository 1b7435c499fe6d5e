"""What the reports on lines, pages and languages measure, and how it is written down.

The report on pages: `inkstream evaluate pages`.
"""
