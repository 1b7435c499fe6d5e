"""Imports point one way. They are read from the source, so those inside functions count too."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("model", "service")
    for path in (ROOT / package).rglob("*.py")
)

# Each row may import from the rows above it, not from its own and not from those below.
MODEL_ROWS = (
    {"errors"},
    {"config", "rims"},
    {
        "columns",
        "decode",
        "events",
        "ink",
        "language.ngrams",
        "network",
        "pairs",
        "scan.pieces",
        "starts",
        "state",
    },
    {"language.beam", "language.counts", "scan.ink", "scan.page", "strokes", "transcript"},
    {"language.guide", "language.lexicon", "language.pattern", "scan.lines"},
    {"language.hints", "scan.columns"},
    {"language.guided"},
    {"graph.nodes"},
    {"graph.classifier", "graph.transcriber"},
    {"checkpoint"},
    {"runtime", "stream_state"},
    {"recognizer"},
    {"train", "evaluate"},
)
SERVICE_ROWS = (
    {"errors"},
    {"faults"},
    {"requests"},
    {"events"},
    {"messages", "scan.messages"},
    {
        "scan.formats",
        "session.effects",
        "session.hints",
        "session.pace",
        "session.pen",
        "session.states",
    },
    {"session.choices"},
    {"session.inbox", "session.told"},
    {"session.voices"},
    {"session.history"},
    {"session.line"},
    {"session.machine"},
    {"session"},
    {"engine", "sessions"},
    {"bodies", "commands.files", "reading"},
    {"commands.ink_files", "commands.nets"},
    {"commands.offline"},
    {"commands.folder", "scan.door"},
    {"rest", "stream"},
    {"app"},
    {"server"},
    {"cli"},
)
ARROWS = [
    (f"{package}.{name}", {f"{package}.{later}" for row in rows[place:] for later in row})
    for package, rows in (("model", MODEL_ROWS), ("service", SERVICE_ROWS))
    for place, row in enumerate(rows)
    for name in sorted(row)
]

SESSION = [name for name in MODULES if name.startswith("service.session.")]
PURE = [
    *("model.columns", "model.decode", "model.events", "model.ink", "model.pairs", "model.rims"),
    *(
        "model.language.beam",
        "model.language.guide",
        "model.language.guided",
        "model.language.ngrams",
        "model.language.counts",
    ),
    *("model.language.hints", "model.language.lexicon", "model.language.pattern"),
    *("model.starts", "model.state", "model.strokes", "model.transcript"),
    *("service.errors", "service.events", "service.faults", "service.messages", "service.requests"),
    "service.session",
    *SESSION,
]
IMPURE = {"asyncio", "logging", "os", "random", "secrets", "socket", "threading", "time"}
HEAVY = {"torch", "onnx", "onnxruntime", "fastapi", "starlette", "uvicorn", "matplotlib", "tqdm"}


def _names(node: ast.AST) -> Iterator[str]:
    """What one statement imports, as full names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are written in full"
        assert node.module is not None
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text("utf-8"))


def imports(module: str) -> set[str]:
    """Everything that a module imports, anywhere in it."""
    return {name for node in ast.walk(_tree(module)) for name in _names(node)}


def imports_at_once(module: str) -> set[str]:
    """What a module imports when it is imported itself."""
    return {name for node in _tree(module).body for name in _names(node)}


def _packages(names: set[str]) -> set[str]:
    """All packages that these names lie in."""
    return {name.rpartition(".")[0] for name in names}


def roots(names: set[str]) -> set[str]:
    """The packages that these names begin with."""
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("model")])
def test_numbers_know_nothing_of_the_service(module: str) -> None:
    assert "service" not in roots(imports(module))


@pytest.mark.parametrize(("module", "later"), ARROWS, ids=[module for module, _ in ARROWS])
def test_arrows_point_one_way(module: str, later: set[str]) -> None:
    assert not imports(module) & later


def test_no_module_needs_itself() -> None:
    graph = {module: imports_at_once(module) & set(MODULES) - {module} for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)  # or CycleError


@pytest.mark.parametrize("module", PURE)
def test_cores_have_no_clock_no_chance_no_io_and_nothing_heavy(module: str) -> None:
    assert not roots(imports(module)) & (IMPURE | HEAVY)


@pytest.mark.parametrize("module", ["service.client", "service.conversation", "service.sending"])
def test_the_client_needs_messages_and_errors_alone(module: str) -> None:
    ours = {name for name in imports(module) if name in MODULES}
    assert ours <= {
        *("model.errors", "service", "service.conversation", "service.errors", "service.events"),
        *("service.messages", "service.requests", "service.sending"),
    }
    assert not roots(imports(module)) & HEAVY


def test_what_is_served_knows_nothing_of_training() -> None:
    trainers = ("model.train", "model.training", "model.report", "service.commands")
    others = [name for name in MODULES if not name.startswith(trainers)]
    assert not [name for name in others if "model.training" in _packages(imports(name))]


def test_only_the_server_and_the_command_line_know_the_application() -> None:
    knowing = {module for module in MODULES if "service.app" in imports(module)}
    assert knowing <= {"service.cli", "service.server"}


def test_only_the_command_line_knows_its_commands() -> None:
    others = [name for name in MODULES if not name.startswith(("service.commands", "service.cli"))]
    assert not [name for name in others if "service.commands" in _packages(imports(name))]


def test_a_session_is_entered_by_its_door() -> None:
    others = [name for name in MODULES if not name.startswith("service.session.")]
    others.remove("service.session")
    assert not [name for name in others if imports(name) & set(SESSION)]
