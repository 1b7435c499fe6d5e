"""Draws in a terminal how an answer grows: the ink that has come, and what the net believes.

Two rows of pixels share one line of text by half blocks, so a pixel is about square. Under each
column stands the label that led when it arrived, as bright as it was probable: a ribbon that shows
at a glance from where on the net was sure. Pure: strings come out, nothing is printed here.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

HIDE_CURSOR: Final = "\x1b[?25l"
SHOW_CURSOR: Final = "\x1b[?25h"
RESET: Final = "\x1b[0m"
CLEAR_LINE: Final = "\x1b[K"

DARKEST_GREY: Final = 233  # the 256-colour palette has 24 greys, 232..255
GREYS: Final = 22
BAR_CELLS: Final = 24
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
MARGIN: Final = "  "
SURE: Final = 0.95  # from this probability on an answer is drawn as settled

LEADS: Final = "\x1b[1;33m"  # bold yellow: ahead, not yet sure
SETTLED: Final = "\x1b[1;32m"  # bold green
OTHERS: Final = "\x1b[2m"  # dim


class Drawing:
    """One stream on the screen, redrawn in place after every result.

    Args:
        columns: [T, H] uint8, 0 = paper, 255 = ink: all that will be sent.
        labels: the model's K labels; with more than fit beside the ink, the best are shown.
    """

    def __init__(self, columns: NDArray[np.uint8], labels: Sequence[str]) -> None:
        if len(columns[0]) % 2:
            columns = np.pad(columns, ((0, 0), (0, 1)))
        self._columns = columns
        self._labels = tuple(labels)
        self._ribbon: list[str] = []
        self._lines = 0

    def update(self, column: int, probabilities: Mapping[str, float]) -> str:
        """The picture once `column` (0-based) is answered; overwrites the picture before."""
        while len(self._ribbon) <= column:  # a merged result stands for the columns it covers
            self._ribbon.append(ribbon_cell(probabilities))
        ink = self._ink(column + 1)
        bars = self._bars(probabilities, len(ink))
        lines = [
            "",
            *(f"{MARGIN}{left}{MARGIN}{right}" for left, right in zip(ink, bars, strict=True)),
        ]
        lines += [f"{MARGIN}{''.join(self._ribbon)}{RESET}", ""]
        up = f"\x1b[{self._lines}A\r" if self._lines else ""
        self._lines = len(lines)
        return up + "".join(f"{line}{CLEAR_LINE}\n" for line in lines)

    def _ink(self, n_columns: int) -> list[str]:
        """The first `n_columns` as lines of half blocks, blank where nothing has come."""
        shades = DARKEST_GREY + self._columns[:n_columns].astype(int) * GREYS // 255  # [n, H]
        blank = " " * (len(self._columns) - n_columns)
        lines = []
        for upper, lower in zip(shades.T[::2], shades.T[1::2], strict=True):
            cells = (f"\x1b[38;5;{a};48;5;{b}m▀" for a, b in zip(upper, lower, strict=True))
            lines.append("".join(cells) + RESET + blank)
        return lines

    def _bars(self, probabilities: Mapping[str, float], n_lines: int) -> list[str]:
        """One bar a label, centred in `n_lines` lines."""
        shown = [label for label in self._labels if label in probabilities]
        if len(shown) > n_lines:
            shown = sorted(shown, key=lambda label: -probabilities[label])[:n_lines]
        best = max(probabilities, key=lambda label: probabilities[label])
        width = max(len(label) for label in shown)
        bars = []
        for label in shown:
            colour = lead_colour(probabilities[label]) if label == best else OTHERS
            cells = bar(probabilities[label])
            bars.append(f"{colour}{label:>{width}} {cells} {probabilities[label]:7.2%}{RESET}")
        above = (n_lines - len(bars)) // 2
        return [""] * above + bars + [""] * (n_lines - above - len(bars))


def plain_line(column: int, probabilities: Mapping[str, float], n_best: int = 3) -> str:
    """One result as one line of text, for pipes and files: `column 17  7 97.21 %  9 1.90 %`."""
    best = sorted(probabilities.items(), key=lambda item: -item[1])[:n_best]
    return f"column {column:>3}" + "".join(f"  {label} {p:7.2%}" for label, p in best)


def bar(probability: float, cells: int = BAR_CELLS) -> str:
    """A bar of `cells` characters, exact to an eighth of one."""
    eighths = round(probability * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(cells)


def lead_colour(probability: float) -> str:
    """Green when the leading answer is settled, yellow while it is not."""
    return SETTLED if probability >= SURE else LEADS


def ribbon_cell(probabilities: Mapping[str, float]) -> str:
    """The leading label's first character, coloured by how far it leads."""
    label = max(probabilities, key=lambda label: probabilities[label])
    if probabilities[label] >= SURE:
        return f"{RESET}{SETTLED}{label[0]}"
    return f"{RESET}{LEADS if probabilities[label] >= 0.5 else OTHERS}{label[0]}"


def summary(leaders: Sequence[tuple[str, float]]) -> str:
    """What came out in the end and since when, from the leader after each column."""
    label, probability = leaders[-1]
    said = f"{MARGIN}{label}  {probability:.2%} after {len(leaders)} columns"
    since = sure_since(leaders)
    return said if since is None else f"{said}, sure since column {since + 1}"


def sure_since(leaders: Sequence[tuple[str, float]]) -> int | None:
    """The column (0-based) from which on the last answer led with at least `SURE`, or None."""
    since = None
    for column, (label, probability) in enumerate(leaders):
        if label != leaders[-1][0] or probability < SURE:
            since = None
        elif since is None:
            since = column
    return since
