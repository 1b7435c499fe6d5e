"""Images that are no pages of writing over REST: each is answered, or refused with a reason."""

import httpx
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from inkstream.model.pages.transcription import Page
from tests.helpers.hard_pages import EXTREME, PAGES
from tests.helpers.http import error
from tests.helpers.running_server import Running
from tests.helpers.target import Target
from tools.pages import encoded

pytestmark = pytest.mark.slow

PAGE = "/v1/page"
REFUSALS = {"over_limit": 413, "bad_image": 415}  # and never `unreadable`
MAX_GROWTH_BYTES = 400_000_000  # of the server, for one page
TIMEOUT_S = 120  # far more than any takes


def check(answer: httpx.Response, image: NDArray[np.uint8]) -> None:
    """Check that a page was read, or refused with a reason."""
    if answer.status_code != 200:
        code = answer.json()["error"]["code"]
        assert code in REFUSALS, answer.text
        error(answer, REFUSALS[code], code)
        return
    page = Page.model_validate(answer.json())
    assert (page.height, page.width) == image.shape


@given(image=PAGES)
def test_any_image_is_answered_or_refused_with_a_reason(
    running: Running, image: NDArray[np.uint8]
) -> None:
    url = f"http://127.0.0.1:{running.port}{PAGE}"
    check(httpx.post(url, content=encoded(image, "PNG"), timeout=TIMEOUT_S), image)


def test_the_largest_and_the_longest_pages_take_limited_memory() -> None:
    with (
        Target("--models", "lines") as target,
        httpx.Client(base_url=target.http, timeout=TIMEOUT_S) as client,
    ):
        small = np.full((100, 100), 255, np.uint8)
        check(client.post(PAGE, content=encoded(small, "PNG")), small)
        for name, draw in EXTREME.items():
            image = draw()
            content = encoded(image, "PNG")
            before = target.memory.reset_peak()
            check(client.post(PAGE, content=content), image)
            assert target.memory.peak_bytes - before < MAX_GROWTH_BYTES, name
