"""The reports on real paper: which lines count as found, how marks count, who is compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkstream.model.alphabet import WESTERN
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.sources.paper import load_lines
from inkstream.model.data.split import table_digest
from inkstream.model.decoding import ngrams
from inkstream.model.evaluation.baselines import Colour, Grey, Kind, ReadLine, Rendering
from inkstream.model.evaluation.page_reading import overlay
from inkstream.model.evaluation.paper import (
    lines_report,
    overlaps,
    read_page,
    ruled_report,
    text_errors,
)
from inkstream.model.evaluation.report import Report, document, figures
from inkstream.model.evaluation.ruled import RuledLine, RuledPage, load_pages
from tests.helpers import builders
from tests.helpers.paper_folder import WIDTH, write_index, write_pages, write_wills

SHAPE = (400, 800)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def line(left: float, top: float, right: float, bottom: float, baseline: float) -> RuledLine:
    """Return a written line with a straight baseline."""
    polygon = box(left, top, right, bottom).ravel().tolist()
    return RuledLine("a", polygon, [left, baseline, right, baseline])


def first_page(folder: Path) -> tuple[RuledPage, Path]:
    """Write made-up pages, and return the first one and the path of its image."""
    write_pages(folder)
    ruled = load_pages(folder)
    return ruled.pages[0], ruled.path(ruled.pages[0])


class Copyist:
    """A baseline that knows the texts of the made-up pages and wills."""

    name, sees, page_method = "Copyist 1.0", "nothing", "knows the texts"
    renderings: Mapping[Kind, Rendering] = {}

    def read(self, images: Sequence[Grey], kind: Kind, characters: str | None) -> list[str]:
        assert (kind, characters) == ("text", None)
        return ["Né à" if image.shape[1] % 2 == 0 else "Mme abc" for image in images]

    def read_page(self, image: Colour) -> list[ReadLine]:
        assert image.shape == (220, WIDTH, 3)
        texts = {60: "abc abc", 120: "cab ca", 180: "bca"}
        return [ReadLine(text, box(40, y - 30, 360, y)) for y, text in texts.items()]


def test_a_line_overlaps_by_its_polygon_or_along_its_baseline() -> None:
    written = line(100, 100, 500, 140, baseline=132)
    found = {
        "equal": box(100, 100, 500, 140),
        "half as wide": box(100, 100, 300, 140),
        "four times as high": box(100, 40, 500, 200),  # still all of the baseline is inside
        "above the baseline": box(100, 84, 500, 124),
        "elsewhere": box(100, 200, 500, 240),
    }
    lines = [ReadLine("", corners) for corners in found.values()]
    (row,) = overlaps(lines, [written], SHAPE)
    shares = dict(zip(found, row, strict=True))
    assert shares["equal"] == 1
    assert shares["half as wide"] == pytest.approx(0.5, abs=0.02)
    assert shares["four times as high"] == 1
    assert shares["above the baseline"] == pytest.approx(24 / 56, abs=0.03)
    assert shares["elsewhere"] == 0


def test_a_box_around_two_lines_is_neither_of_them() -> None:
    written = [line(100, 100, 500, 140, 132), line(100, 160, 500, 200, 192)]
    rows = overlaps([ReadLine("", box(100, 100, 500, 200))], written, SHAPE)
    assert max(row[0] for row in rows) < 0.5
    # A word of the neighbour in the box does no harm.
    rows = overlaps([ReadLine("", box(100, 80, 500, 158))], [written[0]], SHAPE)
    shorter = line(400, 120, 500, 160, 150)
    both = overlaps([ReadLine("", box(100, 80, 500, 158))], [written[0], shorter], SHAPE)
    assert rows[0][0] == 1
    assert both[0][0] == pytest.approx(0.75, abs=0.01)


def test_a_written_line_outside_the_image_is_not_found() -> None:
    written = line(900, 500, 990, 540, baseline=530)
    assert max(overlaps([ReadLine("", box(100, 100, 500, 200))], [written], SHAPE)[0]) == 0


def test_the_cer_of_a_page_folds_accents_and_leaves_out_what_is_crossed_out(
    tmp_path: Path,
) -> None:
    page = first_page(tmp_path)
    read = read_page(lambda image: Copyist().read_page(np.stack([image] * 3, 2)), *page)
    assert (read.label, read.cer) == ("abc abc cab ca bca", 0)
    assert read.hits == {0: 0, 1: 1, 2: 2}
    accented = read_page(lambda _: [ReadLine("àbc abç cab ca bca", box(0, 0, 9, 9))], *page)
    assert (accented.cer, accented.hits) == (0, {})
    struck = read_page(lambda _: [ReadLine("abc abc cab ba ca bca", box(0, 0, 9, 9))], *page)
    assert struck.cer == pytest.approx(3 / 18)


# Accents


def test_accents_count_and_each_letter_has_its_f1() -> None:
    labels = ["l’été à Noël", "où ça", "eau"]
    texts = ["l'e\u0301té  a Noel", "où ca", "èau"]
    found = text_errors(texts, labels, ["one", "one", "other"])
    # Wrong are à, ë and ç, and the è that is no e; the quotation mark and the spaces are right.
    assert found["cer_accents"]["characters"] == 20
    assert found["cer_accents"]["cer"] == pytest.approx(4 / 20)
    assert found["cer_accents"]["bootstrap"]["wrong"] == [3, 1]
    f1_of_letters = {letter: own["f1"] for letter, own in found["letters"].items()}
    assert f1_of_letters == {"é": 1, "à": 0, "ç": 0, "ë": 0, "all": 2 * 2 / (3 + 5)}
    assert found["letters"]["é"]["wanted"] == 2
    assert found["letters"]["all"]["precision"] == pytest.approx(2 / 3)
    assert found["letters"]["all"]["recall"] == pytest.approx(2 / 5)
    assert text_errors(["eau"], ["eau"], ["one"])["letters"].keys() == {"all"}


def test_a_page_is_drawn_with_the_accents_that_were_read(tmp_path: Path) -> None:
    page = first_page(tmp_path)

    def drawn(text: str) -> bytes:
        return overlay(read_page(lambda _: [ReadLine(text, box(40, 30, 360, 60))], *page)).tobytes()

    assert len({drawn(text) for text in "eéèêëß€"}) == 7


@pytest.fixture(scope="module")
def western(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Return a checkpoint with random weights that knows accents."""
    path = tmp_path_factory.mktemp("weights") / "western.onnx"
    return builders.line_checkpoint(path, labels=WESTERN)


def test_all_recognisers_are_measured_on_wills_with_accents_and_with_accents_folded(
    western: Checkpoint, tmp_path: Path
) -> None:
    write_wills(tmp_path)
    wills = load_lines(tmp_path)
    report = lines_report(western, wills, part="validation", baselines=[Copyist()])
    contents = json.loads(json.dumps(report.contents))
    assert contents["lines"] == len(wills.part("validation")) > 0
    assert contents["left_out"] == 1
    readers = contents["readers"]
    folded = readers["Copyist 1.0"]["folded"]
    assert folded["cer"] == pytest.approx(1 / 11)  # its capital N is wrong
    assert folded["exact_match"] == 0.5
    assert readers["Copyist 1.0"]["cer_accents"]["cer"] == pytest.approx(1 / 11)
    letters = readers["Copyist 1.0"]["letters"]
    assert list(letters) == list(readers["inkstream"]["letters"]) == ["é", "à", "all"]
    assert letters["é"]["f1"] == letters["à"]["f1"] == 1
    assert letters["all"]["wanted"] == 2 * letters["é"]["wanted"] > 0
    table = report.table()
    assert "| CER, accents count | 95 % interval | CER, accents folded |" in table
    assert "| Copyist 1.0 | 9.1% | " in table
    (row,) = (line for line in table.splitlines() if line.startswith("| é |"))
    assert row.startswith(f"| é | {letters['é']['wanted']} | ")
    assert row.endswith(" | 1.000 |")


def test_german_words_are_measured_by_their_letters_and_without_spaces(
    western: Checkpoint, tmp_path: Path
) -> None:
    texts = {f"dhsd-{number}": ("né à", "né à") for number in range(10)}
    words = load_lines(write_index(tmp_path / "words", texts))
    report = lines_report(western, words, part="validation", baselines=[Copyist()])
    contents = json.loads(json.dumps(report.contents))
    assert (contents["source"], contents["writers"], contents["lines"]) == ("DHSD", 2, 4)
    assert contents["split_digest"] == table_digest(words.parts)
    theirs = contents["readers"]["Copyist 1.0"]
    assert list(theirs["letters"]) == ["all"]  # none of é and à is German
    assert theirs["without_spaces"]["characters"] == 12
    assert "| DHSD: 4 lines by 2 writers |" in report.table()


@pytest.mark.parametrize("kind", ["wills", "pages"])
def test_paper_is_also_read_in_a_language(western: Checkpoint, tmp_path: Path, kind: str) -> None:
    language = ngrams.LanguageFile(ngrams.find("english"), keep=True)
    languages = ["en", "english,german"]
    if kind == "wills":
        write_wills(tmp_path)
        report = lines_report(western, load_lines(tmp_path), part="validation", languages=languages)
    else:
        write_pages(tmp_path)
        report = ruled_report(
            western, load_pages(tmp_path), part="validation", limit=1, languages=languages
        )
        report.save(tmp_path / "out", tmp_path / "ruled.md")
        text = (tmp_path / "ruled.md").read_text()
        assert f"| language model english; english,german | `{language.digest} " in text
    contents = json.loads(json.dumps(report.contents))
    assert contents["language"] == "english; english,german"
    assert len(contents["language_digest"].split()) == 2
    alone, guided = (contents["readers"][f"inkstream{name}"] for name in ("", " with english"))
    assert guided["cer_accents"]["cer"] != alone["cer_accents"]["cer"]
    assert guided["cer_accents"]["characters"] == alone["cer_accents"]["characters"] > 0
    assert guided["ratio"]["ratio"] == pytest.approx(
        guided["folded"]["cer"] / alone["folded"]["cer"], rel=1e-6
    )
    if kind == "pages":
        assert guided["method"] == "its own lines and recognition, the english language model"
        assert guided["found"] == alone["found"]
    assert "\n| inkstream with english | " in report.table()
    assert "\n| inkstream with english,german | " in report.table()


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("overlays")


@pytest.fixture(scope="module")
def ruled(
    tiny_lines: Checkpoint, overlays: Path, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    folder = tmp_path_factory.mktemp("paper") / "paper"
    write_pages(folder)
    pages, baselines = load_pages(folder), [Copyist()]
    return ruled_report(
        tiny_lines, pages, part="validation", baselines=baselines, overlays=overlays
    )


def test_all_recognisers_read_the_pages_of_the_part(ruled: Report) -> None:
    contents = json.loads(json.dumps(ruled.contents))
    assert contents == ruled.contents
    assert (contents["pages"], contents["copies"], contents["lines"]) == (3, 2, 9)
    ours, theirs = contents["readers"]["inkstream"], contents["readers"]["Copyist 1.0"]
    assert theirs["cer_accents"]["cer"] == theirs["folded"]["cer"] == 0
    assert theirs["found"]["f1"] == 1
    assert theirs["ratio"]["ratio"] == 0
    assert ours["folded"]["cer"] > 0.5  # random weights
    assert ours["found"]["f1"] == 1  # and yet it finds the lines
    assert (ours["ratio"], ours["seconds"]["n"]) == (None, 3)
    assert list(contents["readers"]) == ["inkstream", "Copyist 1.0"]  # in no language


def test_the_report_on_pages_publishes_excerpts_alone(ruled: Report, tmp_path: Path) -> None:
    folder, path = tmp_path / "reports" / "ruled", tmp_path / "ruled.md"
    ruled.save(folder, path)
    contents = json.loads((folder / "report.json").read_text())
    assert path.read_text() == document("ruled", contents, "reports/ruled")
    assert (folder / "figures.md").read_text() == figures("ruled", contents)
    assert "| Copyist 1.0 | 0.0% | 0.0 to 0.0% | 0.0% |" in path.read_text()
    assert "CC BY 4.0" in path.read_text()
    assert sorted(file.name for file in folder.iterdir()) == [
        "excerpts.jpg",
        "figures.md",
        "report.json",
    ]


def test_whole_pages_are_drawn_where_it_is_asked_for_worst_first(
    ruled: Report, overlays: Path, tmp_path: Path
) -> None:
    ruled.save(tmp_path)
    names = sorted(path.name for path in overlays.iterdir())
    assert [name[:3] for name in names] == ["000", "001", "002"]
    errors = [float(name.split()[1]) for name in names]
    assert errors == sorted(errors, reverse=True)
    with Image.open(overlays / names[0]) as drawn:
        assert drawn.size == (round(1.6 * WIDTH), 220)


def test_a_limit_takes_pages_from_all_of_the_part(tiny_lines: Checkpoint, tmp_path: Path) -> None:
    write_pages(tmp_path, (2, 4, 6, 8))
    contents = ruled_report(tiny_lines, load_pages(tmp_path), part="validation", limit=2).contents
    assert (contents["pages"], contents["copies"]) == (2, 2)
