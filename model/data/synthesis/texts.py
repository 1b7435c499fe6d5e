"""Make texts, of made-up lines and to count n-grams in: words, words like them, numbers and marks.

A list of words alone shows no capitals, marks and numbers, and not what follows a word.
"""

import re
import string
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import accumulate, chain, islice
from typing import Final, Generic, TypeVar

import numpy as np

from inkstream.model.alphabet import MARKS, SMALL
from inkstream.model.data.synthesis.accents import LETTER_BENEATH
from inkstream.model.data.synthesis.word_lists import LANGUAGES, LONGEST, words_of
from inkstream.model.errors import DataError

Item = TypeVar("Item")

ENGLISH: Final = "en"  # by its code in ISO 639-1
DIGITS: Final = frozenset(string.digits)
CHARACTERS: Final = frozenset(string.printable) - frozenset(string.whitespace)

# Numbers, dates, times, prices and the like, with their marks; a 0 stands for any digit.
NUMBERS: Final = (
    *("0", "00", "000", "0000", "00000", "000000", "0,000", "00,000", "0,000,000"),
    *("0.0", "0.00", "00.0", "0.000", "-0", "+00", "00%", "0.0%", "#0", "#00"),
    *("$0", "$00", "$0.00", "$00.00", "$0,000", "$000.00", "00.-"),
    *("0/00/00", "00/00/00", "00/00/0000", "00.0.0000", "00.00.00", "0000-00-00", "00-00-00"),
    *("0:00", "00:00", "00:00:00", "000-0000", "(000) 000-0000", "00-00", "0000-0000", "'00"),
    *("0€", "00,00 €", "€00", "€0.00", "£00", "£0.00", "00°", "-0°", "0º", "§00", "00·00"),
    *("0/0", "0 + 0 = 0", "00 - 0 = 0", "0 * 0 = 00", "0 = 00", "0 < 00", "00 > 0", "(0)", "[00]"),
)

# Marks as English uses them: the share of words within a sentence, and of its ends, that one
# follows, and of lines in which a pair embraces words.
WITHIN: Final = {",": 0.1, ";": 0.015, ":": 0.015, ".": 0.03, "!": 0.01, "?": 0.01}
AT_END: Final = {".": 0.4, "?": 0.1, "!": 0.07, ",": 0.08, ":": 0.02, ";": 0.02}
EMBRACING: Final = {'""': 0.07, "()": 0.05, "''": 0.02, "[]": 0.01}
# Other languages embrace words in these too, half before them and half after them.
QUOTES: Final = {
    "fr": {"«  »": 0.1, "«»": 0.05}, "de": {'„"': 0.12, "»«": 0.04}, "nl": {'„"': 0.05},
    **{code: {"«»": 0.08} for code in ("es", "it", "pt", "nb")}, "da": {"»«": 0.06},
}  # fmt: skip


class WeightedChoice(Generic[Item]):
    """Draws one of some items, each as often as its weight says."""

    def __init__(self, weights: Iterable[tuple[Item, float]]) -> None:
        pairs = list(weights)
        self._items = [item for item, _ in pairs]
        self._sums = list(accumulate(weight for _, weight in pairs))

    def __call__(self, chance: float) -> Item:
        """Return the item at the share `chance`, from 0 up to 1, of the sum of all weights."""
        return self._items[bisect_right(self._sums, chance * self._sums[-1])]


def choose(items: Sequence[Item], random: np.random.Generator) -> Item:
    """Draw one of some items, each as often."""
    return items[int(random.integers(len(items)))]


# Short texts that hold marks beyond ASCII: `w` stands for a word, a 0 for any digit.
MARKED: Final = {
    "¡": ("¡w!",), "¿": ("¿w?",), "«": ("«w»",), "»": ("«w»",), "„": ('„w"', "„w"),
    "°": ("00°", "0°", "0°C", "n°0", "00,0°"), "º": ("0º", "nº0", "00º"), "ª": ("0ª", "00ª", "Mª"),
    "·": ("w·w", "0·0", "·w"), "€": ("00€", "€00", "0,00€", "€0.00"), "£": ("£0", "£00", "£0.00"),
    "§": ("§0", "§00", "§000"),
}  # fmt: skip


class WordSampler:
    """Draws words: `known` of labels, or `of_language`, or `new`, or `holding` a letter.

    The first two give the word at a share, from 0 up to 1, of the sum of all weights: the roots of
    how often words stand there.
    """

    def __init__(self, labels: Iterable[str], western: float = 0.0) -> None:
        """Count the words of labels, and read lists of words.

        `western` is the share of the languages of `LANGUAGES` beside English, in equal parts.
        Raises `DataError` when no label has a word.
        """
        form = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
        counts = Counter(word for label in labels for word in form.findall(label))
        if not counts:
            raise DataError("no label has a word, and made-up text is made of some")
        weights = {word: count**0.5 for word, count in sorted(counts.items())}
        self.known = WeightedChoice(weights.items())
        self._western = western
        self._others = [code for code in LANGUAGES if code != ENGLISH] if western else []
        others = {code: words_of(code, 25_000) for code in self._others}
        self.of_language = {
            code: WeightedChoice((word, share**0.5) for word, share in words.items())
            for code, words in {**others, ENGLISH: words_of(ENGLISH)}.items()
        }
        self._holding = _words_by_letter([*others.values()])
        following: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for word, weight in weights.items():
            text = f"  {word} "
            for at in range(len(word) + 1):
                following[text[at : at + 2]][text[at + 2]] += weight
        self._following = {pair: WeightedChoice(third.items()) for pair, third in following.items()}

    def language(self, random: np.random.Generator) -> str:
        """Draw the language of a text."""
        is_other = self._western and random.random() < self._western
        return choose(self._others, random) if is_other else ENGLISH

    def holding(self, char: str, random: np.random.Generator) -> str:
        """Draw a word, or another short text, that holds a character beyond ASCII."""
        if char in MARKED:
            form = re.sub("0", lambda _: str(random.integers(10)), choose(MARKED[char], random))
            return re.sub("w", lambda _: self.new(random), form)
        word = choose(self._holding[char.lower()], random)
        if char.islower():
            return word
        return char + word[1:] if word.startswith(char.lower()) else word.upper()

    def new(self, random: np.random.Generator) -> str:
        """Draw a word from a Markov chain of second order over characters."""
        text = "  "
        for chance in random.random(LONGEST).tolist():
            text += self._following[text[-2:]](chance)
            if text[-1] == " ":
                break
        return text.strip()


def _words_by_letter(lists: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """Return words that hold each small letter beyond ASCII, from all lists of words.

    Where there are less than 40, as many others get the letter in place of the one beneath its
    accent.
    """
    holding: dict[str, list[str]] = {char: [] for char in (*SMALL, "ß")}
    for word in chain.from_iterable(lists):
        if not word.isascii():
            for char in holding.keys() & set(word):
                holding[char].append(word)
    for char, words in holding.items():
        if len(words) < 40 and (letter := LETTER_BENEATH.get(char)):
            others = (word for word in chain.from_iterable(lists) if letter in word)
            words += [word.replace(letter, char, 1) for word in islice(others, 40)]
    return holding


def number(characters: Set[str], random: np.random.Generator) -> str:
    """Draw a number, date or the like of these characters, which hold at least one digit."""
    digits = sorted(characters & DIGITS)
    form = choose([form for form in NUMBERS if set(form) - {"0", " "} <= characters], random)
    drawn = random.integers(len(digits), size=len(form)).tolist()
    pairs = zip(form, drawn, strict=True)
    return "".join(digits[at] if sign == "0" else sign for sign, at in pairs)


def marks(
    n_words: int, characters: Set[str], random: np.random.Generator, language: str = ENGLISH
) -> list[tuple[str, str, bool]]:
    """Draw punctuation for the words of a line in a language, out of these characters.

    Returns for each word what stands before it, what after it, and whether a space follows. A dash
    and some quotes are set apart by a space.
    """
    chances = random.random((n_words + 1, 4)).tolist()
    *ends, embraces, _ = chances.pop()
    first, last = sorted(int(chance * n_words) for chance in ends)
    pair = _one_of(QUOTES.get(language, {}) | EMBRACING, embraces, characters)
    half = len(pair) // 2
    around = []
    for index, (genitive, hyphen, dash, mark) in enumerate(chances):
        before = pair[:half] if index == first else ""
        has_genitive = language == ENGLISH and genitive < 0.03 and characters >= {"'", "s"}
        after = "'s" if has_genitive else ""
        after += pair[half:] if index == last else ""
        spaced = True
        if index == n_words - 1:
            after += _one_of(AT_END, mark, characters)
        elif hyphen < 0.04 and "-" in characters:
            after, spaced = after + "-", False
        elif dash < 0.02 and "-" in characters:
            after += " -"
        else:
            after += _one_of(WITHIN, mark, characters)
        around.append((before, after, spaced))
    opening = {"?": "¿", "!": "¡"}.get(around[-1][1][-1:], "")
    if language == "es" and opening in characters:
        around[0] = (opening + around[0][0], *around[0][1:])
    return around


def _one_of(shares: dict[str, float], chance: float, characters: Set[str]) -> str:
    """Return the text whose share of 0 to 1 holds `chance`, if `characters` can write it."""
    for text, share in shares.items():
        chance -= share
        if chance < 0:
            return text if characters >= set(text) - {" "} else ""
    return ""


def texts(
    words: Mapping[str, float], n_sentences: int, language: str = ENGLISH
) -> Iterator[tuple[str, float]]:
    """Yield texts with their weights: words in all cases, then made-up sentences.

    `words` come with their frequencies, and the marks of sentences are those of the language.
    """
    for word, frequency in words.items():
        weight = max(1e6 * frequency, 0.3)  # times in a million words, at least that of a rare one
        yield word, 0.8 * weight
        yield _capitalised(word, language), 0.15 * weight
        yield word.upper(), 0.05 * weight
    random, choice = np.random.default_rng(0), WeightedChoice(words.items())
    for _ in range(n_sentences):
        yield _sentence(choice, random, language), 1.0


def _sentence(words: WeightedChoice[str], random: np.random.Generator, language: str) -> str:
    """Make up a sentence of 2 to 9 words."""
    n_words = int(random.integers(2, 10))
    characters = CHARACTERS if language == ENGLISH else CHARACTERS | set(MARKS)
    drawn = []
    for kind, case, chance in random.random((n_words, 3)).tolist():
        word = number(characters, random) if kind < 0.06 else words(chance)
        if case < 0.12:
            word = word.upper() if case < 0.02 else _capitalised(word, language)
        drawn.append(word)
    if random.random() < 0.7:
        drawn[0] = _capitalised(drawn[0], language)
    text, around = "", marks(n_words, characters, random, language)
    for word, (before, after, spaced) in zip(drawn, around, strict=True):
        text += before + word + after + (" " if spaced else "")
    if language == "fr" and random.random() < 0.5:  # a space stands before these marks
        text = re.sub(r"(?<=\w)([;:!?])", r" \1", text)
    return text.strip()


def _capitalised(word: str, language: str) -> str:
    """Return a word with a capital."""
    n_letters = 2 if language == "nl" and word.startswith("ij") else 1  # IJsland
    return word[:n_letters].upper() + word[n_letters:]
