"""Read handwriting while it is being written, column by column.

    from inkstream import load
    print(load("digits").recognize("7.png").label)

`load` reads here, without a server; `connect` and `connect_sync` stream to one.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    __version__: str
    from inkstream.model.preprocess.columns import digit_columns, line_columns
    from inkstream.model.recognizer import Recognition, Recognizer, Result, State, Stream, load
    from inkstream.service.client.stream import connect, connect_sync

__all__ = [
    "Recognition",
    "Recognizer",
    "Result",
    "State",
    "Stream",
    "connect",
    "connect_sync",
    "digit_columns",
    "line_columns",
    "load",
]

_HOMES: Final = {  # of the names that do not come from `model.recognizer`
    "connect": "service.client.stream",
    "connect_sync": "service.client.stream",
    "digit_columns": "model.preprocess.columns",
    "line_columns": "model.preprocess.columns",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use: a client needs no ONNX Runtime."""
    if name == "__version__":
        return importlib.import_module("inkstream.model").installed_version()
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _HOMES.get(name, "model.recognizer")
    return getattr(importlib.import_module(f"inkstream.{module}"), name)
