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
from collections.abc import Callable  # noqa: E402
from functools import partial  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TypeVar  # noqa: E402

T = TypeVar("T")
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


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


parts: dict[str, tuple[float, float]] = {"Python": (PYTHON_S, round(resident_mb(), 1))}


def measured(part: str, step: Callable[[], T]) -> T:
    """Take a step, and keep its seconds and memory as those of a part."""
    start_s, start_mb = time.perf_counter(), resident_mb()
    result = step()
    taken_s, taken_mb = time.perf_counter() - start_s, resident_mb() - start_mb
    parts[part] = round(taken_s, 4), round(taken_mb, 1)
    return result


def main() -> None:
    """Go through all parts."""
    gc.disable()
    for part, module in IMPORTS.items():
        measured(part, partial(import_module, module))
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
        content = measured(f"{name}: read", partial(read_whole, path, checkpoint.MAX_BYTES))
        measured(f"{name}: digest", partial(hashlib.sha256, content))
        graph = partial(checkpoint.load_graph, content, settings.threads)
        kept.append(measured(f"{name}: graph", graph))
        kept.append(measured(f"{name}: trial step", partial(Runtime, checkpoint.read(path))))
    for name in ngrams.shipped():
        load = partial(ngrams.LanguageFile, ngrams.find(name), keep=False)
        measured(f"{name}: read, digest, checks", load)
    loading = Loading(settings)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join()
    measured("application", partial(create_app, settings, loading))
    sys.stdout.write(json.dumps(parts))


if __name__ == "__main__":
    main()
