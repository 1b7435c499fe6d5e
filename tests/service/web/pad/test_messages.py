"""The writing pad's texts in other languages: complete, and used where the browser prefers one."""

import ast
import re
from html.parser import HTMLParser

import pytest
from playwright.sync_api import Browser, expect

from inkstream.service.web import WEB
from tests.service.web.pad.pad_page import CHROMIUM

PAD = WEB / "pad"
LANGUAGES = sorted(file.stem for file in (PAD / "messages").glob("*.js"))
SAME_IN_ALL = {"inkstream", "Markdown"}
VALUE = re.compile(r"\{\w+\}")


class Texts(HTMLParser):
    """Collects what people read of a page, but for code."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._is_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_code = tag == "code"
        values = dict(attrs)
        shown = [values.get("aria-label")]
        if values.get("name") == "description":
            shown.append(values["content"])
        self.found.update(text for text in shown if text)

    def handle_endtag(self, tag: str) -> None:
        self._is_code = False

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if re.search("[a-z]", text) and not self._is_code:
            self.found.add(text)


def english() -> set[str]:
    """Return all texts of the page and its modules."""
    page = Texts()
    page.feed((PAD / "index.html").read_text())
    code = "".join(file.read_text() for file in PAD.glob("*.js"))
    of_code = re.findall(r'\bt\(\s*"((?:[^"\\]|\\.)*)"', code)
    return (page.found | set(of_code)) - SAME_IN_ALL


def messages(language: str) -> dict[str, str]:
    """Return the texts of a language by the English ones."""
    text = (PAD / "messages" / f"{language}.js").read_text()
    pairs = re.findall(r'^  ("[^"]+"|\w+):\s+("[^"]+"),$', text, re.MULTILINE)
    assert len(pairs) == text.count('",\n')
    return {key.strip('"'): ast.literal_eval(value) for key, value in pairs}


def test_there_are_german_spanish_and_french() -> None:
    assert LANGUAGES == ["de", "es", "fr"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_text_is_translated_with_its_values(language: str) -> None:
    translated = messages(language)
    assert set(translated) == english()
    for key, text in translated.items():
        assert sorted(VALUE.findall(text)) == sorted(VALUE.findall(key))


@pytest.mark.slow
@pytest.mark.needs(CHROMIUM)
@pytest.mark.parametrize(
    ("locale", "language"), [("de-AT", "de"), ("fr-CA", "fr"), ("es-MX", "es"), ("it-IT", "en")]
)
def test_the_page_is_in_the_browsers_language(
    browser: Browser, url: str, locale: str, language: str
) -> None:
    texts = messages(language) if language != "en" else {}
    page = browser.new_page(locale=locale, service_workers="block")
    page.goto(url)
    expect(page.locator("#state-words")).to_have_text(texts.get("connected", "connected"))
    expect(page.locator("html")).to_have_attribute("lang", language)
    for key in ("Settings", "New line", "Documents"):
        expect(page.get_by_role("button", name=texts.get(key, key))).to_be_visible()
    page.close()
