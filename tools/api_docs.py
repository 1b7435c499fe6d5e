"""Write docs/api.md, the library's names, from docstrings: `python -m tools.api_docs`."""

from pathlib import Path
from typing import Any

import griffe

import inkstream

DOCUMENT = Path(__file__).parent.parent / "docs" / "api.md"
HEAD = """\
# Python API

All names of `inkstream`, which `python -m tools.api_docs` takes from docstrings. Examples are in
[usage.md](usage.md). Dimensions: T columns, H column height, K labels.
"""


def page() -> str:
    """Return the document."""
    root = DOCUMENT.parents[1]
    package: Any = griffe.load("inkstream", search_paths=[root], docstring_parser="google")
    public = [package[name].final_target for name in inkstream.__all__]
    errors = [item for item in public if item.name.endswith("Error")]
    others = sorted(set(public) - set(errors), key=lambda item: (item.is_class, item.name))
    table = ["## Errors\n", "| error | kind of | meaning |", "| --- | --- | --- |"]
    table += [f"| `{error.name}` | `{error.bases[0]}` | {prose(error)} |" for error in errors]
    return "\n".join([HEAD, *map(section, others), *table, ""])


def section(item: Any, owner: str = "") -> str:
    """Return the section about a function, or about a class and its public members."""
    title = f"{'###' if owner else '##'} `{owner}{item.name}`"
    if item.is_function:
        return f"{title}\n\n```python\n{item.signature()}\n```\n\n{prose(item)}\n"
    members = [m for m in item.all_members.values() if not m.name.startswith("_")]
    fields = "".join(field(m) for m in members if m.is_attribute and m.annotation)
    methods = "".join("\n" + section(m, f"{item.name}.") for m in members if m.is_function)
    return f"{title}\n\n```python\nclass {item.name}:\n{fields}```\n\n{prose(item)}\n{methods}"


def field(member: Any) -> str:
    """Return a field of a class as the code has it, or a property with its meaning."""
    if member.docstring is None:
        return f"{member.lines[0]}\n"
    return f"    {member.name}: {member.annotation}  # {member.docstring.value.splitlines()[0]}\n"


def prose(item: Any) -> str:
    """Return a docstring, its arguments and errors as lists."""
    parts = []
    for part in item.docstring.parsed if item.docstring else ():
        if isinstance(part.value, str):
            parts.append(part.value)
        else:
            items = [f"- `{getattr(a, 'name', a.annotation)}`: {a.description}" for a in part.value]
            parts.append("\n".join([f"{part.kind.value.capitalize()}:\n", *items]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(page(), "utf-8")
