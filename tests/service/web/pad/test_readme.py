"""README's JavaScript example runs in the browser's console."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.helpers.running_server import server
from tools.figures import ROOT

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text()
README_ADDRESS = "127.0.0.1:8000"


def test_the_example_runs_in_the_console(browser: Browser, tmp_path: Path) -> None:
    blocks = re.findall(r"```js\n(.*?)```", README, re.DOTALL)
    (example,) = (block for block in blocks if "new WebSocket" in block)
    (address,) = re.findall(r"In the console of (http://\S+)", README)
    logged: list[str] = []
    with server(tmp_path, models="digits,lines") as running:
        actual = f"127.0.0.1:{running.port}"
        page = browser.new_page()
        page.goto(address.replace(README_ADDRESS, actual))
        page.on("console", lambda message: logged.append(message.text))
        with page.expect_console_message(lambda message: '"done"' in message.text):
            page.evaluate(f"() => {{ {example.replace(README_ADDRESS, actual)} }}")
        page.close()
    kinds = [json.loads(text)["type"] for text in logged]
    assert kinds == ["ready", *["result"] * 28, "done"]
    assert json.loads(logged[-1])["label"] == "1"
