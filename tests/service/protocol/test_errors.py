"""Every error of a client has a stable code, each with one closing code and HTTP status."""

from collections.abc import Iterator

import pytest

from inkstream.model.errors import InkstreamError, InputError
from inkstream.service import app, session
from inkstream.service.cli import main as cli
from inkstream.service.client import stream as client
from inkstream.service.protocol.errors import MEANINGS, MessageError, ServiceError

MODULES = (app, cli, client, session)  # importing them defines every error
# The client's, the bench's, and that of a snapshot that is refused.
NOT_ON_THE_WIRE = {"bad_call", "no_connection", "stream_ended", "bench_failed", "not_resumable"}
NORMAL = {1001, 1011, 1013}  # RFC 6455, and the IANA registry of closing codes
OWN = {4400, 4401, 4403, 4404, 4408, 4413, 4421, 4429, 4440}


def subclasses(root: type[InkstreamError]) -> Iterator[type[InkstreamError]]:
    yield root
    for kind in root.__subclasses__():
        yield from subclasses(kind)


def test_every_code_has_a_meaning_and_every_meaning_a_code() -> None:
    assert {kind.code for kind in subclasses(InkstreamError)} - NOT_ON_THE_WIRE == MEANINGS.keys()


@pytest.mark.parametrize("code", MEANINGS)
def test_a_meaning_is_one_of_the_protocols_codes(code: str) -> None:
    assert MEANINGS[code].closing in NORMAL | OWN
    assert 400 <= MEANINGS[code].http < 600


def test_closing_codes_and_http_statuses_agree() -> None:
    for code, meaning in MEANINGS.items():
        is_internal = code in ("internal", "bad_config", "bad_data", "bad_checkpoint")
        assert (meaning.http == 500) == (meaning.closing == 1011) == is_internal
        if 4401 <= meaning.closing <= 4404 or meaning.closing in (4413, 4421, 4429):
            assert meaning.closing - 4000 == meaning.http


def test_a_refused_message_and_a_refused_session_have_different_classes() -> None:
    for kind in subclasses(MessageError):
        assert issubclass(kind, InputError)
        assert MEANINGS[kind.code].closing == 4400
    assert not issubclass(ServiceError, InputError)
