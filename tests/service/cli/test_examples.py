"""The example pages are read as `examples/README.md` states."""

import re

import pytest
from rapidfuzz.distance import Levenshtein

from tests.helpers.command_line import EXAMPLES, inkstream

pytestmark = pytest.mark.slow

WILL = """Ceci est mon testament
ecrit entièrement de ma main
Je, soussigné Jean, Antoine Marie
de Servins d’Hericourt, sain de corps
et d’esprit au moment où j’écris
ces lignes déclare léguer à ma
Mère la Marquise de Servins d’Hericourt
née Hugo de Spitzemberg tous mes
biens meubles et immeubles, en
particulier tout ce que je possède
à Héricourt (P de C.), sans aucune
"""


def read(name: str, *options: str) -> str:
    return inkstream("recognize", EXAMPLES / name, "--page", *options).stdout


PAGE = """hello, world!
hello, hello, world!
hello, world! world!
hello,
hello, world! hello, world!
hello, hello,
"""


def test_a_photo_of_ruled_paper_is_read_with_the_documented_errors() -> None:
    text = read("page.jpg")
    assert len(text.splitlines()) == len(PAGE.splitlines())
    stated = "one of 105 characters wrong"
    assert stated in (EXAMPLES / "README.md").read_text()
    assert (Levenshtein.distance(text, PAGE), len(PAGE)) == (1, 105)


def test_the_error_rates_of_the_will_are_the_documented_ones() -> None:
    stated = r"CER ([\d.]+) %, with `--language french` ([\d.]+) %"
    (documented,) = re.findall(stated, (EXAMPLES / "README.md").read_text())
    for percent, options in zip(documented, [(), ("--language", "french")], strict=True):
        text = read("will.jpg", *options)
        assert len(text.splitlines()) == len(WILL.splitlines())
        assert abs(100 * Levenshtein.distance(text, WILL) / len(WILL) - float(percent)) < 1
