"""Measures of pages: which lines were found, and the errors of whole pages' texts."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from model.report.measures import Figures

Box = NDArray[np.float64]  # [4, 2], corners

JOINT = " "  # stands between the lines of a page's text: where a line ends is not judged


def overlap(one: Box, other: Box) -> float:
    """The area that two convex boxes share over the area that they cover."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    shared, _ = cv2.intersectConvexConvex(first, second)
    covered = cv2.contourArea(first) + cv2.contourArea(second) - shared
    return float(shared / covered) if covered > 0 else 0.0


def found(boxes: Sequence[Box], wanted: Sequence[Box], least: float) -> dict[int, int]:
    """Which box was found for each that is wanted, by place: those that overlap most, each once."""
    pairs = sorted(
        (
            (-share, place, number)
            for place, box in enumerate(wanted)
            for number, other in enumerate(boxes)
            if (share := overlap(box, other)) >= least
        )
    )
    hits: dict[int, int] = {}
    for _, place, number in pairs:
        if place not in hits and number not in hits.values():
            hits[place] = number
    return hits


def page_error(texts: Sequence[str], labels: Sequence[str]) -> tuple[int, int]:
    """Characters to change so that a page's lines read as they should, and those written."""
    label = JOINT.join(labels)
    return Levenshtein.distance(JOINT.join(texts), label), len(label)


def share_wrong(counts: Sequence[tuple[int, int]]) -> Figures:
    """The character error of several pages together."""
    wrong, written = (sum(each) for each in zip(*counts, strict=True)) if counts else (0, 0)
    return {
        "pages": len(counts),
        "characters": written,
        "error": wrong / written if written else None,
    }
