"""The parts of the OpenAPI description that FastAPI does not read from the code: bodies, errors.

Each error of an operation has an example here; a test compares the codes with those that really
come.
"""

from typing import Any, Final

from starlette.responses import PlainTextResponse

from inkstream.service import installed_version
from inkstream.service.http_errors import ErrorBody
from inkstream.service.pages import PageColumns
from inkstream.service.protocol.errors import MEANINGS

Responses = dict[int | str, dict[str, Any]]
Extra = dict[str, Any]  # keyword arguments of a FastAPI route

REQUEST_ID: Final = "5d3c9fb20a7e41d8"

DESCRIPTION: Final = """\
Reads handwriting while it is being written: one image column in, one answer out.

These calls read whole images, columns and strokes, and serve operators. The WebSocket `/v1/stream`
reads columns and strokes while they are being written; [asyncapi.json](asyncapi.json) describes it.
"""


ABOUT: Final[Extra] = {
    "title": "inkstream",
    "summary": "Streaming recognition of handwriting.",
    "description": DESCRIPTION,
    "version": installed_version(),
    "license_info": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}

_STATUSES: Final = {  # what each means here
    400: "The request is malformed.",
    401: "No key, or a wrong one.",
    403: "A web page of an origin that is not allowed.",
    404: "No such model.",
    408: "The body came too slowly.",
    413: "The body or the image is too large, or takes too long to read.",
    415: "Not an image that is read here.",
    421: "A name of the server that is not allowed.",
    422: "Columns or values of a wrong shape or range, or a body whose reading fails.",
    429: "This client has as many sessions as it is allowed; see Retry-After.",
    500: "The service failed; its log says more under the request id.",
    503: "The server is full or about to stop; see Retry-After.",
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
    "bad_value": "modle is no parameter of this route, allowed: model, page; did you mean model?",
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


def _errors(*statuses: int) -> Responses:
    """Return the error responses of an operation, with an example for each code."""
    found: Responses = {}
    for status in statuses:
        own = {code: text for code, text in _MESSAGES.items() if MEANINGS[code].http == status}
        found[status] = _error(status, _STATUSES[status], own)
    return found


def _error(status: int, description: str, messages: dict[str, str]) -> dict[str, Any]:
    examples = {
        code: {"value": {"error": {"code": code, "message": text, "request_id": REQUEST_ID}}}
        for code, text in messages.items()
    }
    content = {"application/json": {"examples": examples}}
    error = {"model": ErrorBody, "description": description, "content": content}
    return error | {"headers": _HEADERS[status]} if status in _HEADERS else error


def _named(answer: dict[str, Any]) -> dict[str, Any]:
    """Name the schema of an error of a route whose answers are no JSON.

    FastAPI would give it the content type of the answers.
    """
    schema = {"$ref": f"#/components/schemas/{ErrorBody.__name__}"}
    (media,) = answer["content"].values()
    named = answer | {"content": {"application/json": media | {"schema": schema}}}
    del named["model"]
    return named


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a model's schema with the schemas of its parts in their places."""
    parts = schema.pop("$defs", {})

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return whole(parts[node["$ref"].rpartition("/")[2]])
        return {name: whole(each) for name, each in node.items()}

    inlined: dict[str, Any] = whole(schema)
    return inlined


_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_COLUMNS: Final = {
    "type": "array",
    "minItems": 1,
    "description": "Columns, oldest first, each of the model's column_height pixels.",
    "items": {
        "type": "array",
        "description": "Pixels from top to bottom: 0 = paper, 255 = ink.",
        "items": {"type": "integer", "minimum": 0, "maximum": 255},
    },
}
_STROKES: Final = {
    "type": "array",
    "description": "Complete strokes of a pen, each an array of points.",
    "items": {
        "type": "array",
        "items": {
            "type": "array",
            "description": "x to the right, y downwards.",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "number"},
        },
    },
}
_HEIGHT: Final = {
    "type": ["number", "null"],
    "exclusiveMinimum": 0,
    "description": "Of the frame that is written in, from y = 0 on; absent: the ink's own bounds.",
}
_JSON_BODY: Final = {
    "type": "object",
    "properties": {"columns": _COLUMNS, "strokes": _STROKES, "height": _HEIGHT},
    "oneOf": [{"required": ["columns"]}, {"required": ["strokes"]}],
}
_STROKE: Final = [0] * 8 + [254] * 12 + [0] * 8  # a column of 28 pixels through a vertical stroke

_BODY: Final = {
    "required": True,
    "description": (
        "An image of any size, dark on light or light on dark, of one character for a classifier"
        " and of one line of writing, or with page=true of a page, for a transcriber; or columns;"
        " or strokes of a pen."
    ),
    "content": {
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": _BINARY["schema"]},
            }
        },
        "application/json": {
            "schema": _JSON_BODY,
            "examples": {
                "columns": {"value": {"columns": [_STROKE] * 3}},
                "strokes": {"value": {"strokes": [[[12, 20], [14.5, 61], [16, 99.5]]]}},
            },
        },
    },
}

_SPAN: Final = {"id": 0, "start": 2, "end": 9, "column": 11, "confidence": 0.957, "strokes": None}
_LETTER: Final = {
    "type": "letter",
    "char": "I",
    "alternatives": [{"char": "l", "p": 0.031}],
} | _SPAN
_WORD: Final = {"type": "word", "text": "I", "alternatives": [{"text": "l", "p": 0.031}]} | _SPAN

_BOX: Final = [[101.0, 40.5], [108.2, 41.0], [106.9, 60.3], [99.7, 59.8]]
_LINE: Final = {
    "text": "I",
    "confidence": 0.957,
    "box": _BOX,
    "block": 0,
    "letters": [_LETTER | {"box": _BOX}],
    "words": [_WORD | {"box": _BOX}],
    "columns": 12,
}
_PAGE: Final = {"width": 1240, "height": 1754}
_LINE_COLUMNS: Final = {"box": _BOX, "block": 0, "columns": "AAAAAP7+/v4="}  # one of 8 pixels
_TEXT: Final = {"schema": {"type": "string"}}

_ANSWERS: Final[dict[str, Any]] = {
    "classifier": {"label": "1", "probabilities": {"1": 0.9981, "7": 0.0019}, "columns": 28},
    "transcriber": {"text": "I", "letters": [_LETTER], "words": [_WORD], "columns": 12},
    "page": {"text": "I", **_PAGE, "lines": [_LINE]},
}
_EXAMPLES: Final = {name: {"value": answer} for name, answer in _ANSWERS.items()}
_READ: Final[Responses] = {
    200: {
        "description": "What was read; a page in the format that was asked for.",
        "content": {
            "application/json": {"examples": _EXAMPLES},
            "text/vnd.hocr+html": _TEXT,
            "application/xml": _TEXT,
        },
    }
}


def with_nulls(description: dict[str, Any]) -> dict[str, Any]:
    """Return FastAPI's description with the nulls in examples, which FastAPI leaves out."""
    read = description["paths"]["/v1/recognize"]["post"]["responses"]["200"]
    read["content"]["application/json"]["examples"] = _EXAMPLES
    return description


RECOGNIZE: Final[Extra] = {
    "tags": ["images"],
    "openapi_extra": {"requestBody": _BODY},
    "responses": _READ | _errors(*_STATUSES),
}
COLUMNS: Final[Extra] = {
    "tags": ["images"],
    "openapi_extra": {"requestBody": _BODY},
    "responses": {
        200: {
            "description": (
                "The columns, oldest first, each of the model's column_height bytes, top to"
                " bottom: 0 = paper, 255 = ink. Of a page its lines, each with columns in base64."
            ),
            "headers": {
                "x-inkstream-model": {
                    "schema": {"type": "string"},
                    "description": "Name of the model that the columns are for.",
                }
            },
            "content": {
                "application/octet-stream": _BINARY,
                "application/json": {
                    "schema": _inlined(PageColumns.model_json_schema(mode="serialization")),
                    "example": {**_PAGE, "column_height": 8, "lines": [_LINE_COLUMNS]},
                },
            },
        }
    }
    | {status: _named(answer) for status, answer in _errors(*_STATUSES).items()},
}
MODELS: Final[Extra] = {
    "tags": ["images"],
    "responses": _errors(400, 401, 403, 421, 500)
    | {
        422: _error(
            422,
            "A query parameter, of which there are none.",
            {"bad_value": "modle is no parameter of this route, allowed: none"},
        )
    },
}
TOKENS: Final[Extra] = {
    "tags": ["tokens"],
    "responses": MODELS["responses"]
    | {
        200: {
            "description": "The token.",
            "content": {
                "application/json": {
                    "example": {"token": "token.AV8yZcQAAAAAaStrokes", "expires_s": 300.0}
                }
            },
        }
    },
}
HEALTH: Final[Extra] = {"tags": ["operators"], "responses": _errors(400, 421, 500)}
READINESS: Final[Extra] = {"tags": ["operators"], "responses": _errors(400, 421, 500, 503)}
METRICS: Final[Extra] = {
    "tags": ["operators"],
    "response_class": PlainTextResponse,
    "responses": {
        200: {
            "description": "Prometheus text.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    }
    | {status: _named(answer) for status, answer in _errors(400, 401, 421, 500).items()},
}
