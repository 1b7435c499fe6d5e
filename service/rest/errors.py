"""Every error by HTTP in one shape, with a request id that is also in the log."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from inkstream.model.errors import InkstreamError
from inkstream.model.messages import describe
from inkstream.service.observe.logs import get_logger
from inkstream.service.observe.metrics import Metrics
from inkstream.service.protocol.errors import MEANINGS

REQUEST_ID_HEADER: Final = "x-request-id"
UNKNOWN_PARAMETER: Final = "unknown_parameter"  # a validation error whose text is the whole answer

log = get_logger()


class Described(BaseModel):
    """A part of an answer or a body; the text below each of its fields describes it."""

    model_config = ConfigDict(json_schema_extra=describe)


class ErrorDetail(Described):
    """What went wrong."""

    code: str
    """Stable; compare this one."""
    message: str
    """What came and what is allowed, for people."""
    request_id: str
    """The id of the request, which is also in the server's log."""


class ErrorBody(BaseModel):
    """The shape of every error."""

    error: ErrorDetail


def request_id_of(request: Request) -> str:
    """Return the id that `Requests` gave this request."""
    return str(request.state.request_id)


def error_response(
    status: int, code: str, message: str, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as REST and a refused WebSocket answer it."""
    known = {REQUEST_ID_HEADER: request_id}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        known["retry-after"] = "5"  # s: a busy server has answered its present clients by then
    if status == HTTPStatus.UNAUTHORIZED:
        known["www-authenticate"] = "Bearer"
    body = ErrorBody(error=ErrorDetail(code=code, message=message, request_id=request_id))
    return Response(body.model_dump_json(), status, known | dict(headers or {}), "application/json")


def add_error_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Make `app` answer every exception in the one shape, and count it."""

    def answer(
        request: Request,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        is_refusal = status in (401, 403, 404, 429, 503)  # before the body is looked at
        (metrics.refused if is_refusal else metrics.error)(code)
        request.state.failure = {"code": code}  # for the log; the message quotes what came
        return error_response(status, code, message, request_id_of(request), headers)

    @app.exception_handler(InkstreamError)
    async def ours(request: Request, error: InkstreamError) -> Response:
        """Answer an error that was raised on purpose: its code has an HTTP status."""
        return answer(request, MEANINGS[error.code].http, error.code, str(error))

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        """Answer where there is no such path, or not with this method."""
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        message = f"{request.method} {request.url.path}: {error.detail}"
        return answer(request, error.status_code, code, message, error.headers)

    @app.exception_handler(RequestValidationError)
    async def query(request: Request, error: RequestValidationError) -> Response:
        """Answer a query with an unknown parameter or a value that is not allowed."""
        first = error.errors()[0]
        if first["type"] == UNKNOWN_PARAMETER:
            message = first["msg"]
        else:
            allowed = first.get("ctx", {}).get("expected", "true or false")
            message = f"{first['loc'][-1]} is {first['input']!r:.100}, allowed: {allowed}"
        return answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, "bad_value", message)

    @app.exception_handler(ClientDisconnect)
    async def disconnect(_request: Request, _error: ClientDisconnect) -> Response:
        """End a request whose client left while its body was read."""
        return Response(status_code=499)  # no client reads it; proxies write it into their logs

    @app.exception_handler(Exception)
    async def crash(request: Request, error: Exception) -> Response:
        """Answer a fault of ours: log it, and send no details to the client."""
        log.error("request crashed", request=request_id_of(request), exc_info=error)
        message = "the service failed; its log says more under this request id"
        return answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", message)
