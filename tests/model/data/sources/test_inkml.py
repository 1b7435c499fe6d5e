"""Labelled groups of InkML become pieces, or an error with file and line."""

from pathlib import Path

import pytest

from inkstream.model.data.ink_set import Piece
from inkstream.model.data.sources import ink_files
from inkstream.model.errors import DataError
from inkstream.model.preprocess import inkml as ink_markup
from tests.model.data.sources.test_ink_files import inkml, only, read, shapes


def inkml_piece(tmp_path: Path, trace: str) -> Piece:
    return only(read(tmp_path, inkml(group(f"<trace>{trace}</trace>", truth="x")), "one.inkml"))


def group(inner: str, **annotations: str) -> str:
    """Return a group of traces or other groups with annotations."""
    annotated = "".join(f'<annotation type="{k}">{v}</annotation>' for k, v in annotations.items())
    return f"<traceGroup>{annotated}{inner}</traceGroup>"


def test_a_labelled_group_of_traces_is_a_piece(tmp_path: Path) -> None:
    traces = "<trace>0 0, 300 400</trace><trace>10 0</trace>"
    text = inkml(
        '<annotation type="writer">ann</annotation><trace>9 9, 8 8</trace>'
        + group(traces, truth=" two words ")
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


def test_a_labelled_group_may_hold_others_and_names_their_writer(tmp_path: Path) -> None:
    trace = "<trace>0 0, 300 9</trace>"
    inner = group(trace, truth="a") + group(trace, truth="b", writer="eve")
    text = inkml(
        '<annotation type="writer">ann</annotation>'
        + group(inner, truth="a b", writer="bob")
        + group(trace, truth="c")
    )
    ink = read(tmp_path, text, "page.inkml")
    pieces = [(piece.label, piece.writer, len(piece.strokes)) for piece in map(ink.piece, range(4))]
    written = [("a b", "bob", 2), ("a", "bob", 1), ("b", "eve", 1), ("c", "ann", 1)]
    assert pieces == [(label, f"page/{writer}", n) for label, writer, n in written]


def test_formulas_in_tex_are_skipped_and_counted_and_their_symbols_are_read(tmp_path: Path) -> None:
    path = tmp_path / "crohme.inkml"
    views = [f'<traceView traceDataRef="{number}"/>' for number in range(2)]
    symbols = group(views[0], truth="2") + group(views[1], truth=r"\pi")
    path.write_text(
        inkml(
            r'<annotation type="truth">$2\pi$</annotation><annotation type="writer">w7</annotation>'
            '<trace id="0">0 0, 300 0</trace><trace id="1">400 0, 700 0</trace>'
            + group(symbols, truth="Segmentation")
        )
    )
    labelled = ink_files.read(path)
    piece = only(labelled.ink)
    assert (piece.label, piece.writer, piece.category) == ("2", "crohme/w7", "1a")
    assert sum(labelled.statistics.skipped.values()) == 3


NOTATIONS = (
    "100 200, 400 600", "100 200,400 600", "1e2 2.0e2, 400. 600", "100 200 7 T, 400 600 8 F",
    "100 200, '300 '400", "100 200, !400 600", "100 200 : 5 7, 400 600 : 5",
    "+100 +200, '+300 '+400", "100 200, 400 600,",
)  # fmt: skip


@pytest.mark.parametrize("trace", NOTATIONS)
def test_points_are_read_in_every_notation(tmp_path: Path, trace: str) -> None:
    assert shapes(inkml_piece(tmp_path, trace)) == [[[0, 0], [300, 400]]]


def channels(*attributes: str) -> str:
    inner = "".join(f"<channel name={attribute}/>" for attribute in attributes)
    return f"<traceFormat>{inner}</traceFormat>"


TURNED = channels("'T'", "'Y' orientation='-ve'", "'X'")
CONTEXTS = [
    f'<context xml:id="{name}">{form}</context>'
    for name, form in (("mine", channels("'Y'", "'X'")), ("no", channels("'F'")))
]
SAME = "<canvasTransform><mapping type='identity'/></canvasTransform>"


KINDS = {
    "no comma": (channels("'X'", "'Y'", "'F'", "'T'"), "<trace>9 9 1 2</trace>", [[[0, 0]]]),
    "order and direction": (TURNED, "<trace>5 0 10, 6 300 20</trace>", [[[0, 300], [10, 0]]]),
    "no points": ("", "<trace/><trace> 0 0, 300 0</trace><trace></trace>", [[[0, 0], [300, 0]]]),
    "no change": (SAME, "<trace>0 0, 300 *, * 9</trace>", [[[0, 0], [300, 0], [300, 9]]]),
    "pen up": (
        "", "<trace>0 0, 3 0</trace><trace type='penUp'>3 0, 0 3</trace>", [[[0, 0], [256, 0]]],
    ),
    "unused format": (
        f"<definitions>{''.join(CONTEXTS)}</definitions>",
        '<trace contextRef="#mine">0 9, 300 0</trace>', [[[9, 0], [0, 300]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("head", "trace", "expected"), KINDS.values(), ids=KINDS)
def test_formats_and_traces_of_every_kind_are_read(
    tmp_path: Path, head: str, trace: str, expected: list[list[list[int]]]
) -> None:
    text = inkml(f'<annotation type="truth">l</annotation>{trace}', head)
    assert shapes(only(read(tmp_path, text, "page.inkml"))) == expected


def test_differences_go_on_until_another_prefix_comes(tmp_path: Path) -> None:
    piece = inkml_piece(tmp_path, """1100 200,'20'40,"7"-8,3-5,* *,!1100!700""")
    assert shapes(piece) == [[[0, 0], [20, 40], [47, 72], [77, 99], [110, 121], [0, 500]]]


def test_a_group_without_traces_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "page.inkml"
    path.write_text(inkml(group("", truth="a") + group("<trace>0 0, 300 0</trace>", truth="b")))
    labelled = ink_files.read(path)
    assert labelled.ink.labels == ("b",)
    assert labelled.statistics.skipped == {"no ink": 1}


TRUTH = '<annotation type="truth">a</annotation>'
FAULTS = [
    ("<trace>1 2", "line 4: mismatched tag"),
    ("<trace>1 2, 3</trace>", "line 3: point 1 of the trace is '3', expected 2 values"),
    ("<trace>1 2, a b</trace>", "line 3: point 1 of the trace is 'a b'"),
    ("<trace>1 2,, 3 4</trace>", "line 3: point 1 of the trace is ''"),
    ("<trace>" + "1" * 5000 + "x 2</trace>", "line 3: point 0 of the trace is '111"),
    ("<trace>1 ?</trace>", "line 3: in X or Y of the trace, could not convert .*'\\?'"),
    ("<trace>\n0 0 300 5 3 300</trace>",
     "line 3: 6 values without a comma, expected one behind every point of 2"),
    ('<traceFormat><channel name="X" units="cm"/><channel name="Y" units="mm"/></traceFormat>',
     "line 3: X is in cm and Y in mm, expected the same units"),
    ("<definitions><context><canvasTransform>\n<mapping type='affine'>"
     "<matrix>1 0 0, 0 -1 0</matrix></mapping></canvasTransform></context></definitions>",
     "line 4: a canvas transform of type 'affine', which is not applied"),
    (f'<traceView>{TRUTH}\n<traceView traceDataRef="#z"/></traceView>',
     "line 4: traceDataRef '#z' is not in the file"),
    (f'<trace id="a">1 2</trace><traceView traceDataRef="a" from="1:2">{TRUTH}</traceView>',
     "line 3: from '1:2' to None, expected counts of points"),
    (f'<trace id="a">1 2</trace><traceView traceDataRef="a" from="2">{TRUTH}</traceView>',
     "line 3: a view of points that its trace has not"),
    ('<traceGroup><annotation type="truth"/><trace>1 2</trace></traceGroup>',
     "line 3: label is '', expected text"),
    (f"<traceGroup>{TRUTH}<trace>1e99 0</trace></traceGroup>", "line 3: a coordinate beyond 1e"),
    (f"{TRUTH}<trace>0 0,'1e999 0,'-1e999 0</trace>", "line 1: a coordinate beyond 1e"),
    ('<traceFormat><channel name="F"/></traceFormat>',
     r"line 3: the channels are \['F'\], expected X and Y"),
    (channels("'X'", "'Y'") + channels("'Y'", "'X'"), "traces of different formats"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "complaint"), FAULTS)
def test_an_error_in_inkml_names_the_line(tmp_path: Path, body: str, complaint: str) -> None:
    with pytest.raises(DataError, match=rf"page\.inkml, {complaint}"):
        read(tmp_path, inkml(body), "page.inkml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<svg/>", "line 1: the root is <svg>, expected <ink>"),
        ('\n<!DOCTYPE ink [<!ENTITY a "aaaa">]>\n<ink>&a;</ink>', "line 2: document types are not"),
        *(
            (
                f'<?xml version="1.0" encoding="{name}"?><ink/>',
                "line 1: .*encoding.*, expected UTF-8",
            )
            for name in ("klingon", "gb2312", "Shift_JIS", "rot13")
        ),
    ],
)
def test_other_documents_and_encodings_and_entities_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        ink_markup.read(text.encode())


# Extreme files

TRACE = b"<trace>5 5, 40 50</trace>"
LABEL = b'<annotation type="truth">a</annotation>'


def nested(depth: int) -> bytes:
    """Return a trace within `depth` groups, the innermost of them labelled."""
    return b"<ink>" + b"<traceGroup>" * depth + LABEL + TRACE + b"</traceGroup>" * depth + b"</ink>"


@pytest.mark.parametrize("depth", [100, 20_000])
def test_groups_nested_too_deep_are_refused(depth: int) -> None:
    with pytest.raises(DataError, match=r"line 1: more than 100 elements"):
        ink_markup.read(nested(depth))


@pytest.mark.parametrize("attribute", ["from", "to"])
def test_an_impossible_count_of_points_is_refused(attribute: str) -> None:
    view = b'<traceView traceDataRef="#a" %s="%s">' % (attribute.encode(), b"9" * 5_000)
    with pytest.raises(DataError, match="expected counts of points") as refused:
        ink_markup.read(b'<ink><trace id="a">1 2</trace>' + view + LABEL + b"</traceView></ink>")
    assert len(str(refused.value)) < 200


UNLABELLED = {
    "loose": (TRACE + TRACE, [[2, 2]]),
    "beside a group": (
        b"<traceGroup>" + TRACE + b"</traceGroup>" + TRACE + b"<trace>1 2</trace>", [[2], [2, 1]],
    ),
    "in no group": (b"<traceGroup/><definitions>" + TRACE + b"</definitions>", []),
    "defined": (b"<definitions>" + TRACE + b"</definitions>", [[2]]),
    "in the air": (b'<trace type="penUp">1 2</trace>', []),
    "labelled": (b"<traceGroup>" + LABEL + TRACE + b"</traceGroup>" + TRACE, [[2]]),
}  # fmt: skip


@pytest.mark.parametrize(("body", "lengths"), UNLABELLED.values(), ids=UNLABELLED)
def test_without_labels_traces_of_the_same_group_are_one_piece(
    body: bytes, lengths: list[list[int]]
) -> None:
    groups = ink_markup.read(b"<ink>" + body + b"</ink>")
    assert [[len(stroke) for stroke in group.strokes] for group in groups] == lengths
    assert sum(group.label is not None for group in groups) == (LABEL in body)
