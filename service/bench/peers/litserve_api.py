"""LitServe: HTTP, since it has no WebSockets; batches; the one worker keeps the states.

The state of a session would be tens of kB in each request if the client kept it.
"""

import base64
import sys
from typing import Any

import litserve  # type: ignore[import-not-found]
import numpy as np
from numpy.typing import NDArray

from inkstream.service.bench.peers.answers import MAX_BATCH, answer, columns_of, load

BATCH_TIMEOUT_S = 0.001  # that a batch waits for more requests

Message = tuple[int, NDArray[np.uint8]]  # session, columns [n, H]


class Api(litserve.LitAPI):  # type: ignore[misc]
    """The net behind `POST /predict`."""

    def __init__(self, model: str) -> None:
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT_S)
        self.model = model

    def setup(self, device: str) -> None:
        """Load the net in the worker."""
        self.runtime = load(self.model)
        self.states: dict[int, NDArray[np.uint8]] = {}

    def decode_request(self, request: dict[str, Any]) -> Message:
        """Return the message of a request."""
        data = base64.b64decode(request["columns"])
        return request["session"], columns_of(data, self.runtime)

    def batch(self, inputs: list[Message]) -> list[Message]:
        """Return the batch as it is."""
        return inputs

    def predict(self, messages: list[Message]) -> list[dict[str, Any]]:
        """Run the net once for all messages."""
        start = self.runtime.initial_state(1)[0]
        states = np.stack([self.states.get(session, start) for session, _ in messages])
        scores, after = self.runtime.run_ragged([columns for _, columns in messages], states)
        self.states |= {session: state for (session, _), state in zip(messages, after, strict=True)}
        return [answer(own, self.runtime) for own in scores]

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers as they are."""
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Return the answer as it is; it becomes JSON."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Api(sys.argv[1]), accelerator="cpu")
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
