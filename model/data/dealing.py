"""Lines of several batches dealt into parts that hold little padding."""

from bisect import bisect_left
from collections.abc import Sequence

from model.data.line_batches import Drawn, LineBatch, join, width


def deal(lines: Sequence[Drawn], n_parts: int) -> list[LineBatch]:
    """Lines as parts of about one size, narrow ones first.

    A part is as wide as its widest line, so its lines are neighbours in width, and no other cuts
    between neighbours make the largest part smaller. Of fewer lines than parts some are dealt
    more than once.

    Raises `ValueError` without lines.
    """
    if not lines:
        raise ValueError("no lines to deal")
    ordered = sorted(lines, key=width)
    least, most = width(ordered[-1]), len(ordered) * width(ordered[-1])
    limit = least + bisect_left(
        range(least, most), True, key=lambda limit: len(_filled(ordered, limit)) <= n_parts
    )
    parts = _filled(ordered, limit)
    while len(parts) < n_parts:
        largest = max(range(len(parts)), key=lambda at: _size(parts[at]))
        part = parts[largest]
        middle = len(part) // 2
        parts[largest : largest + 1] = [part[:middle] or part, part[middle:]]
    return [join(part) for part in parts]


def _filled(ordered: Sequence[Drawn], limit: int) -> list[Sequence[Drawn]]:
    """The fewest parts of neighbours of which none is larger than `limit` columns."""
    parts, start = [], 0
    for end, line in enumerate(ordered):
        if (end + 1 - start) * width(line) > limit:
            parts.append(ordered[start:end])
            start = end
    return [*parts, ordered[start:]]


def _size(part: Sequence[Drawn]) -> int:
    """Columns, padding included."""
    return len(part) * width(part[-1])
