"""Generate conversations with a server: WebSocket sessions and REST requests, from a seed.

They cover all client messages, all options of `configure`, every error that a client can cause,
and random sessions that mix them. Their ink and columns are real, see `handwriting`.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tools.handwriting import Handwriting, Sample
from tools.invalid_messages import INVALID_MESSAGES, message

DIGITS: Final = "/v1/stream?model=digits"
LINES: Final = "/v1/stream?model=lines"
KEY: Final = "a-key-of-this-comparison"
ORIGIN: Final = "https://pen.example"

# A server for each set of settings, in the order in which they are started. Limits are small where
# conversations go beyond them. Times are short where conversations wait for them.
SERVERS: Final[dict[str, tuple[str, ...]]] = {
    "usual": ("--models", "digits,lines", "--languages", "english"),
    "small": (
        *("--models", "digits,lines", "--languages", "english", "--max-line-columns", "150"),
        *("--max-message-columns", "60", "--max-waiting-columns", "60"),
        *("--max-rewind-columns", "16", "--max-hint-characters", "40"),
        *("--max-message-points", "60", "--max-ink-strokes", "6", "--max-ink-points", "150"),
        *("--ink-margin-columns", "2", "--max-bad-messages", "3", "--max-frame-bytes", "8192"),
        *("--max-body-bytes", "6000", "--max-image-pixels", "6000"),
    ),
    "guarded": (
        *("--models", "digits", "--languages", "", "--api-keys", KEY, "--origins", ORIGIN),
        *("--max-sessions", "2", "--max-sessions-per-client", "1", "--metrics-need-key"),
    ),
    "slow": ("--models", "digits", "--languages", "", "--max-control-per-s", "1"),
    "idle": ("--models", "digits", "--languages", "", "--idle-timeout-s", "1"),
    "expiring": ("--models", "digits", "--languages", "", "--max-session-s", "1.5"),
    "stopping": ("--models", "lines", "--languages", "", "--drain-timeout-s", "1"),
}
Messages = list[str | bytes]

MAX_FRAME_COLUMNS: Final = 200  # results of more columns may be merged, depending on timing
MAX_FRAMES: Final = 200  # in a conversation: more could exceed the rate limit


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket message of the client."""

    data: str | bytes
    waits_for_answers: bool = True  # whether the client waits for its answers before it goes on
    as_text: bool = False  # whether bytes go as a text frame, valid UTF-8 or not


@dataclass(frozen=True, slots=True)
class Conversation:
    """One WebSocket session, or the attempt to open one."""

    name: str
    frames: tuple[Frame, ...] = ()
    target: str = LINES
    server: str = "usual"
    subprotocols: tuple[str, ...] = ("inkstream.v1",)
    headers: dict[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"  # of the client
    others: tuple[str, ...] = ()  # addresses of clients with a session at the same time
    waits: bool = False  # whether the server closes the session
    stops_server: bool = False  # whether the server gets a signal to stop after the last frame


@dataclass(frozen=True, slots=True)
class Request:
    """One REST request."""

    name: str
    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    server: str = "usual"
    compared: Literal["body", "names of metrics", "JSON without prose"] = "body"  # of the answer


def conversations(handwriting: Handwriting) -> list[Conversation]:
    """Return all conversations, in the order of their servers."""
    generator = Generator(handwriting)
    all_conversations = [*generator.all()]
    names = [conversation.name for conversation in all_conversations]
    assert len(set(names)) == len(names), "two conversations have one name"
    longest = max(len(conversation.frames) for conversation in all_conversations)
    assert longest <= MAX_FRAMES, f"a conversation has {longest} frames"
    order = list(SERVERS)
    return sorted(all_conversations, key=lambda conversation: order.index(conversation.server))


class Generator:
    """Makes conversations; each has its own random numbers, seeded with its name."""

    def __init__(self, handwriting: Handwriting) -> None:
        self._handwriting = handwriting
        self._random = random.Random()

    def all(self) -> Iterator[Conversation]:
        """Yield all conversations."""
        families = (
            ("digits in columns", 25, DIGITS, self._digits_columns),
            ("lines in columns", 40, LINES, self._lines_columns),
            ("lines in ink", 50, LINES, self._lines_ink),
            ("digits in ink", 12, DIGITS, self._digits_ink),
            ("line ends", 20, LINES, self._line_ends),
            ("line ends of digits", 8, DIGITS, self._line_ends_of_digits),
            ("rewinds", 30, LINES, self._rewinds),
            ("rewinds of digits", 8, DIGITS, self._rewinds_of_digits),
            ("hints", 30, LINES, self._hints),
            ("mixed", 50, LINES, self._mixed),
            ("mixed of digits", 15, DIGITS, self._mixed_of_digits),
            ("faults between", 30, LINES, self._with_invalid_messages),
        )
        for family, count, target, make in families:
            for number in range(count):
                name = f"{family} {number}"
                self._random.seed(name)
                yield with_end(name, make(), target=target)
        yield from invalid_messages()
        yield from self._limits()
        yield from admissions(self._handwriting.digits[0])
        yield from self._ends()

    # Families of conversations

    def _digits_columns(self) -> Messages:
        messages: Messages = []
        for _ in range(self._random.randint(1, 3)):
            messages += self._maybe(0.7, self._settings(26))
            messages += self._in_frames(self._digit(), "digits")
            messages += self._maybe(0.5, [message("flush", id=self._id())])
            messages += self._maybe(0.6, [message("reset", id=self._id())])
        return messages

    def _lines_columns(self) -> Messages:
        messages: Messages = []
        for _ in range(self._random.randint(1, 2)):
            messages += self._maybe(0.6, self._settings(96))
            messages += self._maybe(0.5, self._some_hints())
            messages += self._in_frames(self._word_or_line().columns, "lines")
            messages += self._maybe(
                0.6, [message("flush", id=self._id())] * self._random.randint(1, 2)
            )
            messages += self._maybe(0.7, [message("reset")])
        return messages

    def _lines_ink(self) -> Messages:
        messages: Messages = []
        for number in range(self._random.randint(1, 2)):
            messages += self._maybe(0.4, self._settings(96))
            messages += self._maybe(0.4, self._some_hints())
            messages += self._ink(self._word_or_line(), f"{number}.")
            messages += self._maybe(0.5, [message("flush", id=self._id())])
            messages += [message("reset", id=self._id())]
        return messages

    def _digits_ink(self) -> Messages:
        sample = self._word()
        short = Sample(sample.label, sample.strokes[:2], sample.height, sample.columns)
        messages = self._maybe(0.5, self._settings(10))
        return [*messages, *self._ink(short, "s"), message("flush"), message("reset")]

    def _line_ends(self) -> Messages:
        messages = [self._configure_line_ends()]
        for _ in range(self._random.randint(2, 4)):
            blank = np.zeros((self._random.randint(0, 30), 32), np.uint8)
            messages += self._in_frames(np.concatenate([self._word().columns, blank]), "lines")
            messages += self._maybe(0.4, self._rewound_to_paper(32))
            messages += self._maybe(0.3, [self._configure_line_ends()])
        return messages

    def _line_ends_of_digits(self) -> Messages:
        messages = [self._configure_line_ends()]
        for _ in range(self._random.randint(2, 5)):
            blank = np.zeros((self._random.randint(0, 20), 28), np.uint8)
            messages += self._in_frames(np.concatenate([self._digit(), blank]), "digits")
            messages += self._maybe(0.4, self._rewound_to_paper(28))
            messages += self._maybe(0.3, [self._configure_line_ends()])
        return messages

    def _rewound_to_paper(self, height: int) -> Messages:
        """Return a rewind, often to a round number, and blank columns after it."""
        column = self._random.choice([8, 16, 24, 32, 64, self._random.randint(0, 40)])
        blank = bytes(height * self._random.randint(1, 24))
        return [message("rewind", column=column), blank]

    def _configure_line_ends(self) -> str | bytes:
        return message(
            "configure",
            line_end_columns=self._random.randint(1, 20),
            every=self._random.choice(["column", "message"]),
            polarity=self._random.choice(["ink-high", "ink-high", "ink-low"]),
        )

    def _rewinds(self) -> Messages:
        messages = self._maybe(0.5, self._settings(96)) + self._maybe(0.4, self._some_hints())
        n_columns = 0
        for _ in range(self._random.randint(2, 5)):
            columns = self._word().columns
            messages += self._in_frames(columns, "lines")
            n_columns += len(columns)
            messages += self._maybe(0.4, [message("flush")])
            column = self._random.choice([0, n_columns, self._random.randint(0, n_columns + 5)])
            messages.append(message("rewind", id=self._id(), column=column))
            n_columns = min(n_columns, column)
            messages += self._maybe(0.2, [message("rewind", column=n_columns // 2)])
        return messages

    def _rewinds_of_digits(self) -> Messages:
        messages = self._maybe(0.5, self._settings(10))
        for _ in range(3):
            messages += self._in_frames(self._digit(), "digits")
            messages.append(message("rewind", id=self._id(), column=self._random.randint(0, 30)))
        return messages

    def _hints(self) -> Messages:
        messages: Messages = []
        for _ in range(self._random.randint(1, 3)):
            messages += self._some_hints()
            sample = self._word()
            if self._random.random() < 0.5:
                words = [sample.label.strip(), "inkstream", *self._labels(2)]
                messages.append(message("configure", id=self._id(), words=words))
            if self._random.random() < 0.3:
                allowed = "".join(sorted(set(sample.label + "aeinrst")))
                messages.append(message("configure", characters=allowed))
            if self._random.random() < 0.5:
                messages += self._in_frames(sample.columns, "lines")
            else:
                messages += self._ink(sample, self._id_text())
            messages += [message("flush"), message("reset")]
        return messages

    def _mixed(self) -> Messages:
        """Return messages of all kinds in any order, allowed or not."""
        messages: Messages = []
        for _ in range(self._random.randint(4, 9)):
            kinds: list[Callable[[], Messages]] = [
                lambda: self._in_frames(self._word().columns, "lines"),
                lambda: self._in_frames(self._word().columns[:40], "lines"),
                lambda: self._ink(self._word(), self._id_text()),
                lambda: self._ink(self._word(), ""),
                lambda: self._settings(96),
                self._some_hints,
                lambda: [message("rewind", column=self._random.randint(0, 80))],
                lambda: [message("flush", id=self._id())],
                lambda: [message("reset", id=self._id())],
                lambda: [message("ping", id=self._id())],
                lambda: [*self._random.sample(INVALID_MESSAGES, 2)],
                lambda: [self._configure_line_ends()],
            ]
            messages += self._random.choice(kinds)()
        return messages[: MAX_FRAMES - 1]

    def _mixed_of_digits(self) -> Messages:
        messages: Messages = []
        for _ in range(self._random.randint(5, 12)):
            kinds: list[Callable[[], Messages]] = [
                lambda: self._in_frames(self._digit(), "digits"),
                lambda: self._ink(self._word(), self._id_text())[:6],
                lambda: self._settings(10),
                lambda: [message("rewind", column=self._random.randint(0, 40))],
                lambda: [message("flush", id=self._id()), message("reset")],
                lambda: [*self._random.sample(INVALID_MESSAGES, 2)],
            ]
            messages += self._random.choice(kinds)()
        return messages[: MAX_FRAMES - 1]

    def _with_invalid_messages(self) -> Messages:
        messages: Messages = []
        regular = self._in_frames(self._word().columns, "lines")
        if self._random.random() < 0.5:
            regular = self._ink(self._word(), "a")
        for each in regular:
            messages += [each, *self._maybe(0.6, [self._random.choice(INVALID_MESSAGES)])]
        return messages[: MAX_FRAMES - 1]

    def _limits(self) -> Iterator[Conversation]:
        """Yield conversations that reach or exceed the small server's limits."""
        self._random.seed("limits")
        line = np.concatenate([self._word().columns for _ in range(8)])
        strokes = self._word().strokes
        points = [[x, 10 + x % 7] for x in range(300)]
        at_limits: dict[str, Messages] = {
            "as many columns in a message as may come": [line[:60].tobytes()],
            "one column more in a message": [line[:61].tobytes(), line[:1].tobytes()],
            "the longest line": [line[start : start + 50].tobytes() for start in (0, 50, 100)],
            "a longer line": [line[start : start + 60].tobytes() for start in (0, 60, 120)],
            "the furthest rewind": [line[:50].tobytes(), message("rewind", column=34)],
            "a rewind that goes too far": [line[:50].tobytes(), message("rewind", column=33)],
            "rewinds of rewinds": [
                line[:50].tobytes(),
                *(message("rewind", column=column) for column in (40, 38, 36, 34, 32)),
                line[50:60].tobytes(),
                message("rewind", column=35),
            ],
            "as many hints as may come": [message("configure", words=["a" * 20, "b" * 20])],
            "more hints": [message("configure", words=["a" * 20, "b" * 20], context="c")],
            "many points": [message("ink", height=32, strokes=[{"points": points[:60]}])],
            "more points": [message("ink", height=32, strokes=[{"points": points[:61]}])],
            "many strokes": [
                message("ink", height=32, strokes=[{"id": i, "points": [[6, 9 + i]]}])
                for i in range(9)
            ],
            "many points of strokes": [
                message("ink", height=32, strokes=[{"id": i, "points": points[:50]}])
                for i in range(5)
            ],
            "ink that reaches too far": [
                message("ink", height=32, strokes=[{"points": points[:50]}]),
                message("ink", height=32, strokes=[{"points": [[149.9, 5]]}]),
                message("ink", height=32, strokes=[{"points": [[100, 5]]}]),
                message("ink", height=32, strokes=[{"points": [[151, 5]]}]),
            ],
            "ink that brings many columns": [
                message("ink", height=32, strokes=[{"points": [[70, 5]]}], pause=True),
                message("ink", height=32, strokes=[{"points": [[50, 5]]}], pause=True),
            ],
            "an undo that comes too late": [
                *(
                    message(
                        "ink", height=32, strokes=[{"id": i, "points": [[20 * i, 5], [20 * i, 25]]}]
                    )
                    for i in range(4)
                ),
                *(message("ink", undo=i) for i in (0, 1, 3, 2)),
            ],
            "a stroke that reaches back too far": [
                message("ink", height=32, strokes=[{"id": "a", "points": points[:50]}]),
                message("ink", height=32, strokes=[{"id": "b", "points": [[10, 3]]}]),
                message("ink", height=32, strokes=[{"id": "c", "points": [[40, 3]]}]),
            ],
            "a small frame in a small server": [
                message("ink", height=99, strokes=[{"id": 0, "points": strokes[0][:60].tolist()}]),
                message("ink", fit=True, pause=True),
            ],
        }
        for name, messages in at_limits.items():
            yield with_end(f"limits: {name}", messages, server="small")
        ended_by_server: dict[str, Sequence[Frame]] = {
            "a line beyond its limit": [
                Frame(line[start : start + 50].tobytes()) for start in range(0, 200, 50)
            ],
            "a frame that is too large": [Frame(bytes(8193))],
            "three faults in a row": [
                Frame(invalid, waits_for_answers=False) for invalid in INVALID_MESSAGES[:3]
            ],
            "two faults, columns, three faults": [
                *(Frame(invalid, waits_for_answers=False) for invalid in INVALID_MESSAGES[3:5]),
                Frame(line[:8].tobytes()),
                *(Frame(invalid, waits_for_answers=False) for invalid in INVALID_MESSAGES[5:8]),
            ],
            "a text that is not UTF-8": [Frame(b"\xff\xfe{}", as_text=True)],
        }
        for name, frames in ended_by_server.items():
            yield Conversation(f"closed: {name}", tuple(frames), server="small", waits=True)
        repeated: dict[str, Messages] = {
            "sixteen texts that are no object": [*INVALID_MESSAGES[:4]] * 4,
            "sixteen frames of one byte": [b"x"] * 16,
            "sixteen rewinds": [message("rewind", column=-number) for number in range(1, 17)],
        }
        for name, data in repeated.items():
            frames = tuple(Frame(invalid, waits_for_answers=False) for invalid in data)
            yield Conversation(f"closed: {name}", frames, waits=True)

    def _ends(self) -> Iterator[Conversation]:
        """Yield conversations that end by a time limit, the rate limit or the server's stop."""
        digit = self._handwriting.digits[1].tobytes()
        # More pings than the rate limit allows at once.
        pings = [message("ping", id=number) for number in range(8)]
        dots = [{"id": number, "points": [[0, 9]]} for number in range(260)]
        costs: dict[str, Messages] = {
            "pings": [],
            "a pattern": [message("configure", pattern="1+")],
            "two patterns": [message("configure", pattern="1+")] * 2,
            "ink of one message": [_zigzag(40)],
            "ink of two messages": [_zigzag(45)],
            "ink of three messages": [_zigzag(100)],
            "ink that is taken back": [_zigzag(45), _zigzag(1), message("ink", undo=1)],
            "ink that is fitted": [message("ink", height=28, strokes=dots, fit=True)],
        }
        for name, messages in costs.items():
            frames = tuple(Frame(each, waits_for_answers=False) for each in [*messages, *pings])
            yield Conversation(f"too many messages: {name}", frames, DIGITS, "slow", waits=True)
        yield Conversation("nothing more comes", (Frame(digit),), DIGITS, "idle", waits=True)
        yield Conversation("nothing comes", (), DIGITS, "idle", waits=True)
        yield Conversation(
            "a session that is too old", (Frame(digit),), DIGITS, "expiring", waits=True
        )
        self._random.seed("stopping")
        stopped = (Frame(self._word().columns.tobytes()), Frame(message("flush")))
        yield Conversation(
            "the server stops", stopped, server="stopping", waits=True, stops_server=True
        )

    # Parts of conversations

    def _maybe(self, probability: float, messages: Messages) -> Messages:
        return list(messages) if self._random.random() < probability else []

    def _id(self) -> int | str | None:
        return self._random.choice([None, self._random.randint(-9, 9), self._id_text()])

    def _id_text(self) -> str:
        return self._random.choice(["a", "ü", "two words", "☃"]) + str(self._random.randint(0, 99))

    def _digit(self) -> NDArray[np.uint8]:
        digit: NDArray[np.uint8] = self._handwriting.digits[
            self._random.randrange(len(self._handwriting.digits))
        ]
        return digit

    def _word(self) -> Sample:
        return self._random.choice(self._handwriting.words)

    def _word_or_line(self) -> Sample:
        """Return a word, or less often a short line."""
        if self._random.random() < 0.7:
            return self._word()
        short = [line for line in self._handwriting.lines if len(line.columns) < 400]
        return self._random.choice(short)

    def _labels(self, count: int) -> list[str]:
        labels = {word for sample in self._handwriting.words for word in sample.label.split()}
        return self._random.sample(sorted(labels), count)

    def _in_frames(self, columns: NDArray[np.uint8], model: str) -> Messages:
        """Return columns in frames of one, a few or many columns, binary or JSON."""
        max_columns = self._random.choice([1, 3, 8, 30, 30, MAX_FRAME_COLUMNS, MAX_FRAME_COLUMNS])
        if len(columns) > 60:
            max_columns = max(max_columns, 8)
        as_json = self._random.random() < (0.3 if model == "digits" else 0.15)
        messages: Messages = []
        start = 0
        while start < len(columns):
            portion = columns[
                start : start + self._random.randint((max_columns + 1) // 2, max_columns)
            ]
            start += len(portion)
            if as_json:
                messages.append(message("columns", id=self._id(), columns=portion.tolist()))
            else:
                messages.append(portion.tobytes())
        return messages

    def _ink(self, sample: Sample, prefix: str) -> Messages:
        """Return a sample's strokes in messages: in parts, late, undone, small or fitted."""
        strokes = [np.round(stroke, 1).tolist() for stroke in sample.strokes]
        height = sample.height * self._random.choice([1, 1, 1, 1.5, 2.5, 0.8])
        order = list(range(len(strokes)))
        if self._random.random() < 0.4:  # a dot or a bar comes later
            order.append(order.pop(self._random.randrange(len(order))))
        style = self._random.choice(["whole", "pieces", "all at once", "no ids"])
        inks: list[dict[str, Any]] = []
        for number in order:
            points = strokes[number]
            if style == "no ids":
                inks.append({"strokes": [{"points": points}], "height": height})
                continue
            key: int | str = f"{prefix}{number}" if prefix else number
            cuts = [0, len(points)]
            if style == "pieces" and len(points) > 4:
                cuts = sorted({0, len(points), *self._random.sample(range(1, len(points)), 2)})
            for first, end in itertools.pairwise(cuts):
                piece = {"id": key, "points": points[first:end], "last": end == len(points)}
                inks.append({"strokes": [piece], "height": height})
            if self._random.random() < 0.08 and style != "all at once":
                inks.append({"undo": key})
        if style == "all at once":
            together = [stroke for each in inks for stroke in each["strokes"]]
            inks = [{"strokes": together, "height": height}]
        for each in inks:
            if self._random.random() < 0.1:
                each["pause"] = True
            if self._random.random() < 0.05:
                each["fit"] = True
        if self._random.random() < 0.5:
            inks.append({"pause": True, "fit": self._random.random() < 0.7})
        return [message("ink", id=self._id(), **each) for each in inks[:60]]

    def _settings(self, n_labels: int) -> Messages:
        """Return a `configure` with some of its options."""
        options: dict[str, Any] = {
            "every": self._random.choice(["column", "message"]),
            "top_k": self._random.choice([None, 1, 3, n_labels // 2, n_labels]),
            "polarity": self._random.choice(["ink-high", "ink-high", "ink-low"]),
            "characters": self._random.choice(
                [None, "0123456789", "1274", "7", *(["abcdefghijklmnopqrstuvwxyz ", "aeiou "] * 2)]
            ),
            "line_end_columns": self._random.choice([0, 0, 0, 4, 12]),
            "text": self._random.choice(["full", "tail", "none"]),
            "results": self._random.choice(["all", "all", "all", "events"]),
        }
        names = self._random.sample(sorted(options), self._random.randint(0, 3))
        return [message("configure", id=self._id(), **{name: options[name] for name in names})]

    def _some_hints(self) -> Messages:
        """Return a `configure` with hints."""
        options: dict[str, Any] = {
            "language_model": self._random.choice(["english", "english", None]),
            "words": self._random.choice([[], self._labels(3), self._labels(30)]),
            "context": self._random.choice(["", "Dear Mr", "of the "]),
            "pattern": self._random.choice([None, None, None, "[a-z]+", "[A-Z][a-z]*( [a-z]+)?"]),
        }
        names = self._random.sample(sorted(options), self._random.randint(1, 2))
        return [message("configure", id=self._id(), **{name: options[name] for name in names})]


def _zigzag(n_segments: int) -> str:
    """Return ink of one stroke, whose id is the number of its segments of 90 pixels.

    It stays on the first column, which waits for the pen to leave it, so that nothing is read.
    """
    points = [[0, 90 * (number % 2)] for number in range(n_segments + 1)]
    return message("ink", height=28, strokes=[{"id": n_segments, "points": points}])


def with_end(
    name: str, messages: Messages, target: str = LINES, server: str = "usual"
) -> Conversation:
    """Return the conversation of these messages, each of which waits for its answers, and `end`."""
    frames = (*map(Frame, messages[: MAX_FRAMES - 1]), Frame(message("end", id=name)))
    return Conversation(name, frames, target, server, waits=True)


def invalid_messages() -> Iterator[Conversation]:
    """Yield conversations with six invalid messages each, and with frames of wrong lengths."""
    for target in (DIGITS, LINES):
        model = target.rpartition("=")[2]
        for first in range(0, len(INVALID_MESSAGES), 6):
            yield with_end(
                f"faults of {model} from {first}", list(INVALID_MESSAGES[first : first + 6]), target
            )
    for height, target in ((28, DIGITS), (32, LINES)):
        sizes = (0, 1, height - 1, height, height + 1, 3 * height - 5, 2 * height, 2049 * height)
        frames: Messages = [bytes([200]) * size for size in sizes]
        yield with_end(f"frames of wrong lengths, {height} rows", frames, target)


def admissions(digit: NDArray[np.uint8]) -> Iterator[Conversation]:
    """Yield sessions that are admitted or refused."""
    frames = (Frame(digit.tobytes()), Frame(message("end")))
    authorization = {"Authorization": f"Bearer {KEY}"}
    offers: dict[str, tuple[str, ...]] = {"protocol": ("inkstream.v1",), "no protocol": ()}
    for kind, offered in offers.items():
        for name, target in {
            "the first model": "/v1/stream",
            "the last of two models": "/v1/stream?model=lines&model=digits",
            "an unknown parameter": "/v1/stream?model=digits&colour=blue",
            "an unknown model": "/v1/stream?model=letters",
            "an empty model": "/v1/stream?model=",
            "a session to resume": "/v1/stream?session=abc",
            "another path": "/v2/stream",
        }.items():
            yield Conversation(f"{kind}, {name}", frames, target, "usual", offered, waits=True)
        for name, headers in {
            "no key": {},
            "a wrong key": {"Authorization": "Bearer wrong"},
            "a key": authorization,
            "a key of another kind": {"Authorization": f"Basic {KEY}"},
            "an origin": authorization | {"Origin": ORIGIN},
            "another origin": authorization | {"Origin": "https://other.example"},
        }.items():
            yield Conversation(
                f"{kind}, {name}", frames, DIGITS, "guarded", offered, headers, waits=True
            )
        for name, address, others in (
            ("a second session", "127.0.0.1", ("127.0.0.1",)),
            ("a session of another client", "127.0.0.2", ("127.0.0.1",)),
            ("a full server", "127.0.0.3", ("127.0.0.1", "127.0.0.2")),
        ):
            yield Conversation(
                *(
                    f"{kind}, {name}",
                    frames,
                    DIGITS,
                    "guarded",
                    offered,
                    authorization,
                    address,
                    others,
                ),
                waits=True,
            )
    protocols: dict[str, tuple[str, ...]] = {
        "a key as a protocol": ("inkstream.v1", f"key.{KEY}"),
        "a wrong key as a protocol": ("inkstream.v1", "key.wrong"),
        "another protocol": ("soap",),
        "two protocols": ("soap", "inkstream.v1"),
    }
    for name, offered in protocols.items():
        server = "guarded" if "key" in name else "usual"
        yield Conversation(name, frames, DIGITS, server, offered, waits=True)
