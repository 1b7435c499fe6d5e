"""Write the map of the rooms in CONTRIBUTING.md, from the first line of each package's docstring.

python -m tools.house_map
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "CONTRIBUTING.md"
START, END = "<!-- map -->\n", "<!-- /map -->"


def packages() -> list[Path]:
    """Return the folders of all packages of the product, each before those within it."""
    return sorted(
        path.parent for top in ("model", "service") for path in (ROOT / top).rglob("__init__.py")
    )


def module_name(path: Path) -> str:
    """Return the dotted name of a folder or file, such as `service.session`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_by(package: str, imports: dict[str, set[str]]) -> list[str]:
    """Return the rooms beside this one whose modules import it."""
    inside = f"{package}."
    users = {
        user.rpartition(".")[0] if "." in user else user
        for user, modules in imports.items()
        if not f"{user}.".startswith(inside)
        and any(f"{module}.".startswith(inside) for module in modules)
    }
    return sorted(users)


def read_imports() -> dict[str, set[str]]:
    """Return the modules of the product that each of them imports."""
    imports = {}
    for top in ("model", "service"):
        for path in (ROOT / top).rglob("*.py"):
            modules = set()
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    modules |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
            imports[module_name(path)] = {
                module.removeprefix("inkstream.") for module in modules if "inkstream." in module
            }
    return imports


def table() -> str:
    """Return the rooms, what lives in them, their files, and who imports them."""
    rows = ["| room | what lives there | files | imported by |\n", "| --- | --- | --- | --- |\n"]
    imports = read_imports()
    for folder in packages():
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        if docstring is None:
            raise ValueError(f"{folder} has no docstring that says what lives there")
        files = ", ".join(path.stem for path in sorted(folder.glob("[!_]*.py")))
        name = module_name(folder)
        users = ", ".join(f"`{user}`" for user in imported_by(name, imports) if user != name)
        first = docstring.partition("\n\n")[0].replace("\n", " ")
        rows.append(f"| `{name.replace('.', '/')}/` | {first} | {files} | {users} |\n")
    return "".join(rows)


def filled(text: str) -> str:
    """Return the document with today's map between its markers."""
    before, _, later = text.partition(START)
    _, _, after = later.partition(END)
    return f"{before}{START}{table()}{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text("utf-8")), "utf-8")
