"""All addresses are valid behind a proxy that serves the server below a path."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from inkstream.service.client.stream import connect_sync
from tests.helpers.proxies import path_proxy
from tests.helpers.running_server import server

PATH = "/ink/pad"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("weights")
    with server(folder, root_path=PATH) as running, path_proxy(running.port, PATH) as address:
        yield address


def test_the_descriptions_name_the_path(url: str) -> None:
    description = httpx.get(f"{url}/openapi.json").json()
    assert description["servers"] == [{"url": PATH}]
    assert "/v1/recognize" in description["paths"]
    assert httpx.get(f"{url}/nosuch").json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_links_of_web_pages_stay_below_the_path(url: str, page: str) -> None:
    text = httpx.get(url + page).text
    addresses = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert len(addresses) >= 2
    for address in addresses:
        assert httpx.get(str(httpx.URL(url + page).join(address))).status_code == 200


def test_a_stream_is_opened_below_the_path(url: str) -> None:
    with connect_sync(url.replace("http:", "ws:")) as stream:
        results = list(stream.send(np.zeros((3, 28), np.uint8)))
    assert [result.column for result in results] == [0, 1, 2]


def test_requests_are_counted_below_the_path(tmp_path: Path) -> None:
    with server(tmp_path, root_path=PATH) as running:
        address = f"http://127.0.0.1:{running.port}"
        httpx.post(f"{address}/v1/recognize", content=b"text")
        metrics = httpx.get(f"{address}/metrics").text
    assert 'inkstream_request_seconds_count{status="415"} 1.0' in metrics
