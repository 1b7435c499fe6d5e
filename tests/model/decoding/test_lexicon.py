"""Lists of words: a closed one lets nothing else through, a user's own are only made likelier."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.decoding.base import Guide
from inkstream.model.decoding.beam import BeamDecoder
from inkstream.model.decoding.hints import CombinedGuide, Hints, guide_of
from inkstream.model.decoding.lexicon import GAIN, LexiconGuide, WordsGuide
from inkstream.model.errors import InputError
from tests.helpers.scores import LABELS, flushed, line, read

SPELT = tuple("abc-' ")
words = st.lists(st.text("abc-'", min_size=1, max_size=4), min_size=1, max_size=6)
lines = st.lists(st.text("abc-'", min_size=1, max_size=5), max_size=3).map(" ".join)


def weight(guide: Guide, labels: Sequence[str], text: str) -> float:
    """What a guide adds to a text, from its beginning to its end."""
    state, added = guide.begin(""), 0.0
    for character in text:
        label = labels.index(character)
        own = float(guide.row(state)[label])
        if own == -math.inf:
            return own
        state, added = guide.follow(state, label), added + own
    return added + guide.end(state)


@given(listed=words, text=lines)
def test_a_lexicon_allows_its_words_and_no_others(listed: list[str], text: str) -> None:
    found = weight(LexiconGuide(listed, SPELT), SPELT, text)
    assert found == (0 if set(text.split()) <= set(listed) else -math.inf)


@given(listed=words, text=lines)
def test_a_users_words_gain_with_each_letter_and_others_gain_nothing(
    listed: list[str], text: str
) -> None:
    gained = sum(gain(word, listed) for word in text.split())
    assert weight(WordsGuide(listed, SPELT), SPELT, text) == pytest.approx(gained)


def gain(word: str, listed: list[str]) -> float:
    """That of a listed word, with marks behind it or none."""
    n = 0
    while n < len(word) and any(own.startswith(word[: n + 1]) for own in listed):
        n += 1
    stands = word[:n] in listed and word[n : n + 1] in ("", "-", "'")
    return GAIN * n if stands else 0.0


def test_a_word_is_read_as_the_most_probable_one_of_the_lexicon() -> None:
    guide = guide_of(Hints(lexicon=("aba", "cab")), tuple(LABELS))
    assert guide is not None
    reader = BeamDecoder(LABELS, 4, guide)
    scores = line("-a-c-a- -c-a-b-")
    for label, p in (("c", 0.6), ("b", 0.3)):  # of the second one
        scores[5:7, 1 + LABELS.index(label)] = np.log(p)
    read(reader, scores)
    flushed(reader)
    assert reader.text == "aba cab"


def test_a_users_word_is_preferred_where_the_net_is_unsure() -> None:
    scores = line("-a-b-c-")
    for label, p in (("b", 0.4), ("c", 0.55)):  # of the second one
        scores[5:7, 1 + LABELS.index(label)] = np.log(p)
    found = []
    for hints in (Hints(words=("abc",)), Hints(words=("ccc",))):
        guide = guide_of(hints, tuple(LABELS))
        assert guide is not None
        reader = BeamDecoder(LABELS, 4, guide)
        read(reader, scores)
        flushed(reader)
        found.append(reader.text)
    assert found[0] == "abc"


def test_combined_guides_add_their_weights() -> None:
    one, other = LexiconGuide(("ab", "abc"), SPELT), WordsGuide(("abc",), SPELT)
    both = CombinedGuide([one, other])
    for text in ("ab", "abc", "a", "abc ab", "b"):
        expected = weight(one, SPELT, text) + weight(other, SPELT, text)
        assert weight(both, SPELT, text) == pytest.approx(expected)
    assert both.spells is not None
    assert (both.spells == one.spells).all()


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (["né"], "word 'né' cannot be read"),
        (["a b"], "word 'a b' cannot be read"),
        (["ab", ""], "word '' cannot be read"),
        ([], "expected at least one"),
    ],
)
def test_a_list_with_a_word_that_the_labels_cannot_spell_is_refused(
    listed: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        LexiconGuide(listed, SPELT)
