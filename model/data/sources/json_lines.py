"""Read files of JSON lines, each checked against a type."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from inkstream.model.errors import DataError

Row = TypeVar("Row")


def rows(
    path: Path, lines: Iterable[bytes], kind: type[Row], form: str
) -> Iterator[tuple[str, Row]]:
    """Yield file and number, for errors, and content of each line that is not blank.

    Raises `DataError` for a line that is not of this kind; `form` says how one looks.
    """
    decoder = msgspec.json.Decoder(kind)
    for number, line in enumerate(lines, 1):
        if content := line.strip().removeprefix(BOM_UTF8):
            where = f"{path}, line {number}"
            try:
                row = decoder.decode(content)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                given = line.decode(errors="replace").strip()[:80]
                raise DataError(f"{where}: {error} in {given}, expected {form}") from error
            yield where, row
