"""Replay ink as it was written: what a user of the pad would see, and when.

Points go into a session of the server as a pen brings them, with its own model and without a
server around it: all that the session sends is known before the next points come. How far the pen
must be ahead of a column before this column is read is a setting; `report` shows what each choice
withdraws.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from tqdm import tqdm

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.ink_set import InkSet
from inkstream.model.data.split import Part
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.report import Report
from inkstream.model.plots import new_axes, save
from inkstream.model.preprocess.ink import taken_by
from inkstream.model.runtime import Runtime
from inkstream.service.protocol.server_messages import Letter, Revised, ServerMessage
from inkstream.service.session import (
    Close,
    Effect,
    Ran,
    Restore,
    Session,
    SessionModel,
    draw_due,
    shown_of,
)
from inkstream.service.settings import Settings

POINTS: Final = 4  # in a message, as of a pen of a hundred points a second, 25 times a second
KINDS: Final = {"words": "7", "lines": "8"}  # categories of UNIPEN

Strokes = Sequence[NDArray[np.float32]]  # in true order, each [n, 2], pixels


class LocalSession:
    """One session and its net in the calling thread, without engine and server."""

    def __init__(self, runtime: Runtime, model: SessionModel) -> None:
        self._session = Session("local", model)
        self._runtime = runtime
        self._state = runtime.initial_state(1)  # [1, D]
        self._now_s = 0.0
        self._session.open()

    def send(self, fields: Mapping[str, Any]) -> list[ServerMessage]:
        """Take a message, run all columns, and return all that was sent, which is no error."""
        self._now_s += 1.0  # below every rate limit
        sent = self._apply(self._session.receive(json.dumps(fields), self._now_s))
        while (portion := self._session.take(64)) is not None:
            scores, self._state = self._runtime.run(
                taken_by(self._runtime.config, portion.columns)[:, None], self._state
            )
            (shown,) = shown_of([self._session.showing], [portion.picked], [scores[:, 0]])
            ran = Ran(portion, scores[:, 0], self._state[0], shown)
            sent += self._apply(self._session.step(ran))
        assert all(message.type != "error" for message in sent), sent
        return sent

    def _apply(self, effects: list[Effect]) -> list[ServerMessage]:
        """Carry out what the session asks for; return the messages among it."""
        for effect in effects:
            if isinstance(effect, Restore):
                self._state = self._runtime.initial_state(1)
                if effect.state is not None:
                    self._state[0] = effect.state
        sent = [effect for effect in effects if not isinstance(effect, Restore | Close)]
        if changes := self._session.ink_due:
            while not changes.is_drawn:
                draw_due([changes], self._runtime.config)
            sent += self._apply(self._session.draw())
        return sent


@dataclass(frozen=True, slots=True)
class Replay:
    """What was sent about one piece of ink while it was written."""

    letters: int  # at the end, marks among them
    withdrawn: int  # letters whose id was withdrawn or given to another letter, each time
    gone: int  # of these, letters that were no longer in the text at all: others moved in it
    ahead: list[int]  # columns from each letter's end to the pen, when it was first sent
    text: str


def replay(runtime: Runtime, strokes: Strokes, margin: int) -> Replay:
    """Write strokes as their writer did, with `margin` columns between pen and what is read."""
    limits = Settings.model_construct().limits.model_copy(update={"ink_margin_columns": margin})
    session = LocalSession(runtime, SessionModel.of(runtime.metadata, limits))
    standing: list[str] = []
    first_sent: dict[int, int] = {}
    pen, withdrawn, gone, text = 0, 0, 0, ""
    for message, furthest in _messages(strokes, runtime.config.column_height):
        pen, before = max(pen, furthest), list(standing)
        for sent in session.send(message):
            if isinstance(sent, Revised):
                del standing[sent.letters :]
            elif isinstance(sent, Letter):
                standing[sent.id : sent.id + 1] = [sent.char]
                first_sent.setdefault(sent.id, pen - sent.end)
        withdrawn += sum(old != new for old, new in zip_longest(before, standing[: len(before)]))
        gone += len(before) - LCSseq.similarity(before, standing)
    n_while_written = len(standing)
    for sent in session.send({"type": "flush"}):
        if isinstance(sent, Letter):
            standing.append(sent.char)
        text = getattr(sent, "text", text)
    return Replay(
        letters=len(standing),
        withdrawn=withdrawn,
        gone=gone,
        ahead=[ahead for i, ahead in first_sent.items() if i < n_while_written],
        text=text,
    )


def _messages(strokes: Strokes, height: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the messages that carry strokes, and the furthest column of the points of each."""
    for name, stroke in enumerate(strokes):
        for start in range(0, len(stroke), POINTS):
            points = stroke[start : start + POINTS]
            last = start + POINTS >= len(stroke)
            piece = {"id": name, "points": points.astype(float).tolist(), "last": last}
            yield {"type": "ink", "strokes": [piece], "height": height}, int(points[:, 0].max())


def report(
    net: Checkpoint, ink: InkSet, *, part: Part, margins: Sequence[int], **limits: int
) -> Report:
    """Replay words and lines with each margin; `limits` are pieces of each kind at most."""
    runtime = Runtime(net)
    labels, height = runtime.config.labels, runtime.config.column_height
    pieces: dict[str, list[Strokes]] = {}
    for kind, category in KINDS.items():
        chosen = EvaluationSet(ink, part, labels, height, limits[kind])
        pieces[kind] = [chosen.strokes(index) for index in chosen.indices(category)]
    figures_by_margin = {
        str(columns): {
            kind: _summed([replay(runtime, strokes, columns) for strokes in tqdm(inks, kind)])
            for kind, inks in pieces.items()
        }
        for columns in margins
    }
    contents: dict[str, Any] = {
        "model": net.metadata.name,
        "model_digest": net.digest,
        "data_digest": ink.digest,
        "part": part,
        "pieces": {kind: len(inks) for kind, inks in pieces.items()},
        "points_a_message": POINTS,
        "margins": figures_by_margin,
    }
    return Report("ink", contents, partial(_draw, figures_by_margin))


def _summed(replays: Sequence[Replay]) -> dict[str, float]:
    """Return the figures of all pieces together."""
    letters = max(1, sum(one.letters for one in replays))
    ahead = [columns for one in replays for columns in one.ahead]
    median, nine_tenths = np.quantile(ahead or [0], (0.5, 0.9)).tolist()
    return {
        "letters": letters,
        "withdrawn_per_100": 100 * sum(one.withdrawn for one in replays) / letters,
        "most_withdrawn_in_a_piece": max((one.withdrawn for one in replays), default=0),
        "pieces_without": sum(not one.withdrawn for one in replays) / max(1, len(replays)),
        "gone_per_100": 100 * sum(one.gone for one in replays) / letters,
        "told_while_written": len(ahead) / letters,
        "ahead_median": median,
        "ahead_90": nine_tenths,
    }


def _draw(margins: Mapping[str, Any], folder: Path) -> None:
    """Draw withdrawn letters against the median distance of the pen, a point for each margin."""
    figure, axes = new_axes(
        title="What late strokes withdraw, by the margin (columns, at the points)",
        xlabel="columns from a letter's end to the pen when it is sent, median",
        ylabel="letters withdrawn, of 100",
    )
    for kind in KINDS:
        ahead = [figures[kind]["ahead_median"] for figures in margins.values()]
        withdrawn = [figures[kind]["withdrawn_per_100"] for figures in margins.values()]
        axes.plot(ahead, withdrawn, marker="o", markersize=4, label=kind)
        for margin, x, y in zip(margins, ahead, withdrawn, strict=True):
            axes.annotate(margin, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)
    axes.set_ylim(bottom=0)
    axes.legend()
    save({"margin": figure}, folder)
