"""Made-up paper: always the same page, and its truth lies on its ink."""

import numpy as np
import pytest

from inkstream.model.data.synthesis.paper import Look, any_look, sheet
from tools.pages import PLAIN, line, page


def test_the_same_seed_gives_the_same_page() -> None:
    one, other = page(seed=7), page(seed=7)
    assert (one.image == other.image).all()
    assert all((a.box == b.box).all() for a, b in zip(one.lines, other.lines, strict=True))
    assert page(seed=8).image.shape != one.image.shape or (page(seed=8).image != one.image).any()


@pytest.mark.parametrize(
    "look", [PLAIN, Look("scan", "plain", "black", False, 14.0)], ids=["level", "askew"]
)
def test_all_ink_lies_in_the_boxes_of_its_lines_and_fills_them(look: Look) -> None:
    made = page(look)
    dark = made.image.mean(2) < 110
    y, x = np.nonzero(dark)
    inside = np.zeros(len(x), bool)
    for truth in made.lines:
        own = np.ones(len(x), bool)
        for start, end in zip(truth.box, np.roll(truth.box, -1, 0), strict=True):
            way = (end - start) / np.hypot(*(end - start))
            own &= (y - start[1]) * way[0] - (x - start[0]) * way[1] > -2
        assert own.any()
        inside |= own
    assert inside.mean() > 0.999


def test_labels_stand_in_the_order_in_which_a_page_is_read() -> None:
    made = page(n_blocks=2, n_lines=3)
    assert [(line.block, line.label) for line in made.lines] == [
        (0, "hello, world!"), (0, "world!"), (0, "world! hello,"),
        (1, "world!"), (1, "world! hello,"), (1, "hello,"),
    ]  # fmt: skip


def test_looks_are_of_every_kind() -> None:
    random = np.random.default_rng(0)
    looks = [any_look(random) for _ in range(100)]
    assert {look.take for look in looks} == {"scan", "photo"}
    assert {look.ruling for look in looks} == {"plain", "ruled", "squared"}
    assert {look.pen for look in looks} == {"black", "blue", "faint"}
    assert max(abs(look.skew_deg) for look in looks if look.take == "scan") <= 3
    assert 12 < max(abs(look.skew_deg) for look in looks) <= 15


def test_a_photo_is_darker_somewhere_and_its_paper_is_not_even() -> None:
    photo = sheet([[line(0)] * 4], Look("photo", "plain", "black"), np.random.default_rng(3))
    scan = sheet([[line(0)] * 4], PLAIN, np.random.default_rng(3))
    spread = [float(np.ptp(np.percentile(made.image, (30, 90)))) for made in (photo, scan)]
    assert spread[0] > 1.5 * spread[1]
