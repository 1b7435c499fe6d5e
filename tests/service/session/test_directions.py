"""A session of a net that sees where the pen goes: ink tells it, columns do not.

`test_strokes` reads its ink as the columns that it makes.
"""

import numpy as np
from numpy.typing import NDArray

from inkstream.model.preprocess.ink import flatten, rasterise, with_directions
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Flushed, ServerMessage
from tests.helpers.single_session import (
    SessionClient,
    all_probabilities,
    line,
    message,
    results,
)
from tests.service.session.strokes import HEIGHT, WAVE, H, Stroke, ink, piece

TOP_K = 5


def drawn(*strokes: Stroke) -> NDArray[np.uint8]:
    """Return the columns [T, 3 H] of strokes that are drawn all at once."""
    points, starts = flatten(strokes)
    return rasterise(points * (H / HEIGHT), starts, H, directions=True)


def read_at_once(net: Runtime, *strokes: Stroke) -> Flushed:
    """Return what is read of strokes whose columns come all at once, with their directions."""
    client = SessionClient(net, column_size=3 * H)
    return flushed(client.ask(drawn(*strokes).tobytes(), message("flush")))


def flushed(messages: list[ServerMessage]) -> Flushed:
    answer = messages[-1]
    assert isinstance(answer, Flushed)
    return answer


def newest_probabilities(messages: list[ServerMessage]) -> NDArray[np.float32]:
    newest: NDArray[np.float32] = all_probabilities(messages)[-1]
    return newest


def most_probable(net: Runtime, columns: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities of the most probable labels after columns, by the net alone."""
    scores, _ = net.run(columns[:, None], net.initial_state(1))
    labels = np.exp(scores[-1, 0, 1:-1])
    probabilities: NDArray[np.float32] = np.sort(labels / labels.sum())
    return probabilities[-TOP_K:]


def test_the_way_of_the_pen_changes_what_is_read(directed_net: Runtime) -> None:
    there, back = ([piece(1, stroke)] for stroke in (WAVE, WAVE[::-1]))
    probabilities = [
        newest_probabilities(SessionClient(directed_net).ask(ink(*strokes), message("flush")))
        for strokes in (there, back)
    ]
    assert abs(probabilities[0] - probabilities[1]).max() > 0.01


def test_columns_are_read_without_directions(directed_net: Runtime) -> None:
    columns = np.frombuffer(line(40), np.uint8).reshape(-1, H)
    client = SessionClient(directed_net)
    client.ask(message("configure", results="message"))
    messages = client.ask(*(column.tobytes() for column in columns))
    assert [each.column for each in results(messages)] == list(range(len(columns)))
    expected = most_probable(directed_net, with_directions(columns))
    np.testing.assert_allclose(np.sort(newest_probabilities(messages)), expected, atol=1e-5)


def test_lines_of_columns_and_of_ink_follow_one_another(
    directed_net: Runtime,
) -> None:
    ask_ink = (ink(piece(1, WAVE)), message("flush"))
    ask_columns = (line(40), message("flush"))
    of_ink = flushed(SessionClient(directed_net).ask(*ask_ink)).text
    of_columns = flushed(SessionClient(directed_net).ask(*ask_columns)).text
    client = SessionClient(directed_net)
    for ask, text in ((ask_ink, of_ink), (ask_columns, of_columns), (ask_ink, of_ink)):
        assert flushed(client.ask(*ask)).text == text
        client.ask(message("reset"))
    client.ask(line(30), message("rewind", column=0))
    assert flushed(client.ask(*ask_ink)).text == of_ink
    client.ask(message("rewind", column=0))
    assert flushed(client.ask(*ask_columns)).text == of_columns


def test_columns_that_wait_behind_ink_and_a_reset_keep_their_size(directed_net: Runtime) -> None:
    client = SessionClient(directed_net)
    client.send(ink(piece(1, WAVE)), message("flush"), message("reset"), line(40), message("flush"))
    client.drain()
    texts = [each.text for each in client.received if isinstance(each, Flushed)]
    assert texts == [
        read_at_once(directed_net, WAVE).text,
        flushed(SessionClient(directed_net).ask(line(40), message("flush"))).text,
    ]
