"""The doors for whole images and for operators: `/v1/recognize` and its like, health, metrics.

`create_app` builds its FastAPI with `**ABOUT` and calls `add_rest`.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inkstream.model.pages.page import reads_pages
from inkstream.service.api_docs import asyncapi, openapi
from inkstream.service.http_errors import REQUEST_ID_HEADER, add_error_handlers, request_id_of
from inkstream.service.logs import get_logger
from inkstream.service.metrics import CONTENT_TYPE, Metrics
from inkstream.service.pages.messages import PageTranscription
from inkstream.service.protocol.errors import StoppingError, ValueRefusedError
from inkstream.service.protocol.events import Letter, Punctuation, Word
from inkstream.service.protocol.server_messages import ModelInfo
from inkstream.service.rest.bodies import BodyReader
from inkstream.service.rest.pages import PageDoor, PageForm
from inkstream.service.rest.query import asked
from inkstream.service.rest.recognition import Reading, read, while_there
from inkstream.service.service import Service
from inkstream.service.version import installed_version

ABOUT: Final[dict[str, Any]] = openapi.ABOUT | {"docs_url": None, "redoc_url": None}
REQUEST_ID_BYTES: Final = 8
RECOGNIZE: Final = "/v1/recognize"
ModelName = Annotated[str | None, Query(description="Name of a model; absent: the first.")]
IsPage = Annotated[bool, Query(description="Whether the image is a page, of many lines.")]
DECIMALS: Final = 6  # as in the stream

# Describes the header; `Access` reads it.
_SHOWN_KEY: Final = HTTPBearer(auto_error=False, description="An API key, where keys are set.")

log = get_logger()


class Recognition(BaseModel):
    """What a classifier read in an image, columns or strokes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    label: str
    """The most probable label."""
    probabilities: dict[str, float]
    """The probability of each label, after the last column."""
    columns: int
    """How many columns were read."""
    curve: list[dict[str, float]] | None = None
    """With `curve=true`: the probabilities after every column."""


class Transcription(BaseModel):
    """What a transcriber read in an image, columns or strokes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    text: str
    """All that is written."""
    letters: list[Letter | Punctuation]
    """Its letters and marks, in the order of the line."""
    words: list[Word]
    """Its words."""
    columns: int
    """How many columns were read."""


READ: Final = Recognition | Transcription | PageTranscription  # what a request may be answered


class Models(BaseModel):
    """This server and its models."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: str
    """Of the server."""
    models: list[ModelInfo]
    """The first is the default."""
    pages: bool
    """Whether whole pages are read, for which the server needs the `scan` extra."""


class Status(BaseModel):
    """A sign of life."""

    status: str


def add_rest(app: FastAPI, service: Service, metrics: Metrics) -> None:
    """Add all REST routes to `app`, and the shape of its errors."""
    add_error_handlers(app, metrics)
    app.include_router(_router_of_images(service))
    app.include_router(_router_of_operators(service, metrics))
    app.include_router(_router_of_stream())
    if service.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[REQUEST_ID_HEADER, "Retry-After"],
        )
    app.add_middleware(RequestLog, metrics=metrics)  # the outermost: it sees every answer


def _router_of_images(service: Service) -> APIRouter:
    async def check_visitor(request: Request) -> None:
        headers = request.headers
        service.access.check_origin(headers.get("origin"), headers.get("host"))
        service.access.check_key(headers.get("authorization"))

    router = APIRouter(dependencies=[Depends(check_visitor), Depends(_SHOWN_KEY)])
    bodies = BodyReader(service.limits, service.settings.body_timeout_s)
    pages = PageDoor(service, bodies)

    @router.post(RECOGNIZE, response_model=READ, **openapi.RECOGNIZE)
    async def recognize(
        request: Request,
        *,
        choices: Annotated[dict[str, Any], Depends(asked)],
        model: ModelName = None,
        curve: Annotated[
            bool, Query(description="Also give a classifier's answer after every column.")
        ] = False,
        page: IsPage = False,
        form: Annotated[
            PageForm, Query(alias="format", description="Of the answer about a page.")
        ] = "json",
    ) -> Response:
        """Read a whole image, or columns or strokes that are complete."""
        running = service.model(model)
        if curve and running.info.kind == "transcriber":
            raise ValueRefusedError("curve is true, allowed: of a classifier alone")
        if page:
            with service.sessions.admit(_address(request), _stay):
                choices["every"] = "message"
                return await pages.recognize(request, running, choices, form)
        if form != "json":
            raise ValueRefusedError(f"format is {form}, allowed: of a page alone")
        with service.sessions.admit(_address(request), _stay):
            columns = await bodies.columns(request, running.metadata.config)  # [n, H]
            choices["every"] = "column" if curve else "message"
            reading = read(running, service.limits, request_id_of(request), columns, choices)
            said = await while_there(request, reading)
            body = await asyncio.to_thread(_answer, said, len(columns), curve)
        return Response(body, media_type="application/json")

    @router.post("/v1/columns", response_class=Response, **openapi.COLUMNS)
    async def columns(request: Request, model: ModelName = None, page: IsPage = False) -> Response:
        """Give the columns that an image or strokes become, as a stream takes them."""
        running = service.model(model)
        config = running.metadata.config
        with service.sessions.admit(_address(request), _stay):
            if page:
                return await pages.columns(request, running)
            columns = await bodies.columns(request, config)  # [n, H]
        return Response(columns.tobytes(), media_type="application/octet-stream")

    @router.get("/v1/models", **openapi.MODELS)
    async def models() -> Models:
        """List the models that this server runs."""
        infos = [running.info for running in service.models.values()]
        return Models(version=installed_version(), models=infos, pages=reads_pages())

    return router


def _answer(said: Reading, n_columns: int, with_curve: bool) -> str:
    """The JSON text of an answer; a long one takes a while, so not on the event loop."""
    if said.text is not None:
        return Transcription(
            text=said.text,
            letters=[event for event in said.events if not isinstance(event, Word)],
            words=[event for event in said.events if isinstance(event, Word)],
            columns=n_columns,
        ).model_dump_json()
    shown = [_rounded(result.probabilities) for result in said.results]
    return Recognition(
        label=max(said.results[-1].probabilities.items(), key=lambda item: item[1])[0],
        probabilities=shown[-1],
        columns=n_columns,
        curve=shown if with_curve else None,
    ).model_dump_json(exclude_none=True)


def _rounded(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {label: round(p, DECIMALS) for label, p in probabilities.items()}


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _stay(_time_left_s: float) -> None:
    """A request needs no goodbye: the server waits for its answer."""


def _router_of_operators(service: Service, metrics: Metrics) -> APIRouter:
    router = APIRouter()

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", **openapi.HEALTH)
    async def healthz() -> Status:
        """Say that the process is alive."""
        return Status(status="alive")

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", **openapi.READINESS)
    async def readyz() -> Status:
        """Say whether the models are loaded and sessions are welcome; 503 if not."""
        if service.sessions.stopping:
            raise StoppingError("the server is about to stop")
        return Status(status="ready")

    @router.get("/metrics", **openapi.METRICS)
    async def prometheus(request: Request) -> Response:
        """Give the metrics as Prometheus text."""
        if service.settings.metrics_need_key:
            service.access.check_key(request.headers.get("authorization"))
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return router


def _router_of_stream() -> APIRouter:
    """Return the routes that describe the WebSocket."""
    router = APIRouter(include_in_schema=False)

    @router.get("/asyncapi.json")
    async def stream_description() -> dict[str, Any]:
        """The WebSocket's messages, described by AsyncAPI 3."""
        return asyncapi.document()

    @router.get("/v1/stream")
    async def stream() -> None:
        """Tell those who ask here by HTTP."""
        text = "this is a WebSocket, ask for an upgrade; /asyncapi.json describes it"
        raise HTTPException(HTTPStatus.UPGRADE_REQUIRED, text, {"upgrade": "websocket"})

    return router


class RequestLog:
    """Gives every request its id, and writes one line about each that asks the models."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(REQUEST_ID_BYTES)
        scope.setdefault("state", {})["request_id"] = request_id
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value  # unless an answer begins

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])  # an HTTPStatus would be logged by its name
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        path = scope["path"].removeprefix(scope.get("root_path", ""))  # a mount changes both
        started_s = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._write(scope, path, status, time.perf_counter() - started_s)

    def _write(self, scope: Scope, path: str, status: int, request_s: float) -> None:
        failure = scope["state"].get("failure", {})
        if path == RECOGNIZE and scope["method"] == "POST":
            self._metrics.requested(status, request_s)
        if path == RECOGNIZE or failure:
            milliseconds = round(request_s * 1000, 1)
            log.info("request", path=path, status=status, ms=milliseconds, **failure)
