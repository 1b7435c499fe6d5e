"""Releases of UNIPEN as archives and folders: complete, damaged and empty."""

import tarfile
from pathlib import Path

import pytest

from inkstream.model.data.sources import unipen
from inkstream.model.errors import DataError
from tests.model.data.sources.unipen.test_release import blocks, box, read


def test_an_archive_its_folder_and_the_cache_give_the_same_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ink, statistics = read(
        tmp_path / "copy", blocks(box(0, 0)), {"7": ['WORD 0 OK "a ."']}, donor="sta"
    )
    with tarfile.open(tmp_path / "copy.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "copy" / "unipen", "unipen")
    unipen.keep(ink, statistics, unipen.cache_folder())
    for source in (tmp_path / "copy" / "unipen", tmp_path / "copy.tar.xz", None):
        again, same = unipen.read(source)
        assert again.digest == ink.digest
        assert same == statistics


def test_a_release_without_ink_does_not_replace_the_cache(tmp_path: Path) -> None:
    ink, statistics = read(tmp_path / "some", blocks(box(0, 0)), {"7": ['WORD 0 OK "on"']})
    unipen.keep(ink, statistics, tmp_path / "kept")
    nothing = read(tmp_path / "none", blocks(box(0, 0)), {"7": ['WORD 0 BAD "on"']})
    with pytest.raises(DataError, match="no labelled ink was found, 1 segments were skipped"):
        unipen.keep(*nothing, tmp_path / "kept")
    assert unipen.read(tmp_path / "kept")[0].digest == ink.digest


def test_a_source_that_is_no_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    with pytest.raises(DataError, match="file is no archive of UNIPEN"):
        unipen.read(tmp_path / "file")
    with pytest.raises(DataError, match="no folders data and include"):
        unipen.read(tmp_path)


@pytest.mark.parametrize("line", [".H_LINE x", ".COORD", ".INCLUDE abc/page.dat"])
def test_a_damaged_folder_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="unipen has a damaged file"):
        read(tmp_path, f"{line}\n{blocks(box(0, 0))}", {"7": ['WORD 0 OK "on"']})
