"""Every error of the REST door in one shape, with a request id that also stands in the log."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from inkstream.model.errors import InkstreamError
from inkstream.service.logs import get_logger
from inkstream.service.metrics import Metrics
from inkstream.service.protocol.errors import MEANINGS

Headers = Mapping[str, str]

RETRY_AFTER_S: Final = 5  # a busy server has answered those who were there by then
TRY_AGAIN: Final = (429, 503)
REFUSALS: Final = (401, 403, 404, 429, 503)  # turned away at the door, whatever was brought
REQUEST_ID_HEADER: Final = "x-request-id"
NONE: Final[Headers] = MappingProxyType({})
CLIENT_LEFT: Final = 499  # nobody reads it; proxies write it into their logs

log = get_logger()


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    code: str
    """Stable; compare this one."""
    message: str
    """What came and what is allowed, for people."""
    request_id: str
    """Stands in the server's log, too."""


class ErrorBody(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


def request_id_of(request: Request) -> str:
    """The id that the door gave this request."""
    return str(request.state.request_id)


def add_error_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Make `app` answer everything that goes wrong in our shape, and count it."""
    answers = _ErrorAnswers(metrics)
    app.add_exception_handler(InkstreamError, answers.to_ours)
    app.add_exception_handler(HTTPException, answers.to_routing)
    app.add_exception_handler(RequestValidationError, answers.to_values)
    app.add_exception_handler(ClientDisconnect, answers.to_nobody)
    app.add_exception_handler(Exception, answers.to_crash)


class _ErrorAnswers:
    """What each kind of exception is answered with."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def to_ours(self, request: Request, error: Exception) -> Response:
        """An error that was raised on purpose: its code says what it means for HTTP."""
        assert isinstance(error, InkstreamError)
        return self._answer(request, MEANINGS[error.code].http, error.code, str(error))

    async def to_routing(self, request: Request, error: Exception) -> Response:
        """No such path, or not by this method."""
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        message = f"{request.method} {request.url.path}: {error.detail}"
        return self._answer(request, error.status_code, code, message, error.headers or NONE)

    async def to_values(self, request: Request, error: Exception) -> Response:
        """A query that cannot be read."""
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        allowed = first.get("ctx", {}).get("expected", "true or false")
        message = f"{first['loc'][-1]} is {first['input']!r:.100}, allowed: {allowed}"
        return self._answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "bad_value", message)

    async def to_nobody(self, _request: Request, _error: Exception) -> Response:
        """The client left while its body was read."""
        return Response(status_code=CLIENT_LEFT)

    async def to_crash(self, request: Request, error: Exception) -> Response:
        """A fault of ours: all of it to the log, nothing of it to the client."""
        log.error("request crashed", request=request_id_of(request), exc_info=error)
        message = "the service failed; its log says more under this request id"
        return self._answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", message)

    def _answer(
        self, request: Request, status: int, code: str, text: str, headers: Headers = NONE
    ) -> JSONResponse:
        (self._metrics.refused if status in REFUSALS else self._metrics.error)(code)
        request.state.failure = {"code": code}  # for the log; the text quotes what came
        request_id = request_id_of(request)
        known = {REQUEST_ID_HEADER: request_id}
        if status in TRY_AGAIN:
            known["retry-after"] = str(RETRY_AFTER_S)
        if status == HTTPStatus.UNAUTHORIZED:
            known["www-authenticate"] = "Bearer"
        detail = ErrorDetail(code=code, message=text, request_id=request_id)
        return JSONResponse(ErrorBody(error=detail).model_dump(), status, {**known, **headers})
