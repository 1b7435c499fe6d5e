"""What it costs not to see the future: the same net, reading from both ends, on the same ink."""

import json
from pathlib import Path
from typing import Final

import torch

from model.errors import DataError
from model.knobs import LineKnobs
from model.line_task import line_config, transcribe
from model.network import LineLSTM
from model.report.material import TEXT, WORDS, Material
from model.report.measures import Figures, errors
from model.run_folder import CONFIGURATION, network_digest, network_weights

SIDES: Final = {"words": WORDS, "text": TEXT}


def both_ways(run: Path, material: Material) -> Figures:
    """Errors of the net that `train lines --both-ways` left, read by the decoder that is served.

    Raises `DataError` when the folder has no such net.
    """
    weights = network_weights(run)
    configuration = json.loads((run / CONFIGURATION).read_text())
    knobs = LineKnobs(**configuration["knobs"])
    if not knobs.both_ways:
        raise DataError(f"{run} holds a net that reads one way, expected one of --both-ways")
    labels = configuration["labels"]
    network = LineLSTM(line_config(knobs, labels), both_ways=True)
    network.load_state_dict(weights)
    found: Figures = {
        "steps": knobs.steps,
        "init": configuration["init"],
        "config_digest": knobs.digest,
        "network_sha256": network_digest(run),
    }
    for side, category in SIDES.items():
        places = material.places(category)
        with torch.no_grad():
            texts = transcribe(network.eval(), material.drawn(places), labels)
        found[side] = errors(texts, material.labels(places))
    return found
