"""The writing pad as it is served: a page that needs nothing but its own server."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.pad import WEB
from tests.service.running import Running, server

MOST_BYTES = 100_000  # of all that the page loads
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights")) as place:
        yield place


@pytest.fixture(scope="module")
def url(running: Running) -> str:
    return f"http://127.0.0.1:{running.port}"


def needed() -> list[Path]:
    """The files that the page loads, and those that these import."""
    found, waiting = dict[Path, None](), [WEB / "index.html"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = None
            text = file.read_text()
            waiting += [WEB / name for name in re.findall(r'"web/([\w.-]+)"', text)]
            waiting += [
                WEB / name for name in re.findall(r'^import .* from "\./(.+)";', text, re.M)
            ]
    return list(found)


def test_the_page_is_served_with_a_policy_that_lets_nothing_else_in(url: str) -> None:
    page = httpx.get(url)
    assert page.status_code == 200
    assert page.text == (WEB / "index.html").read_text()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(
        part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ")
    )
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert httpx.head(url).headers["content-security-policy"]


@pytest.mark.parametrize("file", [file for file in needed() if file.suffix != ".html"], ids=str)
def test_what_the_page_is_made_of_is_served_as_what_it_is(url: str, file: Path) -> None:
    answer = httpx.get(f"{url}/web/{file.name}")
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"].split(";")[0] == KINDS[file.suffix]
    assert answer.headers["cache-control"] == "no-cache"  # else old files are mixed with new ones


def test_the_page_weighs_little_and_less_on_its_way(url: str) -> None:
    files = needed()
    assert {"app.js", "inkstream.js", "style.css"} <= {file.name for file in files}
    whole = sum(file.stat().st_size for file in files)
    assert whole < MOST_BYTES
    sent = 0
    for file in files:
        with httpx.stream("GET", f"{url}/web/{file.name}") as answer:
            sent += sum(map(len, answer.iter_raw()))
    assert sent < whole / 2


def test_nothing_in_the_page_leads_elsewhere_or_stands_inline() -> None:
    for file in needed():
        text = file.read_text()
        assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", text)
        assert not re.findall(r"\binnerHTML|\beval\(|\bon\w+=\"|style=\"|<style", text)
    page = (WEB / "index.html").read_text()
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="web/app.js">']


def test_every_address_in_the_page_is_relative() -> None:
    page = (WEB / "index.html").read_text()
    assert all(not address.startswith("/") for address in re.findall(r'(?:src|href)="(.+?)"', page))


def test_every_element_that_the_modules_ask_for_is_there() -> None:
    page = (WEB / "index.html").read_text()
    ids = re.findall(r'\bid="(.+?)"', page)
    assert len(ids) == len(set(ids))
    code = "".join(file.read_text() for file in WEB.glob("*.js"))
    asked = set(re.findall(r'\belement\("(.+?)"', code))
    assert asked <= set(ids)


def test_no_file_outside_of_the_folder_is_served(url: str) -> None:
    for path in ("../pages.py", "%2e%2e/pages.py", "..%2fpages.py", "nothing.js"):
        assert httpx.get(f"{url}/web/{path}").status_code == 404
