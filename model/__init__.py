"""Numbers in, numbers out: nets that read handwriting column by column.

    from model import load
    recognizer = load("digits")

Shapes are written with these letters throughout: B batch (streams), T columns, H column height
(pixels), L layers, U units, K labels, D numbers of one stream's state.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.recognizer import Recognition, Recognizer, Result, Stream, load
    from model.stream_state import State

__all__ = ["Recognition", "Recognizer", "Result", "State", "Stream", "load"]


def __getattr__(name: str) -> Any:
    """Load the runtime only for those who use it: a client needs nothing but the errors."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("model.recognizer"), name)
