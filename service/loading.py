"""Load the nets and the languages of a server in a thread, while the rest of it is imported.

ONNX Runtime and hashlib let other threads run while they compute. One thread is enough, and has one
heap: what more of them leave free in theirs is 17 MB.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from inkstream.model import checkpoint as checkpoints
from inkstream.model.checkpoint import Checkpoint
from inkstream.model.decoding import ngrams
from inkstream.model.decoding.ngrams import Language
from inkstream.model.runtime import Runtime
from inkstream.service.settings import Settings


class Loading:
    """What is being loaded, in the order of the settings; each is given out once, and let go."""

    def __init__(self, settings: Settings) -> None:
        """Begin."""

        def net(name: str) -> tuple[Checkpoint, Runtime]:
            path = checkpoints.find(name, settings.weights)
            checkpoint = checkpoints.read(path, threads=settings.threads)
            return checkpoint, Runtime(checkpoint)

        thread = ThreadPoolExecutor(1)
        self._nets = [thread.submit(net, name) for name in settings.models]
        self._languages = [thread.submit(ngrams.load, name) for name in settings.languages]
        thread.shutdown(wait=False)

    def nets(self) -> Iterator[tuple[Checkpoint, Runtime]]:
        """Yield each net when it is loaded; raise `CheckpointError` for one that cannot be."""
        while self._nets:
            yield self._nets.pop(0).result()

    def languages(self) -> Iterator[Language]:
        """Yield each language when it is loaded; raise `DataError` for one that cannot be."""
        while self._languages:
            yield self._languages.pop(0).result()
