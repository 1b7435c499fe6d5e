"""The nets as ONNX graphs: of 32-bit numbers, and of bytes."""
