"""Fields that can only be one thing: dates, read through a pattern and without it."""

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.checkpoint import Checkpoint
from model.data.inkset import InkSet
from model.data.line_batches import MADE_FRAME, Drawn
from model.data.lines import LineMaker, MadeLine, Recipe
from model.data.pen import fit, frame_of
from model.data.split import Part, parts
from model.data.words import DIGITS
from model.ink import PEN_WIDTH, rasterise
from model.language.hints import Hints
from model.line_reading import Reader
from model.report.material import NO_ENDS
from model.report.measures import errors

SEPARATORS: Final = "./-"
# Of dates with a separator: what they look like, and what they may be.
LOOK: Final = "[0-9]{{2}}{0}[0-9]{{2}}{0}[0-9]{{4}}"
DATE: Final = "(0[1-9]|[12][0-9]|3[01]){0}(0[1-9]|1[0-2]){0}(19|20)[0-9]{{2}}"
DATES_EACH: Final = 20  # of each writer with each separator
DAYS: Final = 73_049  # from the beginning of 1900 to the end of 2099
FIRST: Final = np.datetime64("1900-01-01")
NOTHING_DRAWN: Final = Recipe(spelt=0, words=0, numbers=0, random=0)  # dates are told what to be
SEED: Final = 0


def dates(checkpoint: Checkpoint, ink: InkSet, part: Part) -> dict[str, Any]:
    """Errors in dates, each spelt of one writer's own digits and marks.

    With nothing known, with what they are made of as `characters`, and with two patterns.
    """
    config = checkpoint.metadata.config
    separators = [mark for mark in SEPARATORS if mark in config.labels]
    made = _written(ink, parts(ink)[part], separators)
    lines = [_drawn(line, config.column_height) for line in made]
    found: dict[str, Any] = {"writers": len({line.writer for line in made})}
    for name in ("nothing", "characters", "look", "date"):
        texts: list[str] = []
        labels: list[str] = []
        for separator in separators:
            own = [line for line in lines if separator in line.label]
            pattern = {"look": LOOK, "date": DATE}.get(name)
            hints = Hints(pattern=pattern and pattern.format(re.escape(separator)))
            characters = "".join(sorted(DIGITS)) + separator if name == "characters" else None
            readings = Reader(checkpoint, hints).read(own, characters)
            texts += [reading.text for reading in readings]
            labels += [reading.line.label for reading in readings]
        found[name] = errors(texts, labels)
    return found


def _written(
    ink: InkSet, indices: NDArray[np.int64], separators: Sequence[str]
) -> Sequence[MadeLine]:
    """Days drawn at random, by everyone who wrote all digits and a separator."""
    maker, random = LineMaker(ink, indices, NOTHING_DRAWN), np.random.default_rng(SEED)
    made = []
    for separator in separators:
        for writer in maker.writers(DIGITS | {separator}):
            for day in random.integers(DAYS, size=DATES_EACH).tolist():
                year, month, date = str(FIRST + np.timedelta64(day, "D")).split("-")
                made.append(maker.write(separator.join((date, month, year)), writer, random))
    return made


def _drawn(line: MadeLine, column_height: int) -> Drawn:
    """A made-up line as it is, in rows."""
    fitted = fit(line.points, frame_of(line.points, MADE_FRAME), column_height)
    columns = rasterise(fitted, line.stroke_starts, column_height, PEN_WIDTH)
    return Drawn(columns, line.label, NO_ENDS)
