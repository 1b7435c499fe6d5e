"""The document is printed whole, each line with its text beneath."""

import json
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from playwright.sync_api import expect

from tests.service.web.pad.pad_page import CHROMIUM, HELLO, Pad

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM)]

N_LINES = 21


def test_all_lines_are_printed_with_their_text_on_several_pages(pad: Pad, tmp_path: Path) -> None:
    line = json.dumps({"label": "", "height": 240, "strokes": HELLO})
    (tmp_path / "ink.jsonl").write_text(f"{line}\n" * N_LINES)
    pad.page.locator("#file").set_input_files(tmp_path / "ink.jsonl")
    expect(pad.page.locator("#text li")).to_have_text(["hello, world!"] * N_LINES)
    pad.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    pages = pypdfium2.PdfDocument(pad.page.pdf(format="A4"))
    assert 1 < len(pages) < 8
    texts = [page.get_textpage().get_text_bounded() for page in pages]
    assert sum(text.count("hello, world!") for text in texts) == N_LINES
    for page, text in zip(pages, texts, strict=True):
        ink = np.asarray(page.render(scale=1).to_pil().convert("L")) < 128  # [h, w]
        rows = np.flatnonzero(ink.any(1))
        lines = text.count("hello, world!")
        # The ink of a line is higher than its text: without it, fewer rows would be dark.
        assert len(rows) > 30 * lines
        assert not ink[:, -10:].any()  # nothing is cut off at the right
