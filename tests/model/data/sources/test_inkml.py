"""Labelled groups of InkML become pieces, or an error with file and line."""

from pathlib import Path

import pytest

from inkstream.model.data.ink_set import Piece
from inkstream.model.data.sources import ink_files
from inkstream.model.errors import DataError
from tests.model.data.sources.test_ink_files import inkml, only, read, shapes


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
    found = ink_files.read(path)
    assert (only(found.ink).label, only(found.ink).writer) == ("2", "crohme/w7")
    assert sum(found.statistics.skipped.values()) == 3
    assert only(found.ink).category == "1a"


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
        "+100 +200, '+300 '+400",
        "100 200, 400 600,",
    ],
)
def test_points_are_read_in_every_notation(tmp_path: Path, trace: str) -> None:
    assert shapes(inkml_piece(tmp_path, trace)) == [[[0, 0], [300, 400]]]


def test_a_point_of_all_channels_needs_no_comma(tmp_path: Path) -> None:
    head = "<traceFormat>" + "".join(f'<channel name="{name}"/>' for name in "XYFT")
    assert shapes(inkml_piece(tmp_path, "9 9 1 2", f"{head}</traceFormat>")) == [[[0, 0]]]


def test_a_trace_without_points_is_none(tmp_path: Path) -> None:
    trace = "</trace><trace/><trace> 0 0, 300 0</trace><trace>"
    assert shapes(inkml_piece(tmp_path, trace)) == [[[0, 0], [300, 0]]]


def test_definitions_that_nothing_refers_to_are_passed_over(tmp_path: Path) -> None:
    def context(name: str, *channels: str) -> str:
        inner = "".join(f'<channel name="{channel}"/>' for channel in channels)
        return f'<context xml:id="{name}"><traceFormat>{inner}</traceFormat></context>'

    head = f"<definitions>{context('mine', 'Y', 'X')}{context('no', 'F')}</definitions>"
    text = inkml(
        '<annotation type="truth">l</annotation><trace contextRef="#mine">0 9, 300 0</trace>', head
    )
    assert shapes(only(read(tmp_path, text, "page.inkml"))) == [[[9, 0], [0, 300]]]


def test_a_transform_that_changes_nothing_is_none(tmp_path: Path) -> None:
    head = "<canvasTransform><mapping type='identity'/></canvasTransform>"
    assert shapes(inkml_piece(tmp_path, "0 0, 300 9", head)) == [[[0, 0], [300, 9]]]


def test_a_piece_is_by_the_writer_of_the_innermost_group_that_names_one(tmp_path: Path) -> None:
    def group(inner: str, **annotations: str) -> str:
        annotated = "".join(
            f'<annotation type="{k}">{v}</annotation>' for k, v in annotations.items()
        )
        return f"<traceGroup>{annotated}{inner}</traceGroup>"

    trace = "<trace>0 0, 300 9</trace>"
    text = inkml(
        '<annotation type="writer">ann</annotation>'
        + group(group(trace, truth="a") + group(trace, truth="b", writer="eve"), writer="bob")
        + group(trace, truth="c")
    )
    ink = read(tmp_path, text, "page.inkml")
    assert [(piece.label, piece.writer) for piece in map(ink.piece, range(3))] == [
        ("a", "page/bob"),
        ("b", "page/eve"),
        ("c", "page/ann"),
    ]


def test_differences_go_on_until_another_prefix_comes(tmp_path: Path) -> None:
    piece = inkml_piece(tmp_path, """1100 200,'20'40,"7"-8,3-5,* *,!1100!700""")
    assert shapes(piece) == [[[0, 0], [20, 40], [47, 72], [77, 99], [110, 121], [0, 500]]]


def test_an_asterisk_keeps_a_value(tmp_path: Path) -> None:
    assert shapes(inkml_piece(tmp_path, "0 0, 300 *, * 300")) == [[[0, 0], [300, 0], [300, 300]]]


def test_channels_give_order_and_direction_of_x_and_y(tmp_path: Path) -> None:
    head = (
        '<traceFormat><channel name="T"/><channel name="Y" orientation="-ve"/><channel name="X"/>'
        "<intermittentChannels><channel name='F'/></intermittentChannels></traceFormat>"
    )
    assert shapes(inkml_piece(tmp_path, "5 0 10, 6 300 20", head)) == [[[0, 300], [10, 0]]]


def test_a_group_without_traces_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "page.inkml"
    groups = (
        f'<traceGroup><annotation type="truth">{label}</annotation>{trace}</traceGroup>'
        for label, trace in (("a", ""), ("b", "<trace>0 0, 300 0</trace>"))
    )
    path.write_text(inkml("".join(groups)))
    labelled = ink_files.read(path)
    assert labelled.ink.labels == ("b",)
    assert labelled.statistics.skipped == {("no ink", "1c", "page"): 1}


def test_traces_with_the_pen_up_are_left_out(tmp_path: Path) -> None:
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
        ("<trace>1 2,, 3 4</trace>", "line 3: point 1 of the trace is ''"),
        (
            "<trace>\n0 0 300 5 3 300</trace>",
            "line 3: 6 values without a comma, expected one behind every point of 2",
        ),
        (
            '<traceFormat><channel name="X" units="cm"/><channel name="Y" units="mm"/>'
            "</traceFormat>",
            "line 3: X is in cm and Y in mm, expected the same units",
        ),
        (
            "<definitions><context><canvasTransform>\n<mapping type='affine'>"
            "<matrix>1 0 0, 0 -1 0</matrix></mapping></canvasTransform></context></definitions>",
            "line 4: a canvas transform of type 'affine', which is not applied",
        ),
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
            '<traceGroup><annotation type="truth"/><trace>1 2</trace></traceGroup>',
            "line 3: label is '', expected text",
        ),
        (
            '<traceGroup><annotation type="truth">a</annotation><trace>1e99 0</trace></traceGroup>',
            "line 3: a coordinate beyond 1e",
        ),
        (
            "<annotation type=\"truth\">a</annotation><trace>0 0,'1e999 0,'-1e999 0</trace>",
            "line 1: a coordinate beyond 1e",
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
def test_an_error_in_inkml_names_the_line(tmp_path: Path, body: str, complaint: str) -> None:
    with pytest.raises(DataError, match=rf"page\.inkml, {complaint}"):
        read(tmp_path, inkml(body), "page.inkml")


def test_another_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: the root is <svg>, expected <ink>"):
        read(tmp_path, "<svg/>", "page.inkml")


@pytest.mark.parametrize("encoding", ["klingon", "gb2312", "Shift_JIS", "rot13"])
def test_an_unsupported_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DataError, match=r"line 1: .*encoding.*, expected UTF-8 or UTF-16"):
        read(tmp_path, f'<?xml version="1.0" encoding="{encoding}"?><ink/>', "page.inkml")


def test_entities_are_refused_before_they_are_expanded(tmp_path: Path) -> None:
    text = '<?xml version="1.0"?>\n<!DOCTYPE ink [<!ENTITY a "aaaa">]>\n<ink>&a;</ink>'
    with pytest.raises(DataError, match="line 2: document types are not read"):
        read(tmp_path, text, "page.inkml")
