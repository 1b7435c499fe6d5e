"""The doors for whole pages: an image in, its lines read by sessions of their own, one answer out.

Lines are found in a thread, on one page at a time, and few are read at once, so that a page takes
its share of the server and no more.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, Literal

from fastapi.responses import Response
from starlette.requests import Request

from inkstream.model.errors import ConfigError
from inkstream.model.pages.page import Page, PageLine, find_page
from inkstream.service.http_errors import request_id_of
from inkstream.service.pages import formats
from inkstream.service.pages.messages import (
    PageTranscription,
    ReadLine,
    columns_of,
    read_line,
    transcription,
)
from inkstream.service.protocol.errors import OverLimitError, ValueRefusedError
from inkstream.service.rest.bodies import BodyReader
from inkstream.service.rest.recognition import read, while_there
from inkstream.service.service import RunningModel, Service

PageForm = Literal["json", "hocr", "alto"]

MAX_PAGE_LINES: Final = 256  # A4 holds 40 lines, or two columns of as many
LINES_AT_ONCE: Final = 8  # of one page: a third of a batch of the engine
JSON: Final = "application/json"


class PageDoor:
    """Answers requests about pages."""

    def __init__(self, service: Service, bodies: BodyReader) -> None:
        self._limits = service.limits
        self._bodies = bodies

    async def recognize(
        self, request: Request, model: RunningModel, choices: Mapping[str, Any], form: PageForm
    ) -> Response:
        """Read a page, each line by what a `configure` may choose.

        Raises an `InkstreamError` that says what came and what is allowed.
        """
        page = await self._page(request, model)
        turns = asyncio.Semaphore(LINES_AT_ONCE)

        async def read_in_turn(number: int, line: PageLine) -> ReadLine:
            async with turns:
                name = f"{request_id_of(request)}.{number}"
                said = await read(model, self._limits, name, line.columns, choices)
            return read_line(line, said.text or "", said.events)

        reading = [read_in_turn(number, line) for number, line in enumerate(page.lines)]
        lines = await while_there(request, _all(reading))
        body, kind = await asyncio.to_thread(rendered, transcription(page, lines), form)
        return Response(body, media_type=kind)

    async def columns(self, request: Request, model: RunningModel) -> Response:
        """The columns of a page's lines."""
        page = await self._page(request, model)
        height = model.metadata.config.column_height
        body = await asyncio.to_thread(lambda: columns_of(page, height).model_dump_json())
        return Response(body, media_type=JSON)

    async def _page(self, request: Request, model: RunningModel) -> Page:
        if model.info.kind == "classifier":
            raise ValueRefusedError("page is true, allowed: of a transcriber alone")
        height = model.metadata.config.column_height
        try:
            page = await self._bodies.page(
                request, lambda data: find_page(data, height, self._limits.max_image_pixels)
            )
        except ConfigError as error:
            raise ValueRefusedError(f"page is true, but no pages are read here: {error}") from error
        if len(page.lines) > MAX_PAGE_LINES:
            raise OverLimitError(f"{len(page.lines)} lines, allowed: up to {MAX_PAGE_LINES}")
        most = self._limits.max_line_columns
        for line in page.lines:
            if len(line.columns) > most:
                raise OverLimitError(
                    f"a line of {len(line.columns)} columns, allowed: up to {most}"
                )
        return page


async def _all(reading: Sequence[Coroutine[Any, Any, ReadLine]]) -> list[ReadLine]:
    """What all of them give; when one fails the others are given up, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in reading]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def rendered(page: PageTranscription, form: PageForm, name: str = "") -> tuple[str, str]:
    """A page in the form that is asked for, and the form's media type."""
    match form:
        case "hocr":
            return formats.hocr(page, name), formats.HOCR_TYPE
        case "alto":
            return formats.alto(page, name), formats.ALTO_TYPE
        case "json":
            return page.model_dump_json(), JSON
