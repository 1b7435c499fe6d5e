"""The library: images and streams, and states that can be kept and forked."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import inkstream
from inkstream import Recognizer, State, load
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.decoding.base import Letter, Word
from inkstream.model.errors import InputError
from inkstream.model.preprocess.columns import digit_columns, line_columns
from tests.helpers import builders
from tests.helpers.image_files import drawn

EXAMPLE = Path(__file__).parents[2] / "examples" / "7.png"


@pytest.fixture(scope="module")
def recognizer(tiny: Checkpoint) -> Recognizer:
    return load(tiny.path)


# Images


def test_an_image_gives_a_label_its_probabilities_and_their_curve(recognizer: Recognizer) -> None:
    answer = recognizer.recognize(EXAMPLE)
    assert answer.columns == 28
    assert answer.curve.shape == (28, 10)
    assert list(answer.probabilities) == list("0123456789")
    assert answer.probabilities[answer.label] == max(answer.probabilities.values())
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(answer.curve[-1], list(answer.probabilities.values()))


# Streams


def test_a_stream_gives_the_curve_column_by_column(recognizer: Recognizer) -> None:
    results = list(recognizer.stream(digit_columns(EXAMPLE, 28)))
    curve = recognizer.recognize(EXAMPLE).curve
    assert [result.column for result in results] == list(range(28))
    for result, expected in zip(results, curve, strict=True):
        np.testing.assert_allclose(list(result.probabilities.values()), expected, atol=1e-5)
        assert result.label == recognizer.labels[int(expected.argmax())]


def test_a_stream_reads_a_column_when_its_result_is_requested(recognizer: Recognizer) -> None:
    columns_read = []

    def source() -> Iterator[list[int]]:
        for index in range(3):
            columns_read.append(index)
            yield [0] * 28

    stream = recognizer.stream(source())
    assert columns_read == []
    next(stream)
    assert columns_read == [0]


def test_two_streams_do_not_share_state(recognizer: Recognizer) -> None:
    first_columns, second_columns = builders.columns(12, seed=1), builders.columns(12, seed=2)
    first, second = recognizer.stream(), recognizer.stream()
    for first_column, second_column in zip(first_columns, second_columns, strict=True):
        first.push(first_column)
        second.push(second_column)
    assert np.array_equal(first.state.row, _after(recognizer, first_columns).row)
    assert np.array_equal(second.state.row, _after(recognizer, second_columns).row)


def test_a_stream_can_be_forked_at_a_state_which_never_changes(recognizer: Recognizer) -> None:
    columns = builders.columns(10)
    state = _after(recognizer, columns[:6])
    forks = [list(recognizer.stream(columns[6:], state)) for _ in range(2)]
    expected = list(recognizer.stream(columns))[6:]
    assert forks == [expected, expected]
    assert state.columns == 6
    with pytest.raises(ValueError, match="read-only"):
        state.row[0] = 1


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ([0] * 27, r"shape \(27,\), expected \(28,\)"),
        ([[0] * 28], r"shape \(1, 28\)"),
        ([0, *[0.5] * 27], "pixel 1 is 0.5 in a column of float64, expected whole numbers 0..255"),
        (np.zeros(28), "pixel 0 is 0.0 in a column of float64, expected whole numbers 0..255"),
        ([0, 0, float("nan"), *[0] * 25], "pixel 2 is nan in a column of float64"),
        (np.full(28, 300), "pixel 0 is 300 in a column of int64"),
        ([255, -1] * 14, "pixel 1 is -1 in a column of int64, expected whole numbers 0..255"),
        (["a"] * 28, "pixel 0 is 'a' in a column of <U1, expected whole numbers 0..255"),
        ([[0], [0, 1]], "not an array of numbers"),
        (None, r"shape \(\)"),
    ],
)
def test_a_faulty_column_is_refused_and_does_not_change_the_stream(
    recognizer: Recognizer, column: object, text: str
) -> None:
    stream = recognizer.stream()
    stream.push([0] * 28)
    with pytest.raises(InputError, match=text):
        stream.push(column)  # type: ignore[arg-type]
    assert stream.state.columns == 1


def test_a_state_of_another_net_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    other = load(builders.checkpoint(tmp_path / "other.onnx", seed=9).path)
    with pytest.raises(InputError, match="state belongs to the net"):
        other.stream(state=recognizer.stream().state)


@pytest.mark.parametrize(
    ("shape", "kind", "text"),
    [
        *[((5, 28), kind, "columns hold .*, expected uint8") for kind in ("f4", "i8", "?")],
        *[
            (shape, "u1", r"columns have shape .*, expected \(T, 28\), T at least 1")
            for shape in ((0, 28), (5, 31), (5,), (2, 5, 28))
        ],
    ],
)
def test_columns_of_other_shapes_or_types_than_bytes_are_refused(
    recognizer: Recognizer, shape: tuple[int, ...], kind: str, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        recognizer.read(np.ones(shape, kind))


# Lines


@pytest.fixture(scope="module")
def transcriber(tiny_lines: Checkpoint) -> Recognizer:
    return load(tiny_lines.path)


@pytest.fixture(scope="module")
def line() -> NDArray[np.uint8]:
    """Return an image [h, w] of a line."""
    share = np.linspace(0, 1, 300)
    points = np.stack([20 + 500 * share + 9 * np.sin(90 * share), 60 + 40 * np.sin(70 * share)], 1)
    return 255 - drawn(points, np.array([0, 150, 300]), 120, 6.0, 540)


def test_the_image_of_a_line_gives_text_letters_and_words(
    transcriber: Recognizer, line: NDArray[np.uint8]
) -> None:
    answer = transcriber.recognize(line)
    assert answer.text == answer.label
    assert len(answer.letters) > 5
    assert "".join(letter.char for letter in answer.letters) == answer.text.replace(" ", "")
    assert [word.text for word in answer.words] == answer.text.split()
    assert answer.columns == len(answer.curve) == len(line_columns(line, 16))
    np.testing.assert_allclose(answer.curve.sum(1), 1, atol=1e-5)


def test_a_stream_decides_the_letters_that_the_image_gives(
    transcriber: Recognizer, line: NDArray[np.uint8]
) -> None:
    answer = transcriber.recognize(line)
    stream = transcriber.stream(line_columns(line, 16))
    results = list(stream)
    events = [event for result in results for event in result.events]
    for result in results:
        assert all(event.column == result.column for event in result.events)
        assert 0 <= result.letter_end <= 1
    assert stream.text == results[-1].text
    events += stream.flush()
    assert stream.text == answer.text
    spans = [(e.char, e.start, e.end) for e in events if isinstance(e, Letter)]
    assert spans == [(e.char, e.start, e.end) for e in answer.letters]
    assert [e.text for e in events if isinstance(e, Word)] == [e.text for e in answer.words]
    assert stream.flush() == ()


@pytest.mark.parametrize("at", [0, 1, 2, 33, 50])
def test_a_state_of_a_line_can_be_kept_and_forked(
    transcriber: Recognizer, tmp_path: Path, line: NDArray[np.uint8], at: int
) -> None:
    columns = line_columns(line, 16)
    before = _after(transcriber, columns[:at])
    before.save(tmp_path / "state")
    expected = list(transcriber.stream(columns))[at:]
    for state in (before, before, State.load(tmp_path / "state")):
        assert list(transcriber.stream(columns[at:], state)) == expected


def test_a_state_after_a_flush_continues_with_a_new_word(
    transcriber: Recognizer, tmp_path: Path, line: NDArray[np.uint8]
) -> None:
    columns = line_columns(line, 16)
    stream = transcriber.stream(columns[:40])
    list(stream)
    stream.flush()
    stream.state.save(tmp_path / "state")
    fork = transcriber.stream(columns[40:], State.load(tmp_path / "state"))
    assert list(fork) == [stream.push(column) for column in columns[40:]]
    assert fork.flush() == stream.flush()


def test_a_classifier_has_nothing_to_flush(recognizer: Recognizer) -> None:
    stream = recognizer.stream()
    assert (stream.text, stream.flush()) == ("", ())
    result = stream.push([0] * 28)
    assert stream.flush() == ()
    assert stream.text == result.label


# Loading


def test_importing_the_package_loads_no_runtime() -> None:
    program = (
        "import sys, inkstream;sys.exit(bool({'onnxruntime', 'PIL', 'numpy'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(inkstream, "nothing")  # noqa: B009 - which type checkers refuse too


def _after(recognizer: Recognizer, columns: NDArray[np.uint8]) -> State:
    stream = recognizer.stream(columns)
    for _ in stream:
        pass
    return stream.state
