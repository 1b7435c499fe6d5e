"""Files of states: a saved state is loaded unchanged, and other files are refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from msgspec import msgpack

from inkstream import State
from inkstream.model.errors import InputError

STATE = State(np.arange(7, dtype=np.uint8), 12, "a1b2", {"letters": 3, "_odds": [0.5]})


def test_a_saved_state_is_loaded_unchanged(tmp_path: Path) -> None:
    STATE.save(tmp_path / "state")
    state = State.load(tmp_path / "state")
    assert (state.columns, state.model, state.decoder) == (12, "a1b2", STATE.decoder)
    assert np.array_equal(state.row, STATE.row)
    with pytest.raises(ValueError, match="read-only"):
        state.row[0] = 1


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickled", b"inkstream state 2\n{}\n"])
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(InputError, match=r"no saved state: it starts with .* expected b'inkstream"):
        State.load(tmp_path / "state")


def test_a_state_with_a_changed_or_missing_byte_is_refused(tmp_path: Path) -> None:
    STATE.save(tmp_path / "state")
    content = (tmp_path / "state").read_bytes()
    for at in range(len(content)):
        changed = bytes([*content[:at], content[at] ^ 1, *content[at + 1 :]])
        for damaged in (changed, content[:at]):
            (tmp_path / "state").write_bytes(damaged)
            with pytest.raises(InputError, match=r"damaged state|no saved state"):
                State.load(tmp_path / "state")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"columns": 3}\n',
        *map(msgpack.encode, [[b"", -1, "a", {}], [b"", "x", "a", {}], [], {"a": 1}, [b"", 1]]),
        b"\x91" * 100_000,
    ],
)
def test_a_state_with_wrong_contents_is_refused(tmp_path: Path, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest().encode()
    (tmp_path / "state").write_bytes(b"inkstream state 5\n" + digest + b"\n" + content)
    with pytest.raises(InputError, match="damaged state"):
        State.load(tmp_path / "state")
