"""The writing pad at 200 % zoom, and by keyboard alone."""

import json
import math
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad

AXE = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"
MAX_TABS = 60  # until the focus has been everywhere
MIN_CONTRAST = 4.5  # of text (WCAG 2.2, 1.4.3)
MIN_DIFFERENCE = 100  # of the colours of e and r, Euclidean, in steps of red, green and blue
# The colours of labels on bars, those of curves, and what stands on the one and behind the other.
COLOURS = """async () => {
  const { labelColour } = await import("./web/pad/ribbon.js");
  const style = getComputedStyle(document.documentElement);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const get = (name) => style.getPropertyValue(name);
  const of = (name) => [...LABELS].map((label) => rgb(labelColour(label, get(name))));
  return {
    ink: rgb(get("--ink")), paper: rgb(get("--paper")),
    bars: of("--bar-lightness"), curves: of("--curve-lightness"),
  };
}"""

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

MAIN_CONTROLS = {
    *("Documents", "image", "Export", "Settings", "paper", "undo", "eraser", "next", "clear"),
    *("hello,", "world!", "copy"),
}


def least_contrast(colour: list[int], others: list[list[int]]) -> float:
    """Return the least contrast of a colour with others, of red, green and blue (WCAG 2.2)."""
    shares = np.array([colour, *others]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    one, *luminances = linear @ (0.2126, 0.7152, 0.0722)
    brighter, darker = np.maximum(one, luminances), np.minimum(one, luminances)
    return float(((brighter + 0.05) / (darker + 0.05)).min())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ribbon_carries_its_letters_and_e_and_r_differ(
    browser: Browser, url: str, scheme: str
) -> None:
    labels = string.ascii_letters + string.digits + string.punctuation + "éüñß"
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    colours = page.evaluate(COLOURS.replace("LABELS", json.dumps(labels)))
    page.close()
    assert least_contrast(colours["ink"], colours["bars"]) >= MIN_CONTRAST
    assert least_contrast(colours["paper"], colours["curves"]) >= MIN_CONTRAST
    for of in (colours["bars"], colours["curves"]):
        assert math.dist(of[labels.index("e")], of[labels.index("r")]) >= MIN_DIFFERENCE


def test_with_reduced_motion_the_example_stands_still(browser: Browser, url: str) -> None:
    page = browser.new_page(reduced_motion="reduce")
    page.goto(url)
    expect(page.locator("#state-words")).to_have_text("connected")
    expect(page.locator("#example-text")).not_to_be_empty()
    before = page.screenshot()
    page.wait_for_timeout(700)
    assert page.screenshot() == before
    page.close()


@pytest.fixture(params=[(640, 400), (512, 384)], ids=["1280 pixels", "1024 pixels"])
def zoomed(request: pytest.FixtureRequest, open_pad: OpenPad, url: str) -> Iterator[Pad]:
    """Open the page at 200 %, which halves the window, and write a line."""
    width, height = request.param
    viewport = {"width": width, "height": height}
    pad = open_pad(url, viewport=viewport, device_scale_factor=2)
    pad.write(*HELLO, scale=0.5)
    pad.settle()
    yield pad
    assert not pad.console_texts


def test_at_200_percent_nothing_is_cut_off(zoomed: Pad) -> None:
    assert zoomed.text == "hello, world!"
    wide = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    assert zoomed.page.evaluate(wide) == 0
    for name in ("Documents", "Image", "Export", "Settings", "Undo", "Eraser", "Copy"):
        button = zoomed.page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_in_viewport(ratio=0.99)
    paper = zoomed.page.locator("#pad").bounding_box()
    assert paper is not None
    assert paper["height"] > 96  # a line and more
    for name, popover in (("Settings", "#settings"), ("Documents", "#documents")):
        zoomed.page.get_by_role("button", name=name).click()
        expect(zoomed.page.locator(popover)).to_be_in_viewport(ratio=0.99)
        zoomed.page.keyboard.press("Escape")
    zoomed.page.locator("#text button").first.click()
    expect(zoomed.page.locator("#word")).to_be_in_viewport(ratio=0.99)


@pytest.mark.needs(AXE.exists())
def test_at_200_percent_the_page_is_accessible(zoomed: Pad) -> None:
    for name in ("Settings", "Documents", "Export"):
        zoomed.page.get_by_role("button", name=name).click()
        zoomed.page.evaluate(AXE.read_text())
        found = zoomed.page.evaluate("axe.run()")
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
        zoomed.page.keyboard.press("Escape")


def focused(pad: Pad) -> str:
    """Return the id of what has the focus, or its text."""
    return str(
        pad.page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
    )


def tab_to(pad: Pad, name: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(MAX_TABS):
        pad.page.keyboard.press("Tab")
        if focused(pad) == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


def test_the_keyboard_alone_reaches_and_operates_the_main_controls(pad: Pad) -> None:
    pad.page.context.grant_permissions(["clipboard-write"])
    press = pad.page.keyboard.press
    tab_to(pad, "example")
    press("Enter")
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    expect(pad.page.locator("#text")).to_have_attribute("aria-busy", "false")
    reached = set()
    for _ in range(MAX_TABS):
        press("Tab")
        reached.add(focused(pad))
    assert reached >= MAIN_CONTROLS

    tab_to(pad, "undo")
    press("Enter")
    expect(pad.page.locator("#text li")).to_have_count(0)
    tab_to(pad, "redo")
    press("Space")
    expect(pad.page.locator("#text li")).to_have_text("hello, world!")
    tab_to(pad, "eraser")
    press("Enter")
    expect(pad.page.locator("#eraser")).to_have_attribute("aria-pressed", "true")

    tab_to(pad, "hello,")
    press("Enter")
    first = pad.page.locator("#choices button").first
    chosen = first.inner_text()
    tab_to(pad, chosen)
    press("Enter")
    expect(pad.page.locator("#text button").first).to_have_text(chosen)

    tab_to(pad, "world!")
    press("Enter")
    tab_to(pad, "correct")
    press("Control+a")
    pad.page.keyboard.type("moon!")
    press("Enter")
    expect(pad.page.locator("#text li")).to_have_text(f"{chosen} moon!")
    expect(pad.page.locator("#word")).to_be_hidden()

    tab_to(pad, "Settings")
    press("Enter")
    tab_to(pad, "reads")
    press("ArrowDown")
    expect(pad.page.locator("#reads")).to_have_value("digit")
    press("Escape")
    expect(pad.page.locator("#settings")).to_be_hidden()
    assert focused(pad) == "Settings"
    tab_to(pad, "copy")
    press("Enter")
    expect(pad.page.locator("#copy")).to_have_text("Copied")

    tab_to(pad, "Documents")
    press("Enter")
    tab_to(pad, "new-document")
    press("Enter")
    expect(pad.page.locator("#intro")).to_be_visible()


def test_the_focus_is_always_seen(pad: Pad) -> None:
    ring = "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
    found = []
    for _ in range(12):
        pad.page.keyboard.press("Tab")
        found.append(pad.page.evaluate(ring))
    in_page = [style for name, style in found if name != "BODY"]
    assert len(in_page) > 8
    assert set(in_page) == {"solid"}


def test_at_400_percent_a_line_is_written_and_read(open_pad: OpenPad, url: str) -> None:
    """A window of 1280 x 1024 pixels has 320 x 256 then (WCAG 2.2, 1.4.10)."""
    pad = open_pad(url, viewport={"width": 320, "height": 256})
    wide = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    assert pad.page.evaluate(wide) == 0
    pad.write(*HELLO[:5], scale=0.6)
    pad.settle()
    expect(pad.page.locator("#text [data-active] button").first).to_be_in_viewport(ratio=0.9)
    for name in ("Documents", "Image", "Export", "Settings", "Copy", "Type", "Select", "Clear"):
        button = pad.page.get_by_role("button", name=name, exact=True)
        button.scroll_into_view_if_needed()
        expect(button).to_be_in_viewport(ratio=0.99)
    assert pad.page.evaluate(wide) == 0
