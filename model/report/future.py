"""What it costs not to see the future: the same net, reading from both ends, on the same ink."""

from pathlib import Path
from typing import Final

import torch

from model.errors import DataError
from model.report.material import TEXT, WORDS, Material
from model.report.measures import Figures, errors
from model.training.line_runs import trained
from model.training.line_task import transcribe

SIDES: Final = {"words": WORDS, "text": TEXT}


def both_ways(run: Path, material: Material) -> Figures:
    """Errors of the net that `train lines --both-ways` left, read by the decoder that is served.

    Raises `DataError` when the folder has no such net.
    """
    twin = trained(run)
    if not twin.knobs.both_ways:
        raise DataError(f"{run} holds a net that reads one way, expected one of --both-ways")
    found: Figures = {
        "steps": twin.knobs.steps,
        "init": twin.init,
        "config_digest": twin.knobs.digest,
        "network_sha256": twin.digest,
    }
    for side, category in SIDES.items():
        places = material.places(category)
        with torch.no_grad():
            texts = transcribe(twin.network, material.drawn(places), twin.labels)
        found[side] = errors(texts, material.labels(places))
    return found
