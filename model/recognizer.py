"""The library's face: load a net, read an image, or follow a stream column by column.

    print(load("digits").recognize("examples/7.png").label)

    lines = load("lines")
    print(lines.recognize("line.png").text)
    for result in lines.stream(columns):
        print(result.column, result.text, result.events)

A stream can be left and taken up again: `Stream.state` is all that it knows.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from msgspec import msgpack
from numpy.typing import ArrayLike, NDArray

from inkstream.model import checkpoint as checkpoints
from inkstream.model import views
from inkstream.model.checkpoint import Checkpoint, Metadata
from inkstream.model.config import Kind, ModelConfig
from inkstream.model.decoding import ngrams as languages
from inkstream.model.decoding.base import (
    DECIMALS,
    N_ALTERNATIVES,
    Decoder,
    Event,
    Letter,
    Word,
    decode_line,
)
from inkstream.model.decoding.hints import NO_HINTS, Hints, new_decoder
from inkstream.model.errors import InputError
from inkstream.model.files import write_whole
from inkstream.model.preprocess.columns import image_columns, ink_hint
from inkstream.model.preprocess.documents import pages_of
from inkstream.model.preprocess.ink import stroke_columns, strokes_of, taken_by
from inkstream.model.preprocess.ink_pieces import InkPiece
from inkstream.model.preprocess.inputs import ImageInput, Input, Stroke, image_of, image_or_ink
from inkstream.model.runtime import Runtime

if TYPE_CHECKING:
    from inkstream.model.pages import Page as Layout
    from inkstream.model.pages.transcription import Page

_MAGIC: Final = b"inkstream state 5"  # first line of a state's file
_SAVED: Final = tuple[bytes, int, str, dict[str, Any]]  # what follows in it: see `State`


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that a stream knows. It never changes, so any number of streams may go on from it."""

    row: NDArray[np.uint8] = field(repr=False)  # [D], of the net: see `Runtime`; read-only
    columns: int  # read so far
    model: str  # digest of the checkpoint that it belongs to
    decoder: Mapping[str, Any] = field(default_factory=dict, repr=False)  # see `Decoder.to_dict`

    def __post_init__(self) -> None:
        self.row.flags.writeable = False

    def save(self, path: str | Path) -> None:
        """Write the state to a file; raise `OSError` if that fails.

        Lines: the format, the SHA-256 of all that follows; then the values as MessagePack.
        """
        values = [self.row.tobytes(), self.columns, self.model, self.decoder]
        content = msgpack.encode(values)
        write_whole(Path(path), b"\n".join([_MAGIC, _digest(content), content]))

    @classmethod
    def load(cls, path: str | Path) -> "State":
        """Read what `save` wrote; raise `InputError` for anything else, `OSError` for no file."""
        magic, _, sealed = Path(path).read_bytes().partition(b"\n")
        if magic != _MAGIC:
            raise InputError(
                f"{path} is no saved state: it starts with {magic[:20]!r}, expected {_MAGIC!r}"
            )
        digest, _, content = sealed.partition(b"\n")
        try:
            if digest != _digest(content):
                raise ValueError("its digest does not match")
            row, columns, model, decoder = msgpack.decode(content, type=_SAVED)
            if columns < 0:
                raise ValueError(f"columns is {columns}, expected a number from 0 on")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InputError(f"{path} is a damaged state: {error}") from error
        return cls(np.frombuffer(row, np.uint8), columns, model, decoder)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


@dataclass(frozen=True, slots=True)
class Result:
    """The net's answer after one column."""

    column: int  # its index, from 0
    label: str  # the most probable one
    probabilities: dict[str, float]  # of all labels
    text: str = ""  # of a transcriber: everything so far
    letter_end: float = 0.0  # of a transcriber: the probability that a letter has just ended
    events: tuple[Event, ...] = ()  # of a transcriber: what was decided at this column

    def __repr__(self) -> str:
        read = f", text={self.text!r}" if self.text else ""
        decided = f", events={list(self.events)}" if self.events else ""
        label = f"{self.label!r}: {self.probabilities[self.label]:.3f}"
        return f"Result(column={self.column}, {label}{read}{decided})"

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain values for JSON."""
        return {
            "column": self.column,
            "label": self.label,
            "probabilities": _rounded(self.probabilities),
            "text": self.text,
            "letter_end": round(self.letter_end, DECIMALS),
            "events": [event.to_dict() for event in self.events],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Recognition:
    """The net's answer for a whole image, and how it came to it."""

    label: str  # of a transcriber: the whole text
    probabilities: dict[str, float]  # of all labels, after the last column
    columns: int  # how many were read
    curve: NDArray[np.float32]  # [T, K], the probabilities after every column
    pixels: NDArray[np.uint8]  # [T, H], the columns that were read, 0 = paper, 255 = ink
    kind: Kind = "classifier"  # of the net
    letters: tuple[Letter, ...] = ()  # of a transcriber, marks among them
    words: tuple[Word, ...] = ()  # of a transcriber
    hint: str | None = None  # what to try if the input looks like something else

    @property
    def text(self) -> str:
        """What is written on the image."""
        return self.label

    @property
    def confidence(self) -> float:
        """How probable that is; of a line the product of its words' confidences."""
        if self.words:
            return math.prod(word.confidence for word in self.words)
        return self.probabilities.get(self.label, 1.0 if self.columns else 0.0)

    def __repr__(self) -> str:
        hint = f", hint={self.hint!r}" if self.hint else ""
        return f"Recognition({self.text!r}, {self.confidence:.3f}, columns={self.columns}{hint})"

    def to_dict(self) -> dict[str, Any]:
        """Return what REST answers, and the confidence, in plain values for JSON.

        `curve` and `pixels`, which are large, are left out.
        """
        fields: dict[str, Any]
        if self.kind == "classifier":
            fields = {"label": self.label, "probabilities": _rounded(self.probabilities)}
        else:
            letters = [letter.to_dict() for letter in self.letters]
            words = [word.to_dict() for word in self.words]
            fields = {"text": self.text, "letters": letters, "words": words}
        fields |= {"confidence": round(self.confidence, DECIMALS), "columns": self.columns}
        return fields | ({"hint": self.hint} if self.hint else {})

    def plot(self, axes: Any = None) -> Any:
        """Draw the columns and, beneath them, the letters, uncertain ones in red.

        `axes` are matplotlib's, None makes them; returns the axes. Raises `InkstreamError` without
        matplotlib, which the extra `plot` installs.
        """
        return views.plot(self.text, self.pixels, self._shown_letters, axes)

    def _repr_html_(self) -> str:
        return views.html(self.text, self.pixels, self._shown_letters)

    @property
    def _shown_letters(self) -> Sequence[Letter]:
        """The letters; of a classifier its answer as one, with the labels that come next."""
        if self.kind == "transcriber":
            return self.letters
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        others = tuple(item for item in ranked[: N_ALTERNATIVES + 1] if item[0] != self.label)
        newest = self.columns - 1
        return [Letter(0, self.label, 0, self.columns, newest, self.confidence, others)]


class Stream(Iterator[Result]):
    """One stream of columns: iterate over the results of `columns`, or push them one by one.

    `state` is the stream's after the newest result. Made by `Recognizer.stream`.
    """

    def __init__(
        self, runtime: Runtime, decoder: Decoder, columns: Iterable[ArrayLike], state: State
    ) -> None:
        self._runtime, self._decoder, self._columns = runtime, decoder, iter(columns)
        if state.decoder:
            self._decoder.restore(state.decoder)
        self.state = state

    def __next__(self) -> Result:
        return self.push(next(self._columns))

    def push(self, column: ArrayLike) -> Result:
        """Read one column of H whole numbers, 0 = paper and 255 = ink, top to bottom.

        It has 3 H where ink was drawn with directions. Raises `InputError` for anything else, and
        leaves the stream where it was.
        """
        config, index = self._runtime.config, self.state.columns
        pixels = _pixels(column, config)[None]
        scores, after = self._runtime.run(pixels[:, None], self.state.row[None])
        events, texts = self._decoder.step(scores[:, 0], pixels)
        probabilities = self._decoder.probabilities(scores[:, 0])[0]
        self._go_on(after[0], index + 1)
        label, named = config.labels[probabilities.argmax()], _named(config.labels, probabilities)
        if config.kind == "classifier":
            return Result(index, label, named)
        return Result(index, label, named, texts[0], float(np.exp(scores[0, 0, -1])), tuple(events))

    def flush(self) -> tuple[Event, ...]:
        """Decide and return all that is still open; a classifier has nothing open.

        A transcriber holds its last letters back until it has seen what follows. Columns may
        follow: a new word begins with them.
        """
        if self._decoder.settled:
            return ()
        blank = _blank(self._decoder, self._runtime.config)
        scores, after = self._runtime.run(blank[:, None], self.state.row[None])
        events = self._decoder.flush(scores[:, 0])
        self._go_on(after[0], self.state.columns)
        return tuple(events)

    @property
    def text(self) -> str:
        """All that a transcriber has read; of a classifier the label, "" before any column."""
        return _answer(self._decoder)

    def _go_on(self, row: NDArray[np.uint8], columns: int) -> None:
        self.state = State(row, columns, self.state.model, self._decoder.to_dict())


class Recognizer:
    """A loaded net. Its streams are independent of each other and may run in several threads."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        hints: Hints = NO_HINTS,
        characters: str | None = None,
        threads: int = 1,  # that read lines side by side
    ) -> None:
        self.threads, self._digest = threads, checkpoint.digest
        self._runtime = Runtime(checkpoint)
        self._decoder = new_decoder(self._runtime.config, hints, characters)

    @property
    def metadata(self) -> Metadata:
        """All that is known about the net."""
        return self._runtime.metadata

    @property
    def labels(self) -> tuple[str, ...]:
        """The K answers that it can give."""
        return self._runtime.config.labels

    @property
    def column_height(self) -> int:
        """H, the pixels of one column."""
        return self._runtime.config.column_height

    def __repr__(self) -> str:
        known = self.metadata
        about = f"{known.name!r}, version={known.version!r}, kind={known.config.kind!r}"
        return f"Recognizer({about}, labels={len(self.labels)}, column_height={self.column_height})"

    def recognize(self, given: Input) -> Recognition:
        """Read an image, or the strokes of a pen: one character with a classifier, else one line.

        Args:
            given: an image, dark on light or light on dark and of any size: a path, the bytes of a
                file, a file opened with mode "rb", a PIL image, or an array [h, w] of numbers or
                [h, w, 3 or 4] of bytes. Or strokes: a list of what `read_ink` takes, an `InkPiece`,
                or the path of a file of InkML or JSON lines that holds one piece of ink.

        Of a blank image the label is "", and `hint` says that no writing was found.

        Raises:
            InputError: this is neither an image nor strokes, or they cannot be drawn.
            ImageError: the image cannot be read.
            DataError: the file of ink cannot be read.
        """
        source = image_or_ink(given)
        if isinstance(source, InkPiece):
            return self.read_ink(source.strokes, source.height)
        columns, hint = image_columns(source, self._runtime.config)
        if isinstance(source, Path) and (n_pages := len(pages_of(source))) > 1:
            hint = f"this is the first of {n_pages} pages: read_document reads all"
        if not len(columns):
            curve = np.zeros((0, len(self.labels)), np.float32)
            return Recognition("", {}, 0, curve, columns, self.metadata.config.kind, hint=hint)
        return dataclasses.replace(self.read(columns), hint=hint)

    def read_page(self, image: ImageInput) -> "Page":
        """Read the image of a page of many lines; see `recognize` for what an image may be.

        Raises `ImageError` if it cannot be read or has too many lines, and `InputError` if the net
        is a classifier, or several pages came. A page without writing has no lines.
        """
        # These take 0.2 s, which programs that read no pages do not wait for.
        from inkstream.model.pages import (  # noqa: PLC0415
            UPRIGHT_CONFIDENCE,
            answers,
            bounded,
            find_page,
        )
        from inkstream.model.pages.transcription import transcription  # noqa: PLC0415

        if self.metadata.config.kind == "classifier":
            raise InputError(
                f"the model {self.metadata.name!r} reads one character, and a page needs one that"
                " reads lines, such as 'lines'"
            )
        source = image_of(image)
        if isinstance(source, Path) and (n_pages := len(pages_of(source))) > 1:
            raise InputError(f"{n_pages} pages came, expected one: `read_document` reads them all")

        def read(page: "Layout") -> tuple[list[Recognition], float]:
            answers = self.read_all([line.columns for line in page.lines]) if page.lines else []
            letters = [letter.confidence for line in answers for letter in line.letters]
            return answers, sum(letters) / max(1, len(letters))

        page = bounded(find_page(source, self.column_height, threads=self.threads))
        readings, confidence = read(page)
        if confidence < UPRIGHT_CONFIDENCE and read(page.upside_down().sample())[1] > confidence:
            page = page.upside_down()
            readings, _ = read(page)
        lines = []
        for line, answer in zip(page.lines, readings, strict=True):
            events: list[Event] = [*answer.letters, *answer.words]
            letters_and_words = map(answers.reading_of, events)
            lines.append(answers.read_line(line, answer.text, letters_and_words))
        return transcription(page, lines)

    def read_document(self, source: ImageInput) -> Iterator["Page"]:
        """Yield the pages of a PDF, TIFF or other file as they are read; raise as `read_page`."""
        return map(self.read_page, pages_of(image_of(source)))

    def read_ink(self, strokes: Iterable[Stroke], height: float | None = None) -> Recognition:
        """Read whole strokes of a pen: x to the right and y downwards, in any unit.

        Each is a list or an array of points (x, y), or a mapping with `points`; what else a point
        has, such as pressure or time, is not read. `height` is that of the writing's frame, from
        y = 0 on; None takes the ink's own bounds. Raises `InputError` if there is no ink, or it
        cannot be drawn.
        """
        config, points = self._runtime.config, strokes_of(strokes)
        answer = self.read(stroke_columns(points, config, height))
        return dataclasses.replace(answer, hint=ink_hint(points, config.kind))

    def read(self, columns: NDArray[np.uint8]) -> Recognition:
        """Read columns [T, H] that are complete, at least one; raise what `read_all` does."""
        return self.read_all([columns])[0]

    def read_all(self, lines: Sequence[NDArray[np.uint8]]) -> list[Recognition]:
        """Read several lines side by side, each [T, H] or, of ink with directions, [T, 3 H].

        Raises `InputError` for other shapes, no columns, and other numbers than uint8.
        """
        if wrong := {str(line.dtype) for line in lines} - {"uint8"}:
            raise InputError(f"columns hold {', '.join(sorted(wrong))}, expected uint8")
        config = self._runtime.config
        for shape in (line.shape for line in lines):
            if len(shape) != 2 or not shape[0] or shape[1] not in _sizes(config):
                raise InputError(
                    f"columns have shape {shape}, expected (T, {self.column_height}), T at least 1"
                )
        lines = [taken_by(config, line) for line in lines]
        n_groups = min(self.threads, len(lines))
        if n_groups < 2:
            return self._read_together(lines)
        by_length = sorted(range(len(lines)), key=lambda index: len(lines[index]))
        answers = dict[int, Recognition]()
        with ThreadPoolExecutor(n_groups) as pool:
            groups = [by_length[first::n_groups] for first in range(n_groups)]  # alike in length
            parts = [[lines[index] for index in group] for group in groups]
            for group, part in zip(groups, pool.map(self._read_together, parts), strict=True):
                answers.update(zip(group, part, strict=True))
        return [answers[index] for index in range(len(lines))]

    def _read_together(self, lines: Sequence[NDArray[np.uint8]]) -> list[Recognition]:
        """Read lines in one batch, each with the blank columns that flush it behind it."""
        blank = _blank(self._decoder, self._runtime.config)
        ended = [np.concatenate([line, blank]) for line in lines]
        scores, _ = self._runtime.run_ragged(ended, self._runtime.initial_state(len(lines)))
        return list(map(self._recognition, lines, scores))

    def _recognition(self, columns: NDArray[np.uint8], scores: NDArray[np.float32]) -> Recognition:
        """Return the answer for columns [T, H] and their scores [T + flush_columns, S]."""
        decoder, n_columns = self._decoder.copy(), len(columns)
        curve = decoder.probabilities(scores[:n_columns])  # [T, K]
        events = decode_line(decoder, scores, columns)
        return Recognition(
            _answer(decoder),
            _named(self.labels, curve[-1]),
            n_columns,
            curve,
            columns[:, : self.column_height].copy(),
            self._runtime.config.kind,
            tuple(event for event in events if isinstance(event, Letter)),
            tuple(event for event in events if isinstance(event, Word)),
        )

    def stream(self, columns: Iterable[ArrayLike] = (), state: State | None = None) -> Stream:
        """Begin a stream, or go on from the `state` of an earlier one; several may, and fork.

        `columns` are [T, H], or anything that gives one column of H whole numbers after the other;
        each is read when its result is asked for. Raises `InputError` for another net's state.
        """
        if state is None:
            state = State(self._runtime.initial_state(1)[0], 0, self._digest)
        if state.model != self._digest or len(state.row) != self._runtime.state_size:
            raise InputError(
                f"state belongs to the net {state.model[:16]}, this one is {self._digest[:16]}"
            )
        return Stream(self._runtime, self._decoder.copy(), columns, state)


def load(
    name_or_path: str | Path = "digits",
    threads: int = 1,
    language: str | Path | Sequence[str | Path] | None = None,
    characters: str | None = None,
    *,
    words: Sequence[str] = (),
    lexicon: Sequence[str] = (),
    pattern: str | None = None,
) -> Recognizer:
    """Load a net by its name, or a checkpoint by its path.

    Args:
        name_or_path: of the net.
        threads: that it may use; several lines are then read side by side.
        language: that lines are read in, by name, code of ISO 639 ("de"), tag of BCP 47 ("de-AT")
            or path; of several, listed or with commas between them, each line follows the likeliest
            one, with "auto" of all.
        characters: only what these spell is answered, by any net; None is every label.
        words: that lines may well hold, such as names.
        lexicon: the only words of lines; none allows any.
        pattern: a regular expression that lines match.

    Raises:
        CheckpointError: there is no such net, or it cannot be used.
        DataError: there is no such language.
        InputError: hints came for a classifier, or they or `characters` cannot be used.
    """
    if not isinstance(name_or_path, str | Path):
        raise InputError(f"{name_or_path!r:.40} came, expected the name or the path of a model")
    checkpoint = checkpoints.open_model(name_or_path, threads=threads)
    labels = checkpoint.metadata.config.labels
    files = [] if language is None else languages.open_all(language, labels)
    spoken = tuple(file.language for file in files)
    hints = Hints(spoken, words=words or (), lexicon=lexicon or (), pattern=pattern)
    return Recognizer(checkpoint, hints, characters, threads)


def _sizes(config: ModelConfig) -> set[int]:
    """Return how many bytes a column may have: without directions, or with those the net knows."""
    return {config.column_height, config.column_size}


def _pixels(column: ArrayLike, config: ModelConfig) -> NDArray[np.uint8]:
    """Return one column as bytes, as the net takes them; raise `InputError` saying what came."""
    try:
        pixels: NDArray[Any] = np.asarray(column)
    except ValueError as error:
        raise InputError(f"column is not an array of numbers: {error}") from error
    if pixels.shape not in {(size,) for size in _sizes(config)}:
        raise InputError(f"column has shape {pixels.shape}, expected ({config.column_height},)")
    if pixels.dtype.kind not in "ui" or pixels.min() < 0 or pixels.max() > 255:
        values = pixels.tolist()
        index = next((i for i, x in enumerate(values) if not _is_byte(x)), 0)
        got = f"pixel {index} is {values[index]!r:.40} in a column of {pixels.dtype}"
        raise InputError(f"{got}, expected whole numbers 0..255")
    return taken_by(config, pixels.astype(np.uint8, copy=False))


def _blank(decoder: Decoder, config: ModelConfig) -> NDArray[np.uint8]:
    """Return the blank columns that a decoder is flushed with."""
    return np.zeros((decoder.flush_columns, config.column_size), np.uint8)


def _answer(decoder: Decoder) -> str:
    return decoder.label or decoder.text or ""


def _is_byte(value: object) -> bool:
    return isinstance(value, int | float) and value in range(256)


def _named(labels: tuple[str, ...], probabilities: NDArray[np.float32]) -> dict[str, float]:
    return dict(zip(labels, map(float, probabilities), strict=True))


def _rounded(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {label: round(p, DECIMALS) for label, p in probabilities.items()}
