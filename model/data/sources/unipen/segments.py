"""One segment of UNIPEN and the ink that it names, cut out of its page.

Where the words and letters of a label stand in its ink, and on which line.

The same ink is labelled more than once: as a text, as words and as characters. So the words and
characters within a piece tell which of its points belong to which character of its label.

Where a piece of UNIPEN stands: its x-height line and baseline, from letters or ruled lines.

A page of UNIPEN's ink and the segments that name it -> pieces with letters, lines and guides.
"""

import difflib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.ink_set import STYLES, Builder, spread
from inkstream.model.data.sources.unipen.format import FURTHEST, Header, Page, Segment
from inkstream.model.data.sources.unipen.labels import clean
from inkstream.model.data.statistics import WhyKey
from inkstream.model.errors import DataError

CHARACTERS: Final = ("1a", "1b", "1c", "1d", "3")
WORDS: Final = ("7",)
LINES: Final = ("8",)

STRAY_SHARE: Final = 0.5  # of the other strokes' height: sie's writers tapped so far off the word


@dataclass(frozen=True, slots=True)
class Source:
    """One segment of a label file, and where that file stands."""

    category: str
    donor: str
    segment: Segment


@dataclass(slots=True)
class Tally:
    """What was skipped, and what was changed, counted while it happens."""

    skipped: Counter[WhyKey] = field(default_factory=Counter)
    changed: Counter[WhyKey] = field(default_factory=Counter)

    def skip(self, reason: str, source: Source) -> None:
        """Count a segment that gives no piece."""
        self.skipped[reason, source.category, source.donor] += 1

    def change(self, rule: str, source: Source) -> None:
        """Count a rule that changed a segment."""
        self.changed[rule, source.category, source.donor] += 1


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A labelled piece on its page: P points in S strokes; x grows to the right, y downwards."""

    source: Source
    header: Header
    label: str
    strokes: NDArray[np.int64]  # [S, 2], ranges of the page's points
    index: NDArray[np.int64]  # [P], of the page's points; those that repeat the one before are out
    lengths: NDArray[np.int64]  # [S], points of each stroke
    points: NDArray[np.int64]  # [P, 2]
    letters: NDArray[np.int16]  # [P], see `InkSet.letter_of_point`

    @property
    def writer(self) -> str:
        """ "donor/writer"."""
        return f"{self.source.donor}/{self.header.writer}"

    @property
    def middle(self) -> float:
        """x half-way between its left and right bounds."""
        return float(self.points[:, 0].min() + self.points[:, 0].max()) / 2

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


def cut_out(page: Page, source: Source, is_new: NDArray[np.bool_], tally: Tally) -> Cut:
    """Cut out the ink of a segment, and clean its label.

    Args:
        page: where the ink stands.
        source: the segment.
        is_new: `page.is_new()`.
        tally: counts the rules that changed something.

    Raises `DataError`, which says why, when the segment can't be used.
    """
    if source.segment.quality == "BAD":
        raise DataError("quality BAD")
    strokes = np.array(page.strokes(source.segment.delineation), np.int64).reshape(-1, 2)
    if not len(strokes):
        raise DataError("no ink with the pen down")
    header = page.header(int(strokes[0, 0]))
    label, rules = clean(source.segment.label, f"{source.donor}/{header.writer}")
    if source.category in CHARACTERS and len(label) != 1:
        raise DataError("label longer than a character")
    index, starts = spread(strokes[:, 0], strokes[:, 1])
    kept = is_new[index]
    kept[starts[:-1]] = True
    index, lengths = index[kept], np.add.reduceat(kept, starts[:-1], dtype=np.int64)
    points = page.points[index]
    if points.min() < -FURTHEST or points.max() > FURTHEST:
        raise DataError("coordinate beyond 30 bits")
    letters = np.full(len(index), 0 if len(label) == 1 else -1, np.int16)
    cut = Cut(source, header, label, strokes, index, lengths, points * (1, -1), letters)
    stray = _is_stray(cut.points, lengths)
    if len(label) > 1 and stray.any():
        rules = [*rules, "stray strokes left out"]
        cut = cut.take(~stray)
    for rule in rules:
        tally.change(rule, source)
    return cut


def _is_stray(points: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
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


Indices = NDArray[np.int64]
Points = NDArray[np.int64]  # [n, 2], x right, y down

LEAST_SHARE: Final = 0.8  # of the segments' characters; with fewer they are of another text

SAME_LINE_OVERLAP: Final = 0.3  # of the lower one's height: two words of a line share so much
LINE_STEP: Final = 1.2  # of the words' height: what stands so much lower is on another line,
RETURN_STEP: Final = 0.3  # and so much where the pen went back over half a word
RETURN_SHARE: Final = 0.3  # of width and height: how far the pen goes back, and how much down
TALL_WORD: Final = 1.5  # times its width: a single word so high may have several lines


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """How the segments within a piece fit its label."""

    place_of_point: Indices  # [P], where in the label the text of the point's segment begins, or -1
    n_found: int  # characters that the segments and the label have in common
    n_given: int  # characters of all segments

    def is_sure(self) -> bool:
        """Tell whether the segments belong to this label."""
        return self.n_found >= LEAST_SHARE * self.n_given

    def is_of(self, label: str) -> bool:
        """Tell whether they hold enough of the label's characters to be all of it."""
        n_label = len(label.replace(" ", ""))
        return self.n_found >= LEAST_SHARE * max(self.n_given, n_label)


def fit(segment_of_point: Indices, points: Points, texts: Sequence[str], label: str) -> Fit:
    """Find the segments within a piece in its label.

    Args:
        segment_of_point: [P], index into `texts`; -1 where no segment lies.
        points: [P, 2], of the piece.
        texts: of the segments.
        label: of the piece.
    """
    segments, first = np.unique(segment_of_point, return_index=True)
    first, segments = first[segments >= 0], segments[segments >= 0]
    by_time = segments[np.argsort(first)]
    n_given = sum(len(texts[segment]) for segment in segments)
    best = _match([texts[segment] for segment in by_time], label)
    order = by_time
    if best[1] < n_given:  # a letter may have been written or mended later
        left = [points[segment_of_point == segment, 0].min() for segment in segments]
        by_left = segments[np.argsort(left)]
        found = _match([texts[segment] for segment in by_left], label)
        if found[1] > best[1]:
            order, best = by_left, found
    place = np.full(len(texts) + 1, -1)  # the last one stands for -1
    place[order] = best[0]
    return Fit(place[segment_of_point], best[1], n_given)


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

    Args:
        word_of_point: [P], from 0 in the order of the label; every number has points.
        points: [P, 2].
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


def guides(cuts: Sequence[Cut]) -> list[tuple[float, float]]:
    """Return y of (x-height line, baseline) at the middle of each piece of a page; NaN where not
    known.

    The letters of the line in which a piece stands tell it, else those of its word, else the ruled
    lines of the page.
    """
    around: dict[int, LetterGuides] = {}  # of each point of the page
    for categories in (WORDS, LINES):
        for cut in cuts:
            known = cut.index[cut.letters >= 0]
            if cut.source.category in categories and len(known):
                around.update(dict.fromkeys(known.tolist(), _letter_guides(cut)))
    ruling = _ruling(cuts)
    pairs = []
    for cut in cuts:
        known = cut.index[cut.letters >= 0]
        letters = around.get(int(known[0])) if len(known) else None
        pair = letters.at(cut.middle) if letters else NO_GUIDES
        pairs.append(ruling.guides(cut) if np.isnan(pair[1]) else pair)
    return pairs


@dataclass(frozen=True, slots=True)
class LetterGuides:
    """The x-height line and the baseline of a line of writing, which may slope."""

    slope: float
    baseline: float  # y at x = 0
    x_height: float

    def at(self, x: float) -> tuple[float, float]:
        """Return y of (x-height line, baseline) at `x`; NaN if unknown."""
        baseline = self.baseline + self.slope * x
        return baseline - self.x_height, baseline


def _letter_guides(cut: Cut) -> LetterGuides:
    """Estimate the guides from the known letters of a word or line."""
    standing, x_high = [], []
    for letter in np.unique(cut.letters[cut.letters >= 0]).tolist():
        ink = cut.points[cut.letters == letter]
        (left, top), (right, bottom) = ink.min(0).tolist(), ink.max(0).tolist()
        if cut.label[letter] in ON_BASELINE:
            standing.append(((left + right) / 2, bottom))
        if cut.label[letter] in X_HIGH:
            x_high.append(((left + right) / 2, top))
    if len(standing) < LEAST_FOR_BASELINE:
        return LetterGuides(0.0, np.nan, np.nan)
    x, bottoms = np.array(standing, np.float64).T
    from_mean = x - x.mean()
    flat = len(standing) < LEAST_FOR_SLOPE or not from_mean.any()
    slope = 0.0 if flat else float(from_mean @ bottoms / (from_mean @ from_mean))
    baseline = float(np.median(bottoms - slope * x))
    heights = [baseline + slope * middle - top for middle, top in x_high]
    return LetterGuides(slope, baseline, float(np.median(heights)) if heights else np.nan)


@dataclass(frozen=True, slots=True)
class Ruling:
    """How the writing of a page stands on its ruled lines."""

    offset: float  # how far below a ruled line the writing ends
    reach: float  # the writing's height; 0 when it does not follow the lines

    def guides(self, cut: Cut) -> tuple[float, float]:
        """Return y of (x-height line, baseline); NaN where no ruled line is near."""
        if not cut.header.h_lines or not self.reach:
            return NO_GUIDES
        baseline = _ruled_line(cut) + self.offset
        if abs(baseline - _bottom(cut)) > self.reach:
            return NO_GUIDES
        x_line = -cut.header.h_lines[1] + self.offset if _has_x_line(cut) else np.nan
        return x_line, baseline


def _ruling(cuts: Sequence[Cut]) -> Ruling:
    """Estimate how writing stands on a page's ruled lines, from words and letters without marks."""
    telling = [cut for cut in cuts if cut.header.h_lines and cut.label[0].isalnum()]
    if not telling:
        return Ruling(0.0, 0.0)
    offsets = np.array([_bottom(cut) - _ruled_line(cut) for cut in telling])
    offset = float(np.median(offsets))
    reach = float(np.median([np.ptp(cut.points[:, 1]) for cut in telling]))
    follows = np.median(np.abs(offsets - offset)) <= RULED_SPREAD * reach
    return Ruling(offset, reach if follows else 0.0)


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
    """Yield the pieces, with letters in words and texts, and texts of several lines taken apart."""
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


def _lines(cut: Cut, place_of_point: NDArray[np.int64], tally: Tally) -> Iterator[Cut]:
    """Split a text into its lines; skip ink of several lines whose words are not known."""
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
    """Return some successive words of a text, by their numbers."""
    words = cut.label.split(" ")
    first_character = sum(len(word) + 1 for word in words[: numbers[0]])
    part = cut.take(np.isin(word_of_stroke, numbers))
    letters = np.where(part.letters < 0, -1, part.letters - first_character).astype(np.int16)
    return replace(part, label=" ".join(words[number] for number in numbers), letters=letters)
