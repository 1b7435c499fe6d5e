"""Logs: one line for each life-cycle event, with the id of its session or request.

In a terminal the lines are for people; `json` writes one object a line for machines. uvicorn's
warnings are written in the same format. Traffic is not logged, and neither are pixels and keys:
the last processor shortens values and removes secrets. A server has its lines written by a thread,
so that it never waits for who reads them.
"""

import logging
import os
import queue
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from typing import Any, Final, Literal, TextIO

import structlog

Format = Literal["terminal", "json"]
Logger = structlog.stdlib.BoundLogger

MAX_WAITING: Final = 4096  # lines that wait to be written: a few MB
FLUSH_S: Final = 0.25  # for lines that wait when a server ends


def protect(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace secrets, recognised by name, and bytes and arrays, which are given by size."""
    return {name: _safe(name, value) for name, value in event.items()}


def _safe(name: str, value: object) -> object:
    secret_words = "key", "token", "authorization", "secret", "password", "cookie"
    if any(word in name.lower() for word in secret_words):
        return "***"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if hasattr(value, "__array_interface__"):
        return f"<array {getattr(value, 'shape', '')}>"
    # A name or an error fits into 300 characters, an image in base 64 does not.
    if isinstance(value, str) and len(value) > 300:
        return f"{value[:300]}... ({len(value)} characters)"
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
    log_format: Format = "terminal",
    level: str = "info",
    stream: TextIO | None = None,
    worker: int | None = None,
) -> None:
    """Send all logs of the process to `stream` in one format.

    Only a terminal gets colours. `level` is the least that is written; `worker` is the number of
    this process among those that serve, which each line then has.
    """
    target = stream or sys.stderr  # so that output stays clean
    renderers: list[structlog.typing.Processor] = [
        structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]
    if log_format == "json":
        renderers = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if worker is not None:
        renderers.insert(0, lambda _logger, _method, event: {**event, "worker": worker})
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(level.upper())
    # They warn of each malformed body, which the request's own line names.
    for name in ("python_multipart", "PIL"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="PIL")
    logging.captureWarnings(True)  # else Python writes them to standard error
    # Warnings of uvicorn go to the root's handler, once; below that level it logs query strings.
    uvicorn = logging.getLogger("uvicorn")
    uvicorn.setLevel(max(logging.WARNING, logging.root.level))
    for logger in (uvicorn, logging.getLogger("uvicorn.error")):
        logger.handlers = []
        logger.propagate = True


@contextmanager
def in_background(on_drop: Callable[[], None]) -> Iterator[None]:
    """Let a thread write the lines while the block runs, to the stream given to `configure`.

    Whoever logs does not wait: if `MAX_WAITING` lines wait for their reader, the next is dropped,
    and `on_drop` is called. Lines keep their order. At the end what waits has `FLUSH_S` to be
    written; after that the thread is left as it is, and does not keep the process from ending.
    """
    (direct,) = logging.root.handlers
    assert isinstance(direct, logging.StreamHandler)
    lines: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING)
    handler = _Queue(lines, on_drop)
    handler.setFormatter(direct.formatter)
    writer = _Writer(lines, direct.stream.fileno())
    writer.start()
    logging.root.handlers = [handler]
    try:
        yield
    finally:
        with lines.all_tasks_done:
            written = lines.all_tasks_done.wait_for(lambda: not lines.unfinished_tasks, FLUSH_S)
        if written:
            writer.stop()
            logging.root.handlers = [direct]


class _Queue(QueueHandler):
    """Leaves formatted lines to the writer, as many as may wait."""

    def __init__(
        self, lines: "queue.Queue[logging.LogRecord]", on_drop: Callable[[], None]
    ) -> None:
        super().__init__(lines)
        self._on_drop = on_drop

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            super().enqueue(record)
        except queue.Full:
            self._on_drop()


class _Writer(QueueListener):
    """Writes lines to a descriptor itself: Python's end would wait for the lock of a stream."""

    def __init__(self, lines: "queue.Queue[logging.LogRecord]", descriptor: int) -> None:
        super().__init__(lines)
        self._descriptor = descriptor

    def handle(self, record: logging.LogRecord) -> None:
        line = f"{record.getMessage()}\n".encode(errors="backslashreplace")
        with suppress(OSError):  # its reader is gone
            while line:
                line = line[os.write(self._descriptor, line) :]
