"""Words and lines of test writers on the pad: its text is the one that the Python client gets."""

import pytest
from playwright.sync_api import expect

from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.data.sources import unipen
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from tests.helpers.running_server import Running
from tests.service.web.conftest import OpenPad
from tests.service.web.pad.pad_page import CHROMIUM, Pad
from tools.pad import LINE_COLUMNS, PHONE_COLUMNS, PROBE, SCREEN, ink_of, write_each
from tools.pad import ink_of_test_writers as read_ink
from tools.pad_pictures import PHONE

UNIPEN = unipen.cache_folder() / "unipen.npz"

pytestmark = [pytest.mark.slow, pytest.mark.needs(CHROMIUM), pytest.mark.needs(UNIPEN.exists())]


@pytest.fixture(scope="module")
def ink() -> EvaluationSet:
    return read_ink()


@pytest.fixture
def desktop(open_pad: OpenPad, url: str) -> Pad:
    return open_pad(url, PROBE, viewport=SCREEN)


@pytest.fixture
def phone(open_pad: OpenPad, url: str) -> Pad:
    return open_pad(url, PROBE, viewport=PHONE, has_touch=True)


def test_lines_have_the_text_that_the_python_client_gets(
    running: Running, desktop: Pad, ink: EvaluationSet
) -> None:
    lines = ink_of(ink, TEXT, LINE_COLUMNS)[:2]
    assert write_each(running, desktop, lines, ink.column_height).n_same == 2


def test_words_on_a_phone_have_the_text_that_the_python_client_gets(
    running: Running, phone: Pad, ink: EvaluationSet
) -> None:
    words = ink_of(ink, WORDS, PHONE_COLUMNS)[:3]
    assert write_each(running, phone, words, ink.column_height).n_same == 3


def test_lines_below_each_other_on_a_phone_are_read_one_by_one(
    running: Running, phone: Pad, ink: EvaluationSet
) -> None:
    first, second = ink_of(ink, WORDS, PHONE_COLUMNS)[3:5]
    alone = []
    for word in (first, second):
        write_each(running, phone, [word], ink.column_height)
        alone.append(phone.text)
    phone.page.get_by_role("button", name="Clear").click()
    phone.write_at_speed(first, ink.column_height)
    phone.page.get_by_role("button", name="New line").click()
    phone.write_at_speed(second, ink.column_height, row=1)
    expect(phone.page.locator("#text li")).to_have_text(alone)
