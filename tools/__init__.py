"""Programs that measure the product, try to break it, and make files that it publishes."""
