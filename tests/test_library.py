"""The library as its users see it: names, types, documents, and the notebook."""

import ast
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import inkstream
from inkstream.model import errors
from inkstream.service.protocol import errors as protocol_errors
from tools import api_docs

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).parent / "user_program.py"


def test_tab_and_help_show_every_name_and_each_can_be_imported() -> None:
    assert {"load", "connect", "Recognizer", "InkstreamError", "__version__"} <= {*dir(inkstream)}
    for name in dir(inkstream):
        assert getattr(inkstream, name) is not None


def test_every_error_that_a_call_can_raise_is_at_the_top() -> None:
    kinds = {
        name
        for module in (errors, protocol_errors)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, errors.InkstreamError)
    }
    assert kinds - {"CodedError"} == {name for name in dir(inkstream) if name.endswith("Error")}


def test_the_users_program_has_every_public_name() -> None:
    tree = ast.parse(PROGRAM.read_text("utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert {*inkstream.__all__} <= used


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel; return a Python that has it, and the packages of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    venv.create(folder / "venv")
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "venv" / "bin" / "python"


CHECKERS = {
    "mypy": ["mypy", "--strict", "--config-file=", "--python-executable"],
    "pyright": ["pyright", "--pythonpath"],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "checker",
    ["mypy", pytest.param("pyright", marks=pytest.mark.needs(shutil.which("node")))],
)
def test_type_checkers_understand_the_installed_package(
    installed: Path, tmp_path: Path, checker: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.read_text("utf-8") + "\n\nwrong: int = inkstream.load().labels\n")
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker], str(installed), str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    faults = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(faults) == 1, done.stdout + done.stderr
    assert f"program.py:{len(program.read_text().splitlines())}:" in faults[0]


def test_the_api_page_is_that_of_the_docstrings() -> None:
    assert api_docs.DOCUMENT.read_text("utf-8") == api_docs.page(), "run: python -m tools.api_docs"
