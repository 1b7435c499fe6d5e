"""Releases of UNIPEN as they come: archives and folders, whole, damaged and empty."""

import tarfile
from pathlib import Path

import pytest

from inkstream.model.data.sources import unipen
from inkstream.model.errors import DataError
from tests.model.data.sources.unipen.test_release import blocks, box, only, read, write


def test_a_page_that_cannot_be_read_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    for name, text in {
        "loop": f".INCLUDE abc/loop.dat\n{blocks(box(0, 0))}",
        "axes": f".COORD P T\n{blocks(box(0, 0))}",
        "nothing": f".INCLUDE\n{blocks(box(0, 0))}",
        "folder": ".INCLUDE abc\n",
    }.items():
        write(tmp_path, f"include/abc/{name}.dat", text)
        segment = f'.INCLUDE abc/{name}.dat\n.SEGMENT WORD 0 OK "a"\n'
        write(tmp_path, f"data/7/abc/{name}.dat", segment)
    ink, census = read(tmp_path, blocks(box(0, 0)), {"7": ['WORD 0 OK "on"']})
    assert ink.labels == ("on",)
    assert {reason for reason, *_ in census.skipped} == {
        "abc/loop.dat -> abc/loop.dat: files that include each other",
        "points without X and Y",
        "an include without a path",
        "an included file can't be read",
    }


def test_ink_in_the_files_of_labels_is_each_files_own(tmp_path: Path) -> None:
    for name, height in (("f", 30), ("g", 7)):
        text = f".WRITER_ID {name}\n.PEN_DOWN\n0 0\n9 {height}\n"
        write(tmp_path, f"data/1c/abc/{name}.dat", f'{text}.SEGMENT CHARACTER 0 OK "{name}"\n')
    write(
        tmp_path, "data/7/abc/f.dat", '.WRITER_ID f\n.PEN_DOWN\n0 0\n9 30\n.SEGMENT WORD 0 OK "f"'
    )
    write(tmp_path, "include/empty", "")
    ink, _ = unipen.read(tmp_path)
    pieces = [ink.piece(index) for index in range(len(ink))]
    told = [(piece.label, piece.writer, piece.strokes[0].max(0)[1]) for piece in pieces]
    assert sorted(told) == [("f", "abc/f", 30), ("f", "abc/f", 30), ("g", "abc/g", 7)]


def test_a_coordinate_that_no_tablet_has_is_counted(tmp_path: Path) -> None:
    far = [(9_999_999_999, 0), (5, 5)]
    ink, census = read(
        tmp_path, blocks(box(0, 0), far), {"7": ['WORD 0 OK "on"', 'WORD 1 OK "off"']}
    )
    assert only(ink).strokes[0].max() == 10
    assert census.skipped == {("coordinate beyond 30 bits", "7", "abc"): 1}


def test_an_archive_its_folder_and_the_cache_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ink, census = read(
        tmp_path / "copy", blocks(box(0, 0)), {"7": ['WORD 0 OK "a ."']}, donor="sta"
    )
    with tarfile.open(tmp_path / "copy.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "copy" / "unipen", "unipen")
    unipen.keep(ink, census, unipen.cache_folder())
    for source in (tmp_path / "copy" / "unipen", tmp_path / "copy.tar.xz", None):
        again, same = unipen.read(source)
        assert again.digest == ink.digest
        assert same == census


def test_nothing_read_takes_the_place_of_nothing_kept(tmp_path: Path) -> None:
    ink, census = read(tmp_path / "some", blocks(box(0, 0)), {"7": ['WORD 0 OK "on"']})
    unipen.keep(ink, census, tmp_path / "kept")
    nothing = read(tmp_path / "none", blocks(box(0, 0)), {"7": ['WORD 0 BAD "on"']})
    with pytest.raises(DataError, match="no labelled ink was found, 1 segments were skipped"):
        unipen.keep(*nothing, tmp_path / "kept")
    assert unipen.read(tmp_path / "kept")[0].digest == ink.digest


def test_a_cache_that_is_not_there_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"unipen\.npz is not there: inkstream data"):
        unipen.read()


def test_a_source_that_is_no_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(DataError, match="neither an archive nor a folder of UNIPEN"):
        unipen.read(tmp_path / "file")
    with pytest.raises(DataError, match="no folders data and include"):
        unipen.read(tmp_path)
