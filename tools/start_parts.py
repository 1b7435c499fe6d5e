"""Start the parts of a server one after the other: print seconds and memory of each as JSON.

`tools/footprint.py` runs this file in an environment with the base package alone. A real start
loads nets and languages in a thread beside the imports, so it takes less than the sum.
"""

import os
import time

PYTHON_S = time.process_time()
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as `inkstream serve` does

import gc  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
IMPORTS = {
    "command line": "inkstream.service.cli.serve",
    "settings and messages, with pydantic": "inkstream.service.settings",
    "numpy": "numpy",
    "ONNX Runtime": "onnxruntime",
    "FastAPI": "fastapi",
    "uvicorn, uvloop, websockets": "uvicorn.protocols.websockets.websockets_sansio_impl",
    "cryptography": "cryptography.hazmat.primitives.ciphers.aead",
    "the rest of the service": "inkstream.service.server.run",
}


class Laps:
    """What each part took since the one before ended."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, float]] = {"Python": (PYTHON_S, round(resident_mb(), 1))}
        self.skip()

    def skip(self) -> None:
        """Leave out what was done since the last part."""
        self._since_s, self._since_mb = time.perf_counter(), resident_mb()

    def end(self, part: str) -> None:
        """Note what was done since the last part."""
        taken_s, taken_mb = time.perf_counter() - self._since_s, resident_mb() - self._since_mb
        self.found[part] = (round(taken_s, 4), round(taken_mb, 1))
        self.skip()


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 1_000_000


def main() -> None:
    """Go through all parts."""
    laps = Laps()
    gc.disable()
    for part, module in IMPORTS.items():
        import_module(module)
        laps.end(part)
    gc.freeze()
    gc.enable()
    from inkstream.model import checkpoint
    from inkstream.model.decoding import ngrams
    from inkstream.model.files import read_whole
    from inkstream.model.runtime import Runtime
    from inkstream.service.app import create_app
    from inkstream.service.loading import Loading
    from inkstream.service.settings import Settings

    settings = Settings.load()
    kept: list[object] = []
    for name in settings.models:
        path = checkpoint.find(name)
        laps.skip()
        content = read_whole(path, checkpoint.MAX_BYTES)
        laps.end(f"{name}: read")
        hashlib.sha256(content).hexdigest()
        laps.end(f"{name}: digest")
        kept.append(checkpoint.load_graph(content, settings.threads))
        laps.end(f"{name}: graph")
        loaded = checkpoint.read(path)
        laps.skip()
        kept.append(Runtime(loaded))
        laps.end(f"{name}: trial step")
    for name in ngrams.shipped():
        laps.skip()
        ngrams.LanguageFile(ngrams.find(name), keep=False)
        laps.end(f"{name}: read, digest, checks")
    loading = Loading(settings)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join()
    laps.skip()
    create_app(settings, loading)
    laps.end("application")
    sys.stdout.write(json.dumps(laps.found))


if __name__ == "__main__":
    main()
