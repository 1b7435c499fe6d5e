"""A page of UNIPEN's ink and the segments that name it -> pieces with letters, lines and guides.

The same ink is labelled more than once: as a text, as words and as characters. So the words and
characters within a piece tell which of its points belong to which character of its label, and which
stand on which line. The guides of a piece, its x-height line and baseline, are those of its letters
or of ruled lines.
"""

import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import STYLES, Piece, expand
from inkstream.model.data.sources.unipen.format import FURTHEST, Header, Page, Segment
from inkstream.model.data.sources.unipen.labels import clean
from inkstream.model.data.statistics import Statistics
from inkstream.model.errors import DataError

Indices = NDArray[np.int64]
Points = NDArray[np.int64]  # [n, 2], x right, y down

CHARACTERS: Final = ("1a", "1b", "1c", "1d", "3")
WORDS: Final = ("7",)
LINES: Final = ("8",)

STRAY_SHARE: Final = 0.5  # of the other strokes' height: sie's writers tapped so far off the word


class Source(NamedTuple):
    """One segment of a label file, and where that file stands."""

    category: str
    donor: str
    segment: Segment

    @property
    def key(self) -> tuple[str, str]:
        """Under which it is counted."""
        return self.category, self.donor


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A labelled piece on its page: P points in S strokes; x grows to the right, y downwards."""

    source: Source
    header: Header
    writer: str  # "donor/writer"
    label: str
    strokes: Indices  # [S, 2], ranges of the page's points
    index: Indices  # [P], of the page's points; those that repeat the one before are out
    lengths: Indices  # [S], points of each stroke
    points: Points  # [P, 2]
    letters: NDArray[np.int16]  # [P], see `InkSet.letter_of_point`

    def take(self, strokes: NDArray[np.bool_]) -> "Cut":
        """Return the piece with some of its strokes."""
        points = np.repeat(strokes, self.lengths)
        return replace(
            self,
            strokes=self.strokes[strokes],
            index=self.index[points],
            lengths=self.lengths[strokes],
            points=self.points[points],
            letters=self.letters[points],
        )


def cut_out(page: Page, source: Source, counts: Statistics) -> Cut:
    """Cut the ink of a segment out of its page, and clean its label; count rules that change it.

    Raises `DataError`, which says why, when the segment can't be used.
    """
    if source.segment.quality == "BAD":
        raise DataError("quality BAD")
    strokes = np.array(page.strokes(source.segment.delineation), np.int64).reshape(-1, 2)
    if not len(strokes):
        raise DataError("no ink with the pen down")
    header = page.header(int(strokes[0, 0]))
    writer = f"{source.donor}/{header.writer}"
    label, rules = clean(source.segment.label, writer)
    if source.category in CHARACTERS and len(label) != 1:
        raise DataError("label longer than a character")
    index, starts = expand(strokes[:, 0], strokes[:, 1])
    kept = page.is_new[index]
    kept[starts[:-1]] = True
    index, lengths = index[kept], np.add.reduceat(kept, starts[:-1], dtype=np.int64)
    points = page.points[index]
    if points.min() < -FURTHEST or points.max() > FURTHEST:
        raise DataError("coordinate beyond 30 bits")
    letters = np.full(len(index), 0 if len(label) == 1 else -1, np.int16)
    cut = Cut(source, header, writer, label, strokes, index, lengths, points * (1, -1), letters)
    stray = _is_stray(cut.points, lengths)
    if len(label) > 1 and stray.any():
        rules = [*rules, "stray strokes left out"]
        cut = cut.take(~stray)
    counts.changed.update((rule, *source.key) for rule in rules)
    return cut


def _is_stray(points: Points, lengths: Indices) -> NDArray[np.bool_]:
    """Mark strokes that are taps beside the writing: small, and apart from it in x and y, [S]."""
    starts = np.cumsum(lengths) - lengths
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)  # [S, 2]
    stray = np.zeros(len(lengths), np.bool_)
    if len(lengths) > 1:
        at_edge = ((low == low.min(0)) | (high == high.max(0))).all(1)
        for number in np.flatnonzero(at_edge):
            rest_low = np.delete(low, number, 0).min(0)
            rest_high = np.delete(high, number, 0).max(0)
            near = STRAY_SHARE * (rest_high - rest_low)[1]
            gap = np.maximum(low[number] - rest_high, rest_low - high[number])
            stray[number] = (high[number] - low[number]).max() < near < gap.min()
    return stray


LEAST_SHARE: Final = 0.8  # of the segments' characters; with fewer they are of another text

SAME_LINE_OVERLAP: Final = 0.3  # of the lower one's height: two words of a line share so much
LINE_STEP: Final = 1.2  # of the words' height: what stands so much lower is on another line,
RETURN_STEP: Final = 0.3  # and so much where the pen went back over half a word
RETURN_SHARE: Final = 0.3  # of width and height: how far the pen goes back, and how much down
TALL_WORD: Final = 1.5  # times its width: a single word so high may have several lines


def fit(
    segment_of_point: Indices, points: Points, texts: Sequence[str], label: str
) -> tuple[Indices, int, int]:
    """Find the segments within a piece in its label.

    Args:
        segment_of_point: [P], index into `texts`; -1 where no segment lies.
        points: [P, 2], of the piece.
        texts: of the segments.
        label: of the piece.

    Returns:
        Where in the label the text of each point's segment begins, [P], or -1; how many characters
        the segments and the label have in common, and how many the segments have.
    """
    segments, first = np.unique(segment_of_point, return_index=True)
    first, segments = first[segments >= 0], segments[segments >= 0]
    by_time = segments[np.argsort(first)]
    n_given = sum(len(texts[segment]) for segment in segments)
    found, n_found = _match([texts[segment] for segment in by_time], label)
    order = by_time
    if n_found < n_given:  # a letter may have been written or mended later
        left = [points[segment_of_point == segment, 0].min() for segment in segments]
        by_left = segments[np.argsort(left)]
        other, n_other = _match([texts[segment] for segment in by_left], label)
        if n_other > n_found:
            order, found, n_found = by_left, other, n_other
    place = np.full(len(texts) + 1, -1)  # the last one stands for -1
    place[order] = found
    return place[segment_of_point], n_found, n_given


def _match(texts: list[str], label: str) -> tuple[list[int], int]:
    """Return where in the label each text begins, or -1, and how many characters were found."""
    places = [place for place, character in enumerate(label) if character != " "]
    wanted = [label[place].casefold() for place in places]
    given = "".join(texts).casefold()
    index = np.full(len(given), -1)
    for block in difflib.SequenceMatcher(None, given, wanted, autojunk=False).get_matching_blocks():
        index[block.a : block.a + block.size] = np.arange(block.b, block.b + block.size)
    found = []
    stops = list(itertools.accumulate(map(len, texts)))
    for text, stop in zip(texts, stops, strict=True):
        part = index[stop - len(text) : stop]
        is_whole = bool((part == part[0] + np.arange(len(text))).all()) and part[0] >= 0
        found.append(places[part[0]] if is_whole else -1)
    n_found = sum(len(text) for text, place in zip(texts, found, strict=True) if place >= 0)
    return found, n_found


def line_of_words(word_of_point: Indices, points: Points) -> Indices:
    """Return the line of each word, from 0.

    `word_of_point` [P] is from 0 in the order of the label; every number has points.
    """
    boxes = [
        (*ink.min(0).tolist(), *ink.max(0).tolist())
        for ink in (points[word_of_point == word] for word in range(word_of_point.max() + 1))
    ]
    height = float(np.median([bottom - top for _, top, _, bottom in boxes]))
    lines = [0]
    for before, after in itertools.pairwise(boxes):
        left, top, right, bottom = before
        next_left, next_top, _, next_bottom = after
        lower = min(bottom - top, next_bottom - next_top)
        is_apart = min(bottom, next_bottom) - max(top, next_top) < SAME_LINE_OVERLAP * lower
        down = (next_top + next_bottom - top - bottom) / 2
        went_back = next_left < (left + right) / 2
        is_below = (
            (is_apart and down > 0 and next_left < right)
            or (went_back and down > RETURN_STEP * height)
            or down > LINE_STEP * height
        )
        lines.append(lines[-1] + is_below)
    return np.array(lines)


def has_line_break(strokes: Sequence[Points], label: str) -> bool:
    """Tell whether the pen moved back and then wrote lower, as after the end of a line."""
    ink = np.concatenate(strokes)
    width, height = np.ptp(ink, axis=0).tolist()
    if " " not in label and height < TALL_WORD * width:
        return False
    for number in range(1, len(strokes)):
        back = strokes[number - 1][:, 0].max() - strokes[number][:, 0].min()
        if back > RETURN_SHARE * width:
            before, after = (
                np.median(np.concatenate(part)[:, 1])
                for part in (strokes[:number], strokes[number:])
            )
            if after - before > RETURN_SHARE * height:
                return True
    return False


ON_BASELINE: Final = frozenset("abcdehiklmnorstuvwxzABCDEFGHIKLMNOPRSTUVWXYZ0123456789")
X_HIGH: Final = frozenset("acemnorsuvwxz")
LEAST_FOR_BASELINE: Final = 3  # letters that stand on it
LEAST_FOR_SLOPE: Final = 6

X_LINE_DONORS: Final = frozenset({"pap"})  # their second ruled line is the x-height line
RULED_SPREAD: Final = 0.25  # of the writing's height: more, and it does not follow the ruled lines
NO_GUIDES: Final = (np.nan, np.nan)
UNKNOWN: Final = (0.0, np.nan, np.nan)


def guides(cuts: Sequence[Cut]) -> list[tuple[float, float]]:
    """Return y of (x-height line, baseline) at the middle of each piece of a page; NaN where not
    known.

    The letters of the line in which a piece stands tell it, else those of its word, else the ruled
    lines of the page.
    """
    around: dict[int, tuple[float, float, float]] = {}  # `_letter_guides` of each point of the page
    for categories in (WORDS, LINES):
        for cut in cuts:
            known = cut.index[cut.letters >= 0]
            if cut.source.category in categories and len(known):
                around.update(dict.fromkeys(known.tolist(), _letter_guides(cut)))
    offset, reach = _ruling(cuts)
    pairs = []
    for cut in cuts:
        known = cut.index[cut.letters >= 0]
        slope, baseline, x_height = around.get(int(known[0]), UNKNOWN) if len(known) else UNKNOWN
        middle = float(cut.points[:, 0].min() + cut.points[:, 0].max()) / 2
        y = baseline + slope * middle
        pairs.append(_ruled_guides(cut, offset, reach) if np.isnan(y) else (y - x_height, y))
    return pairs


def _letter_guides(cut: Cut) -> tuple[float, float, float]:
    """Estimate the guides from the known letters of a word or line, which may slope.

    Returns its slope, y of the baseline at x = 0, and the x-height; NaN where not known.
    """
    standing, x_high = [], []
    for letter in np.unique(cut.letters[cut.letters >= 0]).tolist():
        ink = cut.points[cut.letters == letter]
        (left, top), (right, bottom) = ink.min(0).tolist(), ink.max(0).tolist()
        if cut.label[letter] in ON_BASELINE:
            standing.append(((left + right) / 2, bottom))
        if cut.label[letter] in X_HIGH:
            x_high.append(((left + right) / 2, top))
    if len(standing) < LEAST_FOR_BASELINE:
        return UNKNOWN
    x, bottoms = np.array(standing, np.float64).T
    from_mean = x - x.mean()
    flat = len(standing) < LEAST_FOR_SLOPE or not from_mean.any()
    slope = 0.0 if flat else float(from_mean @ bottoms / (from_mean @ from_mean))
    baseline = float(np.median(bottoms - slope * x))
    heights = [baseline + slope * middle - top for middle, top in x_high]
    return slope, baseline, float(np.median(heights)) if heights else np.nan


def _ruled_guides(cut: Cut, offset: float, reach: float) -> tuple[float, float]:
    """Return y of (x-height line, baseline); NaN where no ruled line is near."""
    if not cut.header.h_lines or not reach:
        return NO_GUIDES
    baseline = _ruled_line(cut) + offset
    if abs(baseline - _bottom(cut)) > reach:
        return NO_GUIDES
    return -cut.header.h_lines[1] + offset if _has_x_line(cut) else np.nan, baseline


def _ruling(cuts: Sequence[Cut]) -> tuple[float, float]:
    """Estimate how writing stands on a page's ruled lines, from words and letters without marks.

    Returns how far below a ruled line it ends, and its height; 0 when it does not follow the lines.
    """
    telling = [cut for cut in cuts if cut.header.h_lines and cut.label[0].isalnum()]
    if not telling:
        return 0.0, 0.0
    offsets = np.array([_bottom(cut) - _ruled_line(cut) for cut in telling])
    offset = float(np.median(offsets))
    reach = float(np.median([np.ptp(cut.points[:, 1]) for cut in telling]))
    follows = np.median(np.abs(offsets - offset)) <= RULED_SPREAD * reach
    return offset, reach if follows else 0.0


def _bottom(cut: Cut) -> float:
    """Estimate where the letters without descenders end."""
    return float(np.percentile(cut.points[:, 1], 90))


def _ruled_line(cut: Cut) -> float:
    """Return y of the ruled line that was written on."""
    lines = [-y for y in cut.header.h_lines]
    bottom = _bottom(cut)
    return lines[0] if _has_x_line(cut) else min(lines, key=lambda y: abs(y - bottom))


def _has_x_line(cut: Cut) -> bool:
    return cut.source.donor in X_LINE_DONORS and len(cut.header.h_lines) == 2


def pieces_of_page(page: Page, sources: Sequence[Source], counts: Statistics) -> Iterator[Piece]:
    """Yield the pieces that segments name in the ink of a page; count those that can't be used."""
    if sources and page.unreadable_lines:
        counts.changed["unreadable points left out", *sources[0].key] += page.unreadable_lines
    whole = []
    for source in sources:
        try:
            whole.append(cut_out(page, source, counts))
        except DataError as reason:
            counts.skipped[str(reason), *source.key] += 1
    cuts = list(_with_letters(whole, len(page.points), counts))
    for cut, pair in zip(cuts, guides(cuts), strict=True):
        style = cut.header.style.lower()
        yield Piece(
            cut.points,
            np.append(0, np.cumsum(cut.lengths)),
            cut.letters,
            cut.label,
            cut.source.category,
            cut.writer,
            style if style in STYLES else STYLES[0],
            np.array(pair),
        )


def _with_letters(cuts: Sequence[Cut], n_points: int, counts: Statistics) -> Iterator[Cut]:
    """Yield the pieces, with letters in words and texts, and texts of several lines taken apart."""
    segment_of_point = _segments(cuts, n_points)
    texts = [cut.label for cut in cuts]
    lengths = np.array([len(text) for text in texts])
    for cut in cuts:
        if len(cut.label) == 1:
            yield cut
            continue
        segments = segment_of_point[cut.index]
        place_of_point, n_found, n_given = fit(segments, cut.points, texts, cut.label)
        n_label = len(cut.label.replace(" ", ""))
        if (segments >= 0).all() and n_found < LEAST_SHARE * max(n_given, n_label):
            counts.skipped["label differs from those within it", *cut.source.key] += 1
        elif n_found < LEAST_SHARE * n_given:
            counts.changed["letters in doubt left out", *cut.source.key] += 1
            yield from _lines(cut, np.full(len(segments), -1), counts)
        else:
            letters = np.where(lengths[segments] == 1, place_of_point, -1)
            lettered = replace(cut, letters=letters.astype(np.int16))
            yield from _lines(lettered, place_of_point, counts)


def _segments(cuts: Sequence[Cut], n_points: int) -> Indices:
    """Return the word or character of each point of the page, as an index into `cuts`, or -1.

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


def _lines(cut: Cut, place_of_point: Indices, counts: Statistics) -> Iterator[Cut]:
    """Split a text into its lines; skip ink of several lines whose words are not known."""
    words = cut.label.split(" ")
    word_of_character = np.cumsum([character == " " for character in cut.label])
    starts = np.cumsum(cut.lengths) - cut.lengths
    place_of_stroke = np.maximum.reduceat(place_of_point, starts)
    word_of_stroke = np.where(place_of_stroke < 0, -1, word_of_character[place_of_stroke])
    if len(words) > 1 and set(word_of_stroke.tolist()) == set(range(len(words))):
        line_of_word = line_of_words(np.repeat(word_of_stroke, cut.lengths), cut.points)
        if line_of_word.any():
            counts.changed["lines taken apart", *cut.source.key] += 1
            for line in range(line_of_word[-1] + 1):
                yield _part(cut, word_of_stroke, np.flatnonzero(line_of_word == line))
            return
    if has_line_break(np.split(cut.points, starts[1:]), cut.label):
        counts.skipped["several lines of ink, words not known", *cut.source.key] += 1
    else:
        yield cut


def _part(cut: Cut, word_of_stroke: Indices, numbers: Indices) -> Cut:
    """Return some successive words of a text, by their numbers."""
    words = cut.label.split(" ")
    first_character = sum(len(word) + 1 for word in words[: numbers[0]])
    part = cut.take(np.isin(word_of_stroke, numbers))
    letters = np.where(part.letters < 0, -1, part.letters - first_character).astype(np.int16)
    return replace(part, label=" ".join(words[number] for number in numbers), letters=letters)
