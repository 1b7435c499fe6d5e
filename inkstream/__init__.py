"""Read handwriting while it is being written, column by column.

    from inkstream import load
    print(load("digits").recognize("7.png").label)

`load` reads here, without a server; `connect` and `connect_sync` stream to one.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from inkstream.model.recognizer import Recognition, Recognizer, Result, State, Stream, load
    from inkstream.service.client.client import connect, connect_sync

__all__ = [
    "Recognition",
    "Recognizer",
    "Result",
    "State",
    "Stream",
    "connect",
    "connect_sync",
    "load",
]

_CLIENT: Final = ("connect", "connect_sync")


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use: a client needs no ONNX Runtime."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "service.client.client" if name in _CLIENT else "model.recognizer"
    return getattr(importlib.import_module(f"inkstream.{module}"), name)
