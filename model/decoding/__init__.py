"""What is known of a text beforehand, and the decoder that weighs it against what is seen."""
