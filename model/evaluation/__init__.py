"""Measure nets on unseen writing, and write reports: `inkstream evaluate`."""
