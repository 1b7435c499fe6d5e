"""Character n-grams: a language model, and the guide that it is to a beam search.

A model is a trie of n-grams. A node is an n-gram, its children are the n-grams that are one
character longer, and its suffix is the n-gram without its first character. A character that is no
child is as probable as after the suffix, times the node's back-off weight (Katz, 1987). The state
of a text is one node, the longest n-gram at its end, and so a number: copied for nothing.

The file has three lines: the format, the SHA-256 of all that follows, `About` as JSON; behind them
lie the nodes as one array, level by level, the children of a node side by side. It is read whole
and checked: 25 ms for 13 MB. A mapped file could be changed or cut off while the server runs,
which would end the server. A server checks all models at the start. It keeps those that its
settings name; another shipped one it reads again when it is first used, and compares the digest.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.decoding.base import SPACE, Guide
from inkstream.model.errors import DataError, InputError
from inkstream.model.files import read_whole, write_whole

Row = NDArray[np.float32]  # [A]
Following = NDArray[np.int32]  # [A]
WEIGHTS: Final = Path(__file__).parents[1] / "weights"
SUFFIX: Final = ".ngrams"
FORMAT: Final = b"inkstream language 2\n"
MAX_ABOUT_BYTES: Final = 1 << 16

NODE: Final = np.dtype(
    [
        ("character", "u1"),  # its last one, index into the alphabet
        ("log_p", "<f2"),  # of it after the others
        ("back_off", "<f2"),  # logarithm of the weight of what is no child
        ("children", "<u4"),  # the first one; the next node's first one ends them
        ("suffix", "<u4"),
    ]
)
ROOT: Final = 0


@dataclass(frozen=True, slots=True)
class About:
    """Description of a model, as its file holds it."""

    name: str
    characters: str  # the alphabet; the space separates words
    order: int  # characters of the longest n-grams
    sources: tuple[str, ...]  # what it was counted in, each with its licence
    letters: str = ""  # beyond ASCII, that its texts need; absent in the file if there are none

    def lacking(self, labels: Iterable[str]) -> str:
        """Return the letters that the language needs and that a net with these labels lacks.

        Such a net would read its words with wrong letters, so it does not read in this language.
        Other characters of the language may be missing: they are never read.
        """
        return "".join(sorted(set(self.letters) - set(labels)))


class Language:
    """A character n-gram model."""

    def __init__(self, about: About, nodes: NDArray[Any]) -> None:
        """Take a trie as `training/ngrams.py` builds it; the last node only ends the others."""
        self.about = about
        self._nodes = nodes
        self._fields = {name: nodes[name] for name in NODE.names or ()}  # a quicker way to them
        self.index = {character: i for i, character in enumerate(about.characters)}
        self.rows = lru_cache(4096)(self._rows)  # 4 MB for 130 characters

    @classmethod
    def load(cls, path: Path) -> "Language":
        """Read a file; raise `DataError` if it is no language model of ours, or a damaged one."""
        return cls(*_read(path)[:2])

    def save(self, path: Path) -> None:
        """Write the file; raise `OSError` if that fails."""
        about = asdict(self.about)
        if not self.about.letters:
            del about["letters"]
        content = msgspec.json.encode(about) + b"\n" + self._nodes.tobytes()
        write_whole(path, FORMAT + f"{hashlib.sha256(content).hexdigest()}\n".encode() + content)

    def __len__(self) -> int:
        """Return how many n-grams it holds."""
        return len(self._nodes) - 2  # without root and end

    def _rows(self, node: int) -> tuple[Row, Following]:
        """Return all characters' log-probabilities at a node, and the nodes behind them.

        Both have [A + 1] values: the last one is that of any character that the alphabet lacks.
        """
        fields = self._fields
        first, end = int(fields["children"][node]), int(fields["children"][node + 1])
        if node == ROOT:
            log_p = np.full(len(self.index) + 1, -np.inf, np.float32)
            following = np.full(len(self.index) + 1, ROOT, np.int32)
        else:
            log_p, following = self.rows(int(fields["suffix"][node]))
            log_p, following = log_p + fields["back_off"][node], following.copy()
        children = fields["character"][first:end]
        log_p[children] = fields["log_p"][first:end]
        following[children] = np.arange(first, end)
        return log_p, following

    def after(self, text: str, node: int = ROOT) -> int:
        """Return the node at which a text from `node` ends; unknown characters lead to the root."""
        for character in text:
            index = self.index.get(character)
            node = ROOT if index is None else int(self.rows(node)[1][index])
        return node


def _read(path: Path, checked: str | None = None) -> tuple[About, NDArray[Any], str]:
    """Return what a file holds, and its digest; raise `DataError` as `Language.load`.

    `checked` is the digest of the model that was found good before: another one is refused.
    """
    try:
        content = read_whole(path, 1 << 28)  # bytes: twenty million n-grams
        start = len(FORMAT) + 2 * hashlib.sha256().digest_size + 1
        if not content.startswith(FORMAT):
            raise ValueError(f"it starts with {content[:16]!r}")
        digest = hashlib.sha256(memoryview(content)[start:]).hexdigest()
        if content[len(FORMAT) : start] != f"{digest}\n".encode():
            raise ValueError("it is damaged, its SHA-256 is another: copy or build it again")
        if checked not in (None, digest):
            raise ValueError("it is another one than at the start")
        end = content.find(b"\n", start, start + MAX_ABOUT_BYTES)
        if end < 0:
            raise ValueError(f"its description has more than {MAX_ABOUT_BYTES} bytes")
        about = msgspec.json.decode(content[start:end], type=About)
        nodes = np.frombuffer(content, NODE, offset=end + 1)
        if checked is None:
            _check(nodes, about)
    except OSError as error:
        raise DataError(f"cannot read language model {path}: {error.strerror}") from None
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise DataError(f"{path} is no language model of ours: {error}") from None
    return about, nodes, digest


def _check(nodes: NDArray[Any], about: About) -> None:
    """Raise `ValueError` for nodes that lead nowhere or in a circle, or hold no numbers."""
    alphabet = len(about.characters)
    if not 0 < alphabet == len(set(about.characters)):
        raise ValueError("its characters are not distinct")
    if not 1 <= about.order < LONGEST_BEFORE:
        raise ValueError(f"its order is {about.order}, allowed: 1..{LONGEST_BEFORE - 1}")
    first = nodes["children"]  # not copied to wider numbers: the heap would keep their memory
    ordered = len(nodes) > 1 and (first[1:] >= first[:-1]).all() and first[-1] == len(nodes) - 1
    if not ordered or (first[:-1] <= np.arange(len(nodes) - 1, dtype=np.uint32)).any():
        raise ValueError("its nodes are not in their order")
    start, end = ROOT, ROOT + 1  # of the n-grams of one length
    for _ in range(about.order):
        longer = nodes["suffix"][end : int(first[end])]
        if (longer < start).any() or (longer >= end).any():
            raise ValueError("a node's suffix is not one character shorter")
        start, end = end, int(first[end])
    if end < len(nodes) - 1:
        raise ValueError(f"it has n-grams of more than {about.order} characters")
    if (nodes["character"] >= alphabet).any():
        raise ValueError("a node has a character that the alphabet lacks")
    if not (np.isfinite(nodes["log_p"]) & np.isfinite(nodes["back_off"])).all():
        raise ValueError("a node has a probability that is no finite number")


class LanguageFile:
    """A language model's file, checked, and the model in it."""

    def __init__(self, path: Path, *, keep: bool) -> None:
        """Read and check the file; let the model go until it is first used, unless to `keep` it.

        Raises `DataError` as `Language.load`.
        """
        self._path = path
        self.kept = keep
        self.about, nodes, self.digest = _read(path)
        # A model and its cache hold each other, and what is loaded at the start is never collected.
        self._language = Language(self.about, nodes) if keep else None

    @property
    def language(self) -> Language:
        """The model; raises `DataError` if it is not kept and its file has changed."""
        if self._language is None:
            self._language = Language(*_read(self._path, self.digest)[:2])
        return self._language


def shipped() -> list[str]:
    """Return the names of the models that come with this package."""
    return sorted(path.stem for path in WEIGHTS.glob(f"*{SUFFIX}"))


def find(name_or_path: str | Path) -> Path:
    """Return the file of a shipped model by name, or of any by path; raise `DataError` for none."""
    path = Path(name_or_path)
    of_ours = WEIGHTS / f"{name_or_path}{SUFFIX}"
    if not path.is_file() and of_ours.is_file():
        path = of_ours
    if not path.is_file():
        names = ", ".join(shipped()) or "none"
        raise DataError(f"no language model {name_or_path}; a file, or one of these: {names}")
    return path


def load(name_or_path: str | Path) -> Language:
    """Return a model by name or path, see `find`; raise `DataError` as that or `Language.load`."""
    return Language.load(find(name_or_path))


# Chosen on the validation writers: `docs/experiments.md`.
WEIGHT: Final = 0.5  # of the language's log-probabilities, against the net's
BONUS: Final = 1.4  # for each character, without which short texts would win
# For each letter that the language has beyond ASCII: it is rarer in what nets learn from than in
# the language's own texts, and where its accent is hardly seen only the language can tell.
ACCENT_BONUS: Final = 1.7
LEAST: Final = -9.0  # log-probability of a character, at the least: nothing is impossible
LONGEST_BEFORE: Final = 64  # characters before a text that are looked at: more than any n-gram has


@lru_cache(32)
class _Spelling:
    """The labels of a net as characters of a language."""

    def __init__(self, language: Language, labels: tuple[str, ...]) -> None:
        self.language = language
        self.characters = np.array([language.index.get(label, -1) for label in labels])  # [K]
        accented = np.array([label in language.about.letters for label in labels])
        self.bonus = (BONUS + ACCENT_BONUS * accented).astype(np.float32)


@lru_cache(20_000)  # of all languages together: 27 MB for 170 labels
def _label_row(spelling: _Spelling, node: int) -> tuple[Row, Following]:
    """Return the weights of labels [K] at a node and the nodes [K] behind them.

    All lines that are read in the language share what is kept.
    """
    log_p, following = spelling.language.rows(node)
    weights = np.maximum(log_p[spelling.characters], np.float32(LEAST))
    weights *= np.float32(WEIGHT)
    weights += spelling.bonus
    return weights, following[spelling.characters]


class LanguageGuide(Guide):
    """Weighs the labels of a net by a language; a state is a node of the language's trie."""

    def __init__(self, language: Language, labels: tuple[str, ...], context: str = "") -> None:
        """Go on behind the text `context`; raise `InputError` if the labels lack needed letters."""
        if lacking := language.about.lacking(labels):
            needed = " ".join(lacking)
            raise InputError(f"{language.about.name} needs {needed}, which the net cannot read")
        self._language = language
        self._spelling = _Spelling(language, labels)
        self._space = labels.index(SPACE)
        self._context = plain(context)

    def begin(self, text: str) -> int:
        """Return the node behind a text and a space."""
        before = f"{self._context} {text}".strip()
        return self._language.after(SPACE + before[-LONGEST_BEFORE:] + SPACE * bool(before))

    def row(self, state: int) -> Row:
        return _label_row(self._spelling, state)[0]

    def follow(self, state: int, label: int) -> int:
        return int(_label_row(self._spelling, state)[1][label])

    def end(self, state: int) -> float:
        """Return what is added where a word ends."""
        return float(self.row(state)[self._space]) - BONUS
