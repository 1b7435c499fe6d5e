"""Images and strokes -> columns, the same way for training and for serving."""
