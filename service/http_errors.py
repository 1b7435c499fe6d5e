"""Every error of the REST door in one shape, with a request id that also stands in the log."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from model.errors import InkstreamError
from service.errors import MEANINGS
from service.logs import get_logger
from service.metrics import Metrics

RETRY_AFTER_S: Final = 5  # a busy server has answered those who were there by then
TRY_AGAIN: Final = (429, 503)
REFUSALS: Final = (401, 403, 404, 429, 503)  # turned away at the door, whatever was brought
REQUEST_ID_HEADER: Final = "x-request-id"
NONE: Final[Mapping[str, str]] = MappingProxyType({})
CLIENT_LEFT: Final = 499  # nobody reads it; proxies write it into their logs

log = get_logger()


class ErrorDetail(BaseModel):
    """What went wrong."""

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

    def answer(
        request: Request, status: int, code: str, message: str, headers: Mapping[str, str] = NONE
    ) -> JSONResponse:
        (metrics.refused if status in REFUSALS else metrics.error)(code)
        request.state.failure = {"code": code, "reason": message}  # for the request's line of log
        request_id = request_id_of(request)
        known = {REQUEST_ID_HEADER: request_id}
        if status in TRY_AGAIN:
            known["retry-after"] = str(RETRY_AFTER_S)
        if status == HTTPStatus.UNAUTHORIZED:
            known["www-authenticate"] = "Bearer"
        detail = ErrorDetail(code=code, message=message, request_id=request_id)
        return JSONResponse(ErrorBody(error=detail).model_dump(), status, {**known, **headers})

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, InkstreamError)
        return answer(request, MEANINGS[error.code].http, error.code, str(error))

    async def of_routes(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        message = f"{request.method} {request.url.path}: {error.detail}"
        return answer(request, error.status_code, code, message, error.headers or NONE)

    async def of_values(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        message = f"{first['loc'][-1]} is {first['input']!r:.100}: {first['msg'].lower()}"
        return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "bad_value", message)

    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("request crashed", request=request_id_of(request), exc_info=error)
        message = "the service failed; its log says more under this request id"
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", message)

    async def left(_: Request, __: Exception) -> Response:
        return Response(status_code=CLIENT_LEFT)

    app.add_exception_handler(InkstreamError, ours)
    app.add_exception_handler(HTTPException, of_routes)
    app.add_exception_handler(RequestValidationError, of_values)
    app.add_exception_handler(ClientDisconnect, left)
    app.add_exception_handler(Exception, unforeseen)
