"""The validation pieces of a user's own ink: a tenth, whose letters all occur in training."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.data import line_data
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.line_data import LineData
from inkstream.model.errors import DataError
from tests.helpers.small_ink_set import Builder


def ink_of(labels: Sequence[str], writers: Sequence[str] = ("mine/ann",)) -> InkSet:
    """Return a piece for each label, by the writers in turn."""
    builder = Builder()
    for number, label in enumerate(labels):
        builder.add(
            np.array([[0, 0], [300, number]]), [2], np.full(2, -1, np.int16), (np.nan, np.nan),
            label=label, category="7", writer=writers[number % len(writers)],
        )  # fmt: skip
    return builder.ink()


def labels_of(data: LineData, part: str) -> Counter[str]:
    return Counter(data.ink.labels[piece] for piece in getattr(data, part))


def test_labels_that_repeat_in_tens_are_in_both_parts() -> None:
    data = line_data.own_ink("mine", ink_of(list("0123456789") * 12))
    assert labels_of(data, "training").keys() == set("0123456789")
    assert len(labels_of(data, "validation")) >= 8
    assert len(data.validation) == 12


def test_the_only_piece_with_a_letter_is_in_training() -> None:
    labels = [*["abba"] * 9, *(f"ab{rare}" for rare in "cdefghijklmno"), *["baab"] * 9]
    data = line_data.own_ink("mine", ink_of(labels))
    assert labels_of(data, "validation").keys() <= {"abba", "baab"}


def test_one_piece_is_held_out_even_if_every_piece_has_its_own_letter() -> None:
    data, again = (line_data.own_ink("mine", ink_of("abcdefghij")) for _ in range(2))
    assert len(data.validation) == 1
    np.testing.assert_array_equal(data.validation, again.validation)


NUMBERED = [f"writer_{number}" for number in range(30)]
KANA = [first + second for first in "あいうえお" for second in "かきくけこさ"]


@pytest.mark.parametrize("names", [NUMBERED, KANA])
def test_many_writers_are_distinguished_by_their_full_names(names: list[str]) -> None:
    writers = [f"mine/{name}" for name in names]
    data = line_data.own_ink("mine", ink_of(["word"] * 90, writers))
    by_part = [set(data.ink.writers[pieces]) for pieces in (data.validation, data.training)]
    assert [len(writers_of_part) for writers_of_part in by_part] == [3, 27]
    assert by_part[0].isdisjoint(by_part[1])


LEFT = {"ab": 0, "cd": 500}  # where words begin


def test_all_ink_of_one_trace_is_in_one_part(tmp_path: Path) -> None:
    def group(label: str, inner: str) -> str:
        return f'<traceGroup><annotation type="truth">{label}</annotation>{inner}</traceGroup>'

    words = [
        [group(word, f"<trace>{x} {y}, {x + 300} {y + 200}</trace>") for word, x in LEFT.items()]
        for y in range(20)
    ]
    path = tmp_path / "lines.inkml"
    path.write_text(f"<ink>{''.join(group('ab cd', ''.join(line)) for line in words)}</ink>")
    data = line_data.load_labelled(path)
    assert labels_of(data, "validation") == {"ab cd": 2, "ab": 2, "cd": 2}
    assert not {*(data.validation // 3)} & {*(data.training // 3)}


def test_a_repeated_piece_is_in_one_part(tmp_path: Path) -> None:
    slopes = ([[x, x * number] for x in range(40)] for number in range(15))
    lines = [json.dumps({"strokes": [line], "label": "word", "writer": "ann"}) for line in slopes]
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("\n".join(lines))
    data = line_data.load_labelled(tmp_path)
    assert data.ink.writer_names == (f"{tmp_path.name}/ann",)  # one writer of two files
    assert not {*(data.validation % 15)} & {*(data.training % 15)}


def test_ink_that_is_all_connected_cannot_be_split() -> None:
    with pytest.raises(DataError, match="mine has 12 labelled pieces that all have ink in common"):
        line_data.own_ink("mine", ink_of(["a"] * 12), np.zeros(12, np.int64))


def test_an_error_for_a_folder_without_data_lists_all_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folders data and include, .*, and no \.jsonl or"):
        line_data.load_labelled(tmp_path)
