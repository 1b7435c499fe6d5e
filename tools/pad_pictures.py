"""Take pictures of the writing pad's main states, and record the writing of a line."""

import base64
import io
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.helpers.command_line import EXAMPLES
from tests.service.web.pad.pad_page import EXAMPLE_HEIGHT, HELLO, Pad

WIDE: Final = {"width": 1000, "height": 640}
PHONE: Final = {"width": 360, "height": 740}
LANDSCAPE: Final = {"width": 740, "height": 360}
State = Callable[[Browser, str], Pad]  # opens the page, and brings it into a state
SEVEN: Final = [[[50.0, 40.0], [110.0, 40.0], [80.0, 145.0]], [[62.0, 95.0], [112.0, 92.0]]]


def take(browser: Browser, url: str, folder: Path) -> None:
    """Write all pictures and the recording into a folder."""
    for name, state in STATES.items():
        state(browser, url).page.screenshot(path=folder / f"{name}.png")
    record(browser, url, folder / "writing.gif")


def flushed_line(
    browser: Browser,
    url: str,
    strokes: Sequence[list[list[float]]] = HELLO,
    scale: float = 0.65,
    sees: bool = False,
    reads: str = "Text",
    **options: Any,
) -> Pad:
    """Return the page with a line that was flushed; with `sees` as the model sees it."""
    pad = Pad(browser, url, **({"viewport": WIDE} | options))
    if sees:
        pad.see()
    if reads != "Text":
        pad.read_as(reads)
    pad.write(*strokes, scale=scale, steps=3)
    pad.settle()
    return pad


def unfinished_line(browser: Browser, url: str) -> Pad:
    """Return the page with a line that is being written."""
    pad = Pad(browser, url, viewport=WIDE, color_scheme="light")
    pad.write(*HELLO[:9], scale=0.65, steps=3)
    pad.page.wait_for_timeout(200)
    return pad


def alternatives(browser: Browser, url: str) -> Pad:
    """Return the page with the alternatives of a word."""
    pad = flushed_line(browser, url)
    pad.page.locator("#text button").first.click()
    expect(pad.page.locator("#word")).to_be_visible()
    return pad


def image(browser: Browser, url: str) -> Pad:
    """Return the page with an image of which half was played."""
    pad = Pad(browser, url, viewport=WIDE)
    pad.page.locator("#file").set_input_files(EXAMPLES / "hello.png")
    expect(pad.page.locator("#position")).to_have_text(re.compile(r"^(6[0-9]|7[0-9]) %"))
    pad.page.locator("#play").click()
    pad.page.wait_for_timeout(200)
    return pad


def page(browser: Browser, url: str) -> Pad:
    """Return the page with the photo of a page that was read."""
    pad = Pad(browser, url, viewport=WIDE | {"height": 900})
    pad.page.locator("#file").set_input_files(EXAMPLES / "page.jpg")
    expect(pad.page.locator("#page button").last).to_be_enabled()
    pad.page.locator("#page button").nth(1).click()
    return pad


def opened(button: str, **options: Any) -> State:
    """Return the state with a line and one of the menus."""

    def state(browser: Browser, url: str) -> Pad:
        pad = flushed_line(browser, url, **options)
        pad.page.get_by_role("button", name=button, exact=True).click()
        return pad

    return state


def documents(browser: Browser, url: str) -> Pad:
    """Return the page with the list of documents."""
    pad = opened("Documents")(browser, url)
    expect(pad.page.locator("#document-list li")).to_have_count(1)
    return pad


# The state before the first stroke
empty = partial(Pad, reduced_motion="reduce")
STATES: Final[dict[str, State]] = {
    "writing": unfinished_line,
    "written": flushed_line,
    "written_dark": partial(flushed_line, color_scheme="dark"),
    "phone": partial(flushed_line, scale=0.4, viewport=PHONE),
    "explained": alternatives,
    "empty": partial(empty, viewport=WIDE),
    "seen": partial(flushed_line, sees=True, viewport=WIDE | {"height": 760}),
    "digit": partial(
        flushed_line,
        strokes=SEVEN,
        scale=0.85,
        sees=True,
        reads="A digit",
        viewport=WIDE | {"height": 900},
    ),
    "image": image,
    "page": page,
    "settings": opened("Settings"),
    "documents": documents,
    "export": opened("Export", color_scheme="dark"),
    "landscape": partial(flushed_line, scale=0.4, viewport=LANDSCAPE),
    "phone_settings": opened("Settings", scale=0.4, viewport=PHONE),
    "landscape_empty": partial(empty, viewport=LANDSCAPE),
    "phone_empty": partial(empty, viewport=PHONE),
}


def record(browser: Browser, url: str, path: Path) -> None:
    """Record the writing of a line as a GIF."""
    pad = Pad(browser, url, viewport={"width": 900, "height": 660})
    pad.see()
    pad.page.evaluate("document.activeElement.blur()")
    first, *others = [_upsampled(stroke) for stroke in HELLO]
    rows = round(EXAMPLE_HEIGHT / 0.65)
    pad.write_at_speed([first], rows)  # the example of the empty page is gone
    taken: list[tuple[float, bytes]] = []  # seconds, PNG

    def add_frame(frame: dict[str, Any]) -> None:
        taken.append((frame["metadata"]["timestamp"], base64.b64decode(frame["data"])))
        devtools.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})

    devtools = pad.page.context.new_cdp_session(pad.page)
    devtools.on("Page.screencastFrame", add_frame)
    devtools.send("Page.startScreencast", {"format": "png", "everyNthFrame": 4})
    pad.write_at_speed(others, rows)
    pad.settle()
    devtools.send("Page.stopScreencast")
    taken.append((time.time(), pad.page.screenshot()))  # the flushed line
    pad.page.close()
    durations_ms = [round(1000 * (after - before)) for (before, _), (after, _) in pairwise(taken)]
    frames = [Image.open(io.BytesIO(data)).convert("RGB").quantize() for _, data in taken]
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=[*durations_ms, 3000],
        loop=0,
        optimize=True,
    )


def _upsampled(stroke: list[list[float]]) -> NDArray[np.float32]:
    """Return a stroke [n, 2] with three points for each, moved down by 20 units."""
    points = np.array(stroke, np.float32)
    points[:, 1] += 20
    positions = np.linspace(0, len(points) - 1, 3 * (len(points) - 1) + 1)
    return np.stack([np.interp(positions, range(len(points)), axis) for axis in points.T], 1)
