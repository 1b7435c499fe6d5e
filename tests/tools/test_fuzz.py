"""How the fuzzer changes lines of JSON."""

import json

from tests.helpers.mutations import MESSAGES
from tools.fuzz import mutate_json

LINES = b"\n".join(json.dumps(message).encode() for message in MESSAGES)


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_one_line_changes_and_mostly_stays_json() -> None:
    before = LINES.split(b"\n")
    n_changed = n_json = 0
    for seed in range(200):
        mutated = mutate_json(LINES, 65_536, seed)
        assert mutate_json(LINES, 65_536, seed) == mutated
        after = mutated.split(b"\n")
        assert len(set(before) - set(after)) <= 1
        if after != before:
            n_changed += 1
            n_json += all(map(is_json, after))
    assert n_changed > 100
    assert n_json > n_changed / 2


def test_what_is_no_json_is_changed_too_and_nothing_becomes_too_long() -> None:
    assert len({mutate_json(b"no json", 65_536, seed) for seed in range(50)}) > 25
    assert mutate_json(b"", 65_536, 3) == mutate_json(b"", 65_536, 3)
    assert all(len(mutate_json(LINES, 40, seed)) <= 40 for seed in range(50))
