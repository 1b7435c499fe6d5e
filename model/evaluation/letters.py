"""Measure how single letters are read as strokes: `inkstream evaluate letters`.

A letter is drawn as a client's ink is whose frame is not known, and read by the served net and
decoder with `characters` set to the labels at hand. Without a frame nothing tells ø from Ø, so the
share that is right if case does not count stands beside the other.
"""

from collections import Counter
from collections.abc import Sequence, Set
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from typing import Final

import numpy as np

from inkstream.model.alphabet import LETTERS, WESTERN
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.sources.letters import SingleLetters
from inkstream.model.data.split import Part
from inkstream.model.errors import DataError
from inkstream.model.evaluation.report import Report, of_net
from inkstream.model.metrics import Figures, accuracy_interval
from inkstream.model.preprocess.ink import stroke_columns
from inkstream.model.recognizer import Recognizer

SPECIAL: Final = frozenset(WESTERN) - frozenset(ascii_letters + digits)  # letters and marks
GROUPS: Final[
    dict[str, tuple[Set[str], Set[str]]]
] = {  # labels of a group, and those among which it is read
    "special letters and marks": (SPECIAL, SPECIAL),
    "special letters": (frozenset(LETTERS), SPECIAL),
    "marks": (SPECIAL - frozenset(LETTERS), SPECIAL),
    "capitals": (frozenset(ascii_uppercase),) * 2,
    "small letters": (frozenset(ascii_lowercase),) * 2,
    "digits": (frozenset(digits),) * 2,
}


def letters_report(
    checkpoint: Checkpoint, files: Sequence[SingleLetters], *, part: Part = "test"
) -> Report:
    """Measure a transcriber on the letters of a part, by group, with the interval over writers.

    Raises `DataError` when there is no letter of this part.
    """
    groups: dict[str, Figures] = {}
    for file in files:
        for name, (labels, among) in GROUPS.items():
            indices = [
                index for index in file.parts[part].tolist() if file.ink.labels[index] in labels
            ]
            if indices:
                groups[name] = _figures(checkpoint, file, indices, among & set(file.ink.labels))
    if not groups:
        n_letters = sum(len(file.ink) for file in files)
        raise DataError(f"none of {n_letters} letters is for {part}")
    contents = of_net(checkpoint) | {
        "version": checkpoint.metadata.version,
        "data_digest": ", ".join(file.ink.digest for file in files),
        "split_digest": ", ".join(file.split_digest for file in files),
        "part": part,
        "left_out": sum(file.n_left_out for file in files),
        "groups": groups,
    }
    return Report("letters", contents)


def _figures(
    checkpoint: Checkpoint, letters: SingleLetters, indices: list[int], allowed: Set[str]
) -> Figures:
    """Return the share of letters that is read right among the labels at hand."""
    recognizer = Recognizer(checkpoint, characters="".join(sorted(allowed)))
    strokes = (letters.ink.piece(index).strokes for index in indices)
    columns = [stroke_columns(pen, checkpoint.metadata.config) for pen in strokes]
    written = [letters.ink.labels[index] for index in indices]
    read = [result.text for result in recognizer.read_all(columns)]
    pairs = list(zip(written, read, strict=True))
    right = np.array([label == text for label, text in pairs])
    mistakes = Counter(pair for pair in pairs if pair[0] != pair[1])
    return {
        "letters": len(pairs),
        "writers": None if letters.anonymous else len(set(letters.writers[indices])),
        "right": float(right.mean()),
        "interval": accuracy_interval(right, letters.writers[indices]),
        "right_without_case": sum(a.lower() == b.lower() for a, b in pairs) / len(pairs),
        "mistakes": [[*pair, n] for pair, n in mistakes.most_common(20)],
    }
