"""Synthetic pages: a seed gives the same page, and the boxes of lines hold their ink."""

import numpy as np
import pytest

from inkstream.model.evaluation.sheets import Look, any_look, sheet
from tools.pages import PLAIN, line, page


def test_the_same_seed_gives_the_same_page() -> None:
    first, second = page(seed=7), page(seed=7)
    assert (first.image == second.image).all()
    assert all((a.box == b.box).all() for a, b in zip(first.lines, second.lines, strict=True))
    assert (
        page(seed=8).image.shape != first.image.shape or (page(seed=8).image != first.image).any()
    )


@pytest.mark.parametrize(
    "look", [PLAIN, Look("scan", "plain", "black", False, 14.0)], ids=["level", "askew"]
)
def test_all_ink_is_in_the_boxes_of_its_lines(look: Look) -> None:
    made_page = page(look)
    dark = made_page.image.mean(2) < 110
    y, x = np.nonzero(dark)
    inside = np.zeros(len(x), bool)
    for text_line in made_page.lines:
        in_line = np.ones(len(x), bool)
        for start, end in zip(text_line.box, np.roll(text_line.box, -1, 0), strict=True):
            direction = (end - start) / np.hypot(*(end - start))
            in_line &= (y - start[1]) * direction[0] - (x - start[0]) * direction[1] > -2
        assert in_line.any()
        inside |= in_line
    assert inside.mean() > 0.999


def test_labels_are_in_reading_order() -> None:
    made_page = page(n_blocks=2, n_lines=3)
    assert [(line.block, line.label) for line in made_page.lines] == [
        (0, "hello, world!"), (0, "world!"), (0, "world! hello,"),
        (1, "world!"), (1, "world! hello,"), (1, "hello,"),
    ]  # fmt: skip


def test_random_looks_are_of_every_kind() -> None:
    random = np.random.default_rng(0)
    looks = [any_look(random) for _ in range(100)]
    assert {look.take for look in looks} == {"scan", "photo"}
    assert {look.ruling for look in looks} == {"plain", "ruled", "squared"}
    assert {look.pen for look in looks} == {"black", "blue", "faint"}
    assert max(abs(look.skew_deg) for look in looks if look.take == "scan") <= 3
    assert 12 < max(abs(look.skew_deg) for look in looks) <= 15


def test_the_paper_of_a_photo_is_unevenly_lit() -> None:
    photo = sheet([[line(0)] * 4], Look("photo", "plain", "black"), np.random.default_rng(3))
    scan = sheet([[line(0)] * 4], PLAIN, np.random.default_rng(3))
    contrast = [float(np.ptp(np.percentile(image.image, (30, 90)))) for image in (photo, scan)]
    assert contrast[0] > 1.5 * contrast[1]
