"""What a language model brings and harms: the same scores, decoded without it and with it."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from model.checkpoint import Checkpoint
from model.config import STEP_COLUMNS
from model.data.inkset import InkSet
from model.data.line_batches import Drawn
from model.data.split import Part
from model.data.words import english
from model.language.guide import LanguageGuide
from model.language.guided import SWIFT, GuidedDecoder
from model.language.hints import Hints
from model.language.ngrams import Language
from model.line_reading import Reader, Reading, Scores, batches, flushed
from model.report.endings import lateness, letter_calibration
from model.report.forms import dates
from model.report.lexicons import lexicons, own_words
from model.report.material import TEXT, WORDS, Material
from model.report.measures import Figures, errors
from model.training.language_texts import LONGEST, MOST_WORDS
from model.transcript import TranscriptDecoder

KINDS: Final = {"words": WORDS, "lines": TEXT}
LETTERS: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
LAGS: Final = (4, 8, 12, 20, 40)  # steps that a letter may wait at most
TIMED: Final = 200  # pieces that are decoded against the clock


def report(
    checkpoint: Checkpoint, ink: InkSet, language: Language, part: Part, limit: int | None
) -> dict[str, Any]:
    """Figures of words and lines.

    Args:
        checkpoint: of a net that reads lines.
        ink: all of it.
        language: the model.
        part: whose pieces are read.
        limit: pieces of a category at most; None is all.
    """
    config = checkpoint.metadata.config
    material = Material(ink, part, config.labels, config.column_height, limit)
    plain, guided = Reader(checkpoint), Reader(checkpoint, Hints(language))
    found: dict[str, Any] = {
        "model": checkpoint.metadata.name,
        "model_digest": checkpoint.digest,
        "data_digest": material.data_digest,
        "language": language.about.name,
        "ngrams": len(language),
        "order": language.about.order,
        "sources": language.about.sources,
        "part": part,
    }
    for kind, category in KINDS.items():
        places = material.places(category)
        drawn = material.drawn(places)
        groups = {
            "all": [True] * len(places),
            "fresh": material.fresh(places),
            "outside": [_is_outside(label) for label in material.labels(places)],
        }
        found[kind] = {
            "plain": _figures(plain.read(drawn), groups),
            "guided": _figures(guided.read(drawn), groups),
        }
    found["lag"] = _lag(plain, material, language)
    found["lexicons"] = lexicons(plain, material, language)
    found["own_words"] = own_words(plain, material, language)
    found["dates"] = dates(checkpoint, ink, part)
    lines = material.drawn(material.places(WORDS)[:TIMED])
    scored: list[tuple[Drawn, Scores]] = []
    for batch in batches(lines):
        scored += zip(batch, plain.scores(batch), strict=True)
    for name, reader in (("plain", plain), ("guided", guided)):
        found[f"{name}_columns_per_s"] = _columns_per_s(reader.decoder(), scored)
    return found


def _is_outside(label: str) -> bool:
    """Whether a word stands in a label that the list of English words lacks."""
    known = english(MOST_WORDS, LONGEST)
    return any(word.lower() not in known for word in LETTERS.findall(label))


def _figures(readings: Sequence[Reading], groups: Mapping[str, Sequence[bool]]) -> Figures:
    figures: Figures = {}
    for name, chosen in groups.items():
        own = [reading for reading, is_own in zip(readings, chosen, strict=True) if is_own]
        texts, labels = [each.text for each in own], [each.line.label for each in own]
        figures[name] = errors(texts, labels)
    calibrated = letter_calibration(readings)["expected_calibration_error"]
    return figures | {"lateness": lateness(readings), "calibration": calibrated}


def _lag(reader: Reader, material: Material, language: Language) -> dict[str, Any]:
    """Errors in words and lateness of their letters, by how many columns a letter may wait."""
    config = reader.config
    guide = LanguageGuide(language, config.labels)
    decoders = [
        GuidedDecoder(config.labels, config.flush_columns, guide, replace(SWIFT, latest=steps))
        for steps in LAGS
    ]
    read = reader.read_by(decoders, material.drawn(material.places(WORDS)))
    return {
        f"{STEP_COLUMNS * steps}": {
            **errors([each.text for each in own], [each.line.label for each in own]),
            "lateness": lateness(own),
        }
        for steps, own in zip(LAGS, read, strict=True)
    }


def _columns_per_s(decoder: TranscriptDecoder, scored: Sequence[tuple[Drawn, Scores]]) -> float:
    """Columns that one core decodes in a second, once everything was seen."""
    for _ in range(2):
        started_s = time.perf_counter()
        for line, scores in scored:
            flushed(decoder, line, scores)
    return sum(len(scores) for _, scores in scored) / (time.perf_counter() - started_s)
