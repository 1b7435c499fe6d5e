"""One client's stream as a state machine without I/O: frames in, effects out.

**A line is a function of its messages.** The same messages give the same numbered answers, however
they come and whatever else the server does. Going back is therefore one operation: restore a kept
state, read again from there, and send nothing that the client has heard (`_go_back`,
`_read_again`). A rewind, ink that changes columns, a fitted frame and a line that is resumed from
a snapshot all use it. A client that has lost its connection sends the line's messages again, and
gets only the answers whose numbers follow the newest one that it has heard (`_number`).

All that a client sends waits in one inbox, faulty messages included. A message is processed by a
generator, which yields where it needs the engine: for columns that are to be run (`Due`), or
strokes that are to be drawn (`InkChanges`). Columns that have come in several messages by the time
that the engine asks for them are processed together. Meanwhile what comes waits, so every message
is answered in its turn, and no clock, lock or task is needed. Between two messages a session is
plain data beside its model.

    NEW      not opened yet
    OPEN     waits for messages; the engine may take new columns
    RUN_DUE  a message waits for columns to be run: those it brings, those that are read again,
             or the blank columns of a flush
    RUNNING  columns are being run
    INK_DUE  a message waits for its strokes to be drawn
    CLOSED   what comes is dropped

`TRANSITIONS` is the whole rule: a transition that the row of the present state lacks raises
`IllegalTransitionError` and changes nothing.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from inkstream.model.decoding.base import Event, Scores
from inkstream.model.errors import InkstreamError, InputError
from inkstream.service.protocol import client_messages as requests
from inkstream.service.protocol import errors
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.client_messages import parse_client
from inkstream.service.protocol.columns import unpack_columns
from inkstream.service.session import outputs
from inkstream.service.session.inbox import Control, Inbox, PackedColumns
from inkstream.service.session.ink import InkChanges, LineInk
from inkstream.service.session.line import KEPT_SPACING, AllowLabels, BlankColumns, Line, Restart
from inkstream.service.session.model import SessionModel
from inkstream.service.session.options import Options, decoder_for
from inkstream.service.session.outputs import Close, Effect, Restore, Showing, Shown
from inkstream.service.session.revisions import Revisions
from inkstream.service.session.snapshot import SavedSession, decode, encode

_EVENTS: Final = TypeAdapter(list[messages.Event])


class State(IntEnum):
    """Where a session stands."""

    NEW, OPEN, RUN_DUE, RUNNING, INK_DUE, CLOSED = range(6)


class IllegalTransitionError(InkstreamError):
    """The caller did what the session's state does not allow; nothing was changed."""


NEW, OPEN, RUN_DUE, RUNNING, INK_DUE, CLOSED = State
# What may happen in each state, and which state follows. Columns go to the engine (TAKE), and their
# scores come back (STEP). A session may be closed in any state; what comes afterwards is dropped.
TRANSITIONS: Final[dict[State, dict[str, State]]] = {
    NEW: {"OPEN": OPEN},
    OPEN: {"RECEIVE": OPEN, "NEED_RUN": RUN_DUE, "NEED_INK": INK_DUE, "TAKE": RUNNING},
    RUN_DUE: {"RECEIVE": RUN_DUE, "TAKE": RUNNING},
    RUNNING: {"RECEIVE": RUNNING, "STEP": OPEN},
    INK_DUE: {"RECEIVE": INK_DUE, "DRAW": OPEN},
    CLOSED: dict.fromkeys(("RECEIVE", "TAKE", "STEP", "DRAW"), CLOSED),
}


def after(state: State, transition: str) -> State:
    """Return the state that follows; raise `IllegalTransitionError` where none does."""
    try:
        return TRANSITIONS[state][transition]
    except KeyError:
        got, allowed = f"{transition} in state {state.name}", ", ".join(TRANSITIONS[state])
        raise IllegalTransitionError(f"{got}, allowed: {allowed}") from None


@dataclass(slots=True, eq=False)
class Due:
    """Columns that a message needs run; the engine takes some or all of them."""

    data: bytes  # pixels, one column after another
    # After how many of them the messages that bring them end; None: they are read again, or blank
    # columns of a flush, and have no results.
    ends: Sequence[int] | None = None


@dataclass(slots=True, eq=False)
class Portion:
    """Columns that the engine runs at once."""

    data: bytes  # their pixels, one column after another
    n_columns: int
    cost: int  # the time that decoding them takes, in columns of a greedy decoder
    picked: Sequence[int] = ()  # which of them get a result
    ends_line: bool = False  # whether the line ends with them

    @property
    def columns(self) -> NDArray[np.uint8]:
        """The columns [n, bytes of a column], read-only."""
        return np.frombuffer(self.data, np.uint8).reshape(self.n_columns, -1)


class Ran(NamedTuple):
    """A portion that was run."""

    portion: Portion
    scores: Scores  # [n, S]
    state: NDArray[np.uint8]  # [D], the net's after them
    shown: Sequence[Shown]  # what the results of picked columns show: see `shown_of`


AnswerKind = TypeVar("AnswerKind", bound=messages.Answer)
# The processing of a message: it yields `Due` and is sent `Ran`, or `InkChanges` and None.
Work: TypeAlias = Generator[Due | InkChanges, Any, None]


class Session:
    """One stream: `open` it, then frames go in by `receive` and columns out by `take`."""

    def __init__(
        self,
        session_id: str,  # names it in logs
        model: SessionModel,
        client: bytes = b"",  # its credential, without which its snapshots cannot be opened
        options: Options | None = None,  # those in force at first; None: before any `configure`
        *,
        column_size: int = 0,  # bytes of a column that comes as pixels; 0 means H, as clients send
    ) -> None:
        reach, self._max_columns = model.limits.max_rewind_columns, model.limits.max_line_columns
        self.session_id = session_id
        self.model = model
        self.options = options or Options.first(model)
        self._given_size = column_size or model.info.column_height
        self.state: State = NEW
        self._ink = LineInk(model, self._given_size)
        self._line = Line(self.options.decoder, reach)
        self._revisions = Revisions(reach)
        self.inbox = Inbox(self._given_size, model.limits)
        self._client = client
        self._effects: list[Effect] = []  # to be returned
        self._work: Work | None = None  # the message that is processed
        self._due: Due | InkChanges | None = None  # what it needs now
        self._may_resume = True  # as long as no message of the line has come
        self._bad_in_a_row = 0
        self._held: list[Effect] | None = None  # about columns that are read again, if any are
        self._index: int | None = None  # of the message that is processed, if it is one of its line
        self._ref: errors.Ref = None  # its id
        self._n_processed = 0  # messages of the line
        self._text: str | None = ""  # that the client has
        self._n_unsaved = 0  # columns that were read since the newest snapshot
        self._begin_line()

    def ready_columns(self) -> int:
        """Columns that the engine may take now."""
        if self.state is OPEN:
            return self.inbox.head_columns
        if self.state is RUN_DUE and isinstance(self._due, Due):
            return len(self._due.data) // self._ink.column_size
        return 0

    @property
    def ink_due(self) -> InkChanges | None:
        """The change of ink whose strokes are to be drawn now."""
        return self._due if isinstance(self._due, InkChanges) and self.state is INK_DUE else None

    # From the client and the server

    def open(self) -> list[Effect]:
        """Begin; return `ready`."""
        self.state = after(self.state, "OPEN")
        info = self.model.info
        model = messages.ServedModel(
            name=info.name, version=info.version, kind=info.kind, digest=self.model.digest
        )
        shown = {name: getattr(info, name) for name in ("labels", "column_height", "languages")}
        limits = self.model.limits
        return [messages.Ready(session=self.session_id, model=model, limits=limits, **shown)]

    def receive(self, frame: str | bytes, now_s: float) -> list[Effect]:
        """Take one frame, text or columns, that came at `now_s`; return what is due at once."""
        self.state = after(self.state, "RECEIVE")
        if self.state is CLOSED:
            return []
        inbox, size, limits = self.inbox, self._given_size, self.model.limits
        inbox.newest_s = now_s
        message: Control
        try:
            if isinstance(frame, str):
                message = parse_client(frame, limits.max_parts, limits.max_objects)
                if isinstance(message, requests.Columns):
                    rows, max_columns = message.columns, limits.max_message_columns
                    data = unpack_columns(rows, size, max_columns, message.id)
                    message = PackedColumns(data, message.id)
            else:
                if len(frame) != size:
                    frame = unpack_columns(frame, size, limits.max_message_columns)
                if not inbox.after_ink:
                    inbox.add_columns(frame)
                    is_full = self._line.column >= self._max_columns
                    return self._advanced() if is_full else []
                message = PackedColumns(frame, None)
            inbox.add_control(message, frame)
        except errors.MessageError as error:
            # Its traceback would keep the frame and this session.
            inbox.add_control(error.with_traceback(None), frame)
        return self._advanced()

    def goaway(self, time_left_s: float) -> list[Effect]:
        """Tell the client that the server is about to stop."""
        self.state = after(self.state, "RECEIVE")
        if self.state is CLOSED:
            return []
        time_left_ms = round(time_left_s * 1000)
        return [messages.Goaway(reason="the server is about to stop", time_left_ms=time_left_ms)]

    def fail(self, error: InkstreamError) -> list[Effect]:
        """Close the session for a fault that no message caused, and send the reason."""
        if self.state is not CLOSED:
            self._index = self._ref = None
            self._send_error(error, fatal=True)
        return self._advanced()

    def close(self) -> None:
        """Take nothing more, and drop what waits: the client is gone, or gets the reason."""
        self.state = CLOSED
        self.inbox.clear()
        self._work = self._due = None  # a generator and its session hold each other

    # To the engine and back

    def take(self, max_columns: int) -> Portion | None:
        """Return columns to run now, at most so many; None if there are none.

        They end where a state is kept, where a line ends, and before another message, and are no
        more than their decoder reads in good time.
        """
        state = after(self.state, "TAKE")
        if self.state is OPEN and self.inbox.head_columns:
            self._due = Due(*self._next_columns(max_columns))
        line, due, size = self._line, self._due, self._ink.column_size
        if not isinstance(due, Due):
            return None
        n_columns = len(due.data) // size
        if n_columns > 1:
            to_kept = KEPT_SPACING - line.column % KEPT_SPACING
            to_limit = max(1, self._max_columns - line.column)
            in_time = 256 // line.decoder.column_cost  # 16 columns of a beam take 6 ms
            n_columns = min(max_columns, n_columns, in_time, to_kept, to_limit)
        self.state = state
        ends_line = False
        picked: Sequence[int] = ()
        if due.ends is not None:
            if self._line_end_columns and not self._ink.has_strokes:  # blank columns do not end ink
                data = due.data[: n_columns * size]
                n_columns, ends_line = self.options.until_line_end(data, line, size)
            if self._results == "column":
                picked = range(n_columns)
            elif self._results == "message":
                ends = {end for end in due.ends if end <= n_columns}
                picked = [end - 1 for end in sorted(ends | ({n_columns} if ends_line else set()))]
        data = due.data[: n_columns * size]
        return Portion(data, n_columns, n_columns * line.decoder.column_cost, picked, ends_line)

    def step(self, ran: Ran) -> list[Effect]:
        """Take what the net gave for the portion that was taken."""
        self.state = after(self.state, "STEP")
        if self.state is CLOSED:
            return []
        due, portion = self._due, ran.portion
        assert isinstance(due, Due)
        if self._work is None and not portion.ends_line and len(portion.data) == len(due.data):
            # Of the usual case, columns that are run at once, a generator would be a third.
            self._due, self._bad_in_a_row = None, 0
            self._read(ran)
        else:
            if self._work is None and due.ends is not None:
                self._work = self._read_new(due.data, due.ends)
                next(self._work)
            self._go_on(ran)
        return self._advanced()

    def draw(self) -> list[Effect]:
        """Go on with the message whose `ink_due` is drawn."""
        self.state = after(self.state, "DRAW")
        if self.state is not CLOSED:
            self._go_on()
        return self._advanced()

    # Messages in their order

    def _advanced(self) -> list[Effect]:
        """Process messages at the inbox's head; return all effects.

        Between two messages, send a snapshot that is due; close where a line becomes too long.
        """
        inbox = self.inbox
        while self.state is OPEN:
            if self._n_unsaved >= self._snapshot_spacing:
                if self._seq >= self._heard:  # else the client has a newer snapshot
                    self._take_snapshot()
                self._n_unsaved = 0
            if (message := inbox.next_control()) is None:
                break
            self._begin(message)
        if inbox.head_columns and self._line.column >= self._max_columns and self.state is OPEN:
            self._work = self._read_new(*self._next_columns(1))
            self._go_on()  # it fails at once
        effects, self._effects = self._effects, []
        return effects

    def _begin(self, message: Control) -> None:
        """Begin to process a message."""
        if isinstance(message, requests.Ping):  # it is none of the line's messages
            self._effects.append(messages.Pong(id=message.id))
            return
        self._index = None
        if isinstance(message, errors.MessageError):
            self._ref, of_line = message.ref, message.of_line
        else:
            self._ref, of_line = message.id, not isinstance(message, requests.Resume)
        if of_line:
            self._index, self._may_resume = self._n_processed, False
            self._n_processed += 1
        self._work = self._answer(message)
        self._go_on()

    def _next_columns(self, max_columns: int) -> tuple[bytes, list[int]]:
        """Take the messages of columns at the inbox's head, whose processing begins.

        They are as many as have `max_columns`, or fewer where a snapshot is due before. Returns
        their columns, and after how many of them each message ends.
        """
        to_snapshot = max(1, self._snapshot_spacing - self._n_unsaved)
        data, ends = self.inbox.take_columns(min(max_columns, to_snapshot))
        self._ref, self._may_resume = None, False
        self._n_processed += len(ends)
        return data, ends

    def _go_on(self, ran: Ran | None = None) -> None:
        """Go on with the message that is processed, until it needs the engine again."""
        work, self._work, self._due = self._work, None, None
        assert work is not None
        try:
            self._due = work.send(ran)
        except StopIteration:
            self._bad_in_a_row = 0
        except InputError as error:
            self._bad_in_a_row += 1
            too_many = self._bad_in_a_row >= self.model.limits.max_bad_messages
            self._send_error(error, fatal=too_many)
        except errors.OverLimitError as error:
            self._send_error(error, fatal=True)
        else:
            self._work = work
            is_ink = isinstance(self._due, InkChanges)
            self.state = after(self.state, "NEED_INK" if is_ink else "NEED_RUN")

    def _answer(self, message: Control) -> Work:
        """Do what a message asks for; raise an `InputError` if it cannot be done."""
        match message:
            case errors.MessageError():
                raise message
            case requests.Ink():
                yield from self._write(message)
            case PackedColumns(data, ref):
                self._ink.check_columns(ref)
                yield from self._read_new(data, [len(data) // self._given_size])
            case requests.Configure():
                self._configure(self.options.changed(message, self.model))
                self._send([self.options.in_force])
            case requests.Rewind():
                yield from self._rewind(message)
            case requests.Reset():
                self._send([messages.ResetDone(id=message.id)])
                self._begin_line()
            case requests.Resume():
                yield from self._resume(message)
            case requests.Flush():
                yield from self._flush()
                self._send([self._with_answer(messages.Flushed, id=message.id)])
            case _:
                yield from self._flush()
                self._send([self._with_answer(messages.Done, id=message.id)])
                self._effects.append(Close(1000, "end"))
                self.close()

    def _configure(self, options: Options) -> None:
        """Put options in force from the next column on."""
        self.options = options
        if not self._line.column:
            self._line.begin(options.decoder)
            self._read_with = options.in_force
        self._apply_options()

    def _apply_options(self) -> None:
        """Apply all options but hints from the next column on."""
        info, decoder, in_force = self.model.info, self._line.decoder, self.options.in_force
        self._line.allow(self.options.decoder.allowed)
        is_line = info.kind == "transcriber"
        self._snapshot_spacing = in_force.snapshot_columns or math.inf
        # Looking up a field of a pydantic model takes 80 ns; these are needed for every column.
        self._results, self._line_end_columns = in_force.results, in_force.line_end_columns
        self.showing = Showing(info.labels, is_line, in_force.top_k, decoder.allowed, decoder.mask)

    def _with_answer(self, kind: type[AnswerKind], **fields: Any) -> AnswerKind:
        """Return a message with the line's answer and counts; note that the client has its text."""
        line, decoder = self._line, self._line.decoder
        self._text = decoder.text
        fields |= {"columns": line.column, "letters": decoder.letters, "words": decoder.words}
        # A kind of message without one of these fields ignores it.
        return kind(label=decoder.label, text=decoder.text, **fields)

    # New columns

    def _read(self, ran: Ran) -> None:
        """Read new columns; send their results and events."""
        line, portion = self._line, ran.portion
        first = line.column
        self._n_unsaved += portion.n_columns
        # Ink goes back often: the state after each of its runs is kept.
        keep = self._ink.has_strokes
        events, texts = line.read(ran.scores, ran.state, portion.data, keep=keep)
        made, self._text = outputs.results(first, portion.picked, ran.shown, texts, self._text)
        if events:  # each comes before the result of its column
            decided = outputs.event_messages(events, self._ink)
            self._send(sorted([*decided, *made], key=attrgetter("column")))
        else:
            self._send(made)

    def _read_new(self, data: bytes, ends: Sequence[int]) -> Work:
        """Read columns that messages bring; `ends` are the numbers of columns that end them.

        The line's messages that were processed include all of these.
        """
        while data:
            self._index = self._n_processed - len(ends)
            if self._line.column >= self._max_columns:
                raise errors.OverLimitError(f"a line has {self._max_columns} columns at most")
            ran: Ran = yield Due(data, ends)
            self._read(ran)
            n_read = ran.portion.n_columns
            ends_left = [end - n_read for end in ends if end > n_read]
            if ran.portion.ends_line:
                rest_columns = 0 if n_read in ends else ends_left[0]
                n_messages = self._n_processed - len(ends_left) + (rest_columns > 0)
                yield from self._end_line(n_messages, rest_columns)
                self._n_processed = len(ends_left)  # what follows belongs to the next line
            data, ends = data[len(ran.portion.data) :], ends_left

    def _write(self, ink: requests.Ink) -> Work:
        """Have the strokes of a message drawn, and read the columns that they bring or change."""
        line = self._line
        changes = self._ink.changes(ink, line.oldest, line.column)
        self.inbox.spend(changes.cost - 1)
        if not changes.is_drawn:
            for stroke in ink.strokes:
                stroke.points.clear()  # the pieces have them, in an eighth of the memory
            yield changes
        start, data = self._ink.draw(changes, line.oldest, line.column)
        yield from self._read_ink(start, data, changes.refits)

    def _read_ink(self, start: int, data: bytes, refits: bool = False) -> Work:
        """Read columns of ink; those from `start` on replace columns that were read.

        Nothing is sent about replaced columns until the new ones have been read.
        """
        line, size = self._line, self._ink.column_size
        n_columns = len(data) // size
        if not refits and start == line.column:
            yield from self._read_new(data, [n_columns])
            return
        n_again = min(line.column - start, n_columns)
        yield from self._go_back(start)
        revised = self._with_answer(messages.Revised, column=start, frame=self._ink.fitted)
        withdrawn = self._revisions.withdraw(revised)
        self._held = []
        yield from self._read_new(data[: n_again * size], [n_columns])
        again, self._held = self._held, None
        self._number(self._revisions.differences(revised, withdrawn, again))
        yield from self._read_new(data[n_again * size :], [n_columns - n_again])

    def _end_line(self, n_messages: int, rest_columns: int) -> Work:
        """End the line; the last `rest_columns` of its `n_messages` begin the next line."""
        yield from self._flush()
        end = self._with_answer(messages.LineEnd, messages=n_messages, rest_columns=rest_columns)
        self._send([end])
        self._begin_line()

    def _begin_line(self) -> None:
        """Begin a line with the options in force, and count its messages and answers."""
        self._seq = 0  # number of the newest message
        self._heard = 0  # of the newest one that the client has heard
        self._n_processed = 0
        self._text = ""
        self._read_with = self.options.in_force  # whose hints the line's decoder has
        self._ink.begin()
        self._revisions.begin()
        had_columns = self._line.column > 0
        self._line.begin(self.options.decoder)
        self._apply_options()
        self._n_unsaved = 0
        if had_columns:
            self._effects.append(Restore(None))

    # Going back, and reading again

    def _rewind(self, message: requests.Rewind) -> Work:
        """Forget a column and all after it."""
        line, column = self._line, message.column
        if not line.oldest <= column <= line.column:
            allowed = f"{line.oldest}..{line.column}"
            raise errors.ValueRefusedError(f"column is {column}, allowed: {allowed}")
        self._ink.wipe(column)
        yield from self._go_back(column)
        rewound = self._with_answer(messages.Rewound, id=message.id, column=column)
        self._revisions.withdraw(rewound)
        self._send([rewound])

    def _go_back(self, column: int) -> Work:
        """Restore the newest state kept at or before a column, and read again up to that column."""
        if column < self._line.column:
            yield from self._read_again(self._line.go_back(column))
        self._apply_options()

    def _read_again(self, restart: Restart) -> Work:
        """Restore a state that was kept, and read what followed it; nothing is sent about that."""
        line, newest = self._line, None
        state, pieces = restart
        self._effects.append(Restore(state))
        for piece in pieces:
            match piece:
                case AllowLabels():
                    line.allow(piece.allowed)
                case BlankColumns():
                    newest, _ = yield from self._read_blank(piece.n_columns)
                case data:
                    while data:
                        ran: Ran = yield Due(data)
                        line.read(ran.scores, ran.state, ran.portion.data)
                        data, newest = data[len(ran.portion.data) :], ran.state
        if newest is not None:
            line.keep(newest)  # the next rewind may well go back here again

    def _flush(self) -> Work:
        """Read the ink that is left, then blank columns until the net holds nothing back."""
        if (held_back := self._ink.held_back()) is not None:
            yield from self._read_ink(*held_back)
        if not self._line.decoder.settled:
            _, events = yield from self._read_blank(self._line.decoder.flush_columns)
            self._send(outputs.event_messages(events, self._ink))

    def _read_blank(
        self, n_columns: int
    ) -> Generator[Due, Ran, tuple[NDArray[np.uint8] | None, list[Event]]]:
        """Read blank columns that are no part of the line; return the net's state, and events."""
        events: list[Event] = []
        state = None
        while n_columns:
            ran = yield Due(bytes(n_columns * self._ink.column_size))
            n_columns -= len(ran.scores)
            events += self._line.flush(ran.scores, last=not n_columns)
            state = ran.state
        return state, events

    # Snapshots, and lines that are resumed

    def _take_snapshot(self) -> None:
        """Send a snapshot, unless it is too large."""
        model, line = self.model, self._line
        if model.seals is None:
            return
        saved = SavedSession(
            seq=self._seq,
            n_messages=self._n_processed,
            text=self._text,
            options=self.options.in_force.model_dump(),
            read_with=self._read_with.model_dump(),
            line=line.saved(),
            ink=self._ink.saved(),
            sent=[event.model_dump() for event in self._revisions.sent.values()],
        )
        blob = model.seals.seal(encode(saved), self._client, model.limits.resume_lifetime_s)
        # The message `resume` that brings it back has at most 1024 bytes beside it.
        if len(blob) <= model.limits.max_frame_bytes - 1024:
            self._effects.append(messages.Snapshot(messages=self._n_processed, blob=blob))

    def _resume(self, message: requests.Resume) -> Work:
        """Go on with a line; its messages follow: all of them, or those after the snapshot."""
        if not self._may_resume:
            raise errors.ValueRefusedError(
                "resume came after other messages, allowed: first, or after pings", message.id
            )
        self._configure(self.options.updated(message.options, self.model))
        self._may_resume = False
        is_same_model = message.digest == self.model.digest
        saved = self._opened(message) if is_same_model else None
        n_messages = 0 if saved is None else saved.n_messages
        self._effects.append(messages.Resumed(id=message.id, messages=n_messages))
        if is_same_model:
            self._heard = message.heard
        else:  # other weights: what was heard of the line is withdrawn
            self._effects.append(self._with_answer(messages.Revised, seq=0, column=0))
        if saved is not None:
            yield from self._take_up(saved)

    def _opened(self, message: requests.Resume) -> SavedSession | None:
        """Return what is in a snapshot; None if there is none that can be used here."""
        if message.snapshot is None or self.model.seals is None:
            return None
        try:
            saved = decode(self.model.seals.open(message.snapshot, self._client))
            for options in (saved.options, saved.read_with):
                Options.of(options, self.model)
        except InputError:
            return None
        return saved if saved.seq <= message.heard else None  # else answers would be lost

    def _take_up(self, saved: SavedSession) -> Work:
        """Take over the state of a session that was saved."""
        line, model = self._line, self.model
        self.options = Options.of(saved.options, model)
        self._read_with = Options.of(saved.read_with, model).in_force
        decoder = decoder_for(model, self._read_with)
        decoder.restore(saved.line.decoder)
        self._seq, self._n_processed, self._text = saved.seq, saved.n_messages, saved.text
        if saved.ink is not None:
            columns = b"".join(piece for piece in saved.line.pieces if isinstance(piece, bytes))
            self._ink.resume(saved.ink, saved.line.column, columns)
            self.inbox.after_ink = True
        self._revisions.begin(_EVENTS.validate_python(saved.sent))
        yield from self._read_again(line.resume(saved.line, decoder, self._ink.column_size))
        self._apply_options()

    # Out

    def _send(self, effects: Sequence[Effect]) -> None:
        """Send messages of the line, unless they are held until columns are read again."""
        if self._held is not None:
            self._held += effects
            return
        if self._ink.has_strokes:
            self._revisions.add(effects, self._line.column)
        self._number(effects)

    def _number(self, effects: Iterable[Any]) -> None:
        """Number messages of the line, and send those that the client has not heard."""
        for message in effects:
            self._seq += 1
            if self._seq > self._heard:
                message.seq = self._seq
                self._effects.append(message)

    def _send_error(self, error: InkstreamError, *, fatal: bool) -> None:
        """Send an error; number it if the message that is processed is one of the line's."""
        self._held = None
        code, index, ref = error.code, self._index, self._ref
        sent = messages.Error(code=code, message=str(error), fatal=fatal, index=index, ref=ref)
        if index is None:
            self._effects.append(sent)
        else:
            self._number([sent])
        if fatal:
            self._effects.append(Close(errors.MEANINGS[code].closing, code))
            self.close()
