"""What a session gives out: from scores to results with their probabilities, and to events.

A session returns effects, for its surroundings to carry out: a message is to be sent to the client,
a `Close` closes the WebSocket, and a `Restore` puts a state back into the engine.

All sessions of one run share the numpy calls that their results need (`shown_of`): with
one column a message and 64 sessions a call for each of them would take longer than the net.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding import base as decoding
from inkstream.model.decoding.base import Decoded, label_probabilities
from inkstream.service.protocol.server_messages import (
    Character,
    Event,
    Letter,
    Punctuation,
    Result,
    ServerMessage,
    Span,
    Spelling,
    Word,
)
from inkstream.service.session.ink import LineInk
from inkstream.service.session.options import Options

if TYPE_CHECKING:
    from inkstream.service.session.session import Session

DECIMALS: Final = 6  # of probabilities

Scores = NDArray[np.float32]  # [n, S]
Probabilities = dict[str, float]  # by label, as a result shows them


class Shown(NamedTuple):
    """What a result shows of the scores of its column."""

    probabilities: Probabilities
    letter_end: float | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; the last effect of a session."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Restore:
    """Put `state` [D] into the session's slot before its next run; None is the start of a line."""

    state: NDArray[np.uint8] | None


Effect = ServerMessage | Close | Restore


def shown_of(sessions: Sequence["Session"], scores: Sequence[Scores]) -> list[list[Shown]]:
    """Return what the results of sessions show: for each session a list, one item a result.

    Args:
        sessions: the sessions of one run, all of one model; each has `picked` columns for results.
        scores: of each session, [n_i, S].

    A transcriber scores two columns at a time, so most rows come twice in a row. What the newest
    row shows is kept in the session.
    """
    rows: list[Scores] = []  # each [S]
    of_rows: list[Session] = []
    # Of each session its newest row, and the places of its results in `rows`; -1 is the kept row.
    found: list[tuple[bytes, list[int]]] = []
    for session, own in zip(sessions, scores, strict=True):
        newest, place, places = session.newest_row, -1, []
        for i in session.picked:
            row = own[i]
            if (data := row.tobytes()) != newest:
                newest, place = data, len(rows)
                rows.append(row)
                of_rows.append(session)
            places.append(place)
        found.append((newest, places))
    new = _shown(np.concatenate(rows).reshape(len(rows), -1), of_rows) if rows else []
    shown: list[list[Shown]] = []
    for session, (newest, places) in zip(sessions, found, strict=True):
        shown.append([new[i] if i >= 0 else session.newest_shown for i in places])
        if places:
            session.newest_row, session.newest_shown = newest, shown[-1][-1]
    return shown


def _shown(scores: Scores, sessions: Sequence["Session"]) -> list[Shown]:
    """Return what results show of scores [N, S]; each row is of one of the sessions."""
    info = sessions[0].model.info
    masks = [session.line.decoder.mask for session in sessions]
    is_line = info.kind == "transcriber"
    logs = scores[:, 1:-1] if is_line else scores  # of labels: no blank, no letter end
    if is_line:
        for i, mask in enumerate(masks):
            if mask is not None:
                logs[i] += mask
        probabilities = label_probabilities(logs, None)
    else:
        probabilities = np.exp(logs)  # they sum to 1 unless some labels are not allowed
        for i, mask in enumerate(masks):
            if mask is not None:
                probabilities[i] = label_probabilities(logs[i : i + 1], mask)
    named = _named(probabilities, [session.options for session in sessions], info.labels)
    if not is_line:
        return [Shown(own) for own in named]
    ends = _rounded(np.exp(scores[:, -1]))
    return [Shown(own, end) for own, end in zip(named, ends, strict=True)]


def _rounded(probabilities: Scores) -> Any:
    """Return probabilities as Python's numbers, in lists."""
    return probabilities.astype(np.float64).round(DECIMALS).tolist()


def _named(
    probabilities: Scores, options: Sequence[Options], labels: Sequence[str]
) -> list[Probabilities]:
    """Return probabilities [N, K] by their labels, as the options of each row say."""
    most = [own.in_force.top_k for own in options]
    values = _rounded(probabilities) if None in most else []
    if n_best := max([n or 0 for n in most], default=0):
        found = (-probabilities).argpartition(n_best - 1, 1)[:, :n_best]
        found.sort(1)  # among equals the first label comes first
        rows = np.arange(len(found))[:, None]
        found = found[rows, (-probabilities[rows, found]).argsort(1, kind="stable")]
        best_values = _rounded(probabilities[rows, found])
        best_labels = [[labels[k] for k in ks] for ks in found.tolist()]
    named: list[Probabilities] = []
    for i, n in enumerate(most):
        allowed = options[i].decoder.allowed
        if n is not None:
            n_shown = n if allowed is None else min(n, int((allowed == 0).sum()))
            named.append(dict(zip(best_labels[i][:n_shown], best_values[i], strict=False)))
        elif allowed is None:
            named.append(dict(zip(labels, values[i], strict=True)))
        else:
            named.append({labels[k]: values[i][k] for k in np.flatnonzero(allowed == 0).tolist()})
    return named


def results(
    session: "Session", first: int, decoded: Decoded, shown: Sequence[Shown]
) -> list[Effect]:
    """Return the results and events that follow from new columns, in the order of the columns.

    `first` is the number of the first of these columns.
    """
    epoch, texts, form = session.line.epoch, decoded.texts, session.options.in_force.text
    stable = session.stable if texts and form == "tail" else None
    if form == "none":
        texts = []
    effects: list[Effect] = [
        Result(epoch, first + i, *own, texts[i][stable:] if texts else None, stable)
        for i, own in zip(session.picked, shown, strict=True)
    ]
    if decoded.events:  # each comes before the result of its column
        effects = [*event_messages(decoded.events, session.ink), *effects]
        effects.sort(key=attrgetter("column"))
    return effects


def event_messages(events: Sequence[decoding.Event], ink: LineInk) -> list[Event]:
    """Return the messages about letters, marks and words of one line."""
    return [message_of(event, ink.spans(event.start, event.end)) for event in events]


def message_of(event: decoding.Event, strokes: tuple[Span, ...] | None = None) -> Event:
    """Return the message about a letter, a mark or a word, with the strokes that wrote it."""
    common: dict[str, Any] = {
        "id": event.id,
        "start": event.start,
        "end": event.end,
        "column": event.column,
        "confidence": round(event.confidence, DECIMALS),
        "strokes": strokes,
    }
    others = [(text, round(p, DECIMALS)) for text, p in event.alternatives]
    if isinstance(event, decoding.Word):
        spellings = tuple([Spelling(text=text, p=p) for text, p in others])
        return Word(text=event.text, alternatives=spellings, **common)
    kind = Punctuation if event.is_mark else Letter
    characters = tuple([Character(char=char, p=p) for char, p in others])
    return kind(char=event.char, alternatives=characters, **common)
