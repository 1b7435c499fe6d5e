"""The table of states against a dictionary, whatever is done to it."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from numpy.typing import NDArray

from inkstream.service.engine.state import StateTable

pytestmark = pytest.mark.slow

SIZE = 3

rows = st.lists(st.integers(-9, 9), min_size=SIZE, max_size=SIZE).map(
    lambda numbers: np.array(numbers, np.float32)
)


class TableAgainstDictionary(RuleBasedStateMachine):
    """Slots taken and freed, rows put and restored: each slot holds what was last put there."""

    slots: Bundle[int] = Bundle("slots")
    snapshots: Bundle[NDArray[np.float32]] = Bundle("snapshots")

    def __init__(self) -> None:
        super().__init__()
        self.table = StateTable(SIZE, capacity=1)
        self.expected: dict[int, list[float]] = {}

    @rule(target=slots)
    def add(self) -> int:
        slot = self.table.add()
        assert slot not in self.expected
        self.expected[slot] = [0.0] * SIZE
        return slot

    @rule(slot=consumes(slots))
    def remove(self, slot: int) -> None:
        self.table.remove(slot)
        del self.expected[slot]
        with pytest.raises(KeyError):
            self.table.remove(slot)

    @rule(some=st.lists(slots, unique=True, max_size=4), data=st.data())
    def put(self, some: list[int], data: st.DataObject) -> None:
        new = np.array([data.draw(rows) for _ in some], np.float32).reshape(-1, SIZE)
        self.table.put(some, new)
        self.expected |= dict(zip(some, new.tolist(), strict=True))

    @rule(some=st.lists(slots, unique=True, max_size=4))
    def take(self, some: list[int]) -> None:
        taken = self.table.take(some)
        assert taken.tolist() == [self.expected[slot] for slot in some]
        taken[:] = 99

    @rule(target=snapshots, slot=slots)
    def snapshot(self, slot: int) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self.table.take([slot])[0]
        return row

    @rule(slot=slots, row=st.one_of(st.none(), snapshots))
    def restore(self, slot: int, row: NDArray[np.float32] | None) -> None:
        self.table.restore(slot, row)
        self.expected[slot] = [0.0] * SIZE if row is None else row.tolist()

    @invariant()
    def every_slot_holds_what_was_put(self) -> None:
        assert len(self.table) == len(self.expected)
        for slot, row in self.expected.items():
            assert self.table.take([slot])[0].tolist() == row


TestTable = TableAgainstDictionary.TestCase
TestTable.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_freed_slot_starts_with_the_initial_state() -> None:
    table = StateTable(SIZE)
    slot = table.add()
    table.put([slot], np.ones((1, SIZE), np.float32))
    table.remove(slot)
    assert table.add() == slot
    assert not table.take([slot]).any()


def test_rows_of_another_shape_are_refused_and_change_nothing() -> None:
    table = StateTable(SIZE)
    slot = table.add()
    with pytest.raises(ValueError, match=r"rows have shape \(1, 2\), expected \(1, 3\)"):
        table.put([slot], np.ones((1, 2), np.float32))
    assert not table.take([slot]).any()


@pytest.mark.parametrize("slot", [0, 1, -1, 999])
def test_a_slot_that_is_not_in_use_is_refused(slot: int) -> None:
    table = StateTable(SIZE)
    with pytest.raises(KeyError):
        table.remove(slot)
    with pytest.raises(KeyError, match=f"slot {slot} is not in use"):
        table.take([slot])
    with pytest.raises(KeyError):
        table.restore(slot, None)
    assert len(table) == 0
