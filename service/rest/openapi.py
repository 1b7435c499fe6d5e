"""The parts of the OpenAPI description that FastAPI does not read from the code: bodies, errors.

Each error of an operation has an example here; a test compares the codes with those that really
come.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, RootModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from inkstream.model import installed_version
from inkstream.service.protocol.errors import MEANINGS
from inkstream.service.rest.errors import Described, ErrorBody

Responses = dict[int | str, dict[str, Any]]
Extra = dict[str, Any]  # keyword arguments of a FastAPI route

REF: Final = "#/components/schemas/{model}"


class ColumnsBody(Described):
    """Columns of one character or line of writing."""

    columns: Annotated[list[list[Annotated[int, Field(ge=0, le=255)]]], Field(min_length=1)]
    """Oldest first, each of the model's column_height pixels, top to bottom: 255 = ink."""


class StrokesBody(Described):
    """Complete strokes of a pen."""

    strokes: list[list[Annotated[list[float], Field(min_length=2)]]]
    """Lists of points [x, y], x to the right, y downwards; further values are ignored."""
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
    "description": """\
Reads handwriting while it is being written: one image column in, one answer out.

These calls read whole images, columns and strokes, and serve operators. The WebSocket `/v1/stream`
reads columns and strokes while they are being written; [asyncapi.json](asyncapi.json) describes it.
""",
    "version": installed_version(),
    "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    **dict.fromkeys(("openapi_url", "docs_url", "redoc_url")),  # `routes` and `web` have their own
}

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


def errors(*statuses: int, messages: Mapping[str, str] = _MESSAGES) -> Responses:
    """Return the error responses of an operation, with an example for each code."""
    schema = {"$ref": REF.format(model=ErrorBody.__name__)}
    retry = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    headers: dict[int, dict[str, Any]] = {
        401: {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}},
        429: retry,
        503: retry,
    }
    examples: dict[int, dict[str, Any]] = {status: {} for status in statuses}
    for code, text in messages.items():
        error = {"code": code, "message": text, "request_id": "5d3c9fb20a7e41d8"}
        examples.get(MEANINGS[code].http, {})[code] = {"value": {"error": error}}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "headers": headers.get(status, {}),
            "content": {"application/json": {"schema": schema, "examples": examples[status]}},
        }
        for status in statuses
    }


BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
TEXT: Final = {"schema": {"type": "string"}}
PAGE_TEXTS: Final = {"text/vnd.hocr+html": TEXT, "application/xml": TEXT}  # with `format`

# Generators of clients take one kind of body for a call: JSON if there is any, or the first. So a
# call is described twice, with an image and with JSON. openapi-generator 7.26 needs the form first:
# else its client imports a model of the form that it does not make.
_IMAGE: Final = {
    "multipart/form-data": {
        "schema": {"type": "object", "required": ["file"], "properties": {"file": BINARY["schema"]}}
    },
    "application/octet-stream": BINARY,
    "application/pdf": BINARY,
    "image/*": BINARY,
}
_JSON: Final = {
    "application/json": {
        "schema": {"$ref": REF.format(model=JsonBody.__name__)},
        "examples": {
            # Columns of 28 pixels through a vertical stroke.
            "columns": {"value": {"columns": [[0] * 8 + [254] * 12 + [0] * 8] * 3}},
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


def image_call(path: str, answer: Any, shows: str, **media: Any) -> Extra:
    """Return a call with an image of something; `media` as for `call`."""
    described = f"An image of {shows}; JSON too: {path}/json."
    return call(path, answer, described, _IMAGE, **media)


def ink_call(path: str, answer: Any, **media: Any) -> Extra:
    """Return the same call with JSON."""
    return call(f"{path}/json", answer, "Columns, or strokes of a pen.", _JSON, **media)


def call(
    path: str, answer: Any, described: str, body: dict[str, Any] | None = None, **media: Any
) -> Extra:
    """Return a call with a body, an image or JSON if it is None.

    `media` are the types of answers beside the JSON of a model, `answer`.
    """
    request = {"required": True, "description": described, "content": body or _IMAGE | _JSON}
    return {
        "path": path,
        "tags": ["images"],
        "response_model": answer,
        "openapi_extra": {"requestBody": request},
        "responses": errors(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 500, 503)
        | ({200: media} if media else {}),
    }


def page_call(path: str, answer: Any, **media: Any) -> Extra:
    """Return a call with an image of a page; `media` as for `call`."""
    return call(path, answer, "An image of a page of writing, or a PDF.", _IMAGE, **media)


def plain_call(tag: str) -> Extra:
    """Return a call without a body or parameters."""
    text = "modle is no parameter of this route, allowed: none"
    faults = errors(400, 401, 403, 421, 500) | errors(422, messages={"bad_value": text})
    return {"tags": [tag], "responses": faults}
