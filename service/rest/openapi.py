"""The parts of the OpenAPI description that FastAPI does not read from the code: bodies, errors.

Each error of an operation has an example here; a test compares the codes with those that really
come.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.responses import PlainTextResponse

from inkstream.service import installed_version
from inkstream.service.pages import Page, PageColumns
from inkstream.service.protocol.descriptions import describe
from inkstream.service.protocol.errors import MEANINGS
from inkstream.service.rest.answers import Classification, Recognition, Transcription
from inkstream.service.rest.errors import ErrorBody

Responses = dict[int | str, dict[str, Any]]
Extra = dict[str, Any]  # keyword arguments of a FastAPI route

REF: Final = "#/components/schemas/{model}"
REQUEST_ID: Final = "5d3c9fb20a7e41d8"

DESCRIPTION: Final = """\
Reads handwriting while it is being written: one image column in, one answer out.

These calls read whole images, columns and strokes, and serve operators. The WebSocket `/v1/stream`
reads columns and strokes while they are being written; [asyncapi.json](asyncapi.json) describes it.
"""


class ColumnsBody(BaseModel):
    """Columns of one character or line of writing."""

    model_config = ConfigDict(json_schema_extra=describe)

    columns: Annotated[list[list[Annotated[int, Field(ge=0, le=255)]]], Field(min_length=1)]
    """Oldest first, each of the model's column_height pixels, top to bottom: 255 = ink."""


class StrokesBody(BaseModel):
    """Complete strokes of a pen."""

    model_config = ConfigDict(json_schema_extra=describe)

    strokes: list[list[Annotated[list[float], Field(min_length=2, max_length=2)]]]
    """The points of each, [x, y]: x to the right, y downwards."""
    height: Annotated[float, Field(gt=0)] | None = None
    """Of the frame that is written in, from y = 0 on; absent: the ink's own bounds."""


class JsonBody(RootModel[ColumnsBody | StrokesBody]):
    """Columns, or strokes of a pen."""


def operation_id(route: APIRoute) -> str:
    """Return a call's name in clients: `classifyJson` of /v1/classify/json."""
    first, *others = route.path.removeprefix("/v1").strip("/").split("/")
    return first + "".join(map(str.capitalize, others))


ABOUT: Final[Extra] = {
    "generate_unique_id_function": operation_id,
    "title": "inkstream",
    "summary": "Streaming recognition of handwriting.",
    "description": DESCRIPTION,
    "version": installed_version(),
    "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}

_STATUSES: Final = (400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 500, 503)
_MESSAGES: Final = {  # an example of each code
    "bad_message": "the body is empty, expected an image, columns or strokes",
    "bad_json": "the body is not JSON: expected value at line 1 column 1",
    "unauthorized": "the key that came is not one of this server's",
    "forbidden_origin": "origin https://elsewhere.example is not allowed",
    "forbidden_host": "host elsewhere.example is not allowed; INKSTREAM_HOSTS lists those that are",
    "bad_forwarded": "X-Forwarded-For is unknown, expected an address",
    "unknown_model": "no model 'nosuch', served: digits",
    "idle": "512 bytes of the body came in 5.0 s, expected all of it in 24 s, and ...",
    "over_limit": "the body has 99999999 bytes, allowed: up to 16777216",
    "bad_image": "content type is text/plain, allowed: image/*, ...",
    "bad_columns": "column 3 has 27 pixels, expected 28",
    "bad_ink": "point 3 of stroke 0 is [1], expected [x, y], two finite numbers",
    "unreadable": "this body cannot be read; the server's log says why under this request id",
    "bad_value": "modle is no parameter of this route, allowed: model; did you mean model?",
    "too_many_sessions": "512 sessions of 192.0.2.7 are connected, all that are allowed",
    "internal": "the service failed; its log says more under this request id",
    "server_full": "1024 sessions are connected, all that are allowed",
    "stopping": "the server is about to stop",
}
_RETRY_AFTER: Final = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


def _errors(*statuses: int, messages: Mapping[str, str] = _MESSAGES) -> Responses:
    """Return the error responses of an operation, with an example for each code."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "headers": _HEADERS.get(status, {}),
            "content": {
                "application/json": {
                    "schema": {"$ref": REF.format(model=ErrorBody.__name__)},
                    "examples": {
                        code: {
                            "value": {
                                "error": {"code": code, "message": text, "request_id": REQUEST_ID}
                            }
                        }
                        for code, text in messages.items()
                        if MEANINGS[code].http == status
                    },
                }
            },
        }
        for status in statuses
    }


_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_TEXT: Final = {"schema": {"type": "string"}}
_TEXTS: Final = {"text/vnd.hocr+html": _TEXT, "application/xml": _TEXT}  # of a page, with `format`
_STROKE: Final = [0] * 8 + [254] * 12 + [0] * 8  # a column of 28 pixels through a vertical stroke

# Generators of clients take one kind of body for a call: JSON if there is any, or the first. So a
# call is described twice, with an image and with JSON. openapi-generator 7.26 needs the form first:
# else its client imports a model of the form that it does not make.
_IMAGE: Final = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": _BINARY["schema"]},
        }
    },
    "application/octet-stream": _BINARY,
    "image/*": _BINARY,
}
_JSON: Final = {
    "application/json": {
        "schema": {"$ref": REF.format(model=JsonBody.__name__)},
        "examples": {
            "columns": {"value": {"columns": [_STROKE] * 3}},
            "strokes": {"value": {"strokes": [[[12, 20], [14.5, 61], [16, 99.5]]]}},
        },
    }
}


def completed(description: dict[str, Any]) -> dict[str, Any]:
    """Return FastAPI's description with the schemas that it does not know."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (ErrorBody, "serialization"),
        (JsonBody, "validation"),
    ]
    schemas = models_json_schema(models, ref_template=REF)[1]["$defs"]
    description["components"]["schemas"] |= schemas
    return description


def _call(
    path: str, answer: Any, described: str, body: dict[str, Any] = _IMAGE, **media: Any
) -> Extra:
    """Return a call with a body; `media` are the types of answers beside the JSON of a model."""
    request = {"required": True, "description": described, "content": body}
    return {
        "path": path,
        "tags": ["images"],
        "response_model": answer,
        "openapi_extra": {"requestBody": request},
        "responses": _errors(*_STATUSES) | ({200: media} if media else {}),
    }


def _both(path: str, answer: Any, shows: str, **media: Any) -> tuple[Extra, Extra]:
    """Return a call as it is described with an image, and with JSON."""
    image, ink = f"An image of {shows}; JSON too: {path}/json.", "Columns, or strokes of a pen."
    return _call(path, answer, image, **media), _call(f"{path}/json", answer, ink, _JSON, **media)


CLASSIFY, CLASSIFY_JSON = _both("/v1/classify", Classification, "one character")
TRANSCRIBE, TRANSCRIBE_JSON = _both("/v1/transcribe", Transcription, "one line of writing")
PAGE: Final = _call("/v1/page", Page, "An image of a page of writing.", content=_TEXTS)
PAGE_COLUMNS: Final = _call("/v1/page/columns", PageColumns, "An image of a page of writing.")
RECOGNIZE: Final = _call(
    "/v1/recognize",
    Recognition,
    "What the other calls take; an image of a page with page=true.",
    _IMAGE | _JSON,
    content=_TEXTS,
)
COLUMNS, COLUMNS_JSON = _both(
    "/v1/columns",
    None,
    "one character or line of writing",
    content={"application/octet-stream": _BINARY},
    headers={
        "x-inkstream-model": {
            "schema": {"type": "string"},
            "description": "Name of the model that the columns are for.",
        }
    },
)
MODELS: Final[Extra] = {
    "tags": ["images"],
    "responses": _errors(400, 401, 403, 421, 500)
    | _errors(422, messages={"bad_value": "modle is no parameter of this route, allowed: none"}),
}
TOKENS: Final[Extra] = MODELS | {"tags": ["tokens"]}
HEALTH: Final[Extra] = {"tags": ["operators"], "responses": _errors(400, 421, 500)}
READINESS: Final[Extra] = {"tags": ["operators"], "responses": _errors(400, 421, 500, 503)}
METRICS: Final[Extra] = {
    "tags": ["operators"],
    "response_class": PlainTextResponse,
    "responses": {200: {"description": "Prometheus text.", "content": {"text/plain": _TEXT}}}
    | _errors(400, 401, 421, 500),
}
