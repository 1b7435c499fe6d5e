"""Read the inputs of `compare_answers` with the code of one checkout, and write all answers.

This file is run as a script, `read_answers.py CHECKOUT INPUTS OUT`, with the checkout on
PYTHONPATH, and imports nothing of the repository that it lies in. Of the product it uses the public
library (`load`, `Recognizer`, `Stream` and what they return) and one function that turns strokes
into columns, which is looked up by its name in all modules of the product.

OUT is JSON: {part: [answer, ...]}. An answer holds texts, whole numbers, and floats in Python's
shortest form, which gives back the same bits; of arrays it holds type, shape and SHA-256.
"""

import hashlib
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Answer = dict[str, Any]

RENDER: Final = ("stroke_columns",)  # names that the function from strokes to columns has had
BATCH: Final = 16  # lines in a batch
STREAM_EVERY: Final = 20  # one of so many samples is also read as a stream
IMAGE_EVERY: Final = 4  # one of so many words and lines is also read as an image
ENLARGED: Final = 3  # times that images are larger than columns: they are scaled down again


class Inputs:
    """Digits as columns, and words and lines as strokes and as columns."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self.digits: NDArray[np.uint8] = arrays["digits"]  # [N, 28, 28], columns first
            self.heights: NDArray[np.float64] = arrays["heights"]  # [M], of each sample's frame
            self.n_words = int(arrays["n_words"])  # the first samples; lines follow
            points = arrays["points"]  # [P, 2]
            strokes = np.split(points, np.cumsum(arrays["stroke_lengths"])[:-1])
            columns = arrays["columns"]  # [C, 32]
            ends = np.cumsum(arrays["n_columns"])[:-1]
            counts = np.cumsum(arrays["n_strokes"])[:-1].tolist()
        cuts = zip([0, *counts], [*counts, len(strokes)], strict=True)
        self.strokes = [strokes[first:end] for first, end in cuts]  # M lists of [n, 2]
        self.columns = np.split(columns, ends)  # M arrays [T, 32]

    @property
    def parts(self) -> dict[str, range]:
        """Return the indices of the words and of the lines among the samples."""
        n_words = self.n_words
        return {"words": range(n_words), "lines": range(n_words, len(self.strokes))}


def answers(inputs: Inputs, product: Any, render: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield each part's name and its answers, in the order of the samples."""
    digits = product.load("digits")
    yield "digits: columns", [_recognition(digits.read(columns)) for columns in inputs.digits]
    yield "digits: images", [_recognition(digits.recognize(_image(i))) for i in inputs.digits]
    streamed = list(inputs.digits[::STREAM_EVERY])
    yield "digits: streams", [_streamed(digits, columns) for columns in streamed]

    lines = product.load("lines")
    for name, indices in inputs.parts.items():
        yield (
            f"{name}: strokes to columns",
            [_rendered(render, (lines, digits), inputs, index) for index in indices],
        )
    for language in (None, "english"):
        reader = lines if language is None else product.load("lines", language=language)
        suffix = "" if language is None else f", {language}"
        for name, indices in inputs.parts.items():
            ink = [_recognition(reader.read_ink(inputs.strokes[index])) for index in indices]
            yield f"{name}: ink{suffix}", ink
            yield (
                f"{name}: columns{suffix}",
                _read_all(reader, [inputs.columns[i] for i in indices]),
            )
            images = [_image(inputs.columns[i]) for i in indices[::IMAGE_EVERY]]
            yield f"{name}: images{suffix}", [_recognition(reader.recognize(i)) for i in images]
            streamed = [inputs.columns[index] for index in indices[::STREAM_EVERY]]
            yield f"{name}: streams{suffix}", [_streamed(reader, columns) for columns in streamed]


def _rendered(
    render: Callable[..., Any], nets: Sequence[Any], inputs: Inputs, index: int
) -> Answer:
    """Return the columns of one sample for each net, in its frame and in the bounds of its ink."""
    strokes, height = inputs.strokes[index], float(inputs.heights[index])
    return {
        f"{net.metadata.name}, {name}": _array(render(strokes, net.metadata.config, frame_height))
        for net in nets[: 1 if index % IMAGE_EVERY else None]  # a digit takes ten times as long
        for name, frame_height in (("framed", height), ("own bounds", None))
    }


def _image(columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an enlarged image [h, w] of columns [T, H], dark on light."""
    pixels: NDArray[np.uint8] = np.kron(255 - columns.T, np.ones((ENLARGED, ENLARGED), np.uint8))
    return pixels


def _read_all(recognizer: Any, lines: Sequence[NDArray[np.uint8]]) -> list[Answer]:
    groups = (lines[start : start + BATCH] for start in range(0, len(lines), BATCH))
    return [_recognition(each) for group in groups for each in recognizer.read_all(group)]


def _streamed(recognizer: Any, columns: NDArray[np.uint8]) -> Answer:
    """Return what a stream answers column by column, and what its fork at two thirds answers."""
    stream = recognizer.stream()
    results, events, fork = [], [], None
    for index, column in enumerate(columns):
        if index == 2 * len(columns) // 3:
            fork = recognizer.stream(columns[index:], stream.state)
        result = stream.push(column)
        events += [_event(event) for event in result.events]
        results.append(
            [result.column, result.label, result.text, float(result.letter_end)]
            + [[label, float(p)] for label, p in result.probabilities.items()]
        )
    events += [_event(event) for event in stream.flush()]
    answer = {"text": stream.text, "events": events, "results": _sha256(json.dumps(results))}
    if fork is not None:
        fork_events = [_event(event) for result in fork for event in result.events]
        answer["fork"] = {
            "events": fork_events + [_event(event) for event in fork.flush()],
            "text": fork.text,
        }
    return answer


def _recognition(recognition: Any) -> Answer:
    return {
        "label": recognition.label,
        "text": recognition.text,
        "confidence": float(recognition.confidence),
        "columns": int(recognition.columns),
        "probabilities": _sha256(
            json.dumps([[label, float(p)] for label, p in recognition.probabilities.items()])
        ),
        "curve": _array(recognition.curve),
        "letters": [_event(letter) for letter in recognition.letters],
        "words": [_event(word) for word in recognition.words],
    }


def _event(event: Any) -> list[Any]:
    """Return all fields of a letter, a mark or a word."""
    kind = "letter" if hasattr(event, "char") else "word"
    alternatives = [[text, float(p)] for text, p in event.alternatives]
    text = event.char if kind == "letter" else event.text
    numbers = [int(event.id), int(event.start), int(event.end), int(event.column)]
    return [kind, text, *numbers, float(event.confidence), alternatives]


def _array(array: NDArray[Any]) -> list[str]:
    array = np.ascontiguousarray(array)
    return [array.dtype.str, str(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def product_of(checkout: Path) -> Any:
    """Import the library of the checkout; stop if Python finds another one."""
    name = "inkstream" if (checkout / "inkstream").exists() else "model"
    product = importlib.import_module(name)
    found = Path(str(product.__file__)).resolve()
    if not found.is_relative_to(checkout):
        sys.exit(f"{name} was imported from {found}, expected from {checkout}")
    return product


def renderer() -> Callable[..., Any]:
    """Return the function from strokes to columns, of the product's modules that are imported."""
    for module in list(sys.modules.values()):
        if module.__name__.partition(".")[0] in ("inkstream", "model"):
            for name in RENDER:
                found: Callable[..., Any] | None = vars(module).get(name)
                if found is not None:
                    return found
    sys.exit(f"no module of the product has a function {' or '.join(RENDER)}")


def main() -> None:
    """Write the answers of a checkout."""
    checkout, source, target = (Path(argument) for argument in sys.argv[1:])
    product = product_of(checkout)
    inputs = Inputs(source)
    product.load("digits")  # imports all that reading needs
    all_answers, started_s = {}, time.perf_counter()
    for name, part in answers(inputs, product, renderer()):
        all_answers[name] = part
        seconds = time.perf_counter() - started_s
        print(f"{checkout.name}: {name} read after {seconds:.0f} s", file=sys.stderr, flush=True)
    target.write_text(json.dumps(all_answers))


if __name__ == "__main__":
    main()
