"""What the sessions of REST send is kept until the answer is made, and encoded in steps."""

import asyncio
import gc

from inkstream.service.protocol.server_messages import Result, Word
from inkstream.service.rest.recognition import STEP_EVENTS, Answers, Encoder


async def test_a_long_curve_costs_the_collector_of_garbage_nothing() -> None:
    answers = Answers(with_curve=True)
    gc.collect()
    n_before = len(gc.get_objects())
    answers.deliver([Result(n, [("1", 0.25), ("7", 0.75)]) for n in range(1000)])
    assert len(gc.get_objects()) < n_before + 100
    assert len(answers.curve) == 1000
    assert bytes(answers.curve[-1]) == b'[["7",0.75],["1",0.25]]'


async def test_lists_are_encoded_a_step_of_all_of_them_in_a_turn_of_the_loop() -> None:
    encoder, n_encoded = Encoder(), 0

    class Counted(Word):
        def __iter__(self):  # type: ignore[no-untyped-def]  # as each event is encoded
            nonlocal n_encoded
            n_encoded += 1
            return super().__iter__()

    def words(count: int) -> list[Word]:
        word = Counted.model_construct(text="a", end=1, confidence=1.0, alternatives=())
        return [word.model_copy(update={"start": number}) for number in range(count)]

    sizes = 5 * STEP_EVENTS, 3 * STEP_EVENTS + 1, 3, 0
    lists = [asyncio.create_task(encoder.encode(words(size))) for size in sizes]
    n_turns = 0
    while not all(task.done() for task in lists):
        before = n_encoded
        await asyncio.sleep(0)
        assert n_encoded - before <= STEP_EVENTS
        n_turns += 1
    assert n_turns >= 9
    for task, size in zip(lists, sizes, strict=True):
        starts = [b'"start":%d,' % n in bytes(word) for n, word in enumerate(await task)]
        assert starts == [True] * size
