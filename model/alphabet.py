"""Define the characters that transcribers read, and write texts with these alone.

`WESTERN` holds the letters of French, German, Spanish, Italian, Portuguese, Dutch, Danish,
Norwegian, Swedish, Finnish and Irish (a part of ISO 8859-15), and those of their marks that have a
shape of their own on paper. A typographic quote, a dash and an ellipsis look as the plain mark
does once they are written by hand, and no training data tell them apart: `plain` replaces them.
"""

import unicodedata
from typing import Final

ASCII: Final = tuple(map(chr, range(32, 127)))  # printable
SMALL: Final = "àáâãäåæçèéêëìíîïñòóôõöøœùúûüÿšž"
LETTERS: Final = tuple(SMALL + SMALL.upper() + "ß")
MARKS: Final = tuple("¡¿«»„°ºª·€£§")
WESTERN: Final = (*ASCII, *LETTERS, *MARKS)

_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("‘’‛′´", "'"), "‚": ",", **dict.fromkeys("“”‟″", '"'),
        "‹": "<", "›": ">", **dict.fromkeys("‐‑‒–—―−", "-"), "…": "...", "ẞ": "SS",
        "ĳ": "ij", "Ĳ": "IJ", "ſ": "s", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
        "\u00ad": None,
    }
)  # fmt: skip


def plain(text: str) -> str:
    """Return a text in NFC, with plain quotes, dashes, dots and spaces for the typographic ones."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text).translate(_PLAIN)
