"""Logs: one line for each life-cycle event, with the id of its session or request.

In a terminal the lines are for people; `json` writes one object a line for machines. uvicorn's
warnings are written in the same format. Traffic is not logged, and neither are pixels and keys:
the last processor shortens values and removes secrets.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

Format = Literal["terminal", "json"]
Logger = structlog.stdlib.BoundLogger

SECRET_WORDS: Final = ("key", "token", "authorization", "secret", "password", "cookie")
MAX_TEXT: Final = 300  # characters: a name or an error fits, an image in base 64 does not


def protect(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace secrets, recognised by name, and bytes and arrays, which are given by size."""
    return {name: _safe(name, value) for name, value in event.items()}


def _safe(name: str, value: object) -> object:
    if any(word in name.lower() for word in SECRET_WORDS):
        return "***"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if hasattr(value, "__array_interface__"):
        return f"<array {getattr(value, 'shape', '')}>"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}... ({len(value)} characters)"
    return value


SHARED: Final[list[structlog.typing.Processor]] = [  # of our lines and of other packages'
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    protect,
]


def get_logger(**context: object) -> Logger:
    """Return a logger whose lines all have `context`, for instance `session="..."`.

    Until `configure` is called, its lines go where those of the standard library go.
    """
    processors = [
        structlog.stdlib.filter_by_level,
        *SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ]
    return Logger(logging.getLogger("inkstream"), processors, context)


def configure(
    log_format: Format = "terminal", level: str = "info", stream: TextIO | None = None
) -> None:
    """Send all logs of the process to `stream` in one format.

    Args:
        log_format: "terminal" (colours only where a terminal reads them) or "json".
        level: the least level that is written: debug, info, warning, error.
        stream: where to; None is standard error, so that output stays clean.
    """
    target = stream or sys.stderr
    renderers: list[structlog.typing.Processor] = [
        structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]
    if log_format == "json":
        renderers = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(level.upper())
    # It warns of each malformed body, which the request's own line names.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # Warnings of uvicorn go to the root's handler, once; below that level it logs query strings.
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.setLevel(max(logging.WARNING, logging.root.level))
    for logger in (uvicorn, logging.getLogger("uvicorn.error")):
        logger.handlers = []
        logger.propagate = True
