"""Anyone's ink: JSON lines and InkML in, an `InkSet` out, or the file and line of what is wrong."""

import json
from pathlib import Path

import pytest

from model.data import inkfiles
from model.data.inkset import InkSet, Piece
from model.errors import DataError

WORD = {"strokes": [[[10, 20], [510, 320]], [[60, 10]]], "label": "né"}


def read(tmp_path: Path, text: str, name: str = "mine.jsonl") -> InkSet:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return inkfiles.read(path).ink


def only(ink: InkSet) -> Piece:
    assert len(ink) == 1
    return ink.piece(0)


def shapes(piece: Piece) -> list[list[list[int]]]:
    return [stroke.tolist() for stroke in piece.strokes]


# JSON lines


def test_a_line_is_a_piece_with_its_strokes_label_and_writer(tmp_path: Path) -> None:
    piece = only(read(tmp_path, json.dumps(WORD | {"writer": "Zoë"})))
    assert shapes(piece) == [[[0, 10], [500, 310]], [[50, 0]]]
    assert (piece.label, piece.writer) == ("né", "mine/Zoë")
    assert [letters.tolist() for letters in piece.letters] == [[-1, -1], [-1]]


def test_blank_lines_further_numbers_and_other_keys_are_passed_over(tmp_path: Path) -> None:
    line = {"strokes": [[[0, 0, 17, 0.5], [300, 300, 18]]], "label": "l", "device": "pad"}
    piece = only(read(tmp_path, f"\n{json.dumps(line)}\n\n"))
    assert shapes(piece) == [[[0, 0], [300, 300]]]
    assert piece.writer == "mine/unknown"


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("7", "1a"),
        ("Ä", "1b"),
        ("ß", "1c"),
        ("?", "1d"),
        ("字", "1c"),
        ("naïve", "7"),
        ("a b", "8"),
    ],
)
def test_any_alphabet_finds_its_category(tmp_path: Path, label: str, category: str) -> None:
    piece = only(read(tmp_path, json.dumps(WORD | {"label": label})))
    assert (piece.label, piece.category) == (label, category)
    assert (piece.letters[0][0] == 0) == (len(label) == 1)


def test_labels_are_composed_and_have_single_spaces(tmp_path: Path) -> None:
    assert only(read(tmp_path, json.dumps(WORD | {"label": " e\u0301  a "}))).label == "é a"


def test_ink_in_coarse_units_is_scaled_up_as_a_whole(tmp_path: Path) -> None:
    lines = [
        {"strokes": [[[0.0, 0.0], [size, size / 4]]], "label": "w"} for size in (0.5, 1.0, 2.0)
    ]
    ink = read(tmp_path, "\n".join(map(json.dumps, lines)))
    assert [ink.piece(n).strokes[0][1].tolist() for n in range(3)] == [
        [128, 32],
        [256, 64],
        [512, 128],
    ]


def test_ink_in_fine_units_is_made_to_fit(tmp_path: Path) -> None:
    piece = only(read(tmp_path, json.dumps({"strokes": [[[0, 0], [1e6, 1000]]], "label": "-"})))
    assert 16_000 < piece.strokes[0][1][0] <= 32_767


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: no JSON"),
        ("[1, 2]", "line 2: .* expected an object with strokes and label"),
        ('{"strokes": [[[0, 0]]]}', "expected an object with strokes and label"),
        ('{"strokes": [], "label": "a"}', r"line 2: strokes is \[\], expected a list of strokes"),
        ('{"strokes": [[]], "label": "a"}', r"line 2, stroke 0: \[\], expected a list of points"),
        ('{"strokes": [[[0, 0]], [[0, 0], [1]]], "label": "a"}', r"stroke 1, point 1: \[1\]"),
        ('{"strokes": [[[0, "1"]]], "label": "a"}', r"stroke 0, point 0: .*expected \[x, y\]"),
        ('{"strokes": [[[0, NaN]]], "label": "a"}', "point 0: .*nan"),
        ('{"strokes": [[[0, Infinity]]], "label": "a"}', "point 0: .*inf"),
        ('{"strokes": [[[0, 1e300]]], "label": "a"}', "point 0: .*1e"),
        ('{"strokes": [[[0, true]]], "label": "a"}', "point 0: .*True"),
        ('{"strokes": [[[0, ' + "9" * 1000 + ']]], "label": "a"}', "point 0: .*999"),
        ('{"strokes": [[[0, 0]]], "label": ""}', "line 2: label is '', expected text"),
        ('{"strokes": [[[0, 0]]], "label": 7}', "line 2: label is 7, expected text"),
        ('{"strokes": [[[0, 0]]], "label": "a\\u0000"}', "line 2: label is .*expected text"),
        ('{"strokes": [[[0, 0]]], "label": "a", "writer": null}', "line 2: writer is None"),
    ],
)
def test_what_is_wrong_is_told_with_its_file_and_line(
    tmp_path: Path, line: str, complaint: str
) -> None:
    with pytest.raises(DataError, match=rf"mine\.jsonl, .*{complaint}"):
        read(tmp_path, f"{json.dumps(WORD)}\n{line}\n")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="line 1: no JSON"):
        inkfiles.read(path)


def test_one_piece_far_larger_than_the_others_is_refused(tmp_path: Path) -> None:
    lines = [{"strokes": [[[0, 0], [size, 0]]], "label": "-"} for size in (1, 1, 1e9)]
    with pytest.raises(DataError, match=r"line 3: ink of size 1e\+09 beside pieces of 1"):
        read(tmp_path, "\n".join(map(json.dumps, lines)))


# InkML


def inkml(body: str, head: str = "") -> str:
    return f'<ink xmlns="http://www.w3.org/2003/InkML">\n{head}\n{body}\n</ink>'


def inkml_piece(tmp_path: Path, trace: str, head: str = "") -> Piece:
    truth = '<annotation type="truth">x</annotation>'
    text = inkml(f"<traceGroup>{truth}<trace>{trace}</trace></traceGroup>", head)
    return only(read(tmp_path, text, "one.inkml"))


def test_a_labelled_group_of_traces_is_a_piece(tmp_path: Path) -> None:
    text = inkml(
        '<annotation type="writer">ann</annotation><trace>9 9, 8 8</trace>'
        '<traceGroup><annotation type="truth"> two words </annotation>'
        "<trace>0 0, 300 400</trace><trace>10 0</trace></traceGroup>"
    )
    piece = only(read(tmp_path, text, "page.inkml"))
    assert (piece.label, piece.writer, piece.category) == ("two words", "page/ann", "8")
    assert shapes(piece) == [[[0, 0], [300, 400]], [[10, 0]]]


def test_a_view_refers_to_traces_groups_and_parts_of_traces(tmp_path: Path) -> None:
    text = inkml(
        '<trace xml:id="a">0 0, 100 0, 200 0, 300 0</trace>'
        '<traceGroup xml:id="g"><trace id="b">0 300</trace><trace id="c">9 300</trace></traceGroup>'
        '<traceView><annotation type="transcription">word</annotation>'
        '<traceView traceDataRef="#a" from="2" to="3"/><traceView traceDataRef="g"/></traceView>'
    )
    piece = only(read(tmp_path, text, "page.inkml"))
    assert shapes(piece) == [[[100, 0], [200, 0]], [[0, 300]], [[9, 300]]]


def test_a_labelled_group_may_hold_others(tmp_path: Path) -> None:
    def group(label: str, *inner: str) -> str:
        truth = f'<annotation type="truth">{label}</annotation>'
        return f"<traceGroup>{truth}{''.join(inner)}</traceGroup>"

    text = inkml(
        group("a b", group("a", "<trace>0 0, 300 0</trace>"), group("b", "<trace>0 5</trace>"))
    )
    ink = read(tmp_path, text, "page.inkml")
    assert ink.labels == ("a b", "a", "b")
    assert len(ink.piece(0).strokes) == 2


def test_the_whole_ink_may_be_labelled(tmp_path: Path) -> None:
    text = inkml(
        '<annotation type="truth">hi</annotation><trace>0 0, 300 0</trace><trace>0 9</trace>'
    )
    assert len(only(read(tmp_path, text, "page.inkml")).strokes) == 2


def test_formulas_in_tex_are_skipped_and_counted_and_their_symbols_are_read(tmp_path: Path) -> None:
    def symbol(label: str, trace: int) -> str:
        view = f'<traceView traceDataRef="{trace}"/>'
        return f'<traceGroup><annotation type="truth">{label}</annotation>{view}</traceGroup>'

    path = tmp_path / "crohme.inkml"
    path.write_text(
        inkml(
            r'<annotation type="truth">$2\pi$</annotation><annotation type="writer">w7</annotation>'
            '<trace id="0">0 0, 300 0</trace><trace id="1">400 0, 700 0</trace>'
            '<traceGroup><annotation type="truth">Segmentation</annotation>'
            f"{symbol('2', 0)}{symbol(chr(92) + 'pi', 1)}</traceGroup>"
        )
    )
    found = inkfiles.read(path)
    assert (only(found.ink).label, only(found.ink).writer) == ("2", "crohme/w7")
    assert sum(found.census.skipped.values()) == 3
    assert found.census.pieces == {("1a", "crohme"): 1}


@pytest.mark.parametrize(
    "trace",
    [
        "100 200, 400 600",
        "100 200,400 600",
        "1e2 2.0e2, 400. 600",
        "100 200 7 T, 400 600 8 F",
        "100 200, '300 '400",
        "100 200, !400 600",
        "100 200 : 5 7, 400 600 : 5",
    ],
)
def test_points_are_read_in_every_notation(tmp_path: Path, trace: str) -> None:
    assert shapes(inkml_piece(tmp_path, trace)) == [[[0, 0], [300, 400]]]


def test_differences_go_on_until_another_prefix_comes(tmp_path: Path) -> None:
    piece = inkml_piece(tmp_path, """1100 200,'20'40,"7"-8,3-5,* *,!1100!700""")
    assert shapes(piece) == [[[0, 0], [20, 40], [47, 72], [77, 99], [110, 121], [0, 500]]]


def test_an_asterisk_keeps_a_value(tmp_path: Path) -> None:
    assert shapes(inkml_piece(tmp_path, "0 0, 300 *, * 300")) == [[[0, 0], [300, 0], [300, 300]]]


def test_channels_say_where_x_and_y_stand_and_which_way_they_grow(tmp_path: Path) -> None:
    head = (
        '<traceFormat><channel name="T"/><channel name="Y" orientation="-ve"/><channel name="X"/>'
        "<intermittentChannels><channel name='F'/></intermittentChannels></traceFormat>"
    )
    assert shapes(inkml_piece(tmp_path, "5 0 10, 6 300 20", head)) == [[[0, 300], [10, 0]]]


def test_traces_of_the_pen_in_the_air_are_left_out(tmp_path: Path) -> None:
    text = inkml(
        '<annotation type="truth">l</annotation><trace>0 0, 300 0</trace>'
        '<trace type="penUp">300 0, 0 300</trace>'
    )
    assert shapes(only(read(tmp_path, text, "page.inkml"))) == [[[0, 0], [300, 0]]]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<trace>1 2", "line 4: mismatched tag"),
        ("<trace>1 2, 3</trace>", "line 3: point 1 of the trace is '3', expected 2 values"),
        ("<trace>1 2, a b</trace>", "line 3: point 1 of the trace is 'a b'"),
        ("<trace></trace>", "line 3: point 0 of the trace is ''"),
        ("<trace>1 ?</trace>", "line 3: in X or Y of the trace, could not convert .*'\\?'"),
        (
            '<traceView><annotation type="truth">a</annotation>\n'
            '<traceView traceDataRef="#z"/></traceView>',
            "line 4: traceDataRef '#z' is not in the file",
        ),
        (
            '<trace id="a">1 2</trace><traceView traceDataRef="a" from="1:2">'
            '<annotation type="truth">a</annotation></traceView>',
            "line 3: from '1:2' to None, expected counts of points",
        ),
        (
            '<trace id="a">1 2</trace><traceView traceDataRef="a" from="2">'
            '<annotation type="truth">a</annotation></traceView>',
            "line 3: a view of points that its trace has not",
        ),
        ("<trace>" + "1" * 5000 + "x 2</trace>", "line 3: point 0 of the trace is '111"),
        (
            '<traceGroup><annotation type="truth">a</annotation></traceGroup>',
            "line 3: the group labelled 'a' has no traces",
        ),
        (
            '<traceGroup><annotation type="truth"/><trace>1 2</trace></traceGroup>',
            "line 3: label is '', expected text",
        ),
        (
            '<traceGroup><annotation type="truth">a</annotation><trace>1e99 0</trace></traceGroup>',
            "line 3: a coordinate beyond 1e",
        ),
        (
            '<traceFormat><channel name="F"/></traceFormat>',
            r"line 3: the channels are \['F'\], expected X and Y",
        ),
        (
            '<traceFormat><channel name="X"/><channel name="Y"/></traceFormat>'
            '<traceFormat><channel name="Y"/><channel name="X"/></traceFormat>',
            "traces of different formats",
        ),
    ],
)
def test_what_is_wrong_in_inkml_is_told_with_its_line(
    tmp_path: Path, body: str, complaint: str
) -> None:
    with pytest.raises(DataError, match=rf"page\.inkml, {complaint}"):
        read(tmp_path, inkml(body), "page.inkml")


def test_another_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: the root is <svg>, expected <ink>"):
        read(tmp_path, "<svg/>", "page.inkml")


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: unknown encoding"):
        read(tmp_path, '<?xml version="1.0" encoding="klingon"?><ink/>', "page.inkml")


def test_entities_are_refused_before_they_can_explode(tmp_path: Path) -> None:
    text = '<?xml version="1.0"?>\n<!DOCTYPE ink [<!ENTITY a "aaaa">]>\n<ink>&a;</ink>'
    with pytest.raises(DataError, match="line 2: document types are not read"):
        read(tmp_path, text, "page.inkml")


# Sources


def test_a_folder_is_read_with_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "hand" / "deep").mkdir(parents=True)
    (tmp_path / "hand" / "a.jsonl").write_text(json.dumps(WORD))
    (tmp_path / "hand" / "deep" / "b.inkml").write_text(
        inkml('<annotation type="truth">hi</annotation><trace>0 0, 300 0</trace>')
    )
    (tmp_path / "hand" / "readme.txt").write_text("not ink")
    found = inkfiles.read(tmp_path / "hand")
    assert found.ink.labels == ("né", "hi")
    assert found.ink.writer_names == ("hand/unknown",)
    assert found.census.pieces == {("7", "hand"): 2}


def test_it_can_be_asked_whether_a_path_holds_ink(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "empty").mkdir()
    held = [inkfiles.holds(tmp_path / name) for name in (".", "a.jsonl", "a.txt", "empty", "none")]
    assert held == [True, True, False, False, False]


@pytest.mark.parametrize("name", ["none.jsonl", "a.txt", "empty"])
def test_a_path_without_ink_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"is no \.jsonl or \.ndjson or \.inkml file"):
        inkfiles.read(tmp_path / name)


def test_a_file_without_labelled_ink_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no labelled ink that can be used"):
        read(tmp_path, inkml("<trace>1 2</trace>"), "page.inkml")
