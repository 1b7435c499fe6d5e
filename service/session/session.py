"""One writer's stream as a state machine without I/O: frames in, effects out.

All that a client sends waits in one queue, faulty messages included. `_advance` works off its head
until columns are there; those wait for the engine, which takes them (`take`), runs the net and
gives the scores back (`stepped`). So every message gets its answers in the order of the messages,
and no clock, lock or task is needed. What may happen when: `states.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import InkstreamError, InputError
from inkstream.service.limits import Limits
from inkstream.service.protocol import client_messages as requests
from inkstream.service.protocol import errors
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.client_messages import parse_client
from inkstream.service.protocol.errors import MEANINGS, MessageError, Ref, ValueRefusedError
from inkstream.service.protocol.server_messages import ModelInfo
from inkstream.service.session.effects import Close, Effect, Restore, Send, failure
from inkstream.service.session.inbox import Control, Held, Inbox
from inkstream.service.session.ink import Pen
from inkstream.service.session.line import Line
from inkstream.service.session.options import Choices, Decoders
from inkstream.service.session.outputs import Voice, voice_of
from inkstream.service.session.rate_limit import Pace
from inkstream.service.session.revisions import Told
from inkstream.service.session.states import Event, State, after

COLUMNS: Final = (bytes, requests.Columns)  # the two ways in which columns come
NORMAL_CLOSURE: Final = 1000  # RFC 6455, 7.4.1

OPEN, RUNNING = State.OPEN, State.RUNNING  # to name an Enum's member takes time: 50 ns


class Session:
    """One stream: `open` it, then frames go in by `receive` and columns out by `take`."""

    def __init__(self, session_id: str, model: ModelInfo, limits: Limits, decoders: Decoders):
        self.session_id = session_id
        self._model = model
        self._limits = limits
        self._state = State.NEW
        self._choices = Choices(model, decoders)
        self._inbox = Inbox(model.column_height)
        self._pen = Pen(model, limits)
        self._line = Line(self._voice, model.column_height, limits.max_rewind_columns)
        self._told = Told(limits.max_rewind_columns)
        self._flight = b""  # the columns being run
        self._message_ends: list[int] = []  # which of those are the last of a message
        self._then: Callable[[], list[Effect]] = list  # once a rewind or a flush is done
        self._next_index = 0  # of the client's messages
        self._bad_in_a_row = 0
        self._pace = Pace(limits.max_control_per_s)
        self._started_s = self._newest_s = 0.0  # when the first and the newest message came

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def closed(self) -> bool:
        """Whether a `Close` was given; what comes afterwards is dropped."""
        return self._state is State.CLOSED

    @property
    def waiting_columns(self) -> int:
        """Columns received and not yet taken; at the limit, stop reading from the client."""
        return self._inbox.waiting_columns

    @property
    def ready_columns(self) -> int:
        """Columns that the engine may take now."""
        if self._state is OPEN:
            return self._inbox.head_columns
        if self._state is State.REWINDING or self._state is State.FLUSHING:
            return self._line.aside_columns
        return 0

    # What comes from outside

    def open(self) -> list[Effect]:
        """Begin; gives `ready`."""
        self._state = after(self._state, Event.OPEN)
        return [Send(messages.ready(self.session_id, self._model, self._limits))]

    def receive(self, frame: str | bytes, now_s: float) -> list[Effect]:
        """Take one frame, text or columns, that came at `now_s`; gives what is due at once."""
        self._state = after(self._state, Event.RECEIVE)
        if self.closed:
            return []
        index = self._next_index
        self._next_index = index + 1
        if not index:
            self._started_s = now_s
        try:
            message = frame if isinstance(frame, bytes) else parse_client(frame)
            if isinstance(message, COLUMNS):
                self._inbox.add_columns(index, message, self._limits)
                return self._advance()
            self._inbox.expect(message, self._limits)
        except MessageError as error:
            return self._receive_control(Control(index, error), now_s)
        return self._receive_control(Control(index, message), now_s)

    def goaway(self, time_left_s: float) -> list[Effect]:
        """Tell the client that the server is about to stop."""
        self._state = after(self._state, Event.NOTIFY)
        if self.closed:
            return []
        reason = "the server is about to stop"
        return [Send(messages.Goaway(reason=reason, time_left_ms=round(time_left_s * 1000)))]

    def stopped(self) -> list[Effect]:
        """The server stops now."""
        return self._fail(errors.StoppingError("the server has stopped"))

    def idle(self) -> list[Effect]:
        """Nothing came for too long."""
        most = self._limits.idle_timeout_s
        return self._fail(errors.IdleError(f"no message for {most:g} s, the longest allowed"))

    def expired(self) -> list[Effect]:
        """The session is too old."""
        most = self._limits.max_session_s
        text = f"the session is {most:g} s old, the most that is allowed"
        return self._fail(errors.SessionExpiredError(text))

    def failed(self, request_note: str) -> list[Effect]:
        """The server could not do what the client may expect; `request_note` is shown."""
        return self._fail(InkstreamError(request_note))

    # To the engine and back

    def take(self, max_columns: int) -> NDArray[np.uint8] | None:
        """Columns to run now, [n, H] and read-only, n at most `max_columns`; None if none are due.

        They end where a snapshot is due, where a line ends, and before a control message.
        """
        state = after(self._state, Event.TAKE)
        if state is RUNNING:
            data = self._take_new(max_columns)
        else:
            data = b"" if self.closed else self._line.take_aside(max_columns)
        if not data:
            return None
        self._state, self._flight = state, data
        return np.frombuffer(data, np.uint8).reshape(-1, self._model.column_height)

    def _take_new(self, max_columns: int) -> bytes:
        """The next columns of the line."""
        line, inbox, choices = self._line, self._inbox, self._choices
        left = self._limits.max_line_columns - line.column
        n_columns = min(inbox.head_columns, max_columns, line.until_snapshot, left)
        if n_columns <= 0:
            return b""
        if self._pen.writes:  # what is blank in ink is no end, and it is never inverse
            data, self._message_ends = inbox.take(n_columns)
            return data
        if choices.in_force.line_end_columns:
            ahead = inbox.peek(n_columns)
            n_columns = choices.until_line_end(ahead, line.column, line.ink_end)
        data, self._message_ends = inbox.take(n_columns)
        return choices.as_ink(data)

    def stepped(self, scores: NDArray[np.float32], state: NDArray[np.float32]) -> list[Effect]:
        """The columns in flight were run: their scores [n, S], and the state [D] after them."""
        if self._state is not RUNNING:
            return self._stepped_aside(scores)
        self._state = after(self._state, Event.STEP)
        self._bad_in_a_row = 0
        line, choices = self._line, self._choices
        first = line.column
        line.read(scores, state, self._flight)
        ended = choices.line_ends(line.column, line.ink_end) and not self._pen.writes
        picked = choices.picked(len(scores), self._message_ends, ended)
        effects = line.voice.said(line.epoch, first, picked)
        if self._pen.writes:
            effects = self._told.pass_on(effects, line.column)
        if ended:
            effects += self._flush(self._line_ended)
        return effects + self._advance()

    def _stepped_aside(self, scores: NDArray[np.float32]) -> list[Effect]:
        """The same, for columns that a rewind or a flush has run."""
        silent = self._state is State.REPLAYING
        last = not self._line.aside_columns
        self._state = after(self._state, Event.LAST_STEP if last else Event.STEP)
        if self.closed:
            return []
        decided = self._line.read_aside(scores, self._flight)
        effects = [] if silent else self._told.pass_on(decided, self._line.column)
        return [*effects, *self._then(), *self._advance()] if last else effects

    # Control messages

    def _receive_control(self, control: Control, now_s: float) -> list[Effect]:
        """Queue what is not columns, unless too many came."""
        self._newest_s = now_s
        if self._pace.keeps(now_s, self._inbox.cost(control)):
            self._inbox.add_control(control)
            return self._advance()
        return self._fail(self._pace.error, control)

    def _advance(self) -> list[Effect]:
        """Work off the inbox until columns stand at its head that must be read first."""
        effects: list[Effect] = []
        while self._state is OPEN and (control := self._inbox.next_control()):
            effects += self._answer(control)
        return effects + self._check_length()

    def _check_length(self) -> list[Effect]:
        """End a session whose line goes on beyond its limit."""
        most = self._limits.max_line_columns
        if self._line.column < most or self._state is not OPEN or not self.ready_columns:
            return []
        return self._fail(errors.OverLimitError(f"a line has {most} columns at most"))

    def _answer(self, control: Control) -> list[Effect]:
        """Carry out one control message, or say what is wrong with it."""
        try:
            effects = self._carry_out(control)
        except InputError as error:
            return self._fault(error, control)
        self._bad_in_a_row = 0
        return effects

    def _carry_out(self, control: Control) -> list[Effect]:
        match control.message:
            case MessageError() as fault:
                raise fault
            case requests.Ink() as ink:
                oldest, read = self._line.oldest, self._line.column
                portion = self._pen.portion(ink, oldest, read)
                if self._pace.keeps(self._newest_s, portion.cost - 1):
                    return self._draw(*self._pen.draw(portion, oldest, read), portion.refits)
                effects = self._fail(self._pace.error, control)
            case Held() as held:
                self._pen.check_columns(held.id)
                self._inbox.insert(held.data)
                effects = []
            case requests.Configure() as message:
                effects = self._configure(message)
            case requests.Rewind() as message:
                effects = self._rewind(message)
            case requests.Reset() as message:
                effects = self._new_line()
                effects += [Send(messages.ResetDone(id=message.id, epoch=self._line.epoch))]
            case requests.Ping() as message:
                effects = [Send(messages.Pong(id=message.id))]
            case _ if self._pen.holds_back:
                self._inbox.put_back(control)  # behind the columns that it must wait for
                effects = self._draw(*self._pen.rest())
            case requests.Flush() as message:
                effects = self._flush(partial(self._flushed, message.id))
            case _:
                effects = self._flush(self._ended)
        return effects

    def _configure(self, message: requests.Configure) -> list[Effect]:
        self._choices.change(message)
        self._line.listen_anew()
        self._line.allow(self._choices.allowed)
        return [Send(self._choices.in_force)]

    def _draw(self, start: int, data: bytes, refits: bool = False) -> list[Effect]:
        """Have columns of ink read next; those from `start` on are changed where they were read."""
        self._inbox.insert(data)
        until = min(self._line.column, start + self._inbox.head_columns)
        return self._go_back(start, None, until) if refits or start < self._line.column else []

    def _rewind(self, message: requests.Rewind) -> list[Effect]:
        column, oldest = message.column, self._line.oldest
        if not oldest <= column <= self._line.column:
            raise ValueRefusedError(f"column is {column}, allowed: {oldest}..{self._line.column}")
        self._pen.wipe(column)
        return self._go_back(column, message.id, column)

    def _go_back(self, column: int, ref: Ref, until: int) -> list[Effect]:
        """Forget `column` and all after it; tell what stands when they are read up to `until`."""
        self._line.epoch += 1
        self._then = partial(self._rewound, ref, until)
        if column == self._line.column:
            return self._then()
        restore = Restore(self._line.rewind(column))
        if not self._line.aside_columns:
            return [restore, *self._then()]
        self._state = after(self._state, Event.REWIND)
        return [restore]

    def _rewound(self, ref: Ref, until: int) -> list[Effect]:
        self._line.allow(self._choices.allowed)
        line, voice = self._line, self._line.voice
        stands = voice.answer | voice.counts | {"frame": self._pen.fitted}
        rewound = messages.Rewound(id=ref, epoch=line.epoch, column=line.column, **stands)
        return self._told.go_back(rewound, until)

    def _flush(self, then: Callable[[], list[Effect]]) -> list[Effect]:
        """Have the net say all that it holds back, then do what waits for that."""
        if self._line.voice.settled:
            return then()
        self._then = then
        self._line.flush()
        self._state = after(self._state, Event.FLUSH)
        return []

    def _flushed(self, ref: Ref) -> list[Effect]:
        line, answer = self._line, self._line.voice.answer
        return [Send(messages.Flushed(id=ref, epoch=line.epoch, columns=line.column, **answer))]

    def _line_ended(self) -> list[Effect]:
        return [*self._flushed(None), *self._new_line()]

    def _new_line(self) -> list[Effect]:
        self._pen.lift()
        self._told.begin()
        return [Restore(None)] if self._line.begin() else []

    def _voice(self) -> Voice:
        return voice_of(self._choices.decoder(), self._choices, self._pen.spans)

    # Ends

    def _ended(self) -> list[Effect]:
        answer = self._line.voice.answer | self._line.totals
        seconds = round(self._newest_s - self._started_s, 3)
        done = messages.Done(columns=self._inbox.taken, seconds=seconds, **answer)
        return [*self._flushed(None), Send(done), *self._close(NORMAL_CLOSURE, "end")]

    def _fault(self, error: InputError, control: Control) -> list[Effect]:
        """Say what is wrong with a message; too many in a row are fatal."""
        self._bad_in_a_row += 1
        fatal = self._bad_in_a_row >= self._limits.max_bad_messages
        said = failure(error, fatal, **control.source)
        return [said, *self._close(MEANINGS[error.code].closing, error.code)] if fatal else [said]

    def _fail(self, error: InkstreamError, control: Control | None = None) -> list[Effect]:
        """Say why the session ends, and end it."""
        if self.closed:
            return []
        said = failure(error, True, **({} if control is None else control.source))
        return [said, *self._close(MEANINGS[error.code].closing, error.code)]

    def _close(self, code: int, reason: str) -> list[Effect]:
        self._state = after(self._state, Event.CLOSE)
        self._inbox.clear()
        return [Close(code, reason)]
