"""The REST routes: what is read, health, metrics, and descriptions.

`create_app` builds its FastAPI with `**ABOUT` and calls `add_rest`.

A query parameter that a route does not have is refused: if a misspelt one were ignored, the answer
would look as if it had been used. Health, readiness and metrics ignore parameters: probes may add
their own, and no answer depends on them.
"""

import asyncio
import difflib
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inkstream.model import installed_version
from inkstream.model.config import Kind
from inkstream.model.errors import InkstreamError
from inkstream.model.pages import Page
from inkstream.model.pages.answers import PageColumns, columns_of
from inkstream.service.observe.logs import get_logger
from inkstream.service.observe.tracing import TRACEPARENT, trace_of
from inkstream.service.protocol.errors import MEANINGS, StoppingError, ValueRefusedError
from inkstream.service.protocol.server_messages import ModelInfo
from inkstream.service.rest import openapi
from inkstream.service.rest.answers import (
    Classification,
    PageError,
    PageReading,
    Recognition,
    Transcription,
    answer_json,
)
from inkstream.service.rest.bodies import BodyReader, address_of, while_connected
from inkstream.service.rest.errors import (
    REQUEST_ID_HEADER,
    UNKNOWN_PARAMETER,
    Described,
    add_error_handlers,
    error_response,
    request_id_of,
)
from inkstream.service.rest.inputs import JPEG, JSON, Input
from inkstream.service.rest.recognition import Encoder, recognize, recognize_page
from inkstream.service.rest.work import FORMS, PageForm, Rendering
from inkstream.service.service import RunningModel, Service, check_repeated

READING: Final = [  # calls that ask the models: they are measured and logged
    f"/v1/{call}"
    for call in ("classify", "classify/json", "transcribe", "transcribe/json", "page", "recognize")
]

N_PAGES_HEADER: Final = "x-inkstream-pages"

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


class ModelParameter(NoParameters):
    """The parameter of every call that takes an image, columns or strokes."""

    model: str | None = Field(
        None, description="Name of a model; absent: the first that suits the call and the input."
    )


class PageImageParameters(NoParameters):
    """The parameters of `/v1/page/image`."""

    page: int = Field(1, ge=1, description="Number of the page, from 1.")


class CharactersParameter(ModelParameter):
    """The parameters of every call that reads; like their like, fields of a `configure`."""

    characters: str | None = Field(
        None, description="Only labels of these characters are answered; absent: every label."
    )

    @property
    def options(self) -> dict[str, Any]:
        """The fields of a `configure` with the same options."""
        return self.model_dump(exclude={"model", "page", "curve", "form"})


class ClassifyParameters(CharactersParameter):
    """The parameters of `/v1/classify`."""

    curve: bool = Field(False, description="Also return the probabilities after every column.")


class TranscribeParameters(CharactersParameter):
    """The parameters of `/v1/transcribe`."""

    language: str | None = Field(
        None,
        description="Languages of the model to read in, by name or code (german, de), several with"
        " commas between them; auto: of all of them the likeliest.",
    )
    words: list[str] = Field(
        [], description="A word that is likely in the text; repeated for each."
    )
    context: str = Field("", description="The text before this one, for a language model.")
    pattern: str | None = Field(
        None, description="A regular expression that the text matches completely."
    )


class PageParameters(TranscribeParameters):
    """The parameters of `/v1/page`."""

    form: PageForm = Field("json", alias="format", description="Format of the answer about a page.")


class RecognizeParameters(ClassifyParameters, PageParameters):
    """The parameters of `/v1/recognize`."""

    page: bool | None = Field(
        None, description="Whether the image is a page of many lines; absent: what it shows."
    )

    @property
    def kind(self) -> Kind | None:
        """The kind of model that the parameters need; None if the input decides."""
        hints = self.words or self.context or (self.language, self.pattern) != (None, None)
        if self.is_page or hints:
            return "transcriber"
        return "classifier" if self.curve else None

    @property
    def is_page(self) -> bool | None:
        """Whether the image is a page, as one is that is asked for in a form of pages."""
        return self.page if self.form == "json" or self.page is not None else True


class Models(Described):
    """This server and its models."""

    version: str
    """Of the server."""
    models: list[ModelInfo]
    """The first is the default."""
    pages: Literal[True] = True
    """Whole pages are read: always, for clients that look here before they send one."""


class Token(Described):
    """What a web page sends in the place of a key."""

    token: str
    """Goes where a key goes, for streams and for all calls but this one."""
    expires_s: float
    """For how many seconds streams and calls may begin with it."""


class Status(BaseModel):
    """A sign of life."""

    status: str


def add_rest(app: FastAPI, service: Service) -> None:
    """Add all REST routes to `app`, and the shape of its errors."""

    async def check_access(request: Request) -> None:
        headers = request.headers
        service.access.check_origin(headers.get("origin"), headers.get("host"))
        service.access.check_key(headers.get("authorization"))
        names = Counter(name for name, _ in request.query_params.multi_items())
        check_repeated({name: n for name, n in names.items() if name not in ("words", TRACEPARENT)})

    # This one describes the header, which `check_access` reads.
    bearer = HTTPBearer(auto_error=False, description="An API key or a token, where keys are set.")
    router = APIRouter(dependencies=[Depends(check_access), Depends(bearer)])
    bodies = BodyReader(service)
    _add_reading(router, service, bodies)
    _add_columns(router, service, bodies)
    _add_models(router, service)
    app.include_router(router)
    add_error_handlers(app, service.metrics)
    _add_operators(app, service)
    _add_descriptions(app)
    app.openapi = lambda: (  # type: ignore[method-assign]
        app.openapi_schema or openapi.completed(FastAPI.openapi(app))
    )
    if service.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=[REQUEST_ID_HEADER, N_PAGES_HEADER, "Retry-After"],
        )
    app.add_middleware(Requests, service=service)  # the outermost: it sees every answer


def _add_reading(router: APIRouter, service: Service, bodies: BodyReader) -> None:
    encoder = Encoder()

    async def read(
        request: Request,
        model: RunningModel | None,
        query: CharactersParameter,
        *,
        curve: bool = False,
        may_be_page: bool = False,
    ) -> Response:
        client, request_id = address_of(request), request_id_of(request)
        options = query.options | {"results": "column" if curve else "message"}
        async with bodies.columns(request, model, may_be_page=may_be_page) as came:
            if isinstance(came, Input):
                model = service.models[came.model]
                work = recognize(model, request_id, client, came.columns, options)
                answers = await while_connected(request, work)
                return Response(await answer_json(answers, came, encoder), media_type=JSON)
        assert isinstance(query, PageParameters)
        return await read_page(request, model or service.model(None, "transcriber"), query, came)

    async def read_page(
        request: Request,
        model: RunningModel,
        query: PageParameters,
        received: bytearray | None = None,
    ) -> Response:
        max_pages = service.settings.max_document_pages if query.form == "json" else 1
        pages = bodies.pages(request, model, max_pages, received)
        parts = _page_parts(request, model, query, pages, bodies=bodies, encoder=encoder)
        first, media_type = await anext(parts), FORMS[query.form][1]
        second = await anext(parts, None)
        if second is None:
            return Response(first, media_type=media_type)

        async def all_parts() -> AsyncIterator[str]:
            yield first + second
            with suppress(ClientDisconnect):  # else it would be answered after this answer
                async for part in parts:
                    yield part

        return StreamingResponse(all_parts(), media_type=media_type)

    @router.post(**openapi.image_call("/v1/classify", Classification, "one character"))
    @router.post(**openapi.ink_call("/v1/classify", Classification))
    async def classify(request: Request, query: Annotated[ClassifyParameters, Query()]) -> Response:
        """Read one character."""
        model = service.model_of_kind(query.model, "classifier", "/v1/classify")
        return await read(request, model, query, curve=query.curve)

    @router.post(**openapi.image_call("/v1/transcribe", Transcription, "one line of writing"))
    @router.post(**openapi.ink_call("/v1/transcribe", Transcription))
    async def transcribe(
        request: Request, query: Annotated[TranscribeParameters, Query()]
    ) -> Response:
        """Read one line of writing."""
        model = service.model_of_kind(query.model, "transcriber", "/v1/transcribe")
        return await read(request, model, query)

    @router.post(**openapi.page_call("/v1/page", PageReading, content=openapi.PAGE_TEXTS))
    async def page(request: Request, query: Annotated[PageParameters, Query()]) -> Response:
        """Read a page of many lines, or the pages of a document."""
        model = service.model_of_kind(query.model, "transcriber", "/v1/page")
        return await read_page(request, model, query)

    described = "What the other calls take."
    texts = openapi.PAGE_TEXTS

    @router.post(**openapi.call("/v1/recognize", Recognition, described, content=texts))
    async def recognize_any(
        request: Request, query: Annotated[RecognizeParameters, Query()]
    ) -> Response:
        """Read what comes with the model that suits it: one call for curl."""
        model = service.model(query.model, query.kind)
        if query.curve:
            service.model_of_kind(model.info.name, "classifier", "curve=true")
        if query.form != "json" and query.page is False:
            raise ValueRefusedError(f"format={query.form} is for pages: leave page=false out")
        if query.is_page:
            asked = "page=true" if query.page else f"format={query.form}"
            service.model_of_kind(model.info.name, "transcriber", asked)
            return await read_page(request, model, query)
        is_decided = query.model is not None or query.kind is not None
        return await read(
            request,
            model if is_decided else None,
            query,
            curve=query.curve,
            may_be_page=query.page is None and not query.curve,
        )


async def _page_parts(
    request: Request,
    model: RunningModel,
    query: PageParameters,
    pages: AsyncGenerator[tuple[Page | InkstreamError, bool]],
    *,
    bodies: BodyReader,
    encoder: Encoder,
) -> AsyncGenerator[str]:
    """Yield the answer about a page, or the parts of one about a document, a page each."""
    client, request_id = address_of(request), request_id_of(request)
    options = query.options | {"results": "none"}
    before = '{"type":"document","pages":['
    async with aclosing(pages):
        async for page, is_of_document in pages:
            try:
                if isinstance(page, InkstreamError):
                    raise page
                work = recognize_page(model, request_id, client, page, options, encoder=encoder)
                turned, lines = await while_connected(request, work)
                text = await bodies.rendered(request, Rendering(query.form, turned, lines))
            except InkstreamError as error:
                is_of_options = before != "," and error is not page
                if query.form != "json" or is_of_options:
                    raise
                text = PageError(code=error.code, message=str(error)).model_dump_json()
            if query.form != "json" or not is_of_document:
                yield text
                return
            yield before + text
            before = ","
    yield "]}"


def _add_columns(router: APIRouter, service: Service, bodies: BodyReader) -> None:
    description = "Name of the model that the columns are for."
    name = {"schema": {"type": "string"}, "description": description}
    media = {
        "content": {"application/octet-stream": openapi.BINARY},
        "headers": {"x-inkstream-model": name},
    }
    shows = "one character or line of writing"

    @router.post(**openapi.image_call("/v1/columns", None, shows, **media))
    @router.post(**openapi.ink_call("/v1/columns", None, **media))
    async def columns(request: Request, query: Annotated[ModelParameter, Query()]) -> Response:
        """Give the columns that an image or strokes become, as a stream takes them.

        Oldest first, each of the model's column_height bytes, top to bottom: 0 = paper, 255 = ink.
        """
        model = service.model(query.model) if query.model is not None else None
        async with bodies.columns(request, model) as came:
            assert isinstance(came, Input)
            headers = {"x-inkstream-model": came.model}
            columns = came.columns[:, : service.models[came.model].info.column_height]
            return Response(columns.tobytes(), 200, headers, "application/octet-stream")

    @router.post(**openapi.page_call("/v1/page/columns", PageColumns))
    async def page_columns(request: Request, query: Annotated[ModelParameter, Query()]) -> Response:
        """Give the lines of a page as columns, which a stream can read."""
        model = service.model_of_kind(query.model, "transcriber", "/v1/page/columns")
        async with aclosing(bodies.pages(request, model, max_pages=1)) as pages:
            page, _ = await anext(pages)
            if isinstance(page, InkstreamError):
                raise page
            height = model.info.column_height
            body = await asyncio.to_thread(lambda: columns_of(page, height).model_dump_json())
        return Response(body, media_type=JSON)

    n_pages = {"schema": {"type": "integer"}, "description": "How many pages there are."}
    media = {"content": {JPEG: openapi.BINARY}, "headers": {N_PAGES_HEADER: n_pages}}

    @router.post(**openapi.page_call("/v1/page/image", None, **media))
    async def page_image(
        request: Request, query: Annotated[PageImageParameters, Query()]
    ) -> Response:
        """Give a page of a document, or an image of any kind that is read, as grey JPEG.

        For programs that show what is read, where they cannot draw a PDF, TIFF or HEIC.
        """
        image, count = await bodies.image(request, query.page)
        return Response(image, 200, {N_PAGES_HEADER: str(count)}, JPEG)


def _add_models(router: APIRouter, service: Service) -> None:
    @router.get("/v1/models", **openapi.plain_call("images"))
    async def models(_query: Annotated[NoParameters, Query()]) -> Models:
        """List the models that this server runs."""
        infos = [running.info for running in service.models.values()]
        return Models(version=installed_version(), models=infos)

    @router.post("/v1/tokens", **openapi.plain_call("tokens"))
    async def token(
        request: Request, response: Response, _query: Annotated[NoParameters, Query()]
    ) -> Token:
        """Give a token that stands for the key of this call, for web pages: for a few minutes."""
        authorization = request.headers.get("authorization")
        credential = service.access.check_key(authorization, tokens=False)
        response.headers["cache-control"] = "no-store"
        text, lifetime_s = service.access.new_token(credential)
        return Token(token=text, expires_s=lifetime_s)


def _add_operators(app: FastAPI, service: Service) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["operators"], responses=openapi.errors(400, 421, 500))
    async def healthz() -> Status:
        """Say that the process is alive."""
        return Status(status="alive")

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["operators"], responses=openapi.errors(400, 421, 500, 503))
    async def readyz() -> Status:
        """Say whether the models are loaded and a session more is accepted; 503 if not."""
        if service.sessions.stopping:
            raise StoppingError("the server is about to stop")
        service.sessions.check_room()
        return Status(status="ready")

    samples: openapi.Responses = {
        200: {"description": "Prometheus text.", "content": {"text/plain": openapi.TEXT}}
    }

    @app.get(
        "/metrics",
        tags=["operators"],
        response_class=PlainTextResponse,
        responses=samples | openapi.errors(400, 401, 421, 500),
    )
    async def prometheus(request: Request) -> Response:
        """Give the metrics as Prometheus text."""
        if service.settings.metrics_need_key:
            service.access.check_key(request.headers.get("authorization"))
        return Response(service.metrics.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _add_descriptions(app: FastAPI) -> None:
    """Add the routes that describe the calls and the WebSocket."""

    @app.get("/openapi.json", include_in_schema=False)
    def description(request: Request) -> JSONResponse:
        """Describe the calls by OpenAPI, in a thread, for the answer is long."""
        root_path = request.scope.get("root_path", "").rstrip("/")
        servers = {"servers": [{"url": root_path}]} if root_path else {}
        return JSONResponse(app.openapi() | servers)

    # `tools/asyncapi.py` makes the file.
    document: dict[str, Any] = json.loads(Path(__file__).with_name("asyncapi.json").read_bytes())
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


class Requests:
    """Give every request its id, check its addresses, and log those that ask the models.

    A request that calls the server by a name that is not its own is refused before anything else.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._access = service.access
        self._metrics = service.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
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
                await (self._refusal(request) or self._app)(scope, receive, send_with_id)
            finally:
                request_s = time.perf_counter() - started_s
                failure = scope["state"].get("failure", {})
                if path in READING and scope["method"] == "POST":
                    self._metrics.requested(status, request_s)
                if path in READING or failure:
                    milliseconds = round(request_s * 1000, 1)
                    known = path if path in READING else "another"  # a path may say anything
                    log.info("request", path=known, status=status, ms=milliseconds, **failure)

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request whose addresses are not allowed, else None."""
        client = request.client.host if request.client else None
        try:
            self._access.check_addresses(request.headers.get("host"), client)
        except InkstreamError as error:
            self._metrics.refused(error.code)
            request.state.failure = {"code": error.code}
            status = MEANINGS[error.code].http
            return error_response(status, error.code, str(error), request_id_of(request))
        return None
