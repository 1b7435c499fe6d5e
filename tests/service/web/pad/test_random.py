"""Random use of the writing pad in a browser: in the end its document is what its model holds."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.helpers.command_line import EXAMPLES
from tests.helpers.proxies import Switch, switched_proxy
from tests.helpers.running_server import server
from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, DEADLINE_MS, ROW_HEIGHT, Pad
from tests.service.web.pad.pointer import origin
from tests.service.web.pad.test_keeping import FULL

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

SCROLL = """(to) => {
  const paper = document.querySelector("#paper");
  paper.scrollTop = to;
  return paper.scrollTop;
}"""
N_STEPS = 18
N_CUTS = 3
N_ROWS = 3
Lines = dict[int, dict[str, Any]]  # by row: how many strokes, and the text if it was typed


def copied(lines: Lines) -> Lines:
    return {row: dict(line) for row, line in lines.items()}


class Model:
    """What the document should hold, with undo."""

    def __init__(self) -> None:
        self.now: Lines = {}
        self.past: list[Lines] = []
        self.future: list[Lines] = []
        self.numbers = count()

    def commit(self, after: Lines) -> None:
        self.past.append(self.now)
        self.now, self.future = after, []

    def undo(self) -> None:
        if self.past:
            self.future.append(self.now)
            self.now = self.past.pop()

    def redo(self) -> None:
        if self.future:
            self.past.append(self.now)
            self.now = self.future.pop()


def reload(pad: Pad) -> None:
    pad.page.reload()
    expect(pad.page.locator("#paper")).not_to_have_attribute("inert", "")


def write(pad: Pad, model: Model, rng: random.Random) -> None:
    images = [row for row, line in model.now.items() if line["strokes"] == 0]
    row = rng.choice([row for row in range(N_ROWS + len(images)) if row not in images])
    n = model.now.get(row, {"strokes": 0})["strokes"]
    (left, top), scrolled, is_there = origin(pad), 0.0, False
    while not is_there:  # the paper may follow the stroke before meanwhile
        scrolled = float(pad.page.evaluate(SCROLL, (row - 1) * ROW_HEIGHT))
        # From the middle of the row down: such a stroke never belongs to the row above or below.
        x, y = left + 20 + 40 * n, top + row * ROW_HEIGHT + 48 - scrolled
        pad.page.mouse.move(x, y)
        is_there = pad.page.evaluate("document.querySelector('#paper').scrollTop") == scrolled
    pad.page.mouse.down()
    pad.page.mouse.move(x + 4, y + 40, steps=6)
    pad.page.mouse.up()
    after = copied(model.now)
    after.setdefault(row, {"strokes": 0, "typed": None})["strokes"] += 1
    model.commit(after)


def correct(pad: Pad, model: Model, rng: random.Random) -> None:
    """Type another text for a line, if it has just one word."""
    expect(pad.page.locator("#text")).to_have_attribute("aria-busy", "false")
    if not model.now:
        return
    index = rng.randrange(len(model.now))
    words = pad.page.locator("#text li").nth(index).locator("button")
    if words.count() != 1:
        return
    typed = f"word{next(model.numbers)}"
    words.click()
    pad.page.locator("#correct").fill(typed)
    pad.page.get_by_role("button", name="Change").click()
    after = copied(model.now)
    after[sorted(after)[index]]["typed"] = typed
    model.commit(after)


def give_image(pad: Pad, model: Model) -> None:
    """Have the image of a line read, which becomes a line of the document."""
    rows = len(model.now)
    pad.page.locator("#speed").evaluate("(menu) => { menu.value = 'all'; }")
    pad.page.locator("#file").set_input_files(EXAMPLES / "hello.png")
    expect(pad.page.locator("#text li")).to_have_count(rows + 1)
    pad.page.locator("#close-image").click()
    after = copied(model.now)
    after[max(after, default=-1) + 1] = {"strokes": 0, "typed": "hello, world!"}
    model.commit(after)


def take_over(pad: Pad, model: Model) -> None:
    """Go on with the document in another window, and come back."""
    if not model.past and not model.future:
        return
    with pad.page.expect_popup() as popup:
        pad.page.evaluate("void open(location.href)")
    popup.value.get_by_role("button", name="Go on here").click()
    expect(popup.value.locator("#text li")).to_have_count(len(model.now))
    pad.page.get_by_role("button", name="Go on here").click()
    expect(pad.page.locator("#text li")).to_have_count(len(model.now))
    popup.value.close()


def step(pad: Pad, model: Model, rng: random.Random) -> None:
    """Do one random thing on the page and in the model."""
    kind = rng.choice(
        ["write"] * 6
        + [
            "undo",
            "undo",
            "redo",
            "correct",
            "clear",
            "reload",
            "scroll",
            "image",
            "window",
            "full",
        ]
    )
    if kind == "write":
        write(pad, model, rng)
    elif kind == "correct":
        correct(pad, model, rng)
    elif kind == "clear":
        pad.page.get_by_role("button", name="Clear").click()
        if model.now:
            model.commit({})
    elif kind == "reload":
        reload(pad)
    elif kind == "image":
        give_image(pad, model)
    elif kind == "window":
        take_over(pad, model)
    elif kind == "full":
        pad.page.evaluate("window.isFull = true")
        write(pad, model, rng)
        expect(pad.page.locator("#unkept")).to_be_visible()
        pad.page.evaluate("window.isFull = false")
        write(pad, model, rng)
        expect(pad.page.locator("#unkept")).to_be_hidden()
    elif kind == "scroll":
        pad.page.locator("#paper").hover()
        pad.page.mouse.wheel(0, rng.choice([-40, 40]))
    else:
        pad.page.locator("#paper").press("Control+z" if kind == "undo" else "Control+y")
        (model.undo if kind == "undo" else model.redo)()


def stored(pad: Pad) -> Lines:
    """Return the document that is open, as the browser has stored it."""
    data = pad.page.evaluate(
        """() => new Promise((resolve) => {
          indexedDB.open(`inkstream ${location.pathname}`).onsuccess = ({ target }) => {
            const documents = target.result.transaction("documents").objectStore("documents");
            const id = localStorage.getItem(`inkstream open ${location.pathname}`);
            documents.get(id).onsuccess = (event) => resolve(event.target.result ?? { lines: [] });
          };
        })"""
    )
    return {
        line["row"]: {
            "strokes": len(line["strokes"]),
            "typed": line["correction"] and line["correction"]["text"],
        }
        for line in data["lines"]
    }


def check(pad: Pad, model: Model) -> None:
    for _ in range(DEADLINE_MS // 100):  # until it is written
        pad.page.wait_for_timeout(100)
        if (found := stored(pad)) == model.now:
            return
    raise AssertionError(f"stored: {found}, expected: {model.now}")


def use(pad: Pad, model: Model, rng: random.Random) -> None:
    """Do random things while the server is there."""
    expect(pad.page.locator("#state-words")).to_have_text("connected")
    for _ in range(N_STEPS // N_CUTS):
        step(pad, model, rng)


def use_without_server(pad: Pad, model: Model, rng: random.Random) -> None:
    """Write, undo and write while the server is gone."""
    write(pad, model, rng)
    pad.page.keyboard.press("Control+z")
    model.undo()
    write(pad, model, rng)
    check(pad, model)


def run_sequence(
    open_pad: OpenPad, switch: Switch, url: str, ports: Sequence[int], seed: int
) -> None:
    """Do random things while servers come and go; at the end nothing may be lost.

    Connections go through a proxy, which cuts them all and goes on to one of `ports`: where that
    is another server, its client's session is lost.
    """
    rng, model = random.Random(seed), Model()
    switch.to(ports[0])
    pad = open_pad(f"{url}/", FULL)
    for _ in range(N_CUTS):
        use(pad, model, rng)
        switch.to(None)
        use_without_server(pad, model, rng)
        switch.to(rng.choice(ports))
    expect(pad.page.locator("#text")).to_have_attribute("aria-busy", "false")
    reload(pad)
    check(pad, model)
    for item in pad.page.locator("#text li").all():
        expect(item).not_to_have_text("")


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Switch, str, list[int]]]:
    """Run a proxy and two servers behind it while the block runs."""
    with (
        switched_proxy() as (switch, url),
        server(folder, models="lines") as one,
        server(folder, models="lines") as other,
    ):
        yield switch, url, [one.port, other.port]
        switch.to(None)


@pytest.mark.parametrize("seed", range(2))
def test_the_document_is_what_its_model_holds(open_pad: OpenPad, tmp_path: Path, seed: int) -> None:
    with servers(tmp_path) as (switch, url, ports):
        run_sequence(open_pad, switch, url, ports, seed)
