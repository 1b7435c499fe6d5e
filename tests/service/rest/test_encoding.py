"""Long lists are encoded in steps, of all lists in turn."""

import asyncio

from inkstream.service.rest.encoding import STEP_VALUES, Encoder


async def test_lists_are_encoded_a_step_of_all_of_them_in_a_turn_of_the_loop() -> None:
    encoder, turns, encoded = Encoder(), 0, 0

    def encode(value: int) -> bytes:
        nonlocal encoded
        encoded += 1
        return str(value).encode()

    lists = [
        asyncio.create_task(encoder.encode(range(size), encode))
        for size in (5 * STEP_VALUES, 3 * STEP_VALUES + 1, 3, 0)
    ]
    while not all(each.done() for each in lists):
        before = encoded
        await asyncio.sleep(0)
        assert encoded - before <= STEP_VALUES
        turns += 1
    assert turns >= 9
    for task in lists:
        made = await task
        assert [bytes(each) for each in made] == [str(n).encode() for n in range(len(made))]
    assert [len(await task) for task in lists] == [5 * STEP_VALUES, 3 * STEP_VALUES + 1, 3, 0]
