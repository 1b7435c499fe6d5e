"""Read the frequent words of a language, as texts of made-up lines and n-gram models need them.

All are of wordfreq's lists. It has no Irish, whose letters are among those of the other languages,
and of Danish a small list, of 29,000 words. Its lists hold small letters alone, ss for ß, split
French and some Italian words at an apostrophe, and all words at a hyphen: here elided words are put
together again, and German words get ß and nouns their capitals.
"""

import gzip
import re
from collections import defaultdict
from collections.abc import Mapping, Set
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from wordfreq import available_languages, cB_to_freq, read_cBpack

from inkstream.model.alphabet import LETTERS, plain
from inkstream.model.decoding.ngrams import CODES, name_of
from inkstream.model.errors import DataError

NAMES: Final = {codes.split()[0]: name for name, codes in CODES.items()}
# `alphabet.WESTERN` holds all letters of these, of the others a part.
LANGUAGES: Final = dict(islice(NAMES.items(), 11))
LONGEST: Final = 14  # letters


class Elision(NamedTuple):
    """A word that loses its last letter before a vowel, and how often."""

    of: str  # the word of the list whose frequency says how often
    share: float = 1.0  # of that frequency
    before: Set[str] = frozenset()  # these words alone; if empty, any that begins with a vowel
    never: Set[str] = frozenset()  # but not before these


# The lists split French words at the apostrophe, and have the part before it as a word; of Italian
# ones they do so with some parts alone, and of the others the whole word says how often.
_JOINING = {"et", "ou", "à", "au", "aux", "avec"}
ELIDED: Final[Mapping[str, Mapping[str, Elision]]] = {
    "fr": {
        "l": Elision("l", never=_JOINING | {"est"}),
        "d": Elision("d", never=_JOINING | {"est", "a", "ai", "avait", "était", "ont"}),
        "c": Elision("c", before={"est", "était", "étaient", "en", "eût"}),
        **{part: Elision(part, never=_JOINING) for part in ("qu", "j", "n", "s", "m", "t")},
    },
    "it": {
        **{part: Elision(part) for part in ("l", "d")},
        "c": Elision("c", before={"è", "era", "erano"}),
        "un": Elision("una", 0.15),
        **{part: Elision(part + "a", 0.5) for part in ("dell", "all", "nell", "dall", "sull")},
    },
}
# A French h is mute in l'heure, but not in le haut.
VOWEL: Final = re.compile(
    "[aàáâãäåæeèéêëiìíîïoòóôõöœuùúûü]|y$|hab[ix]|herb|hés|heur[eet]|hi[sv]|hier|homm|hon[no]|h[ôo]p"
    "|hôt|horl|horr|huil|hum[aeio]|hyp"
)

# wordfreq folds ß to ss. Two vowels are followed by ß, and so is the long vowel of these stems.
SHARP_S: Final = re.compile(
    "([ae]i|[aeä]u|ie|gr[oöuü]|st[oö]|bl[oö]|bes[aä]|gesä|gefä|f[uü](?!ss(?:el|i))"
    "|str[aä](?=ss[eb])|s[üo](?=ss(?:[eliw]|$))|sp[aä](?=ss(?:[eitv]|$))|erma(?=ssen)|anma"
    "|^s?a(?=ss(?:en|t)?$)|kl[oö](?=sse?n?$)|bü(?=ss[et])|mü(?=ssig)|gemä"
    "|bu(?=ssg)|m[aä](?=ss(?:ig|ge|st[aä]|nahm|lich|voll|los|$)))ss"
)
NO_SHARP_S: Final = re.compile(".*(ssance|suisse|^isses|neuss|[dk]r?eiss[tp]|preiss|diesseit)")
# A word with one of these endings is a German noun, if it is no form of an adjective.
NOUN: Final = re.compile(
    ".{2,}(ung|heit|keit|schaft|tion|sion|tät|nis|ling|ismus|"
    "ungen|heiten|keiten|schaften|tionen|sionen|täten|nisse|linge)s?"
)


@cache
def words_of(code: str, n_words: int = 60_000, longest: int = LONGEST) -> Mapping[str, float]:
    """Return the most frequent words of a language with their frequencies, as shares of all.

    They are in NFC, of letters with hyphens and apostrophes within, and in small letters but for
    German nouns, of at most `longest` characters. A language of `LANGUAGES` has letters of
    `alphabet.WESTERN` alone, English those of ASCII; another has any Latin letters. After 60,000
    words more names and typing errors come.
    """
    beyond_ascii = "" if code == "en" else "".join(LETTERS)
    letter = f"[A-Za-z{beyond_ascii if code in LANGUAGES else 'À-ÖØ-öø-ɏḀ-ỿ'}]"
    form = re.compile(f"{letter}+(?:['-]{letter}+)*")
    words: dict[str, float] = defaultdict(float)
    listed = (  # the most frequent first; wordfreq's own functions keep all lists: 1 GB
        (given, cB_to_freq(-index))
        for index, bucket in enumerate(read_cBpack(available_languages("best")[code]))
        for given in bucket
    )
    for given, frequency in islice(listed, 4 * n_words):  # others are too rare
        word = _with_sharp_s(plain(given)) if code == "de" else plain(given)
        if len(word) <= longest and form.fullmatch(word):
            words[word] += frequency
    if code in ELIDED:
        _elide(words, ELIDED[code], longest)
    if code == "de":
        _capitalise(words)
    best = sorted(words.items(), key=lambda item: -item[1])  # stable: English stays as it is listed
    return dict(islice(best, n_words))


def sources(code: str) -> list[str]:
    """Return where the words of a language come from, with the licences."""
    size = "large" if code in available_languages("large") else "small"
    words = f"wordfreq 3.1, {size} {NAMES[code].title()} list"
    words += " (Robyn Speer, 2022, doi 10.5281/zenodo.7199437; CC BY-SA 4.0)"
    nouns = "german-nouns 1.2.5, nouns of the German Wiktionary"
    nouns += " (Gregor Weichbrodt, 2023; CC BY-SA 4.0)"
    return [words, nouns] if code == "de" else [words]


def code_of(name: str) -> str:
    """Return the code of a language by its name or code; raise `DataError` for an unknown one."""
    if codes := CODES.get(name_of(name)):
        return codes.split()[0]
    listed = ", ".join(f"{code} {language}" for code, language in sorted(NAMES.items()))
    raise DataError(f"no words of language {name[:20]!r}, allowed: {listed}")


def _elide(words: dict[str, float], elisions: Mapping[str, Elision], longest: int) -> None:
    """Add the words before which each elided one may stand, in proportion to their frequency."""
    vowels = {word: share for word, share in words.items() if VOWEL.match(word)}
    rates = {part: elided.share * words.get(elided.of, 0) for part, elided in elisions.items()}
    for part in elisions.keys() - {"un"}:  # which is also a word by itself
        words.pop(part, None)
    for part, elided in elisions.items():
        behind = sorted((elided.before & vowels.keys() or vowels.keys()) - elided.never)
        total = sum(vowels[word] for word in behind)  # in order: the same number in each process
        for word in behind:
            together = f"{part}'{word}"
            if len(together) <= longest:
                words[together] += rates[part] * vowels[word] / total


def _with_sharp_s(word: str) -> str:
    """Return a German word with ß where its spelling has it."""
    if "ss" not in word or NO_SHARP_S.match(word):
        return word
    if out := re.fullmatch("(.*aus)(s(?!er|en).+)", word):  # aus-sehen, but außer and außen
        return out[1] + _with_sharp_s(out[2])
    return SHARP_S.sub(r"\1ß", word)


@cache
def _german_nouns() -> Mapping[str, float]:
    """Return German nouns in small letters, with the share of uses in which the word is a noun.

    They are those of the German Wiktionary (CC BY-SA 4.0); `tools/german_nouns.py` of commit
    6ab60da3 made the list. A question mark marks those that are other words too; their share is an
    estimate.
    """
    content = (Path(__file__).parent / "german_nouns.txt.gz").read_bytes()
    lines = gzip.decompress(content).decode().splitlines()
    return {line.rstrip("?").lower(): 0.3 if line.endswith("?") else 1.0 for line in lines}


def _noun_share(word: str) -> float:
    """Return how often a German word is a noun, as a share."""
    nouns = _german_nouns()
    if word in nouns or NOUN.fullmatch(word):
        return nouns.get(word, 1.0)
    for at in range(3, len(word) - 4):  # letters of the first part of a compound noun
        first, last = word[:at], word[at:]
        if nouns.get(last) == 1 and (first in nouns or first.removesuffix("s") in nouns):
            return 1.0
    return 0.0


def _capitalise(words: dict[str, float]) -> None:
    """Give the share of each word's frequency in which it is a noun to the word with a capital."""
    for word, frequency in list(words.items()):
        if share := _noun_share(word):
            words[word[0].upper() + word[1:]] += share * frequency
            words[word] -= share * frequency
            if share == 1:
                del words[word]
