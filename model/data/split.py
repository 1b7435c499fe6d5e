"""Who trains, who chooses, who reports: pieces of ink divided by the person who wrote them.

One person's ink stands in one part alone, under whatever category or donor it was given. A tenth of
each donor's persons choose among nets and a tenth are for the report. Which ones is settled by
hashes of their names alone: it depends on no order, no random number and no other donor.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from model.data.inkset import InkSet

Part = Literal["train", "choose", "report"]
PARTS: Final[tuple[Part, ...]] = ("train", "choose", "report")
Parts = Mapping[Part, NDArray[np.int64]]  # indices of the pieces of each, ascending
FOLDS: Final = 10  # a tenth of the persons each
CHOOSE_FOLD: Final = 4
REPORT_FOLD: Final = 9
LEAST_POINTS: Final = 25  # of a piece that is not alike by chance, as dots are

# Sessions of one person, told by the writer's name: Chuck_Chaffee_1 and _2, KNKE4574.A and .B.
# ibm names a session bam11, or r02-07 for form 2 and person 7: the same ink stands under several.
SESSIONS: Final = tuple(
    (re.compile(pattern), person)
    for pattern, person in (
        (r"^ibm/r\d\d-(\d\d)$", r"ibm/r\1"),
        (r"^ibm/([a-z]{3})\d\d$", r"ibm/\1"),
        (r"_\d$|\.[a-z]$", ""),
    )
)


def person(writer: str) -> str:
    """Who a writer named "donor/writer" is: some wrote for several donors, or more than once."""
    name = writer.lower()
    for pattern, replacement in SESSIONS:
        name = pattern.sub(replacement, name)
    return re.sub(r"[^a-z0-9]", "", name.partition("/")[2])


def part_of_writer(writers: Iterable[str]) -> dict[str, Part]:
    """The part that each writer belongs to; `writers` are all of the data, as "donor/writer"."""
    names = sorted(set(writers))
    home: dict[str, str] = {}  # a person of several donors counts with the first
    for name in names:
        home.setdefault(person(name), name.partition("/")[0])
    persons: dict[str, list[str]] = defaultdict(list)
    for who, donor in home.items():
        persons[donor].append(who)
    parts: dict[str, Part] = {}
    for donor, members in persons.items():
        members.sort(key=_hash)
        for place, who in enumerate(members, _hash(donor) % FOLDS):
            fold = place % FOLDS
            parts[who] = (
                "report" if fold == REPORT_FOLD else "choose" if fold == CHOOSE_FOLD else "train"
            )
    return {name: parts[person(name)] for name in names}


def parts(ink: InkSet) -> Parts:
    """Indices of the pieces of each part, ascending."""
    part = part_of_writer(ink.writer_names)
    of_writer = np.array([PARTS.index(part[name]) for name in ink.writer_names], np.int64)
    of_piece = of_writer[ink.writers]
    return {name: np.flatnonzero(of_piece == index) for index, name in enumerate(PARTS)}


def torn(ink: InkSet, parts_: Parts) -> int:
    """How many pieces have the very ink of a piece in another part; anything but 0 is a leak."""
    first_part: dict[bytes, Part] = {}
    starts = ink.stroke_starts[ink.piece_starts]
    n_torn = 0
    for part, indices in parts_.items():
        for index in indices[np.diff(starts)[indices] >= LEAST_POINTS]:
            points = ink.points[starts[index] : starts[index + 1]].tobytes()
            n_torn += first_part.setdefault(points, part) != part
    return n_torn


def write_table(parts_: Mapping[str, Part], path: Path) -> str:
    """Write who belongs where, a line for each writer, and return the SHA-256 of the file."""
    table = "".join(f"{part}\t{writer}\n" for writer, part in sorted(parts_.items()))
    path.write_text(table)
    return hashlib.sha256(table.encode()).hexdigest()


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
