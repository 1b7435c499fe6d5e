"""Control of the writing pad in a browser: writes with the mouse and records the messages."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from inkstream.service.client import connect_sync
from tests.helpers.command_line import EXAMPLES
from tests.helpers.running_server import Running

CHROMIUM: Final = shutil.which("chromium")
BROWSER_ARGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)

DEADLINE_MS: Final = 20_000
expect.set_options(timeout=DEADLINE_MS)
HELLO: Final[list[list[list[float]]]] = json.loads((EXAMPLES / "hello.jsonl").read_text())[
    "strokes"
]
POINTS_PER_S: Final = 100  # of a pen
LIFT_S: Final = 0.1  # from a stroke's end to the next one's beginning
LEFT: Final = 20.0  # CSS pixels from the pad's left side
EXAMPLE_HEIGHT: Final = 175.0  # of the strokes of `HELLO`, in their units


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser while the block runs."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(BROWSER_ARGS))
        yield opened
        opened.close()


class Pad:
    """The page, with a mouse that writes on it and a record of the messages."""

    def __init__(self, browser: Browser, url: str, script: str = "", **options: Any) -> None:
        """Open the page; run `script` before the page's own scripts."""
        self.page: Page = browser.new_page(**options)
        self.page.add_init_script(script)
        self.console_texts: list[str] = []  # with uncaught errors
        self.requested_urls: list[str] = []
        self.sent: list[dict[str, Any]] = []  # messages of the newest stream
        self.received: list[dict[str, Any]] = []
        self.page.on("console", lambda message: self.console_texts.append(message.text))
        self.page.on("pageerror", lambda error: self.console_texts.append(str(error)))
        self.page.on("request", lambda request: self.requested_urls.append(request.url))
        self.page.on("websocket", self._opened)
        self.page.goto(url)
        expect(self.page.locator("#state-words")).to_have_text("connected")

    def _opened(self, socket: WebSocket) -> None:
        self.requested_urls.append(socket.url)
        self.sent.clear()
        self.received.clear()
        socket.on("framesent", lambda payload: self.sent.append(_message(payload)))
        socket.on("framereceived", lambda payload: self.received.append(json.loads(payload)))

    @property
    def text(self) -> str:
        return self.page.locator("#text").inner_text()

    @property
    def column(self) -> int:
        """The column of the newest result."""
        found = (each["column"] for each in reversed(self.received) if each["type"] == "result")
        return next(found, 0)

    def write(
        self,
        *strokes: list[list[float]],
        left: float = LEFT,
        scale: float = 0.85,
        steps: int = 1,
    ) -> None:
        """Write strokes of the example with the mouse, in `steps` moves from point to point."""
        for stroke in strokes:
            for number, position in enumerate(self.positions(stroke, left=left, scale=scale)):
                self.page.mouse.move(*position, steps=steps if number else 1)
                if not number:
                    self.page.mouse.down()
            self.page.mouse.up()

    def positions(
        self, stroke: list[list[float]], left: float = LEFT, scale: float = 0.85
    ) -> list[tuple[float, float]]:
        """Return where the mouse is for each point of a stroke of the example."""
        box = self.page.locator("#pad").bounding_box()
        assert box is not None
        size = scale * box["height"] / EXAMPLE_HEIGHT
        return [(box["x"] + left + size * x, box["y"] + 8 + size * y) for x, y in stroke]

    def write_at_speed(
        self, strokes: Sequence[NDArray[np.float32]], rows: int, left: float = LEFT
    ) -> float:
        """Write strokes, each [n, 2] in units of columns of `rows` rows, as fast as a person does.

        They begin `left` CSS pixels from the pad's left side. Return where they end.
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

    def choose_speed(self, speed: str) -> None:
        """Choose the speed of images, also while the player is hidden."""
        choose = "(list, speed) => { list.value = speed; list.dispatchEvent(new Event('change')); }"
        self.page.locator("#speed").evaluate(choose, speed)

    def settle(self) -> None:
        """Wait until the flush after the newest ink is answered and the answer is shown."""
        for _ in range(DEADLINE_MS // 50):
            self.page.wait_for_timeout(50)
            relevant = [each for each in self.sent if each["type"] in ("ink", "flush")]
            answered = {m["id"] for m in self.received if m["type"] == "flushed"}
            if relevant and relevant[-1]["type"] == "flush" and relevant[-1]["id"] in answered:
                self.page.wait_for_timeout(100)  # a frame or two
                return
        raise AssertionError("the ink was not flushed in time")

    def wait_to_send(self, field: str) -> None:
        """Wait until a message with this field is recorded: the browser reports frames late."""
        for _ in range(DEADLINE_MS // 50):
            if any(field in message for message in self.sent):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"no message with {field} was sent")

    def strokes(self) -> tuple[list[dict[str, Any]], float]:
        """Return the ink of this line as the page sent it, with whole strokes."""
        strokes: dict[int, dict[str, Any]] = {}
        height = 0.0
        for message in self.sent:
            if message["type"] == "reset":
                strokes = {}
            if message["type"] == "ink":
                if "undo" in message:
                    del strokes[message["undo"]]
                height = message.get("height", height)
                for part in message.get("strokes", []):
                    stroke = strokes.setdefault(part["id"], {"id": part["id"], "points": []})
                    stroke["points"] += part["points"]
        return list(strokes.values()), height


def _message(payload: str | bytes) -> dict[str, Any]:
    if isinstance(payload, bytes):
        return {"type": "columns", "pixels": payload}
    message: dict[str, Any] = json.loads(payload)
    return message


def recognize_at_once(running: Running, pad: Pad, model: str = "lines", **options: Any) -> str:
    """Return the text that the Python client gets for the same ink, with options of `configure`."""
    strokes, height = pad.strokes()
    with connect_sync(running.url, model=model) as stream:
        stream.configure(**options)
        list(stream.ink(strokes, height, pause=True, fit=True))
        flushed = stream.flush()
    return flushed.text if flushed.text is not None else str(flushed.label)
