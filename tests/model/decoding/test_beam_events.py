"""Beam search with a language model: its effect, and what holds for every decoder."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from inkstream.model.config import ModelConfig
from inkstream.model.decoding.base import Event, Letter, Word, allowed_labels
from inkstream.model.decoding.beam import SWIFT, BeamDecoder
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.decoding.hints import Hints, guide_of, new_decoder
from inkstream.model.decoding.ngrams import About, Language, LanguageGuide
from inkstream.model.errors import InputError
from inkstream.model.training.ngrams import build
from tests.model.decoding.scores import LABELS, Scores, flush, ink, line, read, texts

ALPHABET = " abc"
TEXTS = [("abba", 50.0), ("baba", 20.0), ("a", 5.0), ("cab", 1.0)]
LANGUAGE = Language(
    About("little", ALPHABET, 4, ("ours",)), build(TEXTS, ALPHABET, 4, most=1000)
)  # fmt: skip


def beam_decoder() -> BeamDecoder:
    return BeamDecoder(LABELS, 4, LanguageGuide(LANGUAGE, tuple(LABELS)))


def test_the_language_model_decides_between_uncertain_letters() -> None:
    plain, reader = GreedyDecoder(LABELS, 4), beam_decoder()
    scores = line("-a-b-b-a-")
    for label, p in (("a", 0.45), ("b", 0.5)):  # of the first letter
        scores[3:5, 1 + LABELS.index(label)] = np.log(p)
    for decoder in (plain, reader):
        read(decoder, scores)
        flush(decoder)
    assert (plain.text, reader.text) == ("bbba", "abba")


def test_a_language_model_continues_the_text_before_a_line() -> None:
    language = Language(
        About("pairs", ALPHABET, 5, ("ours",)),
        build([("a bb", 50.0), ("c aa", 50.0)], ALPHABET, 5, most=1000),
    )
    found = []
    for context in ("a", "c"):
        reader = BeamDecoder(LABELS, 4, LanguageGuide(language, tuple(LABELS), context))
        scores = line("-a-", unsure=" b ")
        scores[:, 1 + LABELS.index("b")] = scores[:, 1 + LABELS.index("a")]
        read(reader, scores)
        flush(reader)
        found.append(reader.text)
    assert found == ["b", "a"]


def test_uncertain_letters_are_decided_after_a_limited_number_of_steps() -> None:
    reader = beam_decoder()
    scores = line("-" * 40)
    for step in (1, 2):
        of_step = scores[2 * step : 2 * step + 2]
        of_step[:, :-1] = np.log(1e-6)
        of_step[:, 0] = np.log(0.2)
        of_step[:, 1 + LABELS.index("a")] = of_step[:, 1 + LABELS.index("c")] = np.log(0.4)
    decoded = reader.step(scores, ink(len(scores)))
    (letter,) = decoded.events
    assert letter.column <= 2 * (2 + SWIFT.latest) + 1
    assert decoded.texts[4] != ""  # it is in the text from the beginning


def test_a_letter_that_a_flush_decides_ends_at_its_highest_end_score() -> None:
    reader, scores = beam_decoder(), line("-" * 12 + "a--", " " * 12 + "b", ends={12: 0.9})
    assert read(reader, scores[:-4]) == []
    letter, word = flush(reader, scores[-4:])
    assert letter.end == word.end == 22


@given(data=st.data(), seed=st.integers(0, 10_000))
@pytest.mark.slow
def test_events_do_not_depend_on_portions_copies_or_saved_states(
    data: st.DataObject, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scores = random_scores(random, 60)
    columns = (random.random((60, 1)) < 0.7).astype(np.uint8)
    at_once = beam_decoder()
    expected = at_once.step(scores, columns)
    last = flush(at_once)
    cuts = sorted(data.draw(st.sets(st.integers(1, 59), max_size=6)))
    reader, events, texts_emitted = beam_decoder(), list[Event](), list[str]()
    for start, end in itertools.pairwise([0, *cuts, 60]):
        if data.draw(st.booleans()):
            original = reader
            reader = reader.copy()
            # This must not affect the copy.
            original.step(random_scores(random, 7), np.ones((7, 1), np.uint8))
        else:
            state = msgpack.decode(msgpack.encode(reader.to_dict()))
            reader = beam_decoder()
            reader.restore(state)
        decoded = reader.step(scores[start:end], columns[start:end])
        events += decoded.events
        texts_emitted += decoded.texts
    assert texts_emitted == expected.texts
    assert [without_confidence(event) for event in events] == [
        without_confidence(event) for event in expected.events
    ]
    assert [without_confidence(event) for event in flush(reader)] == [
        without_confidence(event) for event in last
    ]
    assert reader.text == at_once.text


def without_confidence(event: Event) -> tuple[object, ...]:
    text = event.char if isinstance(event, Letter) else event.text
    return type(event), event.id, text, event.start, event.end, event.column


@given(seed=st.integers(0, 10_000), characters=st.sampled_from([None, "ab ", "abc", "c "]))
@pytest.mark.slow
def test_events_spell_the_text_in_order_with_allowed_characters(
    seed: int, characters: str | None
) -> None:
    random = np.random.default_rng(seed)
    reader = beam_decoder()
    reader.allowed = allowed_labels(LABELS, characters)
    scores, events = random_scores(random, 80), list[Event]()
    events += reader.step(scores, np.ones((80, 1), np.uint8)).events + flush(reader)
    letters = [event for event in events if isinstance(event, Letter)]
    words = [event for event in events if isinstance(event, Word)]
    assert [letter.id for letter in letters] == list(range(reader.letters))
    assert "".join(letter.char for letter in letters) == reader.text.replace(" ", "")
    assert [word.text for word in words] == reader.text.split()
    assert set(reader.text) <= set(characters or LABELS)
    columns = [letter.column for letter in letters]
    assert columns == sorted(columns)
    for letter in letters:
        assert 0 <= letter.start < letter.end <= letter.column + 1
        assert 0 < letter.confidence <= 1
    for before, after in itertools.pairwise(letters):
        assert before.end <= after.start + 1
    for word in words:
        alternatives = dict(word.alternatives)
        assert not {word.text, ""} & alternatives.keys()
        assert len(alternatives) == len(word.alternatives) <= 4
        assert word.confidence + sum(alternatives.values()) <= 1 + 1e-6


def random_scores(random: np.random.Generator, n: int) -> Scores:
    """Return scores in which some symbols are probable, the blank most often."""
    logits = 2.5 * random.standard_normal((n, len(LABELS) + 1))
    logits[:, 0] += 2
    logits = np.repeat(logits[::2], 2, 0)[:n]
    logits -= np.logaddexp.reduce(logits, 1, keepdims=True)
    ends = np.log(random.random((n, 1)))
    scores: Scores = np.concatenate([logits, ends], 1).astype(np.float32)
    return scores


def test_certain_letters_are_read_whatever_the_language_and_a_flush_begins_a_new_word() -> None:
    reader = beam_decoder()
    events = read(reader, line("-c-c-c- -c-")) + flush(reader)
    assert texts(events) == ["c", "c", "c", "ccc", "c", "c"]
    events = read(reader, line("-b-a-")) + flush(reader)
    assert texts(events) == ["b", "a", "ba"]
    assert reader.text == "ccc cba"
    assert reader.settled


def test_a_state_without_a_beam_is_refused() -> None:
    plain = GreedyDecoder(LABELS, 4)
    with pytest.raises(InputError, match="without a language model"):
        beam_decoder().restore(plain.to_dict())
    state = beam_decoder().to_dict()
    state["beam"] = {"open": [[7]]}
    with pytest.raises(InputError, match="cannot go on from this"):
        beam_decoder().restore(state)


@pytest.mark.parametrize("hints", [Hints(words=("a",)), Hints(pattern="a")])
def test_hints_need_a_transcriber_whose_labels_hold_the_space(hints: Hints) -> None:
    with pytest.raises(InputError, match="needs a model that reads lines; this one reads one"):
        new_decoder(ModelConfig(labels=tuple("0123456789")), hints)
    with pytest.raises(InputError, match="hold the space"):
        guide_of(hints, ("a", "b"))


def test_the_alternatives_of_a_word_are_dropped_hypotheses() -> None:
    guide = guide_of(Hints(words=("cab",)), tuple(LABELS))
    assert guide is not None
    reader = BeamDecoder(LABELS, 4, guide)
    scores = line("-a-b-b-a- -c-")
    for label, p in (("a", 0.4), ("b", 0.55)):  # of the third letter
        scores[11:13, 1 + LABELS.index(label)] = np.log(p)
    words = [each for each in read(reader, scores) + flush(reader) if isinstance(each, Word)]
    assert [word.text for word in words] == ["abba", "c"]
    alternatives = dict(words[0].alternatives)
    assert "abaa" in alternatives
    assert words[0].confidence + sum(alternatives.values()) <= 1 + 1e-6
    assert list(alternatives.values()) == sorted(alternatives.values(), reverse=True)


def test_the_confidence_of_an_emitted_letter_stays_when_other_characters_are_allowed_later() -> (
    None
):
    guide = guide_of(Hints(pattern="[abc]*"), tuple(LABELS))
    assert guide is not None
    plain, reader = (BeamDecoder(LABELS, 4, guide) for _ in range(2))
    for decoder, characters in ((plain, None), (reader, " ")):
        scores = line("-a-", unsure=" c ")
        events = read(decoder, scores)
        decoder.allowed = allowed_labels(LABELS, characters)
        events += flush(decoder)
        (letter,) = (event for event in events if isinstance(event, Letter))
        assert letter.char == "a"
        assert 0.5 < letter.confidence < 0.8


def test_a_word_that_never_ends_keeps_no_more_than_a_short_one() -> None:
    random = np.random.default_rng(3)
    reader = beam_decoder()
    reader.allowed = allowed_labels(LABELS, "abc")
    sizes = []
    for _ in range(6):
        reader.step(random_scores(random, 400), np.ones((400, 1), np.uint8))
        state = reader.to_dict()
        assert len(state["alternatives"]) <= 8
        sizes.append(len(msgpack.encode(state["beam"])))
    assert max(sizes[3:]) < 3 * max(sizes[:3])
