"""The writing pad in a browser, a hand that writes on it, and what went over the wire."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from service.client import connect_sync
from tests.service.commands import EXAMPLES
from tests.service.running import Running

CHROMIUM: Final = shutil.which("chromium")
QUIET: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)

DEADLINE_MS: Final = 20_000
HELLO: Final[list[list[list[float]]]] = json.loads((EXAMPLES / "hello.jsonl").read_text())[
    "strokes"
]
POINTS_PER_S: Final = 100  # of a pen
LIFT_S: Final = 0.1  # from a stroke's end to the next one's beginning
LEFT: Final = 20.0  # CSS pixels from the pad's left side
TALL: Final = 175.0  # units of the example from its top to its bottom


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, while the block runs."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


class Pad:
    """The page, a hand that writes on it, and what went over the wire."""

    def __init__(self, browser: Browser, url: str, script: str = "", **options: Any) -> None:
        """Open the page; `script` runs before its own."""
        self.page: Page = browser.new_page(**options)
        self.page.add_init_script(script)
        self.complaints: list[str] = []  # of the browser
        self.asked: list[str] = []  # addresses
        self.sent: list[dict[str, Any]] = []  # messages of the newest stream
        self.heard: list[dict[str, Any]] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", self._opened)
        self.page.goto(url)
        expect(self.page.locator("#state-words")).to_have_text("connected")

    def _opened(self, socket: WebSocket) -> None:
        self.asked.append(socket.url)
        self.sent.clear()
        self.heard.clear()
        socket.on("framesent", lambda payload: self.sent.append(_message(payload)))
        socket.on("framereceived", lambda payload: self.heard.append(json.loads(payload)))

    @property
    def text(self) -> str:
        return self.page.locator("#text").inner_text()

    @property
    def column(self) -> int:
        """The newest column that was read."""
        found = (each["column"] for each in reversed(self.heard) if each["type"] == "result")
        return next(found, 0)

    def write(
        self,
        *strokes: list[list[float]],
        left: float = LEFT,
        scale: float = 0.85,
        steps: int = 1,
    ) -> None:
        """Write strokes of the example with the mouse, with so many steps from point to point."""
        box = self.page.locator("#pad").bounding_box()
        assert box is not None
        size = scale * box["height"] / TALL
        for stroke in strokes:
            for number, (x, y) in enumerate(stroke):
                place = box["x"] + left + size * x, box["y"] + 8 + size * y
                self.page.mouse.move(*place, steps=steps if number else 1)
                if not number:
                    self.page.mouse.down()
            self.page.mouse.up()

    def write_at_speed(
        self, strokes: Sequence[NDArray[np.float32]], rows: int, left: float = LEFT
    ) -> float:
        """Write strokes, each [n, 2] in pixels of so many rows, as fast as a hand does.

        They begin `left` CSS pixels from the pad's left side; gives where they end.
        """
        box = self.page.locator("#pad").bounding_box()
        assert box is not None
        size, mouse = (box["height"] - 2) / rows, self.page.mouse
        due_s = time.perf_counter()
        for stroke in strokes:
            due_s = max(due_s, time.perf_counter()) + LIFT_S
            for number, (x, y) in enumerate(stroke.tolist()):
                time.sleep(max(0.0, due_s - time.perf_counter()))
                due_s += 1 / POINTS_PER_S
                mouse.move(box["x"] + left + size * x, box["y"] + 1 + size * y)
                if not number:
                    mouse.down()
            mouse.up()
        return left + size * float(max(stroke[:, 0].max() for stroke in strokes))

    def settle(self) -> None:
        """Wait until all is decided and shown: a flush behind the newest ink is answered."""
        for _ in range(DEADLINE_MS // 50):
            self.page.wait_for_timeout(50)
            said = [message for message in self.sent if message["type"] in ("ink", "flush")]
            answered = {m["id"] for m in self.heard if m["type"] == "flushed"}
            if said and said[-1]["type"] == "flush" and said[-1]["id"] in answered:
                self.page.wait_for_timeout(100)  # a frame or two
                return
        raise AssertionError("the ink was not decided")

    def wait_to_send(self, field: str) -> None:
        """Wait until a message with this field was sent: the browser tells of frames late."""
        for _ in range(DEADLINE_MS // 50):
            if any(field in message for message in self.sent):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"no message with {field} was sent")

    def strokes(self) -> tuple[list[dict[str, Any]], float]:
        """The ink of this line as the page sent it, in one piece."""
        strokes: dict[int, dict[str, Any]] = {}
        height = 0.0
        for message in self.sent:
            if message["type"] == "reset":
                strokes = {}
            if message["type"] == "ink":
                if "undo" in message:
                    del strokes[message["undo"]]
                height = message.get("height", height)
                for piece in message.get("strokes", []):
                    whole = strokes.setdefault(piece["id"], {"id": piece["id"], "points": []})
                    whole["points"] += piece["points"]
        return list(strokes.values()), height


def _message(payload: str | bytes) -> dict[str, Any]:
    if isinstance(payload, bytes):
        return {"type": "columns", "pixels": payload}
    message: dict[str, Any] = json.loads(payload)
    return message


def read_in_one_piece(running: Running, pad: Pad, model: str = "lines", **choices: Any) -> str:
    """What the Python client hears of the same ink, by what a `configure` may choose."""
    strokes, height = pad.strokes()
    with connect_sync(running.url, model=model) as stream:
        stream.configure(**choices)
        list(stream.ink(strokes, height, pause=True, fit=True))
        flushed = stream.flush()
    return flushed.text if flushed.text is not None else str(flushed.label)
