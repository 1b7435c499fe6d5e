"""What measures the product and is no test: comparisons of two checkouts."""
