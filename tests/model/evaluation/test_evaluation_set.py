"""What the reports read, and the errors of all pieces and of those with unseen texts."""

from inkstream.model.evaluation.evaluation_set import WORDS, EvaluationSet
from inkstream.model.evaluation.report import document
from inkstream.model.metrics import errors
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink


def test_all_pieces_and_unseen_ones_are_counted_apart_and_none_of_none() -> None:
    pieces = EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT)
    indices = pieces.indices(WORDS)
    labels, unseen = pieces.labels(indices), pieces.unseen(indices)
    texts = ["a" for _ in indices]
    found = pieces.errors(indices, texts)
    assert found["pieces"] == len(indices)
    assert found["unseen"] == errors(
        ["a"] * sum(unseen), [label for label, own in zip(labels, unseen, strict=True) if own]
    )
    assert len(found["bootstrap"]["all"]["wrong"]) == len(pieces.by_writer(indices))
    for name, figures in (("all", found), ("unseen", found["unseen"])):
        own = found["bootstrap"][name]
        assert sum(own["characters"]) == figures["characters"]
        assert sum(own["wrong"]) / sum(own["characters"]) == figures["cer"]
        low, high = own["interval"]
        assert low <= figures["cer"] <= high
    assert pieces.errors([], [])["bootstrap"] == {}


def test_the_document_and_the_table_say_how_far_errors_would_move() -> None:
    own = {"wrong": [1, 3], "characters": [10, 10], "interval": [0.1, 0.3], "quarters": [0.1] * 3}
    shipped = builders.shipped_report("lines")

    def text(own_bootstrap: dict[str, object]) -> str:
        sides = {side: shipped[side] | {"bootstrap": own_bootstrap} for side in ("words", "text")}
        return document("lines", shipped | sides, "plots")

    rows = text({"all": own, "unseen": own})
    assert "| all words | 2 | 20.0% | 10.0 to 30.0% | 10.0% | 10.0% | 10.0% |" in rows
    assert "| unseen lines of text | 2 |" in rows
    assert "Variation between writers" not in text({})
