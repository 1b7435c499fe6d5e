"""The report on lines: its figures equal those of the service and those computed by hand."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.data.batches import LineSample
from inkstream.model.data.images import Dataset
from inkstream.model.decoding.greedy import GreedyDecoder
from inkstream.model.errors import DataError, InputError
from inkstream.model.evaluation.evaluation_set import (
    EvaluationSet,
    concatenated,
    digit_lines,
)
from inkstream.model.evaluation.lines import contents_of, report
from inkstream.model.evaluation.plots import choose_samples, line_sheet
from inkstream.model.evaluation.report import Report, document, figures
from inkstream.model.evaluation.streaming import drift, errors_from, finality
from inkstream.model.preprocess.ink import with_directions
from inkstream.model.reader import Reader, batches, has_letter_ends
from inkstream.model.runtime import Runtime
from tests.helpers import builders
from tests.helpers.small_ink_set import ALL_KINDS, HEIGHT, ink


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(builders.line_checkpoint(tmp_path_factory.mktemp("nets") / "tiny.onnx"))


def lines(n: int) -> list[LineSample]:
    """Return lines of noise of many lengths."""
    return [
        LineSample(builders.columns(20 + 7 * k, k, HEIGHT), "ab c", np.empty(0, np.float32))
        for k in range(n)
    ]


# Reading


def test_lines_are_read_like_column_by_column_in_the_service(
    reader: Reader, tmp_path: Path
) -> None:
    runtime = Runtime(builders.line_checkpoint(tmp_path / "same.onnx"))
    for line, found in zip(lines(9), reader.read(lines(9)), strict=True):
        decoder, state = GreedyDecoder(runtime.config.labels, 4), runtime.initial_state(1)
        events = []
        for column in line.columns:
            scores, state = runtime.run(column[None, None], state)
            events += decoder.step(scores[:, 0], column[None]).events
        scores, _ = runtime.run(np.zeros((4, 1, HEIGHT), np.uint8), state)
        events += decoder.flush(scores[:, 0])
        assert found.text == decoder.text
        assert [(event.id, event.end, event.column) for event in found.events] == [
            (event.id, event.end, event.column) for event in events
        ]
        assert len(found.letters) + len(found.words) == len(events)


def test_only_allowed_characters_are_answered(reader: Reader) -> None:
    texts = {reading.text for reading in reader.read(lines(9), "ac")}
    assert set("".join(texts)) <= {"a", "c"}
    assert texts != {""}


def test_lines_with_known_letter_ends_are_also_read_without_a_flush(
    reader: Reader,
) -> None:
    (line,) = lines(1)
    (without_ends,) = reader.read([line])
    assert without_ends.unflushed is None
    (with_ends,) = reader.read(
        [LineSample(line.columns, "ab c", np.array([3, 9, np.nan, 15], np.float32))]
    )
    assert with_ends.text == without_ends.text
    assert with_ends.unflushed is not None
    assert len(with_ends.unflushed.texts) == len(line.columns) + reader.config.flush_columns
    assert [event.id for event in with_ends.unflushed.events] == [
        event.id for event in with_ends.events
    ]


def test_a_line_has_letter_ends_if_every_letter_has_one() -> None:
    for ends, expected in (([1, np.nan, 3], True), ([1, np.nan, np.nan], False), ([], False)):
        line = LineSample(np.zeros((4, HEIGHT), np.uint8), "a b", np.array(ends, np.float32))
        assert has_letter_ends(line) == expected


def test_batches_keep_the_order_and_stay_small() -> None:
    empty = np.empty(0, np.float32)
    wide = [LineSample(np.zeros((n, 2), np.uint8), "", empty) for n in (9, 50_000, 60_000, 5)]
    together = [[len(line.columns) for line in batch] for batch in batches(wide)]
    assert together == [[9, 50_000], [60_000], [5]]
    assert [len(batch) for batch in batches(lines(130))] == [64, 64, 2]


# Invariants


def test_changed_events_are_counted_and_there_are_none(reader: Reader) -> None:
    readings = reader.read(lines(12))
    found = finality(reader, readings)
    assert found["changed"] == 0
    assert found["ids_rise"]
    assert found["lines"] == found["lines_column_by_column"] == 12
    assert found["events"] == sum(len(reading.events) for reading in readings) > 12
    readings[3].events.pop(0)
    again = finality(reader, readings)
    assert again["changed"] > 0
    assert not again["ids_rise"]


def test_errors_are_counted_from_a_position_of_the_label() -> None:
    texts = ("xx cd", "ab cx", "ab c", "ab cdd")
    assert [errors_from(text, "ab cd", 3) for text in texts] == [0, 1, 1, 1]


@pytest.mark.slow
def test_drift_measures_the_same_ink_after_more_and_more_other_ink(reader: Reader) -> None:
    all_ink = ink()
    pieces = EvaluationSet(all_ink, "train", reader.config.labels, HEIGHT)
    indices = [*pieces.indices("7"), *pieces.indices("8"), *pieces.indices("1c")]
    found = drift(reader, pieces, indices, max_writers=3)
    assert found["columns"] == [0, 500, 2000, 10_000]
    assert found["lines"] == 3
    assert found["characters"] > 3 * 50
    assert all(error > 0 for error in found["cer"])


def test_lines_concatenated_are_one_line() -> None:
    first, second = lines(2)
    joined = concatenated([first, second], HEIGHT)
    gap = len(joined.columns) - len(first.columns) - len(second.columns)
    assert gap == round(0.6 * HEIGHT)
    assert joined.label == "ab c ab c"
    np.testing.assert_array_equal(joined.columns[: len(first.columns)], first.columns)
    np.testing.assert_array_equal(joined.columns[-len(second.columns) :], second.columns)


def test_the_ink_of_a_digit_fills_the_rows() -> None:
    columns = np.zeros((1, 28, 28), np.uint8)
    columns[0, 10:15, 4:24] = 255  # 5 wide, 20 high
    dataset = Dataset("one", columns, np.array([1]), tuple("0123456789"))
    (line,) = digit_lines(dataset, 40)
    assert line.label == "1"
    assert line.columns.shape == (11, 40)
    assert not line.columns[0].any()
    assert (line.columns[1:] == 255).all()


# The whole report


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return builders.line_checkpoint(tmp_path_factory.mktemp("wide") / "wide.onnx", labels=ALL_KINDS)


@pytest.fixture(scope="module")
def lines_report(net: Checkpoint) -> Report:
    return report(net, ink(), builders.excerpt(12))


@pytest.mark.slow
def test_a_report_counts_every_piece_once(lines_report: Report) -> None:
    words, contents = lines_report.contents["words"], lines_report.contents
    assert words["pieces"] == len(EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT).indices("7"))
    for key in ("by_donor", "by_country", "by_style", "by_length"):
        assert words["pieces"] == sum(group["pieces"] for group in words[key].values())
    assert words["pieces"] == words["unseen"]["pieces"] + words["seen"]["pieces"]
    assert set(words["by_size"]) == {"100%", "75%", "50%", "cut out"}
    assert words["by_size"]["100%"]["cer"] == words["cer"]
    ends, pieces = contents["letter_ends"], EvaluationSet(ink(), "test", ALL_KINDS, HEIGHT)
    lines = [index for index in pieces.indices("8") if len(pieces.labels([index])[0]) > 1]
    assert ends["joined"]["pieces"] == pieces.labels(lines).count("b. ca") > 0
    assert ends["apart"]["pieces"] == words["pieces"] + len(lines) - ends["joined"]["pieces"]
    assert ends["all"]["pieces"] == ends["apart"]["pieces"] + ends["joined"]["pieces"]
    assert ends["joined"]["writers"] == len(pieces.by_writer(lines))
    assert 0 < ends["joined"]["events"]["wanted"] < ends["all"]["events"]["wanted"]
    assert contents["finality"]["changed"] == 0
    assert contents["digits"]["pieces"] == 12
    assert contents["characters"]["1c"]["pieces"] > 0
    counts = [count for _, _, count in contents["confusions"]]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.slow
def test_a_repeated_report_differs_only_in_its_times(net: Checkpoint, lines_report: Report) -> None:
    again = report(net, ink(), builders.excerpt(12)).contents
    assert again.keys() == lines_report.contents.keys()
    assert all(again[key] == lines_report.contents[key] for key in again.keys() - {"speed"})


@pytest.mark.slow
def test_missing_sections_are_kept_from_an_earlier_report_on_the_same_pieces(
    net: Checkpoint, lines_report: Report, tmp_path: Path
) -> None:
    options = {"part": "validation", "limit": 2}
    lines_report.save(tmp_path, tmp_path / "accuracy.md")
    earlier = dict(contents_of(tmp_path)) | options
    earlier |= {"adaptation": {"all": 1}}
    digits = builders.excerpt(12)

    def after(**changes: object) -> Report:
        before = earlier | changes
        return report(net, ink(), digits, part="validation", limit=2, earlier=before)

    again = after()
    assert again.contents["adaptation"] == {"all": 1}
    assert again.contents["kept"] == ["adaptation"]
    assert "kept: ['adaptation']" in again.heading()
    ours = {side: {"bootstrap": again.contents[side]["bootstrap"]} for side in ("words", "text")}
    of_other_net = after(checkpoint_sha256="another", baselines={"as good": ours}).contents
    assert (of_other_net["adaptation"], of_other_net["kept"]) == ({}, ["baselines"])
    ratios = of_other_net["baselines"]["as good"]["words"]["ratios"]
    assert all(each["ratio"] == 1 for each in ratios.values())
    of_other_ink = after(data_digest="another")
    assert of_other_ink.contents["kept"] == []
    assert "kept" not in of_other_ink.heading()


def test_a_missing_report_is_empty_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert contents_of(tmp_path) == {}
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(DataError, match=r"report.json is damaged"):
        contents_of(tmp_path)


def test_a_report_names_net_data_and_figures(net: Checkpoint, lines_report: Report) -> None:
    assert hashlib.sha256(net.path.read_bytes()).hexdigest() in lines_report.heading()
    assert lines_report.contents["data_digest"] == ink().digest
    words = lines_report.contents["words"]
    assert f"| words: CER; exact match | {words['cer']:.1%}" in lines_report.table()
    low, high = words["bootstrap"]["all"]["interval"]
    assert f"all / unseen texts: CER | {100 * low:.1f} to {high:.1%} / " in lines_report.table()


@pytest.mark.slow
def test_a_report_writes_figures_plots_and_a_document_from_its_json(
    lines_report: Report, tmp_path: Path
) -> None:
    lines_report.save(tmp_path / "reports" / "lines", tmp_path / "accuracy.md")
    folder = tmp_path / "reports" / "lines"
    contents = json.loads((folder / "report.json").read_text())
    assert (folder / "figures.md").read_text() == figures("lines", contents)
    text = (tmp_path / "accuracy.md").read_text()
    assert text == document("lines", contents, "reports/lines")
    images = re.findall(r"!\[.+\]\((.+)\)", text)
    assert {tmp_path / image for image in images} == set(folder.glob("*.png"))
    assert figures("lines", contents) in text
    people = figures("lines", contents, "people")
    assert people in text
    country = contents["words"]["by_country"]["not documented"]
    assert f"| not documented | {country['writers']} | {country['cer']:.1%} | " in people


def test_reading_with_characters_without_labels_is_refused(reader: Reader) -> None:
    with pytest.raises(InputError, match="characters"):
        reader.read(lines(1), "0123456789")


def test_kinds_of_characters_without_labels_are_left_out(tmp_path: Path) -> None:
    few_labels = builders.line_checkpoint(tmp_path / "few.onnx")
    limited = report(few_labels, ink(), builders.excerpt(12), limit=2)
    assert (limited.contents["characters"], limited.contents["digits"]) == ({}, {})
    assert "single characters" not in limited.table()
    assert "Single characters" not in document("lines", limited.contents, "plots")


def test_a_report_with_a_limit_is_marked_as_a_trial(net: Checkpoint) -> None:
    limited = report(net, ink(), builders.excerpt(12), part="validation", limit=2)
    assert limited.contents["words"]["pieces"] == limited.contents["digits"]["pieces"] == 2
    assert "limit: 2" in limited.heading()
    assert "trial" in document("lines", limited.contents, "plots")


# Samples


def test_samples_are_the_best_the_median_and_the_worst(reader: Reader) -> None:
    wide = [
        LineSample(builders.columns(60 + k, k, HEIGHT), "ab c", np.empty(0, np.float32))
        for k in range(40)
    ]
    readings = reader.read(wide)
    best, median, worst = (
        [Levenshtein.distance(each.text, each.line.label) for each in part]
        for part in choose_samples(readings, "words").values()
    )
    distances = sorted(
        Levenshtein.distance(reading.text, reading.line.label) for reading in readings
    )
    assert best == distances[:6]
    assert median == distances[17:23]
    assert worst == distances[-6:]


@pytest.mark.parametrize("directions", [False, True])
def test_samples_are_drawn_with_their_ink_alone(tmp_path: Path, *, directions: bool) -> None:
    net = Reader(builders.line_checkpoint(tmp_path / "net.onnx", directions=directions))
    pixels = builders.columns(60, 0, HEIGHT)
    columns = with_directions(pixels) if directions else pixels
    readings = net.read([LineSample(columns, "ab c", np.empty(0, np.float32))])
    figure = line_sheet({"best": readings}, "words", net)
    (image,) = [image for axes in figure.axes for image in axes.images]
    shown = image.get_array()
    assert shown is not None
    assert np.array_equal(shown, pixels.T)
