"""Identifiers say whose and what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for top in ("model", "service") for path in (ROOT / top).rglob("*.py"))
# Each of these could be anything: a reader has to look for what it is.
VAGUE = {
    "own", "found", "each", "place", "told", "it", "rest", "seeing", "surer", "cheap", "emptiest",
}  # fmt: skip


def identifiers(tree: ast.AST) -> set[str]:
    """Return the names that a module gives to values, parameters and attributes."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                names.add(name)
            case ast.arg(arg=name):
                names.add(name)
            case ast.keyword(arg=str(name)):
                names.add(name)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_identifier_is_vague(path: Path) -> None:
    assert identifiers(ast.parse(path.read_text("utf-8"))) & VAGUE == set()
