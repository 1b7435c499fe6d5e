"""The rules by which UNIPEN's release is read, as a document: what each does, and to how much."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from model.data.census import Census, WhyKey

COMMAND: Final = "inkstream data unipen --rules docs/data.md"
FEW: Final = 6  # donors whose names are told

CHANGES: Final = {
    "apostrophes closed up": "`it ' s` becomes `it's`, of donors who set all tokens apart",
    "capitals restored": "a writer of capitals whose labels are in small letters gets them back",
    "digits closed up": "`$ 1 2` becomes `$12`, dates and times likewise, of donors who set all"
    " tokens apart; a row of ten digits or more stays as it is",
    "hyphens closed up": "`so - called` becomes `so-called`, where ink stands as near",
    "join marks taken out": "the sign for ink between two letters is no letter",
    "letters in doubt left out": "where characters do not fit the word that they lie in, no point"
    " of it is said to be of a letter",
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
    "coordinate beyond 30 bits": "no tablet has such",
    "delineation not readable": "where the ink stands is not told as the format says",
    "ink between two letters": "a label that is nothing but the sign for a join",
    "ink crossed out": "a word `XXX` in the label stands for one that its writer took back",
    "label differs from those within it": "the words or characters within a piece make up another"
    " text",
    "label empty": "nothing is said to be written",
    "label longer than a character": "in a category of characters",
    "label longer than its ink": "less than three tenths of the ink that its writer usually needs"
    " for so many letters: a wrong label, or broken ink",
    "label not in printable ASCII": "as all others are",
    "label without quotes": "the line is broken",
    "names a component that is not there": "the label is of ink that the page lacks",
    "names a point that is not there": "the label is of ink that the page lacks",
    "no ink with the pen down": "nothing can be seen",
    "points without X and Y": "the page does not say which numbers they are",
    "quality BAD": "so says the release",
    "quotes in doubt": "two quotes side by side, where one or none is written",
    "several lines of ink, words not known": "nothing tells where a line of it ends",
    "umlaut lost from the label": "the ink has one, and ASCII does not",
    "unknown escape in the label": "nothing tells what it stands for",
}


def document(census: Census, digest: str) -> str:
    """Markdown: what was read, what each rule changed, what was left out.

    Args:
        census: of the read.
        digest: of the ink that was read.
    """
    return "\n".join(
        (
            "# How UNIPEN is read\n",
            f"Written by `{COMMAND}`; nothing in it is typed by hand. The rules were found by"
            " looking at the ink of training writers alone, and hold for all. What was read is"
            f" {sum(census.pieces.values()):,} pieces, SHA-256 `{digest}`. A donor is an"
            " institution that gave ink to UNIPEN, under its abbreviation there.\n",
            "## What is changed\n",
            *_table("rule", census.changed, CHANGES),
            "\n## What is left out\n",
            *_table("reason", census.skipped, REASONS),
            "",
        )
    )


def _table(head: str, counts: Mapping[WhyKey, int], words: Mapping[str, str]) -> Iterator[str]:
    """A row for each rule that did something, the most frequent first."""
    sums: dict[str, int] = defaultdict(int)
    donors: dict[str, set[str]] = defaultdict(set)
    for (rule, _, donor), count in counts.items():
        sums[rule] += count
        donors[rule].add(donor)
    yield f"| {head} | what it says | pieces | donors |"
    yield "| --- | --- | ---: | --- |"
    for rule in sorted(sums, key=lambda rule: (-sums[rule], rule)):
        names = sorted(donors[rule])
        told = ", ".join(names) if len(names) <= FEW else f"{len(names)} of them"
        yield f"| {rule} | {words.get(rule, '')} | {sums[rule]:,} | {told} |"
