"""One image's way through session and engine, as if its columns had come through a stream."""

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect, Request

from inkstream.service.client.conversation import error_of
from inkstream.service.protocol.errors import StoppingError
from inkstream.service.protocol.events import Event
from inkstream.service.protocol.server_messages import Error, Flushed, Limits, Result
from inkstream.service.service import RunningModel
from inkstream.service.session import Close, Effect, Send

FLUSH: Final = '{"type":"flush"}'

T = TypeVar("T")


class Reading:
    """What a session says of columns, up to the answer to a flush."""

    def __init__(self) -> None:
        self.results: list[Result] = []  # of every column, or a few with the last one's among them
        self.events: list[Event] = []
        self.text: str | None = None  # a transcriber's
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def deliver(self, effects: list[Effect]) -> None:
        """Hear what the session says."""
        for effect in effects:
            match effect:
                case Send(Result() as result):
                    self.results.append(result)
                case Send(Flushed() as flushed):
                    self.text = flushed.text
                    self._settle(None)
                case Send(Error() as error):
                    self._settle(error_of(error.code, error.message))
                case Send(message) if isinstance(message, Event):
                    self.events.append(message)
                case Close(_, reason):
                    self._settle(StoppingError(reason))

    def _settle(self, error: Exception | None) -> None:
        """The first word counts: the close that follows an error adds nothing."""
        if self.complete.done():
            return
        if error is None:
            self.complete.set_result(None)
        else:
            self.complete.set_exception(error)


async def read(
    model: RunningModel,
    limits: Limits,
    session_id: str,
    columns: NDArray[np.uint8],
    choices: Mapping[str, Any],
) -> Reading:
    """Have `columns` [n, H] read by a session of their own, by what a `configure` may choose.

    Their number was bounded with the body, so all of them may wait at once. Raises what the session
    sends as an error.
    """
    reading = Reading()
    session = model.new_session(session_id, limits)
    seat = model.engine.attach(session, reading.deliver)
    try:
        model.engine.apply(seat, session.open())
        messages: list[str | bytes] = [json.dumps({"type": "configure", **choices})]
        step = limits.max_message_columns
        messages += [columns[i : i + step].tobytes() for i in range(0, len(columns), step)]
        for message in [*messages, FLUSH]:
            model.engine.receive(seat, message, time.monotonic())
        await reading.complete
    finally:
        model.engine.detach(seat)
    return reading


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives for a request whose body was read; given up when the client leaves.

    Raises `ClientDisconnect` then.
    """
    leaving = asyncio.create_task(_leave(request))
    working = asyncio.create_task(work)
    try:
        await asyncio.wait([leaving, working], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait([leaving, working])  # nothing is being read any more


async def _leave(request: Request) -> None:
    """Wait until the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
