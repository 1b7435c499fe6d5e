"""Pictures of the writing pad: its main states, and a recording."""

import base64
import io
import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.service.commands import EXAMPLES
from tests.service.pad.hand import HELLO, TALL, Pad

WIDE: Final = {"width": 1000, "height": 640}
PHONE: Final = {"width": 360, "height": 740}
RECORDED: Final = {"width": 900, "height": 430}
FRAMES: Final = 4  # of the browser, to one that is recorded
BETWEEN: Final = 3  # points of the recorded pen in the place of each of the example
LAST_MS: Final = 3000  # for which the last picture of the recording stands
SEVEN: Final = [[[50.0, 40.0], [110.0, 40.0], [80.0, 145.0]], [[62.0, 95.0], [112.0, 92.0]]]


def take(browser: Browser, url: str, folder: Path) -> None:
    """Take all of them."""
    for name, state in STATES.items():
        state(browser, url).page.screenshot(path=folder / f"{name}.png")
    record(browser, url, folder / "writing.gif")


def written(browser: Browser, url: str, scale: float = 0.65, **options: Any) -> Pad:
    """A line was written and decided."""
    pad = Pad(browser, url, **({"viewport": WIDE} | options))
    pad.write(*HELLO, scale=scale, steps=3)
    pad.settle()
    return pad


def writing(browser: Browser, url: str) -> Pad:
    """A line is being written: its end is not decided."""
    pad = Pad(browser, url, viewport=WIDE, color_scheme="light")
    pad.write(*HELLO[:9], scale=0.65, steps=3)
    pad.page.wait_for_timeout(200)
    return pad


def explained(browser: Browser, url: str) -> Pad:
    """What a letter may be is shown."""
    pad = written(browser, url)
    pad.page.locator("#letters button").nth(7).hover()
    expect(pad.page.locator("[popover] p")).to_be_visible()
    return pad


def digit(browser: Browser, url: str) -> Pad:
    """A digit was written."""
    pad = Pad(browser, url, viewport=WIDE)
    pad.page.get_by_label("A digit").check()
    expect(pad.page.locator("#model")).to_have_text("digits 1")
    pad.write(*SEVEN, steps=8)
    pad.settle()
    return pad


def image(browser: Browser, url: str) -> Pad:
    """An image is half played."""
    pad = Pad(browser, url, viewport=WIDE)
    pad.page.locator("#file").set_input_files(EXAMPLES / "hello.png")
    expect(pad.page.locator("#place")).to_have_text(re.compile(r"^(9\d|1\d\d) of"))
    pad.page.locator("#play").click()
    pad.page.wait_for_timeout(200)
    return pad


STATES: Final[dict[str, Callable[[Browser, str], Pad]]] = {
    "writing": writing,
    "written": written,
    "written_dark": lambda browser, url: written(browser, url, color_scheme="dark"),
    "phone": lambda browser, url: written(browser, url, 0.4, viewport=PHONE),
    "explained": explained,
    "digit": digit,
    "image": image,
}


def record(browser: Browser, url: str, path: Path) -> None:
    """Record a line being written, as a GIF."""
    pad = Pad(browser, url, viewport=RECORDED)
    taken: list[tuple[float, bytes]] = []  # seconds, PNG

    def keep(frame: dict[str, Any]) -> None:
        taken.append((frame["metadata"]["timestamp"], base64.b64decode(frame["data"])))
        devtools.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})

    devtools = pad.page.context.new_cdp_session(pad.page)
    devtools.on("Page.screencastFrame", keep)
    devtools.send("Page.startScreencast", {"format": "png", "everyNthFrame": FRAMES})
    pad.write_at_speed([_denser(stroke) for stroke in HELLO], rows=round(TALL / 0.65))
    pad.settle()
    devtools.send("Page.stopScreencast")
    taken.append((time.time(), pad.page.screenshot()))  # what was decided last
    pad.page.close()
    times_ms = [1000 * seconds for seconds, _ in taken]
    lasting = [after - before for before, after in pairwise(times_ms)]
    shown = [Image.open(io.BytesIO(data)).convert("RGB").quantize() for _, data in taken]
    shown[0].save(
        path,
        save_all=True,
        append_images=shown[1:],
        duration=[*map(round, lasting), LAST_MS],
        loop=0,
        optimize=True,
    )


def _denser(stroke: list[list[float]]) -> NDArray[np.float32]:
    """A stroke [n, 2] with more points on the same way."""
    points = np.array(stroke, np.float32)
    places = np.linspace(0, len(points) - 1, BETWEEN * (len(points) - 1) + 1)
    return np.stack([np.interp(places, range(len(points)), each) for each in points.T], 1)
