"""The messages of the stream: what a client may send, what a server answers, every error."""
