"""Where the next letter starts: looked for behind the end of the one before, as columns come."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

# Columns of a letter's ink that may lie behind its end, before a blank one: within a word, and at
# the end of one, where the next letter's own ink seldom comes so soon.
TAIL_COLUMNS: Final = 4
LAST_TAIL_COLUMNS: Final = 12

# Blank columns from which on a space stands between two letters rather than none: what divides the
# letters of writers who choose best (96 % of their spaces are wider, 12 % of their other gaps).
SPACE_COLUMNS: Final = 7


@dataclass(frozen=True, slots=True)
class Start:
    """What is known so far. Ink right behind a letter's end may be the rest of that letter."""

    end: int  # of the letter before
    scanned: int  # columns from `end` up to this one have ink, all of them
    gap: int | None = None  # the first column from `end` on that has none
    ink: int | None = None  # the first column behind the gap that has some
    paper: int | None = None  # blank columns before a flush at `end`, which hides them from the net

    @classmethod
    def behind(cls, end: int) -> "Start":
        """Nothing is known yet of what follows a letter's end."""
        return cls(end, end)

    @classmethod
    def anew(cls, end: int) -> "Start":
        """No letter stands before this column: its ink is the next one's."""
        return cls(end, end, gap=end)

    def flushed(self, inked: Sequence[int], end: int, reach: int) -> "Start":
        """The same behind a flush at column `end`; `inked` holds all ink of `reach` columns."""
        own = self.seen(inked, end)
        waiting = 0 if own.ink is None or own.gap is None else own.ink - own.gap + (own.paper or 0)
        paper = end - (inked[-1] + 1 if inked else end - reach)
        return Start(end, end, gap=end, paper=max(paper, waiting))

    @property
    def spaced(self) -> bool:
        """Whether, behind a flush, the line's own paper makes a space."""
        if self.paper is None or self.ink is None:
            return False
        return self.paper + self.ink - self.end >= SPACE_COLUMNS

    def parted(self, inked: Sequence[int], before: int) -> bool:
        """Whether a space that the net says is the line's own, and not made of a flush's paper.

        Behind a flush ink must have come, and paper: of the columns before `before` these have ink.
        """
        own = inked[bisect_left(inked, self.end) : bisect_left(inked, before)]
        return self.paper is None or any(b - a > SPACE_COLUMNS for a, b in pairwise(own))

    def seen(self, inked: Sequence[int], before: int) -> "Start":
        """The same after a look at the columns before `before`, of which these have ink.

        `inked` rises and lacks none that was not looked at before.
        """
        if self.ink is not None:
            return self
        scanned, gap = self.scanned, self.gap
        place = bisect_left(inked, scanned)
        while gap is None and scanned < before:
            if place < len(inked) and inked[place] == scanned:
                place, scanned = place + 1, scanned + 1
            else:
                gap = scanned
        found = gap is not None and place < len(inked) and inked[place] < before
        return Start(self.end, scanned, gap, inked[place] if found else None, self.paper)

    def column(self, end: int, is_word: bool) -> int:
        """Where a letter starts that ends at `end`, the first one of a word or not."""
        most = LAST_TAIL_COLUMNS if is_word else TAIL_COLUMNS
        if self.gap is None or self.gap - self.end > most:
            return self.end
        if self.end < self.gap and end <= self.gap + 1:  # that ink is the letter itself
            return self.end
        return self.gap if self.ink is None else self.ink
