"""Compose words and lines for training from one writer's own letters, runs of letters and words.

Glyphs are set side by side on one baseline, so the place of each letter is known exactly. Points
are in x-heights of the writer, so all writers have one size; `model.data.augmentation` brings them
into rows like any other ink.
"""

from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import WESTERN
from inkstream.model.data.ink_set import InkLine, InkSet, expand
from inkstream.model.data.synthesis.accents import (
    COMPOSED,
    LETTER_BENEATH,
    PARTS,
    TURNED,
    accent_strokes,
    completed,
    composable,
)
from inkstream.model.data.synthesis.glyphs import WHOLE, GlyphRun, Glyphs, WriterStyle, collect
from inkstream.model.data.synthesis.texts import DIGITS, ENGLISH, WordSampler, marks, number
from inkstream.model.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
WordRuns = Sequence[Sequence[GlyphRun]]  # a space between one word and the next
Kind = Literal["spelt", "words", "numbers", "random"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# Distances in x-heights. Those of writers who are not known by theirs are as those of the 85 of
# UNIPEN's training writers who are: the middle, and the standard deviation between writers.
LETTER_GAP: Final = (0.35, 0.12)
WORD_GAP: Final = (1.7, 0.4)
GAP_JITTER: Final = 0.12  # standard deviation between letters, and as a share between words
LEAST_WORD_GAP: Final = 0.6  # more than within words
OVERLAP: Final = 0.5  # share of a run's width that may lie below the one before
ONWARD: Final = 0.02  # that a run ends behind the one before at least, however narrow it is
SIZE_JITTER: Final = 0.05  # standard deviation, as a share
BASELINE_JITTER: Final = 0.05  # standard deviation


@dataclass(frozen=True, slots=True, eq=False)
class ComposedLine(InkLine):
    """One made-up word or line: x-heights, x from the left end, y from the baseline down."""

    writer: int  # index into the ink's `writer_names`
    kind: Kind
    real: frozenset[int]  # indices into the label of characters that other people wrote


def lay_out(
    glyphs: Glyphs, writer: int, words: WordRuns, kind: Kind, random: np.random.Generator
) -> ComposedLine:
    """Set the runs of words side by side, as far apart as the writer does, with a little chance.

    Each run ends further right than all before it, but for parts of one character.
    """
    runs = [run for word in words for run in word]
    first = np.array([run.first for run in runs], np.int64)
    rows, row_starts = expand(first, first + np.array([run.length for run in runs], np.int64))
    left = np.minimum.reduceat(glyphs.sides[rows, 0], row_starts[:-1])
    right = np.maximum.reduceat(glyphs.sides[rows, 1], row_starts[:-1])
    size, rise = np.clip(random.standard_normal((2, len(runs))), -2, 2)
    parts = {at: run.part for at, run in enumerate(runs) if run.part is not WHOLE}
    of_parts = list(parts)
    scale = (1 + SIZE_JITTER * size) / glyphs.x_height[first]
    scale[of_parts] *= [part.size for part in parts.values()]
    rise = BASELINE_JITTER * rise
    rise[of_parts] -= [part.rise for part in parts.values()]
    width = (right - left) * scale
    runs_of_word = [len(word) for word in words]
    gap = _gaps(glyphs.styles[writer], runs_of_word, width, random)
    for at, part in parts.items():
        if part.centred:
            gap[at] = -(width[at - 1] + width[at]) / 2
        elif part.gap is not None:
            gap[at] = part.gap
    x = np.cumsum(gap + width) - width - left * scale
    y = rise - glyphs.baseline[first] * scale
    run = np.repeat(np.arange(len(runs)), np.diff(row_starts))
    lengths = np.array([len(run.text) for run in runs], np.int64)
    place = np.cumsum(lengths) - lengths + np.repeat(np.arange(len(words)), runs_of_word)
    place[lengths == 0] -= 1  # a further part of the character before
    real = glyphs.styles[writer].real
    are_real = frozenset(
        at for at, one in zip(place.tolist(), runs, strict=True)
        if one.first in real.get(one.text, ())
    )  # fmt: skip
    letter = place[run] + np.arange(len(rows)) - row_starts[run]  # place in the text
    letter = np.where(glyphs.is_letter[rows], letter, -1)
    ink = _moved(glyphs, rows, run, letter, np.stack([scale, x, y]))
    label = " ".join("".join(run.text for run in word) for word in words)
    return ComposedLine(*ink, label, writer, kind, are_real)


def _gaps(
    style: WriterStyle, runs_of_word: list[int], width: Floats, random: np.random.Generator
) -> Floats:
    """Return the gap before each run [runs]; 0 for the first."""
    of_letters, of_words = random.standard_normal(2)
    letter_gap, word_gap = style.letter_gap, style.word_gap
    if not np.isfinite(letter_gap):
        letter_gap = LETTER_GAP[0] + LETTER_GAP[1] * of_letters
    if not np.isfinite(word_gap):
        word_gap = WORD_GAP[0] + WORD_GAP[1] * of_words
    jitter = GAP_JITTER * np.clip(random.standard_normal(len(width)), -2, 2)
    gap = np.maximum(letter_gap + jitter, ONWARD - OVERLAP * width)
    starts = list(accumulate(runs_of_word[:-1]))
    least = LEAST_WORD_GAP + max(letter_gap, style.widest_gap)
    gap[starts] = np.maximum(word_gap * (1 + jitter[starts]), least)
    gap[0] = 0
    return gap


def _moved(
    glyphs: Glyphs, rows: Indices, run: Indices, letter: Indices, way: Floats
) -> tuple[NDArray[np.float32], Indices, NDArray[np.int16]]:
    """Return the ink of the glyphs `rows` [n] as in an `InkLine`, each run in the order of writing.

    `run` [n], ascending, is the run that each belongs to, `letter` [n] its place in the text, and
    `way` [3, runs] scale, then shift to the right and down.
    """
    ranges, range_starts = expand(glyphs.range_starts[rows], glyphs.range_starts[rows + 1])
    row = np.repeat(np.arange(len(rows)), np.diff(range_starts))
    order = np.lexsort((glyphs.ranges[ranges, 0], run[row]))
    ranges, row = ranges[order], row[order]
    start, stop = glyphs.ranges[ranges].T
    points, starts = expand(start, stop)
    new = glyphs.begins[ranges] | (np.diff(run[row], prepend=-1) != 0)
    new[1:] |= start[1:] != stop[:-1]  # elsewhere the pen went on from letter to letter
    scale, right, down = way[:, np.repeat(run[row], stop - start)]
    placed = np.empty((len(points), 2), np.float32)
    placed[:, 0] = glyphs.points[points, 0] * scale + right
    placed[:, 1] = glyphs.points[points, 1] * scale + down
    placed[:, 0] -= placed[:, 0].min()
    letter_of_point = np.repeat(letter[row], stop - start).astype(np.int16)
    return placed, np.append(starts[:-1][new], len(points)), letter_of_point


PARTED: Final = "\0"  # stands for a character of several parts, which no run holds
REAL: Final = "\1"  # stands for one that another person wrote
TRIES: Final = 30  # words drawn until the writer has all letters of one

# What a writer must have for a kind.
ENOUGH_LETTERS: Final = 18  # different ones, small or large
ENOUGH_WORDS: Final = 12  # in block capitals too, for lines of them
ENOUGH_DIGITS: Final = 8
ENOUGH_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made up, and how often."""

    spelt: float = 0.4  # share of words spelt of letters and runs of letters
    words: float = 0.3  # of lines of the writer's whole words
    numbers: float = 0.1  # of numbers, dates, prices, times
    random: float = 0.2  # of texts of any characters that the writer has, each as often
    single: float = 0.5  # share of spelt texts, and of numbers, that are one word
    most_words: int = 8  # of the others
    most_random: int = 14  # characters of a random text
    random_space: float = 0.15  # share of places between them that are a space
    new: float = 0.2  # share of spelt words that are made up, like those of labels
    of_language: float = 0.4  # share of spelt words of a language, whether labels have them or not
    western: float = 0.0  # share of spelt texts in other languages than English
    rare: float = 0.6  # share of their words that hold a character drawn of those beyond ASCII
    composed: float = 0.45  # share of the characters of random texts that are composed
    capital: float = 0.12  # share of spelt words that are given a capital
    capitals: float = 0.05  # share of those that are all capitals
    block: float = 0.2  # share of texts in block capitals, of writers who have enough of them
    sentence: float = 0.5  # share of lines that begin with a capital, if the writer has it
    long_runs: float = 0.8  # share of runs that are as long as the writer has them


REAL_SHARE: Final = 0.5  # of the characters to compose: glyphs of other people
LEAST_REAL: Final = 8  # such glyphs of a character: fewer would be seen too often


class LineComposer:
    """Makes up words and lines from pieces of ink."""

    def __init__(
        self,
        ink: InkSet,
        indices: NDArray[np.int64],
        recipe: Recipe | None = None,
        labels: Sequence[str] = WESTERN,
        anonymous: Collection[str] = (),
    ):
        """Take ink and words from the pieces at `indices` alone: seconds for all of UNIPEN.

        A kind that no writer has enough ink for is never drawn: `missing` names those that the
        recipe asks for. With `western` in the recipe each writer also has those of `labels` that
        can be composed of the writer's characters. Names that are `anonymous` stand for many
        people: they write no lines, but their glyphs replace some that would be composed.

        Raises `DataError` when the recipe asks for nothing else, or no label has a word.
        """
        self._recipe = recipe or Recipe()
        texts = (ink.labels[index] for index in indices if len(ink.labels[index]) > 1)
        self._words = WordSampler(texts, self._recipe.western)
        self._glyphs = collect(ink, indices)
        styles = self._glyphs.styles
        unnamed = [writer for writer in styles if ink.writer_names[writer] in anonymous]
        letters = [styles.pop(writer).letters for writer in unnamed]
        real = {char: [row for kept in letters for row in kept.get(char, ())] for char in COMPOSED}
        for style in styles.values():
            style.real = {char: rows for char, rows in real.items() if len(rows) >= LEAST_REAL}
        allowed = frozenset(labels) if self._recipe.western else frozenset()
        self._native = {writer: frozenset(style.letters) for writer, style in styles.items()}
        self._composed = {
            writer: sorted(composable(own) & allowed) for writer, own in self._native.items()
        }
        self._characters = {
            writer: own.union(self._composed[writer]) for writer, own in self._native.items()
        }
        # Small letters are more frequent in texts than capitals; few writers wrote ! and ?.
        self._rare = {
            writer: [*own, *(char for char in own if char.islower() or char in TURNED)]
            for writer, own in self._composed.items()
        }
        self._accents = cache(lambda writer: accent_strokes(self._glyphs, styles[writer]))
        self._capitals = {
            writer: [word for word in style.words if word.text[0].isupper()]
            for writer, style in styles.items()
        }
        self._block = {
            writer: [word for word in words if word.text.isupper()]
            for writer, words in self._capitals.items()
        }
        self._writers = {kind: self._able(kind) for kind in KINDS}
        asked = {kind: share for kind in KINDS if (share := getattr(self._recipe, kind))}
        self.missing = tuple(kind for kind in asked if not self._writers[kind][0])
        if asked and len(self.missing) == len(asked):
            raise DataError(f"no writer has enough ink to make up {', '.join(self.missing)}")
        self._shares = np.cumsum(
            [0.0 if kind in self.missing else asked.get(kind, 0.0) for kind in KINDS]
        )
        self._compose = {
            "spelt": self._spelt,
            "words": self._lined_up,
            "numbers": self._numbers,
            "random": self._random,
        }

    def draw(self, random: np.random.Generator, kind: Kind | None = None) -> ComposedLine:
        """Make up one, of this kind, or of any as the recipe says."""
        if kind is None:
            kind = KINDS[_drawn(self._shares, random)]
        writers, amounts = self._writers[kind]
        if not writers:
            raise DataError(f"no writer has enough ink to make up {kind!r}")
        writer = writers[_drawn(amounts, random)]
        return self._laid_out(writer, self._compose[kind](writer, random), kind, random)

    def writers(self, characters: Set[str]) -> list[int]:
        """Return the writers who have each of these characters, written or composed."""
        return [writer for writer, own in sorted(self._characters.items()) if characters <= own]

    def write(self, text: str, writer: int, random: np.random.Generator) -> ComposedLine:
        """Compose a text by a writer, who must have all its characters."""
        style = self._glyphs.styles[writer]
        words = [spell(style, word, random, self._recipe.long_runs) for word in text.split()]
        return self._laid_out(writer, words, "spelt", random)

    def _laid_out(
        self, writer: int, words: WordRuns, kind: Kind, random: np.random.Generator
    ) -> ComposedLine:
        line = lay_out(self._glyphs, writer, words, kind, random)
        if not self._composed[writer]:
            return line
        native, accents = self._native[writer], self._accents(writer)
        return completed(line, native, accents, random, line.real)

    def _able(self, kind: Kind) -> tuple[list[int], NDArray[np.float64]]:
        """Return the writers with enough glyphs, and running sums of the roots of their amounts."""
        styles = self._glyphs.styles
        writers = [writer for writer in sorted(styles) if self._has_enough(writer, kind)]
        amounts = [
            len(styles[writer].words)
            if kind == "words"
            else sum(map(len, styles[writer].letters.values()))
            for writer in writers
        ]
        return writers, np.cumsum(np.sqrt(amounts))

    def _has_enough(self, writer: int, kind: Kind) -> bool:
        characters = self._native[writer]
        match kind:
            case "spelt":
                return _have(characters, str.islower) or _have(characters, str.isupper)
            case "words":
                return len(self._glyphs.styles[writer].words) >= ENOUGH_WORDS
            case "numbers":
                return len(characters & DIGITS) >= ENOUGH_DIGITS
            case "random":
                return len(characters) >= ENOUGH_CHARACTERS

    def _spelt(self, writer: int, random: np.random.Generator) -> list[list[GlyphRun]]:
        characters = self._characters[writer]
        language = self._words.language(random)
        block = random.random() < self._recipe.block and _have(self._native[writer], str.isupper)
        words = [
            self._word(writer, language, random, block=block) for _ in range(self._n_words(random))
        ]
        begun = words[0][0].upper() + words[0][1:]
        if len(words) > 1 and random.random() < self._recipe.sentence and characters >= set(begun):
            words[0] = begun
        return self._with_marks(writer, words, random, language)

    def _lined_up(self, writer: int, random: np.random.Generator) -> list[list[GlyphRun]]:
        known, capitals = self._glyphs.styles[writer].words, self._capitals[writer]
        if len(self._block[writer]) >= ENOUGH_WORDS and random.random() < self._recipe.block:
            known = capitals = self._block[writer]
        n_words = int(random.integers(2, self._recipe.most_words + 1))
        words = [known[at] for at in random.integers(len(known), size=n_words)]
        if capitals and random.random() < self._recipe.sentence:
            words[0] = capitals[int(random.integers(len(capitals)))]
        return self._with_marks(writer, words, random)

    def _numbers(self, writer: int, random: np.random.Generator) -> list[list[GlyphRun]]:
        style, characters = self._glyphs.styles[writer], self._characters[writer]
        texts = [number(characters, random) for _ in range(self._n_words(random))]
        words = " ".join(texts).split(" ")
        return [spell(style, word, random, self._recipe.long_runs) for word in words]

    def _random(self, writer: int, random: np.random.Generator) -> list[list[GlyphRun]]:
        style, native = self._glyphs.styles[writer], sorted(self._native[writer])
        composed = self._composed[writer]
        n = int(random.integers(1, self._recipe.most_random + 1))
        share = self._recipe.composed if composed else 0.0
        chosen = [composed if kind < share else native for kind in random.random(n).tolist()]
        text = "".join(own[int(random.integers(len(own)))] for own in chosen)
        spaces = np.flatnonzero(random.random(n - 1) < self._recipe.random_space) + 1
        cuts = pairwise([0, *spaces.tolist(), n])
        return [spell(style, text[start:stop], random) for start, stop in cuts]

    def _with_marks(
        self,
        writer: int,
        words: Sequence[str | GlyphRun],
        random: np.random.Generator,
        language: str = ENGLISH,
    ) -> list[list[GlyphRun]]:
        """Join words, spelt or whole, with the marks of a language between them."""
        style, characters = self._glyphs.styles[writer], self._characters[writer]
        written: list[list[GlyphRun]] = [[]]

        def add(text: str) -> None:
            for at, part in enumerate(text.split(" ")):
                if at:
                    written.append([])
                written[-1].extend(spell(style, part, random, self._recipe.long_runs))

        around = marks(len(words), characters, random, language)
        for word, (before, usual, spaced) in zip(words, around, strict=True):
            text = word if isinstance(word, str) else word.text
            in_capitals = text.isupper() and characters >= set(usual.upper()) - {" "}
            after = usual.upper() if in_capitals else usual  # DOG'S
            if isinstance(word, str):
                add(before + word + after)
            else:
                add(before)
                written[-1].append(word)
                add(after)
            if spaced:
                written.append([])
        return [runs for runs in written if runs]

    def _n_words(self, random: np.random.Generator) -> int:
        if random.random() < self._recipe.single:
            return 1
        return int(random.integers(2, self._recipe.most_words + 1))

    def _word(self, writer: int, language: str, random: np.random.Generator, *, block: bool) -> str:
        """Draw a word that the writer has the characters for, in block capitals or not."""
        recipe, characters = self._recipe, self._characters[writer]
        for kind, case in random.random((TRIES, 2)).tolist():
            if language != ENGLISH:
                if kind < recipe.rare and (rare := self._rare[writer]):
                    char = rare[int(random.integers(len(rare)))]
                    word = self._words.holding(char, random)
                    if characters >= set(word):
                        return word
                    continue
                word = self._words.of_language(random.random(), language)
            elif kind < recipe.new:
                word = self._words.new(random)
            elif kind < recipe.new + recipe.of_language:
                word = self._words.of_language(random.random())
            else:
                word = self._words.known(random.random())
            if block or case < recipe.capitals:
                word = word.upper()
            elif case < recipe.capitals + recipe.capital:
                word = word[0].upper() + word[1:]
            for cased in (word, word.lower(), word.upper()):
                if characters >= set(cased):
                    return cased
        letters = sorted(filter(str.isalpha, self._native[writer]))
        return letters[int(random.integers(len(letters)))]


def _have(characters: frozenset[str], of_alphabet: Callable[[str], bool]) -> bool:
    """Tell whether enough letters of an alphabet are there to spell words."""
    return sum(map(of_alphabet, characters)) >= ENOUGH_LETTERS


def spell(
    style: WriterStyle, text: str, random: np.random.Generator, long_runs: float = 0.0
) -> list[GlyphRun]:
    """Choose runs and letters that spell a text without spaces.

    The writer must have all its characters, or those that they are composed of: then the runs have
    the letters beneath the accents, and the parts of a character follow each other. A share
    `REAL_SHARE` of these characters is written by other people, where the style has their glyphs.

    `long_runs` is the share of runs that are as long as the writer has them; the rest has any
    length.
    """
    runs = []
    composed = {char for char in text if char not in style.letters}
    beneath = "".join(
        char if char not in composed
        else REAL if char in style.real and random.random() < REAL_SHARE
        else LETTER_BENEATH.get(char, PARTED)
        for char in text
    )  # fmt: skip
    place = 0
    while place < len(text):
        if beneath[place] == REAL:
            rows = style.real[text[place]]
            runs.append(GlyphRun(text[place], rows[int(random.integers(len(rows)))], 1))
            place += 1
            continue
        if beneath[place] == PARTED:
            runs += _parts(style, text[place], random)
            place += 1
            continue
        length = 1
        while place + length < len(text) and beneath[place : place + length + 1] in style.runs:
            length += 1
        if length > 1 and random.random() >= long_runs:
            length = int(random.integers(1, length + 1))
        run = _run(style, beneath[place : place + length], random)
        runs.append(run._replace(text=text[place : place + length]))
        place += length
    return runs


def _parts(style: WriterStyle, char: str, random: np.random.Generator) -> list[GlyphRun]:
    """Choose letters for the parts of a character."""
    runs = []
    for at, part in enumerate(PARTS[char]):
        base = next(base for base in part.bases if base in style.letters)
        runs.append(GlyphRun("" if at else char, *_run(style, base, random)[1:3], part))
    return runs


def _run(style: WriterStyle, text: str, random: np.random.Generator) -> GlyphRun:
    """Choose one of the writer's runs, or letters, with this text."""
    if len(text) == 1:
        letters = style.letters[text]
        return GlyphRun(text, letters[int(random.integers(len(letters)))], 1)
    at = style.runs.find(text, int(random.integers(len(style.runs))))
    if at < 0:
        at = style.runs.find(text)
    return GlyphRun(text, style.run_glyphs[at], len(text))


def _drawn(sums: NDArray[np.float64], random: np.random.Generator) -> int:
    """Draw an index in proportion to the steps of a running sum."""
    return int(np.searchsorted(sums, random.random() * sums[-1], "right"))
