"""Feed bytes, chosen by the branches that they take, to what reads bytes of strangers.

    python -m tools.fuzz messages --seconds 3600

A target may raise an `InkstreamError` and nothing else. Bytes that make it raise another error, or
take too long, are kept in the folder of findings. Times are those of the processor, so other
programs may run beside it. What was chosen is kept in `NAME/corpus` there: a run that is stopped
says how far it came, and the next one goes on from there, best with another seed. This needs
Atheris, which is no dependency of ours: `pip install atheris`.
"""

import asyncio
import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

INKML: Final = b"""<ink xmlns="http://www.w3.org/2003/InkML">
<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/></traceFormat>
<annotation type="writer">w</annotation><trace id="a">1 2, 3 4, '1 '1</trace>
<traceGroup><annotation type="truth">x</annotation><traceView traceDataRef="#a"/></traceGroup></ink>
"""

Target = Callable[[bytes], object]
Fuzzed = tuple[Target, list[bytes]]  # and what to begin with


def messages() -> Fuzzed:
    """Text frames of clients."""
    from inkstream.service.protocol.client_messages import parse_client

    return lambda data: parse_client(data.decode("utf-8", "replace")), _texts()


def _texts() -> list[bytes]:
    from tests.helpers.mutations import MESSAGES

    return [json.dumps(message).encode() for message in MESSAGES]


def ink() -> Fuzzed:
    """Text frames to a session, which carries out and draws what they say."""
    from inkstream.model import checkpoint
    from inkstream.model.runtime import Runtime
    from tests.helpers.single_session import SessionClient, message

    runtime = Runtime(checkpoint.read(checkpoint.find("lines")))
    first = message(
        "ink", strokes=[{"id": 1, "points": [[3, 4], [9, 20]], "last": False}], height=32
    )

    def send(data: bytes) -> None:
        client = SessionClient(runtime)
        for text in (first, *data.decode("utf-8", "replace").split("\n")[:8]):
            if client.close is None:
                client.ask(text)

    texts = _texts()
    return send, [b"\n".join(texts[i : i + 4]) for i in range(len(texts))]


def frames() -> Fuzzed:
    """Bytes on a WebSocket after its handshake."""
    from inkstream.service.server.frames import WebSocketConnection
    from tests.helpers.mutations import Mutator
    from tests.service.server.test_connections import opened

    loop = asyncio.new_event_loop()

    async def feed(data: bytes) -> None:
        async with opened(WebSocketConnection, direct=True) as peer:
            await peer.feed([data[:7], data[7:]])

    mutator = Mutator(0)
    return lambda data: loop.run_until_complete(feed(data)), [mutator.frames() for _ in range(50)]


def inkml() -> Fuzzed:
    """Files of ink."""
    from inkstream.model.preprocess import inkml

    return inkml.read, [INKML]


def images() -> Fuzzed:
    """Image files, up to their pixels."""
    from PIL import Image

    from inkstream.model.preprocess.image import read_image

    drawn = Image.new("L", (9, 7), 255)
    drawn.putpixel((3, 3), 0)
    seeds = []
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        drawn.save(file := io.BytesIO(), form)
        seeds.append(file.getvalue())

    def read(data: bytes) -> object:
        return read_image(data, max_pixels=1 << 20, max_side=2048, max_kept=1 << 20)

    return read, seeds


def patterns() -> Fuzzed:
    """Regular expressions of a field."""
    from inkstream.model.decoding.regex import PatternGuide

    seeds = [b"[a-z]{3}", b"(a|b)*c?", b"\\d+[.,]\\d{2}", b"a.*(b|cd)+[^x]{2,5}", b"(?:ab){1,64}"]
    labels = tuple("abcdefghijklmnopqrstuvwxyz .,")
    return lambda data: PatternGuide(data.decode("utf-8", "replace"), labels), seeds


def language() -> Fuzzed:
    """Language models whose digest is right, and texts read with them."""
    from inkstream.model.decoding.ngrams import FORMAT, Language
    from tests.helpers.languages import sealed
    from tests.helpers.single_session import LITTLE

    path = Path(tempfile.mkdtemp()) / "fuzzed.ngrams"
    LITTLE.save(path)
    start = len(FORMAT) + 2 * hashlib.sha256().digest_size + 1

    def load(data: bytes) -> None:
        path.write_bytes(sealed(data))
        loaded = Language.load(path)
        loaded.after("".join(loaded.index) * 2)

    return load, [path.read_bytes()[start:]]


def metadata() -> Fuzzed:
    """What a checkpoint says of itself."""
    from inkstream.model.checkpoint import Metadata, find, read

    known = [read(find(name)).metadata.to_json().encode() for name in ("digits", "lines")]
    return lambda data: Metadata.from_json(data.decode("utf-8", "replace")), known


def snapshot() -> Fuzzed:
    """Blobs that clients bring back to resume, and what is sealed in them."""
    from inkstream.model import checkpoint
    from inkstream.model.errors import InkstreamError
    from inkstream.model.runtime import Runtime
    from inkstream.service.protocol.server_messages import Snapshot
    from inkstream.service.sealing import Sealer, random_key
    from inkstream.service.session.snapshot import decode
    from tests.helpers.single_session import SessionClient, message

    seals = Sealer([random_key()], "snapshot of the model")
    runtime = Runtime(checkpoint.read(checkpoint.find("lines")))
    client = SessionClient(runtime, seals=seals)
    columns = bytes([0, 9, 200, 255] * 8) * 100
    answers = client.ask(message("configure", snapshot_columns=64), columns)
    (known,) = (answer for answer in answers if isinstance(answer, Snapshot))
    content = seals.open(known.blob, b"")

    def read(data: bytes) -> None:
        with contextlib.suppress(InkstreamError):
            seals.open(data.decode("latin-1"), b"")
        decode(data)

    return read, [known.blob.encode(), content]


TARGETS: Final = {
    target.__name__: target
    for target in (messages, ink, frames, inkml, images, patterns, language, metadata, snapshot)
}
OF_JSON: Final = ("messages", "ink", "metadata")  # lines of JSON, which changed bytes seldom remain


def mutate_json(data: bytes, max_bytes: int, seed: int) -> bytes:
    """Change a value in one line of JSON, or some bytes of a line."""
    from tests.helpers.mutations import Mutator

    mutator = Mutator(seed)
    lines = data.split(b"\n")
    chosen = mutator.random.randrange(len(lines))
    try:
        lines[chosen] = mutator.text(json.loads(lines[chosen]))
    except (ValueError, RecursionError):
        lines[chosen] = mutator.changed(lines[chosen])
    return b"\n".join(lines)[:max_bytes]


@click.command()
@click.argument("name", type=click.Choice(sorted(TARGETS)))
@click.option("--seconds", default=60, type=click.IntRange(1), help="of the processor")
@click.option("--seed", default=1, type=click.IntRange(1), help="of the random numbers")
@click.option("--findings", default="findings", help="folder for inputs that fail")
def fuzz(name: str, seconds: int, seed: int, findings: str) -> None:
    """Fuzz the target NAME."""
    import atheris  # type: ignore[import-untyped]  # it has no types

    from inkstream.model.errors import InkstreamError

    with atheris.instrument_imports(include=["inkstream"]):
        target, seeds = TARGETS[name]()

    folder = Path(findings) / name
    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed_bytes in enumerate(seeds):
        (corpus / f"{number}").write_bytes(seed_bytes)
    # A dictionary of libFuzzer, which puts its entries anywhere: words of JSON.
    entries = {word.decode() for text in seeds for word in re.findall(rb'"(\w+)"', text)}
    words.write_text("".join(f'"\\"{word}\\""\n' for word in sorted(entries)))
    counted = itertools.count(1)
    begin_s = time.process_time()
    signal.signal(signal.SIGTERM, lambda *_: finish(next(counted) - 1))

    def finish(n_runs: int) -> None:
        spent_s = time.process_time() - begin_s
        click.echo(f"{name}: nothing found in {n_runs:,} runs, {spent_s:.0f} s, seed {seed}")
        sys.stdout.flush()
        os._exit(0)  # libFuzzer cannot be asked to end

    def run(data: bytes) -> None:
        start_s = time.process_time()
        with contextlib.suppress(InkstreamError):
            target(data)
        now_s = time.process_time()
        if now_s - start_s > 1:
            raise TimeoutError(f"took {now_s - start_s:.1f} s, allowed: 1 s")
        n_runs = next(counted)
        if now_s > begin_s + seconds:
            finish(n_runs)

    arguments = [
        sys.argv[0],
        f"-seed={seed}",
        "-timeout=300",  # seconds of the clock, so that a target that waits is found too
        "-max_len=65536",
        f"-artifact_prefix={folder}/",
        f"-dict={words}",
        "-keep_seed=1",  # also where branches in C, which are not seen, make the difference
        # Atheris 3.0 keeps all arrays that are compared: 4 kB a run of `ink`.
        "-rss_limit_mb=4096",
        "-handle_term=0",
        str(corpus),
    ]
    changes = {"custom_mutator": mutate_json} if name in OF_JSON else {}
    atheris.Setup(arguments, run, **changes)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz()
