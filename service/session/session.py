"""One client's stream as a state machine without I/O: frames in, effects out.

All that a client sends waits in one inbox, faulty messages included. `_advance` processes the
control messages at its head until columns or strokes are there. Those wait for the engine, which
draws strokes (`draw`), takes columns (`take`), runs the net and hands their scores back (`step`),
for many sessions at once. So every message is answered in the order of the messages, and no clock,
lock or task is needed. What is allowed when: `states.py`.

A session is plain data beside its model: it can be copied and compared at any time.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from inkstream.model.errors import InkstreamError, InputError
from inkstream.model.preprocess.ink import taken_by
from inkstream.service.protocol import client_messages as requests
from inkstream.service.protocol import errors
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.client_messages import parse_client
from inkstream.service.protocol.errors import MEANINGS, MessageError, Ref, ValueRefusedError
from inkstream.service.session.inbox import Control, Fault, HeldColumns, Inbox, TokenBucket
from inkstream.service.session.ink import InkChanges, LineInk
from inkstream.service.session.line import SNAPSHOT_SPACING, Line
from inkstream.service.session.model import SessionModel
from inkstream.service.session.options import HINTS, Options, decoder_for
from inkstream.service.session.outputs import (
    Close,
    Effect,
    Restore,
    Shown,
    event_messages,
    message_of,
    results,
)
from inkstream.service.session.resuming import Silence
from inkstream.service.session.revisions import Revisions
from inkstream.service.session.snapshot import (
    SavedSession,
    SavedSpans,
    decode,
    encode,
    pack_pixels,
    unpack_pixels,
)
from inkstream.service.session.states import (
    CLOSED,
    INK_DUE,
    NEW,
    OPEN,
    PIECES_DUE,
    RUNNING,
    TRANSITIONS,
    State,
    Transition,
)

COLUMNS: Final = (bytes, requests.Columns)  # the two ways in which columns come
COST_AT_ONCE: Final = 256  # of columns that are run at once: a beam takes 16 of them, in 6 ms
NORMAL_CLOSURE: Final = 1000  # RFC 6455, 7.4.1
# What is read or answered before `resumed`.
IN_SILENCE: Final = (requests.Ink, HeldColumns, requests.Ping, requests.Resume)
BEFORE_RESUME: Final = (requests.Configure, requests.Ping)
RESUME_BYTES: Final = 1024  # of a message `resume` beside its blob

# Looking up a member of an Enum takes 50 ns; these are needed for every column.
RECEIVE, TAKE, STEP = Transition.RECEIVE, Transition.TAKE, Transition.STEP


@dataclass(frozen=True, slots=True)
class PendingFlush:
    """A flush that waits for its blank columns."""

    ref: Ref  # of the message that asked for it
    then: Literal["go on", "new line", "end"]


@dataclass(frozen=True, slots=True)
class PendingRewind:
    """A rewind that waits for the columns that it runs again."""

    ref: Ref  # of the message that asked for it
    until: int  # what changed is sent once columns up to here are read again


@dataclass(frozen=True, slots=True)
class PendingResume:
    """A line that is taken up again and waits for the columns that it runs again."""

    spans: list[SavedSpans]  # of the events of ink that were sent


class Session:
    """One stream: `open` it, then frames go in by `receive` and columns out by `take`."""

    def __init__(
        self,
        session_id: str,
        model: SessionModel,
        client: bytes = b"",
        options: Options | None = None,
        *,
        column_size: int = 0,
    ) -> None:
        """Prepare.

        Args:
            session_id: names it in logs.
            model: which reads.
            client: its credential: what it is given to resume is for it alone.
            options: those in force at first; None is before any `configure`.
            column_size: bytes of a column that comes as such; 0 is those of a client's, H.
        """
        info, limits = model.info, model.limits
        self.session_id = session_id
        self.model = model
        self.options = options or Options.first(model)
        column_size = column_size or info.column_height
        self.ink = LineInk(model, column_size)
        self.line = Line(self.options.decoder, self.ink, limits.max_rewind_columns)
        self.picked: Sequence[int] = ()  # which of the columns being run get a result
        self.newest_row = b""  # the scores that were shown last
        self.newest_shown = Shown({})  # and what was shown
        self.stable = 0  # characters of the text that stand, of those that the client was sent
        self.state: State = NEW
        self._inbox = Inbox(column_size)
        self._revisions = Revisions(limits.max_rewind_columns)
        self._in_flight = b""  # the columns being run
        self._ends_line = False  # whether the line ends with them
        self._pending: PendingFlush | PendingRewind | PendingResume | None = None
        self._ink_due: tuple[Control, InkChanges] | None = None  # a message, and what it changes
        self._next_index = 0  # of the client's messages
        self._client = client
        self._read_with = self.options.in_force  # whose hints the line's decoder has
        self._resume_index = 0  # of the message that may be `resume`, after `configure` and pings
        self._silence: Silence | None = None  # until what was heard is read again
        self._newest_snapshot = 0  # columns that had been taken then
        self._snapshot_from = math.inf  # columns taken, from which on a snapshot is due
        self._bad_in_a_row = 0
        self._rate_limit = TokenBucket(limits.max_control_per_s)
        self._started_s = self._newest_s = 0.0  # when the first and the newest message came
        self._plan_snapshot()

    @property
    def closed(self) -> bool:
        """Whether a `Close` was returned; what comes afterwards is dropped."""
        return self.state is CLOSED

    @property
    def waiting_columns(self) -> int:
        """Columns received and not yet taken; at the limit, stop reading from the client."""
        return self._inbox.waiting_columns

    @property
    def waiting_messages(self) -> int:
        """Messages received and not yet taken, or taken in part."""
        return self._inbox.n_messages

    @property
    def paused_until_s(self) -> float:
        """Until when to read nothing from the client, who sent more than `max_control_per_s`.

        On the clock of `receive`; in the past if reading may go on.
        """
        return self._rate_limit.paid_s

    @property
    def ready_columns(self) -> int:
        """Columns that the engine may take now."""
        if self.state is OPEN:
            return self._inbox.head_columns
        if self.state is PIECES_DUE:
            return self.line.piece_columns
        return 0

    @property
    def ink_due(self) -> InkChanges | None:
        """The change of ink whose strokes are to be drawn now."""
        return self._ink_due[1] if self._ink_due and self.state is INK_DUE else None

    # From the client and the server

    def open(self) -> list[Effect]:
        """Begin; return `ready`."""
        self.state = TRANSITIONS[self.state][Transition.OPEN]
        info = self.model.info
        ready = messages.Ready(
            session=self.session_id,
            model=messages.ServedModel(name=info.name, version=info.version, kind=info.kind),
            labels=info.labels,
            column_height=info.column_height,
            languages=info.languages,
            limits=self.model.limits,
            resume=messages.Resuming(lifetime_s=self._lifetime_s) if self.model.seals else None,
        )
        return [ready]

    def receive(self, frame: str | bytes, now_s: float) -> list[Effect]:
        """Take one frame, text or columns, that came at `now_s`; return what is due at once."""
        self.state = TRANSITIONS[self.state][RECEIVE]
        if self.state is CLOSED:
            return []
        index, limits = self._next_index, self.model.limits
        self._next_index = index + 1
        if not index:
            self._started_s = now_s
        self._newest_s = now_s
        try:
            message = frame if isinstance(frame, bytes) else self._parsed(frame)
            if isinstance(message, COLUMNS):
                self._inbox.add_columns(index, message, limits)
                return self._advance()
            control = self._inbox.checked(index, message, limits)
        except MessageError as error:
            control = Control(index, Fault(error.code, str(error), error.ref))
        self._rate_limit.spend(now_s, self._inbox.cost(control))
        self._inbox.add_control(control, waits=self.state is not OPEN)
        return self._advance()

    def _parsed(self, frame: str) -> requests.ClientMessage:
        limits = self.model.limits
        return parse_client(frame, limits.most_parts, limits.most_objects)

    def goaway(self, time_left_s: float) -> list[Effect]:
        """Tell the client that the server is about to stop; a snapshot follows soon."""
        self.state = TRANSITIONS[self.state][RECEIVE]
        if self.closed:
            return []
        goaway = messages.Goaway(
            reason="the server is about to stop",
            time_left_ms=round(time_left_s * 1000),
            resumable=self.model.seals is not None,
        )
        self._snapshot_from = 0
        return [goaway, *self._advance()]

    def fail(
        self, error: InkstreamError, index: int | None = None, ref: Ref = None
    ) -> list[Effect]:
        """Close the session, and send why; `index` and `ref` name the message at fault, if any."""
        if self.closed:
            return []
        sent = messages.Error(code=error.code, message=str(error), fatal=True, index=index, ref=ref)
        return [sent, *self._close(MEANINGS[error.code].closing, error.code)]

    # To the engine and back

    def take(self, max_columns: int) -> NDArray[np.uint8] | None:
        """Return columns to run now, n at most `max_columns`, as the net takes them; None if none.

        They are read-only, [n, column_size of the net]. They end where a snapshot is due, where a
        line ends, and before a control message, and are no more than their decoder reads in good
        time.
        """
        state = TRANSITIONS[self.state][TAKE]
        max_columns = min(max_columns, COST_AT_ONCE // self.line.decoder.column_cost)
        if state is RUNNING:
            data = self._take_new(max_columns)
        else:
            data, self.picked = b"" if self.closed else self.line.take_piece(max_columns), ()
        if not data:
            return None
        self.state, self._in_flight = state, data
        columns = np.frombuffer(data, np.uint8).reshape(-1, self.line.column_size)
        return taken_by(self.model.config, columns)

    def _take_new(self, max_columns: int) -> bytes:
        """Remove and return the next columns of the line; note which of them get a result."""
        line, inbox, options = self.line, self._inbox, self.options
        if self._silence is not None:  # `resumed` comes right behind them
            max_columns = min(max_columns, self._silence.columns - line.column)
        n_columns = min(
            inbox.head_columns,
            max_columns,
            SNAPSHOT_SPACING - line.column % SNAPSHOT_SPACING,
            self.model.limits.max_line_columns - line.column,
        )
        if n_columns <= 0:
            return b""
        if inbox.taken + n_columns >= self._snapshot_from:  # which needs a message's end
            n_columns = inbox.up_to_message(n_columns)
        self._ends_line = False
        # Blank columns do not end a line of ink, and the client's polarity is not its matter.
        if options.in_force.line_end_columns and not self.ink.has_strokes:
            ahead = options.with_high_ink(inbox.peek(n_columns))
            n_columns, self._ends_line = options.until_line_end(
                ahead, line.column, line.ink_end, line.column_size
            )
        data, message_ends = inbox.take(n_columns)
        self.picked = range(n_columns)
        if options.in_force.results == "events":
            self.picked = ()
        elif options.in_force.every == "message":
            self.picked = message_ends
            if self._ends_line and n_columns - 1 not in message_ends[-1:]:
                self.picked = [*message_ends, n_columns - 1]
        return data if self.ink.has_strokes else options.with_high_ink(data)

    def step(
        self, scores: NDArray[np.float32], state: NDArray[np.uint8], shown: Sequence[Shown]
    ) -> list[Effect]:
        """Take the scores [n, S] of the columns that were run, and the state [D] after them.

        `shown` is what the results of the `picked` columns show, of `shown_of`.
        """
        if self.state is not RUNNING:
            return self._step_piece(scores, state)
        self.state = TRANSITIONS[RUNNING][STEP]
        self._bad_in_a_row = 0
        line = self.line
        first = line.column
        decoded = line.read(scores, state, self._in_flight, goes_back_often=self.ink.has_strokes)
        effects = results(self, first, decoded, shown)
        if self.picked and self.picked[-1] == len(scores) - 1:
            self.stable = line.decoder.stable
        self.picked = ()
        if self.ink.has_strokes:
            effects = self._revisions.filter(effects, line.column)
        if self._silence is not None:
            effects = self._heard(effects)
        if self._ends_line:
            effects += self._end_silence()
            effects += self._flush(PendingFlush(None, "new line"))
        return effects + self._advance()

    def _step_piece(self, scores: NDArray[np.float32], state: NDArray[np.uint8]) -> list[Effect]:
        """The same, for columns of a rewind or a flush."""
        line = self.line
        last = not line.piece_columns
        self.state = TRANSITIONS[self.state][Transition.FINISH if last else STEP]
        if self.closed:
            return []
        events = line.read_piece(scores, state, self._in_flight)
        effects: list[Effect] = []
        match self._pending:
            case PendingRewind() if last:
                line.keep(state)  # the next rewind may well go back here again
            case PendingFlush():  # an earlier flush's events were sent before
                effects = self._revisions.filter([*event_messages(events, self.ink)], line.column)
            case PendingResume(spans) if self.ink.has_strokes:
                self._revisions.resume(map(message_of, events), spans)
        return self._heard([*effects, *self._complete()]) + self._advance() if last else effects

    def draw(self) -> list[Effect]:
        """Take the ink of `ink_due`, which is drawn."""
        self.state = TRANSITIONS[self.state][Transition.DRAW]
        due, self._ink_due = self._ink_due, None
        if due is None or self.closed:
            return []
        control, changes = due
        effects = self._try(control, lambda: self._insert_ink(changes))
        return self._heard(effects) + self._advance()

    # Control messages

    def _advance(self) -> list[Effect]:
        """Process control messages at the inbox's head; close where a line becomes too long.

        Between two messages, say what is due there: `resumed`, a snapshot.
        """
        effects: list[Effect] = []
        inbox = self._inbox
        while self.state is OPEN:
            if self._silence is not None and self.line.column >= self._silence.columns:
                effects += self._end_silence()
            if inbox.taken >= self._snapshot_from:
                effects += self._take_snapshot()
            if not inbox.n_controls or (control := inbox.next_control()) is None:
                break
            effects += self._answer(control)
        most = self.model.limits.max_line_columns
        if inbox.head_columns and self.line.column >= most and self.state is OPEN:
            error = errors.OverLimitError(f"a line has {most} columns at most")
            effects += self.fail(error, *inbox.head(self._next_index))
        return effects

    def _answer(self, control: Control) -> list[Effect]:
        """Carry out one control message, or send what is wrong with it."""
        message = control.message
        if isinstance(message, Fault):
            return [*self._end_silence(), *self._refuse(message, control.index)]
        if isinstance(message, BEFORE_RESUME):
            self._resume_index += control.index == self._resume_index
        if isinstance(message, IN_SILENCE):
            return self._heard(self._try(control, lambda: self._carry_out(control, message)))
        before = self._end_silence()
        return before + self._try(control, lambda: self._carry_out(control, message))

    def _try(self, control: Control, carry_out: Callable[[], list[Effect]]) -> list[Effect]:
        """Do what a control message asks for, or send what is wrong with it."""
        try:
            effects = carry_out()
        except InputError as error:
            return self._refuse(Fault(error.code, str(error), control.message.id), control.index)
        self._bad_in_a_row = 0
        return effects

    def _carry_out(
        self, control: Control, message: requests.ClientMessage | HeldColumns
    ) -> list[Effect]:
        """Do what a control message asks for; raise an `InputError` if it cannot be done."""
        effects: list[Effect] = []
        match message:
            case requests.Ink():
                effects = self._take_ink(control, message)
            case requests.Ping():
                effects = [messages.Pong(id=message.id)]
            case HeldColumns():
                self.ink.check_columns(message.id)
                self._inbox.insert(message.data, self.line.column_size)
            case requests.Configure():
                self.options = self.options.changed(message, self.model)
                self.newest_row, self.stable = b"", 0
                if not self.line.column:
                    self.line.set_decoder(self.options.decoder)
                    self._read_with = self.options.in_force
                self.line.allow(self.options.decoder.allowed)
                self._plan_snapshot()
                effects = [self.options.in_force]
            case requests.Rewind():
                column, oldest, newest = message.column, self.line.oldest, self.line.column
                if not oldest <= column <= newest:
                    raise ValueRefusedError(f"column is {column}, allowed: {oldest}..{newest}")
                self.ink.wipe(column)
                effects = self._go_back(column, PendingRewind(message.id, column))
            case requests.Reset():
                effects = self._begin_line()
                effects.append(messages.ResetDone(id=message.id, epoch=self.line.epoch))
            case requests.Resume():
                effects = self._resume(control.index, message)
            case _ if self.ink.holds_back:
                self._inbox.put_back(control)  # behind the columns that it must wait for
                effects = self._insert_columns(*self.ink.rest())
            case requests.Flush():
                effects = self._flush(PendingFlush(message.id, "go on"))
            case _:
                effects = self._flush(PendingFlush(message.id, "end"))
        return effects

    def _take_ink(self, control: Control, ink: requests.Ink) -> list[Effect]:
        """Have the strokes of a message drawn."""
        changes = self.ink.changes(ink, self.line.oldest, self.line.column)
        self._rate_limit.spend(self._newest_s, changes.cost - 1)
        changes.prepare(self.model.config.column_size)
        if changes.is_drawn:
            return self._insert_ink(changes)
        self.state = TRANSITIONS[self.state][Transition.WRITE]
        self._ink_due = control, changes
        for stroke in ink.strokes:
            stroke.points.clear()  # the pieces have them, in an eighth of the memory
        return []

    def _insert_ink(self, changes: InkChanges) -> list[Effect]:
        """Let the columns be read next that a change of ink brings."""
        start, data = self.ink.draw(changes, self.line.oldest, self.line.column)
        return self._insert_columns(start, data, changes.refits)

    def _insert_columns(self, start: int, data: bytes, refits: bool = False) -> list[Effect]:
        """Let columns of ink be read next; those from `start` on replace columns that were read."""
        self._inbox.insert(data, self.line.column_size)
        until = min(self.line.column, start + self._inbox.head_columns)
        if refits or start < self.line.column:
            return self._go_back(start, PendingRewind(None, until))
        return []

    def _go_back(self, column: int, rewind: PendingRewind) -> list[Effect]:
        """Forget `column` and all after it, and run again what a snapshot before it lacks."""
        self.line.epoch += 1
        self._pending = rewind
        if column == self.line.column:
            return self._complete()
        restore = Restore(self.line.rewind(column))
        if not self.line.piece_columns:
            return [restore, *self._complete()]
        self.state = TRANSITIONS[self.state][Transition.INSERT]
        return [restore]

    def _flush(self, flush: PendingFlush) -> list[Effect]:
        """Have blank columns run that make the net give all that it holds back."""
        self._pending = flush
        if self.line.decoder.settled:
            return self._complete()
        self.line.flush()
        self.state = TRANSITIONS[self.state][Transition.INSERT]
        return []

    def _complete(self) -> list[Effect]:
        """Return the effects of the flush or rewind for which the columns have now been run."""
        pending, self._pending = self._pending, None
        if pending is None or isinstance(pending, PendingResume):
            return []
        line, decoder = self.line, self.line.decoder
        if isinstance(pending, PendingRewind):
            line.allow(self.options.decoder.allowed)
            self.stable = decoder.stable
            rewound = messages.Rewound(
                id=pending.ref,
                epoch=line.epoch,
                column=line.column,
                label=decoder.label,
                text=decoder.text,
                letters=decoder.letters,
                words=decoder.words,
                frame=self.ink.fitted,
            )
            return self._revisions.rewind(rewound, pending.until)
        label, text = decoder.label, decoder.text
        flushed = messages.Flushed(
            id=pending.ref, epoch=line.epoch, columns=line.column, label=label, text=text
        )
        effects: list[Effect] = [flushed]
        if pending.then == "new line":
            effects += self._begin_line()
        elif pending.then == "end":
            done = messages.Done(
                id=pending.ref,
                columns=self._inbox.taken,
                letters=line.letters_before + decoder.letters,
                words=line.words_before + decoder.words,
                label=label,
                text=text,
                seconds=round(self._newest_s - self._started_s, 3),
            )
            effects.append(done)
            effects += self._close(NORMAL_CLOSURE, "end")
        return effects

    def _begin_line(self) -> list[Effect]:
        """Begin a new line; return the effect that sets the net's state back, if it must be."""
        self.ink.begin()
        self._revisions.begin()
        self.newest_row, self.stable = b"", 0
        self._read_with = self.options.in_force
        return [Restore(None)] if self.line.begin(self.options.decoder) else []

    # To go on elsewhere

    @property
    def _lifetime_s(self) -> float:
        return self.model.limits.resume_lifetime_s

    def _plan_snapshot(self) -> None:
        """Let the next snapshot be due when the client wants it, unless one is due now."""
        if self._snapshot_from > 0:
            spacing = self.options.in_force.snapshot_columns
            self._snapshot_from = self._newest_snapshot + spacing if spacing else math.inf

    def _take_snapshot(self) -> list[Effect]:
        """Return a snapshot that is due, unless a message is begun; none if it is too large."""
        inbox, seals = self._inbox, self.model.seals
        if inbox.begun_columns or self._silence is not None or self._revisions.is_rereading:
            return []
        self._newest_snapshot, self._snapshot_from = inbox.taken, math.inf
        self._plan_snapshot()
        if seals is None:
            return []
        blob = seals.seal(encode(self._saved()), self._client, self._lifetime_s)
        if len(blob) > self.model.limits.max_frame_bytes - RESUME_BYTES:
            return []
        snapshot = messages.Snapshot(
            epoch=self.line.epoch,
            column=self.line.column,
            messages=self._next_index - inbox.n_messages,
            letters=self.line.decoder.letters,
            words=self.line.decoder.words,
            blob=blob,
            lifetime_s=self._lifetime_s,
        )
        return [snapshot]

    def _saved(self) -> SavedSession:
        """Return all that later messages depend on; no message is begun."""
        in_force, read_with = self.options.in_force, self._read_with
        hints = {name: getattr(read_with, name) for name in HINTS}
        line, pixels = self.line.saved()
        return SavedSession(
            options=self.options.given,
            hints={
                name: value for name, value in hints.items() if value != getattr(in_force, name)
            },
            taken=self._inbox.taken,
            age_s=self._newest_s - self._started_s,
            line=line,
            ink=self.ink.saved(),
            pixels=pack_pixels(pixels + self.ink.waiting),
            spans=self._revisions.saved() if self.ink.has_strokes else [],
        )

    def _resume(self, index: int, message: requests.Resume) -> list[Effect]:
        """Go on from a snapshot, or with a line that comes from its beginning."""
        if index != self._resume_index:
            raise ValueRefusedError(
                "resume came after other messages, allowed: before all but configure and ping",
                message.id,
            )
        self._resume_index = index + 1
        letters, words, effects = 0, 0, list[Effect]()
        if message.blob is not None:
            effects = self._take_up(message.blob)
            letters, words = message.letters, message.words
        self._resume_index = -1  # not again
        self._silence = Silence(message.id, message.columns, letters, words)
        return effects

    def _take_up(self, blob: str) -> list[Effect]:
        """Go on from a snapshot; raise `NotResumableError` if it is refused."""
        model, seals = self.model, self.model.seals
        if seals is None:
            raise errors.NotResumableError("this server has no snapshots")
        saved = decode(seals.open(blob, self._client))
        try:
            options = Options.resumed(saved.options, model)
            read_with = options.in_force.model_copy(update=saved.hints)
            decoder = decoder_for(model, read_with)
            decoder.restore(saved.line.decoder)
        except InputError as error:
            raise errors.NotResumableError(f"the blob cannot be used: {error}") from error
        self.options, self._read_with = options, read_with
        self._inbox.resume(saved.taken, after_ink=saved.ink is not None)
        self._newest_snapshot = saved.taken
        self._plan_snapshot()
        self._started_s = self._newest_s - saved.age_s
        pixels = unpack_pixels(saved.pixels)
        if saved.ink is not None:
            self.ink.resume(saved.ink, saved.line.column, pixels)
        restore = Restore(self.line.resume(saved.line, pixels, decoder))
        self._pending = PendingResume(saved.spans)
        if not self.line.piece_columns:
            return [restore, *self._complete()]
        self.state = TRANSITIONS[self.state][Transition.INSERT]
        return [restore]

    # Silence

    def _heard(self, effects: list[Effect]) -> list[Effect]:
        """Return effects; in silence those that are no news of the line, errors after `resumed`."""
        if self._silence is None:
            return effects
        others = self._silence.keep(effects)
        is_refused = any(isinstance(each, messages.Error) for each in others)
        return self._end_silence() + others if is_refused else others

    def _end_silence(self) -> list[Effect]:
        """Return `resumed`, and what follows it, if it is still to come."""
        silence, self._silence = self._silence, None
        self.stable = 0  # the next result has the whole text
        return [] if silence is None else silence.end(self.line)

    # Errors and the end

    def _refuse(self, fault: Fault, index: int) -> list[Effect]:
        """Send what is wrong with a message; close after too many such messages in a row."""
        self._bad_in_a_row += 1
        fatal = self._bad_in_a_row >= self.model.limits.max_bad_messages
        error = messages.Error(
            code=fault.code, message=fault.text, fatal=fatal, index=index, ref=fault.id
        )
        return [error, *self._close(MEANINGS[fault.code].closing, fault.code)] if fatal else [error]

    def _close(self, code: int, reason: str) -> list[Effect]:
        self.state = CLOSED
        self._inbox.clear()
        return [Close(code, reason)]
