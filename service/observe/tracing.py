"""The trace that a session or a request belongs to, for its log lines: W3C Trace Context, level 1.

A client, or a proxy before it, sends `traceparent` as a header. A browser's WebSocket cannot send
headers, so the query may have it too. https://www.w3.org/TR/trace-context/
"""

import re
from typing import Final

TRACEPARENT: Final = "traceparent"  # the header, and the parameter of the query
_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_NO_VERSION: Final = "ff"


def trace_of(header: str | None, parameter: str | None) -> dict[str, str]:
    """Return `trace_id` and `span_id`, of the header if it has them, else of the query's parameter.

    What is no `traceparent` is ignored, as the standard wants it: the result is empty then.
    """
    for text in (header, parameter):
        found = _FORM.fullmatch(text or "")
        if found is None or found[1] == _NO_VERSION or (found[1] == "00" and found[4]):
            continue
        if int(found[2], 16) and int(found[3], 16):
            return {"trace_id": found[2], "span_id": found[3]}
    return {}
