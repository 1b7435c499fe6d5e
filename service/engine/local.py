"""One session and its net in the calling thread, without engine and server."""

from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import ServerMessage
from inkstream.service.session import (
    Close,
    Effect,
    Restore,
    Session,
    SessionModel,
    probabilities_shown,
)

RUN_COLUMNS = 64  # most in one run


class LocalSession:
    """An opened session with its net's state; `receive` returns all messages that follow."""

    def __init__(self, runtime: Runtime, model: SessionModel, session_id: str = "local") -> None:
        self.session = Session(session_id, model)
        self.sent: list[ServerMessage] = []  # since they were last returned
        self.close: Close | None = None
        self._runtime = runtime
        self._state = runtime.initial_state(1)  # [1, D]
        self.apply(self.session.open())

    def receive(self, frame: str | bytes, now_s: float) -> list[ServerMessage]:
        """Take a frame that came at `now_s`, run all columns, and return what was sent since."""
        self.apply(self.session.receive(frame, now_s))
        while self.run():
            pass
        sent, self.sent = self.sent, []
        return sent

    def run(self, max_columns: int = RUN_COLUMNS) -> bool:
        """Run the next columns; return False if there are none."""
        columns = self.session.take(max_columns)
        if columns is None:
            return False
        scores, self._state = self._runtime.run(columns[:, None], self._state)
        (shown,) = probabilities_shown([self.session], [scores[:, 0]])
        self.apply(self.session.step(scores[:, 0], self._state[0], shown))
        return True

    def apply(self, effects: list[Effect]) -> None:
        """Carry out what the session asks for."""
        for effect in effects:
            if isinstance(effect, Restore):
                if effect.state is None:
                    self._state = self._runtime.initial_state(1)
                else:
                    self._state = effect.state[None].copy()
            elif isinstance(effect, Close):
                self.close = effect
            else:
                self.sent.append(effect)
