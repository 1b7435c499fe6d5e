"""The same ink read by others, in the same run."""

import os
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from model.report.material import CHARACTERS, TEXT, WORDS, Material
from model.report.measures import Figures, errors
from model.report.recognisers import Grey, Kind, Peer, Rendering
from model.report.spread import overall, times

SIDES: Final[dict[str, tuple[str, Kind]]] = {"words": (WORDS, "word"), "text": (TEXT, "text")}
PAPER: Final = 255


def compare(
    material: Material,
    peers: Sequence[Peer],
    labels: Sequence[str],
    ours: Mapping[str, Figures],
    n_columns: int,
) -> Figures:
    """Errors of each peer on all words and lines, on fresh ones, and on single characters.

    `times` beside those of words and lines are how many times as many characters it gets wrong.

    Args:
        material: the pieces.
        peers: who read them.
        labels: what may be answered in words and lines.
        ours: what our net makes of `words` and `text`: the `overall` figures of either.
        n_columns: of all words and lines as our net reads them: what the processor's time is for.
    """
    found = {}
    for peer in peers:
        own = found[peer.name] = _measured(material, peer, labels, n_columns)
        for side in SIDES:
            own[side]["times"] = times(own[side]["spread"], ours[side]["spread"])
    return found


def _measured(material: Material, peer: Peer, labels: Sequence[str], n_columns: int) -> Figures:
    found: Figures = {"sees": peer.sees}
    taken_s = 0.0
    for side, (category, kind) in SIDES.items():
        places = material.places(category)
        images = [image(material, place, peer.rendering(kind)) for place in places]
        begun_s = _processor_s()
        texts = peer.read(images, kind, "".join(labels)) if images else []
        taken_s += _processor_s() - begun_s
        found[side] = overall(material, places, texts)
    found["us_per_column"] = 1e6 * taken_s / n_columns if n_columns else None
    found["characters"] = {}
    for category, characters in CHARACTERS.items():
        places = material.places(category)
        rendering = peer.rendering("character")
        images = [image(material, place, rendering) for place in places]
        texts = peer.read(images, "character", characters) if images else []
        found["characters"][category] = errors(texts, material.labels(places))
    return found


def image(material: Material, place: int, rendering: Rendering) -> Grey:
    """A piece as an image [h, w], dark on light, with margins."""
    columns = material.columns(place, rendering.rows, tight=rendering.tight)
    margins = ((rendering.beside, rendering.beside), (rendering.above, rendering.above))
    return np.ascontiguousarray(PAPER - np.pad(columns, margins).T)


def _processor_s() -> float:
    """Seconds of the processor that this process and those that it started have taken."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
