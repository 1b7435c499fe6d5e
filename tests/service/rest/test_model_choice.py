"""The model that reads a request without `model`, and parameters that a route does not have."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from inkstream.model.preprocess.columns import LOOKS_LIKE_LINE, LOOKS_LIKE_PAGE
from tests.helpers.http import PNG, client_of, error
from tests.helpers.image_files import encoded
from tests.helpers.running_server import server

EXAMPLES = PNG.parent
LINE = (EXAMPLES / "hello.png").read_bytes()
PAGE = (EXAMPLES / "page.jpg").read_bytes()
DIGIT = PNG.read_bytes()
STROKES = {"strokes": [[[0, 0], [10, 30]], [[60, 5], [61, 25]]]}


def test_without_a_model_wide_images_and_ink_go_to_a_transcriber(client: httpx.Client) -> None:
    assert client.post("/v1/recognize", content=LINE).json().keys() >= {"text", "words"}
    assert client.post("/v1/recognize", json=STROKES).json().keys() >= {"text", "words"}
    assert client.post("/v1/recognize", content=DIGIT).json().keys() >= {"label"}


@pytest.mark.parametrize(
    ("query", "content", "key"),
    [
        *(("language=english", DIGIT, "text"), ("words=ab", DIGIT, "text")),
        *(("pattern=[abc]*", DIGIT, "text"), ("page=true", PAGE, "lines")),
        *(("curve=true", LINE, "curve"), ("model=tiny", LINE, "label")),
        ("model=tiny_lines", DIGIT, "text"),
    ],
)
def test_parameters_choose_the_model(
    client: httpx.Client, query: str, content: bytes, key: str
) -> None:
    answer = client.post(f"/v1/recognize?{query}", content=content).json()
    assert key in answer
    assert answer.get("hint") == (LOOKS_LIKE_LINE if content is LINE else None)


def test_the_hint_of_an_answer_names_what_the_input_looks_like(client: httpx.Client) -> None:
    assert client.post("/v1/recognize?model=tiny", json=STROKES).json()["hint"] == LOOKS_LIKE_LINE
    for query in ("model=tiny", "model=tiny_lines&page=false"):
        answer = client.post(f"/v1/recognize?{query}", content=PAGE).json()
        assert answer["hint"] == LOOKS_LIKE_PAGE
    for content in (DIGIT, LINE):
        assert "hint" not in client.post("/v1/recognize", content=content).json()


@pytest.mark.parametrize("side", [28, 250])
def test_a_blank_image_is_no_error(client: httpx.Client, side: int) -> None:
    blank = encoded(Image.new("L", (side, side), 240), "PNG")
    for path in ("/v1/classify?curve=true", "/v1/recognize?page=false", "/v1/transcribe"):
        answer = client.post(path, content=blank).json()
        assert (answer["columns"], answer["hint"]) == (0, "no writing found")
        assert answer.get("text", answer.get("label")) == ""
    assert client.post("/v1/columns", content=blank).content == b""


@pytest.mark.parametrize("query", ["", "?model=tiny_lines", "?words=ab"])
def test_what_shows_a_page_is_read_as_one(client: httpx.Client, query: str) -> None:
    answer = client.post(f"/v1/recognize{query}", content=PAGE).json()
    as_page = client.post(f"/v1/page{query}", content=PAGE).json()
    assert answer == as_page
    assert len(answer["lines"]) == 6
    turned = io.BytesIO()
    with Image.open(io.BytesIO(PAGE)) as page:
        page.rotate(180).save(turned, "PNG")
    answer = client.post("/v1/recognize", content=turned.getvalue()).json()
    assert len(answer["lines"]) == 6


def test_a_server_of_one_model_reads_everything_with_it(tmp_path: Path, line_weights: Path) -> None:
    with server(tmp_path) as running, client_of(running) as client:
        assert client.post("/v1/recognize", content=LINE).json().keys() >= {"label", "hint"}
        error(client.post("/v1/transcribe", content=LINE), 422, "bad_value")
        text = error(client.post("/v1/recognize?page=true", content=PAGE), 422, "bad_value")
        assert text == "`page=true` needs a model that reads lines; `tiny` reads one digit"
    with server(line_weights, models="tiny_lines") as running, client_of(running) as client:
        assert "text" in client.post("/v1/recognize", content=DIGIT).json()


def test_the_model_for_a_photo_is_chosen_by_its_upright_size(client: httpx.Client) -> None:
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    upright = np.full((300, 60), 255, np.uint8)
    upright[60:240, 20:30] = 0
    Image.fromarray(upright).save(data, "PNG", exif=exif)
    assert "text" in client.post("/v1/recognize", content=data.getvalue()).json()


# Unknown parameters


NO_PARAMETER = "is no parameter of this route, allowed:"


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        (
            "POST",
            "/v1/recognize?modle=tiny",
            f"modle {NO_PARAMETER} model, characters, language, words, context, pattern, format,"
            " curve, page; did you mean model?",
        ),
        (
            "POST",
            "/v1/classify?language=english",
            f"language {NO_PARAMETER} model, characters, curve",
        ),
        (
            "POST",
            "/v1/transcribe?page=true",
            f"page {NO_PARAMETER} model, characters, language, words, context, pattern",
        ),
        ("POST", "/v1/columns?curve=true", f"curve {NO_PARAMETER} model"),
        ("POST", f"/v1/columns?{'x' * 5000}=1", f"{'x' * 100} {NO_PARAMETER} model"),
        ("GET", "/v1/models?model=tiny", f"model {NO_PARAMETER} none"),
        ("GET", "/asyncapi.json?v=3", f"v {NO_PARAMETER} none"),
    ],
)
def test_a_parameter_that_a_route_does_not_have_is_refused(
    client: httpx.Client, method: str, path: str, text: str
) -> None:  # before the body, which is none, is read
    assert error(client.request(method, path, content=b""), 422, "bad_value") == text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_may_add_parameters_of_their_own(client: httpx.Client, path: str) -> None:
    assert client.get(f"{path}?probe=1").status_code == 200
