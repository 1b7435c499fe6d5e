"""Results that are merged for a slow client, who may go on elsewhere after any message."""

from typing import Any

from inkstream.model.checkpoint import Checkpoint
from inkstream.service.websocket import MERGE_FROM
from tests.helpers import builders
from tests.helpers.engine_sessions import RecordingMetrics
from tests.helpers.single_session import message
from tests.service.websocket.asgi_websocket import AsgiClient, serving

N_COLUMNS = 3 * MERGE_FROM


async def heard_by(tiny_lines: Checkpoint, *, reads: bool) -> list[dict[str, Any]]:
    """Return the messages that a client hears of a line."""
    metrics = RecordingMetrics()
    async with serving(tiny_lines, metrics) as (service, _):
        client = AsgiClient(service)
        await client.wait_for(0)
        if not reads:
            client.may_send.clear()
        client.send(builders.columns(N_COLUMNS, 3, 16).tobytes(), message("ping"), message("flush"))
        await metrics.wait_until(N_COLUMNS)
        client.may_send.set()
        await client.wait_until(lambda client: client.received[-1]["type"] == "flushed")
        client.vanish()
        await client.wait_for_end()
    return client.received[1:]


def texts(messages: list[dict[str, Any]]) -> dict[int, str]:
    """Return the text that a client has after each message, by its number."""
    text, found = "", {}
    for each in messages:
        if each["type"] == "result":
            text = text[: each["stable"]] + each["text"]
        if "seq" in each:
            found[each["seq"]] = text
    return found


async def test_a_client_has_the_same_text_after_each_message_that_it_heard(
    tiny_lines: Checkpoint,
) -> None:
    heard_fast, heard_slow = [await heard_by(tiny_lines, reads=reads) for reads in (True, False)]
    fast, slow = texts(heard_fast), texts(heard_slow)
    assert slow == {seq: fast[seq] for seq in slow}
    others = [
        [each for each in all_ if each["type"] != "result"] for all_ in (heard_fast, heard_slow)
    ]
    assert others[0] == others[1]  # events and answers are never left out, and keep their order
    # From MERGE_FROM on each result replaces one before it, if no event is between them.
    assert len(slow) <= MERGE_FROM + 2 * len(others[0])
    assert max(seq for seq in slow if seq != max(slow)) == max(fast) - 1
