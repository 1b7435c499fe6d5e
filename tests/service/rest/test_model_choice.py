"""The model that reads a request without `model`, and parameters that a route does not have."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from inkstream.model.preprocess.columns import (
    LOOKS_LIKE_LINE,
    LOOKS_LIKE_PAGE,
    digit_columns,
    line_columns,
)
from tests.helpers.http import PNG, client_of, error
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


@pytest.mark.parametrize("query", ["page=true", "page=true&format=alto"])
def test_without_a_model_a_page_goes_to_a_transcriber(client: httpx.Client, query: str) -> None:
    assert client.post(f"/v1/recognize?{query}", content=PAGE).status_code == 200
    assert client.post("/v1/page/columns", content=PAGE).json()["column_height"] == 16


@pytest.mark.parametrize("query", ["language=english", "words=ab", "pattern=[abc]*"])
def test_hints_choose_a_transcriber(client: httpx.Client, query: str) -> None:
    assert "text" in client.post(f"/v1/recognize?{query}", content=DIGIT).json()


def test_a_curve_chooses_a_classifier(client: httpx.Client) -> None:
    answer = client.post("/v1/recognize?curve=true", content=LINE).json()
    assert len(answer["curve"]) == answer["columns"] == 28
    assert answer["hint"] == LOOKS_LIKE_LINE


def test_the_model_that_is_named_reads_everything(client: httpx.Client) -> None:
    answer = client.post("/v1/recognize?model=tiny", content=LINE).json()
    assert answer["hint"] == LOOKS_LIKE_LINE
    assert client.post("/v1/recognize?model=tiny", json=STROKES).json()["hint"] == LOOKS_LIKE_LINE
    assert "text" in client.post("/v1/recognize?model=tiny_lines", content=DIGIT).json()


def test_the_answer_for_a_page_that_was_not_read_as_a_page_has_a_hint(client: httpx.Client) -> None:
    for query in ("", "?model=tiny", "?model=tiny_lines"):
        assert client.post(f"/v1/recognize{query}", content=PAGE).json()["hint"] == LOOKS_LIKE_PAGE


def test_the_answer_for_an_image_of_the_right_kind_has_no_hint(client: httpx.Client) -> None:
    assert "hint" not in client.post("/v1/recognize", content=DIGIT).json()
    assert "hint" not in client.post("/v1/recognize", content=LINE).json()


def test_columns_name_the_model_that_they_are_for(client: httpx.Client) -> None:
    line = client.post("/v1/columns", content=LINE)
    assert line.headers["x-inkstream-model"] == "tiny_lines"
    assert line.content == line_columns(LINE, 16).tobytes()
    digit = client.post("/v1/columns", content=DIGIT)
    assert digit.headers["x-inkstream-model"] == "tiny"
    assert digit.content == digit_columns(DIGIT, 28).tobytes()


def test_a_server_of_one_model_reads_everything_with_it(tmp_path: Path, line_weights: Path) -> None:
    with server(tmp_path) as running, client_of(running) as client:
        assert client.post("/v1/recognize", content=LINE).json().keys() >= {"label", "hint"}
        error(client.post("/v1/transcribe", content=LINE), 422, "bad_value")
        text = error(client.post("/v1/recognize?page=true", content=PAGE), 422, "bad_value")
        assert text == 'page=true needs a transcriber, and model "tiny" is a classifier'
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


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        (
            "POST",
            "/v1/recognize?modle=tiny",
            "modle is no parameter of this route, allowed: model, characters, language, words,"
            " context, pattern, format, curve, page; did you mean model?",
        ),
        (
            "POST",
            "/v1/classify?language=english",
            "language is no parameter of this route, allowed: model, characters, curve",
        ),
        (
            "POST",
            "/v1/transcribe?page=true",
            "page is no parameter of this route, allowed: model, characters, language, words,"
            " context, pattern",
        ),
        (
            "POST",
            "/v1/columns?curve=true",
            "curve is no parameter of this route, allowed: model",
        ),
        ("GET", "/v1/models?model=tiny", "model is no parameter of this route, allowed: none"),
        ("GET", "/asyncapi.json?v=3", "v is no parameter of this route, allowed: none"),
    ],
)
def test_a_parameter_that_a_route_does_not_have_is_refused(
    client: httpx.Client, method: str, path: str, text: str
) -> None:
    assert error(client.request(method, path, content=DIGIT), 422, "bad_value") == text


def test_a_long_unknown_parameter_is_cut(client: httpx.Client) -> None:
    text = error(client.post(f"/v1/columns?{'x' * 5000}=1", content=DIGIT), 422, "bad_value")
    assert len(text) < 300


def test_an_unknown_parameter_is_refused_before_the_body_is_read(client: httpx.Client) -> None:
    assert "modle" in error(client.post("/v1/recognize?modle=x", content=b""), 422, "bad_value")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_may_add_parameters_of_their_own(client: httpx.Client, path: str) -> None:
    assert client.get(f"{path}?probe=1").status_code == 200
