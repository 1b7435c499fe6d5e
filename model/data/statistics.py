"""Count what reading ink skipped and changed, and describe a set of ink."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inkstream.model.data.ink_set import CATEGORIES, CATEGORY_NAMES, InkSet
from inkstream.model.data.split import Parts, count_leaks
from inkstream.model.errors import DataError


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of pieces skipped and changed when ink was read."""

    skipped: Counter[str] = field(default_factory=Counter)  # by reason
    changed: Counter[str] = field(default_factory=Counter)  # by rule; also of skipped pieces

    def save(self, path: Path) -> None:
        """Write the counts as JSON."""
        rows = {"skipped": [*self.skipped.items()], "changed": [*self.changed.items()]}
        path.write_text(json.dumps(rows, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read what `save` wrote; raise `DataError` for any other file."""
        counts = cls()
        try:
            rows = json.loads(path.read_text())
            for name, count in (("skipped", counts.skipped), ("changed", counts.changed)):
                for why, *_, n in rows[name]:  # earlier versions had one for each donor
                    count[why] += n
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} holds no statistics of ink: {error}") from error
        return counts


def overview(ink: InkSet, counts: Statistics, parts: Parts) -> str:
    """Describe a set of ink: the pieces of each part, what was skipped and changed, characters."""
    numbers = {
        CATEGORY_NAMES[category]: [(ink.categories[part] == k).sum() for part in parts.values()]
        for k, category in enumerate(CATEGORIES)
        if k in ink.categories
    }
    numbers["writers"] = [len(np.unique(ink.writers[part])) for part in parts.values()]
    lines = [" " * 18 + "".join(f"{part:>12}" for part in parts)]
    lines += [f"{name:18}" + "".join(f"{n:12,}" for n in row) for name, row in numbers.items()]
    for title, sums in (("skipped", counts.skipped), ("changed", counts.changed)):
        lines += ["", f"{title + ':':10}{sums.total():9,}"] if sums else []
        lines += [f"{n:19,}  {why}" for why, n in sums.most_common()]
    lines += ["", f"characters: {' '.join(sorted(set(''.join(ink.labels)) - {' '}))}"]
    lines.append(f"pieces of the same ink in two parts: {count_leaks(ink, parts)}")
    lines.append(f"SHA-256 of the ink: {ink.digest}")
    return "\n".join(lines)
