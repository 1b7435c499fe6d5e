"""Measure how single letters are read as strokes: `inkstream evaluate letters`.

A letter is drawn as a client's ink is whose frame is not known, and read by the served net and
decoder with `characters` set to the labels at hand. Without a frame nothing tells ø from Ø, so the
share that is right if case does not count stands beside the other.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final

import numpy as np

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.sources.letters import SingleLetters
from inkstream.model.data.split import Part
from inkstream.model.evaluation.report import Report
from inkstream.model.metrics import Figures, accuracy_interval
from inkstream.model.preprocess.ink import stroke_columns
from inkstream.model.recognizer import Recognizer

MOST_MISTAKES: Final = 20  # of a group, in the report


def is_special(label: str) -> bool:
    """Return whether a label is a letter beyond ASCII, or a mark."""
    return not (label.isascii() and label.isalnum())


# Which labels a group has, and among which it is read.
Holds = Callable[[str], bool]
GROUPS: Final[dict[str, tuple[Holds, Holds]]] = {
    "special letters and marks": (is_special, is_special),
    "special letters": (lambda label: is_special(label) and label.isalpha(), is_special),
    "marks": (lambda label: not label.isalnum(), is_special),
    "capitals": (ascii_uppercase.__contains__, ascii_uppercase.__contains__),
    "small letters": (ascii_lowercase.__contains__, ascii_lowercase.__contains__),
    "digits": (digits.__contains__, digits.__contains__),
}


def letters_report(
    checkpoint: Checkpoint, files: Sequence[SingleLetters], *, part: Part = "test"
) -> Report:
    """Measure a transcriber on the letters of a part, by group, with the interval over writers."""
    groups: dict[str, Figures] = {}
    for own in files:
        labels = own.ink.labels
        for name, (holds, among) in GROUPS.items():
            if indices := [at for at in own.parts[part].tolist() if holds(labels[at])]:
                groups[name] = _figures(checkpoint, own, indices, filter(among, set(labels)))
    contents = {
        "model": checkpoint.metadata.name,
        "version": checkpoint.metadata.version,
        "model_digest": checkpoint.digest,
        "data_digest": ", ".join(own.ink.digest for own in files),
        "split_digest": ", ".join(own.split_digest for own in files),
        "part": part,
        "left_out": sum(own.n_left_out for own in files),
        "groups": groups,
    }
    return Report("letters", contents)


def _figures(
    checkpoint: Checkpoint, letters: SingleLetters, indices: list[int], at_hand: Iterable[str]
) -> Figures:
    """Return the share of letters that is read right among the labels at hand."""
    recognizer = Recognizer(checkpoint, characters="".join(sorted(at_hand)))
    strokes = (letters.ink.piece(at).strokes for at in indices)
    columns = [stroke_columns(own, checkpoint.metadata.config) for own in strokes]
    written = [letters.ink.labels[at] for at in indices]
    read = [result.text for result in recognizer.read_all(columns)]
    pairs = list(zip(written, read, strict=True))
    right = np.array([label == text for label, text in pairs])
    mistakes = Counter(pair for pair in pairs if pair[0] != pair[1])
    return {
        "letters": len(pairs),
        "writers": None if letters.lenders else len(set(letters.writers[indices])),
        "right": float(right.mean()),
        "interval": accuracy_interval(right, letters.writers[indices]),
        "right_without_case": sum(a.lower() == b.lower() for a, b in pairs) / len(pairs),
        "mistakes": [[*pair, n] for pair, n in mistakes.most_common(MOST_MISTAKES)],
    }
