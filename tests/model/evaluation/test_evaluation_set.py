"""The evaluation set, and the errors of all pieces and of those with unseen texts."""

from inkstream.model.data.ink_set import WORDS
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.report import document
from inkstream.model.metrics import errors
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink


def test_all_pieces_and_unseen_texts_are_counted_separately() -> None:
    pieces = EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT)
    indices = pieces.indices(WORDS)
    labels, unseen = pieces.labels(indices), pieces.unseen(indices)
    texts = ["a" for _ in indices]
    found = pieces.errors(indices, texts)
    assert found["pieces"] == len(indices)
    assert found["unseen"] == errors(
        ["a"] * sum(unseen),
        [label for label, is_unseen in zip(labels, unseen, strict=True) if is_unseen],
    )
    assert len(found["bootstrap"]["all"]["wrong"]) == len(pieces.by_writer(indices))
    for name, figures in (("all", found), ("unseen", found["unseen"])):
        bootstrap = found["bootstrap"][name]
        assert sum(bootstrap["characters"]) == figures["characters"]
        assert sum(bootstrap["wrong"]) / sum(bootstrap["characters"]) == figures["cer"]
        low, high = bootstrap["interval"]
        assert low <= figures["cer"] <= high
    assert pieces.errors([], [])["bootstrap"] == {}


def test_the_document_shows_the_variation_between_writers() -> None:
    figures = {
        "wrong": [1, 3],
        "characters": [10, 10],
        "interval": [0.1, 0.3],
        "quarters": [0.1] * 3,
    }
    shipped = builders.shipped_report("lines")

    def text(bootstrap: dict[str, object]) -> str:
        pieces = {kind: shipped[kind] | {"bootstrap": bootstrap} for kind in ("words", "text")}
        return document("lines", shipped | pieces, "plots")

    document_text = text({"all": figures, "unseen": figures})
    assert "| all words | 2 | 20.0% | 10.0 to 30.0% | 10.0% | 10.0% | 10.0% |" in document_text
    assert "| unseen lines of text | 2 |" in document_text
    assert "Variation between writers" not in text({})
