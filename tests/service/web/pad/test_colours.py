"""Ink has three colours, pressure and time, which exports keep."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from inkstream.model.preprocess import inkml
from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, Pad
from tests.service.web.pad.pointer import Pointer, draw

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

COLOURS = {"black": "#1b2430", "blue": "#2257d6", "red": "#b42318"}  # on white paper
N_POINTS = 12


def ink_button(pad: Pad) -> Callable[[], None]:
    return pad.page.get_by_role("button", name="Ink: ").click


def exported(pad: Pad, name: str, path: Path) -> Path:
    pad.page.get_by_role("button", name="Export").click()
    pad.page.locator("#export details").evaluate("(details) => { details.open = true; }")
    with pad.page.expect_download() as download:
        pad.page.locator("#export").get_by_role("button", name=name, exact=True).click()
    download.value.save_as(path)
    pad.page.keyboard.press("Escape")
    return path


@pytest.fixture
def coloured(open_pad: OpenPad, url: str) -> Pad:
    """Return the pad with a bent stroke of each colour, and a dark one by a pen."""
    pad = open_pad(url)
    for number in range(len(COLOURS)):
        x = 30.0 + 60 * number
        draw(pad, (x, 20), (x + 20, 70), (x + 35, 30), steps=N_POINTS // 2)
        ink_button(pad)()
    pen = Pointer(pad)
    for number in range(N_POINTS):
        kind = "Pressed" if number == 0 else "Moved"
        pen.pen(kind, 250 + number, 20 + 4 * number, force=(number + 1) / 16)
    pen.pen("Released", 250 + N_POINTS, 20 + 4 * N_POINTS)
    pad.wait_for_strokes(len(COLOURS) + 1)
    return pad


def test_colours_pressure_and_time_are_in_inkml_and_come_back(
    coloured: Pad, open_pad: OpenPad, url: str, tmp_path: Path
) -> None:
    path = exported(coloured, "Ink (InkML)", tmp_path / "a.inkml")
    (group,) = inkml.read(path.read_bytes())
    assert len(group.strokes) == len(COLOURS) + 1
    assert np.allclose(group.strokes[0][0], (30, 20), atol=1)
    values = re.findall(r'<trace brushRef="#(\w+)">(.*?)</trace>', path.read_text())
    assert [colour for colour, _ in values] == [*COLOURS, "black"]
    for _, points in values:
        times = [int(point.partition(":")[2]) for point in points.split(",")]
        assert times[0] == 0
        assert times == sorted(times)
    forces = [float(point.split()[2].partition(":")[0]) for point in values[-1][1].split(",")]
    assert np.allclose(forces[1:10], [number / 16 for number in range(2, 11)], atol=0.01)

    other = open_pad(url)
    other.page.locator("#file").set_input_files(path)
    other.wait_for_strokes(len(COLOURS) + 1)
    again = exported(other, "Ink (InkML)", tmp_path / "b.inkml").read_text()
    without_place = r"[-\d.]+ [-\d.]+ ([\d.]+:\d+)"
    traces = re.findall(r"<trace.*?</trace>", path.read_text())
    assert traces
    assert [re.sub(without_place, r"\1", trace) for trace in traces] == [
        re.sub(without_place, r"\1", trace) for trace in re.findall(r"<trace.*?</trace>", again)
    ]


def test_colours_and_curves_are_in_drawings_and_images(coloured: Pad, tmp_path: Path) -> None:
    drawing = exported(coloured, "Drawing", tmp_path / "a.svg").read_text()
    paths = re.findall(r'<path stroke="(#\w+)" d="([^"]+)"', drawing)
    assert [colour for colour, _ in paths] == [*COLOURS.values(), COLOURS["black"]]
    assert all("Q" in path for _, path in paths)
    image = np.asarray(Image.open(exported(coloured, "Image", tmp_path / "a.png")).convert("RGB"))
    for colour in COLOURS.values():
        channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(image.astype(int) - channels).max(axis=2) < 4).sum() > 50


def test_a_colour_outlives_a_reload_and_undo(coloured: Pad, tmp_path: Path) -> None:
    coloured.page.wait_for_timeout(300)  # until the browser has stored it
    coloured.page.reload()
    expect(coloured.page.locator("#paper")).not_to_have_attribute("inert", "")
    for key in ("Control+z", "Control+z", "Control+y"):
        coloured.page.keyboard.press(key)
    drawing = exported(coloured, "Drawing", tmp_path / "a.svg").read_text()
    assert re.findall(r'<path stroke="(#\w+)"', drawing) == list(COLOURS.values())
