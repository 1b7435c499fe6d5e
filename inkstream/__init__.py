"""Read handwriting while it is being written, column by column.

    from inkstream import load
    print(load("digits").recognize("7.png").label)

`load` reads here, without a server; `connect` and `connect_sync` stream to one. Every error is an
`InkstreamError`.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    __version__: str
    from inkstream.model.decoding.base import Letter, Word
    from inkstream.model.errors import (  # isort: skip
        BlankImageError, CheckpointError, ConfigError, DataError, ImageError, ImageSizeError,
        InkSizeError, InkstreamError, InputError,
    )  # fmt: skip
    from inkstream.model.pages.transcription import Page
    from inkstream.model.preprocess.columns import digit_columns, line_columns
    from inkstream.model.preprocess.ink_pieces import InkPiece, ink_pieces
    from inkstream.model.recognizer import Recognition, Recognizer, Result, State, Stream, load
    from inkstream.service.client.stream import AsyncStream, SyncStream, connect, connect_sync
    from inkstream.service.protocol.errors import (  # isort: skip
        CallError, ClientFullError, ColumnsError, ForwardedError, HostError, IdleError, InkError,
        JsonError, MessageError, ModelUnknownError, NoConnectionError, NotResumableError,
        OriginError, OverLimitError, PathUnknownError, ServerFullError, ServiceError,
        SessionExpiredError, StoppingError, StreamEndedError, TypeUnknownError,
        UnauthorizedError, UnreadableError, ValueRefusedError,
    )  # fmt: skip

__all__ = [
    "AsyncStream", "BlankImageError", "CallError", "CheckpointError", "ClientFullError",
    "ColumnsError", "ConfigError", "DataError", "ForwardedError", "HostError", "IdleError",
    "ImageError", "ImageSizeError", "InkError", "InkPiece", "InkSizeError", "InkstreamError",
    "InputError", "JsonError", "Letter", "MessageError", "ModelUnknownError", "NoConnectionError",
    "NotResumableError", "OriginError", "OverLimitError", "Page", "PathUnknownError", "Recognition",
    "Recognizer", "Result", "ServerFullError", "ServiceError", "SessionExpiredError", "State",
    "StoppingError", "Stream", "StreamEndedError", "SyncStream", "TypeUnknownError",
    "UnauthorizedError", "UnreadableError", "ValueRefusedError", "Word", "connect", "connect_sync",
    "digit_columns", "ink_pieces", "line_columns", "load",
]  # fmt: skip

_NAMES: Final = {  # by their module; those of no other are errors of `service.protocol.errors`
    "model.decoding.base": "Letter Word",
    "model.errors": (
        "BlankImageError CheckpointError ConfigError DataError ImageError ImageSizeError "
        "InkSizeError InkstreamError InputError"
    ),
    "model.pages.transcription": "Page",
    "model.preprocess.columns": "digit_columns line_columns",
    "model.preprocess.ink_pieces": "InkPiece ink_pieces",
    "model.recognizer": "Recognition Recognizer Result State Stream load",
    "service.client.stream": "AsyncStream SyncStream connect connect_sync",
}
_MODULES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}


if not TYPE_CHECKING:  # for a checker every name would exist

    def __getattr__(name: str) -> Any:
        """Import a name on first use: a client needs no ONNX Runtime."""
        if name == "__version__":
            return importlib.import_module("inkstream.model").installed_version()
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = _MODULES.get(name, "service.protocol.errors")
        return getattr(importlib.import_module(f"inkstream.{module}"), name)


def __dir__() -> list[str]:
    """Return the names for Tab and `help`."""
    return [*__all__, "__version__"]
