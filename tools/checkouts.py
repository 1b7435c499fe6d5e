"""Run the code of one checkout of the product in a new process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import click

Process = subprocess.Popen[bytes]

# Starts the command line of a checkout, whose path is the first argument. An older checkout has no
# package `inkstream`, but two packages `model` and `service`. An installed package is no checkout.
COMMAND_LINE: Final = """
import importlib, pathlib, runpy, sys
checkout = pathlib.Path(sys.argv.pop(1))
name = "inkstream" if (checkout / "inkstream").exists() else "service"
found = pathlib.Path(importlib.import_module(name).__file__).resolve()
if not found.is_relative_to(checkout):
    sys.exit(f"{name} was imported from {found}, expected from {checkout}")
if name == "inkstream":
    runpy.run_module(name, run_name="__main__", alter_sys=True)
else:
    importlib.import_module(f"{name}.cli").main()
"""


class CheckoutError(click.ClickException):
    """A folder is no checkout of the product, or its code failed."""


def checked(folder: Path) -> Path:
    """Return the absolute path of a checkout; raise `CheckoutError` if the folder is none."""
    if not (folder / "model" / "__init__.py").is_file():
        raise CheckoutError(f"{folder} is no checkout of the product: it has no folder model")
    return folder.resolve()


def start(checkout: Path, arguments: Sequence[str], output: IO[Any] | None = None) -> Process:
    """Start `python ARGUMENTS` with the code of a checkout; all that it prints goes to `output`.

    Without `output` it is printed like the caller's own. With -P Python puts neither the current
    folder nor the script's folder on its path, so that modules are imported from the checkout.
    Settings of the service in the environment are left out.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("INKSTREAM_")
    }
    environment = inherited | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", *arguments]
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output)
