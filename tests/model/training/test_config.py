"""Knobs: their ranges and their digest."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from inkstream.model.errors import ConfigError
from inkstream.model.training.config import PRESETS, ImageKnobs, Knobs, LineKnobs, Place

NUMBERS = [
    (knobs, field)
    for knobs in (ImageKnobs(), LineKnobs())
    for field in dataclasses.fields(knobs)
    if field.metadata
]


def turned(knobs: Knobs, name: str, value: Any) -> Knobs:
    return dataclasses.replace(knobs, **{name: value})


@pytest.mark.parametrize(("knobs", "field"), NUMBERS)
def test_a_knob_takes_both_ends_of_its_range_and_nothing_beyond(
    knobs: Knobs, field: "dataclasses.Field[float]"
) -> None:
    least, most = field.metadata["least"], field.metadata["most"]
    for value in (least, most):
        assert getattr(turned(knobs, field.name, value), field.name) == value
    for value in (least - 1, most * 2 + 1, math.nan):
        with pytest.raises(ConfigError, match=f"{field.name} is .*, allowed: "):
            turned(knobs, field.name, value)


def test_every_number_has_its_words() -> None:
    assert all(field.metadata["words"] for _, field in NUMBERS)


def test_each_knob_is_part_of_the_digest() -> None:
    digests = {preset.digest for preset in PRESETS.values()}
    for knobs, field in NUMBERS:
        digests.add(turned(knobs, field.name, 0.75 * field.metadata["most"]).digest)
    assert len(digests) == len(PRESETS) + len(NUMBERS)


def test_a_height_that_the_convolutions_cannot_halve_is_refused() -> None:
    with pytest.raises(ConfigError, match="column_height is 36, allowed: multiples of 8"):
        LineKnobs(column_height=36)


def test_how_a_number_is_written_is_no_part_of_the_digest() -> None:
    assert LineKnobs(words=3).digest == LineKnobs(words=3.0).digest


@pytest.mark.parametrize(
    "values", [{"minutes": 0}, {"minutes": -1}, {"minutes": math.nan}, {"threads": -1}]
)
def test_a_place_that_cannot_be_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        Place(run=Path("runs"), **values)  # type: ignore[arg-type]  # several fields' values
