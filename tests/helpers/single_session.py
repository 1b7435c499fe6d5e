"""One session without engine: the client and the net of a session, in the calling thread."""

import itertools
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.hints import NO_HINTS, Hints, new_decoder
from inkstream.model.decoding.ngrams import About, Language
from inkstream.model.preprocess.ink import taken_by
from inkstream.model.runtime import Runtime
from inkstream.model.training.ngrams import build
from inkstream.service.protocol.server_messages import (
    Answer,
    Error,
    Event,
    Letter,
    Limits,
    LineEnd,
    ResetDone,
    Result,
    ServerMessage,
    Word,
)
from inkstream.service.session import (
    Close,
    Effect,
    Portion,
    Ran,
    Restore,
    Seals,
    Session,
    SessionModel,
    draw_due,
    shown_of,
)
from tests.helpers import builders

BLANK = bytes(28)
INK = bytes([0, 9, 200, 255] * 7)
LINE_BLANK = bytes(16)  # of the small transcriber
LINE_INK = bytes([0, 9, 200, 255] * 4)

LIMITS = Limits(
    max_frame_bytes=65_536,
    max_message_columns=300,
    max_waiting_columns=1000,
    max_line_columns=1000,
    max_rewind_columns=100,
    max_control_per_s=10,
    max_hint_characters=60,
    max_message_points=1000,
    ink_margin_columns=0,
    max_ink_strokes=50,
    max_ink_points=4000,
    max_bad_messages=3,
    max_sessions=4,
    max_sessions_per_client=2,
    idle_timeout_s=60.0,
    max_session_s=600.0,
    max_body_bytes=65_536,
    max_image_pixels=10_000,
)


def language_of(name: str, *texts: tuple[str, float]) -> Language:
    """Return a language of the transcriber's letters, counted in weighted texts."""
    return Language(About(name, " abc.", 4, ("ours",)), build(texts, " abc.", 4, most=1000))


LITTLE = language_of("little", ("abba", 50.0), ("ab.", 9.0), ("cab", 3.0))
OTHER = language_of("other", ("acca", 50.0), ("ca.", 9.0), ("bac", 3.0))
LANGUAGES = {"little": LITTLE, "other": OTHER}


class SessionClient:
    """The only client of an opened session, with the state of its net."""

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits = LIMITS,
        languages: Mapping[str, Language] = MappingProxyType({}),
        seals: Seals | None = None,
        credential: bytes = b"",
        digest: str = "",
        column_size: int = 0,
    ) -> None:
        self.model = SessionModel.of(
            runtime.metadata, limits, languages, digest=digest, seals=seals
        )
        self.session = Session("test", self.model, credential, column_size=column_size)
        self.received: list[ServerMessage] = []  # in order
        self.close: Close | None = None
        self._runtime = runtime
        self._state = runtime.initial_state(1)  # [1, D]
        self._now_s = 0.0
        self.apply(self.session.open())

    def send(self, *frames: str | bytes, interval_s: float = 1.0) -> None:
        """Send frames, `interval_s` seconds apart."""
        for frame in frames:
            self._now_s += interval_s
            self.apply(self.session.receive(frame, self._now_s))

    @property
    def column(self) -> int:
        """Return the number of the line's next column."""
        return self.session._line.column

    @property
    def paused_s(self) -> float:
        """For how long the server would read nothing more from now on; 0 if it reads on."""
        return max(0.0, self.session.inbox.paid_s - self._now_s)

    def step(self, max_columns: int = 64, n_runs: int = 1) -> bool:
        """Run the ready columns `n_runs` times, as if all runs but the last had failed.

        Return False if no columns are ready.
        """
        portion = self.session.take(max_columns)
        if portion is None:
            return False
        for _ in range(n_runs):
            columns = taken_by(self.model.config, portion.columns)
            scores, next_state = self._runtime.run(columns[:, None], self._state)
        self._state = next_state.copy()
        effects = step_alone(self.session, portion, scores[:, 0], next_state[0])
        next_state.fill(255)  # the session must keep copies only
        self.apply(effects)
        return True

    def drain(self) -> None:
        """Run until no columns are ready."""
        while self.step():
            pass

    def apply(self, effects: list[Effect]) -> None:
        """Carry out what the session asks for."""
        for effect in effects:
            assert self.close is None, f"{effect} after the close"
            if isinstance(effect, Restore):
                self._restore(effect.state)
            elif isinstance(effect, Close):
                self.close = effect
            else:
                self.received.append(effect)
        if changes := self.session.ink_due:
            while not changes.is_drawn:
                draw_due([changes], self.model.config)
            self.apply(self.session.draw())

    def new_messages(self) -> list[ServerMessage]:
        """Return the messages that came since the last call."""
        messages, self.received = self.received, []
        return messages

    def ask(self, *frames: str | bytes) -> list[ServerMessage]:
        """Send frames, run all columns, and return the messages that follow."""
        self.new_messages()
        self.send(*frames)
        self.drain()
        return self.new_messages()

    def _restore(self, state: NDArray[np.uint8] | None) -> None:
        self._state = self._runtime.initial_state(1) if state is None else state[None].copy()


def step_alone(
    session: Session, portion: Portion, scores: NDArray[np.float32], state: NDArray[np.uint8]
) -> list[Effect]:
    """Step a session whose columns were run without those of others; return the effects."""
    (shown,) = shown_of([session.showing], [portion.picked], [scores])
    return session.step(Ran(portion, scores, state, shown))


def message(kind: str, **fields: Any) -> str:
    """Return a text frame with a message of the client."""
    return json.dumps({"type": kind, **fields})


def only(messages: list[ServerMessage]) -> ServerMessage:
    """Return the only message."""
    assert len(messages) == 1, messages
    return messages[0]


def types_of(messages: list[ServerMessage]) -> list[str]:
    """Return the types of messages."""
    return [each.type for each in messages]


def error_in(messages: list[ServerMessage]) -> Error:
    """Return the only message, which must be an error."""
    error = only(messages)
    assert isinstance(error, Error)
    return error


def results(messages: list[ServerMessage]) -> list[Result]:
    """Return the results among messages."""
    return [each for each in messages if isinstance(each, Result)]


def events_in(messages: list[ServerMessage]) -> list[Event]:
    """Return the letters, marks and words among messages."""
    return [each for each in messages if isinstance(each, Event)]


def letters_in(messages: list[ServerMessage]) -> list[Letter]:
    """Return the letters and marks among messages."""
    return [each for each in messages if isinstance(each, Letter)]


def words_in(messages: list[ServerMessage]) -> list[Word]:
    """Return the words among messages."""
    return [each for each in messages if isinstance(each, Word)]


def all_probabilities(messages: list[ServerMessage]) -> NDArray[np.float64]:
    """Return the probabilities of all results, [n, K]."""
    return np.array([[p for _, p in each.probabilities] for each in results(messages)])


def text_after(newest: str, message: ServerMessage) -> str:
    """Return the text that a client with a `newest` text has after a message."""
    match message:
        case Result(stable=int(stable), text=str(text)):
            assert 0 <= stable <= len(newest)
            return newest[:stable] + text
        case LineEnd() | ResetDone():
            return ""
        case Answer():
            return message.text or ""
    return newest


def texts(messages: Sequence[ServerMessage], newest: str = "") -> list[str]:
    """Return the text at each result, put together as a client does."""
    after = [*itertools.accumulate(messages, text_after, initial=newest)][1:]
    return [text for text, each in zip(after, messages, strict=True) if isinstance(each, Result)]


def text_of(messages: Sequence[ServerMessage]) -> str:
    """Return the text of the last message, which must be an answer with one."""
    answer = messages[-1]
    assert isinstance(answer, Answer)
    assert answer.text is not None
    return answer.text


def uninterrupted(net: Runtime, columns: bytes) -> NDArray[np.float32]:
    """Return the probabilities after each column of a line that nothing interrupts, [n, K]."""
    pixels = np.frombuffer(columns, np.uint8).reshape(-1, 1, 28)
    return np.exp(net.run(pixels, net.initial_state(1))[0][:, 0])


def line(n_columns: int, seed: int = 0) -> bytes:
    """Return random columns for the small transcriber."""
    return builders.columns(n_columns, seed, 16).tobytes()


def read_by_decoder(net: Runtime, columns: bytes, hints: Hints = NO_HINTS) -> tuple[list[str], str]:
    """Return the texts after each column and after a flush, read without a session."""
    decoder = new_decoder(net.config, hints)
    pixels = np.frombuffer(columns, np.uint8).reshape(-1, 16)
    scores, state = net.run(pixels[:, None], net.initial_state(1))
    decoded = decoder.step(scores[:, 0], pixels)
    blank = np.zeros((net.config.flush_columns, 1, 16), np.uint8)
    decoder.flush(net.run(blank, state)[0][:, 0])
    assert decoder.text is not None
    return decoded.texts, decoder.text
