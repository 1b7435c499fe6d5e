"""Training configurations: their ranges and their digest."""

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from inkstream.model.errors import ConfigError, DataError
from inkstream.model.training import config as configuration
from inkstream.model.training.config import (
    PRESETS,
    RECIPES,
    TEACHER,
    DigitsConfig,
    LinesConfig,
    Optimiser,
    TrainingConfig,
    find_sources,
)

NUMBERS = [
    (config, field)
    for config in (DigitsConfig(), LinesConfig())
    for field in dataclasses.fields(config)
    if "least" in field.metadata
]


def with_value(config: TrainingConfig, name: str, value: Any) -> TrainingConfig:
    return dataclasses.replace(config, **{name: value})


@pytest.mark.parametrize(("config", "field"), NUMBERS)
def test_an_option_allows_both_ends_of_its_range_and_nothing_beyond(
    config: TrainingConfig, field: "dataclasses.Field[float]"
) -> None:
    least, most = field.metadata["least"], field.metadata["most"]
    for value in (least, most):
        assert getattr(with_value(config, field.name, value), field.name) == value
    for value in (least - 1, most * 2 + 1, math.nan):
        with pytest.raises(ConfigError, match=f"{field.name} is .*, allowed: "):
            with_value(config, field.name, value)


def test_each_option_is_part_of_the_digest_however_its_number_is_written() -> None:
    digests = {preset.digest for preset in PRESETS.values()}
    for config, field in NUMBERS:
        digests.add(with_value(config, field.name, 0.75 * field.metadata["most"]).digest)
    assert len(digests) == len(PRESETS) + len(NUMBERS)
    assert LinesConfig(words=3).digest == LinesConfig(words=3.0).digest


def test_every_recipe_is_read_and_its_options_are_the_presets() -> None:
    assert {file.stem for file in RECIPES.iterdir()} == PRESETS.keys() | {TEACHER.task}
    for name, preset in {**PRESETS, TEACHER.task: TEACHER}.items():
        options = tomllib.loads((RECIPES / f"{name}.toml").read_text())["options"]
        assert {option: getattr(preset, option) for option in options} == options
        fields = {field.name: field for field in dataclasses.fields(preset)}
        assert all(fields[option].metadata["help"] for option in fields.keys() - {"task"})
        assert preset.optimiser in get_args(Optimiser)


def test_the_files_of_a_recipe_are_found_at_any_depth_and_missing_ones_named(
    tmp_path: Path,
) -> None:
    archive, pen = tmp_path / "unipen-train.tar.xz", tmp_path / "a" / "b" / "pen-digits.jsonl.xz"
    archive.touch()
    with pytest.raises(DataError, match=f"{archive} is no folder"):
        find_sources("lines", archive)
    with pytest.raises(DataError, match=f"{tmp_path} has no {pen.name}, which the recipe of digi"):
        find_sources("digits", tmp_path)
    pen.parent.mkdir(parents=True)
    pen.touch()
    assert find_sources("digits", tmp_path) == {"unipen": [archive], "pen": [pen]}


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("hold = 2", r"hold is 2, allowed: 0\.\.1"),
        ("height = 2", "the recipe of lines has the option height, allowed: .*column_height, .*"),
    ],
)
def test_an_unknown_option_of_a_recipe_and_a_value_out_of_its_range_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, complaint: str
) -> None:
    (tmp_path / "lines.toml").write_text(f'task = "lines"\n[options]\n{option}\n')
    monkeypatch.setattr(configuration, "RECIPES", tmp_path)
    with pytest.raises(ConfigError, match=complaint):
        LinesConfig.of_recipe("lines")
