"""Real paper: transcriptions, halves of the pages, parts of the wills, and damaged files."""

import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from inkstream.model.data.sources.paper import fold, load_lines, spelt
from inkstream.model.data.split import PARTS
from inkstream.model.errors import DataError
from tests.helpers.paper_folder import write_index, write_wills


@pytest.mark.parametrize(
    ("text", "folded", "with_accents"),
    [
        ("ne\u0301 à Noël, ça", "ne a Noel, ca", "né à Noël, ça"),
        ("cœur, Œuvre, ex æquo", "coeur, OEuvre, ex aequo", "cœur, Œuvre, ex æquo"),
        ("« l’an » – “dix”…", '" l\'an " - "dix"...', '« l\'an » - "dix"...'),
        ("1° ſi", "1o si", "1° si"),
        ("  two\u00a0 spaces ", "two spaces", "two spaces"),
        ("π €", "π €", "π €"),
    ],
)
def test_accents_and_typographic_signs_are_folded_or_made_plain(
    text: str, folded: str, with_accents: str
) -> None:
    assert (fold(text), spelt(text)) == (folded, with_accents)


def test_wills_keep_their_accents(tmp_path: Path) -> None:
    write_wills(tmp_path, n_writers=3)
    wills = load_lines(tmp_path)
    assert wills.writers == ["w0", "w0", "w1", "w1", "w2", "w2"]
    assert wills.n_left_out == 1  # it has something crossed out
    assert [image.shape for image in wills.images] == [(80, 200 + number) for number in range(6)]
    assert wills.texts == ["né à", "Mme abc"] * 3


def test_no_writer_of_wills_is_in_two_parts_which_depend_on_no_other(tmp_path: Path) -> None:
    write_wills(tmp_path / "few", n_writers=30)
    write_wills(tmp_path / "many", n_writers=60)
    few, many = load_lines(tmp_path / "few"), load_lines(tmp_path / "many")
    assert sorted(np.concatenate([many.part(name) for name in PARTS])) == list(range(120))
    by_part = [{many.writers[index] for index in many.part(name)} for name in PARTS]
    assert sum(map(len, by_part)) == 60
    assert all(by_part)
    for name, writers in zip(PARTS, by_part, strict=True):
        assert {few.writers[index] for index in few.part(name)} <= writers


def test_a_fifth_of_the_writers_of_german_words_validates_and_a_fifth_tests(tmp_path: Path) -> None:
    texts = {f"dhsd-{number}": ("Weißenfels", "Große Straße") for number in range(10)}
    words = load_lines(write_index(tmp_path / "german-words", texts))
    assert (words.source.key, words.n_left_out) == ("german", 0)
    assert words.texts[:2] == ["Weißenfels", "Große Straße"]
    assert [len(words.part(name)) for name in PARTS] == [12, 4, 4]
    unpacked = load_lines(tmp_path / "german-words")
    assert (unpacked.digest, unpacked.parts) == (words.digest, words.parts)
    np.testing.assert_array_equal(unpacked.images, words.images)


def test_words_are_fitted_to_their_ink_and_lines_to_their_image(tmp_path: Path) -> None:
    words = load_lines(write_index(tmp_path / "words", {"dhsd-1": ["Görzig"]}))
    lines = load_lines(write_index(tmp_path / "lines", {"lect:page-FRAN_0025_0073_L-0": ["à"]}))
    np.testing.assert_array_equal(words.images[0], lines.images[0])
    assert words.columns(0, 32).any(0).sum() == 29  # rows with ink
    assert lines.columns(0, 32).any(0).sum() < 20


def test_sheets_of_registers_are_split_by_their_number(tmp_path: Path) -> None:
    numbers = {73: "train", 934: "validation", 1289: "validation", 1333: "train", 2352: "test"}
    sheets = [f"FRAN_0025_{number:04}" for number in numbers]
    texts = {f"lect:page-{sheet}_L-{side}": ["Décharge"] for sheet in sheets for side in (0, 1)}
    lines = load_lines(write_index(tmp_path / "notaries", texts))
    assert lines.parts == dict(zip(sheets, numbers.values(), strict=True))
    assert [len(lines.part(name)) for name in PARTS] == [4, 4, 2]


def test_labels_of_registers_are_mended(tmp_path: Path) -> None:
    mended = {
        "S^te du 31, V^e": "Ste du 31, Ve",
        "_d°_ (par M^me)": "d° (par Mme)",
        "èpouse dècèdèe": "épouse décédée",
        "Notorièté de Thèrèse": "Notoriété de Thérèse",
        "sa mère, après dècés": "sa mère, après décès",
        "présent règlement": "présent règlement",
        "pièces de la République": "pièces de la République",
        "àParis, rueNationale12,Bd": "à Paris, rue Nationale 12, Bd",
        "Roux(par EugèneValette)et 3.800^f": "Roux (par Eugène Valette) et 3.800f",
    }
    archive = write_index(tmp_path / "lines", {"lect:page-F_1_L-0": list(mended)})
    assert load_lines(archive).texts == list(mended.values())


@pytest.mark.parametrize(
    ("writer", "text", "complaint"),
    [
        ("Zoë", "a", "is of no known source: its writers are Zoë"),
        ("lect:page-abc", "a", "is of no known source: its writers are lect:page-abc"),
        *(
            ("lect:page-F_1_L-0", text, "has no line that can be used, 1 are left out")
            for text in ("[illisible]", "con|travention", "de 2000+", "la ~")
        ),
        ("dhsd-1", "λόγος", "has no line that can be used"),
    ],
)
def test_an_archive_without_a_line_that_can_be_used_is_refused(
    tmp_path: Path, writer: str, text: str, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        load_lines(write_index(tmp_path / "lines", {writer: [text]}))
    with pytest.raises(DataError, match=r"index\.jsonl is empty, expected"):
        load_lines(write_index(tmp_path / "empty", {}))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("damage", ["cut off", "changed", "no archive", "empty", "missing"])
def test_a_damaged_archive_is_refused(
    tmp_path: Path, mode: Literal["w", "w:gz", "w:xz"], damage: str
) -> None:
    write_index(tmp_path / "lines", {"dhsd-1": ["a", "b"]})
    path = tmp_path / "packed.tar"
    with tarfile.open(path, mode) as archive:
        archive.add(tmp_path / "lines", "")
    content, third = path.read_bytes(), path.stat().st_size // 3
    damaged = {
        "cut off": content[:third],
        "changed": content[:third] + bytes(third) + content[2 * third :],
        "no archive": b"no archive",
        "empty": b"",
    }
    path.unlink()
    if damage in damaged:
        path.write_bytes(damaged[damage])
    with pytest.raises(DataError, match=r"packed\.tar"):
        load_lines(path)


def test_a_damaged_or_missing_image_is_named(tmp_path: Path) -> None:
    write_wills(tmp_path, n_writers=1)
    image = tmp_path / "lines" / "00001.png"
    image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(DataError, match=r"lines/00001\.png"):
        load_lines(tmp_path)
    image.unlink()
    with pytest.raises(DataError, match=r"lines/00001\.png"):
        load_lines(tmp_path)


@pytest.mark.parametrize(
    "row", [b"{", b"[]", b"3", b'{"image": "a.png", "text": "a"}', b'{"image": 1}', b"\xff"]
)
def test_a_damaged_list_of_wills_is_refused_with_its_line(tmp_path: Path, row: bytes) -> None:
    write_wills(tmp_path, n_writers=1)
    listed = tmp_path / "lines.jsonl"
    listed.write_bytes(listed.read_bytes() + row)
    with pytest.raises(DataError, match=r"lines\.jsonl, line 4: .*expected"):
        load_lines(tmp_path)
