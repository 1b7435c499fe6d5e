"""Language models: probabilities of texts, and files."""

import hashlib
import math

from inkstream.model.decoding.ngrams import FORMAT, ROOT, Language


def log_p(language: Language, text: str, node: int = ROOT) -> float:
    """Return a text's log-probability after `node`; minus infinity with unknown characters."""
    total = 0.0
    for character in text:
        if character not in language.index:
            return -math.inf
        index, (row, following) = language.index[character], language.rows(node)
        total, node = total + float(row[index]), int(following[index])
    return total


def sealed(content: bytes) -> bytes:
    """Return a file of this content, which need not be right, with the right digest."""
    return FORMAT + hashlib.sha256(content).hexdigest().encode() + b"\n" + content
