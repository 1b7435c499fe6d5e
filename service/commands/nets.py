"""The nets that files are read with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.recognizer import Recognizer, load
from service.commands.files import holds_line
from service.commands.options import DIGITS, LINES


class Nets:
    """The nets that files are read with, each loaded when a file asks for it first.

    Args:
        model: name or path of the one that reads all; None takes what suits each file.
        hints: arguments of `load`.
    """

    def __init__(self, model: str | None, hints: Mapping[str, Any]) -> None:
        self._model = model
        self._hints = hints
        self._loaded: dict[str, Recognizer] = {}

    def of(self, path: Path) -> Recognizer:
        """The net that reads a file; raises an `InkstreamError` if it cannot be loaded."""
        name = self._model or (LINES if holds_line(path) else DIGITS)
        if name not in self._loaded:
            self._loaded[name] = load(name, **self._hints)
        return self._loaded[name]
