"""The writing pad in a real browser: what it shows is what the server says of the same ink."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from model.data import inkfiles
from service.client import connect_sync
from tests.service.commands import EXAMPLES
from tests.service.running import Running, server

CHROMIUM = shutil.which("chromium")
AXE = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
QUIET += ["--disable-component-update", "--disable-sync"]

DEADLINE_MS = 20_000
HELLO: list[list[list[float]]] = json.loads((EXAMPLES / "hello.jsonl").read_text())["strokes"]
TALL = 175.0  # units of the example from its top to its bottom

pytestmark = pytest.mark.needs(CHROMIUM)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights"), models="lines,digits") as place:
        yield place


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


class Pad:
    """The page, a hand that writes on it, and what went over the wire."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.page: Page = browser.new_page(**options)
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
        socket.on("framesent", lambda payload: self.sent.append(json.loads(payload)))
        socket.on("framereceived", lambda payload: self.heard.append(json.loads(payload)))

    @property
    def text(self) -> str:
        return self.page.locator("#text").inner_text()

    def write(self, *strokes: list[list[float]], left: float = 20, scale: float = 0.85) -> None:
        """Write strokes of the example with the mouse."""
        box = self.page.locator("#pad").bounding_box()
        assert box is not None
        size = scale * box["height"] / TALL
        for stroke in strokes:
            for number, (x, y) in enumerate(stroke):
                self.page.mouse.move(box["x"] + left + size * x, box["y"] + 8 + size * y)
                if not number:
                    self.page.mouse.down()
            self.page.mouse.up()

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


def read_in_one_piece(running: Running, pad: Pad, model: str = "lines") -> str:
    """What the Python client hears of the same ink."""
    strokes, height = pad.strokes()
    with connect_sync(running.url, model=model) as stream:
        list(stream.ink(strokes, height))
        flushed = stream.flush()
    return flushed.text if flushed.text is not None else str(flushed.label)


@pytest.fixture
def url(running: Running) -> str:
    return f"http://127.0.0.1:{running.port}/"


@pytest.fixture
def pad(browser: Browser, url: str) -> Iterator[Pad]:
    opened = Pad(browser, url, viewport={"width": 1100, "height": 800})
    yield opened
    opened.page.close()
    assert not opened.complaints
    assert all("127.0.0.1" in address for address in opened.asked)


def test_the_page_shows_what_the_server_says_of_the_same_ink(running: Running, pad: Pad) -> None:
    pad.write(*HELLO)
    pad.settle()
    assert pad.text == read_in_one_piece(running, pad) != ""
    letters = pad.page.locator("#letters button").all_inner_texts()
    assert pad.text.replace(" ", "").endswith("".join(letters) or "none")
    assert pad.page.locator("#letters i").count() == len(pad.text.split())


def test_a_late_stroke_and_one_that_is_taken_back(running: Running, pad: Pad) -> None:
    bar = [[60.0, 20.0], [200.0, 150.0]]
    pad.write(*HELLO)
    pad.settle()
    before = pad.text
    pad.write(bar)
    pad.settle()
    assert pad.text == read_in_one_piece(running, pad)
    pad.page.get_by_role("button", name="Undo stroke").click()
    pad.settle()
    assert pad.text == before


def test_a_new_line_puts_the_old_one_away(running: Running, pad: Pad) -> None:
    pad.write(*HELLO)
    pad.page.get_by_role("button", name="New line").click()
    expect(pad.page.locator("#lines li")).to_have_count(1)
    expect(pad.page.locator("#text")).to_have_text("")
    pad.write(*HELLO[:2])
    pad.settle()
    assert pad.text == read_in_one_piece(running, pad)
    pad.page.get_by_role("button", name="Clear").click()
    expect(pad.page.locator("#text")).to_have_text("")
    expect(pad.page.locator("#lines li")).to_have_count(1)


def test_what_is_corrected_and_kept_can_be_trained_with(pad: Pad, tmp_path: Path) -> None:
    pad.write(*HELLO)
    pad.settle()
    pad.page.locator("#letters button").last.click()
    expect(pad.page.locator("[popover] p")).to_contain_text("sure")
    pad.page.keyboard.press("Escape")
    pad.page.get_by_label("What you wrote").fill("Hello")
    pad.page.get_by_role("button", name="Keep this line").click()
    with pad.page.expect_download() as download:
        pad.page.get_by_role("button", name="Download 1 line").click()
    download.value.save_as(tmp_path / "my_hand.jsonl")
    ink, _ = inkfiles.read(tmp_path / "my_hand.jsonl")
    assert list(ink.labels) == ["Hello"]
    assert len(ink.piece(0).strokes) == len(HELLO)


def test_a_digit_has_bars_and_the_next_stroke_begins_another(running: Running, pad: Pad) -> None:
    pad.page.get_by_label("A digit").check()
    expect(pad.page.locator("#model")).to_have_text("digits 1")
    one = [[90.0, 20.0], [88.0, 90.0], [86.0, 155.0]]
    pad.write(one)
    pad.settle()
    assert pad.text == read_in_one_piece(running, pad, "digits")
    assert pad.page.locator("#bars [data-best] b").inner_text() == pad.text
    pad.write(one)
    pad.settle()
    strokes, _ = pad.strokes()
    assert len(strokes) == 1
    assert pad.text == read_in_one_piece(running, pad, "digits")


def test_a_server_that_comes_back_reads_what_stands_on_the_pad(
    browser: Browser, tmp_path: Path
) -> None:
    with server(tmp_path, models="lines") as first:
        port = first.port
        pad = Pad(browser, f"http://127.0.0.1:{port}/")
        pad.write(*HELLO)
        pad.settle()
        before = pad.text
    expect(pad.page.locator("#problem")).to_be_visible()
    pad.page.locator("#clear").focus()
    with server(tmp_path, models="lines", port=port):
        expect(pad.page.locator("#state-words")).to_have_text("connected", timeout=20_000)
        expect(pad.page.locator("#problem")).to_be_hidden()
        pad.settle()
        assert pad.text == before
        pad.page.close()


def test_a_server_that_wants_a_key_is_given_it(browser: Browser, tmp_path: Path) -> None:
    with server(tmp_path, models="lines", api_keys=("secret",)) as place:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{place.port}/")
        expect(page.locator("#problem")).to_have_text("This server asks for a key.")
        for key, words in (("wrong", "The key is not known."), ("secret", None)):
            page.get_by_label("This server wants a key").fill(key)
            page.get_by_role("button", name="Connect").click()
            if words is not None:
                expect(page.locator("#problem")).to_have_text(words)
        expect(page.locator("#state-words")).to_have_text("connected")
        page.close()


def test_the_keyboard_alone_will_do(pad: Pad) -> None:
    pad.write(*HELLO[:3])
    pad.page.locator("#pad").focus()
    pad.page.keyboard.press("Control+z")
    assert [m["undo"] for m in pad.sent if m["type"] == "ink" and "undo" in m] == [3]
    pad.page.keyboard.press("Enter")
    expect(pad.page.locator("#lines li")).to_have_count(1)
    pad.write(*HELLO[:1])
    pad.page.locator("#pad").focus()
    pad.page.keyboard.press("Escape")
    expect(pad.page.locator("#text")).to_have_text("")


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[360, 1400])
def screen(
    request: pytest.FixtureRequest, browser: Browser, url: str, scheme: str
) -> Iterator[Pad]:
    """The page on a narrow or a wide screen, with something written on it."""
    size = {"width": request.param, "height": 740}
    pad = Pad(browser, url, viewport=size, color_scheme=scheme)
    pad.write(*HELLO, scale=0.5)
    pad.settle()
    yield pad
    pad.page.close()
    assert not pad.complaints


def test_it_fits_every_screen(screen: Pad) -> None:
    wide = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    assert screen.page.evaluate(wide) == 0


@pytest.mark.needs(AXE.exists())
def test_it_is_for_everyone(screen: Pad) -> None:
    screen.page.evaluate(AXE.read_text())
    found = screen.page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []


def test_a_touch_writes_unless_a_pen_does(browser: Browser, url: str) -> None:
    pad = Pad(browser, url, has_touch=True)
    box = pad.page.locator("#pad").bounding_box()
    assert box is not None
    pad.page.touchscreen.tap(box["x"] + 50, box["y"] + 50)
    pad.page.wait_for_timeout(100)
    assert sum(message["type"] == "ink" for message in pad.sent) == 1
    devtools = pad.page.context.new_cdp_session(pad.page)
    pen = {"x": box["x"] + 90, "y": box["y"] + 60, "button": "left", "pointerType": "pen"}
    for kind in ("mousePressed", "mouseReleased"):
        devtools.send("Input.dispatchMouseEvent", pen | {"type": kind, "clickCount": 1})
    pad.page.wait_for_timeout(100)
    n_strokes = len(pad.strokes()[0])
    pad.page.touchscreen.tap(box["x"] + 150, box["y"] + 50)
    pad.page.wait_for_timeout(100)
    assert len(pad.strokes()[0]) == n_strokes == 2
    pad.page.close()
