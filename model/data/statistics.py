"""Count what reading ink found, skipped and changed, and describe a set of ink in tables.

`Statistics` are kept as JSON beside the ink. `document` writes down the rules by which UNIPEN is
read: what each rule does, and to how much.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import CATEGORIES, CATEGORY_NAMES, InkSet
from inkstream.model.data.split import Parts, count_leaks
from inkstream.model.errors import DataError

PieceKey = tuple[str, str]  # category, donor
WhyKey = tuple[str, str, str]  # reason or rule, category, donor


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of pieces found, skipped and changed when ink was read."""

    pieces: Counter[PieceKey] = field(default_factory=Counter)
    skipped: Counter[WhyKey] = field(default_factory=Counter)  # by reason
    changed: Counter[WhyKey] = field(default_factory=Counter)  # by rule; also of skipped pieces

    def __str__(self) -> str:
        skipped, changed = (_by_reason(counts) for counts in (self.skipped, self.changed))
        return "\n\n".join(
            (
                table("pieces", self.pieces),
                table("skipped, and why", skipped),
                table("labels changed, and by which rule", changed),
            )
        )

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        counts = {
            name: [[*key, count] for key, count in sorted(getattr(self, name).items())]
            for name in ("pieces", "skipped", "changed")
        }
        path.write_text(json.dumps(counts, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read what `save` wrote; raise `DataError` for any other file."""
        try:
            counts = json.loads(path.read_text())
            return cls(
                Counter({(c, d): n for c, d, n in counts["pieces"]}),
                Counter({(why, c, d): n for why, c, d, n in counts["skipped"]}),
                Counter({(why, c, d): n for why, c, d, n in counts["changed"]}),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} holds no statistics of ink: {error}") from error


def _by_reason(counts: Mapping[WhyKey, int]) -> Counter[PieceKey]:
    """Sum the counts by category and reason."""
    summed: Counter[PieceKey] = Counter()
    for (why, category, _), count in counts.items():
        summed[category, why] += count
    return summed


def table(title: str, counts: Mapping[PieceKey, int]) -> str:
    """Return a table: a row for each second part of the keys, a column for each first, and sums."""
    sums = Counter[PieceKey]()
    for (column, row), count in counts.items():
        for key in ((column, row), (column, "all"), ("all", row), ("all", "all")):
            sums[key] += count
    columns, rows = ([*sorted({key[part] for key in counts}), "all"] for part in (0, 1))
    heads = [CATEGORY_NAMES.get(column, column) for column in columns]
    lines = [[title, *heads]]
    for row in rows:
        numbers = [sums[column, row] for column in columns]
        lines.append([row, *(f"{number:,}" if number else "" for number in numbers)])
    width, widths = max(map(len, [title, *rows])), [max(9, len(head) + 2) for head in heads]
    return "\n".join(
        name.ljust(width) + "".join(map(str.rjust, cells, widths)) for name, *cells in lines
    )


LETTERED_SHARE: Final = 0.7  # of the points; joins between letters may be of none
PERCENTILES: Final = (5, 50, 95)


def overview(ink: InkSet, parts: Parts) -> str:
    """Tabulate the pieces of each part, those with known letters, and their widths."""
    by_part = {
        (category, str(part)): int((ink.categories[pieces] == index).sum())
        for part, pieces in parts.items()
        for index, category in enumerate(CATEGORIES)
    }
    lettered = np.flatnonzero((letter_share(ink) >= LETTERED_SHARE) & is_text(ink))
    by_donor = Counter(
        (CATEGORIES[ink.categories[index]], str(donor))
        for index, donor in zip(lettered, donors(ink)[lettered], strict=True)
    )
    writers = ", ".join(
        f"{len(np.unique(ink.writers[pieces]))} {part}" for part, pieces in parts.items()
    )
    characters = " ".join(sorted(set("".join(ink.labels)) - {" "}))
    return "\n\n".join(
        (
            table("parts", by_part),
            table("texts with known letters", by_donor),
            _sizes(ink),
            f"characters: {characters}",
            f"writers: {writers}\npieces of the same ink in two parts: {count_leaks(ink, parts)}",
        )
    )


def letter_share(ink: InkSet) -> NDArray[np.float64]:
    """Return the share of each piece's points whose letter is known, [N]."""
    known = np.concatenate([[0], np.cumsum(ink.letter_of_point >= 0)])
    bounds = ink.stroke_starts[ink.piece_starts]
    share: NDArray[np.float64] = np.diff(known[bounds]) / np.maximum(np.diff(bounds), 1)
    return share


def is_text(ink: InkSet) -> NDArray[np.bool_]:
    """Mark the pieces whose label is longer than one character, [N]."""
    return np.array([len(label) > 1 for label in ink.labels], np.bool_)


def donors(ink: InkSet) -> NDArray[np.str_]:
    """Return the donor of each piece, [N]."""
    names = np.array([name.partition("/")[0] for name in ink.writer_names], np.str_)
    return names[ink.writers]


def widths(ink: InkSet) -> NDArray[np.float64]:
    """Return the width of each piece's ink divided by its height, [N]."""
    if not len(ink):
        return np.empty(0)
    starts = ink.stroke_starts[ink.piece_starts[:-1]]
    width, height = np.maximum.reduceat(ink.points, starts).T.astype(np.float64)
    ratio: NDArray[np.float64] = width / np.maximum(height, 1)
    return ratio


def _sizes(ink: InkSet) -> str:
    """Tabulate the widths of each category at some percentiles."""
    wide = widths(ink)
    rows = ["width of the ink / its height".ljust(34) + "".join(f"{p:>7} %" for p in PERCENTILES)]
    for index, category in enumerate(CATEGORIES):
        of_category = wide[ink.categories == index]
        if len(of_category):
            cells = (f"{value:>9.2f}" for value in np.percentile(of_category, PERCENTILES))
            rows.append(CATEGORY_NAMES[category].ljust(34) + "".join(cells))
    return "\n".join(rows)


COMMAND: Final = "inkstream data unipen --rules docs/data.md"
FEW: Final = 6  # donors that are named; of more, the number is given

CHANGES: Final = {
    "apostrophes closed up": "`it ' s` becomes `it's`, of donors who set all tokens apart",
    "capitals restored": "a writer of capitals whose labels are in small letters gets them back",
    "digits closed up": "`$ 1 2` becomes `$12`, dates and times likewise, of donors who set all"
    " tokens apart; a row of ten digits or more stays as it is",
    "hyphens closed up": "`so - called` becomes `so-called`, where ink stands as near",
    "join marks taken out": "the sign for ink between two letters is no letter",
    "letters in doubt left out": "where characters do not fit the word that they lie in, no point"
    " of it is assigned to a letter",
    "lines taken apart": "a text of several lines of ink becomes a piece for each, if its words"
    " are known",
    "marks closed up": "`so .` becomes `so.`, of donors who set all tokens apart",
    "names of signs replaced": "`@_SigN` becomes `@`",
    "quotes closed up": "quotes that stand alone are set to the words that they enclose",
    "spaces made single": "a label has no two spaces in a row, and none at its ends",
    "spaces of a comb taken out": "who filled a comb, a cell for each character, wrote no space",
    "stray strokes left out": "a small stroke apart from the writing both ways is a tap of the pen",
    "unreadable points left out": "a line of points that is no row of numbers",
}
REASONS: Final = {
    "an include without a path": "the label file names no ink",
    "an included file can't be read": "what the label file includes is no file",
    "an included file is missing": "the release lacks the ink that the label file includes",
    "coordinate beyond 30 bits": "no tablet is so large",
    "delineation not readable": "the segment does not name its ink as the format requires",
    "ink between two letters": "a label that is nothing but the sign for a join",
    "ink crossed out": "a word `XXX` in the label stands for one that its writer took back",
    "label differs from those within it": "the words or characters within a piece make up another"
    " text",
    "label empty": "the label has no text",
    "label longer than a character": "in a category of characters",
    "label longer than its ink": "less than three tenths of the ink that its writer usually needs"
    " for so many letters: a wrong label, or broken ink",
    "label not in printable ASCII": "as all others are",
    "label without quotes": "the line is broken",
    "names a component that is not there": "the label is of ink that the page lacks",
    "names a point that is not there": "the label is of ink that the page lacks",
    "no ink with the pen down": "nothing can be seen",
    "points without X and Y": "the page does not say which numbers they are",
    "quality BAD": "marked so in the release",
    "quotes in doubt": "two quotes side by side, where one or none is written",
    "several lines of ink, words not known": "where its lines end is unknown",
    "umlaut lost from the label": "the ink has one, and ASCII does not",
    "unknown escape in the label": "its meaning is unknown",
}


def document(counts: Statistics, digest: str) -> str:
    """Return Markdown: what was read, to what digest, what each rule changed and left out."""
    return "\n".join(
        (
            "# How UNIPEN is read\n",
            f"Written by `{COMMAND}`; nothing in it is typed by hand. The rules were found by"
            " looking at the ink of training writers alone, and hold for all. What was read is"
            f" {sum(counts.pieces.values()):,} pieces, SHA-256 `{digest}`. A donor is an"
            " institution that gave ink to UNIPEN, under its abbreviation there. All labels are"
            " ASCII: [training.md](training.md#letters-beyond-ascii) says how other letters are"
            " composed.\n",
            "## What is changed\n",
            *_table("rule", counts.changed, CHANGES),
            "\n## What is left out\n",
            *_table("reason", counts.skipped, REASONS),
            "",
        )
    )


def _table(head: str, counts: Mapping[WhyKey, int], words: Mapping[str, str]) -> Iterator[str]:
    """Yield a table row for each rule that changed or skipped something, most frequent first."""
    sums: dict[str, int] = defaultdict(int)
    donors: dict[str, set[str]] = defaultdict(set)
    for (rule, _, donor), count in counts.items():
        sums[rule] += count
        donors[rule].add(donor)
    yield f"| {head} | what it says | pieces | donors |"
    yield "| --- | --- | ---: | --- |"
    for rule in sorted(sums, key=lambda rule: (-sums[rule], rule)):
        names = sorted(donors[rule])
        shown = ", ".join(names) if len(names) <= FEW else f"{len(names)} of them"
        yield f"| {rule} | {words.get(rule, '')} | {sums[rule]:,} | {shown} |"
