"""Names that lead here without being ours (DNS rebinding), and addresses that are none.

`test_access` has all names and addresses, `test_stream` the refusal of a stream.
"""

from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.helpers.target import Target

pytestmark = pytest.mark.slow

EVIL = "evil.example"
PATHS = ["/", "/healthz", "/metrics", "/v1/models", "/docs", "/web/pad/index.html", "/nowhere"]


@pytest.fixture(scope="module")
def proxied() -> Iterator[Target]:
    """Serve behind a proxy on this machine."""
    flags = ("--models", "digits", "--languages", "", "--trusted-proxies", "127.0.0.1/32")
    with Target(*flags) as target:
        yield target


@pytest.mark.parametrize("path", PATHS)
def test_a_page_whose_name_was_made_to_lead_here_gets_nothing(target: Target, path: str) -> None:
    host = f"{EVIL}:{target.port}"
    headers = {"host": host, "origin": f"http://{host}"}
    answer = httpx.get(target.http + path, headers=headers)
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "forbidden_host"
    assert "INKSTREAM_HOSTS" in answer.json()["error"]["message"]


@pytest.mark.parametrize("forwarded", ["x" * 5_000, "<script>", "1.2.3.4, evil"])
def test_what_is_no_address_of_a_client_is_refused(proxied: Target, forwarded: str) -> None:
    headers = {"x-forwarded-for": forwarded}
    answer = httpx.get(f"{proxied.http}/v1/models", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_forwarded")
    with pytest.raises(InvalidStatus, match="400"):
        connect(proxied.url, additional_headers=headers)


@pytest.mark.parametrize("forwarded", ["192.0.2.1", "2001:db8::1", "evil, 192.0.2.1:4711", ""])
def test_an_address_that_a_proxy_forwards_is_the_clients(proxied: Target, forwarded: str) -> None:
    headers = {"x-forwarded-for": forwarded}
    logged = len(proxied.log)
    with connect(proxied.url, additional_headers=headers) as stream:
        stream.recv()
    line = proxied.wait_for("session opened", logged)
    expected = forwarded.rpartition(" ")[2].removesuffix(":4711") or "127.0.0.1"
    assert line["client"] == expected
