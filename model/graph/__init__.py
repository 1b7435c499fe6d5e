"""A trained net -> the ONNX graph that is served."""
