"""Whole pages: their door, what is said of them, and the forms that archives keep."""
