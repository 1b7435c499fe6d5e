"""A session of a transcriber: results with text, events that are final, and many lines."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Configured,
    Done,
    Event,
    Flushed,
    Punctuation,
    Ready,
    ResetDone,
    Result,
)
from inkstream.service.session import Close
from tests.helpers.single_session import (
    LINE_BLANK,
    LINE_INK,
    Lone,
    error_in,
    events_in,
    kinds,
    letters_in,
    line,
    message,
    only,
    read_by_decoder,
    results,
    words_in,
)

# Results and events


def test_the_first_message_tells_the_kind(line_net: Runtime) -> None:
    ready = only(Lone(line_net).heard())
    assert isinstance(ready, Ready)
    assert (ready.model.kind, ready.column_height) == ("transcriber", 16)
    assert ready.labels == tuple(" abc.")


def test_every_column_gets_a_result_with_the_text_so_far(line_net: Runtime) -> None:
    columns = line(60)
    said = Lone(line_net).ask(columns)
    texts, _ = read_by_decoder(line_net, columns)
    assert [(each.column, each.text) for each in results(said)] == list(enumerate(texts))
    for result in results(said):
        assert result.letter_end is not None
        assert 0 <= result.letter_end <= 1
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert list(result.probabilities.values()) == sorted(
            result.probabilities.values(), reverse=True
        )


def test_events_come_before_the_result_of_the_column_that_decided_them(line_net: Runtime) -> None:
    said = Lone(line_net).ask(line(200))
    assert len(letters_in(said)) > 20
    assert len(words_in(said)) > 5
    column = -1
    for each in said:
        if isinstance(each, Result):
            column = each.column
        elif isinstance(each, Event):
            assert each.column == column + 1


def test_the_text_is_what_the_events_spell(line_net: Runtime) -> None:
    said = Lone(line_net).ask(line(200), message("flush"))
    flushed = said[-1]
    assert isinstance(flushed, Flushed)
    assert flushed.text is not None
    assert "".join(each.char for each in letters_in(said)) == flushed.text.replace(" ", "")
    assert [each.text for each in words_in(said)] == flushed.text.split()
    assert [each.id for each in letters_in(said)] == list(range(len(letters_in(said))))
    assert [each.id for each in words_in(said)] == list(range(len(words_in(said))))
    marks = [each for each in said if isinstance(each, Punctuation)]
    assert {each.char for each in marks} == {"."}


@given(cuts=st.lists(st.integers(1, 149)), run=st.integers(1, 64))
@pytest.mark.slow
def test_pieces_of_any_length_say_what_the_whole_says(
    line_net: Runtime, cuts: list[int], run: int
) -> None:
    columns = line(150)
    whole = Lone(line_net).ask(columns, message("flush"))
    lone = Lone(line_net)
    lone.heard()
    places = [16 * cut for cut in sorted({0, 150, *cuts})]
    for start, end in pairwise(places):
        lone.send(columns[start:end])
        lone.step(run)
    lone.send(message("flush"))
    while lone.step(run):
        pass
    said = lone.heard()
    assert kinds(said) == kinds(whole)
    for heard, due in zip(said, whole, strict=True):
        if isinstance(heard, Result) and isinstance(due, Result):
            assert (heard.column, heard.text) == (due.column, due.text)
        else:
            assert _rounded(heard) == _rounded(due)


def _rounded(message: Any) -> dict[str, Any]:
    """A message without the probabilities, which differ in the last place."""
    values: dict[str, Any] = message.model_dump()
    values.pop("alternatives", None)
    values["confidence"] = round(values.get("confidence", 0), 3)
    return values


# Configure


def test_a_transcriber_names_five_labels_by_default(line_net: Runtime) -> None:
    lone = Lone(line_net)
    assert only(lone.ask(message("configure"))) == Configured(top_k=5)
    lone.ask(message("configure", top_k=2))
    assert len(results(lone.ask(LINE_INK))[0].probabilities) == 2
    lone.ask(message("configure", top_k=None))
    assert list(results(lone.ask(LINE_INK))[0].probabilities) == list(" abc.")


def test_characters_bind_results_events_and_text(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(message("configure", characters="ac"))
    said = lone.ask(line(150), message("flush"))
    assert {each.char for each in letters_in(said)} == {"a", "c"}
    assert only(list(words_in(said))).text == said[-1].text  # type: ignore[union-attr]
    for result in results(said):
        assert result.probabilities.keys() == {"a", "c"}
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert set(result.text or "") <= {"a", "c"}


def test_characters_outside_of_the_labels_are_refused(line_net: Runtime) -> None:
    error = error_in(Lone(line_net).ask(message("configure", characters="a?")))
    assert error.code == "bad_value"
    assert "'?'" in error.message


def test_one_result_a_message_and_every_event(line_net: Runtime) -> None:
    each_column = Lone(line_net).ask(line(90))
    lone = Lone(line_net)
    lone.ask(message("configure", every="message"))
    said = lone.ask(line(90)[: 50 * 16], line(90)[50 * 16 :])
    assert [result.column for result in results(said)] == [49, 89]
    assert events_in(said) == events_in(each_column)


# Lines


def test_a_line_that_ends_by_itself_is_flushed_before_the_next_begins(line_net: Runtime) -> None:
    lone = Lone(line_net)
    lone.ask(message("configure", line_end_columns=3))
    columns = LINE_INK * 21 + LINE_BLANK * 3
    said = lone.ask(columns + line(20, seed=1))
    place = kinds(said).index("flushed")
    assert said[place] == Flushed(epoch=0, columns=24, text=read_by_decoder(line_net, columns)[1])
    following = results(said[place:])
    assert [(each.epoch, each.column) for each in following] == [(1, n) for n in range(20)]
    assert [each.text for each in following] == read_by_decoder(line_net, line(20, seed=1))[0]


def test_a_reset_drops_what_is_not_decided(line_net: Runtime) -> None:
    lone = Lone(line_net)
    said = lone.ask(line(30), message("reset", id="r"), line(30))
    place = kinds(said).index("reset_done")
    assert said[place] == ResetDone(id="r", epoch=1)
    assert events_in(said[place:]) == events_in(said[:place])


def test_the_summary_counts_all_lines_and_what_was_withdrawn_is_left_out(line_net: Runtime) -> None:
    lone = Lone(line_net)
    said = lone.ask(line(60), message("flush"), message("reset"), line(60, seed=1))
    counted = len(letters_in(said)), len(words_in(said))
    lone.ask(line(20), message("rewind", column=60))
    last = lone.ask(message("end"))
    flushed, done = last[-2:]
    assert isinstance(flushed, Flushed)
    assert isinstance(done, Done)
    assert done.letters == counted[0] + len(letters_in(last))
    assert done.words == counted[1] + len(words_in(last))
    assert (done.text, done.columns) == (flushed.text, 140)
    assert lone.close == Close(1000, "end")
