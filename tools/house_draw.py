"""Draw the rooms of checkouts side by side: how large each is, and what it imports.

    python -m tools.house_draw BEFORE NOW --out docs/decisions/structure.png

A room is a folder of `model/` or `service/`, or a file that lies there alone; its area is its
number of lines. A room stands on the floor above the highest room that it imports, so the number
of floors is the depth of imports. An arrow that follows from others is left out. Imports in a
circle are an error.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import click
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

TOPS = ("model", "service")
COLOURS = {"model": "#a9c8e8", "service": "#f2c894"}


def room_of(parts: tuple[str, ...]) -> str:
    """Return the room of a module by the parts of its dotted name, such as `service.session`."""
    return ".".join(part for part in parts[:2] if part != "__init__")


def read(checkout: Path) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Return the lines of each room of a checkout, and the rooms that each imports."""
    lines: dict[str, int] = {}
    modules: dict[str, set[tuple[str, ...]]] = {}
    for path in (path for top in TOPS for path in (checkout / top).rglob("*.py")):
        text = path.read_text("utf-8")
        room = room_of(path.relative_to(checkout).with_suffix("").parts)
        lines[room] = lines.get(room, 0) + text.count("\n")
        modules.setdefault(room, set()).update(
            (*node.module.split(".")[1:], alias.name)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("inkstream.")
            for alias in node.names
            if node.module
        )
    imports = {
        room: {room_of(name) if room_of(name) in lines else name[0] for name in names} - {room}
        for room, names in modules.items()
    }
    return lines, imports


def floors_of(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms of each floor, lowest first; raise `CycleError` if imports form a circle."""
    sorter = TopologicalSorter(imports)
    sorter.prepare()
    floors = []
    while sorter.is_active():
        rooms = sorter.get_ready()
        floors.append(sorted(rooms))
        sorter.done(*rooms)
    return floors


def needed(imports: dict[str, set[str]], floors: list[list[str]]) -> list[tuple[str, str]]:
    """Return the arrows that do not follow from others: the transitive reduction."""
    below: dict[str, set[str]] = {}
    for room in (room for floor in floors for room in floor):
        below[room] = set(imports[room]).union(*(below[lower] for lower in imports[room]))
    return [
        (room, lower)
        for room in imports
        for lower in imports[room]
        if not any(lower in below[between] for between in imports[room])
    ]


def draw(axes: Axes, title: str, checkout: Path) -> None:
    """Draw the rooms of a checkout on their floors."""
    lines, imports = read(checkout)
    floors = floors_of(imports)
    points = {
        room: ((index + 0.5) / len(rooms), floor + (0.15 if index % 2 else 0))
        for floor, rooms in enumerate(floors)
        for index, room in enumerate(rooms)
    }
    for room, lower in needed(imports, floors):
        arrow = {"arrowstyle": "->", "color": "#00000040"}
        axes.annotate("", points[lower], points[room], arrowprops=arrow)
    for room, (x, y) in points.items():
        top, _, name = room.partition(".")
        axes.scatter(x, y, s=lines[room], color=COLOURS[top])
        axes.text(x, y, f"{name or top}\n{lines[room]}", ha="center", va="center", fontsize=6)
    axes.set_title(
        f"{title}: {sum(lines.values()):,} lines, {len(lines)} rooms on {len(floors)} floors"
    )
    axes.axis("off")


@click.command()
@click.argument("checkouts", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="a PNG")
def main(checkouts: tuple[Path, ...], out: Path) -> None:
    """Draw the rooms of CHECKOUTS, which are folders, side by side."""
    figure, panes = plt.subplots(1, len(checkouts), figsize=(10 * len(checkouts), 9), squeeze=False)
    for axes, checkout in zip(panes[0], checkouts, strict=True):
        draw(axes, checkout.resolve().name, checkout)
    figure.tight_layout()
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main()
