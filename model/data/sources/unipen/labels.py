"""Labels of UNIPEN made plain, by rules that each have a name under which they are counted.

The rules were found by looking at the ink of training writers alone.
"""

import re
from typing import Final

from inkstream.model.errors import DataError

QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
AT_SIGN: Final = "@_SigN"  # hpp's name of it
JOIN_MARK: Final = r"\@"  # kai's sign for the ink between two letters
ESCAPE: Final = re.compile(r"\\(.)")
ESCAPED: Final = frozenset('"\\')
CROSSED_OUT: Final = re.compile(r"(?<!\S)XXX(?!\S)")  # a word that its writer took back
LOST_UMLAUT: Final = re.compile(r"Grunschnabel|Ladenschlusgesetz|lauft")
QUOTES_IN_DOUBT: Final = '" "'  # side by side: cec has them where one or none is written

# These donors set all tokens of a text apart, marks and often digits too, however it is written: in
# the ink of cec, hpb, hpp and sta the gap before a mark and between digits is a third of a word's.
TOKEN_DONORS: Final = frozenset({"cea", "cec", "dar", "hpb", "hpp", "sta"})
# In hpp a hyphen or slash between words stands as near to them as any letter.
HYPHEN_DONORS: Final = frozenset({"hpp"})
# ced's writers filled a comb, a cell for each character; none is empty where the label has a space.
COMB_DONORS: Final = frozenset({"ced"})
# What this writer wrote in capitals is in small letters in its labels.
CAPITAL_WRITERS: Final = frozenset({"pap/bmcaps"})

ROW_OF_DIGITS: Final = re.compile(r"\d( \d){9,}")  # written apart indeed
TYPOGRAPHY: Final = (  # rule, pattern, replacement
    ("digits closed up", r"(?<!\S)(\d)? ?(\d) : (\d) ?(\d)(?!\S)", r"\1\2:\3\4"),
    ("digits closed up", r"(?<!\S)(\d) (?=\d(?!\S))", r"\1"),
    ("digits closed up", r"(?<=\d) ([-/]) (?=\d)", r"\1"),
    ("digits closed up", r"(?<!\S)([-/#$]) (?=\d)", r"\1"),
    ("digits closed up", r"(?<=\d) (?=%|(?:st|nd|rd|th)(?!\S))", ""),
    ("apostrophes closed up", r"(?<=\w) ?' ?(?=(?:s|t|m|d|ll|re|ve)(?!\w))", "'"),
    ("marks closed up", r"(?<=\S) (?=[,.;:!?)])|(?<=\() ", ""),
)
HYPHEN: Final = re.compile(r"(?<=\w) ([-/]) (?=\w)")
GLUE: Final = "\0"  # stands in no label


def clean(quoted: str, writer: str) -> tuple[str, list[str]]:
    """Return a label in printable ASCII with single spaces, and the names of rules that changed it.

    Args:
        quoted: the label as it stands in the file.
        writer: "donor/writer".

    Raises `DataError` if it cannot be used; its text is the reason alone, for the count.
    """
    label, rules = _plain(quoted)
    donor = writer.partition("/")[0]
    steps = []
    if donor in COMB_DONORS:
        steps.append(("spaces of a comb taken out", label.replace(" ", "")))
    if donor in TOKEN_DONORS:
        steps.extend(_closed_up(label, donor))
    if writer in CAPITAL_WRITERS:
        steps.append(("capitals restored", label.upper()))
    for rule, changed in steps:
        if changed != label and rule not in rules:
            rules.append(rule)
        label = changed
    return label, rules


def _plain(quoted: str) -> tuple[str, list[str]]:
    """Return the label without the format's own signs, and the other rules that changed it."""
    found = QUOTED.fullmatch(quoted)
    if found is None:
        raise DataError("label without quotes")
    label, rules = found[1], []
    if JOIN_MARK in label:
        label = label.replace(JOIN_MARK, "")
        rules.append("join marks taken out")
        if not label:
            raise DataError("ink between two letters")
    if not ESCAPED.issuperset(ESCAPE.findall(label)):
        raise DataError("unknown escape in the label")
    label = ESCAPE.sub(r"\1", label)
    if not (label.isascii() and label.isprintable()):
        raise DataError("label not in printable ASCII")
    if CROSSED_OUT.search(label):
        raise DataError("ink crossed out")
    if LOST_UMLAUT.search(label):
        raise DataError("umlaut lost from the label")
    if AT_SIGN in label:
        label = label.replace(AT_SIGN, "@")
        rules.append("names of signs replaced")
    plain = " ".join(label.split())
    if not plain:
        raise DataError("label empty")
    if plain != label:
        rules.append("spaces made single")
    return plain, rules


def _closed_up(label: str, donor: str) -> list[tuple[str, str]]:
    """Return the label after each of the rules that close its tokens up as a printer would."""
    if QUOTES_IN_DOUBT in label:
        raise DataError("quotes in doubt")
    steps = []
    if not ROW_OF_DIGITS.fullmatch(label):
        for rule, pattern, replacement in TYPOGRAPHY:
            label = re.sub(pattern, replacement, label)
            steps.append((rule, label))
    if donor in HYPHEN_DONORS:
        label = HYPHEN.sub(r"\1", label)
        steps.append(("hyphens closed up", label))
    for quote in ("'", '"'):
        label = _quoted(label, quote)
        steps.append(("quotes closed up", label))
    return steps


def _quoted(label: str, quote: str) -> str:
    """Attach quotes that stand alone to the words that they enclose; an unpaired one closes."""
    tokens = label.split(" ")
    alone = [place for place, token in enumerate(tokens) if token == quote]
    for number, place in enumerate(alone):
        opens = place == 0 or (len(alone) % 2 == 0 and number % 2 == 0)
        tokens[place] = quote + GLUE if opens else GLUE + quote
    return re.sub(f" ?{GLUE} ?", "", " ".join(tokens))
