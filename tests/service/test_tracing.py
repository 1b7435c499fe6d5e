"""W3C Trace Context: which texts name a trace."""

import pytest

from inkstream.service.observe.tracing import trace_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FOUND = {"trace_id": TRACE, "span_id": SPAN}
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "text", [GOOD, f"00-{TRACE}-{SPAN}-ff", f"01-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-00-more"]
)
def test_a_valid_text_names_its_trace(text: str) -> None:
    assert trace_of(text, None) == trace_of(None, text) == trace_of(text, "x") == FOUND
    assert trace_of("x", text) == FOUND


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", GOOD.upper(), GOOD + "-more", GOOD + "\n", f"ff-{TRACE}-{SPAN}-01", GOOD[:-1]),
        *(f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"0-{TRACE}-{SPAN}-01"),
    ],
)
def test_any_other_text_names_none(text: str) -> None:
    assert trace_of(text, text) == {}


def test_the_header_wins() -> None:
    other = GOOD.replace("0af7", "1af7")
    assert trace_of(GOOD, other) == FOUND
