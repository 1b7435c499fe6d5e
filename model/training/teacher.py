"""The teacher: a small convolutional net that sees the whole image and answers once.

It never streams and is never served; its softened answers train the causal net (Hinton, Vinyals,
Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531).
"""

import torch
from torch import Tensor, nn

WIDTH = 32  # channels of the first block; they double with each block
DROPOUT = 0.3


class Teacher(nn.Module):
    """Three blocks of two 3x3 convolutions, then the mean over the image and a linear head."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for block, outputs in enumerate((WIDTH, 2 * WIDTH, 4 * WIDTH)):
            if block:
                layers.append(nn.MaxPool2d(2))
            for _ in range(2):
                layers += [
                    nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
                    nn.BatchNorm2d(outputs),
                    nn.ReLU(inplace=True),
                ]
                channels = outputs
        self.body = nn.Sequential(*layers)
        self.body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(channels, n_labels))

    def forward(self, columns: Tensor) -> Tensor:
        """Scores [B, K] of whole images, columns [B, T, H]."""
        images = columns.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        scores: Tensor = self.head(self.body(images).mean((2, 3)))
        return scores
