"""Control of the writing pad in a browser: writes with the mouse and records the messages."""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    WebSocket,
    expect,
    sync_playwright,
)

from inkstream.service.client.stream import SyncStream, connect_sync
from tests.helpers.command_line import EXAMPLES
from tests.helpers.running_server import Running

# A headless shell draws the same and takes a fifth less time.
CHROMIUM: Final = shutil.which("chromium-headless-shell") or shutil.which("chromium")
BROWSER_ARGS: Final = "--no-sandbox --disable-gpu --disable-background-networking --no-first-run\
 --disable-component-update --disable-sync --disable-smooth-scrolling"

DEADLINE_MS: Final = 20_000
expect.set_options(timeout=DEADLINE_MS)
HELLO: Final[Any] = json.loads((EXAMPLES / "hello.jsonl").read_text())["strokes"]
POINTS_PER_S: Final = 100  # of a pen
LIFT_S: Final = 0.1  # from a stroke's end to the next one's beginning
LEFT: Final = 20.0  # CSS pixels from the pad's left side
EXAMPLE_HEIGHT: Final = 175.0  # of the strokes of `HELLO`, in their units
SURER: Final = 0.1  # as in `reader.js`
ROW_HEIGHT: Final = 96.0  # of a line of the paper, CSS pixels
HINTS: Final = ("language", "words", "characters", "pattern")  # options of `configure`


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser while the block runs."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_ARGS.split())
        yield opened
        opened.close()


class Pad:
    """The page, with a mouse that writes on it and a record of the messages."""

    def __init__(
        self, browser: Browser | BrowserContext, url: str, script: str = "", **options: Any
    ) -> None:
        """Open the page; run `script` before the page's own scripts.

        Given a browser, it shares its storage with no page; given a context, with its pages.
        """
        if isinstance(browser, Browser):
            # Requests that pass a service worker cannot be changed by tests.
            options.setdefault("service_workers", "block")
        self.page: Page = browser.new_page(**options)
        self.page.add_init_script(script)
        self.console_texts: list[str] = []  # with uncaught errors
        self.requested_urls: list[str] = []
        self.page.on("console", lambda message: self._log(message.text))
        self.page.on("pageerror", lambda error: self.console_texts.append(str(error)))
        self.page.on("request", lambda request: self.requested_urls.append(request.url))
        self.page.on("websocket", self._opened)
        self.page.goto(url)
        expect(self.page.locator("#state-words")).to_have_text("connected")
        expect(self.page.locator("#paper")).not_to_have_attribute("inert", "")

    def _log(self, text: str) -> None:
        """Keep a text of the console, unless it says that the browser's driver blocks workers."""
        if not text.startswith("Service Worker registration blocked"):
            self.console_texts.append(text)

    def _opened(self, socket: WebSocket) -> None:
        self.requested_urls.append(socket.url)
        sent: list[dict[str, Any]] = []
        received: list[dict[str, Any]] = []

        def send(payload: str | bytes) -> None:
            is_text = isinstance(payload, str)
            sent.append(json.loads(payload) if is_text else {"type": "columns", "pixels": payload})
            if sent[-1]["type"] in ("ink", "columns"):
                self._written = (sent, received)

        self._written = (sent, received)
        socket.on("framesent", send)
        socket.on("framereceived", lambda payload: received.append(json.loads(payload)))

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The messages that the stream has sent that was written to last, or opened since."""
        return self._written[0]

    @property
    def received(self) -> list[dict[str, Any]]:
        """The messages that this stream has received."""
        return self._written[1]

    @property
    def text(self) -> str:
        """The text of the line that was written in last."""
        return " ".join(self.page.locator("#text [data-active]").all_inner_texts())

    @property
    def texts(self) -> list[str]:
        """The texts of all lines."""
        return self.page.locator("#text li").all_inner_texts()

    def write(
        self,
        *strokes: list[list[float]],
        left: float = LEFT,
        scale: float = 0.85,
        steps: int = 1,
        row: int = 0,
    ) -> None:
        """Write strokes of the example with the mouse, in `steps` moves from point to point."""
        for stroke in strokes:
            self._draw(self.positions(stroke, left, scale, row), steps)

    def positions(
        self, stroke: list[list[float]], left: float = LEFT, scale: float = 0.85, row: int = 0
    ) -> list[tuple[float, float]]:
        """Return where the mouse is for each point of a stroke of the example, in a row in view."""
        (x, y), size = self._corner(left, row), scale * ROW_HEIGHT / EXAMPLE_HEIGHT
        return [(x + size * right, y + 4 + size * down) for right, down in stroke]

    def write_at_speed(
        self, strokes: Sequence[NDArray[np.float32]], rows: int, left: float = LEFT, row: int = 0
    ) -> float:
        """Write strokes, each [n, 2] in units of columns of `rows` rows, as fast as a person does.

        They begin `left` CSS pixels from the pad's left side, in a row in view. Return where they
        end.
        """
        corner, size, due_s = self._corner(left, row), ROW_HEIGHT / rows, time.perf_counter()

        def in_time(stroke: NDArray[np.float32]) -> Iterator[tuple[float, float]]:
            nonlocal due_s
            due_s = max(due_s, time.perf_counter()) + LIFT_S
            for x, y in (corner + size * stroke.astype(np.float64)).tolist():
                time.sleep(max(0.0, due_s - time.perf_counter()))
                due_s += 1 / POINTS_PER_S
                yield x, y

        for stroke in strokes:
            self._draw(in_time(stroke))
        return left + size * float(max(stroke[:, 0].max() for stroke in strokes))

    def _corner(self, left: float, row: int) -> tuple[float, float]:
        """Return the upper left corner of what is written in a row."""
        box = self.page.locator("#pad").bounding_box()
        assert box is not None
        return box["x"] + left, box["y"] + row * ROW_HEIGHT

    def _draw(self, positions: Iterable[tuple[float, float]], steps: int = 1) -> None:
        """Draw one stroke."""
        for number, position in enumerate(positions):
            self.page.mouse.move(*position, steps=steps if number else 1)
            if not number:
                self.page.mouse.down()
        self.page.mouse.up()

    def see(self) -> None:
        """Switch on how the model sees the ink."""
        self.set("#sees-switch", lambda switch: switch.check())

    def read_as(self, kind: str) -> None:
        """Choose what is read: "Text", "A digit", "Numbers" or "A date"."""
        self.set("#reads", lambda menu: menu.select_option(kind))

    def set(self, control: str, act: Callable[[Locator], object]) -> None:
        """Change one of the settings."""
        self.page.get_by_role("button", name="Settings").click()
        act(self.page.locator(control))
        self.page.keyboard.press("Escape")

    def choose_speed(self, speed: str) -> None:
        """Choose the speed of images, also while the player is hidden."""
        choose = "(list, speed) => { list.value = speed; list.dispatchEvent(new Event('change')); }"
        self.page.locator("#speed").evaluate(choose, speed)

    def settle(self) -> None:
        """Wait until the newest ink is flushed and all lines show what was read."""
        text = self.page.locator("#text")
        self._wait_until(
            lambda: text.get_attribute("aria-busy") == "false" and self._is_settled(),
            "the ink was not flushed in time",
        )
        self.page.wait_for_timeout(100)  # a frame or two

    def _is_settled(self) -> bool:
        """Return whether the stream that was written to last has flushed all ink."""
        relevant = [message for message in self.sent if message["type"] in ("ink", "flush")]
        if len(relevant) < 2:
            return False
        before, last = relevant[-2:]
        answered = {message["id"] for message in self.received if message["type"] == "flushed"}
        return "fit" in before and last["type"] == "flush" and last["id"] in answered

    def wait_for_strokes(self, count: int) -> None:
        """Wait until this line's ink has `count` strokes: the browser reports frames late."""
        self._wait_until(lambda: len(self.strokes()[0]) == count, f"{count} strokes were not sent")

    def _wait_until(self, condition: Callable[[], bool], failure: str) -> None:
        for _ in range(DEADLINE_MS // 50):
            self.page.wait_for_timeout(50)
            if condition():
                return
        raise AssertionError(failure)

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

    def hints(self) -> dict[str, Any]:
        """Return the options that the page has set for this line."""
        hints: dict[str, Any] = {}
        for message in self.sent:
            if message["type"] == "configure":
                hints |= {name: message[name] for name in HINTS if name in message}
        return hints


def recognize_at_once(running: Running, pad: Pad, model: str = "lines", **options: Any) -> str:
    """Return the text that the Python client gets for the same ink and options of `configure`.

    It is read in the frame that the page would keep, the line's own or the one that fits.
    """
    with connect_sync(running.url, model=model) as stream:
        stream.configure(**pad.hints() | options)
        return kept(*read_in_both_frames(stream, *pad.strokes()))[1]


def kept(own: tuple[float, str], fitted: tuple[float, str]) -> tuple[float, str]:
    """Return what the page keeps of `read_in_both_frames`."""
    return own if own[0] >= fitted[0] + SURER else fitted


def read_in_both_frames(
    stream: SyncStream, strokes: Sequence[Any], height: float
) -> list[tuple[float, str]]:
    """Read a line in its own frame, then in the one that fits it.

    Return of both how sure the model is, as the page computes it (the mean logarithm of the
    letters' probabilities, or that of a digit's; -inf if that frame is the line's own), and the
    text.
    """
    found = []
    for ink, fit in ((strokes, False), ([], True)):
        confidences: dict[int, float] = {}  # by the letter's id; words are numbered apart
        label: list[float] = []
        for result in stream.ink(ink, height, pause=True, fit=fit):
            label = [max(result.probabilities.values())]
            confidences |= {e.id: e.confidence for e in result.events if e.type != "word"}
        flushed = stream.flush()
        confidences |= {e.id: e.confidence for e in flushed.events if e.type != "word"}
        text = flushed.text if flushed.text is not None else str(flushed.label)
        values = list(confidences.values())[: len(text.replace(" ", ""))] or label
        found.append((fmean(map(math.log, values)) if values else -math.inf, text))
    return found
