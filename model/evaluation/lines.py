"""Measure a net for lines on writers whom no choice has seen: `inkstream evaluate lines`.

What is measured is what is served: runtime, decoder, and a flush behind every line. Case and
spaces count.

What it costs not to see the future: the same net, reading from both ends, on the same ink.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.images import Dataset
from inkstream.model.data.ink_set import STYLES, InkSet
from inkstream.model.data.split import Part
from inkstream.model.errors import DataError
from inkstream.model.evaluation.adaptation import hands
from inkstream.model.evaluation.baselines import Peer, compare
from inkstream.model.evaluation.bootstrap import overall
from inkstream.model.evaluation.boundaries import (
    REACH,
    end_calibration,
    error_by_delay,
    lateness,
    letter_calibration,
    letter_ends,
    marks,
    tells,
    word_ends,
)
from inkstream.model.evaluation.invariants import drift, finality
from inkstream.model.evaluation.material import CHARACTERS, TEXT, WORDS, Material, digit_lines
from inkstream.model.evaluation.report import Contents, document, figures
from inkstream.model.evaluation.samples import Sample, pages
from inkstream.model.evaluation.speed import speed
from inkstream.model.metrics import Figures, confusions, errors, errors_by
from inkstream.model.reader import Reader, Reading
from inkstream.model.training.lines import trained, transcribe

SMALLER: Final = (0.75, 0.5)  # shares of the rows that a frame takes
LENGTHS: Final = {WORDS: (2, 4, 6, 9), TEXT: (5, 10, 20, 40)}  # last ones of their groups
CONFUSIONS: Final = 25
CUT_OUT: Final = "cut out"  # a size: ink that fills the rows, whatever its writer's others are like
FULL: Final = "100%"  # the size that all other figures are of
REPORT: Final = "report.json"
ASKED: Final = ("both_ways", "hands", "peers")  # measured only where they are asked for
SAME: Final = ("checkpoint_sha256", "data_digest", "split_digest", "part", "limit")


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; `contents` is plain JSON."""

    contents: dict[str, Any]
    samples: dict[str, list[list[Sample]]]  # best, median and worst words and lines
    labels: tuple[str, ...]

    def heading(self) -> str:
        """What was measured."""
        contents = self.contents
        limited = "" if contents["limit"] is None else f", {contents['limit']} of a kind at most"
        return (
            f"{contents['model']} {contents['version']}, {contents['parameters']:,} parameters\n"
            f"checkpoint {contents['checkpoint_sha256']}\n"
            f"data {contents['data_digest']}, writers {contents['split_digest']}\n"
            f"part {contents['part']}{limited}\n"
            + (f"kept from before: {', '.join(contents['kept'])}\n" if contents["kept"] else "")
        )

    def table(self) -> str:
        """The figures as a Markdown table."""
        return figures("lines", self.contents)

    def save(self, folder: Path, path: Path) -> None:
        """Write report.json, figures.md and the plots into `folder`, and the document."""
        from inkstream.model.evaluation import plots  # noqa: PLC0415  # need matplotlib
        from inkstream.model.evaluation import samples as sample_pages  # noqa: PLC0415

        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).write_text(json.dumps(self.contents, indent=2) + "\n")
        (folder / "figures.md").write_text(self.table())
        plots.draw_report(self.contents, folder)
        sample_pages.draw_pages(self.samples, self.labels, folder)
        path.write_text(document("lines", self.contents, os.path.relpath(folder, path.parent)))


def contents_of(folder: Path) -> Contents | None:
    """The contents of the report that was saved into `folder`; None if there is none."""
    file = folder / REPORT
    try:
        contents: Contents | None = json.loads(file.read_bytes()) if file.exists() else None
    except ValueError as error:
        raise DataError(f"{file} is damaged: {error}") from error
    return contents


def report(
    checkpoint: Checkpoint,
    ink: InkSet,
    digits: Dataset,
    *,
    part: Part = "test",
    limit: int | None = None,
    peers: Sequence[Peer] = (),
    n_hands: int = 0,
    twin: Path | None = None,
    earlier: Contents | None = None,
) -> Report:
    """Measure a net.

    Args:
        checkpoint: of a transcriber.
        ink: all of UNIPEN.
        digits: images of digits that no choice has seen.
        part: whose pieces are read; "validation" while anything is still being chosen.
        limit: pieces of a category at most, and lines of other checks; None is all.
        peers: others that read the same ink.
        n_hands: writers whose hands the net is taught, one by one.
        twin: run folder of a net that reads both ways, to compare with.
        earlier: contents of a report; what is not asked for now is kept from it, if it is of the
            same net, ink and pieces.
    """
    reader = Reader(checkpoint)
    material = Material(ink, part, reader.config.labels, reader.config.column_height, limit)
    future = both_ways(twin, material) if twin else {}  # first, lest a wrong folder cost minutes
    words, word_readings = _read(reader, material, WORDS)
    text, text_readings = _read(reader, material, TEXT)
    readings = word_readings + text_readings
    places = material.places(WORDS)
    sides = {"words": words, "text": text}
    n_columns = sum(len(reading.line.columns) for reading in readings)
    contents = _provenance(checkpoint, material, part, limit) | {
        **sides,
        "characters": _characters(reader, material),
        "digits": _digits(reader, digits, limit),
        "letter_ends": _letter_ends(readings, material, places + material.places(TEXT)),
        **_events(readings),
        "finality": finality(reader, readings),
        "drift": drift(reader, material, places, limit or len(places)),
        "speed": speed(reader, material, places),
        "both_ways": future,
        "hands": hands(checkpoint, material, n_hands) if n_hands else {},
        "peers": compare(material, peers, reader.config.labels, sides, n_columns),
    }
    contents |= _kept(contents, earlier or {})
    samples = pages(reader, {"words": word_readings, "lines": text_readings})
    return Report(contents, samples, reader.config.labels)


def _kept(contents: Contents, earlier: Contents) -> Figures:
    """What `contents` lacks, from an earlier report on the same net, ink and pieces."""
    same = all(contents[key] == earlier.get(key) for key in SAME)
    kept = {key: earlier[key] for key in ASKED if same and not contents[key] and earlier.get(key)}
    return kept | {"kept": sorted(kept)}


def _events(readings: Sequence[Reading]) -> Figures:
    """What is found out about events, of all that was read."""
    return {
        "letter_end_scores": end_calibration(readings),
        "lateness": lateness(readings),
        "error_by_delay": error_by_delay(readings),
        "word_ends": word_ends(readings),
        "marks": marks(readings),
        "letter_calibration": letter_calibration(readings),
        "confusions": confusions(
            (reading.text for reading in readings),
            (reading.line.label for reading in readings),
            CONFUSIONS,
        ),
    }


def _provenance(
    checkpoint: Checkpoint, material: Material, part: Part, limit: int | None
) -> Figures:
    """What was measured, and with what."""
    metadata = checkpoint.metadata
    return {
        "model": metadata.name,
        "version": metadata.version,
        "parameters": metadata.parameters,
        "column_height": metadata.config.column_height,
        "checkpoint_sha256": hashlib.sha256(checkpoint.content).hexdigest(),
        "checkpoint_bytes": len(checkpoint.content),
        "config_digest": metadata.config_digest,
        "data": metadata.data,
        "data_digest": material.data_digest,
        "split_digest": material.split_digest,
        "part": part,
        "limit": limit,
        "writers": len(material.by_writer(material.places(WORDS) + material.places(TEXT))),
        "left_out": material.n_left_out,
    }


def _read(reader: Reader, material: Material, category: str) -> tuple[Figures, list[Reading]]:
    """Errors of the pieces of a category in all their parts, and what was read of each."""
    places = material.places(category)
    labels = material.labels(places)
    readings = reader.read(material.drawn(places))
    texts = [reading.text for reading in readings]
    groups, order = _length_groups(labels, LENGTHS[category])
    found = overall(material, places, texts)
    found["by_donor"] = errors_by(material.donors(places), texts, labels)
    found["by_style"] = errors_by(material.styles(places), texts, labels, STYLES)
    found["by_length"] = errors_by(groups, texts, labels, order)
    smaller = {f"{size:.0%}": material.drawn(places, size) for size in SMALLER}
    others = smaller | {CUT_OUT: material.drawn(places, tight=True)}
    found["by_size"] = {FULL: errors(texts, labels)} | {
        name: errors([reading.text for reading in reader.read(lines)], labels)
        for name, lines in others.items()
    }
    return found, readings


def _length_groups(labels: Sequence[str], lasts: Sequence[int]) -> tuple[list[str], list[str]]:
    """The group of lengths that each label is in, and all groups in their order."""
    firsts = (1, *(last + 1 for last in lasts))
    names = [f"{first}-{last}" for first, last in zip(firsts, lasts, strict=False)]
    names.append(f"{firsts[-1]}+")
    return [names[sum(len(label) > last for last in lasts)] for label in labels], names


def _characters(reader: Reader, material: Material) -> dict[str, Figures]:
    """How many single characters are read rightly when only those of their kind may be said.

    Kinds that the net has no labels for are left out.
    """
    found = {}
    for category, characters in CHARACTERS.items():
        if not set(characters) <= set(reader.config.labels):
            continue
        places = material.places(category)
        texts = [r.text for r in reader.read(material.drawn(places), characters)]
        labels = material.labels(places)
        found[category] = errors(texts, labels) | {
            "characters_allowed": characters,
            "by_donor": errors_by(material.donors(places), texts, labels),
        }
    return found


def _digits(reader: Reader, digits: Dataset, limit: int | None) -> Figures:
    """The same of images of digits; nothing where the net has no labels for them."""
    if not set(CHARACTERS["1a"]) <= set(reader.config.labels):
        return {}
    dataset = digits if limit is None else digits.take(np.arange(min(limit, len(digits))))
    lines = digit_lines(dataset, reader.config.column_height)
    readings = reader.read(lines, CHARACTERS["1a"])
    found = errors([r.text for r in readings], [line.label for line in lines])
    return {"data": dataset.name, "data_digest": dataset.digest, **found}


def _letter_ends(readings: Sequence[Reading], material: Material, places: Sequence[int]) -> Figures:
    """Letter ends of pieces that tell them: of all, and of those whose letters are apart or joined.

    The data's own words for styles tell less: they call few joined pieces cursive.
    """
    found: Figures = {"reach_columns": REACH}
    told = [each for each in zip(readings, places, strict=True) if tells(each[0])]
    joined = material.joined([place for _, place in told])
    for name, kinds in {"all": (False, True), "apart": (False,), "joined": (True,)}.items():
        own = [each for each, kind in zip(told, joined, strict=True) if kind in kinds]
        found[name] = {
            "pieces": len(own),
            "writers": len(material.by_writer([place for _, place in own])),
            **letter_ends([reading for reading, _ in own]),
        }
    return found


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
