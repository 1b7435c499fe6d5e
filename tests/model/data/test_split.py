"""Train, validation and test writers: all ink of a person is in one part."""

import hashlib
import random
from collections import Counter

import numpy as np
import pytest

from inkstream.model.data import split
from inkstream.model.data.ink_set import CATEGORIES, InkSet
from tests.helpers.small_ink_set import Builder

WRITERS = [f"{donor}/w{number}" for donor in ("abc", "def", "ghi") for number in range(40)]


def ink_of(writers: list[str], seed: int = 0) -> InkSet:
    """Return a piece of each category by every writer, all different."""
    rng = np.random.default_rng(seed)
    builder = Builder()
    for writer in writers:
        for category in CATEGORIES:
            points = rng.integers(0, 1000, (30, 2))
            letters = np.zeros(30, np.int16)
            builder.add(points, [30], letters, (0, 9), label="a", category=category, writer=writer)
    return builder.ink()


def test_every_piece_is_in_one_part_and_no_writer_in_two() -> None:
    ink = ink_of(WRITERS)
    parts = split.parts(ink)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(ink)))
    writers = [set(ink.writers[pieces]) for pieces in parts.values()]
    assert sum(map(len, writers)) == len(set.union(*writers)) == len(WRITERS)


def test_a_tenth_of_each_donor_validates_and_a_tenth_tests_whatever_the_others_are() -> None:
    parts = split.part_of_writer(WRITERS)
    count = Counter((writer[:3], part) for writer, part in parts.items())
    for donor in ("abc", "def", "ghi"):
        assert count[donor, "validation"] == count[donor, "test"] == 4
        assert count[donor, "train"] == 32
    shuffled = random.Random(5).sample(WRITERS, len(WRITERS))
    assert split.part_of_writer(shuffled) == parts
    abc = [writer for writer in WRITERS if writer.startswith("abc")]
    assert split.part_of_writer(abc) == {writer: parts[writer] for writer in abc}
    test = sorted(writer for writer in abc if parts[writer] == "test")
    assert test == ["abc/w12", "abc/w22", "abc/w30", "abc/w6"]  # on every machine


def test_the_part_of_one_writer_follows_from_the_name() -> None:
    parts = Counter(split.part_of_one(f"wills/w{number}") for number in range(1000))
    assert 70 < parts["validation"] < 130
    assert 70 < parts["test"] < 130
    names = [name for name in WRITERS if split.part_of_one(name) == "test"]
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()
    assert digest == "abe7a429701db953d1051ace8d6aa153b75a1aeb2fc9020126e3948165410bb7"


def test_a_fifth_of_a_few_writers_validates_and_a_fifth_tests() -> None:
    parts = split.part_of_few(WRITERS[:31])
    assert Counter(parts.values()) == {"train": 19, "validation": 6, "test": 6}
    assert split.part_of_few(reversed(WRITERS[:31])) == parts
    tests = sorted(name for name, part in parts.items() if part == "test")
    assert split.table_digest(parts) != split.table_digest(parts | {tests[0]: "train"})


@pytest.mark.parametrize(
    ("writer", "other_writer", "is_same"),
    [
        ("apb/Jon_Klein", "apd/Jon_Klein", True),
        ("cea/gb2911", "cec/GB2911", True),
        ("apd/Chuck_Chaffee_1", "apd/Chuck_Chaffee_2", True),
        ("cee/KNKE4574.A", "ced/KNKE4574.B", True),
        ("ibm/bam11", "ibm/bam12", True),
        ("ibm/r00-07", "ibm/r02-07", True),
        ("ibm/r00-07", "ibm/r00-11", False),
        ("mot/bb2", "mot/bs2", False),
        ("kar/mjh_0055", "kar/mjh_0056", False),
        ("rim/wd136.dat", "rim/wd137.dat", False),
        ("lex/rounc1", "lex/rounp1", False),
    ],
)
def test_names_of_one_person_are_recognized(writer: str, other_writer: str, is_same: bool) -> None:
    assert (split.person(writer) == split.person(other_writer)) == is_same


def test_a_person_of_two_donors_is_in_one_part() -> None:
    names = [f"Name_{letter}" for letter in "abcdefghijklmnop"]
    parts = split.part_of_writer(f"{donor}/{name}" for donor in ("apb", "apd") for name in names)
    assert all(parts[f"apb/{name}"] == parts[f"apd/{name}"] for name in names)
    assert set(parts.values()) == {"train", "validation", "test"}


def test_the_same_ink_in_two_parts_is_found() -> None:
    ink = ink_of(WRITERS)
    parts = split.parts(ink)
    assert split.count_leaks(ink, parts) == 0
    twice = ink.take(np.concatenate([np.arange(len(ink)), parts["train"][:3]]))
    twice.writers[-3:] = ink.writers[parts["test"][0]]
    assert split.count_leaks(twice, split.parts(twice)) == 3


@pytest.mark.parametrize(
    ("strokes", "is_joined"),
    [([2, 8], True), ([2, 2, 6], True), ([2, 1, 4, 3], True), ([2, 2, 2, 1, 3], False)],
)
def test_a_stroke_with_points_of_two_letters_joins_them(
    strokes: list[int], *, is_joined: bool
) -> None:
    letters = np.array([0, 0, 1, -1, 0, -1, 1, -1, -1, 0], np.int16)
    builder, points = Builder(), np.arange(20).reshape(10, 2)
    builder.add(points, strokes, letters, (0, 9), label="ab", category="7", writer="a/b")
    assert builder.ink().joined().tolist() == [is_joined]
