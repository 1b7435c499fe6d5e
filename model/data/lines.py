"""Made-up words and lines for training, composed of one writer's own letters, runs and words.

Where each letter is in them is known exactly. Points come in x-heights of the writer, from the
left end of the ink and the baseline, so that every hand comes in one size; `model.data.pen` brings
them into rows, as it does any other ink.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from model.data.inkset import InkSet, spread
from model.data.scraps import Run, Scraps, Scribe, collect
from model.data.words import DIGITS, Words, marks, number
from model.errors import DataError

Kind = Literal["spelt", "words", "numbers", "random"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

Indices = NDArray[np.int64]
Written = list[list[Run]]  # words, of runs of scraps

# Distances in x-heights. Those of writers who are not known by theirs are as those of the 85 of
# UNIPEN's training writers who are: the middle, and the standard deviation between writers.
LETTER_GAP: Final = (0.35, 0.12)
WORD_GAP: Final = (1.7, 0.4)
GAP_JITTER: Final = 0.12  # standard deviation between letters, and as a share between words
LEAST_WORD_GAP: Final = 0.6  # more than between letters
OVERLAP: Final = 0.5  # share of a run's width that may lie below the one before
SIZE_JITTER: Final = 0.05  # standard deviation, as a share
BASELINE_JITTER: Final = 0.05  # standard deviation

TRIES: Final = 30  # words drawn until one has only letters that the writer has
ENOUGH_LETTERS: Final = 18  # small or large ones, of those that spell words
ENOUGH_WORDS: Final = 12
ENOUGH_DIGITS: Final = 8
ENOUGH_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made up, and how often; shares of each kind are relative to their sum."""

    spelt: float = 0.4  # words spelt of letters and runs of letters
    words: float = 0.3  # lines of the writer's words
    numbers: float = 0.1  # numbers, dates, prices, times
    random: float = 0.2  # any characters that the writer has, each as often as any other
    single: float = 0.5  # share of spelt texts, and of numbers, that are one word
    most_words: int = 8  # of a line
    most_random: int = 14  # characters of a random text
    new: float = 0.5  # share of spelt words that are new
    capital: float = 0.12  # share of spelt words that begin with a capital, whatever they are
    capitals: float = 0.08  # share of those that are all capitals
    long_runs: float = 0.8  # share of runs that are as long as the writer has them


@dataclass(frozen=True, slots=True, eq=False)
class MadeLine:
    """One made-up word or line."""

    points: NDArray[np.float32]  # [P, 2], x-heights: x from the left end, y from the baseline down
    stroke_starts: Indices  # [S + 1], into points
    letter_of_point: NDArray[np.int16]  # [P], index into the label; -1 in a word that is not cut
    label: str
    writer: int  # index into the ink's `writer_names`
    kind: Kind


class LineMaker:
    """Makes up words and lines from some pieces of ink."""

    def __init__(self, ink: InkSet, indices: Indices, recipe: Recipe | None = None) -> None:
        """Take scraps and words from the pieces at `indices` alone; some seconds for all of UNIPEN.

        Raises `DataError` when no writer has enough ink for a kind that the recipe asks for.
        """
        self._recipe = recipe or Recipe()
        self._scraps = collect(ink, indices)
        self._words = Words(ink.labels[index] for index in indices)
        self._characters = {
            writer: frozenset(scribe.letters) for writer, scribe in self._scraps.scribes.items()
        }
        self._capitals = {
            writer: [run for run in scribe.words if run.text[0].isupper()]
            for writer, scribe in self._scraps.scribes.items()
        }
        self._shares = np.cumsum([getattr(self._recipe, kind) for kind in KINDS])
        self._writers = {kind: self._able(kind) for kind in KINDS}
        self._write: dict[Kind, Callable[[int, np.random.Generator], Written]] = {
            "spelt": self._spelt,
            "words": self._lined_up,
            "numbers": self._numbers,
            "random": self._random,
        }

    def draw(self, random: np.random.Generator, kind: Kind | None = None) -> MadeLine:
        """Make up one; of any kind, as the recipe says, or of this one."""
        if kind is None:
            at = random.random() * self._shares[-1]
            kind = KINDS[int(np.searchsorted(self._shares, at, "right"))]
        writers, sums = self._writers[kind]
        writer = writers[int(np.searchsorted(sums, random.random() * sums[-1], "right"))]
        words = self._write[kind](writer, random)
        placed = lay_out(self._scraps, self._scraps.scribes[writer], words, random)
        label = " ".join("".join(run.text for run in word) for word in words)
        return MadeLine(*placed, label, writer, kind)

    def _able(self, kind: Kind) -> tuple[list[int], NDArray[np.float64]]:
        """Writers who have enough, and the running sum of the roots of how much they have."""
        scribes = self._scraps.scribes
        writers = [writer for writer in sorted(scribes) if self._has_enough(writer, kind)]
        if not writers and getattr(self._recipe, kind):
            raise DataError(f"no writer has enough ink to make up {kind!r} lines")
        amounts = [
            len(scribes[writer].words)
            if kind == "words"
            else sum(map(len, scribes[writer].letters.values()))
            for writer in writers
        ]
        return writers, np.cumsum(np.sqrt(amounts))

    def _has_enough(self, writer: int, kind: Kind) -> bool:
        characters = self._characters[writer]
        match kind:
            case "spelt":
                alphabets = (string.ascii_lowercase, string.ascii_uppercase)
                return any(len(characters & set(of)) >= ENOUGH_LETTERS for of in alphabets)
            case "words":
                return len(self._scraps.scribes[writer].words) >= ENOUGH_WORDS
            case "numbers":
                return len(characters & DIGITS) >= ENOUGH_DIGITS
            case "random":
                return len(characters) >= ENOUGH_CHARACTERS

    def _spelt(self, writer: int, random: np.random.Generator) -> Written:
        scribe, characters = self._scraps.scribes[writer], self._characters[writer]
        words = [self._word(characters, random) for _ in range(self._n_words(random))]
        if len(words) > 1 and random.random() < 0.5 and words[0][0].upper() in characters:
            words[0] = words[0][0].upper() + words[0][1:]
        written: Written = [[]]
        for word, (before, after, spaced) in zip(
            words, marks(len(words), characters, random), strict=True
        ):
            text, _, dash = (before + word + after).partition(" ")
            written[-1] += spell(scribe, text, random, self._recipe.long_runs)
            written += [spell(scribe, dash, random)] if dash else []
            written += [[]] if spaced else []
        return [word for word in written if word]

    def _lined_up(self, writer: int, random: np.random.Generator) -> Written:
        scribe, characters = self._scraps.scribes[writer], self._characters[writer]
        n_words = int(random.integers(2, self._recipe.most_words + 1))
        words = [scribe.words[at] for at in random.integers(len(scribe.words), size=n_words)]
        if (capitals := self._capitals[writer]) and random.random() < 0.5:
            words[0] = capitals[int(random.integers(len(capitals)))]
        written: Written = [[]]
        for word, (before, after, spaced) in zip(
            words, marks(n_words, characters, random), strict=True
        ):
            text, _, dash = after.partition(" ")
            written[-1] += [*spell(scribe, before, random), word, *spell(scribe, text, random)]
            written += [spell(scribe, dash, random)] if dash else []
            written += [[]] if spaced else []
        return [word for word in written if word]

    def _numbers(self, writer: int, random: np.random.Generator) -> Written:
        scribe, characters = self._scraps.scribes[writer], self._characters[writer]
        texts = [number(random, characters) for _ in range(self._n_words(random))]
        words = [word for text in texts for word in text.split()]
        return [spell(scribe, word, random, self._recipe.long_runs) for word in words]

    def _random(self, writer: int, random: np.random.Generator) -> Written:
        scribe, characters = self._scraps.scribes[writer], sorted(self._characters[writer])
        n = int(random.integers(1, self._recipe.most_random + 1))
        text = "".join(characters[at] for at in random.integers(len(characters), size=n))
        cuts = [0, *(np.flatnonzero(random.random(n - 1) < 0.15) + 1).tolist(), n]
        words = [text[start:stop] for start, stop in pairwise(cuts)]
        return [spell(scribe, word, random) for word in words]

    def _n_words(self, random: np.random.Generator) -> int:
        if random.random() < self._recipe.single:
            return 1
        return int(random.integers(2, self._recipe.most_words + 1))

    def _word(self, characters: frozenset[str], random: np.random.Generator) -> str:
        """A word that the writer has the letters for."""
        recipe = self._recipe
        for new, case in random.random((TRIES, 2)).tolist():
            word = self._words.new(random) if new < recipe.new else self._words.known(random)
            if case < recipe.capitals:
                word = word.upper()
            elif case < recipe.capitals + recipe.capital:
                word = word[0].upper() + word[1:]
            for cased in (word, word.lower(), word.upper()):
                if characters >= set(cased):
                    return cased
        letters = sorted(characters & set(string.ascii_letters))
        return letters[int(random.integers(len(letters)))]


def spell(
    scribe: Scribe, text: str, random: np.random.Generator, long_runs: float = 0.0
) -> list[Run]:
    """Runs and single letters of the writer that give the text; he must have all its letters.

    Args:
        scribe: the writer's scraps.
        text: without spaces.
        random: where the draws come from.
        long_runs: share of runs that are as long as they can be; of the others, any length.
    """
    runs = []
    place = 0
    while place < len(text):
        longest = 1
        while place + longest < len(text) and text[place : place + longest + 1] in scribe.runs:
            longest += 1
        wanted = longest
        if longest > 1 and random.random() >= long_runs:
            wanted = int(random.integers(1, longest + 1))
        part = text[place : place + wanted]
        runs.append(_run(scribe, part, random))
        place += wanted
    return runs


def _run(scribe: Scribe, text: str, random: np.random.Generator) -> Run:
    """Any of the writer's runs of this text."""
    if len(text) == 1:
        letters = scribe.letters[text]
        return Run(text, letters[int(random.integers(len(letters)))], 1)
    at = scribe.runs.find(text, int(random.integers(len(scribe.runs))))
    if at < 0:
        at = scribe.runs.find(text)
    return Run(text, scribe.run_scraps[at], len(text))


def lay_out(
    scraps: Scraps, scribe: Scribe, words: Sequence[Sequence[Run]], random: np.random.Generator
) -> tuple[NDArray[np.float32], Indices, NDArray[np.int16]]:
    """Set runs side by side on one baseline.

    Returns:
        Points, where strokes start, and the letter of each point, as in `MadeLine`.
    """
    runs = [run for word in words for run in word]
    first = np.array([run.first for run in runs])
    count = np.array([run.length for run in runs])
    rows, row_starts = spread(first, first + count)
    left = np.minimum.reduceat(scraps.sides[rows, 0], row_starts[:-1])
    right = np.maximum.reduceat(scraps.sides[rows, 1], row_starts[:-1])
    size, rise = random.standard_normal((2, len(runs)))
    scale = (1 + SIZE_JITTER * np.clip(size, -2, 2)) / scraps.x_height[first]
    width = (right - left) * scale
    gap = _gaps(scribe, [len(word) for word in words], width, random)
    x = np.cumsum(gap) + np.cumsum(width) - width - left * scale
    y = BASELINE_JITTER * rise - scraps.baseline[first] * scale

    ranges, range_starts = spread(scraps.range_starts[rows], scraps.range_starts[rows + 1])
    row_of_range = np.repeat(np.arange(len(rows)), np.diff(range_starts))
    run_of_range = np.repeat(np.arange(len(runs)), count)[row_of_range]
    order = np.lexsort((scraps.ranges[ranges, 0], run_of_range))
    ranges, row_of_range, run_of_range = ranges[order], row_of_range[order], run_of_range[order]
    start, stop = scraps.ranges[ranges].T
    points, point_starts = spread(start, stop)
    new = scraps.begins[ranges] | (np.diff(run_of_range, prepend=-1) != 0)
    new[1:] |= start[1:] != stop[:-1]
    lengths = stop - start
    run_of_point = np.repeat(run_of_range, lengths)
    letter = np.where(scraps.is_letter[rows], _places(words), -1)[row_of_range]
    placed = np.empty((len(points), 2), np.float32)
    placed[:, 0] = scraps.points[points, 0] * scale[run_of_point] + x[run_of_point]
    placed[:, 1] = scraps.points[points, 1] * scale[run_of_point] + y[run_of_point]
    stroke_starts = np.append(point_starts[:-1][new], len(points))
    return placed, stroke_starts, np.repeat(letter, lengths).astype(np.int16)


def _places(words: Sequence[Sequence[Run]]) -> list[int]:
    """Where in the label each scrap's text starts."""
    places: list[int] = []
    at = 0
    for word in words:
        for run in word:
            places += range(at, at + run.length)
            at += len(run.text)
        at += 1
    return places


def _gaps(
    scribe: Scribe, runs_of_word: list[int], width: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """How far from the one before each run stands; 0 for the first."""
    of_letters, of_words = random.standard_normal(2)
    letter_gap, word_gap = scribe.letter_gap, scribe.word_gap
    if not np.isfinite(letter_gap):
        letter_gap = LETTER_GAP[0] + LETTER_GAP[1] * of_letters
    if not np.isfinite(word_gap):
        word_gap = WORD_GAP[0] + WORD_GAP[1] * of_words
    jitter = np.clip(random.standard_normal(len(width)), -2, 2) * GAP_JITTER
    gap = np.maximum(letter_gap + jitter, -OVERLAP * width)
    starts = list(accumulate(runs_of_word[:-1]))
    gap[starts] = np.maximum(word_gap * (1 + jitter[starts]), letter_gap + LEAST_WORD_GAP)
    gap[0] = 0
    return gap
