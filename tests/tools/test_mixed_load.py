"""What the writers of a mixed load send follows from the seed."""

from tools.mixed_load import KINDS, digest, scripts
from tools.writing import RESET


def test_writers_have_all_kinds_by_turns_and_send_whole_lines() -> None:
    writers = scripts(2 * len(KINDS), seed=0)
    assert [script.kind for script in writers] == [*KINDS, *KINDS]
    for script in writers:
        for line in script.lines:
            assert [each.data for each in line if each.data == RESET] == [line[-1].data]
        sent = {type(each.data) for line in script.lines for each in line[:-2]}
        assert sent == {bytes if script.kind.sent == "columns" else str}


def test_a_seed_gives_the_same_messages_again_and_another_seed_others() -> None:
    first = digest(scripts(len(KINDS), seed=0))
    assert digest(scripts(len(KINDS), seed=0)) == first
    assert digest(scripts(len(KINDS), seed=1)) != first
