"""Load the nets and check the languages of a server in a thread, while the rest is imported.

ONNX Runtime and hashlib let other threads run while they compute. One thread is enough, and has one
heap: what more of them leave free in theirs is 17 MB.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from inkstream.model import checkpoint as checkpoints
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.decoding import ngrams
from inkstream.model.decoding.ngrams import Language, LanguageFile, choose
from inkstream.model.errors import DataError, InkstreamError, InputError
from inkstream.model.runtime import Runtime
from inkstream.service.observe.logs import get_logger
from inkstream.service.settings import ALL, Settings

log = get_logger()


class Loading:
    """What is being loaded, in the order of the settings; each is given out once, and let go."""

    def __init__(self, settings: Settings) -> None:
        def net(name: str) -> tuple[Checkpoint, Runtime]:
            checkpoint = checkpoints.open_model(name, settings.weights, threads=settings.threads)
            return checkpoint, Runtime(checkpoint)

        def language(name: str, *, named: bool) -> LanguageFile:
            return LanguageFile(ngrams.find(name), keep=named)

        thread = ThreadPoolExecutor(1)
        self._nets = [thread.submit(net, name) for name in settings.models]
        self._languages = [
            thread.submit(language, name, named=given != ALL)
            for given in settings.languages
            for name in (ngrams.shipped() if given == ALL else [given])
        ]
        thread.shutdown(wait=False)

    def nets(self) -> Iterator[tuple[Checkpoint, Runtime]]:
        """Yield each net when it is loaded; raise `CheckpointError` for one that cannot be."""
        while self._nets:
            yield self._nets.pop(0).result()

    def languages(self) -> Iterator[LanguageFile]:
        """Yield each language when it is checked; raise `DataError` for one that cannot be used."""
        while self._languages:
            yield self._languages.pop(0).result()


class LanguagesOnDemand(Mapping[str, Language]):
    """The language models that a net reads with, each read when it is first used."""

    def __init__(self, files: Mapping[str, LanguageFile]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> Language:
        """Return a model; raise `InkstreamError` if its file has changed since the start."""
        file = self._files[name]
        try:
            return file.language
        except DataError as error:
            log.error("language not read", language=name, reason=str(error))
            raise InkstreamError(f"language {name} cannot be read at present") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def unread(self, choice: str) -> list[str]:
        """Return which of the languages that a client chooses are still to be read."""
        return [name for name in choose(choice, [*self]) if not self._files[name].is_read]


class _Options(msgspec.Struct, frozen=True):
    """The language among the options of a line."""

    language: str | None = None


class _Choice(_Options, frozen=True):
    """A language in a message, or in the options with which a client resumes."""

    options: _Options = _Options()


def unread(languages: Mapping[str, Language], message: str | bytes) -> list[str]:
    """Return which languages a message asks for that are still to be read."""
    if isinstance(message, str) and '"language"' in message:
        with suppress(msgspec.MsgspecError, RecursionError, InputError):  # the session says why
            asked = msgspec.json.decode(message, type=_Choice)
            choice = asked.language or asked.options.language
            if choice is not None and isinstance(languages, LanguagesOnDemand):
                return languages.unread(choice)
    return []


async def read(languages: Mapping[str, Language], names: Sequence[str]) -> None:
    """Read languages in a thread: each would hold the event loop for 10 ms."""
    if names:
        with suppress(InkstreamError):  # which is raised again where the language is used
            await asyncio.to_thread(lambda: [languages[name] for name in names])
