"""`tools.house_draw` reads rooms and their imports, and puts each above those that it imports."""

from graphlib import CycleError
from pathlib import Path

import pytest

from tools.house_draw import floors_of, needed, read


def test_a_room_stands_above_what_it_imports_and_arrows_that_follow_from_others_are_left_out(
    tmp_path: Path,
) -> None:
    for name, text in {
        "model/errors.py": "A = 1\n",
        "model/pages/lines.py": "from inkstream.model.errors import A\n\nB = A\n",
        "service/cli/main.py": (
            "from inkstream.model.errors import A\nfrom inkstream.model.pages.lines import B\n"
        ),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    lines, imports = read(tmp_path)
    assert lines == {"model.errors": 1, "model.pages": 3, "service.cli": 2}
    floors = floors_of(imports)
    assert floors == [["model.errors"], ["model.pages"], ["service.cli"]]
    arrows = {("model.pages", "model.errors"), ("service.cli", "model.pages")}
    assert {*needed(imports, floors)} == arrows


def test_imports_in_a_circle_are_an_error() -> None:
    with pytest.raises(CycleError):
        floors_of({"a": {"b"}, "b": {"a"}})


def test_the_imports_of_this_house_form_no_circle() -> None:
    lines, imports = read(Path(__file__).parents[2])
    assert {room for floor in floors_of(imports) for room in floor} == set(lines)
