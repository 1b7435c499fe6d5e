"""Compose words and lines for training from one writer's letters, runs of letters and words.

Glyphs are set side by side on one baseline, so it is known exactly where each letter stands. Points
are in x-heights of the writer, so all writers have one size.
"""

import math
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import WESTERN
from inkstream.model.data.ink_set import InkLine, InkSet, expand
from inkstream.model.data.synthesis import accents, texts
from inkstream.model.data.synthesis.glyphs import WORD, GlyphRun, Glyphs, WriterStyle, collect
from inkstream.model.data.synthesis.texts import ENGLISH, WeightedChoice, choose
from inkstream.model.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Random = np.random.Generator
WordRuns = Sequence[Sequence[GlyphRun]]  # a space between one word and the next


@dataclass(frozen=True, slots=True, eq=False)
class ComposedLine(InkLine):
    """One made-up word or line: x-heights, x from the left end, y from the baseline down."""

    writer: int  # index into the ink's `writer_names`


def lay_out(
    glyphs: Glyphs, writer: int, words: WordRuns, random: Random
) -> tuple[ComposedLine, list[int]]:
    """Set the runs of words side by side, as far apart as the writer does, with a little chance.

    Each run ends further right than all before it, but for parts of one character. With the line
    come the indices into its label of the characters that are still to be completed: their glyphs
    show others.
    """
    runs = [run for word in words for run in word]
    parts, segments = [run.part for run in runs], glyphs.segments
    first = np.array([run.first for run in runs], np.int64)
    rows, row_starts = expand(first, first + np.array([run.length for run in runs]))
    left = np.minimum.reduceat(segments.bounds[rows, 0], row_starts[:-1])
    right = np.maximum.reduceat(segments.bounds[rows, 2], row_starts[:-1])
    size, rise = np.clip(random.standard_normal((2, len(runs))), -2, 2)
    scale = (1 + 0.05 * size) / glyphs.x_height[first] * [part.size for part in parts]
    width = (right - left) * scale
    runs_of_word = [len(word) for word in words]
    gap = _gaps(glyphs.styles[writer], runs_of_word, width, random)
    for at, part in enumerate(parts):
        if part.centred:
            gap[at] = -(width[at - 1] + width[at]) / 2
        elif part.gap is not None:
            gap[at] = part.gap
    x = np.cumsum(gap + width) - width - left * scale
    y = 0.05 * rise - [part.rise for part in parts] - glyphs.baseline[first] * scale
    run = np.repeat(np.arange(len(runs)), np.diff(row_starts))
    lengths = np.array([len(run.text) for run in runs], np.int64)
    start = np.cumsum(lengths) - lengths + np.repeat(np.arange(len(words)), runs_of_word)
    start[lengths == 0] -= 1  # a further part of the character before
    letter = start[run] + np.arange(len(rows)) - row_starts[run]  # index into the text
    letter = np.where(segments.sources[rows] == WORD, -1, letter)
    ink = _moved(glyphs, rows, run, letter, np.stack([scale, x, y]))
    label = " ".join("".join(run.text for run in word) for word in words)
    letters = zip(letter.tolist(), rows.tolist(), strict=True)
    shown = {at: segments.texts[row] for at, row in letters if at >= 0}
    return ComposedLine(*ink, label, writer), [at for at in shown if shown[at] != label[at]]


def _gaps(style: WriterStyle, runs_of_word: list[int], width: Floats, random: Random) -> Floats:
    """Return the gap before each run [runs], in x-heights; 0 for the first."""
    # Gaps that are not known are as those of the 85 of UNIPEN's training writers whose are: the
    # middle, and the standard deviation between writers.
    usual = np.array([0.35, 1.7]) + np.array([0.12, 0.4]) * random.standard_normal(2)
    known = np.array([style.letter_gap, style.word_gap])
    letter_gap, word_gap = np.where(np.isnan(known), usual, known)
    jitter = 0.12 * np.clip(random.standard_normal(len(width)), -2, 2)
    # A run may lie half below the one before, and ends behind it however narrow it is.
    gap: Floats = np.maximum(letter_gap + jitter, 0.02 - 0.5 * width)
    starts = list(accumulate(runs_of_word[:-1]))
    least = 0.6 + max(letter_gap, style.widest_gap)
    gap[starts] = np.maximum(word_gap * (1 + jitter[starts]), least)
    gap[0] = 0
    return gap


def _moved(
    glyphs: Glyphs, rows: Indices, run: Indices, letter: Indices, moves: Floats
) -> tuple[NDArray[np.float32], Indices, NDArray[np.int16]]:
    """Return the ink of the glyphs `rows` [n] as in an `InkLine`, each run in the order of writing.

    `run` [n], ascending, is the run of each glyph, `letter` [n] its index into the text, and
    `moves` [3, runs] are scale, then shift to the right and down.
    """
    segments = glyphs.segments
    ranges, range_starts = expand(segments.range_starts[rows], segments.range_starts[rows + 1])
    row = np.repeat(np.arange(len(rows)), np.diff(range_starts))
    order = np.lexsort((segments.ranges[ranges, 0], run[row]))
    ranges, row = ranges[order], row[order]
    start, stop = segments.ranges[ranges].T
    points, starts = expand(start, stop)
    new = segments.begins[ranges] | (np.diff(run[row], prepend=-1) != 0)
    new[1:] |= start[1:] != stop[:-1]  # elsewhere the pen went on from letter to letter
    scale, *shift = moves[:, np.repeat(run[row], stop - start)]
    placed = (glyphs.points[points] * scale[:, None] + np.stack(shift, 1)).astype(np.float32)
    placed[:, 0] -= placed[:, 0].min()
    letter_of_point = np.repeat(letter[row], stop - start).astype(np.int16)
    return placed, np.append(starts[:-1][new], len(points)), letter_of_point


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made up, and how often."""

    spelt: float = 0.4  # share of words spelt of letters and runs of letters
    words: float = 0.3  # of lines of the writer's whole words
    numbers: float = 0.1  # of numbers, dates, prices, times
    random: float = 0.2  # of texts of any characters that the writer has, all as often
    western: float = 0.0  # share of spelt texts in other languages than English


KINDS: Final = ("spelt", "words", "numbers", "random")
ENOUGH_WORDS: Final = 12  # of a writer, in block capitals too, for lines of them
BLOCK_SHARE: Final = 0.2  # of the texts, by writers who have enough block capitals, are in them


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
        recipe = recipe or Recipe()
        labelled = (ink.labels[index] for index in indices if len(ink.labels[index]) > 1)
        self._words = texts.WordSampler(labelled, recipe.western)
        self._glyphs = glyphs = collect(ink, indices)
        unnamed = [writer for writer in glyphs.styles if ink.writer_names[writer] in anonymous]
        letters = [glyphs.styles.pop(writer).letters for writer in unnamed]
        real = {char: [row for rows in letters for row in rows.get(char, ())] for char in labels}
        # Fewer glyphs of a character would each be seen too often.
        real = {char: rows for char, rows in real.items() if len(rows) >= 8}
        allowed = frozenset(labels) if recipe.western else frozenset()
        for style in glyphs.styles.values():
            style.composed = sorted(accents.composable(style.letters.keys()) & allowed)
            style.real = real
        self._accents = cache(lambda writer: accents.accent_strokes(glyphs, glyphs.styles[writer]))
        asked = {kind: share for kind in KINDS if (share := getattr(recipe, kind))}
        amounts = {
            kind: [
                (writer, math.sqrt(amount))
                for writer, style in sorted(glyphs.styles.items())
                if (amount := _n_glyphs(style, kind))
            ]
            for kind in asked
        }
        self.missing = tuple(kind for kind in asked if not amounts[kind])
        if asked and len(self.missing) == len(asked):
            raise DataError(f"no writer has enough ink to make up {', '.join(self.missing)}")
        self._kinds = WeightedChoice((kind, asked[kind]) for kind in asked if amounts[kind])
        self._writers = {kind: WeightedChoice(amounts[kind]) for kind in asked}

    def draw(self, random: Random) -> ComposedLine:
        """Make up one, as the recipe says."""
        kind = self._kinds(random.random())
        writer = self._writers[kind](random.random())
        text_of = {"spelt": self._spelt, "words": _lined_up, "numbers": _numbers, "random": _random}
        words = text_of[kind](self._glyphs.styles[writer], random)
        return self._laid_out(writer, words, random)

    def writers(self, characters: Set[str]) -> list[int]:
        """Return the writers who have each of these characters, written or composed."""
        styles = sorted(self._glyphs.styles.items())
        return [writer for writer, style in styles if characters <= style.characters]

    def write(self, text: str, writer: int, random: Random) -> ComposedLine:
        """Compose a text by a writer, who must have all its characters."""
        style = self._glyphs.styles[writer]
        return self._laid_out(writer, [spell(style, word, random) for word in text.split()], random)

    def _laid_out(self, writer: int, words: WordRuns, random: Random) -> ComposedLine:
        line, incomplete = lay_out(self._glyphs, writer, words, random)
        if not incomplete:
            return line
        return accents.completed(line, incomplete, self._accents(writer), random)

    def _spelt(self, style: WriterStyle, random: Random) -> WordRuns:
        language = self._words.language(random)
        block = random.random() < BLOCK_SHARE and _has_alphabet(style, str.isupper)
        words = [self._word(style, language, random, block=block) for _ in range(_n_words(random))]
        begun = words[0][0].upper() + words[0][1:]
        if len(words) > 1 and random.random() < 0.5 and style.characters >= set(begun):
            words[0] = begun
        return _with_marks(style, words, random, language)

    def _word(self, style: WriterStyle, language: str, random: Random, *, block: bool) -> str:
        """Draw a word that the writer has the characters for, in block capitals or not.

        A fifth of the English words are made up, like those of labels, and two fifths are any words
        of the language, whether labels have them or not.
        """
        words, characters = self._words, style.characters
        # Small letters are more frequent in texts than capitals; few writers wrote ! and ?.
        rare = [char for char in style.composed if char.islower() or char in accents.TURNED]
        for kind, case in random.random((30, 2)).tolist():  # tries
            if language != ENGLISH and kind < 0.6 and style.composed:
                word = words.holding(choose([*style.composed, *rare], random), random)
                if characters >= set(word):
                    return word
                continue
            if language == ENGLISH and kind < 0.2:
                word = words.new(random)
            elif language != ENGLISH or kind < 0.2 + 0.4:
                word = words.of_language[language](random.random())
            else:
                word = words.known(random.random())
            if block or case < 0.05:
                word = word.upper()
            elif case < 0.17:
                word = word[0].upper() + word[1:]
            for cased in (word, word.lower(), word.upper()):
                if characters >= set(cased):
                    return cased
        return choose(sorted(filter(str.isalpha, style.letters)), random)


def _lined_up(style: WriterStyle, random: Random) -> WordRuns:
    """Draw a line of the writer's whole words; half of the lines begin with a capital."""
    words = style.words
    capitals = [word for word in words if word.text[0].isupper()]
    block = [word for word in capitals if word.text.isupper()]
    if len(block) >= ENOUGH_WORDS and random.random() < BLOCK_SHARE:
        words = capitals = block
    n_words = int(random.integers(2, 9))
    line = [words[at] for at in random.integers(len(words), size=n_words)]
    if capitals and random.random() < 0.5:
        line[0] = choose(capitals, random)
    return _with_marks(style, line, random)


def _numbers(style: WriterStyle, random: Random) -> WordRuns:
    numbers = [texts.number(style.characters, random) for _ in range(_n_words(random))]
    return [spell(style, word, random) for word in " ".join(numbers).split(" ")]


def _random(style: WriterStyle, random: Random) -> WordRuns:
    """Draw a text of up to 14 characters, with some spaces."""
    native, n = sorted(style.letters), int(random.integers(1, 15))
    share = 0.45 if style.composed else 0.0
    chosen = [style.composed if chance < share else native for chance in random.random(n).tolist()]
    text = "".join(choose(characters, random) for characters in chosen)
    spaces = np.flatnonzero(random.random(n - 1) < 0.15) + 1
    cuts = pairwise([0, *spaces.tolist(), n])
    return [spell(style, text[start:stop], random, long_runs=0) for start, stop in cuts]


def _n_words(random: Random) -> int:
    """Draw the number of words of a text: half of the texts have one."""
    return 1 if random.random() < 0.5 else int(random.integers(2, 9))


def _n_glyphs(style: WriterStyle, kind: str) -> int:
    """Return how many glyphs a writer has for texts of a kind; 0 if they are too few."""
    if kind == "words":
        return len(style.words) if len(style.words) >= ENOUGH_WORDS else 0
    enough = {
        "spelt": _has_alphabet(style, str.islower) or _has_alphabet(style, str.isupper),
        "numbers": len(style.letters.keys() & texts.DIGITS) >= 8,
        "random": len(style.letters) >= 12,
    }
    return sum(map(len, style.letters.values())) if enough[kind] else 0


def _has_alphabet(style: WriterStyle, of_alphabet: Callable[[str], bool]) -> bool:
    """Say whether a writer has enough letters of an alphabet to spell words."""
    return sum(map(of_alphabet, style.letters)) >= 18


def _with_marks(
    style: WriterStyle, words: Sequence[str | GlyphRun], random: Random, language: str = ENGLISH
) -> WordRuns:
    """Join words, spelt or whole, with the marks of a language between them."""
    written: list[list[GlyphRun]] = [[]]
    around = texts.marks(len(words), style.characters, random, language)
    for word, (before, after, spaced) in zip(words, around, strict=True):
        text = word if isinstance(word, str) else word.text
        in_capitals = text.isupper() and style.characters >= set(after.upper()) - {" "}
        behind = after.upper() if in_capitals else after  # DOG'S
        for part in (before + word + behind,) if isinstance(word, str) else (before, word, behind):
            if isinstance(part, str):
                joined, *others = part.split(" ")
                written[-1] += spell(style, joined, random)
                written += [spell(style, other, random) for other in others]
            else:
                written[-1].append(part)
        if spaced:
            written.append([])
    return [runs for runs in written if runs]


def spell(style: WriterStyle, text: str, random: Random, long_runs: float = 0.8) -> list[GlyphRun]:
    """Choose runs and letters that spell a text without spaces, whose characters the writer has.

    A composed character has the letter beneath its accent, or its parts one after the other, or in
    one half of the cases a glyph by other people, where the style has some. `long_runs` is the
    share of runs that are as long as the writer has them; the others are of any length.
    """
    parted, real = "\0\1"  # in place of a character that no run holds
    runs = []
    beneath = "".join(
        char if char in style.letters
        else real if char in style.real and random.random() < 0.5
        else accents.LETTER_BENEATH.get(char, parted)
        for char in text
    )  # fmt: skip
    start = 0
    while start < len(text):
        char, length = text[start], 1
        if beneath[start] == real:
            runs.append(GlyphRun(char, choose(style.real[char], random), 1))
        elif beneath[start] == parted:
            for part in accents.PARTS[char]:
                base = next(base for base in part.bases if base in style.letters)
                runs.append(GlyphRun(char, choose(style.letters[base], random), 1, part))
                char = ""
        else:
            while start + length < len(text) and beneath[start : start + length + 1] in style.runs:
                length += 1
            if length > 1 and random.random() >= long_runs:
                length = int(random.integers(1, length + 1))
            letters = beneath[start : start + length]
            if length == 1:
                first = choose(style.letters[letters], random)
            else:
                at = style.runs.find(letters, int(random.integers(len(style.runs))))
                first = style.run_glyphs[at if at >= 0 else style.runs.find(letters)]
            runs.append(GlyphRun(text[start : start + length], first, length))
        start += length
    return runs
