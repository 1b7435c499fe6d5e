"""Probabilities of texts in a language model."""

import math

from inkstream.model.decoding.ngrams import ROOT, Language


def log_p(language: Language, text: str, node: int = ROOT) -> float:
    """Return a text's log-probability after `node`; minus infinity with unknown characters."""
    total = 0.0
    for character in text:
        if character not in language.index:
            return -math.inf
        index, (row, following) = language.index[character], language.rows(node)
        total, node = total + float(row[index]), int(following[index])
    return total
