"""The OpenAPI description is complete and agrees with the code."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from inkstream.service.protocol.errors import MEANINGS
from inkstream.service.protocol.server_messages import ModelInfo
from tests.helpers.http import PNG, client_of
from tests.helpers.running_server import Running, server

# Codes that no request gets: they belong to streams, or stop a server before it listens.
NOT_OF_REQUESTS = {
    *("unknown_type", "not_found", "unknown_session", "not_resumable", "session_expired"),
    *("bad_config", "bad_data", "bad_checkpoint", "bad_input", "not_ready"),
}


@pytest.fixture
def description(client: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/openapi.json").json()
    return answer


def errors_of(operation: dict[str, Any]) -> dict[str, int]:
    """Return every documented error code of an operation with its status."""
    return {
        code: int(status)
        for status, answer in operation["responses"].items()
        if status != "200"
        for code in answer["content"]["application/json"]["examples"]
    }


def test_every_route_is_described(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    named = {
        f"{operation['operationId']} {method} {path}"
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    }
    assert named == {
        *("classify post /v1/classify", "classifyJson post /v1/classify/json"),
        *("transcribe post /v1/transcribe", "transcribeJson post /v1/transcribe/json"),
        *("page post /v1/page", "pageColumns post /v1/page/columns"),
        "pageImage post /v1/page/image",
        *("columns post /v1/columns", "columnsJson post /v1/columns/json"),
        *("recognize post /v1/recognize", "models get /v1/models", "tokens post /v1/tokens"),
        *("healthz get /healthz", "readyz get /readyz", "metrics get /metrics"),
    }


@pytest.mark.parametrize("path", ["/v1/recognize", "/v1/classify", "/v1/page", "/v1/columns"])
def test_every_error_that_a_request_can_get_is_documented(
    description: dict[str, Any], path: str
) -> None:
    documented = errors_of(description["paths"][path]["post"])
    assert documented.keys() == MEANINGS.keys() - NOT_OF_REQUESTS


def test_every_error_has_the_form_and_the_status_of_its_code(description: dict[str, Any]) -> None:
    for methods in description["paths"].values():
        for operation in methods.values():
            for code, status in errors_of(operation).items():
                assert MEANINGS[code].http == status
                content = operation["responses"][str(status)]["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
                assert content["examples"][code]["value"]["error"]["code"] == code
    assert "HTTPValidationError" not in description["components"]["schemas"]


def test_the_described_bodies_are_those_that_are_accepted(
    description: dict[str, Any], client: httpx.Client
) -> None:
    bodies = {
        call: description["paths"][f"/v1/{call}"]["post"]["requestBody"]["content"]
        for call in ("classify", "classify/json", "recognize")
    }
    image = {"image/*", "application/pdf", "application/octet-stream", "multipart/form-data"}
    assert bodies["classify"].keys() == image
    assert bodies["classify/json"].keys() == {"application/json"}
    assert bodies["recognize"].keys() == image | {"application/json"}
    content = bodies["recognize"]
    examples = content["application/json"]["examples"]
    assert examples.keys() == {"columns", "strokes"}
    for example in examples.values():
        for call in bodies:
            assert client.post(f"/v1/{call}", json=example["value"]).status_code == 200


def examples_of(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield the name, the schema and the value of each example of a body or an error."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            bodies = {"body": operation["requestBody"]} if "requestBody" in operation else {}
            for part, described in (bodies | operation["responses"]).items():
                for kind, media in described.get("content", {}).items():
                    for name, example in media.get("examples", {}).items():
                        where = f"{method} {path} {part} {kind} {name}"
                        yield where, media.get("schema", {}), example["value"]


def check(description: dict[str, Any], schema: dict[str, Any], value: Any, name: str) -> None:
    """Check that a value is as its schema says."""
    assert schema, f"{name} has no schema"
    whole = {**schema, "components": description["components"]}
    faults = [*Draft202012Validator(whole).iter_errors(value)]
    assert not faults, f"{name}: {faults[0].message}"


def test_all_examples_are_as_their_schemas_say(description: dict[str, Any]) -> None:
    examples = [*examples_of(description)]
    for name, schema, value in examples:
        check(description, schema, value, name)
    assert len(examples) > 50


@pytest.mark.parametrize(
    ("call", "query", "file", "model"),
    [
        ("classify", "", "7.png", "Classification"),
        ("classify", "curve=true", "hello.png", "Classification"),
        ("transcribe", "", "hello.png", "Transcription"),
        ("transcribe", "", "page.jpg", "Transcription"),
        ("page", "", "page.jpg", "PageReading"),
        ("page/columns", "", "page.jpg", "PageColumns"),
        ("recognize", "", "7.png", "Recognition"),
        ("recognize", "", "hello.png", "Recognition"),
        ("recognize", "page=true", "page.jpg", "Recognition"),
    ],
)
def test_each_call_has_one_named_answer(
    client: httpx.Client, description: dict[str, Any], call: str, query: str, file: str, model: str
) -> None:
    answer = description["paths"][f"/v1/{call}"]["post"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema == {"$ref": f"#/components/schemas/{model}"}
    content = (PNG.parent / file).read_bytes()
    response = client.post(f"/v1/{call}?{query}", content=content)
    assert response.status_code == 200
    check(description, schema, response.json(), file)


def test_the_stream_is_described_with_the_address_of_this_server(
    running: Running, client: httpx.Client
) -> None:
    (this,) = client.get("/asyncapi.json").json()["servers"].values()
    assert (this["host"], this["pathname"], this["protocol"]) == (
        f"127.0.0.1:{running.port}",
        "/",
        "ws",
    )


def test_models_are_listed_as_described(description: dict[str, Any], client: httpx.Client) -> None:
    listed = description["components"]["schemas"][ModelInfo.__name__]["properties"]
    for model in client.get("/v1/models").json()["models"]:
        assert model.keys() == listed.keys()


def test_it_is_made_once_and_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = FastAPI.openapi
    made: list[FastAPI] = []

    def count(app: FastAPI) -> dict[str, Any]:
        made.append(app)
        return make(app)

    monkeypatch.setattr(FastAPI, "openapi", count)
    with server(tmp_path) as running, client_of(running) as client, ThreadPoolExecutor(4) as pool:
        assert len(made) == 1
        answers = list(pool.map(client.get, ["/openapi.json"] * 4))
    assert len(made) == 1
    assert {answer.status_code for answer in answers} == {HTTPStatus.OK}
    assert len({answer.text for answer in answers}) == 1
