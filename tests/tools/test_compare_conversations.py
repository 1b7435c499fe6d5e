"""Differences between two servers are found unless they are random, ignored or allowed."""

import pytest

from tools.compare_conversations import (
    ERROR_TEXTS,
    compare,
    names_in,
    without_header,
    without_prose,
)

READY = '< {"type":"ready","protocol":"inkstream.v1","session":"%s","labels":["a"]}'
DONE = '< {"type":"done","columns":2,"letters":0,"words":0,"text":"","seconds":%s}'
ERROR = '< {"type":"error","code":"%s","message":"%s","fatal":false,"index":1,"ref":null}'


def equal(old: str, new: str, allowed: tuple[str, ...] = (), *, texts: bool = True) -> bool:
    """Return whether two transcripts of one line are equal, with error texts if `texts`."""
    return compare({"a": [old]}, {"a": [new]}, allowed, () if texts else ERROR_TEXTS)


def test_session_names_and_measured_times_may_differ() -> None:
    assert equal(READY % "mX3vQ0bT9kLs", READY % "another")
    assert equal(DONE % "0.412", DONE % "1e-05")
    assert equal('< {"error":{"request_id":"a1"}}', '< {"error":{"request_id":"b2"}}')


def test_everything_else_is_compared() -> None:
    assert not equal(READY % "a", (READY % "a").replace('"a"]', '"b"]'))
    assert not equal(DONE % "0.1", (DONE % "0.1").replace('"columns":2', '"columns":3'))
    assert not equal('> "seconds":1', '> "seconds":2')


def test_error_texts_may_differ_if_they_are_ignored() -> None:
    texts = (r"word \"a\" came, allowed: b", "c")
    old, new = (ERROR % ("bad_value", text) for text in texts)
    assert not equal(old, new)
    assert equal(old, new, texts=False)
    assert not equal(old, ERROR % ("bad_ink", "c"), texts=False)


def test_expected_differences_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    names = names_in("# new\nb*  # all of them\n\na\n")
    assert names == ["b*", "a"]
    assert equal("< 1", "< 2", tuple(names))
    assert "differs as expected: a" in capsys.readouterr().out


def test_descriptions_are_compared_without_their_texts() -> None:
    described = {"description": "Says it.", "properties": {"title": {"type": "string"}}}
    assert without_prose([described]) == [{"properties": {"title": {"type": "string"}}}]


def test_a_header_can_be_ignored() -> None:
    old, new = ["< 200", "< x-request-id: *"], ["< 200", "< x-model: lines", "< x-request-id: *"]
    assert not compare({"a": old}, {"a": new}, ())
    assert compare({"a": old}, {"a": new}, (), [without_header("X-Model")])
