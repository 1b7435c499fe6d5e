"""The writing pad while its server goes away and comes back: no stroke is lost."""

import signal
from pathlib import Path

import onnx
import pytest
from playwright.sync_api import Browser, expect

from inkstream.model.checkpoint import sealed
from tests.helpers.command_line import ROOT
from tests.helpers.running_server import server
from tests.helpers.target import Target
from tests.service.web.conftest import OpenPad, address
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

LINES = ROOT / "model" / "weights" / "lines.onnx"
HALF = len(HELLO) // 2
KEYS = "for this test alone: 32 characters"


def serving(weights: Path, port: int = 0) -> Target:
    """Serve `lines` of a folder of weights in another process."""
    flags = ("--port", str(port), "--models", "lines", "--weights", str(weights))
    return Target(*flags, "--resume-keys", KEYS)


def other_weights(folder: Path) -> Path:
    """Return a folder with a net that reads the same, of another digest: no snapshot fits it."""
    net = onnx.load(LINES)
    net.doc_string = "another version"
    del net.metadata_props[-1]  # the seal
    folder.mkdir()
    (folder / "lines.onnx").write_bytes(sealed(net.SerializeToString()))
    return folder


@pytest.fixture(scope="module")
def undisturbed(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the text that the page shows if its server stays."""
    with server(tmp_path_factory.mktemp("weights"), models="lines") as running:
        pad = Pad(browser, address(running), viewport={"width": 1100, "height": 800})
        pad.write(*HELLO, scale=0.6)
        pad.settle()
        text = pad.text
        pad.page.close()
    return text


@pytest.mark.parametrize(
    ("how", "same"),
    [(signal.SIGKILL, True), (signal.SIGTERM, True), (signal.SIGTERM, False)],
    ids=["killed", "stopped", "replaced by another version"],
)
def test_a_word_is_finished_after_its_server_went_away(
    open_pad: OpenPad, tmp_path: Path, undisturbed: str, how: signal.Signals, same: bool
) -> None:
    after = LINES.parent if same else other_weights(tmp_path / "other")
    with serving(LINES.parent) as first:
        pad = open_pad(f"{first.http}/")
        pad.write(*HELLO[:HALF], scale=0.6)
        expect(pad.page.locator("#text button").first).to_be_visible()
        _begin_stroke(pad, HELLO[HALF])
        first.stop(how)
    expect(pad.page.locator("#state-words")).to_have_text("reconnecting")
    _end_stroke(pad, HELLO[HALF])
    pad.write(*HELLO[HALF + 1 :], scale=0.6)
    with serving(after, first.port):
        expect(pad.page.locator("#state-words")).to_have_text("connected")
        pad.settle()
        assert pad.sent[0]["type"] == "resume"
        assert pad.text == undisturbed != ""
        pad.see()
        letters = pad.page.locator("#letters button").all_inner_texts()
        assert pad.text.replace(" ", "") == "".join(letters)
        expect(pad.page.locator("#error")).to_be_hidden()


def test_the_page_opens_and_is_written_on_without_a_server(
    open_pad: OpenPad, tmp_path: Path, undisturbed: str
) -> None:
    kept = "caches.match('web/pad/app.js').then((file) => file !== undefined)"
    with server(tmp_path, models="lines") as first:
        port = first.port
        pad = open_pad(address(first), service_workers="allow")
        while not pad.page.evaluate(kept):
            pad.page.wait_for_timeout(100)
    pad.page.reload()
    expect(pad.page.locator("#intro")).to_be_visible()
    pad.write(*HELLO, scale=0.6)
    pad.page.wait_for_timeout(300)  # until the browser has stored it
    pad.page.reload()
    expect(pad.page.locator("#undo")).to_be_enabled()
    with server(tmp_path, models="lines", port=port):
        expect(pad.page.locator("#text li")).to_have_text(undisturbed)


def _begin_stroke(pad: Pad, stroke: list[list[float]]) -> None:
    """Write the first half of a stroke, and leave the pen on the paper."""
    for number, position in enumerate(pad.positions(stroke, scale=0.6)[: len(stroke) // 2]):
        pad.page.mouse.move(*position)
        if not number:
            pad.page.mouse.down()


def _end_stroke(pad: Pad, stroke: list[list[float]]) -> None:
    for position in pad.positions(stroke, scale=0.6)[len(stroke) // 2 :]:
        pad.page.mouse.move(*position)
    pad.page.mouse.up()
