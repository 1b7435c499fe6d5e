"""Drawings of gestures, and pages of writing, made of what real pens wrote."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from tests.service.web.pad.pad_page import ROW_HEIGHT

Stroke = NDArray[np.float64]  # [n, 2], CSS pixels of the paper

SIZES: Final = (0.6, 1.0)  # of writing, in heights of a row
GAPS: Final = (0.25, 0.5)  # between words, in heights of a row
PITCHES: Final = (0.85, 1.0, 1.0, 1.2)  # of lines of a page, the same
SLOPES: Final = (-0.03, 0.03)  # of lines of a page
LEFT: Final = 30.0  # of the paper, where lines begin, CSS pixels
BASELINE: Final = 0.72  # of a row's height
ZIGZAGS: Final = frozenset("wWmMnNzZvV")  # letters whose strokes go back and forth


class Hand:
    """The words, lines and bars of one writer, and letters of all, which gestures are made of."""

    def __init__(self, ink: EvaluationSet, writer: str, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        words = [(text, word) for text, name, word in pieces(ink, WORDS) if name == writer]
        self.words = [(text, word) for text, word in words if len(text) > 1 and text.isalpha()]
        self.lines = [line for _, name, line in pieces(ink, TEXT) if name == writer]
        strokes = [
            stroke for piece in [*(word for _, word in words), *self.lines] for stroke in piece
        ]
        self.dashes = [stroke for stroke in strokes if is_dash(stroke)]
        signs = [
            (text, sign)
            for category in ("1b", "1c", "1d")
            for text, _, sign in pieces(ink, category)
        ]
        self.vs = [sign[0] for text, sign in signs if text in "vV" and len(sign) == 1]
        self.zigzags = [sign[0] for text, sign in signs if text in ZIGZAGS and len(sign) == 1]

    def choose(self, drawn: Sequence[Any]) -> Any:
        """Return one of several at random."""
        return drawn[int(self.rng.integers(len(drawn)))]

    def sentence(self) -> list[list[Stroke]]:
        """Write some words in the first line of a page, each a list of strokes."""
        size, x = self.rng.uniform(*SIZES), LEFT
        y = ROW_HEIGHT * (1 + self.rng.uniform(0, 1 - size))  # in the second row of the paper
        words = []
        for _ in range(self.rng.integers(3, 6)):
            word = [size * stroke + (x, y) for stroke in self.choose(self.words)[1]]
            words.append(word)
            x = max(stroke[:, 0].max() for stroke in word)
            x += self.rng.uniform(*GAPS) * ROW_HEIGHT
        return words


@lru_cache
def pieces(ink: EvaluationSet, category: str) -> list[tuple[str, str, list[Stroke]]]:
    """Return the label, the writer and the strokes of the pieces of a category."""
    indices, scale = ink.indices(category), ROW_HEIGHT / ink.column_height
    strokes = [[scale * stroke.astype(np.float64) for stroke in ink.strokes(i)] for i in indices]
    return list(zip(ink.labels(indices), ink.writers(indices), strokes, strict=True))


class Drawing(NamedTuple):
    """A gesture beside the writing that it is meant for."""

    words: list[list[Stroke]]
    word: int  # index of the word that is struck out
    drawn: Stroke


def is_dash(stroke: Stroke) -> bool:
    """Return whether a stroke is a long flat one: a bar, a dash, or an underline."""
    width, height = np.ptp(stroke, axis=0)
    return bool(len(stroke) >= 5 and width > 0.12 * ROW_HEIGHT and height < 0.2 * width)


def box_of(strokes: Sequence[Stroke]) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of strokes."""
    points = np.concatenate(strokes)
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return left, right, top, bottom


def body_of(strokes: Sequence[Stroke]) -> tuple[float, float]:
    """Return the top and the bottom of a word's small letters: where half of its points lie."""
    y = np.concatenate(strokes)[:, 1]
    return tuple(np.quantile(y, (0.2, 0.85)).tolist())


def strike(hand: Hand) -> Drawing:
    """Draw a bar of the hand's through a word."""
    words, rng = hand.sentence(), hand.rng
    index = int(rng.integers(len(words)))
    left, right, *_ = box_of(words[index])
    top, bottom = body_of(words[index])
    dash = hand.choose(hand.dashes)
    dash = (dash - dash.mean(0)) / np.ptp(dash[:, 0])
    width = (right - left) * rng.uniform(1.0, 1.2) + rng.uniform(0, 10)
    middle = ((left + right) / 2 + rng.normal(0, 0.03) * (right - left), (top + bottom) / 2)
    # A long stroke trembles and slants as a short one does, but not in proportion to its length.
    scale = np.array([width, min(width, 120.0)])
    return Drawing(words, index, dash * scale + middle + (0, rng.normal(0, 0.1) * (bottom - top)))


def scratch(hand: Hand) -> Drawing:
    """Draw letters of the hand's that go back and forth over a word, in any direction."""
    words, rng = hand.sentence(), hand.rng
    index = int(rng.integers(len(words)))
    letter = hand.choose(hand.zigzags)
    letter = (letter - letter.min(0)) / np.maximum(np.ptp(letter, axis=0), 1)
    letters = [letter + np.array([number, 0]) for number in range(rng.integers(2, 5))]
    zigzag = np.concatenate(letters)
    zigzag = zigzag / (len(letters), 1) - 0.5
    points = np.concatenate(words[index])
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = points @ turn
    low, high = turned.min(0), turned.max(0)
    size = np.maximum(high - low, 0.3 * ROW_HEIGHT) * rng.uniform(0.95, 1.15)
    middle = (low + high) / 2 + rng.normal(0, 0.03, 2) * size
    return Drawing(words, index, (zigzag * size + middle) @ turn.T)


class Insertion(NamedTuple):
    """What is written into a gap between words: a word, or a caret."""

    before: list[Stroke]
    after: list[Stroke]
    drawn: list[Stroke]


def gap(hand: Hand) -> tuple[list[Stroke], list[Stroke], list[Stroke]]:
    """Write words without one of them: return those before it, those after it, and the one."""
    words, rng = hand.sentence(), hand.rng
    index = int(rng.integers(1, len(words) - 1))
    before = [stroke for word in words[:index] for stroke in word]
    after = [stroke for word in words[index + 1 :] for stroke in word]
    shift = box_of(before)[1] + rng.uniform(*GAPS) * ROW_HEIGHT - box_of(after)[0]
    return before, [stroke + np.array([shift, 0]) for stroke in after], words[index]


def squeeze(hand: Hand) -> Insertion:
    """Write a word into a gap, a little smaller than the others or not."""
    before, after, word = gap(hand)
    (left, *_), (_, baseline) = box_of(word), body_of(word)
    size = hand.rng.uniform(0.6, 1)
    at = (box_of(before)[1] + hand.rng.uniform(0.05, 0.15) * ROW_HEIGHT, baseline)
    return Insertion(before, after, [size * (stroke - (left, baseline)) + at for stroke in word])


def caret(hand: Hand) -> Insertion:
    """Draw a v upside down below a gap, its point between the words."""
    before, after, _ = gap(hand)
    drawn = hand.choose(hand.vs) * (1, -1)
    drawn = (drawn - drawn.min(0)) / np.ptp(drawn, axis=0) - (0.5, 0)
    (top, bottom), rng = body_of([*before, *after]), hand.rng
    size = rng.uniform(0.25, 0.5) * ROW_HEIGHT
    middle = (box_of(before)[1] + box_of(after)[0]) / 2 + rng.normal(0, 4)
    point = top + rng.uniform(0.5, 1) * (bottom - top)
    drawn = drawn * (size * rng.uniform(0.6, 1), size) + (middle, point)
    return Insertion(before, after, [drawn])


def pages(hand: Hand) -> Iterator[list[list[Stroke]]]:
    """Write the hand's lines on pages, at several distances, some words underlined."""
    rng, lines = hand.rng, list(hand.lines)
    rng.shuffle(lines)
    for first in range(0, len(lines), 5):
        size, pitch, slope = rng.uniform(*SIZES), hand.choose(PITCHES), rng.uniform(*SLOPES)
        page = []
        for number, line in enumerate(lines[first : first + 5]):
            top = (0.5 + max(pitch, size) * number) * ROW_HEIGHT
            scaled = [(size * stroke).T for stroke in line]
            page.append([np.stack([LEFT + x, top + y + slope * x], 1) for x, y in scaled])
            if hand.dashes and rng.random() < 0.2:
                page[-1].append(underline(hand, page[-1]))
        yield page


def underline(hand: Hand, line: Sequence[Stroke]) -> Stroke:
    """Draw a bar of the hand's below a part of a line."""
    left, right, *_ = box_of(line)
    dash = hand.choose(hand.dashes)
    dash = (dash - dash.mean(0)) / np.ptp(dash[:, 0])
    width = hand.rng.uniform(0.2, 1) * (right - left)
    at = (
        hand.rng.uniform(left + width / 2, right - width / 2),
        body_of(line)[1] + hand.rng.uniform(0.06, 0.2) * ROW_HEIGHT,
    )
    drawn: Stroke = dash * (width, min(width, 120.0)) + at
    return drawn
