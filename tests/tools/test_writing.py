"""What runs that disturb a server count: columns, texts and events beside those of lines alone."""

from inkstream.service.protocol.server_messages import Event, Letter
from tools.chaos import quantiles
from tools.writing import DIFFERENCES, KINDS, RESET, Line, Writers, compare


def letter(number: int, char: str = "a", confidence: float = 0.9) -> Letter:
    return Letter(
        id=number,
        start=0,
        end=1,
        column=2,
        confidence=confidence,
        char=char,
        mark=False,
        alternatives=(),
    )


def line(*letters: Letter, columns: int = 9, text: str = "ab", n_twice: int = 0) -> Line:
    events: dict[tuple[bool, int], Event] = {(False, letter.id): letter for letter in letters}
    return Line(columns, text, events, n_twice)


def test_equal_lines_differ_in_nothing() -> None:
    written, alone = line(letter(0), letter(1)), line(letter(0), letter(1, confidence=0.901))
    assert compare(written, alone) == {"lines": 1, "events": 2} | dict.fromkeys(DIFFERENCES, 0)


def test_every_difference_is_counted() -> None:
    written = line(letter(0), letter(1, "b"), letter(3), columns=7, text="a", n_twice=1)
    assert compare(written, line(letter(0), letter(1), letter(2))) == {
        "lines": 1,
        "events": 3,
        "columns_lost": 2,
        "texts_different": 1,
        "events_twice": 1,
        "events_missing": 1,
        "events_too_many": 1,
        "events_different": 1,
    }


def test_writers_have_all_kinds_by_turns_and_send_whole_lines_that_follow_from_the_seed() -> None:
    writers = Writers(2 * len(KINDS), KINDS)
    assert [kind for kind, _ in writers.scripts] == [*KINDS, *KINDS]
    for kind, lines in writers.scripts:
        for line in lines:
            assert [sent.data for sent in line if sent.data == RESET] == [line[-1].data]
        types = {type(sent.data) for line in lines for sent in line[:-2]}
        assert types == {bytes if kind.sent == "columns" else str}
    digests = [Writers(2 * len(KINDS), KINDS, seed=seed).digest() for seed in (0, 1)]
    assert digests[0] == writers.digest() != digests[1]


def test_quantiles_are_of_the_gaps() -> None:
    assert quantiles([]) == {"n": 0}
    assert quantiles([1.0, 2.0, 3.0]) == {"n": 3, "p50_ms": 2.0, "p99_ms": 3.0, "max_ms": 3.0}
