"""Write the answer about each image into a file of its name, in one form or in several."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from inkstream.model.errors import ConfigError
from inkstream.model.files import write_whole
from inkstream.model.pages.transcription import Page
from inkstream.model.recognizer import Recognition
from inkstream.service.cli.files import document

if TYPE_CHECKING:
    from inkstream.model.pages.pdf import SearchablePdf
    from inkstream.service.cli.offline import Answer

SUFFIXES: Final = {
    "text": ".txt",
    "json": ".json",
    "hocr": ".hocr",
    "alto": ".alto.xml",
    "pagexml": ".page.xml",
    "pdf": ".pdf",
}


class AnswerFiles:
    """A folder with files of the names of images; subfolders stay as they are.

    The pages of a document are one text and one PDF, and in other forms a file each. Raises
    `ConfigError` if a file that is read would be overwritten.
    """

    def __init__(self, folder: Path, forms: Sequence[str], paths: Sequence[Path]) -> None:
        self._forms, self._stems = forms, _stems(folder, paths)
        self._path: Path | None = None  # of the newest answer
        self._texts: list[str] = []  # of its pages or pieces
        self._pdf: SearchablePdf | None = None  # of its pages
        sources = {path.resolve() for path in paths}
        for path in paths:
            for form in forms:
                if (target := self._target(path, form)).resolve() in sources:
                    raise ConfigError(f"{target} is read and cannot be written: try another --out")

    def add(self, path: Path, index: int, answer: "Answer") -> None:
        """Write what was read of a file, or of the page or the piece of it with that index."""
        if path != self._path:
            self.close()
            self._path = path
            self._target(path, "text").parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(answer.result, Page | Recognition)
        piece = answer.name.removeprefix(str(path)).replace(":", "-")
        for form in self._forms:
            if form == "text":
                self._texts.append(answer.result.text + "\n")
            elif form == "pdf":
                self._add_to_pdf(path, index, answer.result)
            else:
                target = self._target(path, form, piece)
                name = os.path.relpath(path, target.parent)
                _write(target, answer.text(form, name))

    def close(self) -> None:
        """Write the text and the PDF of the newest file."""
        if self._path is not None and self._texts:
            _write(self._target(self._path, "text"), "\f".join(self._texts))
        if self._path is not None and self._pdf is not None:
            self._pdf.save(self._target(self._path, "pdf"))
        self._texts, self._pdf = [], None

    def _add_to_pdf(self, path: Path, index: int, page: Page | Recognition) -> None:
        from inkstream.model.pages.pdf import SearchablePdf

        assert isinstance(page, Page)
        self._pdf = self._pdf or SearchablePdf()
        self._pdf.add(document(path).page(index), page)

    def _target(self, path: Path, form: str, piece: str = "") -> Path:
        stem = self._stems[path]
        return stem.with_name(f"{stem.name}{piece}{SUFFIXES[form]}")


def _stems(folder: Path, paths: Sequence[Path]) -> dict[Path, Path]:
    """Return where the files of each path go, without their endings.

    The ending of the path itself stays where paths differ in nothing else.
    """
    top = os.path.commonpath([path.absolute().parent for path in paths])
    whole = {path: folder / path.absolute().relative_to(top) for path in paths}
    counts = Counter(name.with_suffix("") for name in whole.values())
    return {
        path: name if counts[name.with_suffix("")] > 1 else name.with_suffix("")
        for path, name in whole.items()
    }


def _write(path: Path, text: str) -> None:
    write_whole(path, text.encode(errors="backslashreplace"))
