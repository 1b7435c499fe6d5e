"""The writing pad as the server sends it: a page that loads nothing from other servers."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from inkstream.service.web import WEB
from tests.helpers.running_server import Running, server

pytestmark = pytest.mark.slow

MAX_BYTES = 110_000  # of all that the page loads, as sent
CONTENT_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
PAGE = WEB / "pad" / "index.html"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights")) as started:
        yield started


@pytest.fixture(scope="module")
def url(running: Running) -> str:
    return f"http://127.0.0.1:{running.port}"


def loaded_files() -> list[Path]:
    """Return the files that the page loads, with all modules that these import."""
    found, waiting = dict[Path, None](), [PAGE]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = None
            text = file.read_text()
            waiting += [WEB / name for name in re.findall(r'"web/([\w./-]+)"', text)]
            imported = re.findall(r'^import .* from "(\.{1,2}/.+)";', text, re.MULTILINE)
            waiting += [(file.parent / name).resolve() for name in imported]
    return list(found)


ASSETS = [file for file in loaded_files() if file != PAGE]


def test_the_page_is_served_with_a_policy_that_allows_its_own_server_only(url: str) -> None:
    page = httpx.get(url)
    assert page.status_code == 200
    assert page.text == PAGE.read_text()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert httpx.head(url).headers["content-security-policy"]


@pytest.mark.parametrize("file", ASSETS, ids=lambda file: str(file.relative_to(WEB)))
def test_each_asset_is_served_with_its_content_type(url: str, file: Path) -> None:
    answer = httpx.get(f"{url}/web/{file.relative_to(WEB)}")
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"].split(";")[0] == CONTENT_TYPES[file.suffix]
    assert answer.headers["cache-control"] == "no-cache"  # else files of two versions are mixed


def test_the_page_is_small_and_compressed(url: str) -> None:
    assert {"app.js", "inkstream.js", "style.css"} <= {file.name for file in ASSETS}
    size = sum(file.stat().st_size for file in loaded_files())
    sent = 0
    for path in ("", *(f"web/{file.relative_to(WEB)}" for file in ASSETS)):
        with httpx.stream("GET", f"{url}/{path}") as answer:
            sent += sum(map(len, answer.iter_raw()))
    assert sent < min(MAX_BYTES, size / 2)


def test_the_service_worker_is_served_beside_the_page(url: str) -> None:
    answer = httpx.get(f"{url}/service_worker.js")
    assert answer.text == (PAGE.parent / "service_worker.js").read_text()
    assert answer.headers["content-type"].split(";")[0] == "text/javascript"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_page_names_no_other_server_and_has_no_inline_code() -> None:
    for file in loaded_files():
        text = file.read_text()
        assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", text)
        assert not re.findall(r"\binnerHTML|\beval\(|\bon\w+=\"|style=\"|<style", text)
    scripts = re.findall(r"<script[^>]*>", PAGE.read_text())
    assert scripts == ['<script type="module" src="web/pad/app.js">']


def test_every_address_in_the_page_is_relative() -> None:
    addresses = re.findall(r'(?:src|href)="(.+?)"', PAGE.read_text())
    assert addresses
    assert all(not address.startswith("/") for address in addresses)


def test_every_element_that_the_modules_use_exists() -> None:
    ids = re.findall(r'\bid="(.+?)"', PAGE.read_text())
    assert len(ids) == len(set(ids))
    code = "".join(file.read_text() for file in PAGE.parent.glob("*.js"))
    used = set(re.findall(r'\belement\("(.+?)"', code))
    assert "pad" in used
    assert used <= set(ids)


def test_no_file_outside_of_the_folder_is_served(url: str) -> None:
    for path in ("../../app.py", "%2e%2e/%2e%2e/app.py", "..%2f..%2fapp.py", "nothing.js"):
        assert httpx.get(f"{url}/web/pad/{path}").status_code == 404
