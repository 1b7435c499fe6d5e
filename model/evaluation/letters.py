"""Measure how single letters are read as strokes: `inkstream evaluate letters`.

A letter is drawn as a client's ink is whose frame is not known, and read by the served net and
decoder with `characters` set to the labels at hand: of special letters and marks together, of
capitals, of small letters, and of digits. Without a frame nothing tells ø from Ø, so the share that
is right if case does not count stands beside the other.
"""

import string
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.sources.letters import SingleLetters
from inkstream.model.data.split import Part
from inkstream.model.evaluation.report import Report
from inkstream.model.metrics import Figures, accuracy_interval
from inkstream.model.preprocess.ink import stroke_columns
from inkstream.model.recognizer import Recognizer

SPECIAL: Final = "special letters"
MARKS: Final = "marks"
TOGETHER: Final = "special letters and marks"
ASCII_GROUPS: Final = {
    "capitals": string.ascii_uppercase,
    "small letters": string.ascii_lowercase,
    "digits": string.digits,
}
MOST_MISTAKES: Final = 20  # of a group, in the report


def letters_report(
    checkpoint: Checkpoint, files: Sequence[SingleLetters], *, part: Part = "test"
) -> Report:
    """Measure a transcriber on the letters of a part, by group, with the interval over writers."""
    groups: dict[str, Figures] = {}
    for own in files:
        of_label = {label: _group(label) for label in own.ink.labels}
        for name in dict.fromkeys(of_label.values()):
            labels = "".join(sorted(label for label, group in of_label.items() if group == name))
            groups |= _measured(checkpoint, own, part, name, labels)
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


def _group(label: str) -> str:
    """Return the group whose labels are read together with this one."""
    return next((name for name, own in ASCII_GROUPS.items() if label in own), TOGETHER)


def _measured(
    checkpoint: Checkpoint, letters: SingleLetters, part: Part, name: str, labels: str
) -> dict[str, Figures]:
    """Read the letters of a group; return the figures of it, and of its letters and marks."""
    indices = [at for at in letters.parts[part].tolist() if letters.ink.labels[at] in labels]
    if not indices:
        return {}
    recognizer = Recognizer(checkpoint, characters=labels)
    config = checkpoint.metadata.config
    columns = [stroke_columns(letters.ink.piece(at).strokes, config) for at in indices]
    read = [result.text for result in recognizer.read_all(columns)]
    written = [letters.ink.labels[at] for at in indices]
    kinds = [SPECIAL if label.isalpha() else MARKS for label in written]

    def figures(chosen: Sequence[int]) -> Figures:
        pairs = [(written[at], read[at]) for at in chosen]
        right = np.array([label == text for label, text in pairs])
        writers = letters.writers[[indices[at] for at in chosen]]
        mistakes = Counter(pair for pair in pairs if pair[0] != pair[1])
        return {
            "letters": len(pairs),
            "writers": None if letters.lenders else len(np.unique(writers)),
            "right": float(right.mean()),
            "interval": accuracy_interval(right, writers),
            "right_without_case": sum(a.lower() == b.lower() for a, b in pairs) / len(pairs),
            "mistakes": [[*pair, n] for pair, n in mistakes.most_common(MOST_MISTAKES)],
        }

    found = {name: figures(range(len(indices)))}
    if name == TOGETHER:
        for kind in (SPECIAL, MARKS):
            if chosen := [at for at, own in enumerate(kinds) if own == kind]:
                found[kind] = figures(chosen)
    return found
