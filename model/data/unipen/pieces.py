"""A page of UNIPEN's ink and the segments that name it -> pieces with letters, lines and guides."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.data.inkset import STYLES, Builder
from model.data.unipen.cut import CHARACTERS, WORDS, Cut, Source, Tally, cut_out
from model.data.unipen.format import Page
from model.data.unipen.guides import guides
from model.data.unipen.letters import fit, has_line_break, line_of_words
from model.errors import DataError


def add_page(page: Page, sources: Sequence[Source], out: Builder, tally: Tally) -> None:
    """Add the pieces that the segments name in the ink of a page; what can't be used is counted."""
    for _ in range(page.unreadable_lines if sources else 0):
        tally.change("unreadable points left out", sources[0])
    is_new = page.is_new()
    whole = []
    for source in sources:
        try:
            whole.append(cut_out(page, source, is_new, tally))
        except DataError as reason:
            tally.skip(str(reason), source)
    cuts = list(_with_letters(whole, len(page.points), tally))
    for cut, pair in zip(cuts, guides(cuts), strict=True):
        style = cut.header.style.lower()
        out.add(
            cut.points,
            cut.lengths.tolist(),
            cut.letters,
            pair,
            label=cut.label,
            category=cut.source.category,
            writer=cut.writer,
            style=style if style in STYLES else STYLES[0],
        )


def _with_letters(cuts: Sequence[Cut], n_points: int, tally: Tally) -> Iterator[Cut]:
    """The pieces, with letters in words and texts, and texts of several lines taken apart."""
    segment_of_point = _segments(cuts, n_points)
    texts = [cut.label for cut in cuts]
    lengths = np.array([len(text) for text in texts])
    for cut in cuts:
        if len(cut.label) == 1:
            yield cut
            continue
        segments = segment_of_point[cut.index]
        found = fit(segments, cut.points, texts, cut.label)
        if (segments >= 0).all() and not found.is_of(cut.label):
            tally.skip("label differs from those within it", cut.source)
        elif not found.is_sure():
            tally.change("letters in doubt left out", cut.source)
            yield from _lines(cut, np.full(len(segments), -1), tally)
        else:
            letters = np.where(lengths[segments] == 1, found.place_of_point, -1)
            lettered = replace(cut, letters=letters.astype(np.int16))
            yield from _lines(lettered, found.place_of_point, tally)


def _segments(cuts: Sequence[Cut], n_points: int) -> NDArray[np.int64]:
    """Which word or character, as an index into `cuts`, each point of the page is in; or -1.

    Characters count before the word that they are in; what they leave of it is in none.
    """
    characters, words = np.full((2, n_points), -1)
    for number, cut in enumerate(cuts):
        for owner, categories in ((characters, CHARACTERS), (words, WORDS)):
            if cut.source.category in categories:
                for start, stop in cut.strokes:
                    owner[start:stop] = number
    is_parted = np.isin(words, words[characters >= 0])
    return np.where((characters >= 0) | is_parted, characters, words)


def _lines(cut: Cut, place_of_point: NDArray[np.int64], tally: Tally) -> Iterator[Cut]:
    """The lines of a text; ink of several lines is left out where its words are not known."""
    words = cut.label.split(" ")
    word_of_character = np.cumsum([character == " " for character in cut.label])
    starts = np.cumsum(cut.lengths) - cut.lengths
    place_of_stroke = np.maximum.reduceat(place_of_point, starts)
    word_of_stroke = np.where(place_of_stroke < 0, -1, word_of_character[place_of_stroke])
    if len(words) > 1 and set(word_of_stroke.tolist()) == set(range(len(words))):
        line_of_word = line_of_words(np.repeat(word_of_stroke, cut.lengths), cut.points)
        if line_of_word.any():
            tally.change("lines taken apart", cut.source)
            for line in range(line_of_word[-1] + 1):
                yield _part(cut, word_of_stroke, np.flatnonzero(line_of_word == line))
            return
    if has_line_break(np.split(cut.points, starts[1:]), cut.label):
        tally.skip("several lines of ink, words not known", cut.source)
    else:
        yield cut


def _part(cut: Cut, word_of_stroke: NDArray[np.int64], numbers: NDArray[np.int64]) -> Cut:
    """Some successive words of a text, by their numbers."""
    words = cut.label.split(" ")
    first_character = sum(len(word) + 1 for word in words[: numbers[0]])
    part = cut.take(np.isin(word_of_stroke, numbers))
    letters = np.where(part.letters < 0, -1, part.letters - first_character).astype(np.int16)
    return replace(part, label=" ".join(words[number] for number in numbers), letters=letters)
