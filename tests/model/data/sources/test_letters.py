"""Single letters get the size of their label, and what is held out trains nothing."""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.data.batches import InkPieces
from inkstream.model.data.line_data import LineData, own_ink, with_letters
from inkstream.model.data.sources.letters import X_HEIGHT, SingleLetters, load_letters
from inkstream.model.data.synthesis.composition import LineComposer, Recipe
from inkstream.model.errors import DataError
from tests.helpers.letter_files import LEAST_POINTS, SPECIAL, UNKNOWN, write, write_letters
from tests.model.data.small_writers import INK, LETTERS, USED

Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_letters(tmp_path_factory.mktemp("letters"))


def joined(files: Files) -> tuple[LineData, LineComposer]:
    """Return the ink of made-up writers and single letters, and what makes up lines of it."""
    data = with_letters(own_ink("mine", INK.take(USED)), [load_letters(path) for path in files])
    anonymous = [name for file in data.letters for name in file.anonymous]
    return data, LineComposer(data.ink, data.training, Recipe(western=1), anonymous=anonymous)


def extent(letters: SingleLetters, label: str) -> list[float]:
    """Return top, bottom and width of a letter with this label, in x-heights from the baseline."""
    piece = letters.ink.piece(letters.ink.labels.index(label))
    x_line, baseline = piece.guides
    assert baseline - x_line == X_HEIGHT
    (left, top), (right, bottom) = piece.points.min(0), piece.points.max(0)
    return [(edge / X_HEIGHT).item() for edge in (top - baseline, bottom - baseline, right - left)]


def test_height_and_place_follow_from_the_label_and_proportions_stay(files: Files) -> None:
    special, characters = (load_letters(path) for path in files)
    usual = {
        "H": (-1.75, 0, 0.525), "o": (-1, 0, 0.3), "g": (-1, 1.1, 0.63),
        "Ø": (-1.9, 0.15, 0.615), "ø": (-1.2, 0.2, 0.42), "ç": (-1, 0.5, 0.45),
        "«": (-1.1, -0.1, 0.3), "„": (-0.2, 0.5, 0.21), "~": (-1.1, -0.1, 0.3),
    }  # fmt: skip
    for label, expected in usual.items():
        letters = characters if label in characters.ink.labels else special
        assert extent(letters, label) == pytest.approx(expected, abs=0.01)


def test_each_writer_and_all_equal_ink_is_in_one_part_whatever_the_order(
    files: Files, tmp_path: Path
) -> None:
    special, characters = (load_letters(path) for path in files)
    by_part = [set(characters.writers[at].tolist()) for at in characters.parts.values()]
    assert [len(writers) for writers in by_part] == [6, 2, 2]
    assert (special.n_left_out, UNKNOWN in special.ink.labels) == (3, False)
    for part in ("validation", "test"):
        assert len(special.parts[part]) / len(special.ink) == pytest.approx(1 / 8, abs=0.05)
    rows = [json.loads(line) for line in lzma.decompress(files[0].read_bytes()).splitlines()]
    copies = [row | {"label": "å"} for row in rows if row["label"] == "ø"]
    again = load_letters(write(tmp_path / "special-letters.jsonl.xz", [*rows[::-1], *copies]))
    assert again.split_digest == special.split_digest
    part_of = {at: name for name, indices in again.parts.items() for at in indices.tolist()}
    first, second = (
        [part_of[at] for at, label in enumerate(again.ink.labels) if label == char] for char in "øå"
    )
    assert first[::-1] == second


@pytest.mark.slow
def test_held_out_letters_are_never_trained_on(files: Files) -> None:
    data, composer = joined(files)
    training = {data.ink.piece(at).points.tobytes() for at in data.training}
    for file in data.letters:
        for part, indices in file.parts.items():
            ink = {file.ink.piece(at).points.tobytes() for at in indices}
            assert ink <= training if part == "train" else not ink & training
    special, random = data.letters[0].ink, np.random.default_rng(0)
    pieces = [special.piece(at) for at in data.letters[0].parts["train"]]
    trained = {len(piece.points) for piece in pieces if piece.label == "ø"}
    drawn = {len(composer.write("ø", LETTERS, random).points) for _ in range(400)}
    assert 20 < len({n for n in drawn if n >= LEAST_POINTS} & trained) < 40
    assert max(drawn - trained) < LEAST_POINTS


def test_about_half_of_the_composed_characters_are_real_ones_of_the_lines_size(
    files: Files,
) -> None:
    data, composer = joined(files)
    random, n_lines, text = np.random.default_rng(0), 200, "nøn Øç"
    lines = [composer.write(text, LETTERS, random) for _ in range(n_lines)]
    assert {line.label for line in lines} == {text}
    for char, share, usual in (("ø", 0.5, 1.4), ("Ø", 0.5, 2.05), ("ç", 0, 0)):
        letters = [line.points[line.letter_of_point == text.index(char)] for line in lines]
        heights = [np.ptp(points[:, 1]) for points in letters if len(points) >= LEAST_POINTS]
        assert len(heights) / n_lines == pytest.approx(share, abs=0.1)
        assert np.median(heights or [0]) == pytest.approx(usual, abs=0.05)  # of ç there are too few
    writers = {data.ink.writer_names[at] for at in composer.writers(frozenset())}
    assert "special-letters/anyone" not in writers


def test_a_letter_of_known_size_stands_in_its_line_unless_its_frame_is_tight(files: Files) -> None:
    letters = load_letters(files[0])
    pieces = InkPieces(letters.ink, letters.parts["train"], SPECIAL, [letters.name])
    room = {"«": (-0.65, 0.1), "„": (-1.55, 0), "Ø": (0, 0), "|": (0, 0), "ø": (-0.55, 0)}
    for at, index in enumerate(pieces.indices.tolist()):
        height = float(pieces.extent[at, 1])
        assert pieces.frame(at, tight=True) == (0, height)
        if expected := room.get(letters.ink.labels[index]):
            top, bottom = np.divide(pieces.frame(at), X_HEIGHT)
            assert (top, bottom - height / X_HEIGHT) == pytest.approx(expected, abs=0.01)


def test_a_file_without_single_letters_is_refused(tmp_path: Path) -> None:
    stroke = [[0, 0], [300, 300]]
    words = [{"strokes": [stroke], "label": label} for label in ("word", "λ", "hello")]
    path = write(tmp_path / "words.jsonl.xz", words)
    with pytest.raises(
        DataError, match=r"words\.jsonl\.xz has labels such as hello, word, λ; expected single"
    ):
        load_letters(path)
