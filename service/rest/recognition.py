"""Read the columns of a request by sessions and the engine, as a stream's columns are read.

A page's lines are read by a session each, few at once, so that a page takes its share of the server
and no more.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.base import DECIMALS
from inkstream.model.pages import UPRIGHT_CONFIDENCE, Page, PageLine
from inkstream.model.pages.answers import Letter, Word
from inkstream.service.loading import read, unread
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.errors import StoppingError, error_of
from inkstream.service.rest.work import LineReading
from inkstream.service.service import RunningModel
from inkstream.service.session import Close, Effect, Session

STEP_EVENTS: Final = 64  # that are encoded at once: less than a millisecond


def ordered_pairs(result: messages.Result) -> list[messages.Pair]:
    """Return labels and their rounded probabilities, the most probable first."""
    ordered = sorted(result.probabilities, key=itemgetter(1), reverse=True)
    return [(label, round(p, DECIMALS)) for label, p in ordered]


def answer_of(event: messages.Event) -> Letter | Word:
    """Return a letter or a word of a stream as answers have it."""
    if isinstance(event, messages.Word):
        return Word(**dict(event))
    return Letter(**dict(event))


class Answers:
    """What a session sends for columns, up to the answer to a flush."""

    def __init__(self, *, with_curve: bool = False) -> None:
        self.newest: messages.Result | None = None
        self._with_curve = with_curve
        # JSON of the probabilities after every column. As objects, those of 24,000 columns would
        # make a collection of garbage take 20 ms.
        self.curve: list[msgspec.Raw] = []
        self.events: list[messages.Event] = []
        self.text: str | None = None  # a transcriber's
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def deliver(self, effects: list[Effect]) -> None:
        """Keep what the session sends."""
        for effect in effects:
            match effect:
                case messages.Result() as result:
                    self.newest = result
                    if self._with_curve:
                        self.curve.append(msgspec.Raw(msgspec.json.encode(ordered_pairs(result))))
                case messages.Flushed() as flushed:
                    self.text = flushed.text
                    if not self.complete.done():
                        self.complete.set_result(None)
                case messages.Error() as error:
                    self._fail(error_of(error.code, error.message))
                case messages.Decided() as event:
                    self.events.append(event)
                case Close(_, reason):
                    self._fail(StoppingError(reason))

    def _fail(self, error: Exception) -> None:
        """Keep the first error: the close that follows it adds nothing."""
        if not self.complete.done():
            self.complete.set_exception(error)


class Encoder:
    """Encodes events on the event loop in steps, one step of all requests in a turn of the loop.

    In a thread it would take the interpreter from the loop for 5 ms at a time.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def encode(self, events: Sequence[messages.Event]) -> list[msgspec.Raw]:
        """Return the JSON of each event as answers have it."""
        encoded: list[msgspec.Raw] = []
        for start in range(0, len(events), STEP_EVENTS):
            async with self._turn:
                for event in events[start : start + STEP_EVENTS]:
                    encoded.append(msgspec.Raw(answer_of(event).model_dump_json().encode()))
                if len(events) > STEP_EVENTS:
                    await asyncio.sleep(0)
        return encoded


async def recognize(
    model: RunningModel,
    session_id: str,
    client: str,
    columns: NDArray[np.uint8],
    options: Mapping[str, Any],
) -> Answers:
    """Read columns [n, H or 3 H] by a new session, under the options of a `configure`.

    Their number was bounded with the body, so all of them may wait at once. Raises what the session
    sends as an error.
    """
    languages = model.session_model.languages
    configure = json.dumps({"type": "configure", **options})
    await read(languages, unread(languages, configure))
    answers = Answers(with_curve=options["results"] == "column")
    session = Session(session_id, model.session_model, column_size=columns.shape[1])
    member = model.engine.attach(session, answers.deliver, client)
    try:
        step = model.session_model.limits.max_message_columns
        sent: list[str | bytes] = [configure]
        sent += [columns[i : i + step].tobytes() for i in range(0, len(columns), step)]
        for message in (*sent, json.dumps({"type": "flush"})):
            model.engine.receive(member, message, time.monotonic())
        await answers.complete
    finally:
        model.engine.detach(member)
    return answers


async def recognize_page(
    model: RunningModel,
    request_id: str,
    client: str,
    page: Page,
    options: Mapping[str, Any],
    *,
    encoder: Encoder,
) -> tuple[Page, list[LineReading]]:
    """Read the lines of a page, which is turned first if it is upside down.

    Raises what `recognize` raises for the first line that fails.
    """
    turns = asyncio.Semaphore(8)  # lines at once: an eighth of a batch of the engine

    async def read(number: int, line: PageLine) -> tuple[LineReading, list[float]]:
        async with turns:
            session_id = f"{request_id}.{number}"
            answers = await recognize(model, session_id, client, line.columns, options)
        letters = (event for event in answers.events if isinstance(event, messages.Letter))
        confidences = [letter.confidence for letter in letters]
        events = await encoder.encode(answers.events)
        return LineReading(answers.text or "", msgspec.json.encode(events)), confidences

    async def read_all(page: Page) -> tuple[list[LineReading], float]:
        try:
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(read(n, line)) for n, line in enumerate(page.lines)]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        results = [task.result() for task in reading]
        confidences = [confidence for _, of_line in results for confidence in of_line]
        return [line for line, _ in results], sum(confidences) / max(1, len(confidences))

    lines, confidence = await read_all(page)
    if confidence < UPRIGHT_CONFIDENCE:
        _, turned_confidence = await read_all(page.upside_down().sample())
        if turned_confidence > confidence:
            page = page.upside_down()
            lines, _ = await read_all(page)
    return page, lines
