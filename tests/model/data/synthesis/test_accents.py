"""Letters with accents and marks beyond ASCII are composed of a writer's glyphs."""

import unicodedata

import numpy as np
import pytest

from inkstream.model.alphabet import ASCII, LETTERS, MARKS, WESTERN
from inkstream.model.data.synthesis.accents import (
    COMPOSED,
    LETTER_BENEATH,
    Strokes,
    accent_strokes,
    completed,
    composable,
)
from inkstream.model.data.synthesis.composition import ComposedLine, lay_out, spell
from inkstream.model.data.synthesis.glyphs import collect
from tests.model.data.small_writers import INK, N_POINTS, USED, Glyph, ink_of, ink_set
from tests.model.data.small_writers import LETTERS as WRITER

GLYPHS = collect(INK, USED)
STYLE = GLYPHS.styles[WRITER]
OF_WRITER = accent_strokes(GLYPHS, STYLE)
WITH_ACCENT = sorted(char for char in LETTER_BENEATH if len(unicodedata.normalize("NFD", char)) > 1)


def laid_out(text: str, seed: int) -> tuple[ComposedLine, list[int]]:
    random = np.random.default_rng(seed)
    words = [spell(STYLE, word, random, long_runs=0) for word in text.split()]
    return lay_out(GLYPHS, WRITER, words, random)


def beneath(text: str, seed: int = 0) -> ComposedLine:
    """Return a text laid out without its accents."""
    return laid_out(text, seed)[0]


def written(text: str, seed: int = 0, strokes: Strokes = OF_WRITER) -> ComposedLine:
    line, incomplete = laid_out(text, seed)
    return completed(line, incomplete, strokes, np.random.default_rng(seed))


def test_a_writer_of_ascii_can_write_all_characters() -> None:
    assert composable(frozenset(ASCII)) == COMPOSED == set(WESTERN) - set(ASCII)
    assert composable(frozenset(WESTERN)) == set()


@pytest.mark.parametrize(
    ("char", "missing"),
    [("e", "éèêë"), ("c", "ç"), ("?", "¿"), ("o", "øœöº"), ("C", "€"), (".", "·")],
)
def test_a_character_needs_the_glyphs_that_it_is_composed_of(char: str, missing: str) -> None:
    assert not composable(frozenset(ASCII) - {char}) & set(missing)


@pytest.mark.parametrize("char", LETTERS + tuple(MARKS))
def test_a_composed_character_has_one_label_and_all_of_its_ink(char: str) -> None:
    line = written(f"n{char}n")
    assert line.label == f"n{char}n"
    assert {*line.letter_of_point.tolist()} == {0, 1, 2}
    assert line.stroke_starts[-1] == len(line.points) == len(line.letter_of_point)
    assert (np.diff(line.stroke_starts) > 0).all()
    assert line.points[:, 0].min() == 0


@pytest.mark.parametrize("char", WITH_ACCENT)
@pytest.mark.parametrize("strokes", [OF_WRITER, {}])
def test_an_accent_stands_close_to_its_letter(char: str, strokes: Strokes) -> None:
    for seed in range(8):
        plain = ink_of(beneath(f"n{char}n", seed), 1)
        line = ink_of(written(f"n{char}n", seed, strokes), 1)
        added = line[len(plain) :]
        assert len(added) > 0
        if char in "çÇ":
            assert -0.15 < added[:, 1].min() - plain[:, 1].max() < 0.1
            assert added[:, 1].max() - plain[:, 1].max() < 0.8
        else:
            assert -0.1 - 1e-5 < plain[:, 1].min() - added[:, 1].max() < 0.75
            assert plain[:, 1].min() - added[:, 1].min() < 2.0
        assert line[:, 0].max() <= plain[:, 0].max() + 1.6


def test_accents_follow_their_letter_or_its_word() -> None:
    behind_letter = behind_word = 0
    for seed in range(60):
        letters = written("né mn", seed).letter_of_point.tolist()
        last = len(letters) - 1 - letters[::-1].index(1)
        behind_word += last > letters.index(1) + N_POINTS[WRITER]
        assert last < letters.index(3)
        letters = written("ém", seed).letter_of_point.tolist()
        behind_letter += letters == sorted(letters)
    assert 15 < behind_letter < 45
    assert behind_word == 60


def test_an_i_loses_its_dot_to_an_accent() -> None:
    n = N_POINTS[WRITER]
    body = np.stack([np.full(n, 50), np.linspace(0, 100, n)], 1)
    dot = np.stack([np.full(n, 50), np.linspace(-65, -60, n)], 1)
    glyph = Glyph("i", np.concatenate([body, dot]).astype(np.int64), np.zeros(2 * n, np.int64), n)
    pieces = [(WRITER, "1c", glyph)] + [
        (WRITER, "1c", Glyph(char, body.astype(np.int64), np.zeros(n, np.int64), n))
        for char in "nmu"
    ]
    glyphs = collect(ink_set(pieces), np.arange(4))
    style, random = glyphs.styles[WRITER], np.random.default_rng(0)
    assert len(accent_strokes(glyphs, style)["dot"]) == 1
    for char, n_strokes in (("ï", 3), ("î", 2), ("í", 2)):
        line, incomplete = lay_out(glyphs, WRITER, [spell(style, char, random)], random)
        whole = completed(line, incomplete, {}, random)
        assert len(whole.strokes) in {n_strokes, 2}  # both dots of ï may be one flat stroke
        assert len(whole.strokes[0]) == n
        assert whole.points[n:, 1].max() < line.points[:n, 1].min()


def test_a_turned_mark_is_set_lower() -> None:
    plain, turned = beneath("?"), written("¿")
    assert turned.points[:, 1].max() > plain.points[:, 1].max() + 0.3
    assert np.ptp(turned.points, 0) == pytest.approx(np.ptp(plain.points, 0), rel=0.25)


def test_ligatures_run_together_and_take_one_place() -> None:
    for text, pair in (("nœn", "noen"), ("næn", "naen")):
        assert written(text).points[:, 0].max() < beneath(pair).points[:, 0].max() - 0.1
        ends = [ink_of(written(text), index)[:, 0].max() for index in range(3)]
        assert ends == sorted(ends)


def test_only_characters_whose_glyphs_show_others_are_completed() -> None:
    line, incomplete = laid_out("nén æ«", 0)
    assert incomplete == [1, 4, 5]
    same = completed(line, [], OF_WRITER, np.random.default_rng(0))
    assert np.array_equal(same.points, line.points)
    assert laid_out("nan", 0)[1] == []
