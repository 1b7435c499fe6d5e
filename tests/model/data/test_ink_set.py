"""Labelled ink in flat arrays: pieces are returned unchanged, also from a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkstream.model.data.ink_set import InkSet, expand
from inkstream.model.errors import DataError
from tests.helpers.small_ink_set import Builder


def add(builder: Builder, label: str, *strokes: list[tuple[float, float]], **more: Any) -> None:
    """Add a word of these strokes; annotations that are not given have their defaults."""
    points = np.array([point for stroke in strokes for point in stroke], np.float64)
    annotations = {"category": "7", "writer": "donor/ann"} | more
    letters = np.full(len(points), -1, np.int16)
    guides = annotations.pop("guides", (np.nan, np.nan))
    builder.add(
        points, [len(stroke) for stroke in strokes], letters, guides, label=label, **annotations
    )


def three_pieces() -> InkSet:
    builder = Builder()
    add(builder, "it", [(10, 5), (10, 9)], [(10, 2)], writer="donor/bob", style="cursive")
    add(builder, "a", [(7, 7), (8, 8), (9, 7)], category="1c", guides=(6, 9))
    add(builder, "we é", [(0, 0), (3, 1)], category="8")
    return builder.ink()


def test_a_piece_has_its_strokes_and_its_annotations() -> None:
    piece = three_pieces().piece(0)
    assert [stroke.tolist() for stroke in piece.strokes] == [[[0, 3], [0, 7]], [[0, 0]]]
    assert [letters.tolist() for letters in piece.letters] == [[-1, -1], [-1]]
    assert (piece.label, piece.category, piece.writer) == ("it", "7", "donor/bob")
    assert piece.style == "cursive"
    assert np.isnan(piece.guides).all()
    assert three_pieces().piece(1).guides.tolist() == [-1, 2]  # they move with the ink


def test_pieces_are_taken_in_the_given_order() -> None:
    ink = three_pieces()
    taken = ink.take(np.array([2, 0, 2]))
    assert taken.labels == ("we é", "it", "we é")
    assert [taken.piece(1).strokes[k].tolist() for k in (0, 1)] == [[[0, 3], [0, 7]], [[0, 0]]]
    assert taken.piece(2).strokes[0].tolist() == [[0, 0], [3, 1]]
    assert taken.writer_names == ink.writer_names
    assert len(ink.take(np.array([], np.int64))) == 0


def test_a_saved_set_is_loaded_unchanged(tmp_path: Path) -> None:
    ink = three_pieces()
    ink.save(tmp_path / "ink.npz")
    loaded = InkSet.load(tmp_path / "ink.npz")
    assert loaded.digest == ink.digest
    assert loaded.labels == ("it", "a", "we é")
    assert loaded.piece(0).strokes[0].tolist() == [[0, 3], [0, 7]]
    assert [path.name for path in tmp_path.iterdir()] == ["ink.npz"]
    assert ink.digest != ink.take(np.array([0, 2, 1])).digest


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut off"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ink.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no file of ink"):
        InkSet.load(path)
    np.savez(path, points=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="is no file of ink: Object arrays cannot be loaded"):
        InkSet.load(path)


def test_a_writer_whose_ink_is_larger_than_16_bits_is_halved_as_a_whole() -> None:
    builder = Builder()
    add(builder, "wide", [(0, 0), (100_000, 40)], writer="donor/ann", guides=(0, 20))
    add(builder, "small", [(0, 0), (400, 40)], writer="donor/ann")
    add(builder, "other", [(0, 0), (400, 40)], writer="donor/bob")
    ink = builder.ink()
    assert ink.piece(0).strokes[0].tolist() == [[0, 0], [25_000, 10]]
    assert ink.piece(0).guides.tolist() == [0, 5]
    assert ink.piece(1).strokes[0].tolist() == [[0, 0], [100, 10]]
    assert ink.piece(2).strokes[0].tolist() == [[0, 0], [400, 40]]


def test_ranges_are_spread_to_their_numbers() -> None:
    numbers, starts = expand(np.array([5, 9, 2]), np.array([7, 9, 5]))
    assert numbers.tolist() == [5, 6, 2, 3, 4]
    assert starts.tolist() == [0, 2, 2, 5]


def test_sets_of_other_writers_are_concatenated() -> None:
    builder = Builder()
    add(builder, "x", [(0, 0), (4, 4)], [(4, 0), (0, 4)], writer="another/ann")
    both = InkSet.concatenated([three_pieces(), builder.ink()])
    pieces = [*map(three_pieces().piece, range(3)), builder.ink().piece(0)]
    assert len(both) == 4
    for index, expected in enumerate(pieces):
        piece = both.piece(index)
        assert (piece.label, piece.writer) == (expected.label, expected.writer)
        assert np.array_equal(piece.points, expected.points)
        assert np.array_equal(piece.stroke_starts, expected.stroke_starts)
