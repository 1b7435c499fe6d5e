"""The evaluation set, and the errors of all pieces and of those with unseen texts."""

from itertools import compress

from inkstream.model.data.ink_set import TEXT, WORDS
from inkstream.model.data.split import part_of_writer, person
from inkstream.model.evaluation.evaluation_set import EvaluationSet
from inkstream.model.evaluation.report import document
from inkstream.model.metrics import errors
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink


def test_an_evaluation_set_has_only_its_part_and_marks_unseen_texts() -> None:
    all_ink, pieces = ink(), EvaluationSet(ink(), "test", builders.LETTERS, HEIGHT)
    parts = part_of_writer(all_ink.writer_names)
    indices = pieces.indices(WORDS)
    writers = pieces.by_writer([*indices, *pieces.indices(TEXT)])
    assert {parts[writer] for writer in writers} == {"test"}
    trained = {writer for writer, part in parts.items() if part == "train"}
    assert {person(writer) for writer in writers}.isdisjoint(map(person, trained))
    known = {
        label
        for label, writer in zip(all_ink.labels, all_ink.writers.tolist(), strict=True)
        if all_ink.writer_names[writer] in trained
    }
    assert pieces.unseen(indices) == [label not in known for label in pieces.labels(indices)]
    limited = EvaluationSet(all_ink, "test", builders.LETTERS, HEIGHT, limit=5).indices(WORDS)
    assert len(limited) == 5
    assert set(limited) < set(indices)


def test_all_pieces_and_unseen_texts_are_counted_separately() -> None:
    pieces = EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT)
    indices = pieces.indices(WORDS)
    found = pieces.errors(indices, ["a" for _ in indices])
    unseen = list(compress(pieces.labels(indices), pieces.unseen(indices)))
    assert found["pieces"] == len(indices)
    assert found["unseen"] == errors(["a" for _ in unseen], unseen)
    assert len(found["bootstrap"]["all"]["wrong"]) == len(pieces.by_writer(indices))
    for name, figures in (("all", found), ("unseen", found["unseen"])):
        bootstrap = found["bootstrap"][name]
        assert sum(bootstrap["characters"]) == figures["characters"]
        assert sum(bootstrap["wrong"]) / sum(bootstrap["characters"]) == figures["cer"]
        low, high = bootstrap["interval"]
        assert low <= figures["cer"] <= high
    assert pieces.errors([], [])["bootstrap"] == {}


def test_the_document_shows_the_variation_between_writers() -> None:
    figures = {"wrong": [1, 3], "characters": [10, 10], "interval": [0.1, 0.3]}
    figures |= {"quarters": [0.1] * 3}
    shipped = builders.shipped_report("lines")

    def text(bootstrap: dict[str, object]) -> str:
        pieces = {kind: shipped[kind] | {"bootstrap": bootstrap} for kind in ("words", "text")}
        return document("lines", shipped | pieces, "plots")

    document_text = text({"all": figures, "unseen": figures})
    assert "| all words | 2 | 20.0% | 10.0 to 30.0% | 10.0% | 10.0% | 10.0% |" in document_text
    assert "| unseen lines of text | 2 |" in document_text
    assert "Variation between writers" not in text({})
