"""A small made-up release of UNIPEN, laid out as the real one."""

from pathlib import Path
from typing import Final

LABELS: Final = {
    "7": '.SEGMENT WORD 0-1 OK "it"\n.SEGMENT WORD 0 BAD "i"\n',
    "8": '.SEGMENT TEXT 0-2 OK "it ."\n',
    "1c": '.SEGMENT CHARACTER 0 OK "i"\n.SEGMENT CHARACTER 1 OK "t"\n',
}
INK: Final = ".PEN_DOWN\n0 0\n3 9\n.PEN_DOWN\n9 0\n9 9\n.PEN_UP\n.PEN_DOWN\n15 0\n16 1\n"


def write_release(folder: Path) -> None:
    """Write the ink and the labels of twenty writers."""
    for number in range(20):
        name = f"sta/w{number}.dat"
        files = {f"include/{name}": f".WRITER_ID w{number}\n{INK}"}
        files |= {
            f"data/{kind}/{name}": f".INCLUDE {name}\n{text}" for kind, text in LABELS.items()
        }
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
