"""The same ink read by others, in the same run."""

import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from model.report.material import CHARACTERS, TEXT, WORDS, Material
from model.report.measures import Figures, errors, errors_by
from model.report.recognisers import Grey, Kind, Peer, Rendering

SIDES: Final[dict[str, tuple[str, Kind]]] = {"words": (WORDS, "word"), "text": (TEXT, "text")}
PAPER: Final = 255


def compare(
    material: Material, peers: Sequence[Peer], labels: Sequence[str], n_columns: int
) -> Figures:
    """Errors of each peer on all words and lines, on fresh ones, and on single characters.

    Args:
        material: the pieces.
        peers: who read them.
        labels: what may be answered in words and lines.
        n_columns: of all words and lines as our net reads them: what times are given for.
    """
    return {peer.name: _measured(material, peer, labels, n_columns) for peer in peers}


def _measured(material: Material, peer: Peer, labels: Sequence[str], n_columns: int) -> Figures:
    found: Figures = {"sees": peer.sees}
    taken_s = 0.0
    for side, (category, kind) in SIDES.items():
        places = material.places(category)
        images = [image(material, place, peer.rendering(kind)) for place in places]
        begun_s = _processor_s()
        texts = peer.read(images, kind, "".join(labels)) if images else []
        taken_s += _processor_s() - begun_s
        written = material.labels(places)
        fresh = ["fresh" if own else "seen" for own in material.fresh(places)]
        found[side] = errors(texts, written) | errors_by(fresh, texts, written)
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
