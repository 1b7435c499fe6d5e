"""Labels of UNIPEN made plain, by rules that each have a name under which they are counted.

The rules were found by looking at the ink of training writers alone.
"""

import re
from typing import Final

from inkstream.model.errors import DataError

# These donors set all tokens of a text apart, marks and often digits too, however it is written: in
# the ink of cec, hpb, hpp and sta the gap before a mark and between digits is a third of a word's.
TOKENS: Final = ("cea", "cec", "dar", "hpb", "hpp", "sta")
ANYONE: Final = ("",)

REFUSED: Final = (  # reason, donors, pattern
    ("ink between two letters", ANYONE, r"^(\\@)+$"),  # kai's sign for it
    ("ink crossed out", ANYONE, r"(?<!\S)XXX(?!\S)"),  # a word that its writer took back
    ("umlaut lost from the label", ANYONE, r"Grunschnabel|Ladenschlusgesetz|lauft"),
    ("quotes in doubt", TOKENS, r'\\" \\"'),  # side by side: cec has them where one or none is
)
CHANGED: Final = (  # rule, donors, pattern, replacement
    ("join marks taken out", ANYONE, r"\\@", ""),
    ("", ANYONE, r"\\(.)", r"\1"),  # the format's escapes: no change of what was written
    ("names of signs replaced", ANYONE, "@_SigN", "@"),  # hpp's name
    ("spaces made single", ANYONE, r"^ +| +$|(?<= ) +", ""),
    # ced's writers filled a comb, a cell for each character, and left none empty for a space.
    ("spaces of a comb taken out", ("ced",), " ", ""),
    ("digits closed up", TOKENS, r"(?<!\S)(\d)? ?(\d) : (\d) ?(\d)(?!\S)", r"\1\2:\3\4"),
    ("digits closed up", TOKENS, r"(?<!\S)(\d) (?=\d(?!\S))", r"\1"),
    ("digits closed up", TOKENS, r"(?<=\d) ([-/]) (?=\d)", r"\1"),
    ("digits closed up", TOKENS, r"(?<!\S)([-/#$]) (?=\d)", r"\1"),
    ("digits closed up", TOKENS, r"(?<=\d) (?=%|(?:st|nd|rd|th)(?!\S))", ""),
    ("apostrophes closed up", TOKENS, r"(?<=\w) ?' ?(?=(?:s|t|m|d|ll|re|ve)(?!\w))", "'"),
    ("marks closed up", TOKENS, r"(?<=\S) (?=[,.;:!?)])|(?<=\() ", ""),
    # In hpp a hyphen or slash between words stands as near to them as any letter.
    ("hyphens closed up", ("hpp",), r"(?<=\w) ([-/]) (?=\w)", r"\1"),
    ("quotes closed up", TOKENS, r"(?<!\S)(['\"]) (.*?) \1(?!\S)", r"\1\2\1"),  # a pair
    ("quotes closed up", TOKENS, r"^(['\"]) | (?=['\"](?!\S))", r"\1"),
    # The labels of this writer have in small letters what is written in capitals.
    ("capitals restored", ("pap/bmcaps",), "[a-z]+", lambda match: match[0].upper()),
)


def clean(quoted: str, writer: str) -> tuple[str, list[str]]:
    """Return a label in printable ASCII with single spaces, and the names of rules that changed it.

    `quoted` is the label as it stands in the file, by the writer "donor/writer". Raises `DataError`
    if it cannot be used; its text is the reason alone, for the count.
    """
    # In quotes stands printable ASCII, with a backslash before a quote, a backslash or `@`.
    match = re.fullmatch(r'"((?:[ !#-\[\]-~]|\\["\\@])*)"', quoted)
    if match is None or not match[1].strip():
        raise DataError("label not readable")
    label, rules = match[1], []
    for reason, donors, pattern in REFUSED:
        if writer.startswith(donors) and re.search(pattern, label):
            raise DataError(reason)
    for rule, donors, pattern, replacement in CHANGED:
        # Ten digits or more in a row were written apart indeed.
        if writer.startswith(donors) and not re.fullmatch(r"\d( \d){9,}", label):
            changed = re.sub(pattern, replacement, label)
            if changed != label and rule and rule not in rules:
                rules.append(rule)
            label = changed
    return label, rules
