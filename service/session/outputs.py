"""What a session gives out: from scores to results with their probabilities, and to events.

A session returns effects, which the engine and the endpoint carry out: a message is to be sent to
the client, a `Close` closes the WebSocket, and a `Restore` puts a state back into the engine.

All sessions of one run share the numpy calls that their results need (`shown_of`): for 64 sessions
that bring a column each, separate calls would take longer than the net.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkstream.model.decoding import base as decoding
from inkstream.model.decoding.base import DECIMALS, Allowed, Scores, label_probabilities
from inkstream.model.messages import Character, Spelling
from inkstream.service.protocol import server_messages as messages
from inkstream.service.protocol.server_messages import Event, Pair, Span
from inkstream.service.session.ink import LineInk

# What a result shows of the scores of its column: of a transcriber also that a letter has ended.
Shown = tuple[list[Pair], float | None]


@dataclass(slots=True, eq=False)
class Showing:
    """How the results of a session show scores, and what they showed last."""

    labels: Sequence[str]
    is_line: bool
    top_k: int | None
    allowed: Allowed
    mask: Allowed  # what is added to the labels' log-probabilities
    newest_row: bytes = b""  # the newest scores
    newest: Shown = ([], None)  # what is shown of these scores


@dataclass(frozen=True, slots=True)
class Close:
    """Close the WebSocket; the last effect of a session."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Restore:
    """Put `state` [D] into the session's slot before its next run; None is the start of a line."""

    state: NDArray[np.uint8] | None


Effect = messages.ServerMessage | Close | Restore


def shown_of(
    showings: Sequence[Showing],  # of the sessions of one run, all of one model
    picked: Sequence[Sequence[int]],  # of each session the columns that get a result
    scores: Sequence[Scores],  # of each session, [n_i, S]
) -> list[list[Shown]]:
    """Return what the results of sessions show: for each session a list, one item a result.

    A transcriber scores two columns at a time, so most rows come twice in a row: what the newest
    row shows is kept.
    """
    rows: list[bytes] = []  # scores of one column
    of_rows: list[Showing] = []
    # Of each session its newest row, and the rows of its results; -1 is the `newest_row` before.
    numbers: list[tuple[bytes, list[int]]] = []
    size = 4 * scores[0].shape[1]
    for showing, columns, its_scores in zip(showings, picked, scores, strict=True):
        newest, number, its_numbers, data = showing.newest_row, -1, [], its_scores.tobytes()
        for i in columns:
            if (row := data[i * size : (i + 1) * size]) != newest:
                newest, number = row, len(rows)
                rows.append(row)
                of_rows.append(showing)
            its_numbers.append(number)
        numbers.append((newest, its_numbers))
    new: list[Shown] = []
    if rows:
        joined = np.frombuffer(b"".join(rows), np.float32)
        new = _shown(joined.reshape(len(rows), -1), of_rows)
    shown: list[list[Shown]] = []
    for showing, (newest, its_numbers) in zip(showings, numbers, strict=True):
        shown.append([new[i] if i >= 0 else showing.newest for i in its_numbers])
        if its_numbers:  # not before all succeeded: else a second attempt would show the old row
            showing.newest_row, showing.newest = newest, shown[-1][-1]
    return shown


def _shown(scores: Scores, showings: Sequence[Showing]) -> list[Shown]:
    """Return what results show of scores [N, S]; each row is of one of the sessions."""
    masks = [(i, showing.mask) for i, showing in enumerate(showings) if showing.mask is not None]
    if not showings[0].is_line:
        probabilities = np.exp(scores)  # they sum to 1 unless some labels are not allowed
        for i, mask in masks:
            probabilities[i] = label_probabilities(scores[i : i + 1], mask)
        return [(pairs, None) for pairs in _named(probabilities, showings)]
    logs = scores[:, 1:-1].copy()  # of labels: no blank, no letter end
    for i, mask in masks:
        logs[i] += mask
    named = _named(label_probabilities(logs, None), showings)
    return [*zip(named, _rounded(np.exp(scores[:, -1])), strict=True)]


def _rounded(probabilities: Scores) -> Any:
    """Return probabilities as Python's numbers, in lists."""
    return probabilities.astype(np.float64).round(DECIMALS).tolist()


def _named(probabilities: Scores, showings: Sequence[Showing]) -> list[list[Pair]]:
    """Return probabilities [N, K] with their labels, as the options of each row say."""
    labels = showings[0].labels
    counts = [showing.top_k for showing in showings]
    values = _rounded(probabilities) if None in counts else []
    if n_best := max([n or 0 for n in counts], default=0):
        best = (-probabilities).argpartition(n_best - 1, 1)[:, :n_best]
        best.sort(1)  # among equals the first label comes first
        rows = np.arange(len(best))[:, None]
        best = best[rows, (-probabilities[rows, best]).argsort(1, kind="stable")]
        best_values = _rounded(probabilities[rows, best])
        best_labels = [[labels[k] for k in ks] for ks in best.tolist()]
    named: list[list[Pair]] = []
    for i, n in enumerate(counts):
        allowed = showings[i].allowed
        if n is not None:
            n_shown = n if allowed is None else min(n, int((allowed == 0).sum()))
            named.append(list(zip(best_labels[i][:n_shown], best_values[i], strict=False)))
        elif allowed is None:
            named.append(list(zip(labels, values[i], strict=True)))
        else:
            named.append([(labels[k], values[i][k]) for k in np.flatnonzero(allowed == 0).tolist()])
    return named


def results(
    first: int, picked: Sequence[int], shown: Sequence[Shown], texts: list[str], before: str | None
) -> tuple[list[messages.Result], str | None]:
    """Return the results of new columns, of which number `first` is the first one.

    A result's text begins after the characters that it shares with the text `before`, which the
    client has. Also returns the text that the client has after these results.
    """
    made: list[messages.Result] = []
    for i, (pairs, letter_end) in zip(picked, shown, strict=True):
        stable = text = None
        if texts:
            line_text = texts[i]
            stable = _n_shared(before or "", line_text)
            text, before = line_text[stable:], line_text
        made.append(messages.Result(first + i, pairs, letter_end, stable, text))
    return made, before


def _n_shared(before: str, text: str) -> int:
    """Return how many characters two texts share at their beginning."""
    if text.startswith(before):
        return len(before)
    pairs = zip(before, text, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(text))


def event_messages(events: Sequence[decoding.Event], ink: LineInk) -> list[Event]:
    """Return the messages about letters, marks and words of one line."""
    return [message_of(event, ink.spans(event.start, event.end)) for event in events]


def message_of(event: decoding.Event, strokes: tuple[Span, ...] | None = None) -> Event:
    """Return the message about a letter, a mark or a word, with the strokes that wrote it."""
    common = {name: getattr(event, name) for name in ("id", "start", "end", "column")}
    common |= {"confidence": round(event.confidence, DECIMALS), "strokes": strokes}
    others = [(text, round(p, DECIMALS)) for text, p in event.alternatives]
    if isinstance(event, decoding.Word):
        spellings = tuple([Spelling(text=text, p=p) for text, p in others])
        return messages.Word(text=event.text, alternatives=spellings, **common)
    characters = tuple([Character(char=char, p=p) for char, p in others])
    return messages.Letter(char=event.char, mark=event.is_mark, alternatives=characters, **common)
