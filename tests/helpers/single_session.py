"""One session served alone: what the engine does, without its loop, threads and neighbours."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding.hints import NO_HINTS, Hints, new_decoder
from inkstream.model.decoding.ngrams import About, Language
from inkstream.model.runtime import Runtime
from inkstream.model.training.ngrams import build
from inkstream.service.limits import Limits
from inkstream.service.protocol.server_messages import (
    Error,
    Event,
    Letter,
    Punctuation,
    Result,
    ServerMessage,
    Word,
)
from inkstream.service.session import (
    NO_LANGUAGES,
    Close,
    Effect,
    Restore,
    Session,
    SessionModel,
    probabilities_shown,
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


LITTLE = Language(
    About("little", " abc.", 4, ("ours",)),
    build([("abba", 50.0), ("ab.", 9.0), ("cab", 3.0)], " abc.", 4, most=1000),
)
LANGUAGES = {"little": LITTLE}


class Lone:
    """An opened session and its own row of state; keeps what the session says, in order."""

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits = LIMITS,
        languages: Mapping[str, Language] = NO_LANGUAGES,
    ) -> None:
        self.model = SessionModel.of(runtime.metadata, limits, languages)
        self.session = Session("lone", self.model)
        self.said: list[ServerMessage] = []
        self.close: Close | None = None
        self._runtime = runtime
        self._state = runtime.initial_state(1)  # [1, D]
        self._now_s = 0.0
        self.apply(self.session.open())

    def send(self, *frames: str | bytes, pace_s: float = 1.0) -> None:
        """Let frames come, `pace_s` seconds apart."""
        for frame in frames:
            self._now_s += pace_s
            self.apply(self.session.receive(frame, self._now_s))

    def step(self, max_columns: int = 64, runs: int = 1) -> bool:
        """Run the columns that are due, `runs` times as if all but the last failed."""
        piece = self.session.take(max_columns)
        if piece is None:
            return False
        for _ in range(runs):
            scores, after = self._runtime.run(piece[:, None], self._state)
        self._state = after.copy()
        effects = stepped(self.session, scores[:, 0], after[0])
        after.fill(np.nan)  # what the session keeps of it must be its own
        self.apply(effects)
        return True

    def drain(self) -> None:
        """Run until nothing is due."""
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
                self.said.append(effect)

    def heard(self) -> list[ServerMessage]:
        """What was said since the last call."""
        said, self.said = self.said, []
        return said

    def ask(self, *frames: str | bytes) -> list[ServerMessage]:
        """Send, run, and give all the answers."""
        self.heard()
        self.send(*frames)
        self.drain()
        return self.heard()

    def _restore(self, row: NDArray[np.float32] | None) -> None:
        self._state = self._runtime.initial_state(1) if row is None else row[None].copy()


def stepped(
    session: Session, scores: NDArray[np.float32], state: NDArray[np.float32]
) -> list[Effect]:
    """What a session does when its columns were run without those of others."""
    (shown,) = probabilities_shown([session], [scores])
    return session.step(scores, state, shown)


def message(kind: str, **fields: Any) -> str:
    """A text frame."""
    return json.dumps({"type": kind, **fields})


def only(said: list[ServerMessage]) -> ServerMessage:
    """The one message that was said."""
    assert len(said) == 1, said
    return said[0]


def kinds(said: list[ServerMessage]) -> list[str]:
    """The types of what was said."""
    return [each.type for each in said]


def error_in(said: list[ServerMessage]) -> Error:
    """The one message that was said, an error."""
    answer = only(said)
    assert isinstance(answer, Error)
    return answer


def results(said: list[ServerMessage]) -> list[Result]:
    """The results alone."""
    return [each for each in said if isinstance(each, Result)]


def events_in(said: list[ServerMessage]) -> list[Event]:
    """The letters, marks and words alone."""
    return [each for each in said if isinstance(each, Event)]


def letters_in(said: list[ServerMessage]) -> list[Letter | Punctuation]:
    """The letters and marks alone."""
    return [each for each in said if isinstance(each, Letter | Punctuation)]


def words_in(said: list[ServerMessage]) -> list[Word]:
    """The words alone."""
    return [each for each in said if isinstance(each, Word)]


def curve(said: list[ServerMessage]) -> NDArray[np.float64]:
    """The probabilities of all results, [n, K]."""
    return np.array([list(each.probabilities.values()) for each in results(said)])


def alone(net: Runtime, columns: bytes) -> NDArray[np.float32]:
    """The probabilities after each column of a line that nothing interrupts, [n, K]."""
    pixels = np.frombuffer(columns, np.uint8).reshape(-1, 1, 28)
    return np.exp(net.run(pixels, net.initial_state(1))[0][:, 0])


def line(n_columns: int, seed: int = 0) -> bytes:
    """Columns of the small transcriber."""
    return builders.columns(n_columns, seed, 16).tobytes()


def read_by_decoder(net: Runtime, columns: bytes, hints: Hints = NO_HINTS) -> tuple[list[str], str]:
    """Texts after each column, and after a flush: net and decoder without a session."""
    decoder = new_decoder(net.config, hints)
    pixels = np.frombuffer(columns, np.uint8).reshape(-1, 16)
    scores, state = net.run(pixels[:, None], net.initial_state(1))
    heard = decoder.step(scores[:, 0], pixels)
    blank = np.zeros((net.config.flush_columns, 1, 16), np.uint8)
    decoder.flush(net.run(blank, state)[0][:, 0])
    assert decoder.text is not None
    return heard.texts, decoder.text
