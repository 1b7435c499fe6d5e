"""What nets are trained and measured on: sources, parts by writer, looks of paper, batches."""
