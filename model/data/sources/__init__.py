"""Read what people wrote: a file for each kind of data."""
