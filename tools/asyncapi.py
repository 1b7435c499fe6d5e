"""Describe the WebSocket by AsyncAPI 3, from the message models.

`python -m tools.asyncapi > service/rest/asyncapi.json` writes what the server serves; a test keeps
the two equal. The specification: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from inkstream.model.messages import Character, Spelling
from inkstream.service.protocol import client_messages as requests
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.client_messages import ClientMessage, Configure
from inkstream.service.protocol.server_messages import (
    PROTOCOL,
    Limits,
    Result,
    ServerMessage,
    encode,
)

Document = dict[str, Any]

DESCRIPTION: Final = """\
Reads handwriting while it is being written: one image column in, one answer out.

Text frames are JSON objects with a `type`; binary frames are columns. The order of
answers, closing codes, limits and credentials are described in docs/protocol.md.
"""

BLOB: Final = "AbzvbGZFCnkAAAAAaq0..."  # the beginning of one
DIGEST: Final = "5d0c5f0a6b4d2a61"  # the beginning of one
PROBABILITIES: Final = [*zip("0123456789", [0.002] * 7 + [0.982, 0.002, 0.002], strict=True)]

FROM_CLIENT: Final[dict[str, ClientMessage]] = {
    "columns": requests.Columns(type="columns", columns=[[0] * 8 + [255] * 12 + [0] * 8]),
    "ink": requests.Ink(
        type="ink",
        strokes=[requests.Stroke(id=0, points=[(12.0, 20.0), (14.5, 61.0), (16.0, 99.5)])],
        height=120.0,
    ),
    "configure": Configure(type="configure", id="c1", results="message", top_k=3),
    "rewind": requests.Rewind(type="rewind", id="r1", column=12),
    "flush": requests.Flush(type="flush", id=7),
    "reset": requests.Reset(type="reset", id=8),
    "ping": requests.Ping(type="ping", id="p1"),
    "end": requests.End(type="end", id=9),
    "resume": requests.Resume(type="resume", id="go on", heard=41, digest=DIGEST, snapshot=BLOB),
}
FROM_SERVER: Final[dict[str, ServerMessage]] = {
    "ready": messages.Ready(
        session="mX3vQ0bT9kLs",
        model=messages.ServedModel(name="digits", version="1", kind="classifier", digest=DIGEST),
        labels=tuple("0123456789"),
        column_height=28,
        limits=Limits(),
    ),
    "result": Result(seq=28, column=27, probabilities=PROBABILITIES),
    "letter": messages.Letter(
        seq=79,
        id=4,
        char="o",
        mark=False,
        start=61,
        end=74,
        column=77,
        confidence=0.962,
        alternatives=(Character(char="a", p=0.021), Character(char="0", p=0.009)),
    ),
    "word": messages.Word(
        seq=94,
        id=0,
        text="Hello,",
        start=2,
        end=80,
        column=91,
        confidence=0.811,
        alternatives=(Spelling(text="Hella,", p=0.018),),
    ),
    "configured": messages.Configured(seq=1, id="c1", results="message", top_k=3),
    "rewound": messages.Rewound(seq=29, id="r1", column=12, label="7"),
    "revised": messages.Revised(seq=30, column=20, label="7"),
    "flushed": messages.Flushed(seq=46, id=7, columns=28, label="7"),
    "line_end": messages.LineEnd(seq=57, columns=56, label="7", messages=3, rest_columns=12),
    "reset_done": messages.ResetDone(seq=47, id=8),
    "pong": messages.Pong(id="p1"),
    "goaway": messages.Goaway(reason="the server is about to stop", time_left_ms=5000),
    "snapshot": messages.Snapshot(messages=32, blob=BLOB),
    "resumed": messages.Resumed(id="go on", messages=32),
    "error": messages.Error(
        seq=6,
        code="bad_columns",
        message="column 3 has 27 pixels, expected 28",
        fatal=False,
        index=5,
    ),
    "done": messages.Done(seq=58, id=9, columns=56, label="7"),
}
# A classifier answers with a label, a transcriber with a text; the other examples are of digits.
OF_A_TRANSCRIBER: Final[dict[str, ServerMessage]] = {
    "result": Result(
        seq=80,
        column=77,
        probabilities=[("o", 0.962), ("a", 0.021)],
        letter_end=0.874,
        stable=4,
        text="o",
    ),
    "letter": messages.Letter(
        seq=88,
        id=5,
        char=",",
        mark=True,
        start=76,
        end=80,
        column=85,
        confidence=0.904,
        alternatives=(),
    ),
    "rewound": messages.Rewound(seq=81, id="r1", column=70, text="Hell", letters=4, words=0),
    "revised": messages.Revised(
        seq=81,
        column=70,
        text="Hell",
        letters=4,
        words=0,
        frame=messages.Frame(top=12.5, height=40.0),
    ),
    "flushed": messages.Flushed(seq=95, id=7, columns=83, text="Hello,"),
    "line_end": messages.LineEnd(seq=196, columns=180, text="Hello,", messages=12, rest_columns=0),
    "done": messages.Done(seq=212, id=9, columns=196, letters=6, words=1, text="Hello,"),
}

BINARY: Final[Document] = {
    "name": "binary",
    "title": "Binary columns",
    "summary": "Columns, oldest first: `column_height` bytes each, from top to bottom, 255 = ink.",
    "contentType": "application/octet-stream",
    "payload": {"type": "string", "format": "binary"},
}


SECURITY: Final[Document] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key or a token of `POST /v1/tokens`, where keys are set.",
    },
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "The same for browsers, as `inkstream.v1, key.KEY`.",
    },
}


def document() -> Document:
    """Return the description as plain values for JSON."""
    schemas: Document = {}
    messages = {"binary": BINARY}
    messages |= _messages(FROM_CLIENT, "validation", schemas)
    messages |= _messages(FROM_SERVER, "serialization", schemas)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "inkstream",
            "version": PROTOCOL.rpartition(".v")[2],
            "description": DESCRIPTION,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "127.0.0.1:8000",
                "protocol": "ws",
                "description": "Where `inkstream serve` listens by default.",
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in SECURITY],
            }
        },
        "channels": {"stream": _channel(messages)},
        "operations": {
            "listen": _operation(
                "receive", "The messages of the client.", ["binary", *FROM_CLIENT]
            ),
            "answer": _operation("send", "The messages of the server.", FROM_SERVER),
        },
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": SECURITY,
        },
    }


def _messages(
    examples: Mapping[str, ClientMessage | ServerMessage], mode: JsonSchemaMode, schemas: Document
) -> Document:
    """Return AsyncAPI's messages for these examples; add the schemas of payloads to `schemas`."""
    adapters = {name: TypeAdapter(type(example)) for name, example in examples.items()}
    payloads, shared = TypeAdapter.json_schemas(
        [(name, mode, adapter) for name, adapter in adapters.items()],
        ref_template="#/components/schemas/{model}",
    )
    schemas |= shared.get("$defs", {})
    return {
        name: {
            "name": name,
            "title": type(example).__name__,
            "summary": type(example).__doc__,
            "payload": payloads[name, mode],
            "examples": [
                {"payload": _payload(message)}
                for message in (example, OF_A_TRANSCRIBER.get(name))
                if message is not None
            ],
        }
        for name, example in examples.items()
    }


def _payload(example: ClientMessage | ServerMessage) -> Document:
    """Return a message as it is sent: a client may leave fields out, the server sends all."""
    if isinstance(example, ClientMessage):
        return example.model_dump(mode="json", exclude_unset=True)
    payload: Document = json.loads(encode(example))
    if isinstance(example, Result):  # the server makes the JSON of a result in another way
        payload = {name: value for name, value in payload.items() if value is not None}
    return payload


def _channel(messages: Document) -> Document:
    return {
        "address": "/v1/stream",
        "title": "A stream of one writer",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {
                    "type": "object",
                    "properties": {
                        "model": {
                            "type": "string",
                            "description": "Name of a served model; absent: the first.",
                            "examples": ["digits"],
                        },
                        "language": Configure.model_json_schema()["properties"]["language"],
                        "traceparent": {
                            "type": "string",
                            "description": "W3C Trace Context, for the server's log.",
                        },
                    },
                },
                "headers": {
                    "type": "object",
                    "properties": {
                        "Sec-WebSocket-Protocol": {
                            "type": "string",
                            "description": "Optional; browsers add their key as `key.KEY`.",
                            "examples": [PROTOCOL, f"{PROTOCOL}, key.KEY"],
                        },
                        "traceparent": {
                            "type": "string",
                            "description": "The same as in the query; it goes first.",
                        },
                    },
                },
            }
        },
    }


def _operation(action: str, summary: str, names: Iterable[str]) -> Document:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": "#/channels/stream"},
        "messages": [{"$ref": f"#/channels/stream/messages/{name}"} for name in names],
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
