"""Run the code of one checkout of the product in a new process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click

Process = subprocess.Popen[bytes]


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
