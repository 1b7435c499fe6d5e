"""Compare what the servers of two checkouts answer in several hundred conversations.

    python -m tools.compare_conversations OLD NEW

OLD and NEW are folders of checkouts. Each serves `digits` and `lines` with the language model
`english` on a free port of 127.0.0.1, and further servers with small limits, keys and short times.
The conversations (see `conversations`) are made once, from a seed, and run with both servers. After
each message the client sends a `ping` and waits for its `pong`, so that no answer depends on how
messages were batched. All messages of the server are recorded unchanged, with the closing code and
its reason; REST answers with status, headers and body.

Random values and measured times are replaced by `*` before the comparison: the session's name in
`ready`, `seconds` in `done`, request ids, and the REST headers Date and X-Request-Id.

The command prints the name of each conversation that differs, and the first few differences;
progress goes to standard error. The exit code is 0 if all are equal, else 1.

    --ignore-error-texts    neither the `message` of errors nor the length of a REST answer is
                            compared, everything else is
    --ignore-header NAME    this header of REST answers is not compared
    --allow FILE            differences are expected in the conversations whose names, or patterns
                            such as `rest: page *`, are in FILE, one a line; `#` begins a comment
    --transcripts FOLDER    all conversations are written down

The handwriting is drawn by the code of the repository that this command belongs to. UNIPEN must
have been read once: `inkstream data unipen ARCHIVE`.
"""

import asyncio
import difflib
import hashlib
import http.client
import json
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import click
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tools.checkouts import COMMAND_LINE, CheckoutError, Process, checked, start
from tools.conversations import SERVERS, Conversation, Frame, Request, conversations
from tools.handwriting import draw
from tools.invalid_messages import message
from tools.requests import requests

Replacement = tuple[re.Pattern[str], str]  # what is replaced, and by what

COUNTS: Final = (200, 200, 60)  # digits, words and lines that are drawn
QUICK: Final = 10  # so many times fewer conversations with --quick
DEADLINE_S: Final = 60.0  # longest wait for one answer, and for a server's start
POLL_S: Final = 0.05  # between two checks whether a server listens
MAX_CONVERSATIONS_SHOWN: Final = 5  # conversations whose differences are printed
MAX_LINES_SHOWN: Final = 30  # of a difference
MAX_MESSAGE_CHARACTERS: Final = 200  # of a message

# Random values and measured times.
RANDOM: Final[tuple[Replacement, ...]] = (
    (re.compile(r'^(< \{"type":"ready".*?"session":)"[^"]*"', re.MULTILINE), r'\1"*"'),
    (re.compile(r'^(< \{"type":"done".*"seconds":)[0-9.e-]+', re.MULTILINE), r"\1*"),
    (re.compile(r'("request_id": ?)"[^"]*"'), r'\1"*"'),
)
RANDOM_HEADERS: Final = ("date", "x-request-id")
ERROR_TEXTS: Final = (
    (re.compile(r'("code": ?"[^"]*", ?"message": ?)"(?:[^"\\]|\\.)*"'), r'\1"*"'),
    (re.compile(r"^(< content-length:) \d+$", re.MULTILINE), r"\1 *"),
)
PROSE: Final = ("description", "summary", "title", "info", "examples", "example")

Transcripts = dict[str, list[str]]  # of each conversation, by its name


@click.command()
@click.argument("old", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--quick", is_flag=True, help="a tenth of the conversations")
@click.option("--ignore-error-texts", is_flag=True, help="the texts of errors may differ")
@click.option(
    "--ignore-header", "headers", multiple=True, help="name of a REST header that is not compared"
)
@click.option(
    "--allow",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="file of the names of conversations that may differ, one a line",
)
@click.option(
    "--transcripts",
    type=click.Path(file_okay=False, path_type=Path),
    help="folder in which all conversations are written down, a file for each",
)
def main(
    old: Path,
    new: Path,
    *,
    quick: bool,
    ignore_error_texts: bool,
    headers: tuple[str, ...],
    allow: Path | None,
    transcripts: Path | None,
) -> None:
    """Compare what the servers of two checkouts, OLD and NEW, answer."""
    started_s = time.perf_counter()
    checkouts = [checked(old), checked(new)]
    allowed = [] if allow is None else names_in(allow.read_text())
    handwriting = draw(*COUNTS)
    conversations_and_requests: list[Conversation | Request] = [
        *conversations(handwriting),
        *requests(handwriting),
    ]
    if quick:
        conversations_and_requests = conversations_and_requests[::QUICK]
    before, after = asyncio.run(run_on_all(checkouts, conversations_and_requests))
    if transcripts is not None:
        write_transcripts(transcripts / "old", before)
        write_transcripts(transcripts / "new", after)
    n_messages = sum(line.startswith("<") for lines in before.values() for line in lines)
    click.echo(
        f"{len(conversations_and_requests)} conversations, {n_messages} answers of the old server"
    )
    ignored = [*(ERROR_TEXTS if ignore_error_texts else ()), *map(without_header, headers)]
    equal = compare(before, after, allowed, ignored)
    click.echo(f"{'equal' if equal else 'DIFFERENT'}, {time.perf_counter() - started_s:.0f} s")
    sys.exit(0 if equal else 1)


def write_transcripts(folder: Path, transcripts: Transcripts) -> None:
    """Write each transcript to a text file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in transcripts.items():
        (folder / f"{re.sub(r'[^a-zA-Z0-9]+', '-', name)}.txt").write_text("\n".join(lines) + "\n")


def names_in(text: str) -> list[str]:
    """Return the names and patterns that a file lists."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def compare(
    old: Transcripts,
    new: Transcripts,
    allowed: Sequence[str],
    ignored: Sequence[Replacement] = (),
) -> bool:
    """Print all differences; return whether all of them are allowed.

    Differences are expected in conversations of the names or patterns `allowed`; `ignored` replaces
    texts that are not compared.
    """
    different = {}
    for name, lines in old.items():
        pair = [normalised(each, ignored) for each in (lines, new[name])]
        if pair[0] != pair[1]:
            different[name] = pair
    expected = [name for name in different if any(fnmatchcase(name, each) for each in allowed)]
    unexpected = [name for name in different if name not in expected]
    for name in expected:
        click.echo(f"differs as expected: {name}")
    for name in unexpected:
        click.echo(f"DIFFERS: {name}")
    for name in unexpected[:MAX_CONVERSATIONS_SHOWN]:
        click.echo(f"\n{name}")
        before, after = different[name]
        lines = list(difflib.unified_diff(before, after, "old", "new", lineterm="", n=1))
        for line in lines[:MAX_LINES_SHOWN]:
            click.echo(f"  {line}")
    return not unexpected


def normalised(lines: Sequence[str], ignored: Sequence[Replacement]) -> list[str]:
    """Return a transcript without random and ignored texts."""
    text = "\n".join(lines)
    for pattern, replacement in (*RANDOM, *ignored):
        text = pattern.sub(replacement, text)
    return text.split("\n")


def without_header(name: str) -> Replacement:
    """Return the replacement that removes a REST header from a transcript."""
    return re.compile(rf"^< {re.escape(name.lower())}: .*\n", re.MULTILINE), ""


async def run_on_all(
    checkouts: Sequence[Path], conversations_and_requests: Sequence[Conversation | Request]
) -> list[Transcripts]:
    """Run all conversations with the servers of each checkout."""
    return await asyncio.gather(
        *(run_on_server(checkout, conversations_and_requests) for checkout in checkouts)
    )


async def run_on_server(
    checkout: Path, conversations_and_requests: Sequence[Conversation | Request]
) -> Transcripts:
    """Run all conversations with the servers of one checkout, one server at a time."""
    transcripts: Transcripts = {}
    for name, flags in SERVERS.items():
        of_server = [each for each in conversations_and_requests if each.server == name]
        if not of_server:
            continue
        click.echo(
            f"{checkout.name}: {len(of_server)} conversations with the {name} server", err=True
        )
        async with serving(checkout, flags) as (process, port):
            for each in of_server:
                try:
                    async with asyncio.timeout(DEADLINE_S):
                        if isinstance(each, Request):
                            lines = await asyncio.to_thread(request_lines, each, port)
                        else:
                            lines = [line async for line in conversation_lines(each, port, process)]
                except TimeoutError:
                    text = f"no answer of {checkout} within {DEADLINE_S:g} s: {each.name}"
                    raise CheckoutError(text) from None
                transcripts[each.name] = lines
    return transcripts


@asynccontextmanager
async def serving(checkout: Path, flags: Sequence[str]) -> AsyncIterator[tuple[Process, int]]:
    """Run a server of a checkout while the block runs; yield its process and port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = ("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning")
    with tempfile.TemporaryFile() as output:
        process = start(
            checkout, ["-c", COMMAND_LINE, str(checkout), "serve", *address, *flags], output
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not await listens(port):
                    if process.poll() is not None:
                        output.seek(0)
                        text = output.read().decode(errors="replace")
                        raise CheckoutError(f"the server of {checkout} ended:\n{text}")
                    await asyncio.sleep(POLL_S)
            yield process, port
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


async def listens(port: int) -> bool:
    """Return whether a server listens on this port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def conversation_lines(
    conversation: Conversation, port: int, process: Process
) -> AsyncIterator[str]:
    """Run one conversation; yield its messages, `>` from the client and `<` from the server."""
    yield f"> open {conversation.target}"
    async with AsyncExitStack() as stack:
        for address in conversation.others:
            other = await stack.enter_async_context(connection_of(conversation, port, address))
            await other.recv()
        try:
            client = await stack.enter_async_context(connection_of(conversation, port))
        except InvalidStatus as error:
            answer = error.response
            for line in answer_lines(
                answer.status_code, list(answer.headers.raw_items()), bytes(answer.body or b"")
            ):
                yield line
            return
        yield f"< accepted, subprotocol {client.subprotocol}"
        try:
            yield f"< {(await client.recv())!s}"
            for number, frame in enumerate(conversation.frames):
                yield f"> {abbreviated(frame.data)}"
                await client.send(frame.data, text=True if frame.as_text else None)
                async for line in messages_until_pong(client, frame, number):
                    yield line
            if conversation.stops_server:
                process.terminate()
            while conversation.waits:
                yield f"< {(await client.recv())!s}"
        except ConnectionClosed as closed:
            closing = closed.rcvd
            code = "no closing code" if closing is None else f"{closing.code} {closing.reason}"
            yield f"< closed: {code}"


def connection_of(conversation: Conversation, port: int, address: str = "") -> connect:
    """Return the connection of a conversation's client, or of another one at `address`."""
    return connect(
        f"ws://127.0.0.1:{port}{conversation.target}",
        subprotocols=[Subprotocol(name) for name in conversation.subprotocols] or None,
        additional_headers=conversation.headers,
        user_agent_header=None,
        compression=None,
        max_size=None,
        open_timeout=DEADLINE_S,
        ping_interval=None,
        local_addr=(address or conversation.address, 0),
    )


async def messages_until_pong(
    client: ClientConnection, frame: Frame, number: int
) -> AsyncIterator[str]:
    """Yield the server's messages up to the pong that follows the answers to a frame."""
    if not frame.waits_for_answers or (
        isinstance(frame.data, str) and '"type": "end"' in frame.data
    ):
        return
    ping_id = f"behind frame {number}"
    await client.send(message("ping", id=ping_id))
    while True:
        text = await client.recv()
        yield f"< {text!s}"
        if ping_id in str(text) and json.loads(text)["type"] == "pong":
            return


def request_lines(request: Request, port: int) -> list[str]:
    """Send one REST request and return the request and its answer as lines."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request(request.method, request.target, request.body, request.headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    head = f"> {request.method} {request.target} {abbreviated(request.body)}"
    if request.compared == "body":
        return [head, *answer_lines(answer.status, answer.getheaders(), body)]
    if request.compared == "names of metrics":
        names = {re.split(rb"[{ ]", line)[0].decode() for line in body.splitlines()}
        return [head, *(f"< {name}" for name in sorted(names - {"#"}))]
    description = json.dumps(without_prose(json.loads(body)), indent=1, sort_keys=True)
    return [head, *(f"< {line}" for line in description.split("\n"))]


def without_prose(value: Any) -> Any:
    """Return a JSON value without descriptions and examples."""
    match value:
        case dict():
            return {
                name: without_prose(item)
                for name, item in value.items()
                if name not in PROSE or isinstance(item, dict)
            }
        case list():
            return [without_prose(item) for item in value]
    return value


def answer_lines(status: int, headers: Sequence[tuple[str, str]], body: bytes) -> Iterator[str]:
    """Yield an HTTP answer as lines, a binary body as its size and digest."""
    yield f"< {status}"
    for name, value in sorted((name.lower(), value) for name, value in headers):
        yield f"< {name}: {'*' if name in RANDOM_HEADERS else value}"
    try:
        yield from (f"< {line}" for line in body.decode().split("\n"))
    except UnicodeDecodeError:
        yield f"< {abbreviated(body)}"


def abbreviated(data: str | bytes) -> str:
    """Return the beginning of a text, or the size and digest of bytes."""
    if isinstance(data, bytes):
        return f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
    dots = "..." if len(data) > MAX_MESSAGE_CHARACTERS else ""
    return repr(data[:MAX_MESSAGE_CHARACTERS]) + dots


if __name__ == "__main__":
    main()
