"""The report on lines: its figures are those of what is served, and worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from model import checkpoint as checkpoints
from model.data.dataset import Dataset
from model.data.inkset import Builder, InkSet
from model.data.line_batches import Drawn
from model.data.split import part_of_writer, person
from model.events import Letter, Word
from model.line_checks import drift, errors_from, finality
from model.line_events import (
    DELAYS,
    end_calibration,
    error_by_delay,
    lateness,
    letter_calibration,
    letter_ends,
    word_ends,
)
from model.line_material import Material, digit_lines, one_behind_the_other
from model.line_reading import Reader, Reading, batches, told
from model.line_report import report
from model.runtime import Runtime
from model.transcript import Heard, TranscriptDecoder
from tests import builders

HEIGHT = 16


def ink() -> InkSet:
    """By each of 40 writers of two donors: six words, three lines and a character of each kind."""
    random, builder = np.random.default_rng(0), Builder()
    for number in range(40):
        labels = ["".join(random.choice(list("abc"), 3)) for _ in range(6)]
        labels += ["ab c.", "b. ca", f"a{'b' * (number % 5)} c"]
        for label, category in zip(
            [*labels, "a", "b"], ["7"] * 6 + ["8"] * 3 + ["1c", "1c"], strict=True
        ):
            spoken = [place for place, char in enumerate(label) if char != " "]
            points = np.array(
                [(60 * p + dx, dy) for p in spoken for dx, dy in ((0, 0), (30, 80), (5, 90))]
            )
            builder.add(
                points, [3] * len(spoken), np.repeat(spoken, 3).astype(np.int16), (20.0, 70.0),
                label=label, category=category, writer=f"{'xy'[number % 2]}/w{number:02}k",
                style=("printed", "cursive")[number % 2],
            )  # fmt: skip
    return builder.ink()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(builders.line_checkpoint(tmp_path_factory.mktemp("nets") / "tiny.onnx"))


def lines(n: int) -> list[Drawn]:
    """Lines of noise of many lengths."""
    return [
        Drawn(builders.columns(20 + 7 * k, k, HEIGHT), "ab c", np.empty(0, np.float32))
        for k in range(n)
    ]


def letter(number: int, char: str, end: int, column: int, confidence: float = 0.9) -> Letter:
    return Letter(number, char, end - 4, end, column, confidence, ())


def reading(
    label: str,
    text: str,
    true_ends: list[float],
    said: list[tuple[int, int]],
    texts: list[str] | None = None,
) -> Reading:
    """A line of 40 columns: letters' true last columns; ends and columns of their events."""
    chars = text.replace(" ", "")
    events = [letter(k, chars[k], end, column) for k, (end, column) in enumerate(said)]
    line = Drawn(np.zeros((40, HEIGHT), np.uint8), label, np.array(true_ends, np.float32))
    live = Heard(list(events), texts or [text] * 40)
    return Reading(line, text, list(events), np.zeros(20, np.float32), live)


# What is read


def test_lines_are_read_as_the_service_reads_them_one_by_one(
    reader: Reader, tmp_path: Path
) -> None:
    runtime = Runtime(builders.line_checkpoint(tmp_path / "same.onnx"))
    for line, found in zip(lines(9), reader.read(lines(9)), strict=True):
        decoder, state = TranscriptDecoder(runtime.config.labels, 4), runtime.initial_state(1)
        events = []
        for column in line.columns:
            scores, state = runtime.run(column[None, None], state)
            events += decoder.step(scores[:, 0], column[None]).events
        scores, _ = runtime.run(np.zeros((4, 1, HEIGHT), np.uint8), state)
        events += decoder.step_beyond(scores[:, 0]) + decoder.flush()
        assert found.text == decoder.text
        assert [(event.id, event.end, event.column) for event in found.events] == [
            (event.id, event.end, event.column) for event in events
        ]
        assert len(found.letters) + len(found.words) == len(events)


def test_only_characters_that_are_asked_for_are_answered(reader: Reader) -> None:
    texts = {r.text for r in reader.read(lines(9), "ac")}
    assert set("".join(texts)) <= {"a", "c"}
    assert texts != {""}


def test_lines_whose_letters_ends_are_known_are_read_on_over_blank_columns(
    reader: Reader,
) -> None:
    (line,) = lines(1)
    (dark,) = reader.read([line])
    assert dark.live is None
    (known,) = reader.read([Drawn(line.columns, "ab c", np.array([3, 9, np.nan, 15], np.float32))])
    assert known.text == dark.text
    assert known.live is not None
    assert len(known.live.texts) == len(line.columns) + reader.config.flush_columns
    assert [e.id for e in known.live.events] == [e.id for e in known.events]


def test_ends_are_told_when_every_letter_but_the_spaces_has_one() -> None:
    columns = np.zeros((4, HEIGHT), np.uint8)
    assert told(Drawn(columns, "a b", np.array([1, np.nan, 3], np.float32)))
    assert not told(Drawn(columns, "a b", np.array([1, np.nan, np.nan], np.float32)))
    assert not told(Drawn(columns, "a b", np.empty(0, np.float32)))


def test_batches_keep_the_order_and_stay_small() -> None:
    empty = np.empty(0, np.float32)
    wide = [Drawn(np.zeros((n, 2), np.uint8), "", empty) for n in (9, 50_000, 60_000, 5)]
    together = [[len(line.columns) for line in batch] for batch in batches(wide)]
    assert together == [[9, 50_000], [60_000], [5]]
    assert [len(batch) for batch in batches(lines(130))] == [64, 64, 2]


# Events, by hand


def test_letter_ends_are_right_within_two_columns() -> None:
    one = reading("ab c", "ab c", [9, 19, np.nan, 29], [(10, 11), (23, 24), (28, 30)])
    found = letter_ends([one])["events"]  # last columns 9, 22, 27 against 9, 19, 29
    assert (found["found"], found["wanted"]) == (3, 3)
    assert found["f1"] == pytest.approx(2 / 3)


def test_a_peak_of_the_score_says_that_a_letter_ended_two_steps_before() -> None:
    one = reading("ab", "ab", [9, 19], [(10, 11), (20, 21)])
    ends = one.ends
    ends[9 // 2 + 2] = 0.8
    ends[19 // 2 + 2 + 2] = 0.7  # two steps late: four columns
    found = letter_ends([one])["scores"]
    assert (found["found"], found["wanted"]) == (2, 2)
    assert found["recall"] == 0.5
    honest = end_calibration([one])
    assert honest["n"] == 20
    assert honest["brier"] == pytest.approx((0.2**2 + 1 + 0.7**2) / 20, rel=1e-5)
    assert honest["brier_of_the_share"] == pytest.approx(0.1 * 0.9)


def test_lateness_counts_from_the_true_end_of_letters_that_are_right() -> None:
    one = reading("abc", "axc", [9, 19, 29], [(10, 13), (20, 39), (30, 35)])
    assert lateness([one]) == {"n": 2, "median": 5.0, "90 %": pytest.approx(5.8)}


def test_the_error_by_delay_counts_letters_that_are_not_there_yet() -> None:
    texts = [""] * 10 + ["a"] * 12 + ["ab"] * 18
    one = reading("ab", "ab", [9, 19], [(10, 13), (20, 25)], texts)
    found = error_by_delay([one])
    events = dict(zip(DELAYS, found["events"], strict=True))
    shown = dict(zip(DELAYS, found["text"], strict=True))
    assert [events[delay] for delay in (0, 2, 4, 6)] == [1, 1, 0.5, 0]
    assert [shown[delay] for delay in (0, 2, 4)] == [1, 0.5, 0]  # a at 10, b at 22


def test_word_ends_are_spaces_and_places() -> None:
    one = reading("ab c", "ab c", [9, 19, np.nan, 29], [(10, 11), (20, 22), (30, 31)])
    one.events[:] = [Word(0, "ab", 0, 21, 25, 0.9, ()), Word(1, "c", 21, 36, 36, 0.9, ())]
    two = reading("abc", "ab c", [9, 19, 29], [(10, 11), (20, 22), (30, 31)])
    found = word_ends([one, two])
    assert found["spaces"]["precision"] == 0.5
    assert found["spaces"]["recall"] == 1
    assert (found["placed"]["found"], found["placed"]["wanted"]) == (2, 3)
    assert found["placed"]["precision"] == 0.5


def test_letters_confidence_is_held_against_the_alignment() -> None:
    one = reading("ab", "axb", [9, 19], [(10, 11), (20, 21), (30, 31)])
    found = letter_calibration([one])
    assert found["n"] == 3
    assert found["expected_calibration_error"] == pytest.approx(0.9 - 2 / 3)


def test_lines_that_do_not_tell_their_ends_are_left_out() -> None:
    one = Reading(lines(1)[0], "ab", [], np.zeros(9, np.float32), None)
    assert letter_ends([one])["events"]["f1"] is None
    assert lateness([one])["n"] == 0
    assert error_by_delay([one])["events"] is None
    assert end_calibration([one])["n"] == 0


# Checks


def test_events_are_found_to_be_final_and_a_change_would_be_counted(reader: Reader) -> None:
    readings = reader.read(lines(12))
    found = finality(reader, readings)
    assert found["changed"] == 0
    assert found["ids_rise"]
    assert found["lines"] == found["lines_column_by_column"] == 12
    assert found["events"] == sum(len(r.events) for r in readings) > 12
    readings[3].events.pop(0)
    again = finality(reader, readings)
    assert again["changed"] > 0
    assert not again["ids_rise"]


def test_errors_are_counted_from_a_place_of_the_label_on() -> None:
    assert errors_from("xx cd", "ab cd", 3) == 0
    assert errors_from("ab cx", "ab cd", 3) == 1
    assert errors_from("ab c", "ab cd", 3) == 1
    assert errors_from("ab cdd", "ab cd", 3) == 1


def test_drift_measures_the_same_ink_behind_more_and_more_other_ink(reader: Reader) -> None:
    everything = ink()
    material = Material(everything, "train", reader.config.labels, HEIGHT)
    places = [*material.places("7"), *material.places("8"), *material.places("1c")]
    found = drift(reader, material, places, most=3)
    assert found["columns"] == [0, 500, 2000, 10_000]
    assert found["lines"] == 3
    assert found["characters"] > 3 * 50
    assert all(error > 0 for error in found["error"])


def test_lines_one_behind_the_other_are_one_line() -> None:
    first, second = lines(2)
    whole = one_behind_the_other([first, second])
    gap = len(whole.columns) - len(first.columns) - len(second.columns)
    assert gap == round(0.6 * HEIGHT)
    assert whole.label == "ab c ab c"
    np.testing.assert_array_equal(whole.columns[: len(first.columns)], first.columns)
    np.testing.assert_array_equal(whole.columns[-len(second.columns) :], second.columns)


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


def test_material_is_of_its_part_alone_and_knows_fresh_texts() -> None:
    everything = ink()
    material = Material(everything, "report", builders.LETTERS, HEIGHT)
    parts = part_of_writer(everything.writer_names)
    owners = material.by_writer([*material.places("7"), *material.places("8")])
    assert owners
    assert {parts[writer] for writer in owners} == {"report"}
    assert {person(w) for w in owners}.isdisjoint(
        person(w) for w, part in parts.items() if part == "train"
    )
    places = material.places("7")
    trained = {
        everything.labels[i]
        for i in range(len(everything))
        if parts[everything.writer_names[everything.writers[i]]] == "train"
    }
    fresh = [label not in trained for label in material.labels(places)]
    assert material.fresh(places) == fresh
    few = Material(everything, "report", builders.LETTERS, HEIGHT, limit=5)
    assert len(few.places("7")) == 5
    assert set(few.places("7")) < set(places)


def test_a_report_holds_every_figure_and_is_the_same_again(tmp_path: Path) -> None:
    net = checkpoints.read(builders.line_checkpoint(tmp_path / "tiny.onnx").path)
    images = builders.excerpt(12)
    with pytest.raises(Exception, match="characters"):
        report(net, ink(), images)  # it cannot spell digits
    labels = tuple(" .abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    net = checkpoints.read(builders.line_checkpoint(tmp_path / "wide.onnx", labels=labels).path)
    made, again = (report(net, ink(), images) for _ in range(2))
    assert made.contents == again.contents
    made.save(tmp_path / "report")
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    words = written["words"]
    assert words["pieces"] == sum(own["pieces"] for own in words["by_donor"].values())
    assert words["pieces"] == sum(own["pieces"] for own in words["by_length"].values())
    assert set(words["by_size"]) == {"100%", "75%", "50%"}
    assert words["by_size"]["100%"]["error"] == words["error"]
    assert written["letter_ends"]["printed"]["events"]["wanted"] > 0
    assert written["finality"]["changed"] == 0
    assert written["digits"]["pieces"] == 12
    assert written["characters"]["1c"]["pieces"] > 0
    assert f"| words: character error; right | {words['error']:.1%}" in made.table()
    assert (tmp_path / "report" / "figures.md").read_text() == made.table()
    assert written["checkpoint_sha256"] in made.heading()
    counts = [count for _, _, count in written["confusions"]]
    assert counts == sorted(counts, reverse=True)
