"""The API documentation: Swagger UI without inline code, and without files of other servers."""

import re
from http import HTTPStatus
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, expect

from inkstream.service.web import WEB
from tests.helpers.running_server import Running
from tests.service.web.pad.pad_page import CHROMIUM

pytestmark = pytest.mark.slow

SWAGGER_UI = WEB / "docs" / "swagger-ui"


@pytest.fixture
def docs_url(running: Running) -> str:
    return f"http://127.0.0.1:{running.port}/docs"


def test_the_page_has_a_strict_policy_and_relative_addresses(docs_url: str) -> None:
    page = httpx.get(docs_url)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    addresses = re.findall(r'(?:src|href)="(.+?)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        assert not re.match(r"/|\w+:", address)
        assert httpx.get(str(httpx.URL(docs_url).join(address))).status_code == HTTPStatus.OK


def test_the_licences_of_swagger_ui_are_beside_it() -> None:
    assert "Apache License" in (SWAGGER_UI / "LICENSE").read_text()
    assert "SmartBear" in (SWAGGER_UI / "NOTICE").read_text()
    assert "MIT" in (SWAGGER_UI / "swagger-ui-bundle.js.LICENSE.txt").read_text()


@pytest.mark.needs(CHROMIUM)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_every_operation_and_calls_one(
    browser: Browser, docs_url: str, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme)
    texts: list[str] = []
    page.on("console", lambda message: texts.append(message.text))
    page.on("pageerror", lambda error: texts.append(str(error)))
    page.goto(docs_url)
    paths = httpx.get(docs_url.replace("/docs", "/openapi.json")).json()["paths"]
    expect(page.locator(".opblock")).to_have_count(sum(map(len, paths.values())))
    for path in paths:
        expect(page.locator(f'.opblock [data-path="{path}"]')).to_be_visible()
    page.locator('[data-path="/v1/models"]').click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    status = page.locator(".live-responses-table .response .response-col_status")
    expect(status).to_contain_text("200")
    address = page.get_by_role("link", name="asyncapi.json").get_attribute("href")
    assert address is not None
    assert httpx.get(str(httpx.URL(docs_url).join(address))).json()["asyncapi"] == "3.0.0"
    page.close()
    assert not texts
