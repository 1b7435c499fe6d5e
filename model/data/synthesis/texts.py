"""Make texts: words of labels and of English, words like them, numbers and marks.

They are the texts of made-up lines, and the sentences in which character n-grams of English are
counted. A list of words shows no capitals, marks and numbers, and not what follows a word; so
sentences are made of words drawn by their frequency, with the marks and numbers of made-up lines.
"""

import re
import string
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import accumulate, chain, islice
from typing import Final

import numpy as np

from inkstream.model.alphabet import MARKS, SMALL
from inkstream.model.data.synthesis.accents import LETTER_BENEATH
from inkstream.model.data.synthesis.word_lists import LANGUAGES, words_of
from inkstream.model.errors import DataError

WORD: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
LONGEST: Final = 14  # letters of a new word, which ends there at the latest
MOST_ENGLISH: Final = 60_000  # words in made-up lines: then come more names and typing errors

ENGLISH: Final = "en"  # by its code in ISO 639-1
DIGITS: Final = frozenset(string.digits)

# Numbers, dates, times, prices and the like, each with its marks; a 0 stands for any digit.
_NUMBERS: Final = (
    *("0", "00", "000", "0000", "00000", "000000", "0,000", "00,000", "0,000,000"),
    *("0.0", "0.00", "00.0", "0.000", "-0", "+00", "00%", "0.0%", "#0", "#00"),
    *("$0", "$00", "$0.00", "$00.00", "$0,000", "$000.00", "00.-"),
    *("0/00/00", "00/00/00", "00/00/0000", "00.0.0000", "00.00.00", "0000-00-00", "00-00-00"),
    *("0:00", "00:00", "00:00:00", "000-0000", "(000) 000-0000", "00-00", "0000-0000", "'00"),
    *("0€", "00,00 €", "€00", "€0.00", "£00", "£0.00", "00°", "-0°", "0º", "§00", "00·00"),
    *("0/0", "0 + 0 = 0", "00 - 0 = 0", "0 * 0 = 00", "0 = 00", "0 < 00", "00 > 0", "(0)", "[00]"),
)
NUMBERS: Final = {form: frozenset(form) - {"0", " "} for form in _NUMBERS}

# Marks as English uses them: how often one follows a word within a sentence, and its end; what
# embraces words; and what stands before "s" or between two words. Shares of all places.
WITHIN: Final = {",": 0.1, ";": 0.015, ":": 0.015, ".": 0.03, "!": 0.01, "?": 0.01}
AT_END: Final = {".": 0.4, "?": 0.1, "!": 0.07, ",": 0.08, ":": 0.02, ";": 0.02}
EMBRACING: Final = {'""': 0.07, "()": 0.05, "''": 0.02, "[]": 0.01}
GENITIVE: Final = 0.03
# What other languages embrace words in beside that, half before them and half after them.
QUOTES: Final = {
    "fr": {"«  »": 0.1, "«»": 0.05}, "de": {'„"': 0.12, "»«": 0.04}, "nl": {'„"': 0.05},
    **{code: {"«»": 0.08} for code in ("es", "it", "pt", "nb")}, "da": {"»«": 0.06},
}  # fmt: skip
OPENING: Final = {"?": "¿", "!": "¡"}  # in Spanish
HYPHEN: Final = 0.04
DASH: Final = 0.02


class WeightedChoice:
    """Draws one of some texts, each as often as its weight says."""

    def __init__(self, weights: Iterable[tuple[str, float]]) -> None:
        pairs = list(weights)
        self._texts = [text for text, _ in pairs]
        self._sums = list(accumulate(weight for _, weight in pairs))

    def __call__(self, chance: float) -> str:
        """Return the text at the share `chance`, from 0 up to 1, of the sum of all weights."""
        return self._texts[bisect_right(self._sums, chance * self._sums[-1])]


MOST_OTHERS: Final = 25_000  # words of each other language
LEAST_HOLDING: Final = 40  # words that hold a letter: of a rarer one some are made up

# Short texts that hold marks beyond ASCII: `w` stands for a word, a 0 for any digit.
MARKED: Final = {
    "¡": ("¡w!",), "¿": ("¿w?",), "«": ("«w»",), "»": ("«w»",), "„": ('„w"', "„w"),
    "°": ("00°", "0°", "0°C", "n°0", "00,0°"), "º": ("0º", "nº0", "00º"), "ª": ("0ª", "00ª", "Mª"),
    "·": ("w·w", "0·0", "·w"), "€": ("00€", "€00", "0,00€", "€0.00"), "£": ("£0", "£00", "£0.00"),
    "§": ("§0", "§00", "§000"),
}  # fmt: skip


class WordSampler:
    """Draws `known` words of labels, words `of_language`, `new` ones, and words `holding` a letter.

    The first two are drawn in proportion to the root of how often they stand there.
    """

    def __init__(
        self,
        labels: Iterable[str],
        western: float = 0.0,
        words_of: Callable[[str, int, int], Mapping[str, float]] = words_of,
    ) -> None:
        """Count the words of labels, and read lists of words.

        Args:
            labels: any texts.
            western: share of the languages of `LANGUAGES` beside English, in equal parts.
            words_of: a language's words and their frequencies, see `word_lists.words_of`.

        Raises:
            DataError: no label has a word.
        """
        counts = Counter(word for label in labels for word in WORD.findall(label))
        if not counts:
            raise DataError("no label has a word, and made-up text is made of some")
        weights = {word: count**0.5 for word, count in sorted(counts.items())}
        self.known = WeightedChoice(weights.items())
        self._western = western
        self._others = [code for code in LANGUAGES if code != ENGLISH] if western else []
        lists = {code: words_of(code, MOST_OTHERS, LONGEST) for code in self._others}
        lists[ENGLISH] = words_of(ENGLISH, MOST_ENGLISH, LONGEST)
        self._of_language = {
            code: WeightedChoice((word, share**0.5) for word, share in words.items())
            for code, words in lists.items()
        }
        self._holding = _words_by_letter([lists[code] for code in self._others])
        following: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for word, weight in weights.items():
            text = f"  {word} "
            for place in range(len(word) + 1):
                following[text[place : place + 2]][text[place + 2]] += weight
        self._following = {pair: WeightedChoice(third.items()) for pair, third in following.items()}

    def language(self, random: np.random.Generator) -> str:
        """Draw the language of a text."""
        if not self._western or random.random() >= self._western:
            return ENGLISH
        return self._others[int(random.integers(len(self._others)))]

    def of_language(self, chance: float, language: str = ENGLISH) -> str:
        """Return the word at the share `chance`, from 0 up to 1, of a language's words."""
        return self._of_language[language](chance)

    def holding(self, char: str, random: np.random.Generator) -> str:
        """Draw a word, or another short text, that holds a character beyond ASCII."""
        if char in MARKED:
            forms = MARKED[char]
            form = forms[int(random.integers(len(forms)))]
            filled = ""
            for one in form:
                if one == "w":
                    filled += self.new(random)
                else:
                    filled += str(random.integers(10)) if one == "0" else one
            return filled
        small = char.lower()
        words = self._holding[small]
        word = words[int(random.integers(len(words)))]
        if char == small:
            return word
        return char + word[1:] if word.startswith(small) else word.upper()

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

    Where there are few, other words get the letter in place of the one beneath its accent.
    """
    found: dict[str, list[str]] = {char: [] for char in (*SMALL, "ß")}
    for word in chain.from_iterable(lists):
        if not word.isascii():
            for char in found.keys() & set(word):
                found[char].append(word)
    for char, words in found.items():
        letter = LETTER_BENEATH.get(char)
        if lists and letter and len(words) < LEAST_HOLDING:
            others = (word for own in lists for word in own if letter in word)
            words += [word.replace(letter, char, 1) for word in islice(others, LEAST_HOLDING)]
    return found


def number(characters: Set[str], random: np.random.Generator) -> str:
    """Draw a number, date or the like of these characters, which hold at least one digit."""
    digits = sorted(characters & DIGITS)
    forms = [form for form, of in NUMBERS.items() if of <= characters]
    form = forms[int(random.integers(len(forms)))]
    drawn = random.integers(len(digits), size=len(form)).tolist()
    return "".join(
        digits[at] if place == "0" else place for place, at in zip(form, drawn, strict=True)
    )


def marks(
    n_words: int, characters: Set[str], random: np.random.Generator, language: str = ENGLISH
) -> list[tuple[str, str, bool]]:
    """Draw punctuation for the words of a line in a language, out of these characters.

    Returns:
        For each word: what stands before it, what after it, and whether a space follows. A dash
        and some quotes are set apart by a space.
    """
    chances = random.random((n_words + 1, 4)).tolist()
    *ends, embraces, _ = chances.pop()
    first, last = sorted(int(chance * n_words) for chance in ends)
    pair = _one_of(QUOTES.get(language, {}) | EMBRACING, embraces, characters)
    half = len(pair) // 2
    found = []
    for place, (genitive, hyphen, dash, mark) in enumerate(chances):
        before = pair[:half] if place == first else ""
        has_genitive = language == ENGLISH and genitive < GENITIVE and characters >= {"'", "s"}
        after = "'s" if has_genitive else ""
        after += pair[half:] if place == last else ""
        spaced = True
        if place == n_words - 1:
            after += _one_of(AT_END, mark, characters)
        elif hyphen < HYPHEN and "-" in characters:
            after, spaced = after + "-", False
        elif dash < DASH and "-" in characters:
            after += " -"
        else:
            after += _one_of(WITHIN, mark, characters)
        found.append((before, after, spaced))
    opening = OPENING.get(found[-1][1][-1:], "")
    if language == "es" and opening in characters:
        found[0] = (opening + found[0][0], *found[0][1:])
    return found


def _one_of(shares: dict[str, float], chance: float, characters: Set[str]) -> str:
    """Return the text whose share of 0 to 1 holds `chance`, if `characters` can write it."""
    for text, share in shares.items():
        chance -= share
        if chance < 0:
            return text if characters >= set(text) - {" "} else ""
    return ""


CHARACTERS: Final = frozenset(string.printable) - frozenset(string.whitespace)

# Shares of words in sentences, and of the ways in which a word of the list is counted.
ENGLISH_NUMBERS: Final = 0.06
CAPITAL: Final = 0.1
CAPITALS: Final = 0.02
SENTENCE: Final = 0.7  # of sentences, which begin with a capital
CASES: Final = {"small": 0.8, "capital": 0.15, "capitals": 0.05}
MOST_WORDS: Final = 9  # of a sentence
APART: Final = 0.5  # of French sentences, in which a space stands before these marks
APART_MARKS: Final = re.compile("(?<=\\w)([;:!?])")

PER_MILLION: Final = 1e6
LEAST: Final = 0.3  # what a rare word counts, in a million words


def texts(
    words: Mapping[str, float], n_sentences: int, language: str = ENGLISH
) -> Iterator[tuple[str, float]]:
    """Yield texts, each with how much it counts: words in all cases, then made-up sentences.

    Args:
        words: each with its frequency; those without a capital are counted with one too.
        n_sentences: made-up sentences.
        language: its code, for the marks.
    """
    for word, frequency in words.items():
        weight = max(PER_MILLION * frequency, LEAST)
        for case, share in CASES.items():
            yield _cased(word, case, language), share * weight
    random, choice = np.random.default_rng(0), WeightedChoice(words.items())
    for _ in range(n_sentences):
        yield _sentence(choice, random, language), 1.0


def characters_of(language: str) -> Set[str]:
    """Return the marks and digits of made-up sentences, and all letters of ASCII."""
    return CHARACTERS if language == ENGLISH else CHARACTERS | set(MARKS)


def _sentence(words: WeightedChoice, random: np.random.Generator, language: str) -> str:
    n_words = int(random.integers(2, MOST_WORDS + 1))
    characters, drawn = characters_of(language), []
    for kind, case, at in random.random((n_words, 3)).tolist():
        word = number(characters, random) if kind < ENGLISH_NUMBERS else words(at)
        if case < CAPITALS + CAPITAL:
            word = _cased(word, "capitals" if case < CAPITALS else "capital", language)
        drawn.append(word)
    if random.random() < SENTENCE:
        drawn[0] = _cased(drawn[0], "capital", language)
    text, around = "", marks(n_words, characters, random, language)
    for word, (before, after, spaced) in zip(drawn, around, strict=True):
        text += before + word + after + (" " if spaced else "")
    if language == "fr" and random.random() < APART:
        text = APART_MARKS.sub(r" \1", text)
    return text.strip()


def _cased(word: str, case: str, language: str) -> str:
    if case == "capitals":
        return word.upper()
    n_letters = 2 if language == "nl" and word.startswith("ij") else 1  # IJsland
    return word[:n_letters].upper() + word[n_letters:] if case == "capital" else word
