"""ARPA files of characters are converted to models with the same probabilities."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from inkstream.model.decoding.ngrams import About, Language, load
from inkstream.model.errors import DataError
from inkstream.model.training.ngrams import build, convert_arpa
from tests.helpers.languages import log_p

ALPHABET = " abc|"
TEXTS = [("abba", 5.0), ("a cab", 2.0), ("b|c", 1.0)]
ORDER = 4


def arpa_of(language: Language) -> str:
    """Return the model in ARPA's format, with back-off weights that are ignored."""
    texts = [""]
    blocks = []
    for length in range(1, ORDER + 1):
        texts = [text + character for text in texts for character in ALPHABET]
        stored = [text for text in texts if is_stored(language, text)]
        lines = ["-99\t<s>\t-0.3", "-1.5\t</s>", "-7\t<unk>\t0"] if length == 1 else []
        lines += ["-0.5\t<s> a\t-0.2"] if length == 2 else []
        for text in stored:
            log10_p = log_p(language, text[-1], language.after(text[:-1])) / math.log(10)
            tokens = " ".join("<space>" if each == " " else each for each in text)
            lines.append(f"{log10_p:.6f}\t{tokens}" + "\t-0.1" * (length < ORDER))
        blocks.append(f"\\{length}-grams:\n" + "\n".join(lines) + "\n")
    counts = "".join(f"ngram {n}=0\n" for n in range(1, ORDER + 1))
    return f"\\data\\\n{counts}\n" + "\n".join(blocks) + "\n\\end\\\n"


def is_stored(language: Language, text: str) -> bool:
    """Return whether an n-gram is a node of the trie."""
    before = language.after(text[:-1])
    return len(text) == 1 or depth(language, language.after(text[-1], before)) == len(text)


def depth(language: Language, node: int) -> int:
    nodes, found = language._nodes, 0
    while node:
        node, found = int(nodes[node]["suffix"]), found + 1
    return found


@pytest.fixture
def language() -> Language:
    return Language(About("ours", ALPHABET, ORDER, ()), build(TEXTS, ALPHABET, ORDER, most=500))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_converted_model_has_the_probabilities_of_the_file(
    language: Language, tmp_path: Path, compressed: bool
) -> None:
    file = tmp_path / ("m.arpa.gz" if compressed else "m.arpa")
    text = arpa_of(language).encode()
    file.write_bytes(gzip.compress(text) if compressed else text)
    report = convert_arpa(file, tmp_path / "m.ngrams")
    converted = load(tmp_path / "m.ngrams")
    assert f"{len(converted):,} n-grams of up to 4 characters" in report
    assert len(converted) == len(language)
    for context in ("", "a", "ab", " ca", "abba", "cc", "|", "zab"):
        expected = np.exp(language.rows(language.after(context))[0])
        found = np.exp(converted.rows(converted.after(context))[0])
        np.testing.assert_allclose(found, expected, atol=2e-3)
        assert found.sum() == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no ARPA file"),
        ("hello\n", "is no ARPA file"),
        ("\\1-grams:\n-1 a\n-1 b\n", "no token for the space"),
        ("\\1-grams:\n-1 the\n-1 <space>\n-1 a\n", "has the token 'the', expected characters"),
        ("\\1-grams:\n-1 a b c\n", "line 2: '-1 a b c' is no 1-gram"),
        ("\\1-grams:\nx a\n", "line 2: 'x a' is no 1-gram"),
        ("\\1-grams:\n0.5 a\n", "line 2: '0.5 a' is no 1-gram"),
        ("\\1-grams:\n-1 |\n\n\\3-grams:\n", "line 4: 2-grams are expected first"),
        (
            "\\1-grams:\n-1 a\n-1 b\n-1 |\n\\2-grams:\n-1 a b\n\\3-grams:\n-1 a b a\n",
            "has 'a b a' but not both of its parts",
        ),
    ],
)
def test_a_file_that_is_no_model_of_characters_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "m.arpa"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        convert_arpa(file, tmp_path / "m.ngrams")
    assert reason in str(caught.value)


def test_the_error_of_an_unreadable_arpa_file_is_clear(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*arpa"):
        convert_arpa(tmp_path / "none.arpa", tmp_path / "m.ngrams")
    compressed_file = gzip.compress(b"\n" * 999)
    for broken in (
        compressed_file[:-9],
        compressed_file[:10] + b"\xff" + compressed_file[11:],
    ):  # 3 is no kind of block
        (tmp_path / "bad.arpa.gz").write_bytes(broken)
        with pytest.raises(DataError, match=r"cannot read .*arpa"):
            convert_arpa(tmp_path / "bad.arpa.gz", tmp_path / "m.ngrams")
    (tmp_path / "bad.arpa.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"cannot read .*arpa"):
        convert_arpa(tmp_path / "bad.arpa.gz", tmp_path / "m.ngrams")
