"""The element `<ink-pad>` in pages of another origin.

The first page is the example for users, which brings a strict content security policy along.
"""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from inkstream.service.web import WEB
from tests.helpers.command_line import EXAMPLES
from tests.helpers.running_server import Running, server
from tests.service.web.pad.pad_page import CHROMIUM, EXAMPLE_HEIGHT, HELLO

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

EXAMPLE = EXAMPLES / "ink-pad.html"
ROW_HEIGHT = 120.0  # of the field, without its border
AXE = Path(sys.prefix) / "npm" / "node_modules" / "axe-core" / "axe.min.js"
TEXT = "hello, world!"
CLIENT = WEB / "client"
FRAMEWORKS = Path(sys.prefix) / "frameworks" / "node_modules"  # where `make` installs them
NODE = shutil.which("node")
VITE = """
import vue from "@vitejs/plugin-vue";
import { svelte } from "@sveltejs/vite-plugin-svelte";
const isCustomElement = (tag) => tag === "ink-pad";
export default {
  logLevel: "warn",
  plugins: [vue({ template: { compilerOptions: { isCustomElement } } }), svelte()],
  resolve: { alias: { "inkstream/ink-pad": "CLIENT/ink_pad.js" }, preserveSymlinks: true },
};
"""
MOUNT = {  # the language of an example in the README, and how a program shows it
    "jsx": """import { createRoot } from "react-dom/client"; import { createElement } from "react";
        createRoot(document.body).render(createElement(Note));""",
    "vue": 'import { createApp } from "vue"; createApp(Note).mount(document.body);',
    "svelte": 'import { mount } from "svelte"; mount(Note, { target: document.body });',
}
Stroke = list[tuple[float, float]]


@contextmanager
def files_of(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; yield the origin."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


class Field:
    """A page with a form, whose first `<ink-pad>` is written in, and its events."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.sent: list[str] = []
        page.on("websocket", lambda socket: socket.on("framesent", self._keep))
        page.goto(url)
        self.pad = page.locator("ink-pad").first
        self.paper = self.pad.locator("canvas")
        self.text = self.pad.get_by_role("textbox")
        self.pad.evaluate(
            """(pad) => {
              window.events = [];
              const note = ({ type, target }) => events.push([type, target.value]);
              for (const kind of ["input", "change"]) pad.addEventListener(kind, note);
            }"""
        )
        self._devtools = page.context.new_cdp_session(page)

    def _keep(self, text: str | bytes) -> None:
        if isinstance(text, str):
            self.sent.append(text)

    @property
    def value(self) -> str:
        return str(self.get("value"))

    def get(self, name: str) -> Any:
        return self.pad.evaluate("(pad, name) => pad[name]", name)

    def events(self) -> list[list[str]]:
        return list(self.page.evaluate("events.splice(0)"))

    def strokes(self, row: int = 0) -> list[Stroke]:
        """Return where the strokes of the example lie in the window."""
        box = self.paper.bounding_box()
        assert box is not None
        size = 0.8 * ROW_HEIGHT / EXAMPLE_HEIGHT
        left, top = box["x"] + 20, box["y"] + 6 + row * ROW_HEIGHT
        return [[(left + size * x, top + size * y) for x, y in stroke] for stroke in HELLO]

    def write(self, *strokes: Stroke) -> None:
        """Write with the mouse, by default the example."""
        for stroke in strokes or self.strokes():
            for number, position in enumerate(stroke):
                self.page.mouse.move(*position)
                if not number:
                    self.page.mouse.down()
            self.page.mouse.up()

    def touch(self, kind: str, *fingers: tuple[float, float], radius: float = 10) -> None:
        """Let fingers "Start", "Move" or "End"."""
        points = [
            {"x": x, "y": y, "id": number, "radiusX": radius, "radiusY": radius}
            for number, (x, y) in enumerate(fingers)
        ]
        event: dict[str, Any] = {"type": f"touch{kind}", "touchPoints": points}
        self._devtools.send("Input.dispatchTouchEvent", event)

    def pen(self, stroke: Stroke) -> None:
        for number, (x, y) in enumerate([*stroke, stroke[-1]]):
            kind = "Released" if number == len(stroke) else "Moved" if number else "Pressed"
            position = {"x": x, "y": y, "button": "left", "buttons": 1}
            event = {"type": f"mouse{kind}", "pointerType": "pen", "clickCount": 1}
            self._devtools.send("Input.dispatchMouseEvent", position | event)

    def submit(self) -> dict[str, list[str]]:
        """Submit the form; return what the server gets."""
        with self.page.expect_navigation(url="**?*"):
            self.page.get_by_role("button", name="Send").click()
        return parse_qs(urlsplit(self.page.url).query, keep_blank_values=True)


OpenField = Callable[..., Field]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Running]]:
    """Serve pages of another origin, and a server that allows it."""
    folder = tmp_path_factory.mktemp("pages")
    with files_of(folder) as origin:
        weights = tmp_path_factory.mktemp("weights")
        with server(weights, models="lines,digits", origins=(origin,)) as running:
            yield folder, origin, running


@pytest.fixture
def open_field(browser: Browser, pages: tuple[Path, str, Running]) -> Iterator[OpenField]:
    folder, origin, running = pages
    page = browser.new_page(has_touch=True)

    def opened(attributes: str = "", script: str = "") -> Field:
        url = f"http://127.0.0.1:{running.port}"
        (folder / "form.html").write_text(
            f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>A form</title>
            <script type="module">
              import {{ InkPad }} from "{url}/web/client/ink_pad.js";
              {script}
            </script>
            <main><h1>A form</h1><form><fieldset><legend>Address</legend>
            <label for="city">City</label>
            <ink-pad id="city" name="city" server="{url}" {attributes}></ink-pad></fieldset>
            <button name="go" value="1">Send</button>
            <button type="reset">Reset</button></form></main>"""
        )
        field = Field(page, f"{origin}/form.html")
        expect(field.text).to_be_attached()
        return field

    yield opened
    page.close()


def test_a_foreign_page_embeds_the_element(
    browser: Browser, pages: tuple[Path, str, Running]
) -> None:
    folder, origin, running = pages
    text = EXAMPLE.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{running.port}")
    (folder / "index.html").write_text(text)
    page = browser.new_page()
    violations: list[str] = []
    page.on("console", lambda message: violations.append(message.text))
    field = Field(page, origin)
    field.write()
    expect(page.locator("output")).to_have_text(TEXT)
    field.page.evaluate("document.querySelector('ink-pad').clear()")
    expect(page.locator("output")).to_have_text("")
    assert [text for text in violations if "favicon" not in text] == []
    page.close()


def test_what_was_written_is_submitted_even_if_it_is_not_read_yet(open_field: OpenField) -> None:
    field = open_field("required")
    field.write()
    assert field.submit() == {"city": [TEXT], "go": ["1"]}


def test_the_page_hears_of_the_text_as_an_input_tells_it(open_field: OpenField) -> None:
    field = open_field()
    field.write()
    expect(field.pad.get_by_text("World!", exact=True)).to_be_visible()
    *inputs, last = field.events()
    assert {kind for kind, _ in inputs} == {"input"}
    assert last == ["change", TEXT]
    undo = field.pad.get_by_role("button", name="Undo")
    field.pad.evaluate("(pad) => { pad.value = pad.value; }")
    expect(undo).to_be_visible()  # the ink is kept
    field.pad.evaluate("(pad) => { pad.value = 'Rome'; }")
    expect(undo).to_be_hidden()
    expect(field.text).to_have_value("Rome")
    assert field.events() == []  # the page itself knows


def test_another_reading_is_chosen_and_taken_back(open_field: OpenField) -> None:
    field = open_field()
    field.write()
    group = field.pad.get_by_role("group", name="Other readings")
    candidates = group.get_by_role("button")
    expect(candidates).to_have_count(3)
    field.events()
    group.get_by_text("World!", exact=True).click()
    assert field.events() == [["input", "hello, World!"], ["change", "hello, World!"]]
    field.pad.get_by_role("button", name="Undo").click()
    expect(candidates).to_have_count(3)
    field.pad.get_by_role("button", name="Clear").click()
    assert (field.value, field.events()[-1]) == ("", ["change", ""])
    field.pad.get_by_role("button", name="Undo").click()
    expect(field.text).to_have_value(TEXT)


@pytest.mark.parametrize("key", ["button", "Control+z"])
def test_the_newest_stroke_is_taken_back(open_field: OpenField, key: str) -> None:
    field = open_field()
    field.write()
    expect(field.text).to_have_value(TEXT)
    for _ in range(2):  # of the exclamation mark
        if key == "button":
            field.pad.get_by_role("button", name="Undo").click()
        else:
            field.page.keyboard.press(key)
    expect(field.text).to_have_value(TEXT[:-1])


def test_the_keyboard_reaches_the_field_and_fills_it(open_field: OpenField) -> None:
    field = open_field()
    field.page.keyboard.press("Tab")
    expect(field.pad).to_be_focused()
    assert field.pad.evaluate("(pad) => getComputedStyle(pad).outlineStyle") == "solid"
    field.page.keyboard.type("Rome")
    assert field.events()[-1] == ["input", "Rome"]
    with field.page.expect_navigation(url="**?*"):
        field.page.keyboard.press("Enter")
    assert field.page.url.endswith("?city=Rome&go=1")


def test_the_label_names_the_field_and_focuses_it(open_field: OpenField) -> None:
    field = open_field()
    field.page.get_by_text("City").click()
    expect(field.pad).to_be_focused()
    expect(field.page.get_by_role("textbox", name="City")).to_be_focused()


def test_ink_follows_what_was_typed(open_field: OpenField) -> None:
    field = open_field('value="Dear John,"')
    field.write()
    expect(field.text).to_have_value(f"Dear John, {TEXT}")
    field.page.get_by_role("button", name="Reset").click()
    assert field.submit()["city"] == ["Dear John,"]


@pytest.mark.parametrize(
    ("attributes", "typed", "flag"),
    [
        ("required", "", "valueMissing"),
        ("pattern='[A-Z]{2}'", "ab", "patternMismatch"),
        ("pattern='[A-Z]{2}'", "AB", ""),
        ("required readonly", "", ""),
        ("required disabled", "", ""),
    ],
)
def test_the_value_is_checked_as_that_of_an_input(
    open_field: OpenField, attributes: str, typed: str, flag: str
) -> None:
    field = open_field(attributes)
    if typed:
        field.text.fill(typed)
    assert field.pad.evaluate("(pad) => pad.reportValidity()") == (flag == "")
    if flag == "":
        assert field.submit().get("city") == (None if "disabled" in attributes else [typed])
    else:
        assert field.pad.evaluate("(pad, flag) => pad.validity[flag]", flag)
        assert field.get("validationMessage")
        expect(field.pad).to_be_focused()


@pytest.mark.parametrize("attribute", ["readonly", "disabled"])
def test_a_field_that_is_closed_is_not_written_in(open_field: OpenField, attribute: str) -> None:
    field = open_field("value='Rome'")
    field.pad.evaluate(
        "(pad, name) => (name === 'readonly' ? pad : pad.parentNode).setAttribute(name, '')",
        attribute,
    )
    field.write()
    expect(field.text).not_to_be_editable()
    assert (field.value, field.sent) == ("Rome", [])


def test_a_second_finger_writes_nothing(open_field: OpenField) -> None:
    field = open_field()
    for first, *more in field.strokes():
        field.touch("Start", first)
        for position in more:
            field.touch("Move", position, (700, 150 + position[0] % 7))
        field.touch("End")
    expect(field.text).to_have_value(TEXT)


def test_palms_write_nothing(open_field: OpenField) -> None:
    field = open_field()
    field.touch("Start", (500, 80), radius=40)
    field.touch("End")
    field.touch("Start", (500, 80))  # before the pen
    for stroke in field.strokes():
        field.pen(stroke)
    field.touch("End")
    field.touch("Start", (500, 80))  # after it
    field.touch("Move", (600, 120))
    field.touch("End")
    expect(field.text).to_have_value(TEXT)


def test_nothing_is_selected_or_dragged_by_the_pen(open_field: OpenField) -> None:
    field = open_field()
    field.page.keyboard.press("Control+a")
    field.write()
    expect(field.text).to_have_value(TEXT)


def test_lines_are_written_below_each_other(open_field: OpenField) -> None:
    field = open_field("multiline rows=2")
    field.write(*field.strokes(0), *field.strokes(1))
    expect(field.text).to_have_value(f"{TEXT}\n{TEXT}")
    field.page.keyboard.press("Control+z")
    field.page.keyboard.press("Control+z")
    expect(field.text).to_have_value(f"{TEXT}\n{TEXT[:-1]}")
    assert field.submit()["city"] == [f"{TEXT}\r\n{TEXT[:-1]}"]


def test_writing_that_goes_on_after_a_pause_is_read_as_if_there_was_none(
    open_field: OpenField,
) -> None:
    field = open_field()
    strokes = field.strokes()
    field.write(*strokes[:3])
    expect(field.text).not_to_have_value("")
    field.page.wait_for_function("events.some(([kind]) => kind === 'change')")
    field.write(*strokes[3:])
    expect(field.text).to_have_value(TEXT)


def test_a_pattern_and_a_keyboard_of_digits_are_hints(open_field: OpenField) -> None:
    field = open_field("pattern='[0-9]{2}' inputmode=numeric language=english")
    field.write()
    expect(field.text).to_have_value(re.compile("^[0-9]{2}$"))
    hints: dict[str, Any] = {}
    for message in map(json.loads, field.sent):
        hints |= message if message["type"] == "configure" else {}
    wanted = {"characters": "0123456789", "pattern": "[0-9]{2}", "language": "english"}
    assert hints | wanted == hints
    assert field.pad.evaluate("(pad) => pad.checkValidity()")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://["])
def test_ink_that_no_server_reads_is_not_submitted(open_field: OpenField, address: str) -> None:
    field = open_field("", "InkPad.strings.unread = 'Nicht gelesen';")
    url = field.pad.get_attribute("server")
    set_server = "(pad, address) => pad.setAttribute('server', address)"
    field.pad.evaluate(set_server, address)
    field.write()
    field.page.get_by_role("button", name="Send").click()
    field.page.wait_for_function("document.querySelector('ink-pad').validity.customError")
    assert field.get("validationMessage") == "Nicht gelesen"
    field.pad.evaluate(set_server, url)
    expect(field.text).to_have_value(TEXT)
    field.text.fill("Rome")
    assert field.submit()["city"] == ["Rome"]


def test_all_words_can_be_replaced(open_field: OpenField) -> None:
    field = open_field("", "Object.assign(InkPad.strings, { undo: 'Zurück', clear: 'Leeren' });")
    field.write(field.strokes()[0])
    expect(field.pad.get_by_role("button")).to_contain_text(["Zurück", "Leeren"])


def test_the_field_has_no_faults_that_a_checker_finds(open_field: OpenField) -> None:
    field = open_field()
    field.write()
    expect(field.pad.get_by_role("button")).to_have_count(5)
    field.page.add_script_tag(path=AXE)
    violations = field.page.evaluate("async () => (await axe.run()).violations")
    assert violations == []


@pytest.mark.needs(NODE and FRAMEWORKS.exists())
@pytest.mark.parametrize("kind", MOUNT)
def test_frameworks_bind_the_value(
    browser: Browser, pages: tuple[Path, str, Running], tmp_path: Path, kind: str
) -> None:
    folder, origin, running = pages
    readme = (CLIENT / "README.md").read_text()
    (example,) = re.findall(rf"```{kind}\n(.*?)```", readme, re.DOTALL)
    port = f"127.0.0.1:{running.port}"
    (tmp_path / f"Note.{kind}").write_text(example.replace("127.0.0.1:8000", port))
    (tmp_path / "main.js").write_text(f'import Note from "./Note.{kind}"; {MOUNT[kind]}')
    (tmp_path / "index.html").write_text('<body><script type="module" src="/main.js"></script>')
    (tmp_path / "vite.config.js").write_text(VITE.replace("CLIENT", str(CLIENT)))
    (tmp_path / "node_modules").symlink_to(FRAMEWORKS)
    vite = [str(NODE), str(FRAMEWORKS / "vite" / "bin" / "vite.js"), "build"]
    command = [*vite, "--base", f"/{kind}", "--outDir", str(folder / kind)]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = browser.new_page()
    field = Field(page, f"{origin}/{kind}/")
    field.write()
    expect(page.locator("label")).to_contain_text(TEXT)
    expect(field.pad.get_by_role("button")).to_have_count(5)  # the ink is kept
    field.text.fill("Rome")
    expect(page.locator("label")).to_contain_text("Rome")
    page.close()
