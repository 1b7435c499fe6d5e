"""Make the list of German nouns that capitals in made-up German follow.

wordfreq's German list has small letters alone, and a noun begins with a capital. The nouns of the
German Wiktionary in all their forms, as the package german-nouns has them (Gregor Weichbrodt; CC
BY-SA 4.0), say which of its words are nouns. A word may be a verb or an adjective too. The
frequencies of its other forms decide that: a noun has no form with -em, and a verb has one with -t.

    pip download --no-deps german-nouns==1.2.5
    unzip german_nouns-1.2.5-py3-none-any.whl german_nouns/nouns.csv
    python -m tools.german_nouns german_nouns/nouns.csv
"""

import csv
import gzip
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wordfreq import get_frequency_dict

from inkstream.model.alphabet import plain
from inkstream.model.data.synthesis.word_lists import GERMAN_NOUNS, WESTERN_WORD

CASES: Final = ("nominativ", "genitiv", "dativ", "akkusativ")
NO_WORDS: Final = frozenset({"Buchstabe", "Symbol", "Affix", "Suffix"})
MOST: Final = 300_000  # words of the list, the most frequent

# Frequent words that are no nouns although Wiktionary has a noun of the same letters.
OTHERS: Final = """
die ich ist von es für sie des als er bei wie aber aus du wenn oder werden am man haben einer habe
ja mehr mir sein mal jetzt können muss unter gut gegen seine viel will weil etwas waren zwei soll
selbst hab heute nichts würde hast ob gerade weiß wohl drei wollen bitte sehen wegen danke werde
dies hatten nein vier leider würden bleiben anders fünf hoch gegenüber niemand los is all to ach
gestern trotz sechs per links falls rechts zehn hallo kamen acht sieben eins on schau nix no manche
früh fürs gewesen miteinander schade halt laut rund zuhause willkommen verbunden befinden mitten
sowieso abends morgens schrieb teils grade letztes warte mittels namens neun zwölf my rum extra
gewann beschrieben sitzen angesichts au anstatt nahmen trug weh werd elf gaben voraus gebeten go out
hinweg fick brauch deren dessen sitzt bis dann daran nett vergessen verlassen gefallen entscheiden
beginnen tun rein hin her mag mach min van el as don ben net bot fort lass lag sag sah gab hat gibt
kommt geht and the of you for hundert tausend null nahe ehrlich total live top super ex tritt trifft
lauter ferner
"""
# Words that are both so often that their other forms mislead.
BOTH: Final = """
deutsche deutschen deutscher alter alten recht rechte rechten morgen macht leben essen wissen paar
ernst arm arme armen grüne grünen linke linken weg dank schuld jugendliche jugendlichen erwachsene
erwachsenen abgeordnete abgeordneten angestellte angestellten verletzte verletzten kranke kranken
tote toten heilige heiligen betroffene betroffenen beteiligte beteiligten verwandte verwandten
bekannte bekannten gute beste besten neues
"""
# What stands before verbs, and verbs without a frequent form with -t.
SEPARABLE: Final = (
    *("zurück", "zusammen", "weiter", "wieder", "hinaus", "heraus", "nach", "vor", "auf", "aus"),
    *("ein", "her", "hin", "los", "mit", "weg", "ab", "an", "um", "zu", "be", "er", "ver", "ge"),
)
VERBS: Final = """
essen fahren fallen fangen geben halten helfen laden lassen laufen lesen messen nehmen raten rufen
schlafen schlagen sehen sprechen stoßen tragen treffen treten wachsen werben werden werfen
"""


def main(path: str) -> None:
    """Write `GERMAN_NOUNS`: a word a line, with a question mark where it is another word too."""
    frequencies = get_frequency_dict("de", wordlist="best")
    others, both = OTHERS.split(), BOTH.split()
    lines = []
    spellings = _spellings(Path(path))
    for word in list(frequencies)[:MOST]:
        for noun in sorted(spellings.get(word, ())):
            small = noun[0].lower() + noun[1:]
            if small in others or not WESTERN_WORD.fullmatch(noun):
                continue
            if small in both or _is_verb(word, frequencies):
                lines.append(f"{noun}?")
            elif not _is_adjective(word, frequencies):
                lines.append(noun)
    content = "\n".join(sorted(lines)).encode()
    GERMAN_NOUNS.write_bytes(gzip.compress(content, mtime=0))
    print(f"{len(lines)} words, {GERMAN_NOUNS.stat().st_size} bytes")


def _spellings(path: Path) -> dict[str, set[str]]:
    """Return all forms of all nouns, by their letters as wordfreq folds them."""
    found: dict[str, set[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if NO_WORDS.isdisjoint(row["pos"].split(",")):
                for name, form in row.items():
                    word = plain(form)
                    declined = name == "lemma" or name.split()[0] in CASES
                    if declined and len(word) > 1 and word[0].isupper() and word[1:].islower():
                        found.setdefault(word.casefold(), set()).add(word)
    return found


def _is_verb(word: str, frequencies: Mapping[str, float]) -> bool:
    for end in ("en", "e", "t", "n"):
        stem = word.removesuffix(end)
        other = stem + ("en" if end == "t" else "t")
        second = stem + ("st" if end == "t" else "te")
        often = frequencies.get(other, 0) > frequencies[word] / 12
        if stem != word and often and (end == "en" or second in frequencies):
            return True
    part = next((each for each in SEPARABLE if word.startswith(each)), None)
    rest = word.removeprefix(part or "")
    return part is not None and rest in VERBS.split()


def _is_adjective(word: str, frequencies: Mapping[str, float]) -> bool:
    for end in ("em", "en", "er", "es", "e", ""):
        stem = word.removesuffix(end)
        forms = [frequencies.get(stem + each, 0) for each in ("em", "en", "er", "es", "e")]
        if (stem != word or not end) and all(forms) and forms[0] > frequencies[word] / 400:
            return True
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
