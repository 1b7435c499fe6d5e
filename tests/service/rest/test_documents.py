"""Documents over REST: each page has its answer or its error, within limits."""

import io
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from inkstream.model.pages.transcription import Page
from inkstream.service.rest.answers import Document, PageError
from tests.helpers.documents import ENCRYPTED, blank_pdf, saved
from tests.helpers.http import client_of, error, wait_for_no_sessions
from tests.helpers.running_server import Running, server
from tests.helpers.target import Target
from tools.pages import encoded, page

pytestmark = pytest.mark.slow

PAGE = "/v1/page?model=tiny_lines"
SHEETS = [Image.fromarray(page(n_lines=n).image).convert("L") for n in (2, 3, 4)]
AS_PDF = {"content-type": "application/pdf"}


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_each_page_of_a_document_is_answered_as_its_image_is(
    client: httpx.Client, kind: str
) -> None:
    images = [sheet.convert("RGB") for sheet in SHEETS]
    if kind == "WEBP":  # whose images are of one size
        images = [image.resize(images[2].size) for image in images]
    options = {"lossless": True} if kind == "WEBP" else {}
    answer = client.post(PAGE, content=saved(images, kind, **options))
    assert answer.headers["content-type"] == "application/json"
    expected = [client.post(PAGE, content=encoded(np.asarray(image), "PNG")) for image in images]
    assert answer.json() == {"type": "document", "pages": [one.json() for one in expected]}


def test_the_pages_of_a_pdf_are_read(client: httpx.Client) -> None:
    content = saved(SHEETS, "PDF", quality=95)
    for request in (
        {"content": content, "headers": AS_PDF},
        {"files": {"file": ("scan.pdf", content, "application/pdf")}},
    ):
        document = Document.model_validate(client.post(PAGE, **request).json())
        lines = [len(page.lines) for page in document.pages if isinstance(page, Page)]
        assert lines == [2, 3, 4]


def test_a_page_that_cannot_be_read_spares_the_others(client: httpx.Client) -> None:
    huge = blank_pdf((200, 300), (10_000, 10_000), (200, 300))
    first, second, third = Document.model_validate(client.post(PAGE, content=huge).json()).pages
    assert isinstance(first, Page)
    assert isinstance(third, Page)
    assert isinstance(second, PageError)
    assert second.code == "over_limit"
    assert "10000 x 10000 points, allowed" in second.message


@pytest.mark.parametrize(
    ("content", "status", "code", "message"),
    [
        (ENCRYPTED, 415, "bad_image", "the PDF is encrypted"),
        (b"%PDF-1.7\n" + bytes(9000), 415, "bad_image", "the PDF is damaged"),
        (blank_pdf(), 415, "bad_image", "the PDF is damaged, or has no pages"),
        (blank_pdf(*[(9, 9)] * 5000), 413, "over_limit", "has 5000 pages, allowed: up to 500"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused(
    client: httpx.Client, content: bytes, status: int, code: str, message: str
) -> None:
    assert message in error(client.post(PAGE, content=content, headers=AS_PDF), status, code)
    assert client.get("/readyz").status_code == 200


def test_options_that_are_wrong_refuse_the_document(client: httpx.Client) -> None:
    error(client.post(f"{PAGE}&pattern=(", content=saved(SHEETS, "PDF")), 422, "bad_value")


@pytest.mark.parametrize("path", [f"{PAGE}&format=alto", "/v1/page/columns?model=tiny_lines"])
def test_calls_for_one_page_take_documents_of_one_page(client: httpx.Client, path: str) -> None:
    assert client.post(path, content=saved(SHEETS[:1], "PDF")).status_code == 200
    text = error(client.post(path, content=saved(SHEETS, "PDF")), 413, "over_limit")
    assert "has 3 pages, allowed: up to 1; with format=json /v1/page reads all" in text


@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_a_page_of_a_document_is_drawn(client: httpx.Client, kind: str) -> None:
    content = saved(SHEETS, kind)
    for number, sheet in enumerate(SHEETS, start=1):
        answer = client.post(f"/v1/page/image?page={number}", content=content)
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-inkstream-pages"] == "3"
        image = Image.open(io.BytesIO(answer.content))
        drawn = np.asarray(image.resize(sheet.size)).astype(int)
        assert abs(drawn - np.asarray(sheet).astype(int)).mean() < 8
    text = error(client.post("/v1/page/image?page=4", content=content), 422, "bad_value")
    assert text == "page is 4, allowed: 1 to 3"
    error(client.post("/v1/page/image?page=0", content=content), 422, "bad_value")
    for broken in (ENCRYPTED, b"none"):
        error(client.post("/v1/page/image", content=broken), 415, "bad_image")


@pytest.mark.parametrize("call", ["classify", "transcribe"])
def test_a_call_for_one_line_reads_the_first_page_and_says_so(
    client: httpx.Client, call: str
) -> None:
    line = Image.open(Path(__file__).parents[3] / "examples" / "hello.png").convert("RGB")
    one, several = (client.post(f"/v1/{call}", content=saved([line] * n, "TIFF")) for n in (1, 3))
    hint = several.json()["hint"]
    assert hint == "this is the first of 3 pages: /v1/page reads all"
    assert several.json() | {"hint": one.json().get("hint")} == {"hint": None} | one.json()


def test_a_document_that_takes_too_long_has_errors_in_place_of_its_last_pages(
    line_weights: Path,
) -> None:
    options = {"models": "tiny_lines", "max_document_s": 1e-3}
    with server(line_weights, **options) as running, client_of(running) as client:
        answer = client.post(PAGE, content=saved(SHEETS, "PDF"))
        _, *others = Document.model_validate(answer.json()).pages
        assert [type(page) for page in others] == [PageError] * 2
        assert "takes more than 0.001 s" in answer.text
        wait_for_no_sessions(client)


def test_a_client_that_leaves_ends_the_reading_of_its_document(
    client: httpx.Client, running: Running
) -> None:
    content = saved(SHEETS * 30, "PDF")
    with client.stream("POST", PAGE, content=content) as answer:
        assert next(answer.iter_raw()).startswith(b'{"type":"document"')
    started_s = time.monotonic()
    running.wait_until_empty()
    assert time.monotonic() - started_s < 5


def test_an_untyped_upload_of_curl_is_told_how_to_name_the_type(client: httpx.Client) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    text = error(client.post(PAGE, content=b"image", headers=headers), 415, "bad_image")
    assert 'add -H "Content-Type: image/png", or send -F file=@FILE' in text


def test_memory_does_not_grow_with_the_pages(line_weights: Path) -> None:
    growth_bytes = {}
    flags = "--models", "tiny_lines", "--weights", str(line_weights)
    with Target(*flags) as target, httpx.Client(base_url=target.http, timeout=120) as client:
        for n_pages in (1, 2, 16):
            content = saved(SHEETS[2:] * n_pages, "PDF")
            before = target.memory.reset_peak()
            assert len(client.post(PAGE, content=content).json()["pages"]) == n_pages
            growth_bytes[n_pages] = target.memory.peak_bytes - before
    assert growth_bytes[16] < growth_bytes[2] + 50_000_000
