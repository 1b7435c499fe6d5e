"""Programs that measure the product or compare two checkouts of it."""
