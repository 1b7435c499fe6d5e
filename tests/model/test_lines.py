"""Words and lines are made up of one writer's ink, and where each letter is in them is known."""

import string
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.inkset import CATEGORIES, InkSet
from model.data.line_batches import OtherHands, rewritten
from model.data.lines import KINDS, Kind, LineMaker, MadeLine, Recipe, spell
from model.data.pen import Hand, frame_of
from model.data.scraps import collect
from model.errors import DataError
from model.ink import rasterise

# Who writes a letter is told by the number of its points; each writes in another size.
WRITERS = ("aaa/letters", "aaa/lines", "bbb/words", "zzz/hidden")
LETTERS, LINES, WORDS, HIDDEN = range(4)
SIZES = (100, 400, 20, 70)
N_POINTS = (6, 7, 8, 9)

CHARACTERS = string.ascii_letters + string.digits + ".,-'\"()?!:;/$%"
TEXTS = ("the quick brown fox jumps", "over a lazy dog", "Pack my box with five", "jugs of ale")


@dataclass(frozen=True)
class Glyph:
    """Ink, in strokes of all the same length, and the letter that each point belongs to."""

    label: str
    points: NDArray[np.int64]
    letters: NDArray[np.int64]
    stroke: int


def letter(character: str, writer: int, place: int = 0, wobble: int = 0) -> Glyph:
    """A zigzag as high as the character usually is, in the box at `place` of a line."""
    size, n = SIZES[writer], N_POINTS[writer]
    x = (1.25 * place + np.arange(n) / (n - 1)) * size
    high = character not in "acemnorsuvwxzgpqy,.-"
    top, bottom = (-1.75 if high else -1.0), (1.1 if character in "gpqyj" else 0.0)
    y = np.where(np.arange(n) % 2, bottom, top) * size
    y[0] += 0.01 * size * wobble
    if not character.isalnum():
        x = 1.25 * place * size + 0.3 * (x - x[0])
    if character == ".":
        y *= 0.1
    return Glyph(character, np.stack([x, y], 1).astype(np.int64), np.full(n, place), n)


def line(text: str, writer: int, cut: bool = True, joined: bool = False) -> Glyph:
    """A text, each letter in a box; known letter by letter if it is cut, one stroke if joined."""
    glyphs = [
        letter(one, writer, place, (7 * place + 31 * len(text)) % 50)
        for place, one in enumerate(text)
        if one != " "
    ]
    points = np.concatenate([glyph.points for glyph in glyphs])
    letters = np.concatenate([glyph.letters for glyph in glyphs])
    stroke = len(points) if joined else N_POINTS[writer]
    return Glyph(text, points, letters if cut else np.full_like(letters, -1), stroke)


def ink_set(pieces: Sequence[tuple[int, str, Glyph]]) -> InkSet:
    """Pieces, each of (writer, category, ink)."""
    glyphs = [glyph for _, _, glyph in pieces]
    strokes = [len(glyph.points) // glyph.stroke for glyph in glyphs]
    lengths = np.repeat([glyph.stroke for glyph in glyphs], strokes)
    return InkSet(
        points=np.concatenate([one.points - one.points.min(0) for one in glyphs]).astype(np.int16),
        letter_of_point=np.concatenate([glyph.letters for glyph in glyphs]).astype(np.int16),
        stroke_starts=np.cumsum([0, *lengths]),
        piece_starts=np.cumsum([0, *strokes]),
        labels=tuple(glyph.label for glyph in glyphs),
        categories=np.array([CATEGORIES.index(category) for _, category, _ in pieces], np.uint8),
        writers=np.array([writer for writer, _, _ in pieces], np.int32),
        writer_names=WRITERS,
        styles=np.zeros(len(pieces), np.uint8),
        guides=np.full((len(pieces), 2), np.nan, np.float32),
    )


def world() -> InkSet:
    """One writes letters, one lines that are known letter by letter, one words; one is hidden."""
    words = " ".join(TEXTS).split()
    pieces = [(LETTERS, "1c", letter(character, LETTERS)) for character in CHARACTERS]
    pieces += [(LINES, "8", line(text, LINES)) for text in TEXTS]
    pieces += [(LINES, "7", line("vexing", LINES, joined=True))]
    pieces += [(WORDS, "7", line(word, WORDS, cut=False)) for word in words if len(word) > 1]
    pieces += [(WORDS, "1d", letter(mark, WORDS)) for mark in ".,"]
    pieces += [(HIDDEN, "1c", letter(character, HIDDEN)) for character in CHARACTERS + "#&@"]
    pieces += [(HIDDEN, "7", line(word, HIDDEN, cut=False)) for word in words if len(word) > 1]
    return ink_set(pieces)


INK = world()
USED = np.flatnonzero(INK.writers != HIDDEN)
MAKER = LineMaker(INK, USED)


def drawn(n: int, kind: Kind | None = None, maker: LineMaker = MAKER) -> list[MadeLine]:
    random = np.random.default_rng(0)
    return [maker.draw(random, kind) for _ in range(n)]


def ink_of(made: MadeLine, place: int) -> NDArray[np.float32]:
    points: NDArray[np.float32] = made.points[made.letter_of_point == place]
    return points


def only(indices: NDArray[np.int64], **recipe: float) -> LineMaker:
    nothing: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    return LineMaker(INK, indices, Recipe(**(nothing | recipe)))  # type: ignore[arg-type]


# Labels and where their letters are


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_of_printable_characters_with_single_spaces_between_words(kind: Kind) -> None:
    for made in drawn(200, kind):
        assert made.kind == kind
        assert {*made.label} <= {*string.printable[:95]}
        assert made.label == " ".join(made.label.split())


@pytest.mark.parametrize("kind", KINDS)
def test_each_letter_has_its_own_points_and_a_space_has_none(kind: Kind) -> None:
    for made in drawn(200, kind):
        counts = Counter(made.letter_of_point.tolist())
        unknown = counts.pop(-1, 0)
        assert set(counts.values()) <= {N_POINTS[made.writer]}
        if unknown:  # in words that are not cut: as many points as the rest of the text needs
            missing = len(made.label.replace(" ", "")) - len(counts)
            assert (made.writer, unknown) == (WORDS, missing * N_POINTS[WORDS])
        else:
            assert set(counts) == {at for at, one in enumerate(made.label) if one != " "}


def test_letters_end_in_the_order_of_the_text() -> None:
    for made in drawn(400):
        known = sorted({*made.letter_of_point.tolist()} - {-1})
        ends = [ink_of(made, place)[:, 0].max() for place in known]
        assert all(before < after for before, after in pairwise(ends))


def test_the_ink_is_in_whole_strokes_and_starts_at_the_left() -> None:
    for made in drawn(200):
        assert made.points.dtype == np.float32
        assert made.points.shape == (len(made.letter_of_point), 2)
        assert made.points[:, 0].min() == 0
        assert (made.stroke_starts[0], made.stroke_starts[-1]) == (0, len(made.points))
        assert (np.diff(made.stroke_starts) > 0).all()


def test_a_gap_between_words_is_wider_than_those_within() -> None:
    for made in drawn(200, "spelt") + drawn(200, "numbers"):
        boxes = {at: ink_of(made, at)[:, 0] for at, one in enumerate(made.label) if one != " "}
        gaps = [(boxes[b].min() - boxes[a].max(), b - a) for a, b in pairwise(boxes)]
        within = [gap for gap, step in gaps if step == 1]
        between = [gap for gap, step in gaps if step == 2]
        assert max(within, default=0) + 0.2 < min(between, default=9)


# Whose ink it is


def test_a_line_is_of_one_writer_and_never_of_one_who_is_not_given() -> None:
    seen = set()
    for made in drawn(400):
        seen.add(made.writer)
        lengths = {len(made.points[made.letter_of_point == at]) for at in {*made.letter_of_point}}
        assert all(length % N_POINTS[made.writer] == 0 for length in lengths)
    assert seen == {LETTERS, LINES, WORDS}


def test_only_the_given_pieces_are_used_for_ink_and_for_words() -> None:
    small = np.array([at for at in USED if INK.labels[at] == INK.labels[at].lower()])
    maker = only(small[INK.writers[small] != WORDS], spelt=1, random=1)
    labels = "".join(made.label for made in drawn(300, maker=maker))
    assert labels == labels.lower()
    assert not {*labels} & {*string.ascii_uppercase}


def test_ink_that_stands_in_two_categories_comes_once() -> None:
    pieces = [(LETTERS, "1c", letter("a", LETTERS)), (LETTERS, "3", letter("a", LETTERS))]
    scribe = collect(ink_set(pieces), np.arange(2)).scribes[LETTERS]
    assert [len(scribe.letters[one]) for one in "a"] == [1]


def test_a_letter_that_is_much_too_large_is_left_out() -> None:
    slip = Glyph("e", letter("e", LETTERS).points * 9, np.zeros(6, np.int64), 6)
    pieces = [(LETTERS, "1c", letter(one, LETTERS)) for one in "abcde"] + [(LETTERS, "1c", slip)]
    assert collect(ink_set(pieces), np.arange(6)).scribes[LETTERS].letters["e"] == [4]


def test_a_word_that_is_torn_apart_is_left_out() -> None:
    whole = line("ale", WORDS, cut=False)
    points = whole.points + np.repeat([[0, 0], [200, 0]], (16, 8), 0)
    torn = Glyph("ale", points, whole.letters, whole.stroke)
    pieces = [(WORDS, "7", whole), (WORDS, "7", torn)]
    words = collect(ink_set(pieces), np.arange(2)).scribes[WORDS].words
    assert [(word.text, word.first) for word in words] == [("ale", 0)]


# Kinds


def test_kinds_come_as_often_as_the_recipe_says() -> None:
    counts = Counter(made.kind for made in drawn(2000))
    shares = {"spelt": 0.4, "words": 0.3, "numbers": 0.1, "random": 0.2}
    assert {kind: counts[kind] / 2000 for kind in KINDS} == pytest.approx(shares, abs=0.03)
    assert {made.kind for made in drawn(50, maker=only(USED, numbers=1.0))} == {"numbers"}


def test_spelt_words_are_those_of_the_labels_unless_new_ones_are_asked_for() -> None:
    known = {*" ".join(TEXTS).lower().split(), "vexing"}

    def words(new: float) -> set[str]:
        made = drawn(200, maker=only(USED, spelt=1.0, new=new))
        found = "".join(one if one.isalpha() else " " for line in made for one in line.label + " ")
        return {*found.lower().split()} - {"s"}

    assert words(0.0) == known
    assert words(1.0) - known >= {"withe", "fiver"}


def test_lines_of_words_hold_the_writers_own_with_marks_between() -> None:
    own = {*" ".join(TEXTS).split(), "vexing"}
    for made in drawn(200, "words"):
        assert made.writer in {LINES, WORDS}
        words = made.label.split()
        assert 2 <= len(words) <= 8
        assert {word.rstrip(".,") for word in words} <= own
    assert {*".,"} < {*"".join(made.label for made in drawn(200, "words"))}


def test_half_of_the_lines_begin_with_a_capital() -> None:
    capitals = [made.label[0].isupper() for made in drawn(400, "words")]
    assert 0.45 < np.mean(capitals) < 0.65


def test_texts_in_block_capitals_are_so_throughout_if_the_writer_has_them() -> None:
    made = drawn(200, maker=only(USED, spelt=1.0, block=1.0))
    block = [line.label == line.label.upper() for line in made if line.writer == LETTERS]
    assert len(block) > 50
    assert all(block)
    small = [line.label for line in made if line.writer == LINES]
    assert any(label == label.lower() for label in small)


def test_some_lines_of_words_are_of_words_in_block_capitals() -> None:
    words = [*{*" ".join(TEXTS).lower().split()} - {"a"}]
    shout = [(WORDS, "7", line(word.upper(), WORDS, cut=False)) for word in words]
    ink = ink_set([*shout, *((WORDS, "7", line(word, WORDS, cut=False)) for word in words)])

    def share(block: float) -> float:
        recipe = Recipe(spelt=0, numbers=0, random=0, block=block)
        made = drawn(200, "words", LineMaker(ink, np.arange(len(ink)), recipe))
        return float(np.mean([line.label.isupper() for line in made]))

    assert len(words) >= 12
    assert share(0.0) < 0.2
    assert share(1.0) == 1.0


def test_numbers_have_no_letters() -> None:
    labels = [made.label for made in drawn(200, "numbers")]
    assert not {*"".join(labels)} & {*string.ascii_letters}
    assert sum(any(one.isdigit() for one in label) for label in labels) == 200
    assert {*"".join(labels)} >= {*string.digits, *"/$.,:-%"}


def test_random_texts_show_all_characters_that_a_writer_has_alike() -> None:
    counts = Counter("".join(m.label for m in drawn(1500, "random") if m.writer == LETTERS))
    spaces = counts.pop(" ")
    assert set(counts) == set(CHARACTERS)
    assert max(counts.values()) < 2 * min(counts.values())
    assert spaces > 0


# How it is written


def test_who_writes_nothing_but_block_capitals_fills_the_frame_with_them() -> None:
    pen, random = OtherHands(32, strength=0.0), np.random.default_rng(0)
    maker = only(USED, spelt=1.0, block=0.5, single=1.0)
    lines = [rewritten(maker, pen, random) for _ in range(150)]

    def full(labels: str) -> list[bool]:
        """Whether words of these letters alone, of two or more, fill the rows."""
        own = [line for line in lines if {*line.label} <= {*labels} and len(line.label) > 1]
        return [bool(np.ptp(np.flatnonzero(line.columns.any(0))) > 28) for line in own]

    assert 0.25 < np.mean(full(string.ascii_uppercase)) < 0.75
    without_descenders = full("abcdefhiklmnorstuvwxz")
    assert len(without_descenders) > 10
    assert not any(without_descenders)


def test_every_hand_comes_in_one_size_and_on_the_baseline() -> None:
    tops: dict[str, list[float]] = {one: [] for one in "xlgA"}
    bottoms: dict[str, list[float]] = {one: [] for one in "xlgA"}
    for made in drawn(500, "spelt") + drawn(500, "words"):
        for place in {*made.letter_of_point.tolist()} - {-1}:
            if (one := made.label[place]) in tops:
                tops[one].append(float(ink_of(made, place)[:, 1].min()))
                bottoms[one].append(float(ink_of(made, place)[:, 1].max()))
    usual = {"x": (-1, 0), "l": (-1.75, 0), "g": (-1, 1.1), "A": (-1.75, 0)}
    for one, (top, bottom) in usual.items():
        assert tops[one] == pytest.approx([top] * len(tops[one]), abs=0.35)
        assert bottoms[one] == pytest.approx([bottom] * len(tops[one]), abs=0.35)


def test_words_that_are_not_cut_stand_on_the_baseline_too() -> None:
    maker = only(np.flatnonzero(INK.writers == WORDS), words=1.0)
    for made in drawn(200, maker=maker):
        words = made.points[made.letter_of_point < 0, 1]
        assert -0.4 < np.median(words[words > -0.5]) < 0.4


def test_marks_stand_where_they_belong() -> None:
    places: dict[str, list[float]] = {one: [] for one in ".,'-"}
    for made in drawn(500, "random"):
        for place in {*made.letter_of_point.tolist()}:
            if made.writer == LETTERS and made.label[place] in places:
                places[made.label[place]].append(float(ink_of(made, place)[:, 1].mean()))
    means = {one: np.mean(heights) for one, heights in places.items()}
    assert means["'"] < -1 < means["-"] < -0.3 < means["."] < means[","] < 0.5


def test_letters_that_were_written_as_one_are_used_as_one_with_their_joins() -> None:
    scraps = collect(INK, USED)
    random = np.random.default_rng(0)
    runs = spell(scraps.scribes[LINES], "quickvexing", random, long_runs=1.0)
    assert [run.text for run in runs] == ["quick", "vexing"]
    made = next(m for m in drawn(500, "words") if "vexing" in m.label and m.writer == LINES)
    start = made.label.index("vexing")
    stroke = np.searchsorted(made.stroke_starts, np.arange(len(made.points)), "right")
    of_word = (made.letter_of_point >= start) & (made.letter_of_point < start + 6)
    assert len({*stroke[of_word]}) == 1


def test_a_letter_of_a_joined_word_is_a_stroke_of_its_own() -> None:
    maker = only(np.flatnonzero(INK.writers == LINES), random=1.0, most_random=1)
    for made in drawn(100, maker=maker):
        assert made.stroke_starts.tolist() == [0, N_POINTS[LINES]]


def test_a_seed_gives_the_same_lines_again_and_the_next_draw_another() -> None:
    first, second = drawn(50), drawn(50)
    for one, other in zip(first, second, strict=True):
        assert (one.label, one.writer, one.kind) == (other.label, other.writer, other.kind)
        assert np.array_equal(one.points, other.points)
    assert len({made.label for made in first}) > 40


def test_a_hand_and_the_rasteriser_take_it_as_any_other_ink() -> None:
    random = np.random.default_rng(0)
    for made in drawn(50):
        frame = frame_of(made.points, 1.9)
        points, pen_width = Hand()(made.points, made.stroke_starts, frame, 32, random)
        columns = rasterise(points, made.stroke_starts, 32, pen_width)
        assert columns.any()


# What is too little, and how long it takes


def test_a_kind_for_which_no_writer_has_enough_is_refused() -> None:
    words = np.flatnonzero(INK.writers == WORDS)
    with pytest.raises(DataError, match="'spelt'"):
        LineMaker(INK, words)
    with pytest.raises(DataError, match="'numbers'"):
        only(words, words=1.0).draw(np.random.default_rng(0), "numbers")
    with pytest.raises(DataError, match="no word"):
        LineMaker(INK, np.flatnonzero(INK.writers == LETTERS))


def test_hundreds_are_made_up_in_a_second() -> None:
    drawn(20)
    start = time.process_time()
    made = drawn(300, "words")
    per_line_s = (time.process_time() - start) / len(made)
    assert per_line_s < 1.5e-3
