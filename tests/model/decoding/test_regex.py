"""Regular expressions as guides, compared with Python's; invalid ones are refused."""

import re
import string

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from inkstream.model.alphabet import WESTERN, plain
from inkstream.model.decoding.base import allowed_labels
from inkstream.model.decoding.beam import BeamDecoder
from inkstream.model.decoding.hints import Hints, guide_of
from inkstream.model.decoding.regex import PatternGuide
from inkstream.model.errors import InputError
from inkstream.model.evaluation.streaming import least_s
from tests.model.decoding.scores import LABELS, flush, line, read

PRINTABLE = tuple(map(chr, range(32, 127)))
EXPRESSIONS = [
    r"[0-9]{2}\.[0-9]{2}\.[0-9]{4}",
    r"^\d{1,3}(,\d{3})*(\.\d\d)?$",
    r"[-a]+",
    r"[a-]+",
    r"[^-]x",
    r"(a|bc)*d?",
    r"a\-b\/c",
    r"[\.\-,]{2}",
    r"[A-Z]{2}\d{2}( ?\d{4}){4}",
    r"(yes|no|)",
    r"a{2,}",
    r"(ab?){0,2}c\$",
    r"\[x\]",
    r"(?:ab)+",
    r"^ab|^c{2}$|d$",
    r"\w\W\s?\D",
    r"(?P<day>\d\d)[\w.]",
    r"\x41b*?",
    r"[$^]+\^",
]


def matches(guide: PatternGuide, text: str) -> bool:
    return guide.end(guide.begin(text)) == 0


@pytest.mark.parametrize("expression", EXPRESSIONS)
@given(data=st.data())
@pytest.mark.slow
def test_a_pattern_matches_what_pythons_expressions_match(
    expression: str, data: st.DataObject
) -> None:
    guide = PatternGuide(expression, PRINTABLE)
    used = "".join(sorted(set(expression) & set(string.ascii_letters + string.digits + ",.-/ ")))
    similar = st.text(used + "ab1.", max_size=8)
    matching = st.from_regex(re.compile(expression, re.ASCII), fullmatch=True)
    text = data.draw(similar | matching.filter(lambda text: text.isprintable() and text.isascii()))
    assert matches(guide, text) == bool(re.fullmatch(expression, text))


def repeated(part: str) -> st.SearchStrategy[str]:
    times = st.sampled_from(["", "?", "*", "+", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}", "*?"])
    return times.map(lambda how_often: f"({part}){how_often}")


NESTED = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\w", ""]),
    lambda parts: (
        parts.flatmap(repeated)
        | st.lists(parts, min_size=2, max_size=3).map("".join)
        | st.lists(parts, min_size=2, max_size=3).map(lambda own: f"({'|'.join(own)})")
    ),
    max_leaves=6,
)


@given(NESTED, st.text("ab", max_size=6))
def test_parts_may_be_nested_in_any_way(expression: str, text: str) -> None:
    try:
        guide = PatternGuide(f"{expression}|z", PRINTABLE)
    except InputError:  # too large with its repetitions
        reject()
    assert matches(guide, text) == bool(re.fullmatch(expression, text))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_allowed_text_can_be_completed(expression: str) -> None:
    guide, random = PatternGuide(expression, PRINTABLE), np.random.default_rng(0)
    for _ in range(20):
        state, text = guide.begin(""), ""
        while len(text) < 40:
            allowed = np.flatnonzero(guide.row(state) == 0)
            if not len(allowed) or (guide.end(state) == 0 and random.random() < 0.2):
                break
            label = int(random.choice(allowed))
            assert guide.spells is not None
            assert guide.spells[label] == 0
            state, text = guide.follow(state, label), text + PRINTABLE[label]
        assert len(text) == 40 or re.fullmatch(expression, text)


@pytest.mark.parametrize(
    ("expression", "text"),
    [("(){999999999}a", "a"), ("((){9}){999999999}b?", ""), ("(a{0}|){999999999}b", "b")],
)
def test_the_empty_text_may_be_repeated_any_number_of_times(expression: str, text: str) -> None:
    assert matches(PatternGuide(expression, PRINTABLE), text)


@given(st.text(r"ab[](){}|*+?.^$-\\,0129dsw" + "é\0", max_size=14))
def test_any_text_is_a_pattern_or_is_refused(expression: str) -> None:
    try:
        guide = PatternGuide(expression, PRINTABLE)
    except InputError:
        return
    assert len(guide.row(guide.begin(""))) == len(PRINTABLE)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("a{3,2}", "cannot be understood"),
        ("[a", "cannot be understood"),
        ("a{9999999999}", "more than 128"),
        ("(", "cannot be understood"),
        ("[", "cannot be understood"),
        ("(?=a)", "cannot be understood"),
        (r"(a)\1", "cannot be understood"),
        ("", "has 0 characters, allowed: 1..256"),
        ("a" * 300, "has 300 characters, allowed: 1..256"),
        ("a{300}", "more than 128"),
        ("((a{50}){50}){50}", "more than 128"),
        ("é+", f"describes no text of the characters {''.join(PRINTABLE)}; it holds é"),
        ("[0-9]{2}é", "describes no text"),
        ("e\u0301[0-9]{2}", "it holds é"),
        ("é*", "describes no text"),
        ("(?i)a", "cannot be understood"),
        ("(?i:a)", "cannot be understood"),
        (r"\q", "cannot be understood"),
        ("[z-a]", "cannot be understood"),
        ("[\\d-z]", "cannot be understood"),
        ("a**", "cannot be understood"),
        ("a)", "cannot be understood"),
        ("a^b", "cannot be understood"),
        ("a$b", "cannot be understood"),
        ("(^a)", "cannot be understood"),
        ("(a$)", "cannot be understood"),
        ("^^a", "cannot be understood"),
        (r"a\b", "cannot be understood"),
    ],
)
def test_an_invalid_pattern_is_refused_with_a_reason(expression: str, reason: str) -> None:
    with pytest.raises(InputError, match=re.escape(reason)):
        PatternGuide(expression, PRINTABLE)


@pytest.mark.parametrize(
    ("expression", "characters", "possible"),
    [
        ("(ab|c)+d?", "ab", True),
        ("(ab|c)+d?", "c", True),
        ("(ab|c)+d?", "bd", False),
        ("a*b", "b", True),
        ("a*b", "a", False),
        ("a*", "b", False),  # the empty text does not count
        (r"\d\.\d", "0123456789", False),
        ("[^a]{3}", "a ", True),
    ],
)
def test_a_pattern_may_be_possible_with_some_characters(
    expression: str, characters: str, possible: bool
) -> None:
    allowed = np.where([label in characters for label in PRINTABLE], 0, -np.inf)
    assert PatternGuide(expression, PRINTABLE).can_be(allowed.astype(np.float32)) == possible


SCATTERED = "".join(
    char
    for char in map(chr, range(0x21, 0x400, 3))
    if len(plain(char)) == 1 and char not in r"\[]^-"
)


@pytest.mark.parametrize(
    "expression",
    [
        f"[{SCATTERED[:240]}]{{128}}",
        f"[^{SCATTERED[:240]}]{{128}}",
        "." * 128,
        r"\W" * 128,
        "(a?){128}",
        "a?" * 128,
        "(" + "a*" * 120 + ")*",
        "((" + "|".join("ab" * 16) + ")*){4}",
        "(" + "()" * 120 + "a){128}",
        "(" + "|" * 240 + "a){128}",
        "(" * 31 + "a?" + ")?" * 30 + "){128}",
    ],
)
def test_no_pattern_takes_long_to_prepare_or_to_check(expression: str) -> None:
    guide = PatternGuide(expression, PRINTABLE)
    assert least_s(lambda: PatternGuide(expression, PRINTABLE)) < 0.01
    allowed = np.zeros(len(PRINTABLE), np.float32)
    assert least_s(lambda: guide.can_be(allowed)) < 0.002


def test_an_expression_with_a_huge_automaton_costs_no_more_than_usual() -> None:
    def follow(expression: str) -> None:
        guide, random = PatternGuide(expression, PRINTABLE), np.random.default_rng(0)
        state = guide.begin("")
        for bit in random.integers(2, size=400).tolist():
            guide.row(state)
            state = guide.follow(state, PRINTABLE.index("ab"[bit]))

    huge = "(a|b)*a" + "(a|b)" * 40  # 2^40 states if all were built
    assert least_s(lambda: follow(huge)) < 50 * least_s(lambda: follow("(aa?|bb?|ab|ba)*"))


@pytest.mark.parametrize(
    ("pattern", "characters", "words", "text"),
    [
        ("a[bc]a", None, ["-b-b-a-"], "aba"),  # even if the net prefers others
        ("a[bc]a", None, ["-a-c-"], "ac"),  # it is not complete
        ("ab", None, ["-a-", "-a-", "-c-"], "ab"),  # a pattern continues after a flush
        ("[ab]*c?", "ab ", ["-a-b-c-"], "aba"),
        ("[ab]*c?", "c", ["-a-b-c-"], "c"),
        ("[ab]*c?", "abc", ["-a-b-c-"], "abc"),
    ],
)
def test_only_texts_of_the_pattern_and_of_the_allowed_characters_are_read(
    pattern: str, characters: str | None, words: list[str], text: str
) -> None:
    guide = guide_of(Hints(pattern=pattern), tuple(LABELS))
    assert guide is not None
    reader = BeamDecoder(LABELS, 4, guide)
    reader.allowed = allowed_labels(LABELS, characters)
    for steps in words:
        read(reader, line(steps))
        flush(reader)
    assert reader.text == text


def test_a_sure_letter_is_sure_with_a_pattern_and_allowed_characters_too() -> None:
    guide = guide_of(Hints(pattern="[ac]+"), tuple(LABELS))
    assert guide is not None
    reader = BeamDecoder(LABELS, 4, guide)
    reader.allowed = allowed_labels(LABELS, "abc")
    events = [*read(reader, line("-a-c-")), *flush(reader)]
    assert min(event.confidence for event in events) > 0.9
    assert reader.text == "ac"


@pytest.mark.parametrize(
    "expression",
    [r"\w+", r"\W+", r"\d\D", r"[^\W\d_]+", "[à-ÿ]", "[àé]?b", "«.+»", r"[\w']+ °", "é{2}|ß"],
)
@given(text=st.text(WESTERN, max_size=4) | st.sampled_from(["éé", "«là»", "ß", "l'été °", "7é"]))
def test_letters_and_digits_beyond_ascii_are_those_of_unicode(expression: str, text: str) -> None:
    assert matches(PatternGuide(expression, WESTERN), text) == bool(re.fullmatch(expression, text))


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("e\u0301te\u0301", "été"),  # decomposed
        ("l\u2019[e\u0301]", "l'é"),
        ("[a\u2013c]{3}", "a-c"),  # a dash in a class is no range
        ("\u201eja\u201d", '„ja"'),
        ("\\d+\u2026", "7..."),
        ("(\u2026a){2}", "...a...a"),
        ("(\u2026|a)", "..."),
        ("ja\u00addoch", "jadoch"),
        ("\\\u2026", "..."),
    ],
)
def test_typographic_and_decomposed_characters_are_taken_as_plain_ones(
    expression: str, text: str
) -> None:
    guide = PatternGuide(expression, WESTERN)
    assert matches(guide, text)
    assert not matches(guide, text.replace("-", "b").replace(".", "x") + "x")
