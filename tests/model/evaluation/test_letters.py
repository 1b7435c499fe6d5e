"""The report on single letters: each group is read among its own labels, and case may count."""

from pathlib import Path

import pytest

from inkstream.model.data.sources.letters import load_letters
from inkstream.model.errors import DataError
from inkstream.model.evaluation.letters import letters_report
from tests.helpers import builders
from tests.helpers.letter_files import RARE, SPECIAL, write, write_letters


def test_groups_are_read_among_their_labels_with_an_interval(tmp_path: Path) -> None:
    special = SPECIAL + RARE
    at_hand = {"small letters": "og", "capitals": "H", "digits": "7", "marks": special}
    net = builders.line_checkpoint(tmp_path / "lines.onnx", labels=tuple("ogH7" + special))
    files = [load_letters(path) for path in write_letters(tmp_path)]
    report = letters_report(net, files, part="validation")
    groups = report.contents["groups"]
    assert groups.keys() == {*at_hand, "special letters", "special letters and marks"}
    for name, figures in groups.items():
        low, high = figures["interval"]
        assert low <= figures["right"] <= min(high, figures["right_without_case"])
        read = {char for _, text, _ in figures["mistakes"] for char in text}
        assert read <= set(at_hand.get(name, special))
    n_special = [groups[name]["letters"] for name in ("special letters", "marks")]
    assert sum(n_special) == len(files[0].parts["validation"])
    assert f"\n| digits | 2 | 2 | {groups['digits']['right']:.1%} | " in report.table()
    assert report.contents["split_digest"] == ", ".join(file.split_digest for file in files)


def test_files_without_a_letter_of_the_part_are_refused(tmp_path: Path) -> None:
    net = builders.line_checkpoint(tmp_path / "lines.onnx", labels=("o", "g"))
    letter = {"strokes": [[[0, 0], [300, 1000]]], "label": "o", "writer": "one"}
    others = [letter | {"label": "g", "writer": "other"}]
    file = load_letters(write(tmp_path / "few.jsonl.xz", [letter, *others]))
    assert len(file.parts["train"]) == 2
    with pytest.raises(DataError, match="none of 2 letters is for test"):
        letters_report(net, [file], part="test")
