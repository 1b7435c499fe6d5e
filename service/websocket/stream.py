"""A session's way through its WebSocket: the only code that awaits one.

It speaks ASGI itself, below FastAPI's `WebSocket`, and on our own server it is pushed to: at one
column a message every layer and every wake-up counts. Who is far ahead is held: the server stops
reading that socket, and TCP stops the client. Back pressure, and no loss.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import ExitStack
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from inkstream.model.errors import InkstreamError
from inkstream.service.http_errors import error_response
from inkstream.service.logs import get_logger
from inkstream.service.protocol.errors import MEANINGS, PathUnknownError, SessionUnknownError
from inkstream.service.protocol.events import Decided
from inkstream.service.protocol.server_messages import (
    PATH,
    PROTOCOL,
    Error,
    Result,
    ServerMessage,
    encode,
)
from inkstream.service.service import RunningModel, Service
from inkstream.service.session import Close, Effect, Send

PUSH: Final = "inkstream.push"  # the ASGI extension that a `Pushing` connection is offered as
HOLD_FROM: Final = 512  # messages on their way out: from here on the client is held
MERGE_FROM: Final = 256  # from here on a result takes the place of a result before it
REQUEST_ID_BYTES: Final = 8
ABNORMAL: Final = 1006  # RFC 6455, 7.4.1: closed without a word

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
SendEvent = Callable[[Event], Awaitable[None]]

log = get_logger()


class Pushing(Protocol):
    """A connection that spares `receive` and `send` their detours through queues and tasks."""

    listener: Callable[[str | bytes], None] | None  # gets each message, as soon as it is set

    def push(self, text: str) -> bool:
        """Send a text if that can be done at once, and say whether."""

    def hold(self) -> None:
        """Read nothing more from the client."""

    def release(self) -> None:
        """Read on."""


class StreamEndpoint:
    """The ASGI application behind all WebSockets: lets visitors in, or says why not."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Event, receive: Receive, send: SendEvent) -> None:
        await receive()  # websocket.connect
        with ExitStack() as stack:
            try:
                model = self._choose_model(scope)
                stream = Stream(model, self._service, receive, send)
                client = scope["client"][0] if scope["client"] else "unknown"
                session_id = stack.enter_context(
                    self._service.sessions.admit(client, stream.say_goodbye)
                )
            except InkstreamError as error:
                await self._refuse(scope, send, error)
                return
            await stream.run(session_id, scope, client)

    def _choose_model(self, scope: Event) -> RunningModel:
        """Check what the visitor shows and asks for; raises an `InkstreamError`."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path != PATH:
            raise PathUnknownError(f"no WebSocket is at {path[:100]}, expected {PATH}")
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        access = self._service.access
        access.check_origin(headers.get(b"origin"), headers.get(b"host"))
        access.check_key(headers.get(b"authorization"), scope["subprotocols"])
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if "session" in query:
            raise SessionUnknownError("this server does not offer to resume sessions")
        return self._service.model(query["model"][-1] if "model" in query else None)

    async def _refuse(self, scope: Event, send: SendEvent, error: InkstreamError) -> None:
        """A browser cannot see an HTTP status: who speaks our subprotocol is told inside."""
        request_id = secrets.token_hex(REQUEST_ID_BYTES)
        self._service.observer.refused(error.code)
        log.info("session refused", request=request_id, code=error.code, reason=str(error))
        if PROTOCOL in scope["subprotocols"]:
            message = Error(code=error.code, message=str(error), fatal=True)
            closing = MEANINGS[error.code].closing
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            await send({"type": "websocket.send", "text": encode(message)})
            await send({"type": "websocket.close", "code": closing, "reason": error.code})
        else:
            await _deny(send, error, request_id)


async def _deny(send: SendEvent, error: InkstreamError, request_id: str) -> None:
    """Answer the request for an upgrade by HTTP, as REST answers."""
    status = MEANINGS[error.code].http
    response = error_response(status, error.code, str(error), request_id)
    head = {"status": status, "headers": response.raw_headers}
    await send({"type": "websocket.http.response.start", **head})
    await send({"type": "websocket.http.response.body", "body": response.body})


def _subprotocol(scope: Mapping[str, Any]) -> str | None:
    return PROTOCOL if PROTOCOL in scope["subprotocols"] else None


class Stream:
    """One connected session: what comes in, what goes out, and its deadlines."""

    def __init__(
        self, model: RunningModel, service: Service, receive: Receive, send: SendEvent
    ) -> None:
        self._model = model
        self._engine = model.engine
        self._limits = service.limits
        self._observer = service.observer
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._pushing: Pushing | None = None
        self._outbox: deque[ServerMessage] = deque()  # what could not be pushed
        self._more: asyncio.Future[None] | None = None  # what the writer waits for; None: it writes
        self._close: Close | None = None  # once set, it is the last to be sent
        self._room = asyncio.Event()  # cleared while the client is held
        self._room.set()

    async def run(self, session_id: str, scope: Event, client: str) -> None:
        """Serve the session until either side closes."""
        self._session = self._model.new_session(session_id, self._limits)
        self._seat = self._engine.attach(self._session, self._deliver)
        self._engine.apply(self._seat, self._session.open())
        self._opened_s = self._heard_s = self._loop.time()
        self._pushing = scope.get("extensions", {}).get(PUSH)
        try:
            await self._send({"type": "websocket.accept", "subprotocol": _subprotocol(scope)})
            log.info("session opened", session=session_id, client=client)
            code = await self._exchange()
        finally:
            self._engine.detach(self._seat)
        seconds = round(self._loop.time() - self._opened_s, 3)
        log.info("session closed", session=session_id, code=code, seconds=seconds)

    def say_goodbye(self, time_left_s: float) -> None:
        """Tell the client that the server is about to stop, or end now if no time is left."""
        session = self._session
        effects = session.goaway(time_left_s) if time_left_s > 0 else session.stopped()
        self._engine.apply(self._seat, effects)

    async def _exchange(self) -> int:
        """Read and write until either side closes; gives the closing code."""
        if self._pushing is not None:
            self._pushing.listener = self._hear
        writer = self._loop.create_task(self._write())
        reader = self._loop.create_task(self._read())
        self._watch()
        try:
            await asyncio.wait([writer, reader], return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()  # raises a fault of ours
            return await reader
        finally:
            self._timer.cancel()
            writer.cancel()
            reader.cancel()

    # In

    async def _read(self) -> int:
        """Hand over what is not pushed, until the connection ends; gives the closing code."""
        while True:
            await self._room.wait()
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return int(event["code"])
            text = event.get("text")
            self._hear(event["bytes"] if text is None else text)

    def _hear(self, message: str | bytes) -> None:
        """Take one message of the client, and hold it if it is too far ahead."""
        if self._close is not None:
            return
        self._heard_s = self._loop.time()
        try:
            self._engine.receive(self._seat, message, self._heard_s)
        except Exception:
            log.exception("session failed", session=self._session.session_id)
            self._engine.apply(self._seat, self._session.failed("the service failed"))
        if self._is_behind(self._limits.max_waiting_columns, HOLD_FROM) and self._room.is_set():
            self._room.clear()
            if self._pushing is not None:
                self._pushing.hold()

    def _is_behind(self, columns: int, messages: int) -> bool:
        """Whether so much waits for the engine, or for the client to read it."""
        return self._session.waiting_columns >= columns or len(self._outbox) >= messages

    def _make_room(self) -> None:
        """Let a held client go on once half of what it waited for is gone, or all is over."""
        half = self._limits.max_waiting_columns // 2
        if self._close is not None or not self._is_behind(half, HOLD_FROM // 2):
            self._room.set()
            if self._pushing is not None:
                self._pushing.release()

    # Out

    def _deliver(self, effects: list[Effect]) -> None:
        """Send what the session says, at once where that can be done."""
        for effect in effects:
            if isinstance(effect, Send):
                if isinstance(effect.message, Error):
                    self._observer.error(effect.message.code)
                if not self._push(effect.message):
                    self._post(effect.message)
            elif isinstance(effect, Close):
                self._close = effect
        waiting = self._more
        if waiting is not None and (self._outbox or self._close) and not waiting.done():
            waiting.set_result(None)
        if not self._room.is_set():
            self._make_room()

    def _push(self, message: ServerMessage) -> bool:
        """Send a message past the writer, where it has nothing left to do; say whether."""
        if self._pushing is None or self._more is None or self._outbox:
            return False
        return self._pushing.push(encode(message))

    def _post(self, message: ServerMessage) -> None:
        """Leave a message to the writer; where many wait, a result gives way to a newer one.

        Only events may stand between the two, which stay as they are.
        """
        outbox = self._outbox
        if len(outbox) >= MERGE_FROM and type(message) is Result:
            place = len(outbox) - 1
            while place and isinstance(outbox[place], Decided):
                place -= 1
            if type(outbox[place]) is Result:
                del outbox[place]
        outbox.append(message)

    async def _write(self) -> None:
        """Send what is in the outbox whenever there is something, and in the end the close."""
        send, outbox = self._send, self._outbox
        try:
            while self._close is None or outbox:
                if outbox:
                    await send({"type": "websocket.send", "text": encode(outbox.popleft())})
                    if not self._room.is_set():
                        self._make_room()
                else:
                    self._more = self._loop.create_future()
                    await self._more
                    self._more = None
            code, reason = self._close.code, self._close.reason
            await send({"type": "websocket.close", "code": code, "reason": reason})
        except OSError:
            self._close = Close(ABNORMAL, "")  # the client is gone: let the reader hear of it
            self._make_room()

    def _watch(self) -> None:
        """Close the session at its deadline; until then, look again when it may be due."""
        now_s = self._loop.time()
        if not self._room.is_set():  # held: the silence is ours
            self._heard_s = now_s
        expiry_s = self._opened_s + self._limits.max_session_s
        due_s = min(expiry_s, self._heard_s + self._limits.idle_timeout_s)
        if now_s < due_s:
            self._timer = self._loop.call_at(due_s, self._watch)
        else:
            session = self._session
            over = session.expired() if now_s >= expiry_s else session.idle()
            self._engine.apply(self._seat, over)
