"""ARPA files of characters become models of ours, and say the same."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.decoding.ngrams import About, Language, load
from inkstream.model.errors import DataError
from inkstream.model.training.ngrams import build, convert_arpa, read_arpa
from tests.helpers.languages import log_p

ALPHABET = " abc|"
TEXTS = [("abba", 5.0), ("a cab", 2.0), ("b|c", 1.0)]
ORDER = 4


def arpa_of(language: Language) -> str:
    """The model in ARPA's format: probabilities, and back-off weights that nobody reads."""
    texts = [""]
    blocks = []
    for length in range(1, ORDER + 1):
        texts = [text + character for text in texts for character in ALPHABET]
        known = [text for text in texts if is_stored(language, text)]
        rows = ["-99\t<s>\t-0.3", "-1.5\t</s>", "-7\t<unk>\t0"] if length == 1 else []
        rows += ["-0.5\t<s> a\t-0.2"] if length == 2 else []
        for text in known:
            log10_p = log_p(language, text[-1], language.after(text[:-1])) / math.log(10)
            spelt = " ".join("<space>" if each == " " else each for each in text)
            rows.append(f"{log10_p:.6f}\t{spelt}" + "\t-0.1" * (length < ORDER))
        blocks.append(f"\\{length}-grams:\n" + "\n".join(rows) + "\n")
    counts = "".join(f"ngram {n}=0\n" for n in range(1, ORDER + 1))
    return f"\\data\\\n{counts}\n" + "\n".join(blocks) + "\n\\end\\\n"


def is_stored(language: Language, text: str) -> bool:
    """Whether an n-gram is a node of the trie: no longer text leads to it."""
    before = language.after(text[:-1])
    return len(text) == 1 or depth(language, language.after(text[-1], before)) == len(text)


def depth(language: Language, node: int) -> int:
    nodes, found = language._nodes, 0
    while node:
        node, found = int(nodes[node]["suffix"]), found + 1
    return found


@pytest.fixture
def ours() -> Language:
    return Language(About("ours", ALPHABET, ORDER, ()), build(TEXTS, ALPHABET, ORDER, most=500))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_converted_model_says_what_the_file_says(
    ours: Language, tmp_path: Path, compressed: bool
) -> None:
    file = tmp_path / ("m.arpa.gz" if compressed else "m.arpa")
    text = arpa_of(ours).encode()
    file.write_bytes(gzip.compress(text) if compressed else text)
    said = convert_arpa(file, tmp_path / "m.ngrams")
    converted = load(tmp_path / "m.ngrams")
    assert f"{len(converted):,} n-grams of up to 4 characters" in said
    assert len(converted) == len(ours)
    for context in ("", "a", "ab", " ca", "abba", "cc", "|", "zab"):
        expected = np.exp(ours.rows(ours.after(context))[0])
        found = np.exp(converted.rows(converted.after(context))[0])
        np.testing.assert_allclose(found, expected, atol=2e-3)
        assert found.sum() == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no ARPA file"),
        ("hello\n", "is no ARPA file"),
        ("\\1-grams:\n-1 a\n-1 b\n", "no token for the space"),
        ("\\1-grams:\n-1 the\n-1 <space>\n-1 a\n", "has the token 'the', expected characters"),
        ("\\1-grams:\n-1 a b c\n", "line 2: '-1 a b c' is no 1-gram"),
        ("\\1-grams:\nx a\n", "line 2: 'x' is no log-probability"),
        ("\\1-grams:\n0.5 a\n", "line 2: '0.5' is no log-probability"),
        ("\\1-grams:\n-1 |\n\n\\3-grams:\n", "line 4: 2-grams are expected first"),
        (
            "\\1-grams:\n-1 a\n-1 b\n-1 |\n\\2-grams:\n-1 a b\n\\3-grams:\n-1 a b a\n",
            "has 'a b a' but not both of its parts",
        ),
    ],
)
def test_what_is_no_model_of_characters_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "m.arpa"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        read_arpa(file)
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read ARPA file"):
        read_arpa(tmp_path / "none.arpa")
    whole = gzip.compress(b"\n" * 999)
    for broken in (whole[:-9], whole[:10] + b"\xff" + whole[11:]):  # no kind of block is 3
        (tmp_path / "bad.arpa.gz").write_bytes(broken)
        with pytest.raises(DataError, match="cannot read ARPA file"):
            read_arpa(tmp_path / "bad.arpa.gz")
    (tmp_path / "bad.arpa.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot read ARPA file"):
        read_arpa(tmp_path / "bad.arpa.gz")
