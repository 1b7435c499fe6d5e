"""Train the book chapter's example as it stands there, to compare with: `inkstream train document`.

One LSTM layer of 128 cells reads the 28 *rows* of a digit (the chapter calls them columns), with a
forget bias of 1, and a dense layer answers from its last output. Adam at 0.001, batches of 64, 10
epochs, no distortion. The chapter prints the accuracy of each batch; the accuracy on held-out
and on test images is printed at the end.
"""

from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from inkstream.model.data.sources import mnist
from inkstream.model.network import set_forget_bias

UNITS: Final = 128
LEARNING_RATE: Final = 0.001
BATCH: Final = 64
HELD_OUT: Final = 1 / 7  # of the training images, drawn at random: the chapter's own test set
PRINT_EVERY: Final = 100  # batches


class DocumentNet(nn.Module):
    """Rows [B, 28, 28] to scores [B, 10], from the last output of the LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, UNITS, batch_first=True)
        self.dense = nn.Linear(UNITS, 10)
        set_forget_bias(self.lstm)

    def forward(self, rows: Tensor) -> Tensor:
        scores: Tensor = self.dense(self.lstm(rows)[0][:, -1])
        return scores


def train_document(data: Path | None, epochs: int, seed: int) -> float:
    """Train the net, print as the chapter does, and return the accuracy on MNIST's test images."""
    torch.manual_seed(seed)
    rows, answers = _rows("train", data)
    order = torch.randperm(len(rows))
    n_held_out = round(HELD_OUT * len(rows))
    held_out, training = order[:n_held_out], order[n_held_out:]
    network = DocumentNet()
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for epoch in range(epochs):
        print(f"epoch: {epoch}")  # noqa: T201  # printed as the chapter prints it
        shuffled = training[torch.randperm(len(training))]
        for batch, chosen in enumerate(torch.split(shuffled, BATCH)):
            scores = network(rows[chosen])
            loss = functional.cross_entropy(scores, answers[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            if batch % PRINT_EVERY == 0:
                right = (scores.argmax(1) == answers[chosen]).float().mean()
                print(f" batch: {batch}\n accuracy: {right:.4f}\n loss: {loss:.4f}")  # noqa: T201
    print(f"held-out accuracy: {accuracy(network, rows[held_out], answers[held_out]):.4f}")  # noqa: T201
    test_accuracy = accuracy(network, *_rows("t10k", data))
    print(f"test accuracy: {test_accuracy:.4f}")  # noqa: T201
    return test_accuracy


@torch.no_grad()
def accuracy(network: nn.Module, rows: Tensor, answers: Tensor) -> float:
    """Return the share of right answers."""
    right: Tensor = network(rows).argmax(1) == answers
    return right.float().mean().item()


def _rows(part: Literal["train", "t10k"], data: Path | None) -> tuple[Tensor, Tensor]:
    dataset = mnist.load(part, data)
    rows = torch.from_numpy(dataset.columns).transpose(1, 2).float() / 255  # [N, 28, 28]
    return rows.contiguous(), torch.from_numpy(dataset.answers)
