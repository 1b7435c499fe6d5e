"""The REST routes: `/v1/recognize` and its like, health, metrics, and descriptions.

`create_app` builds its FastAPI with `**ABOUT` and calls `add_rest`.

A query parameter that a route does not have is refused: if a misspelt one were ignored, the answer
would look as if it had been used. Health, readiness and metrics ignore parameters: probes may add
their own, and no answer depends on them.
"""

import asyncio
import difflib
import json
import secrets
import threading
import time
from collections.abc import Awaitable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inkstream.model.config import Kind
from inkstream.model.errors import InkstreamError
from inkstream.service import installed_version, pages
from inkstream.service.http_errors import (
    REQUEST_ID_HEADER,
    UNKNOWN_PARAMETER,
    add_error_handlers,
    error_response,
    request_id_of,
)
from inkstream.service.logs import get_logger
from inkstream.service.metrics import CONTENT_TYPE, Metrics
from inkstream.service.protocol.descriptions import describe
from inkstream.service.protocol.errors import MEANINGS, StoppingError, ValueRefusedError
from inkstream.service.protocol.server_messages import ModelInfo
from inkstream.service.rest import openapi
from inkstream.service.rest.answers import (
    MEDIA_TYPES,
    Recognition,
    Transcription,
    answer_json,
)
from inkstream.service.rest.bodies import BodyReader
from inkstream.service.rest.encoding import Encoder
from inkstream.service.rest.inputs import JSON, Input
from inkstream.service.rest.recognition import recognize, recognize_page
from inkstream.service.rest.rendering import PageForm, Rendering
from inkstream.service.rest.requests import address_of, while_connected
from inkstream.service.service import RunningModel, Service
from inkstream.service.tracing import TRACEPARENT, trace_of

ABOUT: Final[dict[str, Any]] = openapi.ABOUT | dict.fromkeys(
    ("openapi_url", "docs_url", "redoc_url")
)
REQUEST_ID_BYTES: Final = 8
MODEL_HEADER: Final = "x-inkstream-model"  # whose columns an answer holds
ASYNCAPI: Final = Path(__file__).with_name("asyncapi.json")  # made by tools/asyncapi.py
RECOGNIZE: Final = "/v1/recognize"

# Python 3.11 counts the depth of a parsed tree for all threads together: where the collector of
# garbage lets another thread parse meanwhile, ast.parse raises SystemError (cpython#106905).
_describing: Final = threading.Lock()

# Describes the header; `Access` reads it.
_BEARER: Final = HTTPBearer(
    auto_error=False, description="An API key or a token, where keys are set."
)

log = get_logger()


class NoParameters(BaseModel):
    """The parameters of a route without any."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: dict[str, Any]) -> dict[str, Any]:
        names = [field.alias or name for name, field in cls.model_fields.items()]
        values = {name: value for name, value in values.items() if name != TRACEPARENT}
        for name in values.keys() - set(names):
            allowed = ", ".join(names) or "none"
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise PydanticCustomError(
                UNKNOWN_PARAMETER,
                "{name} is no parameter of this route, allowed: {allowed}{hint}",
                {"name": name[:100], "allowed": allowed, "hint": hint},
            )
        return values


class ColumnsParameters(NoParameters):
    """The parameters of `/v1/columns`."""

    model: str | None = Field(
        None, description="Name of a model; absent: the first that suits the input."
    )
    page: bool = Field(False, description="Whether the image is a page of many lines.")

    @property
    def kind(self) -> Kind | None:
        """The kind of model that the parameters need; None if the input decides."""
        return "transcriber" if self.page else None


class RecognizeParameters(ColumnsParameters):
    """The parameters of `/v1/recognize`: some are fields of a stream's `configure`."""

    curve: bool = Field(False, description="Also return a classifier's answer after every column.")
    form: PageForm = Field("json", alias="format", description="Format of the answer about a page.")
    characters: str | None = Field(
        None, description="Only labels of these characters are answered; absent: every label."
    )
    language_model: str | None = Field(
        None, description="Language model to read with, one of the model's languages."
    )
    words: list[str] = Field(
        [], description="A word that is likely in the text; repeated for each."
    )
    context: str = Field("", description="The text before this one, for a language model.")
    pattern: str | None = Field(
        None, description="A regular expression that the text matches completely."
    )

    @property
    def kind(self) -> Kind | None:
        """The kind of model that the parameters need; None if the input decides."""
        of_lines = (self.language_model, self.pattern, self.words or None, self.context or None)
        if self.page or any(value is not None for value in of_lines):
            return "transcriber"
        return "classifier" if self.curve else None

    @property
    def options(self) -> dict[str, Any]:
        """The fields of a `configure` with the same options."""
        fields = self.model_dump(exclude={"model", "page", "curve", "form"})
        return fields | {"every": "column" if self.curve else "message"}


ANSWER: Final = Recognition | Transcription | pages.PageTranscription


class Models(BaseModel):
    """This server and its models."""

    model_config = ConfigDict(json_schema_extra=describe)

    version: str
    """Of the server."""
    models: list[ModelInfo]
    """The first is the default."""
    pages: Literal[True] = True
    """Whole pages are read: always, for clients that look here before they send one."""


class Token(BaseModel):
    """What a web page sends in the place of a key."""

    model_config = ConfigDict(json_schema_extra=describe)

    token: str
    """Goes where a key goes, for streams and for all calls but this one."""
    expires_s: float
    """For how many seconds streams and calls may begin with it."""


class Status(BaseModel):
    """A sign of life."""

    status: str


def add_rest(app: FastAPI, service: Service) -> None:
    """Add all REST routes to `app`, and the shape of its errors."""
    add_error_handlers(app, service.metrics)
    app.include_router(_recognition_router(service))
    _add_operators(app, service)
    _add_stream(app)
    _add_description(app)
    app.openapi = lambda: openapi.with_nulls(FastAPI.openapi(app))  # type: ignore[method-assign]
    if service.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[REQUEST_ID_HEADER, "Retry-After"],
        )
    app.add_middleware(AddressCheck, service=service)
    app.add_middleware(RequestLog, metrics=service.metrics)  # the outermost: it sees every answer


def _recognition_router(service: Service) -> APIRouter:
    async def check_access(request: Request) -> None:
        headers = request.headers
        service.access.check_origin(headers.get("origin"), headers.get("host"))
        service.access.check_key(headers.get("authorization"))

    router = APIRouter(dependencies=[Depends(check_access), Depends(_BEARER)])
    bodies, encoder = BodyReader(service), Encoder()

    def input_of(
        request: Request, query: ColumnsParameters, model: RunningModel
    ) -> Awaitable[Input]:
        decided = query.model is not None or query.kind is not None
        return bodies.columns(request, model if decided else None)

    @router.post(RECOGNIZE, name="recognize", response_model=ANSWER, **openapi.RECOGNIZE)
    async def recognize_input(
        request: Request, query: Annotated[RecognizeParameters, Query()]
    ) -> Response:
        """Read a whole image, or columns or strokes that are complete."""
        model = service.model(query.model, query.kind)
        if query.curve:
            service.require_kind(model, "classifier", "curve=true")
        if query.form != "json" and not query.page:
            raise ValueRefusedError(f"format={query.form} needs page=true")
        client = address_of(request)
        async with service.sessions.admit_request(client):
            session_id = request_id_of(request)
            if query.page:
                page = await bodies.page(request, model)
                reading = recognize_page(
                    model, session_id, client, page, query.options, encoder=encoder
                )
                lines = await while_connected(request, reading)
                text = await bodies.rendered(request, Rendering(query.form, page, lines))
                return Response(text, media_type=MEDIA_TYPES[query.form])
            came = await input_of(request, query, model)
            model = service.models[came.model]
            work = recognize(model, session_id, client, came.columns, query.options)
            answers = await while_connected(request, work)
            body = await answer_json(answers, came, query.curve, encoder)
        return Response(body, media_type=JSON)

    @router.post("/v1/columns", response_class=Response, **openapi.COLUMNS)
    async def columns(request: Request, query: Annotated[ColumnsParameters, Query()]) -> Response:
        """Give the columns that an image or strokes become, as a stream takes them."""
        model = service.model(query.model, query.kind)
        async with service.sessions.admit_request(address_of(request)):
            if query.page:
                page = await bodies.page(request, model)
                height = model.info.column_height
                body = await asyncio.to_thread(
                    lambda: pages.columns_of(page, height).model_dump_json()
                )
                return Response(body, media_type=JSON)
            came = await input_of(request, query, model)
        headers = {MODEL_HEADER: came.model}
        columns = came.columns[:, : service.models[came.model].info.column_height]
        return Response(columns.tobytes(), 200, headers, "application/octet-stream")

    @router.get("/v1/models", **openapi.MODELS)
    async def models(_query: Annotated[NoParameters, Query()]) -> Models:
        """List the models that this server runs."""
        infos = [running.info for running in service.models.values()]
        return Models(version=installed_version(), models=infos)

    @router.post("/v1/tokens", **openapi.TOKENS)
    async def token(
        request: Request, response: Response, _query: Annotated[NoParameters, Query()]
    ) -> Token:
        """Give a token that stands for the key of this call, for web pages: for a few minutes."""
        authorization = request.headers.get("authorization")
        credential = service.access.check_key(authorization, tokens=False)
        response.headers["cache-control"] = "no-store"
        text, lifetime_s = service.access.new_token(credential)
        return Token(token=text, expires_s=lifetime_s)

    return router


def _add_operators(app: FastAPI, service: Service) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", **openapi.HEALTH)
    async def healthz() -> Status:
        """Say that the process is alive."""
        return Status(status="alive")

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", **openapi.READINESS)
    async def readyz() -> Status:
        """Say whether the models are loaded and a session more is accepted; 503 if not."""
        if service.sessions.stopping:
            raise StoppingError("the server is about to stop")
        service.sessions.check_room()
        return Status(status="ready")

    @app.get("/metrics", **openapi.METRICS)
    async def prometheus(request: Request) -> Response:
        """Give the metrics as Prometheus text."""
        if service.settings.metrics_need_key:
            service.access.check_key(request.headers.get("authorization"))
        return Response(service.metrics.render(), media_type=CONTENT_TYPE)


def _add_description(app: FastAPI) -> None:
    @app.get("/openapi.json", include_in_schema=False)
    def description(request: Request) -> JSONResponse:
        """Describe the calls by OpenAPI, in a thread: it takes 40 ms when it is first made."""
        root_path = request.scope.get("root_path", "").rstrip("/")
        servers = {"servers": [{"url": root_path}]} if root_path else {}
        with _describing:
            document = app.openapi()
        return JSONResponse(document | servers)


def _add_stream(app: FastAPI) -> None:
    """Add the routes that describe the WebSocket."""

    document: dict[str, Any] = json.loads(ASYNCAPI.read_bytes())
    local = document["servers"].pop("local")

    @app.get("/asyncapi.json", include_in_schema=False)
    async def stream_description(
        request: Request, _query: Annotated[NoParameters, Query()]
    ) -> JSONResponse:
        """Describe the WebSocket's messages by AsyncAPI 3, and where this server is."""
        url = request.base_url
        this = {
            "host": url.netloc,
            "pathname": url.path,
            "protocol": "wss" if url.is_secure else "ws",
            "description": "This server, as it was called.",
        }
        return JSONResponse({**document, "servers": {"this": local | this}})

    @app.get("/v1/stream", include_in_schema=False)
    async def stream() -> None:
        """Explain that this path is a WebSocket."""
        text = "this is a WebSocket, ask for an upgrade; /asyncapi.json describes it"
        raise HTTPException(HTTPStatus.UPGRADE_REQUIRED, text, {"upgrade": "websocket"})


class AddressCheck:
    """Refuse requests that call the server by a name that is not its own, before anything else."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            client = request.client.host if request.client else None
            try:
                self._service.access.check_addresses(request.headers.get("host"), client)
            except InkstreamError as error:
                self._service.metrics.refused(error.code)
                scope["state"]["failure"] = {"code": error.code}
                status, request_id = MEANINGS[error.code].http, request_id_of(request)
                response = error_response(status, error.code, str(error), request_id)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


class RequestLog:
    """Give every request its id, and log one line about each that asks the models."""

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
        request = Request(scope)
        trace = trace_of(request.headers.get(TRACEPARENT), request.query_params.get(TRACEPARENT))
        with structlog.contextvars.bound_contextvars(request=request_id, **trace):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                request_s = time.perf_counter() - started_s
                failure = scope["state"].get("failure", {})
                if path == RECOGNIZE and scope["method"] == "POST":
                    self._metrics.requested(status, request_s)
                if path == RECOGNIZE or failure:
                    milliseconds = round(request_s * 1000, 1)
                    log.info("request", path=path, status=status, ms=milliseconds, **failure)
