"""The map in CONTRIBUTING.md is that of the code."""

from tools import house_map


def test_the_map_is_that_of_the_code() -> None:
    text = house_map.DOCUMENT.read_text("utf-8")
    assert house_map.START in text
    assert house_map.filled(text) == text, "run: python -m tools.house_map"
