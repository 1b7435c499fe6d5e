"""Cleaning of UNIPEN's labels: each rule changes what its name states, and nothing else."""

import pytest

from inkstream.model.data.sources.unipen.labels import clean
from inkstream.model.errors import DataError


@pytest.mark.parametrize(
    ("writer", "label", "cleaned", "rules"),
    [
        ("apa/x", r"say \"a\\b\"", r'say "a\b"', []),
        ("apa/x", "a , b . (1 2) - 'tis", "a , b . (1 2) - 'tis", []),
        ("apa/x", " two  words ", "two words", ["spaces made single"]),
        ("kai/x", r"r\@e\@e\@d", "reed", ["join marks taken out"]),
        ("hpp/x", "@_SigN", "@", ["names of signs replaced"]),
        ("ced/x", "55 : = ( 16*4 ) -9", "55:=(16*4)-9", ["spaces of a comb taken out"]),
        ("pap/bmcaps", "selection", "SELECTION", ["capitals restored"]),
        ("pap/other", "selection", "selection", []),
        ("sta/x", "No one will see them .", "No one will see them.", ["marks closed up"]),
        ("cec/x", "how are you ? ! !", "how are you?!!", ["marks closed up"]),
        ("cec/x", "( or two )", "(or two)", ["marks closed up"]),
        ("cec/x", "yet - the one", "yet - the one", []),
        ("dar/x", "it wasn ' t me", "it wasn't me", ["apostrophes closed up"]),
        ("hpp/x", "they 'd order", "they'd order", ["apostrophes closed up"]),
        ("hpb/x", "the ' crackpot session ' of", "the 'crackpot session' of", ["quotes closed up"]),
        ("hpb/x", "session ' of the", "session' of the", ["quotes closed up"]),
        ("hpp/x", r"\" dog \"", '"dog"', ["quotes closed up"]),
        ("hpp/x", "first - class", "first-class", ["hyphens closed up"]),
        ("hpp/x", "1 8 0 0", "1800", ["digits closed up"]),
        ("hpp/x", "4 / 2 7 / 9 2", "4/27/92", ["digits closed up"]),
        ("hpp/x", "1 2 : 0 5", "12:05", ["digits closed up"]),
        ("hpb/x", "at 2 : 00 2 3 / 3 / 9 2", "at 2:00 23/3/92", ["digits closed up"]),
        ("hpb/x", "Tue 2 4 th", "Tue 24th", ["digits closed up"]),
        ("hpp/x", "# 100", "#100", ["digits closed up"]),
        ("hpp/x", "100 %", "100%", ["digits closed up"]),
        ("hpp/x", "1 + 2", "1 + 2", []),
        ("hpp/x", "A B C", "A B C", []),
        ("hpb/x", "0 1 2 3 4 5 6 7 8 9", "0 1 2 3 4 5 6 7 8 9", []),
    ],
)
def test_a_rule_changes_the_label_and_is_named(
    writer: str, label: str, cleaned: str, rules: list[str]
) -> None:
    assert clean(f'"{label}"', writer) == (cleaned, rules)


def test_several_rules_may_change_a_label_and_each_is_named_once() -> None:
    label, rules = clean('"( 1 2 3 ) 4 5 6 - 7 8 9 0 ."', "hpp/x")
    assert label == "(123) 456-7890."
    assert rules == ["digits closed up", "marks closed up"]


@pytest.mark.parametrize(
    ("writer", "quoted", "reason"),
    [
        ("apa/x", "bare", "label not readable"),
        ("apa/x", '"open', "label not readable"),
        ("apa/x", '"two" "labels"', "label not readable"),
        ("apa/x", '""', "label not readable"),
        ("apa/x", '"  "', "label not readable"),
        ("apa/x", r'"a\_b"', "label not readable"),
        ("apa/x", '"fa\xe7ade"', "label not readable"),
        ("apa/x", '"tab\there"', "label not readable"),
        ("kai/x", r'"\@"', "ink between two letters"),
        ("hpb/x", '"support XXX by"', "ink crossed out"),
        ("atu/x", '"Paul lauft"', "umlaut lost"),
        ("cec/x", r'"a \" \" Turn"', "quotes in doubt"),
    ],
)
def test_an_unusable_label_is_refused_with_the_reason(
    writer: str, quoted: str, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        clean(quoted, writer)
