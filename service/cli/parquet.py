"""Rows about images in files of Parquet, by pyarrow alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from inkstream.service.cli.offline import Fields, json_line

ROWS_OF_A_FILE: Final = 256  # so many at most are read again after a run broke off
SCHEMA: Final = pa.schema(
    [("image", pa.string()), ("error", pa.string()), ("code", pa.string()), ("row", pa.string())]
)


class Parquet:
    """Files of Parquet in a folder: the image, its error if it has one, and the row as JSON."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder
        self._waiting: list[Fields] = []

    def known(self) -> set[str]:
        """Return the names of what was read; remove the rows of errors."""
        known: set[str] = set()
        for path in sorted(self.path.glob("*.parquet")):
            table = pq.read_table(path)
            without_errors = table.filter(pc.is_null(table["error"]))
            if len(without_errors) < len(table):
                self._write(without_errors, path)
            known.update(without_errors["image"].to_pylist())
        return known

    def add(self, rows: Sequence[Fields]) -> None:
        """Add rows, and write a file once there are enough for one."""
        self._waiting += rows
        if len(self._waiting) >= ROWS_OF_A_FILE:
            self.close()

    def close(self) -> None:
        """Write what has not been written."""
        if self._waiting:
            rows = [fields | {"row": json_line(fields)} for fields in self._waiting]
            columns = [{name: row.get(name) for name in SCHEMA.names} for row in rows]
            number = len([*self.path.glob("*.parquet")])
            self._write(pa.Table.from_pylist(columns, SCHEMA), self.path / f"{number:06}.parquet")
            self._waiting = []

    def _write(self, table: Any, path: Path) -> None:
        """Write a file whole or not at all."""
        unfinished = path.with_suffix(".unfinished")
        pq.write_table(table, unfinished)
        unfinished.replace(path)
