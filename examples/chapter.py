"""Train a textbook's LSTM on MNIST's digits, to compare with: `python examples/chapter.py`.

One LSTM layer of 128 cells reads the 28 *rows* of a digit (textbooks call them columns), with a
forget bias of 1, and a dense layer answers from its last output. Adam at 0.001, batches of 64, 10
epochs, no distortion. The accuracy of each batch is printed, as textbooks do; that on held-out
and on test images is printed at the end. It needs inkstream with the extra `train`.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from inkstream.model.data.sources import mnist
from inkstream.model.network import set_forget_bias

UNITS = 128
LEARNING_RATE = 0.001
BATCH = 64
HELD_OUT = 1 / 7  # of the training images, drawn at random: the textbook's test set
PRINT_EVERY = 100  # batches


class ChapterNet(nn.Module):
    """Rows [B, 28, 28] to scores [B, 10], from the last output of the LSTM."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, UNITS, batch_first=True)
        self.dense = nn.Linear(UNITS, 10)
        set_forget_bias(self.lstm)

    def forward(self, rows):
        return self.dense(self.lstm(rows)[0][:, -1])


def train(data, epochs, seed):
    """Train the net, print each batch's figures, and return the accuracy on MNIST's test images."""
    torch.manual_seed(seed)
    rows, answers = load_rows("train", data)
    order = torch.randperm(len(rows))
    n_held_out = round(HELD_OUT * len(rows))
    held_out, training = order[:n_held_out], order[n_held_out:]
    network = ChapterNet()
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for epoch in range(epochs):
        print(f"epoch: {epoch}")
        shuffled = training[torch.randperm(len(training))]
        for batch, chosen in enumerate(torch.split(shuffled, BATCH)):
            scores = network(rows[chosen])
            loss = functional.cross_entropy(scores, answers[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if batch % PRINT_EVERY == 0:
                right = (scores.argmax(1) == answers[chosen]).float().mean()
                print(f" batch: {batch}\n accuracy: {right:.4f}\n loss: {loss:.4f}")
    print(f"held-out accuracy: {accuracy(network, rows[held_out], answers[held_out]):.4f}")
    test_accuracy = accuracy(network, *load_rows("t10k", data))
    print(f"test accuracy: {test_accuracy:.4f}")
    return test_accuracy


@torch.no_grad()
def accuracy(network, rows, answers):
    """Return the share of right answers."""
    return (network(rows).argmax(1) == answers).float().mean().item()


def load_rows(part, data):
    """Return the rows [N, 28, 28] of MNIST's images of a part, and their digits."""
    dataset = mnist.load(part, data)
    rows = torch.from_numpy(dataset.columns).transpose(1, 2).float() / 255
    return rows.contiguous(), torch.from_numpy(dataset.answers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Train a textbook's LSTM: one layer of 128 cells reads the rows of digits."
    )
    parser.add_argument("--data", type=Path, help="a folder of MNIST's IDX files; else downloaded")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON file for the test accuracy")
    options = parser.parse_args()
    figures = {"test_accuracy": train(options.data, options.epochs, options.seed)}
    if options.out:
        figures |= {"epochs": options.epochs, "seed": options.seed}
        options.out.write_text(json.dumps(figures) + "\n")
