"""The commands `train language` and `recognize --language`."""

from pathlib import Path

import pytest

from tests.helpers.command_line import EXAMPLES, run_here

HELLO = EXAMPLES / "hello.png"


@pytest.mark.slow
def test_a_language_model_is_trained_and_used(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("hello, world!\n")
    out = tmp_path / "mine.ngrams"
    done = run_here(
        "train", "language", "--no-words", "--text", tmp_path / "text.txt", "--out", out
    )
    assert done.returncode == 0
    assert "n-grams of up to 9 characters" in done.stdout
    for language in (out, "english"):
        done = run_here("recognize", HELLO, "--model", "lines", "--language", language)
        assert done.stdout.split("  ")[1].strip() == "hello, world!"


@pytest.mark.parametrize("option", ["--words", "--lexicon"])
def test_a_byte_order_mark_at_the_start_of_a_list_is_ignored(tmp_path: Path, option: str) -> None:
    (tmp_path / "words.txt").write_bytes(b"\xef\xbb\xbfhello,\r\nworld!\r\n")
    done = run_here("recognize", HELLO, option, tmp_path / "words.txt")
    assert done.stdout.split("  ")[1].strip() == "hello, world!"
