"""Read whole pages: find the lines, read each by a session of its own, and give one answer.

Lines are found in a thread, on one page at a time, and few are read at once, so that a page takes
its share of the server and no more.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from fastapi.responses import Response
from starlette.requests import Request

from inkstream.model.errors import ConfigError
from inkstream.model.pages.page import Page, PageLine, find_page
from inkstream.service.http_errors import request_id_of
from inkstream.service.pages import (
    ALTO_TYPE,
    HOCR_TYPE,
    PageTranscription,
    ReadLine,
    alto,
    columns_of,
    hocr,
    read_line,
    transcription,
)
from inkstream.service.protocol.errors import OverLimitError, ValueRefusedError
from inkstream.service.rest.bodies import JSON, BodyReader
from inkstream.service.rest.query import PageForm
from inkstream.service.rest.recognition import recognize, while_connected
from inkstream.service.service import RunningModel, Service

MAX_PAGE_LINES: Final = 256  # A4 holds 40 lines, or two columns of as many
LINES_AT_ONCE: Final = 8  # of one page: a third of a batch of the engine


class PageReader:
    """Answer requests about pages."""

    def __init__(self, service: Service, bodies: BodyReader) -> None:
        self._service = service
        self._bodies = bodies

    async def recognize(
        self, request: Request, model: RunningModel, options: Mapping[str, Any], form: PageForm
    ) -> Response:
        """Read a page, each line under the options of a `configure`.

        Raises an `InkstreamError` that says what came and what is allowed.
        """
        page = await self._page(request, model)
        turns = asyncio.Semaphore(LINES_AT_ONCE)

        async def read(number: int, line: PageLine) -> ReadLine:
            async with turns:
                name = f"{request_id_of(request)}.{number}"
                limits = self._service.limits
                answers = await recognize(model, limits, name, line.columns, options)
            return read_line(line, answers.text or "", answers.events)

        reading = [read(number, line) for number, line in enumerate(page.lines)]
        lines = await while_connected(request, _all(reading))
        body, media_type = await asyncio.to_thread(render, transcription(page, lines), form)
        return Response(body, media_type=media_type)

    async def columns(self, request: Request, model: RunningModel) -> Response:
        """Return the columns of a page's lines."""
        page = await self._page(request, model)
        height = model.info.column_height
        body = await asyncio.to_thread(lambda: columns_of(page, height).model_dump_json())
        return Response(body, media_type=JSON)

    async def _page(self, request: Request, model: RunningModel) -> Page:
        self._service.require_kind(model, "transcriber", "page=true")
        limits = self._service.limits
        try:
            page = await self._bodies.page(
                request,
                lambda data: find_page(data, model.info.column_height, limits.max_image_pixels),
            )
        except ConfigError as error:
            raise ValueRefusedError(f"page=true came, no pages are read here: {error}") from error
        if len(page.lines) > MAX_PAGE_LINES:
            raise OverLimitError(f"{len(page.lines)} lines, allowed: up to {MAX_PAGE_LINES}")
        longest = max((len(line.columns) for line in page.lines), default=0)
        if longest > limits.max_line_columns:
            raise OverLimitError(
                f"a line of {longest} columns, allowed: up to {limits.max_line_columns}"
            )
        return page


async def _all(reading: Sequence[Coroutine[Any, Any, ReadLine]]) -> list[ReadLine]:
    """Await all; when one fails, cancel the others and raise its error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in reading]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def render(page: PageTranscription, form: PageForm) -> tuple[str, str]:
    """Return a page in the form that is asked for, and the form's media type."""
    match form:
        case "hocr":
            return hocr(page), HOCR_TYPE
        case "alto":
            return alto(page), ALTO_TYPE
        case "json":
            return page.model_dump_json(), JSON
