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
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from inkstream.model.alphabet import plain
from inkstream.model.decoding.base import MAX_SHOWN, SPACE, Guide
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

AUTO: Final = "auto"  # the likeliest of all languages
CODES: Final = {  # by names; of ISO 639-1 if there is one, 639-3, and others of 639-2
    "english": "en eng", "french": "fr fra fre", "german": "de deu ger", "spanish": "es spa",
    "italian": "it ita", "portuguese": "pt por", "dutch": "nl nld dut", "danish": "da dan",
    "norwegian": "nb nob no nor", "swedish": "sv swe", "finnish": "fi fin", "catalan": "ca cat",
    "czech": "cs ces cze", "filipino": "fil", "hungarian": "hu hun", "indonesian": "id ind",
    "icelandic": "is isl ice", "lithuanian": "lt lit", "latvian": "lv lav", "malay": "ms msa may",
    "polish": "pl pol", "romanian": "ro ron rum", "serbo-croatian": "sh hbs",
    "slovak": "sk slk slo", "slovenian": "sl slv", "turkish": "tr tur", "vietnamese": "vi vie",
}  # fmt: skip
_NAMES: Final = {given: name for name in CODES for given in (name, *CODES[name].split())}
MAX_CHOICE: Final = 1000  # characters of a text that chooses languages
_TAG: Final = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{1,8})+")  # of BCP 47, such as de-AT


def name_of(language: str) -> str:
    """Return the name of a language that is given by its name, a code of ISO 639 or a tag.

    Of a tag of BCP 47, such as de-AT, the language counts. Any other text is returned as it is.
    """
    given = language.lower()
    tag = _TAG.fullmatch(given)
    return _NAMES.get(given) or _NAMES.get(tag[1] if tag else given, language)


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
        self.rows = lru_cache(1024)(self._rows)  # 1 MB for 130 characters

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
    def is_read(self) -> bool:
        """Whether the model is at hand."""
        return self._language is not None

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
    """Return the file of a shipped model by name or code, or of any by path.

    Raises `DataError` for none.
    """
    path = Path(name_or_path)
    of_ours = WEIGHTS / f"{name_of(str(name_or_path))}{SUFFIX}"
    if not path.is_file() and of_ours.is_file():
        path = of_ours
    if not path.is_file():
        raise DataError(f"no language {name_or_path}, allowed: a file, {_allowed(shipped())}")
    return path


def _allowed(names: Iterable[str]) -> str:
    """Return what may be asked for where these models are offered."""
    listed = ", ".join(names)
    return f"{listed}, several with commas, or {AUTO}" if listed else "none"


def _asked(language: Any, offered: Sequence[str]) -> list[str]:
    """Return the names, codes, tags and paths that were given; raise `InputError` for none."""
    given = [language] if isinstance(language, str | Path) else language
    items = [*given] if isinstance(given, Iterable) else [given]
    if all(isinstance(item, str | Path) for item in items):
        lists = ([str(item)] if isinstance(item, Path) else item.split(",") for item in items)
        if parts := [part.strip() for listed in lists for part in listed if part.strip()]:
            return parts
    shown = f"{language!r:.{MAX_SHOWN}}"
    raise InputError(f"language is {shown}, allowed: {_allowed(offered)}")


def choose(language: str, offered: Sequence[str]) -> tuple[str, ...]:
    """Return which of the offered models a text asks for; raise `InputError` for others.

    It has names, codes or tags, with commas between them; `AUTO` is all.
    """
    if len(language) > MAX_CHOICE:
        text = f"language has {len(language)} characters, allowed: up to {MAX_CHOICE}"
        raise InputError(text)
    names = dict.fromkeys(
        name
        for part in _asked(language, offered)
        for name in (offered if part == AUTO else [part if part in offered else name_of(part)])
    )
    if not names or not names.keys() <= set(offered):
        raise InputError(f"language is {language[:MAX_SHOWN]!r}, allowed: {_allowed(offered)}")
    return tuple(names)


def open_all(
    language: str | Path | Iterable[str | Path], labels: Iterable[str]
) -> list[LanguageFile]:
    """Open the models that a net with these labels is to follow, each once.

    They are given by names, codes, tags or paths, in a text with commas between them; `AUTO` stands
    for all shipped ones whose letters the net has. Raises `DataError` as `find` and
    `Language.load`, and `InputError` if none is given.
    """
    parts = _asked(language, shipped())
    paths = dict.fromkeys(find(part) for part in parts if part != AUTO)
    files = [LanguageFile(path, keep=True) for path in paths]
    if AUTO in parts:
        others = [find(name) for name in shipped() if find(name) not in paths]
        opened = [LanguageFile(path, keep=True) for path in others]
        files += [file for file in opened if not file.about.lacking(labels)]
    return files


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
# Nats: a language that adds so much less to a text than the likeliest one is no longer followed.
UNLIKELY: Final = 8.0
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
        self._labels = {label: i for i, label in enumerate(labels)}
        self._context = plain(context)

    def begin(self, text: str) -> int:
        """Return the node behind a text and a space."""
        before = self._before(text)
        return self._language.after(SPACE + before + SPACE * bool(before))

    def _before(self, text: str) -> str:
        return f"{self._context} {text}".strip()[-LONGEST_BEFORE:]

    def weight(self, text: str) -> float:
        """Return what is added to the logarithm of the weight of a text behind the context."""
        node, total = self._language.after(SPACE), 0.0
        for character in self._before(text):
            if (label := self._labels.get(character)) is not None:
                total += float(self.row(node)[label])
            node = self._language.after(character, node)
        return total

    def row(self, state: int) -> Row:
        return _label_row(self._spelling, state)[0]

    def follow(self, state: int, label: int) -> int:
        return int(_label_row(self._spelling, state)[1][label])

    def end(self, state: int) -> float:
        """Return what is added where a word ends."""
        return float(self.row(state)[self._labels[SPACE]]) - BONUS


# Of a language that is still likely: its number, its node, and how many nats less it adds to the
# text than the likeliest one.
_Followed = tuple[int, int, float]


class LanguagesGuide(Guide):
    """Weighs the labels by several languages: each text by the one that makes most of it."""

    def __init__(
        self, languages: Sequence[Language], labels: tuple[str, ...], context: str = ""
    ) -> None:
        """Follow languages side by side; raise the errors of `LanguageGuide`."""
        self._guides = [LanguageGuide(language, labels, context) for language in languages]
        self.beam_cost = 1 + len(languages) // 3  # eleven take four times as long as one
        self._rows = lru_cache(2048)(self._row)  # 2 MB

    def begin(self, text: str) -> tuple[_Followed, ...]:
        return _likely(
            (number, guide.begin(text), guide.weight(text))
            for number, guide in enumerate(self._guides)
        )

    def row(self, state: tuple[_Followed, ...]) -> Row:
        return self._rows(state)

    def _row(self, state: tuple[_Followed, ...]) -> Row:
        rows = [self._guides[number].row(node) + np.float32(less) for number, node, less in state]
        most: Row = np.max(rows, 0)
        return most

    def follow(self, state: tuple[_Followed, ...], label: int) -> tuple[_Followed, ...]:
        followed = []
        for number, node, less in state:
            weights, nodes = _label_row(self._guides[number]._spelling, node)
            followed.append((number, int(nodes[label]), less + float(weights[label])))
        return _likely(followed)

    def end(self, state: tuple[_Followed, ...]) -> float:
        return max(self._guides[number].end(node) + less for number, node, less in state)


def _likely(followed: Iterable[_Followed]) -> tuple[_Followed, ...]:
    """Return the languages that may still win, weighed against the likeliest one."""
    followed = list(followed)
    most = max(weight for _, _, weight in followed)
    return tuple(
        (number, node, weight - most)
        for number, node, weight in followed
        if weight > most - UNLIKELY
    )
