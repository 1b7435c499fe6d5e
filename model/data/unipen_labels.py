"""Labels of UNIPEN made plain, and letters found in words: rules, each with a name to count it by.

The rules were written after looking at the training writers alone.
"""

import difflib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
JOIN_MARK: Final = r"\@"  # kai marks with it the ink between two letters
ESCAPE: Final = re.compile(r"\\(.)")
ESCAPED: Final = frozenset('"\\')


class UnfitLabelError(Exception):
    """A label that cannot be used; the text says why, for the count."""


def clean(quoted: str) -> tuple[str, list[str]]:
    """(plain label, names of the rules that changed it); raises `UnfitLabelError`."""
    rules = []
    found = QUOTED.fullmatch(quoted)
    if found is None:
        raise UnfitLabelError("label not in quotes")
    label = found[1]
    if JOIN_MARK in label:
        label = label.replace(JOIN_MARK, "")
        if not label:
            raise UnfitLabelError("ink between two letters")
        rules.append("join marks taken out")
    if any(escape not in ESCAPED for escape in ESCAPE.findall(label)):
        raise UnfitLabelError("unknown escape in label")
    label = ESCAPE.sub(r"\1", label)
    if not label.isascii() or not label.isprintable():
        raise UnfitLabelError("label not in printable ASCII")
    plain = " ".join(label.split())
    if not plain:
        raise UnfitLabelError("label empty")
    if plain != label:
        rules.append("spaces made single")
    return plain, rules


def letters_of_points(
    character_of_point: NDArray[np.int64], characters: Sequence[str], label: str
) -> NDArray[np.int16]:
    """Which character of its label each point of a word or line belongs to.

    Args:
        character_of_point: [P], the segment of a single character that covers the point, or -1.
        characters: the label of each such segment.
        label: of the word or line.

    Returns:
        [P], index into `label`; -1 where no segment covers the point, or none that fits the label.
    """
    found, first = np.unique(character_of_point, return_index=True)
    found = found[np.argsort(first)]
    found = found[found >= 0]
    places = [place for place, letter in enumerate(label) if letter != " "]
    wanted = [label[place].casefold() for place in places]
    given = [characters[segment].casefold() for segment in found]
    index_of_segment = np.full(len(characters) + 1, -1, np.int16)  # the last one stands for -1
    matcher = difflib.SequenceMatcher(None, given, wanted, autojunk=False)
    for block in matcher.get_matching_blocks():
        index_of_segment[found[block.a : block.a + block.size]] = places[
            block.b : block.b + block.size
        ]
    return index_of_segment[character_of_point]
