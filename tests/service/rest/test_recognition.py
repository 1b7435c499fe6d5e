"""What the sessions of REST send is kept until the answer is made."""

import gc

from inkstream.service.protocol.server_messages import Result
from inkstream.service.rest.recognition import Answers


async def test_a_long_curve_costs_the_collector_of_garbage_nothing() -> None:
    answers = Answers(with_curve=True)
    gc.collect()
    n_before = len(gc.get_objects())
    answers.deliver([Result(n, [("1", 0.25), ("7", 0.75)]) for n in range(1000)])
    assert len(gc.get_objects()) < n_before + 100
    assert len(answers.curve) == 1000
    assert bytes(answers.curve[-1]) == b'[["7",0.75],["1",0.25]]'
