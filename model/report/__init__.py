"""What the reports on lines, pages and languages measure, and how it is written down."""
