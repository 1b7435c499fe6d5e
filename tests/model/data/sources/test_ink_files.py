"""A user's own ink: JSON lines and InkML become an `InkSet`, or an error with file and line."""

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from inkstream.model.data.ink_set import InkSet, Piece
from inkstream.model.data.sources import ink_files
from inkstream.model.errors import DataError

WORD = {"strokes": [[[10, 20], [510, 320]], [[60, 10]]], "label": "né"}


def read(tmp_path: Path, text: str, name: str = "mine.jsonl") -> InkSet:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return ink_files.read(path).ink


def read_pieces(tmp_path: Path, *pieces: dict[str, Any]) -> ink_files.LabelledInk:
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, pieces)))
    return ink_files.read(tmp_path / "mine.jsonl")


def only(ink: InkSet) -> Piece:
    assert len(ink) == 1
    return ink.piece(0)


def shapes(piece: Piece) -> list[list[list[int]]]:
    return [stroke.tolist() for stroke in piece.strokes]


def inkml(body: str, head: str = "") -> str:
    return f'<ink xmlns="http://www.w3.org/2003/InkML">\n{head}\n{body}\n</ink>'


# JSON lines


def test_a_compressed_file_is_read_as_it_was_before(tmp_path: Path) -> None:
    line = json.dumps(WORD | {"writer": "Zoë"}).encode()
    (tmp_path / "mine.jsonl").write_bytes(line)
    (tmp_path / "mine.jsonl.xz").write_bytes(packed := lzma.compress(line))
    plain, compressed = (ink_files.read(tmp_path / f"mine.jsonl{end}").ink for end in ("", ".xz"))
    assert compressed.digest == plain.digest
    (tmp_path / "mine.jsonl.xz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match=r"mine\.jsonl\.xz is incomplete or damaged"):
        ink_files.read(tmp_path / "mine.jsonl.xz")


def test_a_line_is_a_piece_with_its_strokes_label_and_writer(tmp_path: Path) -> None:
    strokes = [[[10, 20, 17, 0.5], [510, 320]], [[60, 10]]]
    row = {"strokes": strokes, "label": " ne\u0301  a ", "writer": "Zoë", "device": "pad"}
    piece = only(read(tmp_path, f"\n{json.dumps(row)}\n\n"))
    assert shapes(piece) == [[[0, 10], [500, 310]], [[50, 0]]]
    assert (piece.label, piece.writer) == ("né a", "mine/Zoë")
    assert [letters.tolist() for letters in piece.letters] == [[-1, -1], [-1]]


CATEGORY_OF = {"7": "1a", "Ä": "1b", "ß": "1c", "?": "1d", "字": "1c", "naïve": "7", "a b": "8"}


@pytest.mark.parametrize(("label", "category"), CATEGORY_OF.items())
def test_any_alphabet_finds_its_category(tmp_path: Path, label: str, category: str) -> None:
    piece = only(read_pieces(tmp_path, WORD | {"label": label}).ink)
    assert (piece.label, piece.category) == (label, category)
    assert (piece.letters[0][0] == 0) == (len(label) == 1)


def test_a_writers_ink_in_coarse_units_is_scaled_up_as_a_whole(tmp_path: Path) -> None:
    sizes = (0.5, 1.0, 2.0)
    lines = [{"strokes": [[[0.0, 0.0], [size, size / 4]]], "label": "w"} for size in sizes]
    ink = read_pieces(tmp_path, *lines, *(WORD | {"writer": "ann"} for _ in range(3))).ink
    ends = [ink.piece(n).strokes[0][1].tolist() for n in range(4)]
    assert ends == [[128, 32], [256, 64], [512, 128], [500, 310]]  # whose writer is another one


LABELLED = '{"strokes": [[[0, 0]]], "label": '
FAULTS = [
    ("{", "line 2: Input data was truncated in {, expected"),
    ("[1, 2]", 'line 2: Expected `object`, got `array` .*, expected ."strokes": '),
    ('{"strokes": [[[0, 0]]]}', "line 2: Object missing required field `label`"),
    ('{"strokes": {}, "label": "a"}', r"line 2: Expected `array`.* at `\$.strokes`"),
    ('{"strokes": [{}], "label": "a"}', r"Expected `array`, .* at `\$.strokes\[0\]`"),
    ('{"strokes": [[[0, 0]], [[0, 0], [1]]], "label": "a"}', r"strokes\[1\]\[1\]"),
    ('{"strokes": [], "label": "a", "more": ' + "[" * 100_000, "line 2: maximum recursion"),
    *(
        ('{"strokes": [[[0, ' + value + ']]], "label": "a"}', complaint)
        for value, complaint in (
            ('"1"', r"got `str` - at `\$.strokes\[0\]\[0\]\[1\]`"),
            ("NaN", "JSON is malformed"),
            ("Infinity", "JSON is malformed"),
            ("1e300", r"Expected `float` <= 1000000000000\.0"),
            ("true", "Expected `float`, got `bool`"),
            ("9" * 1000, "Number out of range"),
        )
    ),
    (LABELLED + '""}', "line 2: label is '', expected text"),
    (LABELLED + "7}", r"line 2: Expected `str`, got `int` - at `\$.label`"),
    (LABELLED + '"a\\u0000"}', "line 2: label is .*expected text"),
    (LABELLED + '"a\\ud800"}', "line 2: "),
    (LABELLED + '"\\u200d"}', "line 2: label is .*expected text"),
    (LABELLED + '"a", "writer": true}', r"got `bool` - at `.\.writer`"),
    (LABELLED + '"a", "writer": ""}', "line 2: writer is ''"),
]


@pytest.mark.parametrize(("line", "complaint"), FAULTS)
def test_an_error_names_the_file_and_the_line(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(DataError, match=rf"mine\.jsonl, .*{complaint}"):
        read(tmp_path, f"{json.dumps(WORD)}\n{line}\n")


def test_a_byte_order_mark_is_no_part_of_the_first_line_and_other_bytes_are_refused(
    tmp_path: Path,
) -> None:
    assert read(tmp_path, "\ufeff" + json.dumps(WORD)).labels == ("né",)
    (tmp_path / "mine.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="line 1: JSON is malformed"):
        ink_files.read(tmp_path / "mine.jsonl")
    line = json.dumps(WORD, ensure_ascii=False).encode()
    (tmp_path / "mine.jsonl").write_bytes(line.replace("é".encode(), b"\xc3"))
    with pytest.raises(DataError, match=r"line 1: .*(?i:utf-8).*expected"):
        ink_files.read(tmp_path / "mine.jsonl")


@pytest.mark.parametrize("stray", [5e8, 1e12])
def test_a_piece_with_a_stray_point_is_skipped_and_affects_no_other(
    tmp_path: Path, stray: float
) -> None:
    large = {"strokes": [[[0, 0], [300, 9], [stray, 5]]], "label": "l"}
    labelled = read_pieces(tmp_path, large, WORD, {"strokes": [[[5, 5]]], "label": "."})
    assert labelled.ink.labels == ("né", ".")
    assert shapes(labelled.ink.piece(0)) == [[[0, 10], [500, 310]], [[50, 0]]]
    reason = "ink 400 times larger than its writer's other pieces"
    assert labelled.statistics.skipped == {reason: 1}


@pytest.mark.parametrize("label", ["a\nb", "a \r\n b", "a\u2028b"])
def test_labels_of_several_lines_are_skipped_and_counted(tmp_path: Path, label: str) -> None:
    labelled = read_pieces(tmp_path, WORD | {"label": label}, WORD | {"label": "\nb\n"})
    assert labelled.ink.labels == ("b",)
    assert labelled.statistics.skipped == {"label of several lines": 1}


def test_strokes_without_points_are_left_out(tmp_path: Path) -> None:
    strokes: list[list[Any]] = [[[], [[0, 0], [300, 9]], []], [], [[], []]]
    labelled = read_pieces(tmp_path, *({"strokes": given, "label": "a"} for given in strokes))
    assert shapes(only(labelled.ink)) == [[[0, 0], [300, 9]]]
    assert labelled.statistics.skipped == {"no ink": 2}


@pytest.mark.parametrize(
    ("writer", "name"), [(None, "unknown"), (7, "7"), ("a\nb", "a b"), ("李", "李")]
)
def test_a_writer_may_be_a_number_or_missing(tmp_path: Path, writer: object, name: str) -> None:
    assert read_pieces(tmp_path, WORD | {"writer": writer}).ink.writer_names == (f"mine/{name}",)


@pytest.mark.parametrize("label", ["می\u200cخواهم", "क्\u200dष", "co\u00adop"])
def test_joiners_and_soft_hyphens_are_kept_in_labels(tmp_path: Path, label: str) -> None:
    assert read_pieces(tmp_path, WORD | {"label": label}).ink.labels == (label,)


# Sources


def test_a_folder_is_read_with_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "hand" / "deep").mkdir(parents=True)
    (tmp_path / "hand" / "a.jsonl").write_text(json.dumps(WORD))
    (tmp_path / "hand" / "deep" / "b.inkml").write_text(
        inkml('<annotation type="truth">hi</annotation><trace>0 0, 300 0</trace>')
    )
    (tmp_path / "hand" / "readme.txt").write_text("not ink")
    ink = ink_files.read(tmp_path / "hand").ink
    assert ink.labels == ("né", "hi")
    assert ink.writer_names == ("hand/unknown",)


def test_endings_may_be_in_capitals_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "sub.jsonl").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("._a.jsonl", ".hidden/b.jsonl"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "A.JSONL").write_text(json.dumps(WORD))
    assert ink_files.read(tmp_path).ink.labels == ("né",)
    assert ink_files.read(tmp_path / "A.JSONL").ink.writer_names == ("A/unknown",)


@pytest.mark.parametrize("name", ["none.jsonl", "a.txt", "empty"])
def test_a_path_without_ink_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"is no \.jsonl or \.ndjson or \.jsonl\.xz or \.inkml file"
    ):
        ink_files.read(tmp_path / name)


def test_a_file_without_labelled_ink_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no labelled ink that can be used$"):
        read(tmp_path, inkml("<trace>1 2</trace>"), "page.inkml")
    with pytest.raises(DataError, match="ink that can be used: 1 label of several lines"):
        read(tmp_path, json.dumps(WORD | {"label": "a\nb"}))
