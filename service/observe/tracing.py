"""The trace that a session or a request belongs to, for its log lines: W3C Trace Context, level 1.

A client, or a proxy before it, sends `traceparent` as a header. A browser's WebSocket cannot send
headers, so the query may have it too. https://www.w3.org/TR/trace-context/
"""

import re
from typing import Final

TRACEPARENT: Final = "traceparent"  # the header, and the parameter of the query
_TRACEPARENT_PATTERN: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})"
    r"(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?P<later>-.*)?"
)


def trace_of(header: str | None, parameter: str | None) -> dict[str, str]:
    """Return `trace_id` and `span_id`, of the header if it has them, else of the query's parameter.

    What is no `traceparent` is ignored, as the standard wants it: the result is empty then.
    """
    for text in (header, parameter):
        match = _TRACEPARENT_PATTERN.fullmatch(text or "")
        if match and not (match["version"] == "00" and match["later"]):
            return {"trace_id": match["trace"], "span_id": match["span"]}
    return {}
