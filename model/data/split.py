"""Split writers, and pieces of a user's own ink, into train, validation and test.

All ink of one person is in one part, whatever category or donor it was given to. In each donor a
tenth of the persons are for validation and a tenth for the test. The parts follow from hashes of
the names alone: they depend on no order, no random number and no other donor.

A user's own data have no test part. Of ink by many writers, whole writers validate; by few, pieces
do: a share of them, spread over the labels, that shares no ink with the pieces that train.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import InkSet

Part = Literal["train", "validation", "test"]
PARTS: Final[tuple[Part, ...]] = ("train", "validation", "test")
Indices = NDArray[np.int64]
Parts = Mapping[Part, Indices]  # which pieces are in each part: their indices, ascending
PART_OF_TENTH: Final[Mapping[int, Part]] = {4: "validation", 9: "test"}  # the others train
LEAST_POINTS: Final = 25  # smaller pieces, such as dots, are equal by chance
HELD_OUT: Final = 0.1  # of a user's pieces or writers, by default


def person(writer: str) -> str:
    """Return the person behind a writer "donor/writer": some wrote for several donors or twice.

    The names of a person's sessions are alike: Chuck_Chaffee_1 and _2, KNKE4574.A and .B. ibm names
    a session bam11, or r02-07 for form 2 and person 7: the same ink stands under several.
    """
    name = re.sub(r"^ibm/r\d\d-(\d\d)$", r"ibm/r\1", writer.lower())
    name = re.sub(r"^ibm/([a-z]{3})\d\d$", r"ibm/\1", name)
    name = re.sub(r"_\d$|\.[a-z]$", "", name)
    return re.sub(r"[^a-z0-9]", "", name.partition("/")[2])


def part_of_writer(writers: Iterable[str]) -> dict[str, Part]:
    """Return the part of each writer; `writers` are all writers of the data, as "donor/writer"."""
    names = sorted(set(writers))
    donor_of_person: dict[str, str] = {}  # the first of several
    for name in names:
        donor_of_person.setdefault(person(name), name.partition("/")[0])
    parts: dict[str, Part] = {}
    for donor in set(donor_of_person.values()):
        members = [member for member, first in donor_of_person.items() if first == donor]
        for rank, member in enumerate(sorted(members, key=_hash), _hash(donor)):
            parts[member] = PART_OF_TENTH.get(rank % 10, "train")
    return {name: parts[person(name)] for name in names}


def part_of_one(writer: str) -> Part:
    """Return the part of one writer, "donor/writer", whichever other writers the data have."""
    return PART_OF_TENTH.get(_hash(writer) % 10, "train")


def part_of_few(writers: Iterable[str]) -> dict[str, Part]:
    """Return the parts of so few writers that tenths would be one or two persons: fifths."""
    ordered = sorted(set(writers), key=_hash)
    fifth = len(ordered) // 5
    return {
        name: "test" if rank < fifth else "validation" if rank < 2 * fifth else "train"
        for rank, name in enumerate(ordered)
    }


def part_of_lines(names: Iterable[str], held_out: float) -> dict[str, Part]:
    """Return the parts of a user's lines: a share validates, of two lines or more at least one."""
    ordered = sorted(set(names), key=_hash)
    n_held_out = min(max(1, round(held_out * len(ordered))), len(ordered) - 1)
    return {
        name: "validation" if rank < n_held_out else "train" for rank, name in enumerate(ordered)
    }


def table_digest(part_of: Mapping[str, Part]) -> str:
    """Return the SHA-256 of a table with a line for each writer."""
    table = "".join(f"{part}\t{writer}\n" for writer, part in sorted(part_of.items()))
    return hashlib.sha256(table.encode()).hexdigest()


def parts(ink: InkSet) -> Parts:
    """Return the indices of the pieces of each part, ascending."""
    part = part_of_writer(ink.writer_names)
    of_piece = np.array([part[name] for name in ink.writer_names], np.str_)[ink.writers]
    return {name: np.flatnonzero(of_piece == name) for name in PARTS}


def count_leaks(ink: InkSet, parts_: Parts) -> int:
    """Count the pieces whose ink is also in another part: anything but 0 is a leak."""
    first_part: dict[bytes, Part] = {}
    starts = ink.stroke_starts[ink.piece_starts]
    n_torn = 0
    for part, indices in parts_.items():
        for index in indices[np.diff(starts)[indices] >= LEAST_POINTS]:
            points = ink.points[starts[index] : starts[index + 1]].tobytes()
            n_torn += first_part.setdefault(points, part) != part
    return n_torn


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def split_own_ink(ink: InkSet, groups: Indices, held_out: float = HELD_OUT) -> Parts:
    """Return the indices of the pieces for training and validation, ascending.

    `groups` has the same number for pieces that share ink, such as a line and its words. Of 20
    writers or more whole ones validate. If the share `held_out` is less than one piece, or there is
    one group alone, none does.
    """
    keys: list[Collection[Hashable]] = [(group,) for group in groups.tolist()]
    if len(np.unique(ink.writers)) >= 20:
        names = [ink.writer_names[writer] for writer in ink.writers]
        keys = list(zip(groups.tolist(), names, strict=True))
    number = connected_groups(keys)
    order = np.argsort(number, kind="stable")
    connected = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    validates = np.zeros(len(ink), np.bool_)
    if int(held_out * len(ink)) and len(connected) > 1:
        labels = [[ink.labels[piece] for piece in group] for group in connected]
        for group in _held_out(labels, held_out):
            validates[connected[group]] = True
    return {"train": np.flatnonzero(~validates), "validation": np.flatnonzero(validates)}


def connected_groups(keys: Sequence[Collection[Hashable]]) -> Indices:
    """Number the collections: the same number for those that a chain of common keys connects."""
    parents = list(range(len(keys)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    first: dict[Hashable, int] = {}
    for number, collection in enumerate(keys):
        for key in collection:
            parents[root(number)] = root(first.setdefault(key, number))
    return np.array([root(number) for number in range(len(keys))], np.int64)


def _held_out(labels: Sequence[Sequence[str]], share: float) -> list[int]:
    """Choose a share of the groups by their labels: one of as many with similar labels.

    A group that alone has some character is chosen only if there is no other.
    """
    random = np.random.default_rng(0)
    characters = [set().union(*group) for group in labels]
    n_training = Counter(chain.from_iterable(characters))  # groups that have a character

    def n_lost(group: int) -> int:
        return sum(n_training[character] == 1 for character in characters[group])

    order = random.permutation(len(labels)).tolist()
    order.sort(key=[sorted(group) for group in labels].__getitem__)
    held_out = []
    for alike in np.array_split(order, max(1, int(share * len(order)))):
        group = min(random.permutation(alike).tolist(), key=n_lost)
        if not n_lost(group):
            held_out.append(group)
            n_training.subtract(characters[group])
    return held_out or [min(order, key=n_lost)]
