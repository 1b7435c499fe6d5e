"""Count what reading ink skipped and changed, and describe a set of ink."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import CATEGORIES, CATEGORY_NAMES, InkSet
from inkstream.model.data.split import Parts, count_leaks
from inkstream.model.errors import DataError

Counts = Counter[tuple[str, str, str]]  # by (reason or rule, category, donor)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of pieces skipped and changed when ink was read."""

    skipped: Counts = field(default_factory=Counter)  # by reason
    changed: Counts = field(default_factory=Counter)  # by rule; also of skipped pieces

    def save(self, path: Path) -> None:
        """Write the counts as JSON."""
        rows = {
            name: [[*key, count] for key, count in sorted(counts.items())]
            for name, counts in (("skipped", self.skipped), ("changed", self.changed))
        }
        path.write_text(json.dumps(rows, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read what `save` wrote; raise `DataError` for any other file."""
        try:
            rows = json.loads(path.read_text())
            skipped, changed = (
                Counter({(why, category, donor): n for why, category, donor, n in rows[name]})
                for name in ("skipped", "changed")
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} holds no statistics of ink: {error}") from error
        return cls(skipped, changed)


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
    for title, by_why in (("skipped", counts.skipped), ("changed", counts.changed)):
        sums = Counter[str]()
        for (why, *_), count in by_why.items():
            sums[why] += count
        lines += ["", f"{title + ':':10}{sums.total():9,}"]
        lines += [f"{n:19,}  {why}" for why, n in sums.most_common()]
    lines += ["", f"characters: {' '.join(sorted(set(''.join(ink.labels)) - {' '}))}"]
    lines.append(f"pieces of the same ink in two parts: {count_leaks(ink, parts)}")
    lines.append(f"SHA-256 of the ink: {ink.digest}")
    return "\n".join(lines)


def donors(ink: InkSet) -> NDArray[np.str_]:
    """Return the donor of each piece, [N]."""
    names = np.array([name.partition("/")[0] for name in ink.writer_names], np.str_)
    return names[ink.writers]
