"""WebSockets: who may open one, then messages in, messages out, deadlines, back pressure.

`StreamEndpoint` is the ASGI application behind all of them; a `Stream` serves one session and
speaks ASGI, below FastAPI's `WebSocket`, and on our own server it reads and writes the connection
directly: at one column a message every layer and every wake-up counts. A client that is too far
ahead is paused: the server stops reading its socket, and TCP stops the client. So memory is bounded
and no message is lost.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

import structlog

from inkstream.model.errors import InkstreamError
from inkstream.service.loading import read, unread
from inkstream.service.observe.logs import get_logger
from inkstream.service.observe.tracing import TRACEPARENT, trace_of
from inkstream.service.protocol import errors
from inkstream.service.protocol.server_messages import (
    PATH,
    PROTOCOL,
    Error,
    Result,
    ServerMessage,
    encode,
)
from inkstream.service.rest.errors import error_response
from inkstream.service.service import RunningModel, Service, check_repeated
from inkstream.service.session import Close, Effect, Options, Restore, Session

DIRECT: Final = "inkstream.direct"  # in the state of ASGI's scope: weak, of a `DirectConnection`
PAUSE_FROM: Final = 512  # a client is paused once so many messages wait for the engine or for it
MERGE_FROM: Final = 256  # from here on a result takes the place of a result before it
AT_ONCE: Final = 64  # messages of the outbox that are written at once: about 20 kB
ABNORMAL: Final = 1006  # RFC 6455, 7.4.1: the connection was lost without a close

AsgiEvent = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiEvent]]
SendEvent = Callable[[AsgiEvent], Awaitable[None]]

log = get_logger()


class DirectConnection(Protocol):
    """A connection that is read and written without the queues and tasks of ASGI.

    `send_now` sends UTF-8 texts in one write if that needs no waiting, and returns whether.
    """

    transport: asyncio.Transport
    listener: Callable[[str | bytes], None] | None  # while set, called with each message

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def send_now(self, texts: Iterable[bytes]) -> bool: ...


class Stream:
    """One connected session."""

    def __init__(
        self, model: RunningModel, options: Options, service: Service, credential: bytes
    ) -> None:
        self._new_session = partial(
            Session, model=model.session_model, client=credential, options=options
        )
        self._engine = model.engine
        self._languages = model.session_model.languages
        self._held: list[str | bytes] | None = None  # messages, while languages are read for them
        self._limits = service.limits
        self._metrics = service.metrics
        self._loop = asyncio.get_running_loop()
        self._connection: DirectConnection | None = None
        self._outbox: list[ServerMessage] = []  # what could not be sent at once
        self._posted = asyncio.Event()  # while the writer has something to send
        self._close: Close | None = None  # once set, it is the last to be sent
        self._may_read = asyncio.Event()  # unless the client is paused
        self._may_read.set()
        self._timer: asyncio.TimerHandle | None = None  # of the deadlines
        self._pause_timer: asyncio.TimerHandle | None = None  # while the client owes tokens

    async def run(
        self, session_id: str, client: str, scope: AsgiEvent, receive: Receive, send: SendEvent
    ) -> None:
        """Serve the session until either side closes."""
        self._session = self._new_session(session_id)
        self._member = self._engine.attach(self._session, self._deliver, client)
        self._opened_s = self._received_s = self._loop.time()
        subprotocol = PROTOCOL if PROTOCOL in scope["subprotocols"] else None
        try:
            await send({"type": "websocket.accept", "subprotocol": subprotocol})
            self._member.log.info("session opened", client=client)
            direct = scope.get("state", {}).get(DIRECT, lambda: None)
            code = await self._exchange(receive, send, direct())
        finally:
            self._engine.detach(self._member)
        seconds = round(self._loop.time() - self._opened_s, 3)
        self._member.log.info("session closed", code=code, seconds=seconds)

    def send_goaway(self, time_left_s: float) -> None:
        """Tell the client that the server is about to stop; close now if no time is left."""
        try:
            if time_left_s > 0:
                self._engine.apply(self._member, self._session.goaway(time_left_s))
            else:
                self._fail(errors.StoppingError("the server has stopped"))
        except Exception:  # of any kind: the other sessions must get their goaway
            self._fail()

    def _fail(self, error: InkstreamError | None = None) -> None:
        """Close the session, and send the reason; None: a fault of ours, which is logged."""
        if error is None:
            self._member.log.exception("session failed")
        effects = self._session.fail(error or InkstreamError("the service failed"))
        self._engine.apply(self._member, effects)

    async def _exchange(
        self, receive: Receive, send: SendEvent, direct: DirectConnection | None
    ) -> int:
        """Read and write until either side closes; return the closing code."""
        self._connection = direct
        if direct is not None:
            direct.listener = self._take
            direct.resume_reading()
        self._check_deadlines()
        try:
            async with asyncio.TaskGroup() as tasks:  # a fault of ours in one ends both
                writer = tasks.create_task(self._write(send))
                code = await self._read(receive)
                writer.cancel()
            return code
        finally:
            for timer in (self._timer, self._pause_timer):
                if timer is not None:
                    timer.cancel()
            if direct is not None:
                direct.listener = None

    # In

    async def _read(self, receive: Receive) -> int:
        """Take what comes by `receive` until the connection ends; return the closing code."""
        while True:
            await self._may_read.wait()
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return int(event["code"])
            text = event.get("text")
            self._take(event["bytes"] if text is None else text)

    def _take(self, message: str | bytes) -> None:
        """Take one message; hold it, and what follows it, while languages are read for it."""
        if self._held is not None:
            self._held.append(message)
        elif names := unread(self._languages, message):
            self._held = [message]
            self._pause()
            self._reading = self._loop.create_task(self._read_languages(names))
        else:
            self._receive(message)

    async def _read_languages(self, names: Sequence[str]) -> None:
        """Read languages, then take the messages that were held meanwhile."""
        await read(self._languages, names)
        first, *others = self._held or []
        self._held = None
        self._receive(first)
        for message in others:
            self._take(message)
        self._resume()

    def _receive(self, message: str | bytes) -> None:
        """Hand a message to the engine; pause a client that is too far ahead, or owes tokens."""
        if self._close is not None:
            return
        self._received_s = self._loop.time()
        try:
            self._engine.receive(self._member, message, self._received_s)
        except Exception:
            self._fail()
        owes = self._session.inbox.paid_s > self._received_s
        if self._may_read.is_set() and (owes or self._is_ahead(1)):
            self._pause()
            self._resume()

    def _pause(self) -> None:
        self._may_read.clear()
        if self._connection is not None:
            self._connection.pause_reading()

    def _is_ahead(self, part: int) -> bool:
        """Whether at least a `part`-th of what may wait does, of columns or of messages.

        A message of one column takes three times the memory of a column in a longer one.
        """
        inbox, max_messages = self._session.inbox, PAUSE_FROM // part
        return (
            inbox.waiting_columns >= self._limits.max_waiting_columns // part
            or inbox.n_messages >= max_messages
            or len(self._outbox) >= max_messages
        )

    def _resume(self) -> None:
        """Let a paused client go on once half of what waited is gone, or the session is over.

        A client that owes tokens is checked again when it owes none.
        """
        if self._held is not None:
            return
        if self._close is None:
            paid_s = self._session.inbox.paid_s
            if paid_s > self._loop.time():
                if self._pause_timer is not None:
                    self._pause_timer.cancel()
                self._pause_timer = self._loop.call_at(paid_s, self._resume)
                return
            if self._is_ahead(2):
                return
        self._may_read.set()
        self._received_s = self._loop.time()  # until now the client was silent because of us
        if self._connection is not None:
            self._connection.resume_reading()

    # Out

    def _deliver(self, effects: list[Effect]) -> None:
        """Send what the session has for the client, at once where that needs no waiting."""
        messages: list[ServerMessage] = []
        for effect in effects:
            if isinstance(effect, Close):
                self._close = effect
            elif not isinstance(effect, Restore):
                messages.append(effect)
                if isinstance(effect, Error):
                    self._metrics.error(effect.code)
        direct = None if self._outbox else self._connection
        if messages and (direct is None or not direct.send_now(map(encode, messages))):
            for message in messages:
                self._post(message)
        if self._outbox or self._close:
            self._posted.set()
        if not self._may_read.is_set():
            self._resume()

    def _post(self, message: ServerMessage) -> None:
        """Leave a message to the writer; where many wait, a result replaces one right before it.

        A result before an event stays: a client that resumes after the event must have its text.
        """
        outbox = self._outbox
        if len(outbox) >= MERGE_FROM and isinstance(message, Result):
            before = outbox[-1]
            if isinstance(before, Result):
                message = message.after(before)
                outbox.pop()
        outbox.append(message)

    async def _write(self, send: SendEvent) -> None:
        """Send what is in the outbox whenever there is something, and in the end the close."""
        outbox, direct = self._outbox, self._connection
        try:
            while self._close is None or outbox:
                if not outbox:
                    self._posted.clear()
                    await self._posted.wait()
                elif direct is not None and direct.send_now(map(encode, outbox[:AT_ONCE])):
                    del outbox[:AT_ONCE]
                else:
                    await send({"type": "websocket.send", "text": encode(outbox[0]).decode()})
                    del outbox[0]  # not before: what comes meanwhile is sent behind it
                if not self._may_read.is_set():
                    self._resume()
            close = {"code": self._close.code, "reason": self._close.reason}
            await send({"type": "websocket.close", **close})
        except (OSError, RuntimeError) as error:
            # uvicorn closes by itself for a frame that is not allowed, and then raises an error
            # for all that is sent.
            is_closing = direct is not None and direct.transport.is_closing()
            if isinstance(error, RuntimeError) and not is_closing:
                raise
            self._close = Close(ABNORMAL, "")  # the client is gone: let the reader receive that
            self._resume()

    def _check_deadlines(self) -> None:
        """Close the session at its deadline; until then, check again when it may be due."""
        now_s = self._loop.time()
        if not self._may_read.is_set():  # the client is silent because of us
            self._received_s = now_s
        longest_s, idle_s = self._limits.max_session_s, self._limits.idle_timeout_s
        expiry_s, idle_end_s = self._opened_s + longest_s, self._received_s + idle_s
        if now_s >= expiry_s:
            age = f"the session is {longest_s:g} s old"
            self._fail(errors.SessionExpiredError(f"{age}, the most that is allowed"))
        elif now_s >= idle_end_s:
            self._fail(errors.IdleError(f"no message for {idle_s:g} s, the longest allowed"))
        else:
            due_s = min(expiry_s, idle_end_s)
            self._timer = self._loop.call_at(due_s, self._check_deadlines)


class StreamEndpoint:
    """Serve a stream to each client that is allowed; answer the others with the reason."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: AsgiEvent, receive: Receive, send: SendEvent) -> None:
        await receive()  # websocket.connect
        address = str(scope["client"][0]) if scope["client"] else None
        client = address or "unknown"
        try:
            stream = await self._new_stream(scope, address)
            self._service.sessions.check(client)
        except InkstreamError as error:
            await self._refuse(scope, send, error)
            return
        with self._service.sessions.admit(client, stream.send_goaway) as session_id:
            await stream.run(session_id, client, scope, receive, send)

    async def _new_stream(self, scope: AsgiEvent, address: str | None) -> Stream:
        """Return a stream as its query asks; raise an `InkstreamError` if it is refused."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        check_repeated({name: len(given.get(name, ())) for name in ("model", "language")})
        query = {name: values[-1] for name, values in given.items()}
        # The server runs each connection in a separate task, so this binds to its log lines alone.
        structlog.contextvars.bind_contextvars(
            **trace_of(headers.get(TRACEPARENT.encode()), query.get(TRACEPARENT))
        )
        access, host = self._service.access, headers.get(b"host")
        access.check_addresses(host, address)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path != PATH:
            raise errors.PathUnknownError(f"no WebSocket is at {path[:100]}, expected {PATH}")
        access.check_origin(headers.get(b"origin"), host)
        credential = access.check_key(headers.get(b"authorization"), scope["subprotocols"])
        model = self._service.model(query.get("model"))
        languages = model.session_model.languages
        await read(languages, unread(languages, json.dumps(query)))
        return Stream(model, model.options_of(query), self._service, credential)

    async def _refuse(self, scope: AsgiEvent, send: SendEvent, error: InkstreamError) -> None:
        """Refuse by an error message where our subprotocol is offered, else by HTTP as REST does.

        A browser's script sees messages and closing codes, but no HTTP status.
        """
        request_id = secrets.token_hex(8)
        self._service.metrics.refused(error.code)
        log.info("session refused", request=request_id, code=error.code)
        meaning = errors.MEANINGS[error.code]
        if PROTOCOL in scope["subprotocols"]:
            message = Error(code=error.code, message=str(error), fatal=True)
            close = {"code": meaning.closing, "reason": error.code}
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            await send({"type": "websocket.send", "text": encode(message).decode()})
            await send({"type": "websocket.close", **close})
        else:
            response = error_response(meaning.http, error.code, str(error), request_id)
            head = {"status": response.status_code, "headers": response.raw_headers}
            await send({"type": "websocket.http.response.start", **head})
            await send({"type": "websocket.http.response.body", "body": response.body})
