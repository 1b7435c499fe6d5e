"""Draws in a terminal how an answer grows: the ink that has come, and what the net believes.

Two rows of pixels share one line of text by half blocks, so a pixel is about square. Under each
column of a digit stands the label that led when it arrived, as bright as it was probable: a ribbon
that shows at a glance from where on the net was sure. Under a line stands each letter where it was
found. Pure: strings come out, nothing is printed here.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.service.protocol.events import Event, Spelling, Word

HIDE_CURSOR: Final = "\x1b[?25l"
SHOW_CURSOR: Final = "\x1b[?25h"
RESET: Final = "\x1b[0m"
CLEAR_LINE: Final = "\x1b[K"

DARKEST_GREY: Final = 233  # the 256-colour palette has 24 greys, 232..255
GREYS: Final = 22
BAR_CELLS: Final = 24
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
PERCENT_CELLS: Final = 9  # of a bar's number and the spaces beside it
MARGIN: Final = "  "
DIGIT_ROWS: Final = 4  # beside the ink, that of the cursor among them
LINE_ROWS: Final = 6
SURE: Final = 0.95  # from this probability on an answer is drawn as settled

LEADS: Final = "\x1b[1;33m"  # bold yellow: ahead, not yet sure
SETTLED: Final = "\x1b[1;32m"  # bold green
OTHERS: Final = "\x1b[2m"  # dim


def has_room(
    width: int, height: int, column_height: int, labels: Sequence[str], *, is_line: bool
) -> bool:
    """Whether a screen of so many cells and lines holds a picture, which is drawn over itself."""
    rows = (column_height + 1) // 2 + (LINE_ROWS if is_line else DIGIT_ROWS)
    bars = max(map(len, labels)) + BAR_CELLS + PERCENT_CELLS
    cells = 1 if is_line else 2 * len(MARGIN) + column_height + bars  # a line shows its end
    return height >= rows and width >= cells


class Drawing:
    """One stream on the screen, redrawn in place after every result.

    Args:
        columns: [T, H] uint8, 0 = paper, 255 = ink: all that will be sent.
        labels: the model's K labels; with more than fit beside the ink, the best are shown.
    """

    def __init__(self, columns: NDArray[np.uint8], labels: Sequence[str]) -> None:
        self._columns = columns
        self._labels = tuple(labels)
        self._ribbon: list[str] = []
        self._lines = 0

    def update(self, column: int, probabilities: Mapping[str, float]) -> str:
        """The picture once `column` (0-based) is answered; overwrites the picture before."""
        while len(self._ribbon) <= column:  # a merged result stands for the columns it covers
            self._ribbon.append(ribbon_cell(probabilities))
        ink = ink_lines(self._columns[: column + 1], len(self._columns))
        bars = self._bars(probabilities, len(ink))
        lines = [
            "",
            *(f"{MARGIN}{left}{MARGIN}{right}" for left, right in zip(ink, bars, strict=True)),
        ]
        lines += [f"{MARGIN}{''.join(self._ribbon)}{RESET}", ""]
        above, self._lines = self._lines, len(lines)
        return redrawn(lines, above)

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


class LineDrawing:
    """A line of writing on the screen, redrawn in place after every result.

    Args:
        columns: [T, H] uint8, 0 = paper, 255 = ink: all that will be sent.
        width: cells of the screen; of a longer line its end is shown.
    """

    def __init__(self, columns: NDArray[np.uint8], width: int) -> None:
        self._columns = columns
        self._width = max(1, width - 2 * len(MARGIN))
        self._ribbon: dict[int, tuple[int, str]] = {}  # id of a letter and it in colour, by column
        self._lines = 0

    def update(self, n_columns: int, text: str, events: Sequence[Event]) -> str:
        """The picture once so many columns are answered; overwrites the picture before."""
        for event in events:
            if not isinstance(event, Word):
                place = (event.start + event.end - 1) // 2
                while place in self._ribbon:
                    place += 1
                drawn = f"{lead_colour(event.confidence)}{event.char}{RESET}"
                self._ribbon[place] = event.id, drawn
        first = max(0, n_columns - self._width)
        shown = min(self._width, len(self._columns))
        ink = ink_lines(self._columns[first:n_columns], shown)
        ribbon = "".join(self._ribbon.get(x, (0, " "))[1] for x in range(first, n_columns))
        lines = ["", *ink, ribbon, "", text[-self._width :], ""]
        above, self._lines = self._lines, len(lines)
        return redrawn([f"{MARGIN}{line}" for line in lines], above)

    def withdraw(self, letters: int) -> None:
        """Take away the letters from this id on."""
        self._ribbon = {x: known for x, known in self._ribbon.items() if known[0] < letters}


def ink_lines(columns: NDArray[np.uint8], width: int) -> list[str]:
    """Columns [n, H] as lines of half blocks, blank from there up to `width` cells."""
    if columns.shape[1] % 2:
        columns = np.pad(columns, ((0, 0), (0, 1)))
    shades = DARKEST_GREY + columns.astype(int) * GREYS // 255  # [n, H]
    blank = " " * (width - len(columns))
    lines = []
    for upper, lower in zip(shades.T[::2], shades.T[1::2], strict=True):
        cells = (f"\x1b[38;5;{a};48;5;{b}m▀" for a, b in zip(upper, lower, strict=True))
        lines.append("".join(cells) + RESET + blank)
    return lines


def redrawn(lines: Sequence[str], above: int) -> str:
    """Lines over a picture of so many lines."""
    up = f"\x1b[{above}A\r" if above else ""
    return up + "".join(f"{line}{CLEAR_LINE}\n" for line in lines)


def event_line(event: Event) -> str:
    """One event as one line of text: `letter       o  96.20%  columns 61..73  (a 2.10%)`."""
    said = event.text if isinstance(event, Word) else event.char
    others = ", ".join(
        f"{other.text if isinstance(other, Spelling) else other.char} {other.p:.2%}"
        for other in event.alternatives
    )
    line = (
        f"{event.type:<11}  {said}  {event.confidence:.2%}  columns {event.start}..{event.end - 1}"
    )
    return f"{line}  ({others})" if others else line


def rewound_line(column: int, text: str) -> str:
    """A way back that ink brought as one line of text: `rewound      to column 61  hel`."""
    return f"{'rewound':<11}  to column {column}  {text}"


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
