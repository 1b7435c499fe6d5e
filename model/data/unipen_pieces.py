"""Segments and the ink that they name -> pieces: cut, turned so that y grows down, collected."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.data.inkset import CATEGORIES, STYLES, InkSet, spread
from model.data.unipen_census import Census, PieceKey, WhyKey
from model.data.unipen_format import Header, Page, Segment
from model.data.unipen_labels import UnfitLabelError, clean, letters_of_points
from model.errors import DataError

CHARACTERS: Final = ("1a", "1b", "1c", "1d", "3")
LARGEST: Final = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True)
class Source:
    """One segment of a label file, and where that file stands."""

    category: str
    donor: str
    segment: Segment


@dataclass(frozen=True, slots=True)
class Cut:
    """A segment that can be used: its plain label and its strokes as ranges of points."""

    source: Source
    label: str
    strokes: NDArray[np.int64]  # [S, 2]


@dataclass(slots=True)
class Collector:
    """What has been read so far: arrays for each piece, and the counts."""

    points: list[NDArray[np.int16]] = field(default_factory=list)
    letters: list[NDArray[np.int16]] = field(default_factory=list)
    stroke_lengths: list[int] = field(default_factory=list)
    n_strokes: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    categories: list[int] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)
    styles: list[int] = field(default_factory=list)
    guides: list[tuple[float, float]] = field(default_factory=list)
    pieces: Counter[PieceKey] = field(default_factory=Counter)
    skipped: Counter[WhyKey] = field(default_factory=Counter)
    changed: Counter[WhyKey] = field(default_factory=Counter)

    def skip(self, reason: str, source: Source) -> None:
        """Count a segment that gives no piece."""
        self.skipped[reason, source.category, source.donor] += 1

    def add_page(self, page: Page, sources: Iterable[Source]) -> None:
        """Add the pieces that the segments name in the ink of a page."""
        cuts = list(filter(None, (self._cut(page, source) for source in sources)))
        characters = [cut for cut in cuts if cut.source.category in CHARACTERS]
        character_of_point = np.full(len(page.points), -1, np.int64)
        for number, cut in enumerate(characters):
            for start, stop in cut.strokes:
                character_of_point[start:stop] = number
        names = [cut.label for cut in characters]
        is_new = page.is_new()
        for cut in cuts:
            kept, lengths = _kept(cut.strokes, is_new)
            if cut.source.category in CHARACTERS:
                letters = np.zeros(len(kept), np.int16)
            else:
                letters = letters_of_points(character_of_point[kept], names, cut.label)
            self._add(cut, page.points[kept], lengths, letters, page.header(int(kept[0])))

    def _cut(self, page: Page, source: Source) -> Cut | None:
        """The segment's label and strokes; None, and counted, when it can't be used."""
        try:
            if source.segment.quality == "BAD":
                raise UnfitLabelError("quality BAD")
            label, rules = clean(source.segment.label)
            if source.category in CHARACTERS and len(label) != 1:
                raise UnfitLabelError("several characters, not one")
            strokes = page.strokes(source.segment.delineation)
            if not strokes:
                raise UnfitLabelError("no ink with the pen down")
        except (UnfitLabelError, DataError) as error:
            self.skip(str(error), source)
            return None
        self.changed.update((rule, source.category, source.donor) for rule in rules)
        return Cut(source, label, np.array(strokes, np.int64))

    def _add(
        self,
        cut: Cut,
        points: NDArray[np.int64],
        lengths: NDArray[np.int64],
        letters: NDArray[np.int16],
        header: Header,
    ) -> None:
        """Add one piece, its origin moved to its left and upper bound."""
        points = points * (1, -1)
        points -= points.min(0)
        if points.max() > LARGEST:
            self.skip("larger than 16 bits", cut.source)
            return
        style = header.style.lower()
        self.points.append(points.astype(np.int16))
        self.letters.append(letters)
        self.stroke_lengths.extend(lengths.tolist())
        self.n_strokes.append(len(lengths))
        self.labels.append(cut.label)
        self.categories.append(CATEGORIES.index(cut.source.category))
        self.writers.append(f"{cut.source.donor}/{header.writer}")
        self.styles.append(STYLES.index(style) if style in STYLES else 0)
        self.guides.append((np.nan, np.nan))
        self.pieces[cut.source.category, cut.source.donor] += 1

    def census(self) -> Census:
        """The counts."""
        return Census(dict(self.pieces), dict(self.skipped), dict(self.changed))

    def ink(self) -> InkSet:
        """All pieces, in the order in which they came."""
        names = tuple(sorted(set(self.writers)))
        index = {name: number for number, name in enumerate(names)}
        return InkSet(
            points=np.concatenate([np.empty((0, 2), np.int16), *self.points]),
            letter_of_point=np.concatenate([np.empty(0, np.int16), *self.letters]),
            stroke_starts=np.cumsum([0, *self.stroke_lengths], dtype=np.int64),
            piece_starts=np.cumsum([0, *self.n_strokes], dtype=np.int64),
            labels=tuple(self.labels),
            categories=np.array(self.categories, np.uint8),
            writers=np.array([index[name] for name in self.writers], np.int32),
            writer_names=names,
            styles=np.array(self.styles, np.uint8),
            guides=np.array(self.guides, np.float32).reshape(-1, 2),
        )


def _kept(
    strokes: NDArray[np.int64], is_new: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The points of strokes that differ from the one before, and how many each stroke has."""
    points, starts = spread(strokes[:, 0], strokes[:, 1])
    keep = is_new[points]
    keep[starts[:-1]] = True
    return points[keep], np.add.reduceat(keep, starts[:-1], dtype=np.int64)
