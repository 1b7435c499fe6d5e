"""What results say: the text in parts that a client puts together, as often as it wants them."""

from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkstream.model import checkpoint as checkpoints
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.preprocess.columns import line_columns
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import (
    Limits,
    Result,
    Revised,
)
from tests.helpers.single_session import (
    SessionClient,
    line,
    message,
    results,
    text_after,
    text_of,
)
from tests.service.session.frames import ink
from tests.service.session.resuming import Frame, SnapshotClient, numbered
from tests.service.session.test_numbers import conversations

HELLO = Path(__file__).parents[3] / "examples" / "hello.png"


@given(frames=conversations)
def test_a_text_put_together_from_its_parts_is_that_of_the_next_answer(
    exact_net: Runtime, frames: list[Frame]
) -> None:
    client, newest = SnapshotClient(exact_net), ""
    for frame in frames:
        messages = client.ask(frame)
        newest = reduce(text_after, messages, newest)
        if messages and isinstance(messages[-1], Result):
            rewound = client.ask(message("rewind", column=client.column))  # it changes nothing
            assert newest == text_of(rewound)


@given(all_texts=st.lists(st.text("ab", max_size=6), min_size=2, max_size=6), data=st.data())
def test_a_result_in_place_of_others_has_what_they_had(
    all_texts: list[str], data: st.DataObject
) -> None:
    merged, before = None, all_texts[0]
    for text in all_texts[1:]:
        stands = [n for n in range(len(before) + 1) if text.startswith(before[:n])]
        stable = data.draw(st.sampled_from(stands))
        result = Result(0, [], None, stable, text[stable:])
        merged, before = result if merged is None else result.after(merged), text
    assert merged is not None
    assert text_after(all_texts[0], merged) == before


def test_a_message_of_ink_has_one_result_even_where_it_changes_columns(exact_net: Runtime) -> None:
    client = SessionClient(exact_net)
    client.ask(message("configure", results="message"), ink(1, 2.0, pause=True))
    stroke = {"id": 2, "points": [[3, 14], [30, 9]]}
    messages = client.ask(message("ink", height=16, strokes=[stroke], pause=True))
    assert isinstance(messages[0], Revised)
    assert [each.column for each in results(messages)] == [client.column - 1]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "most"), [({"top_k": 1}, 150), ({"results": "none"}, 30)])
def test_a_line_of_30000_columns_is_sent_in_few_bytes_a_column(
    options: dict[str, Any], most: int
) -> None:
    word = np.vstack([line_columns(HELLO, 32), np.zeros((12, 32), np.uint8)])
    columns = np.tile(word, (30_000 // len(word) + 1, 1))[:30_000]
    net = Runtime(checkpoints.read(checkpoints.find("lines")))
    client = SessionClient(net, Limits())
    client.ask(message("configure", **options))
    n_bytes = 0
    for start in range(0, 30_000, 500):
        n_bytes += sum(map(len, numbered(client.ask(columns[start : start + 500].tobytes()))))
    print(f"{options}: {n_bytes / 30_000:.1f} bytes a column")
    assert n_bytes / 30_000 <= most


def test_columns_of_next_to_no_ink_are_paper_for_letters_too(line_net: Runtime) -> None:
    pixels = np.frombuffer(line(200), np.uint8)
    faint = np.where(pixels > 99, pixels, 0).reshape(-1, 16)
    marked = faint.copy()
    marked[~faint.any(1)] = 7
    readings = []
    for columns in (faint, marked):
        decoder = GreedyDecoder(line_net.config.labels, line_net.config.flush_columns)
        scores, _ = line_net.run(faint[:, None], line_net.initial_state(1))
        events = decoder.step(scores[:, 0], columns).events
        readings.append(([(event.start, event.end) for event in events], decoder.text))
    assert readings[0] == readings[1]
    assert len(readings[0][0]) > 5


def test_a_flush_right_before_the_column_of_a_rewind_stays(line_net: Runtime) -> None:
    client, other = SessionClient(line_net), SessionClient(line_net)
    begun = line(20), message("flush")
    other.ask(*begun)
    client.ask(*begun, line(9, 1), message("rewind", column=20))
    further = line(15, 2), message("flush")
    assert text_of(client.ask(*further)) == text_of(other.ask(*further))
