"""Measure nets on a user's own labelled data: `inkstream evaluate lines --data MINE`.

The shipped net and that of `--checkpoint` read all lines of it, ink and images, without hints.
"""

from typing import Final

import numpy as np
from rapidfuzz.distance import Levenshtein

from inkstream.model.checkpoint import Checkpoint, find, read
from inkstream.model.config import ModelConfig
from inkstream.model.data.batches import NO_ENDS, InkPieces, LineSample, draw_piece
from inkstream.model.data.line_data import LineData
from inkstream.model.evaluation.page_reading import spread
from inkstream.model.evaluation.report import Report, of_file
from inkstream.model.metrics import Figures, confusions, error_ratios, errors_with_bootstrap
from inkstream.model.preprocess.columns import SHIPPED
from inkstream.model.reader import Reader

N_GROUPS: Final = 100  # of lines at most, where the writers are not known
N_SHOWN: Final = 10  # confusions, and lines that are read worst


def own_report(checkpoint: Checkpoint, data: LineData, *, limit: int | None = None) -> Report:
    """Measure a transcriber and the shipped one on a user's lines.

    `limit` is the number of lines at most, spread over the data; None is all. The interval is that
    of the bootstrap over writers or, where these are not known, over groups of lines.
    """
    shipped = read(find(SHIPPED["transcriber"]))
    nets = {"the shipped net": shipped}
    if checkpoint.digest != shipped.digest:
        nets[str(checkpoint.path)] = checkpoint
    writers = [data.ink.writer_names[writer] for writer in data.ink.writers]
    names = [f"piece {number}, {writer}" for number, writer in enumerate(writers, 1)]
    names += [name for lines in data.paper for name in lines.writers]
    if len(set(writers)) < 2 or data.paper:
        writers = [str(number % N_GROUPS) for number in range(len(names))]
    chosen = spread(range(len(names)), limit)
    readers: dict[str, Figures] = {}
    for name, net in nets.items():
        samples = own_samples(data, net.metadata.config)
        labels = [samples[at].label for at in chosen]
        texts = [reading.text for reading in Reader(net).read([samples[at] for at in chosen])]
        figures = errors_with_bootstrap(texts, labels, [writers[at] for at in chosen])
        readers[name] = figures | {"texts": texts, "confusions": confusions(texts, labels, N_SHOWN)}
    ours, *others = readers.values()
    for figures in others:
        sides = ({"all": side["bootstrap"]} for side in (figures, ours))
        figures["ratio"] = error_ratios(*sides).get("all")
    wrong = [Levenshtein.distance(*pair) for pair in zip(texts, labels, strict=True)]
    worst = sorted(range(len(chosen)), key=lambda at: -wrong[at])[:N_SHOWN]
    contents = of_file(checkpoint) | {
        "data": data.name,
        "data_digest": ", ".join([data.ink.digest, *(lines.digest for lines in data.paper[:1])]),
        "limit": limit,
        "lines": len(chosen),
        "left_out": {reason: count for reason, count in data.skipped.items() if count},
        "readers": readers,
        "worst": [
            {
                "line": names[chosen[at]],
                "written": labels[at],
                "read": [figures["texts"][at] for figures in readers.values()],
            }
            for at in worst
            if wrong[at]
        ],
    }
    return Report("own", contents)


def own_samples(data: LineData, config: ModelConfig) -> list[LineSample]:
    """Return all lines of a user's data as a net reads them: its ink, then its images."""
    samples: list[LineSample] = []
    if len(data.ink):
        pieces, height = (
            InkPieces(data.ink, np.arange(len(data.ink)), data.characters),
            config.column_height,
        )
        samples += [
            draw_piece(pieces, at, height, directions=config.directions)
            for at in range(len(data.ink))
        ]
    for lines in data.paper:
        samples += [
            LineSample(lines.columns(at, config.column_height), text, NO_ENDS)
            for at, text in enumerate(lines.texts)
        ]
    return samples
