"""Servers that the service is compared with; each module is run with a model and a port.

`uvicorn_apps` has two. The echo bounds FastAPI's WebSockets: the same bytes in, a constant text of
a result's size out. The afternoon server is what one writes in an afternoon: FastAPI, the same net
in PyTorch in 32-bit numbers, one forward a message, nothing shared between sessions.

The other modules use servers of models as their documents advise, with the same file of the same
net through the same `Runtime`. They answer with the probabilities after the last column; they have
no decoder, no text and nothing else of the protocol.
"""
