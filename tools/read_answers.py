"""Read the inputs of `compare_answers` with the code of one checkout, and write all answers.

This file is run as a script, `read_answers.py CHECKOUT INPUTS OUT`, with the checkout on
PYTHONPATH, and imports nothing of the repository that it lies in. Of the product it uses the public
library (`load`, `Recognizer`, `Stream` and what they return), one function that turns strokes into
columns, which is looked up by its name in all modules of the product, and its server, to which it
sends only messages that all versions of the protocol understand. Of what the server answers it
keeps what these versions have in common: `Heard`.

OUT is JSON: {part: [answer, ...]}. An answer holds texts, whole numbers, and floats in Python's
shortest form, which gives back the same bits; of arrays it holds type, shape and SHA-256.
"""

import hashlib
import importlib
import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

Answer = dict[str, Any]

RENDER: Final = ("stroke_columns",)  # names that the function from strokes to columns has had
BATCH: Final = 16  # lines in a batch
STREAM_EVERY: Final = 20  # one of so many samples is also read as a stream
IMAGE_EVERY: Final = 4  # one of so many words and lines is also read as an image
ENLARGED: Final = 3  # times that images are larger than columns: they are scaled down again
MESSAGE_COLUMNS: Final = 5  # sent to a server together
MESSAGE_POINTS: Final = 6
POLL_S: Final = 0.05  # between two attempts to reach a server that starts


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


def served(inputs: Inputs) -> Iterator[tuple[str, Any]]:
    """Yield each part's name and what the checkout's server answers, line by line."""
    with _server() as url:
        with connect(f"{url}?model=digits") as stream:
            columns = [_messages_of(digit) for digit in inputs.digits[::STREAM_EVERY]]
            yield "served: digits: columns", [_heard(stream, line) for line in columns]
        for language in ("", "english"):
            # The parameter had another name; the one that a server does not know is ignored.
            query = f"&language={language}&language_model={language}" if language else ""
            suffix = f", {language}" if language else ""
            with connect(f"{url}?model=lines{query}") as stream:
                for name, indices in inputs.parts.items():
                    chosen = indices[::STREAM_EVERY]
                    columns = [_messages_of(inputs.columns[index]) for index in chosen]
                    ink = [_ink_of(inputs, index) for index in chosen]
                    for kind, lines in (("columns", columns), ("ink", ink)):
                        heard = [_heard(stream, line) for line in lines]
                        yield f"served: {name}: {kind}{suffix}", heard


@contextmanager
def _server() -> Iterator[str]:
    """Run the server of the checkout; yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-P", "-m", "inkstream", "serve", f"--port={port}"]
    command += ["--models=digits,lines", "--languages=english", "--log-level=warning"]
    with subprocess.Popen(command) as process:
        try:
            while process.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(POLL_S)
            yield f"ws://127.0.0.1:{port}/v1/stream"
        finally:
            process.send_signal(signal.SIGTERM)


def _messages_of(columns: NDArray[np.uint8]) -> list[str | bytes]:
    """Return the messages of columns [T, H]."""
    starts = range(0, len(columns), MESSAGE_COLUMNS)
    return [columns[start : start + MESSAGE_COLUMNS].tobytes() for start in starts]


def _ink_of(inputs: Inputs, index: int) -> list[str | bytes]:
    """Return the messages of a sample's strokes, in pieces as a pen writes them."""
    messages: list[str | bytes] = []
    for number, stroke in enumerate(inputs.strokes[index]):
        for start in range(0, len(stroke), MESSAGE_POINTS):
            end = start + MESSAGE_POINTS
            piece = {"id": number, "points": stroke[start:end].tolist(), "last": end >= len(stroke)}
            ink = {"type": "ink", "strokes": [piece], "height": float(inputs.heights[index])}
            messages.append(json.dumps(ink))
    return messages


def _heard(stream: ClientConnection, line: Sequence[str | bytes]) -> Answer:
    """Send a line, each message when the one before is answered; return what was heard of it."""
    heard = Heard()
    for message in [*line, '{"type":"flush"}', '{"type":"reset"}']:
        stream.send(message)
        stream.send('{"type":"ping","id":"answered"}')
        while (answer := json.loads(stream.recv()))["type"] != "pong":
            heard.add(answer)
    return heard.answer


class Heard:
    """What a server has answered to a line, without what only some versions of it send."""

    def __init__(self) -> None:
        self._text = ""
        self._results: list[Any] = []
        self._revisions: list[Any] = []
        self._events: dict[tuple[str, int], Any] = {}
        self._newest: dict[str, Any] = {}

    @property
    def answer(self) -> Answer:
        """What stands at the line's end, and a digest of all that was heard on the way."""
        heard = json.dumps([self._results, self._revisions])
        events = [self._events[key] for key in sorted(self._events)]
        return {"end": self._newest, "events": events, "heard": _sha256(heard)}

    def add(self, message: dict[str, Any]) -> None:
        """Add one message of the server."""
        match message["type"]:
            case "result":
                # With `stable` it is only the end of the text.
                start = self._text[: message["stable"]] if "stable" in message else ""
                self._text = start + message.get("text", "")
                probabilities = sorted(dict(message["probabilities"]).items())
                numbers = [message["column"], probabilities, message.get("letter_end")]
                self._results.append([*numbers, self._text])
            case "letter" | "punctuation" | "word" as kind:
                fields = {name: message[name] for name in message if name not in ("type", "seq")}
                if kind != "word":
                    fields.setdefault("mark", kind == "punctuation")
                key = "word" if kind == "word" else "letter", message["id"]
                self._events[key] = dict(sorted(fields.items()))
            case "rewound" | "revised":
                self._text = message.get("text", "")
                names = ("column", "label", "text", "letters", "words", "frame")
                self._revisions.append([message.get(name) for name in names])
                for kind, number in [*self._events]:
                    if number >= message["words" if kind == "word" else "letters"]:
                        del self._events[kind, number]
            case "flushed":
                self._newest = {name: message.get(name) for name in ("columns", "label", "text")}
            case "error":
                sys.exit(f"the server answered {message}")


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
    is_mark = kind == "letter" and event.is_mark
    numbers = [int(event.id), int(event.start), int(event.end), int(event.column)]
    return [kind, text, is_mark, *numbers, float(event.confidence), alternatives]


def _array(array: NDArray[Any]) -> list[str]:
    array = np.ascontiguousarray(array)
    return [array.dtype.str, str(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def product_of(checkout: Path) -> Any:
    """Import the library of the checkout; stop if Python finds another one."""
    product = importlib.import_module("inkstream")
    path = Path(str(product.__file__)).resolve()
    if not path.is_relative_to(checkout):
        sys.exit(f"inkstream was imported from {path}, expected from {checkout}")
    return product


def renderer() -> Callable[..., Any]:
    """Return the function from strokes to columns, of the product's modules that are imported."""
    for module in list(sys.modules.values()):
        if module.__name__.partition(".")[0] == "inkstream":
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
    for name, part in itertools.chain(answers(inputs, product, renderer()), served(inputs)):
        all_answers[name] = part
        seconds = time.perf_counter() - started_s
        print(f"{checkout.name}: {name} read after {seconds:.0f} s", file=sys.stderr, flush=True)
    target.write_text(json.dumps(all_answers))


if __name__ == "__main__":
    main()
