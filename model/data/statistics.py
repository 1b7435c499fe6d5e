"""Count what reading ink found, skipped and changed; keep the counts as JSON and tables."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from inkstream.model.errors import DataError

PieceKey = tuple[str, str]  # category, donor
WhyKey = tuple[str, str, str]  # reason or rule, category, donor


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of pieces found, skipped and changed when ink was read."""

    pieces: Mapping[PieceKey, int]
    skipped: Mapping[WhyKey, int]  # by reason
    changed: Mapping[WhyKey, int]  # by rule; a piece may be changed by several, and be skipped then

    def __str__(self) -> str:
        skipped, changed = (_by_reason(counts) for counts in (self.skipped, self.changed))
        return "\n\n".join(
            (
                table("pieces", self.pieces),
                table("skipped, and why", skipped),
                table("labels changed, and by which rule", changed),
            )
        )

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        counts = {
            name: [[*key, count] for key, count in sorted(getattr(self, name).items())]
            for name in ("pieces", "skipped", "changed")
        }
        path.write_text(json.dumps(counts, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read what `save` wrote; raise `DataError` for any other file."""
        try:
            counts = json.loads(path.read_text())
            return cls(
                pieces={(c, d): n for c, d, n in counts["pieces"]},
                skipped={(why, c, d): n for why, c, d, n in counts["skipped"]},
                changed={(why, c, d): n for why, c, d, n in counts["changed"]},
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} holds no statistics of ink: {error}") from error


def _by_reason(counts: Mapping[WhyKey, int]) -> Counter[PieceKey]:
    """Sum the counts by category and reason."""
    summed: Counter[PieceKey] = Counter()
    for (why, category, _), count in counts.items():
        summed[category, why] += count
    return summed


def table(title: str, counts: Mapping[PieceKey, int]) -> str:
    """Return a table: a row for each second part of the keys, a column for each first, and sums."""
    columns = sorted({column for column, _ in counts})
    rows = sorted({row for _, row in counts})
    width = max(map(len, [title, *rows]))

    def line(name: str, cells: Iterable[object]) -> str:
        return name.ljust(width) + "".join(f"{cell:>9}" for cell in cells)

    def numbers(row: Iterable[int]) -> list[str]:
        return [f"{count:,}" if count else "" for count in row]

    lines = [line(title, [*columns, "all"])]
    for row in rows:
        cells = [counts.get((column, row), 0) for column in columns]
        lines.append(line(row, numbers([*cells, sum(cells)])))
    sums = [sum(counts.get((column, row), 0) for row in rows) for column in columns]
    lines.append(line("all", numbers([*sums, sum(sums)])))
    return "\n".join(lines)
