"""A little made-up ink: every letter is a hook of the pen, whichever it is."""

import numpy as np

from inkstream.model.data.ink_set import Builder, InkSet

HEIGHT = 16  # rows of the nets that read it
ALL_KINDS = tuple(" .abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


def ink() -> InkSet:
    """By each of 40 writers of two donors: six words, three lines, two characters.

    Letters of the second line are joined.
    """
    random, builder = np.random.default_rng(0), Builder()
    for number in range(40):
        labels = ["".join(random.choice(list("abc"), 5)) for _ in range(6)]
        labels += ["ab c.", "b. ca", f"a{'b' * (number % 5)} c"]
        for label, category in zip(
            [*labels, "a", "b"], ["7"] * 6 + ["8"] * 3 + ["1c", "1c"], strict=True
        ):
            spoken = [place for place, char in enumerate(label) if char != " "]
            points = np.array(
                [(60 * p + dx, dy) for p in spoken for dx, dy in ((0, 0), (30, 80), (5, 90))]
            )
            builder.add(
                points, [3 * len(spoken)] if label == "b. ca" else [3] * len(spoken),
                np.repeat(spoken, 3).astype(np.int16), (20.0, 70.0),
                label=label, category=category, writer=f"{'xy'[number % 2]}/w{number:02}k",
                style=("printed", "cursive")[number % 2],
            )  # fmt: skip
    return builder.ink()
