"""Answers in one line, as JSON, on a web page and as a plot."""

import base64
import dataclasses
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream import InkstreamError, Letter, Recognition, Recognizer, Word, load
from inkstream.model.checkpoint import Checkpoint

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def digits(tiny: Checkpoint) -> Recognizer:
    return load(tiny.path)


@pytest.fixture(scope="module")
def line() -> Recognition:
    """Return an answer for a line that reads `a<$`."""
    columns = np.zeros((30, 8), np.uint8)
    columns[3:9, 2:6] = 255
    letters = (
        Letter(0, "a", 2, 9, 12, 0.97, (("o", 0.02),)),
        Letter(1, "<", 10, 19, 22, 0.5, (("&", 0.4),)),
        Letter(2, "$", 20, 29, 29, 0.4, ()),
    )
    words = (Word(0, "a<$", 2, 29, 29, 0.194, (("a&$", 0.1),)),)
    curve = np.full((30, 2), 0.5, np.float32)
    return Recognition("a<$", {"a": 0.5}, 30, curve, columns, "transcriber", letters, words)


def test_each_answer_is_shown_in_one_short_line(digits: Recognizer, line: Recognition) -> None:
    stream = digits.stream()
    result = stream.push([0] * 28)
    shown = [digits, line, line.letters[1], line.words[0], result, stream.state]
    texts = [repr(value) for value in (*shown, digits.recognize(EXAMPLES / "7.png"))]
    assert all("\n" not in text and len(text) < 150 for text in texts), texts
    assert texts[0].startswith("Recognizer('tiny', version=")
    assert texts[1:4] == [
        "Recognition('a<$', 0.194, columns=30)",
        "Letter('<', 10..19, 0.500)",
        "Word('a<$', 2..29, 0.194)",
    ]
    assert texts[4].startswith(f"Result(column=0, {result.label!r}: 0.")
    events = dataclasses.replace(result, text="a", events=line.letters[:1])
    assert repr(events).endswith("text='a', events=[Letter('a', 2..9, 0.970)])")


def test_answers_become_json(digits: Recognizer, line: Recognition) -> None:
    answer = json.loads(json.dumps(line.to_dict()))
    assert answer["text"] == "a<$"
    assert answer["letters"][1] == {
        "start": 10, "end": 19, "confidence": 0.5, "char": "<", "mark": True,
        "alternatives": [{"char": "&", "p": 0.4}],
    }  # fmt: skip
    assert answer["words"][0]["alternatives"] == [{"text": "a&$", "p": 0.1}]
    digit = json.loads(json.dumps(digits.recognize(EXAMPLES / "7.png").to_dict()))
    assert digit.keys() == {"label", "probabilities", "confidence", "columns"}
    result = digits.stream().push([0] * 28)
    assert json.loads(json.dumps(result.to_dict()))["label"] == result.label


def test_a_notebook_shows_the_columns_and_marks_uncertain_letters(line: Recognition) -> None:
    html = line._repr_html_()
    (image,) = re.findall(r'<img alt="a&lt;\$" src="data:image/png;base64,([^"]+)"', html)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image))))
    assert np.array_equal(255 - pixels.T, line.pixels)
    letters = re.findall(r'<span title="([^"]+)" style="[^"]*?(red|#dc2626)?[^"#]*">([^<]+)<', html)
    assert letters == [
        ("a 97%, o 2%", "", "a"), ("&lt; 50%, &amp; 40%", "#dc2626", "&lt;"), ("$ 40%", "", "$"),
    ]  # fmt: skip


def test_a_digit_is_shown_with_the_labels_that_come_next(digits: Recognizer) -> None:
    answer = digits.recognize(EXAMPLES / "7.png")
    ranked = sorted(answer.probabilities, key=lambda label: -answer.probabilities[label])
    (title,) = re.findall(r'<span title="([^"]+)"', answer._repr_html_())
    assert [reading.split()[0] for reading in title.split(", ")] == ranked[:5]


def test_an_answer_is_plotted_with_its_letters_beneath(line: Recognition) -> None:
    axes = line.plot()
    assert axes.get_title() == "a<$"
    assert [(text.get_text(), text.get_color()) for text in axes.texts] == [
        ("a", "k"), ("<", "#dc2626"), ("$", "k"),
    ]  # fmt: skip
    axes.figure.savefig(io.BytesIO())  # a dollar is no formula
    assert line.plot(axes) is axes


def test_a_plot_without_matplotlib_says_what_to_install(
    line: Recognition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(InkstreamError, match=re.escape("pip install 'inkstream[plot]'")):
        line.plot()
