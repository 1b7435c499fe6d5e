"""Lists of words: a lexicon allows no other words, a user's words become more probable."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.alphabet import WESTERN
from inkstream.model.decoding.base import Guide
from inkstream.model.decoding.beam import BeamDecoder
from inkstream.model.decoding.hints import CombinedGuide, Hints, guide_of
from inkstream.model.decoding.lexicon import GAIN, LexiconGuide, WordsGuide
from inkstream.model.errors import InputError
from tests.model.decoding.scores import LABELS, flush, line, read

CHARACTERS = tuple("abc-' ")
words = st.lists(st.text("abc-'", min_size=1, max_size=4), min_size=1, max_size=6)
lines = st.lists(st.text("abc-'", min_size=1, max_size=5), max_size=3).map(" ".join)


def weight(guide: Guide, labels: Sequence[str], text: str) -> float:
    """Return the weight that a guide adds to a text."""
    state, added = guide.begin(""), 0.0
    for character in text:
        label = labels.index(character)
        label_weight = float(guide.row(state)[label])
        if label_weight == -math.inf:
            return label_weight
        state, added = guide.follow(state, label), added + label_weight
    return added + guide.end(state)


@given(lexicon=words, text=lines)
def test_a_lexicon_allows_its_words_and_no_others(lexicon: list[str], text: str) -> None:
    found = weight(LexiconGuide(lexicon, CHARACTERS), CHARACTERS, text)
    assert found == (0 if set(text.split()) <= set(lexicon) else -math.inf)


@given(lexicon=words, text=lines)
def test_a_users_words_gain_with_each_letter_and_others_do_not(
    lexicon: list[str], text: str
) -> None:
    gained = sum(gain(word, lexicon) for word in text.split())
    assert weight(WordsGuide(lexicon, CHARACTERS), CHARACTERS, text) == pytest.approx(gained)


def gain(word: str, lexicon: list[str]) -> float:
    """Return the gain of a word of the list, which marks may follow."""
    n = 0
    while n < len(word) and any(listed_word.startswith(word[: n + 1]) for listed_word in lexicon):
        n += 1
    complete = word[:n] in lexicon and word[n : n + 1] in ("", "-", "'")
    return GAIN * n if complete else 0.0


@pytest.mark.parametrize(
    ("hints", "steps", "p_b", "p_c", "text"),
    [
        (Hints(lexicon=("aba", "cab")), "-a-c-a- -c-a-b-", 0.3, 0.6, "aba cab"),
        (Hints(words=("abc",)), "-a-b-c-", 0.4, 0.55, "abc"),  # of the second letter
    ],
)
def test_words_of_a_list_are_read_where_the_net_is_uncertain(
    hints: Hints, steps: str, p_b: float, p_c: float, text: str
) -> None:
    guide = guide_of(hints, tuple(LABELS))
    assert guide is not None
    reader, scores = BeamDecoder(LABELS, 4, guide), line(steps)
    for label, p in (("b", p_b), ("c", p_c)):
        scores[5:7, 1 + LABELS.index(label)] = np.log(p)
    read(reader, scores)
    flush(reader)
    assert reader.text == text


def test_combined_guides_add_their_weights() -> None:
    lexicon_guide, words_guide = (
        LexiconGuide(("ab", "abc"), CHARACTERS),
        WordsGuide(("abc",), CHARACTERS),
    )
    combined = CombinedGuide([lexicon_guide, words_guide])
    for text in ("ab", "abc", "a", "abc ab", "b"):
        expected = weight(lexicon_guide, CHARACTERS, text) + weight(words_guide, CHARACTERS, text)
        assert weight(combined, CHARACTERS, text) == pytest.approx(expected)
    assert combined.spells is not None
    assert (combined.spells == lexicon_guide.spells).all()


@pytest.mark.parametrize(
    ("lexicon", "text"),
    [
        (["cà"], "word 'cà' cannot be read, it holds 'à', allowed: one or more of '-abc"),
        (["a b"], "word 'a b' cannot be read"),
        (["ab", ""], "word '' cannot be read, it holds no character"),
        ([], "expected at least one"),
    ],
)
def test_a_list_with_a_word_that_the_labels_cannot_spell_is_refused(
    lexicon: list[str], text: str
) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        LexiconGuide(lexicon, CHARACTERS)


def test_words_may_have_decomposed_letters_and_typographic_marks() -> None:
    plain, other = ("l'été", "a-b"), ("l\u2019e\u0301te\u0301", "a\u2011b")
    labels = tuple(WESTERN)
    for kind in (LexiconGuide, WordsGuide):
        for text in ("l'été", "a-b", "ete"):
            found = [weight(kind(words, labels), labels, text) for words in (plain, other)]
            assert found[0] == found[1]
    assert weight(LexiconGuide(other, labels), labels, "l'été") == 0
