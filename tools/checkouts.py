"""Run the code of one checkout of the product in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click

# The import name was `model` and `service` once; both layouts can be compared.
SERVE = """
import importlib.util
import sys
name = "inkstream.service.cli" if importlib.util.find_spec("inkstream") else "service.cli"
sys.exit(importlib.import_module(name).main())
"""


class CheckoutError(click.ClickException):
    """A folder is no checkout of the product, or its code failed."""


def checked(folder: Path) -> Path:
    """Return the absolute path of a checkout; raise `CheckoutError` if the folder is none."""
    if not (folder / "model" / "__init__.py").is_file():
        raise CheckoutError(f"{folder} is no checkout of the product: it has no folder model")
    return folder.resolve()


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python imports the product from this checkout.

    Settings of the service that stand in the caller's environment are left out.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INKSTREAM_")}
    return kept | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}


def start(checkout: Path, arguments: Sequence[str], errors: IO[Any] | None = None) -> "Process":
    """Start `python ARGUMENTS` with the code of a checkout; its output goes to `errors`.

    With -P Python puts neither the current folder nor the script's folder on its path, so that the
    checkout is the first place in which modules are looked for.
    """
    return subprocess.Popen(
        [sys.executable, "-P", *arguments],
        env=environment(checkout),
        stdout=errors,
        stderr=errors,
    )


Process = subprocess.Popen[bytes]
