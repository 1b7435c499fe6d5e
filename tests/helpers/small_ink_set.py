"""A small made-up ink set: every letter is the same hook."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import InkSet, Piece

HEIGHT = 16  # column height of the nets that read it
ALL_KINDS = tuple(" .abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


class Builder:
    """Collects pieces one by one, given by the lengths of their strokes."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def add(
        self,
        points: NDArray[Any],
        stroke_lengths: Sequence[int],
        letters: NDArray[np.int16],
        guides: Sequence[float],
        **annotations: str,
    ) -> None:
        starts, label = np.cumsum([0, *stroke_lengths]), annotations.pop("label")
        self._pieces.append(
            Piece(points, starts, letters, label, guides=np.array(guides), **annotations)
        )

    def ink(self) -> InkSet:
        return InkSet.of(self._pieces)


def ink() -> InkSet:
    """Return six words, three lines and two characters by each of 40 writers of two donors.

    Letters of the second line are joined.
    """
    random, builder = np.random.default_rng(0), Builder()
    for number in range(40):
        labels = ["".join(random.choice(list("abc"), 5)) for _ in range(6)]
        labels += ["ab c.", "b. ca", f"a{'b' * (number % 5)} c"]
        for label, category in zip(
            [*labels, "a", "b"], ["7"] * 6 + ["8"] * 3 + ["1c", "1c"], strict=True
        ):
            positions = [position for position, char in enumerate(label) if char != " "]
            points = np.array(
                [
                    (60 * position + dx, dy)
                    for position in positions
                    for dx, dy in ((0, 0), (30, 80), (5, 90))
                ]
            )
            builder.add(
                points, [3 * len(positions)] if label == "b. ca" else [3] * len(positions),
                np.repeat(positions, 3).astype(np.int16), (20.0, 70.0),
                label=label, category=category, writer=f"{'xy'[number % 2]}/w{number:02}k",
                style=("printed", "cursive")[number % 2],
            )  # fmt: skip
    return builder.ink()
