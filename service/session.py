"""One writer's stream as a state machine without I/O: frames in, effects out.

The whole idea: everything that a client sends waits in one queue, faulty messages included.
`_advance` works off its head until columns are there; those wait for the engine, which takes them
(`take`), runs the net and gives the scores back (`stepped`). So every message gets its answers in
the order of the messages, and no clock, lock or task is needed here. `service/states.py` says what
may happen when.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.decode import ClassifierDecoder
from model.errors import InkstreamError, InputError
from service import errors, messages
from service.choices import Choices
from service.effects import Close, Effect, Restore, Send
from service.errors import MEANINGS, MessageError, Ref, ValueRefusedError
from service.history import SNAPSHOT_SPACING, History, Snapshot
from service.inbox import Control, Inbox, unpack
from service.messages import ClientMessage, Limits, ModelInfo, Result, parse_client
from service.states import Event, State, after

__all__ = ["Close", "Effect", "Restore", "Send", "Session"]

CONTROL_BURST_S: Final = 5  # "for too long": control messages of so many seconds may come at once
COLUMNS: Final = (bytes, messages.Columns)  # the two ways in which columns come
NORMAL_CLOSURE: Final = 1000  # RFC 6455, 7.4.1


class Session:
    """One stream: `open` it, then frames go in by `receive` and columns out by `take`."""

    def __init__(
        self, session_id: str, model: ModelInfo, limits: Limits, decoder: ClassifierDecoder
    ) -> None:
        self.session_id = session_id
        self._model = model
        self._limits = limits
        self._decoder = decoder
        self._state = State.NEW
        self._choices = Choices(model.labels, model.column_height)
        self._inbox = Inbox(model.column_height)
        self._flight = b""  # the columns being run
        self._message_ends: list[int] = []  # which of those are the last of a message
        self._epoch = 0
        self._column = 0  # columns of the line that were read: the number of the next one
        self._ink_end = 0  # columns of the line up to the last one with ink; 0 before any
        self._history = History(model.column_height, limits.max_rewind_columns)
        self._replay = bytearray()  # columns to be read once more
        self._rewind_ref: Ref = None  # of the rewind under way
        self._next_index = 0  # of the client's messages
        self._bad_in_a_row = 0
        self._started_s = 0.0  # when the first message came
        self._control_s = 0.0  # when the newest control message came
        self._control_left = float(CONTROL_BURST_S * limits.max_control_per_s)

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
        if self._state is State.OPEN:
            return self._inbox.head_columns
        if self._state is State.REWINDING:
            return len(self._replay) // self._model.column_height
        return 0

    # What comes from outside

    def open(self) -> list[Effect]:
        """Begin; gives `ready`."""
        self._state = after(self._state, Event.OPEN)
        model = self._model
        served = messages.ServedModel(name=model.name, version=model.version, kind=model.kind)
        ready = messages.Ready(
            session=self.session_id,
            model=served,
            labels=model.labels,
            column_height=model.column_height,
            limits=self._limits,
        )
        return [Send(ready)]

    def receive(self, frame: str | bytes, now_s: float) -> list[Effect]:
        """Take one frame, text or columns, that came at `now_s`; gives what is due at once."""
        self._state = after(self._state, Event.RECEIVE)
        if self.closed:
            return []
        index = self._next_index
        self._next_index = index + 1
        if not index:
            self._started_s = self._control_s = now_s
        try:
            message = frame if isinstance(frame, bytes) else parse_client(frame)
            if isinstance(message, COLUMNS):
                most = self._limits.max_message_columns
                self._inbox.add_columns(unpack(message, self._model.column_height, most))
                return self._check_length()
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
        return self._fail(
            errors.IdleError(f"no message for {most:g} s, the longest that is allowed")
        )

    def expired(self) -> list[Effect]:
        """The session is too old."""
        most = self._limits.max_session_s
        return self._fail(
            errors.SessionExpiredError(f"the session is {most:g} s old, the most that is allowed")
        )

    def failed(self, request_note: str) -> list[Effect]:
        """The server could not do what the client may expect; `request_note` is shown."""
        return self._fail(InkstreamError(request_note))

    # To the engine and back

    def take(self, max_columns: int) -> NDArray[np.uint8] | None:
        """Columns to run now, [n, H] and read-only, n at most `max_columns`; None if none are due.

        They end where a snapshot is due, where a line ends, and before a control message.
        """
        state = after(self._state, Event.TAKE)
        n_columns = min(
            self.ready_columns,
            max_columns,
            SNAPSHOT_SPACING - self._column % SNAPSHOT_SPACING,
            self._limits.max_line_columns - self._column,
        )
        if n_columns <= 0:
            return None
        height = self._model.column_height
        if state is State.REPLAYING:
            data = bytes(self._replay[: n_columns * height])
            del self._replay[: len(data)]
        else:
            if self._choices.in_force.line_end_columns:
                ahead = self._inbox.peek(n_columns)
                n_columns = self._choices.until_line_end(ahead, self._column, self._ink_end)
            data, self._message_ends = self._inbox.take(n_columns)
            data = self._choices.as_ink(data)
        self._state = state
        self._flight = data
        return np.frombuffer(data, np.uint8).reshape(-1, height)

    def stepped(self, scores: NDArray[np.float32], state: NDArray[np.float32]) -> list[Effect]:
        """The columns in flight were run: their scores [n, K], and the state [D] after them."""
        replayed = self._state is State.REPLAYING and not self._replay
        self._state = after(self._state, Event.REPLAYED if replayed else Event.STEP)
        if self.closed:
            return []
        probabilities = self._decoder.step(scores)
        first = self._column
        self._column += len(scores)
        ink_bytes = len(self._flight.rstrip(b"\0"))
        if ink_bytes:
            self._ink_end = first + -(-ink_bytes // self._model.column_height)  # rounded up
        if replayed:
            return [self._rewound(), *self._advance()]
        if self._state is State.REWINDING:
            return []
        self._bad_in_a_row = 0
        self._history.append(self._flight, self._column)
        if not self._column % SNAPSHOT_SPACING:
            self._history.keep(Snapshot(self._column, state.copy(), self._ink_end))
        ended = self._choices.line_ends(self._column, self._ink_end)
        effects = self._results(probabilities, ended)
        if ended:
            effects += [self._flushed(None), self._new_line()]
        return effects + self._advance()

    def _results(self, probabilities: NDArray[np.float32], ended: bool) -> list[Effect]:
        """One result a column, or one a message; where a line ends in a message, one there too."""
        rows, named = probabilities.tolist(), self._choices.named
        first = self._column - len(rows)
        picked: Sequence[int] = range(len(rows))
        if self._choices.in_force.every == "message":
            picked = self._message_ends
            if ended and (not picked or picked[-1] != len(rows) - 1):
                picked = [*picked, len(rows) - 1]
        return [Send(Result(self._epoch, first + i, named(rows[i]))) for i in picked]

    # Control messages

    def _receive_control(self, control: Control, now_s: float) -> list[Effect]:
        """Queue what is not columns; a token bucket finds who sends too many of these."""
        rate = self._limits.max_control_per_s
        earned = (now_s - self._control_s) * rate
        self._control_left = min(self._control_left + earned, CONTROL_BURST_S * rate) - 1
        self._control_s = now_s
        if self._control_left < 0:
            text = f"too many messages other than columns, allowed: {rate} a second"
            return self._fail(errors.TooManyControlError(text), control)
        self._inbox.add_control(control)
        return self._advance()

    def _advance(self) -> list[Effect]:
        """Work off the inbox until columns stand at its head that must be read first."""
        effects: list[Effect] = []
        while self._state is State.OPEN and (control := self._inbox.next_control()):
            effects += self._answer(control)
        return effects + self._check_length()

    def _check_length(self) -> list[Effect]:
        """End a session whose line goes on beyond its limit."""
        most = self._limits.max_line_columns
        if self._column < most or not self.ready_columns:
            return []
        return self._fail(errors.OverLimitError(f"a line has {most} columns at most"))

    def _answer(self, control: Control) -> list[Effect]:
        """Carry out one control message, or say what is wrong with it."""
        try:
            effects = self._carry_out(control.message)
        except InputError as error:
            return self._fault(error, control)
        self._bad_in_a_row = 0
        return effects

    def _carry_out(self, message: ClientMessage | MessageError) -> list[Effect]:
        match message:
            case MessageError():
                raise message
            case messages.Configure():
                self._choices.change(message, self._decoder)
                return [Send(self._choices.in_force)]
            case messages.Rewind():
                return self._rewind(message)
            case messages.Flush():
                return [self._flushed(message.id)]
            case messages.Reset():
                restore = self._new_line()
                return [restore, Send(messages.ResetDone(id=message.id, epoch=self._epoch))]
            case messages.Ping():
                return [Send(messages.Pong(id=message.id))]
            case _:
                return self._end()

    def _rewind(self, message: messages.Rewind) -> list[Effect]:
        column, oldest = message.column, self._history.oldest
        if not oldest <= column <= self._column:
            raise ValueRefusedError(f"column is {column}, allowed: {oldest}..{self._column}")
        self._epoch += 1
        self._rewind_ref = message.id
        if column == self._column:
            return [self._rewound()]
        snapshot, self._replay = self._history.rewind(column)
        self._column, self._ink_end = snapshot.column, snapshot.ink_end
        self._decoder.reset()
        if not self._replay:
            return [Restore(None), self._rewound()]
        self._state = after(self._state, Event.REWIND)
        return [Restore(snapshot.state)]

    def _rewound(self) -> Send:
        return Send(
            messages.Rewound(
                id=self._rewind_ref,
                epoch=self._epoch,
                column=self._column,
                label=self._decoder.label,
            )
        )

    def _flushed(self, ref: Ref) -> Send:
        label = self._decoder.label
        return Send(messages.Flushed(id=ref, epoch=self._epoch, columns=self._column, label=label))

    def _new_line(self) -> Restore:
        self._epoch += 1
        self._column = self._ink_end = 0
        self._history.clear()
        self._decoder.reset()
        return Restore(None)

    # Ends

    def _end(self) -> list[Effect]:
        done = messages.Done(
            columns=self._inbox.taken,
            label=self._decoder.label,
            seconds=round(self._control_s - self._started_s, 3),
        )
        return [self._flushed(None), Send(done), *self._close(NORMAL_CLOSURE, "end")]

    def _fault(self, error: InputError, control: Control) -> list[Effect]:
        """Say what is wrong with a message; too many in a row are fatal."""
        self._bad_in_a_row += 1
        fatal = self._bad_in_a_row >= self._limits.max_bad_messages
        said = _error(error, fatal, control)
        return [said, *self._close(MEANINGS[error.code].closing, error.code)] if fatal else [said]

    def _fail(self, error: InkstreamError, control: Control | None = None) -> list[Effect]:
        """Say why the session ends, and end it."""
        if self.closed:
            return []
        return [
            _error(error, True, control),
            *self._close(MEANINGS[error.code].closing, error.code),
        ]

    def _close(self, code: int, reason: str) -> list[Effect]:
        self._state = after(self._state, Event.CLOSE)
        self._inbox.clear()
        return [Close(code, reason)]


def _error(error: InkstreamError, fatal: bool, control: Control | None) -> Send:
    """The `error` message; the index and ref are those of the message at fault, where one is."""
    index = ref = None
    if control is not None:
        index, faulty = control.index, control.message
        ref = faulty.ref if isinstance(faulty, MessageError) else faulty.id
    return Send(
        messages.Error(code=error.code, message=str(error), fatal=fatal, index=index, ref=ref)
    )
