"""The bench reports every measurement, and a load counts complete and late answers."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from inkstream.model.config import Kind
from inkstream.model.runtime import Runtime
from inkstream.service.bench import compare, writers
from inkstream.service.bench.compare import Report
from inkstream.service.bench.load import (
    MASK,
    Connection,
    Load,
    LoadError,
    Measured,
    frame,
    ink,
    put,
)
from inkstream.service.bench.pens import Sent, column_messages, ink_messages
from inkstream.service.bench.processes import ROOT, serving_peer
from inkstream.service.cli.main import cli
from inkstream.service.protocol.server_messages import Error, Flushed
from inkstream.service.settings import Settings
from tests.helpers import builders
from tests.helpers.single_session import SessionClient

pytestmark = pytest.mark.slow

RESULT = b'{"type":"result","seq":1,"column":0,"probabilities":[["a",1.0]]}'
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

Bench = tuple[Report, str, Path]  # figures, text, folder of the files


class RecordingTransport(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))


def text_frame(payload: bytes) -> bytes:
    """Return a server's frame, which is not masked."""
    assert len(payload) < 126
    return bytes([0x81, len(payload)]) + payload


def connected(load: Load) -> tuple[Connection, RecordingTransport, asyncio.Future[None]]:
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    connection = Connection(load, b"message", failure)
    transport = RecordingTransport()
    connection.connection_made(transport)
    return connection, transport, failure


# Load


def test_a_client_frame_carries_its_length_in_the_form_that_fits() -> None:
    assert frame(0x82, b"x" * 28) == b"\x82\x9c" + MASK + b"x" * 28
    assert frame(0x82, b"x" * 784) == b"\x82\xfe\x03\x10" + MASK + b"x" * 784
    with pytest.raises(LoadError, match="message of 65536 bytes"):
        frame(0x82, b"x" * 65536)


def test_ink_is_the_same_every_time_and_mostly_paper() -> None:
    columns = ink(28, 28)
    assert len(columns) == 784
    assert columns == ink(28, 28)
    assert 400 < columns.count(0) < 700


@pytest.mark.parametrize("n_bytes", [1, 7, 100_000])
async def test_results_are_counted_in_chunks_of_any_size(n_bytes: int) -> None:
    connection, transport, failure = connected(Load(port=1, n_results=2))
    connection.send(0.0)
    stream = UPGRADED + text_frame(b'{"type":"ready"}') + 4 * text_frame(RESULT)
    for start in range(0, len(stream), n_bytes):
        connection.data_received(stream[start : start + n_bytes])
    assert len(connection.answered) == 2
    assert transport.written[1:] == [b"message"] * 3  # the first, and one after each answered pair
    assert not failure.done()


@pytest.mark.parametrize("load", [Load(port=1, messages_per_s=10), Load(port=1, writers="ink")])
async def test_an_open_load_sends_nothing_by_itself_and_pongs_answer_ink(load: Load) -> None:
    connection, transport, _ = connected(load)
    connection.data_received(UPGRADED)
    connection.send(1.0, b"ink")
    connection.data_received(text_frame(RESULT))
    assert len(connection.answered) == (load.writers == "")
    connection.data_received(text_frame(b'{"type":"pong","id":null}'))
    assert [due_s for due_s, _ in connection.answered] == [1.0]
    assert transport.written[1:] == [b"ink"]


@asynccontextmanager
async def answering_server(stall_s: float = 0.0) -> AsyncIterator[tuple[int, set[str]]]:
    """Answer each message of WebSockets, but after 40 of one stop for a while.

    Yield the port, and the addresses of the clients.
    """
    addresses: set[str] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        addresses.add(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            for number in itertools.count():
                await reader.readexactly(len(frame(0x82, bytes(28))))
                if number == 40:
                    await asyncio.sleep(stall_s)
                writer.write(text_frame(RESULT))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], addresses


@pytest.mark.parametrize(("stall_s", "p50_ms"), [(0.7, 100), (60.0, 0)])
async def test_all_messages_are_late_that_were_due_in_a_stall_of_the_server(
    stall_s: float, p50_ms: float
) -> None:
    async with answering_server(stall_s) as (port, _):
        load = Load(port=port, connections=1, warm_up_s=0.1, seconds=1.0, messages_per_s=100.0)
        measured = await put(load)
    # Most of the time was a stall. Were times counted from the sending that waits for an answer,
    # one message of a hundred would be late.
    assert measured.p50_ms > p50_ms
    assert measured.p99_ms > 300
    assert stall_s < 1 or measured.answered_per_s < 60


async def test_each_connection_comes_from_an_address_of_its_own() -> None:
    async with answering_server() as (port, addresses):
        await put(Load(port=port, connections=300, warm_up_s=0.1, seconds=0.1))
    assert len(addresses) == 300


async def test_a_ping_is_answered_with_its_own_payload() -> None:
    connection, transport, _ = connected(Load(port=1))
    connection.data_received(UPGRADED + b"\x89\x02hi")
    assert transport.written[-1] == b"\x8a\x82" + MASK + b"hi"


@pytest.mark.parametrize(
    ("data", "quoted"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
        (UPGRADED + text_frame(b'{"type":"error","code":"bad_columns"}'), "bad_columns"),
        (UPGRADED + b"\x88\x06\x10\x00full?", "full"),
        (UPGRADED, r"closed the connection \(reset by peer"),
    ],
)
async def test_a_refusal_is_a_failure_that_quotes_the_server(data: bytes, quoted: str) -> None:
    connection, _, failure = connected(Load(port=1))
    connection.data_received(data)
    connection.connection_lost(ConnectionResetError("reset by peer"))
    with pytest.raises(LoadError, match=quoted):
        failure.result()


async def test_a_port_without_a_server_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(LoadError, match=f"no connection to port {port}"):
            await put(Load(port=port))


# Pens


def sent(messages: Iterator[Sent], seconds: float) -> list[Sent]:
    return list(itertools.takewhile(lambda message: message.due_s < seconds, messages))


@pytest.mark.parametrize("kind", ["classifier", "transcriber"])
def test_a_writer_sends_valid_ink_in_order_and_repeatably(kind: Kind, tmp_path: Path) -> None:
    ink = sent(ink_messages(3, kind), 20)
    assert ink == sent(ink_messages(3, kind), 20)
    assert ink != sent(ink_messages(4, kind), 20)
    times_s = [each.due_s for each in ink]
    assert times_s == sorted(times_s)
    assert 5 < len(ink) / 20 < 100
    make = builders.checkpoint if kind == "classifier" else builders.line_checkpoint
    client = SessionClient(Runtime(make(tmp_path / "tiny.onnx")), Settings.load().limits)
    for each in ink:
        client.send(each.data)
        client.drain()
    assert not [message for message in client.received if isinstance(message, Error)]
    assert [message for message in client.received if isinstance(message, Flushed)]


def test_a_line_has_a_start_pauses_and_an_end() -> None:
    starts: list[float] = []
    for number in range(20):
        line: list[float] = []
        messages = [json.loads(each.data) for each in sent(ink_messages(number, "transcriber"), 60)]
        for message in messages:
            line += [x for stroke in message.get("strokes", ()) for x, _ in stroke["points"]]
            if message["type"] == "flush":
                starts.append(min(line))
                line = []
        types = [message["type"] for message in messages]
        assert types.count("flush") == types.count("reset") > 0
        strokes = [stroke for message in messages for stroke in message.get("strokes", ())]
        assert any(stroke["last"] for stroke in strokes)
        assert any(message.get("pause") for message in messages)
        assert len(strokes[0]["points"]) == 1  # at once when the pen comes down
    # The first line begins at its start too; points are samples of the way.
    assert 0 < min(starts) <= max(starts) < min(starts) + 1


def test_columns_of_a_writer_come_one_by_one_at_an_even_pace() -> None:
    columns = [each for each in sent(column_messages(0, "transcriber", 32), 4) if each.answered]
    assert {len(each.data) for each in columns} == {32}
    assert any(any(each.data) for each in columns)
    assert 60 <= len(columns) / 4 <= 200


# Compare


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Run one short bench of a tiny net and of the shipped one for lines."""
    folder = tmp_path_factory.mktemp("bench")
    path = builders.checkpoint(folder / "tiny.onnx").path
    options = ["--model", str(path), "--model", "lines", "--before", str(ROOT)]
    options += ["--sessions", "8", "--writers", "4", "--seconds", "0.2", "--rounds", "1"]
    options += ["--json", str(folder / "bench.json"), "--plot", str(folder / "bench.png")]
    result = CliRunner().invoke(cli, ["bench", "compare", *options])
    assert result.exit_code == 0, result.output
    figures = json.loads((folder / "bench.json").read_text("utf-8"))
    return Report(**figures), result.output, folder


def test_every_measurement_is_in_figures_and_text(report: Bench) -> None:
    whole, text, folder = report
    assert (folder / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert len(whole.models) == 2
    for figures in whole.models.values():
        assert set(figures.rates) == set(compare.TITLES) - set(compare.WITH_INK)
        assert all(rate > 0 for rates in figures.rates.values() for rate in rates)
        assert set(figures.server_us) == set(compare.WORKLOADS)
        assert set(figures.latencies) == set(compare.PACED)
        assert set(figures.ink) == set(compare.WITH_INK)
    assert "stream_1 / echo_1" in text
    assert "stream_1 / before_1 CPU" in text
    assert "stream_ink / before_ink CPU" in text
    assert whole.machine["cores"] in text


def test_a_server_that_had_no_time_left_is_warned_of() -> None:
    measured = Measured(answered_per_s=5000, p50_ms=1, p99_ms=1, load_cores=0.1, server_us=198)
    for server_us, warns in ((198, True), (190, False), (None, False)):  # None: not measured
        ink = {"stream_ink": [measured.model_copy(update={"server_us": server_us})]}
        figures = compare.Figures(model="tiny", kind="transcriber", ink=ink)
        assert ((compare.WARNING,) in figures.rows()) == warns


def test_a_server_that_cannot_start_ends_the_bench(tmp_path: Path) -> None:
    with (
        pytest.raises(LoadError, match=r"echo ended with 1 before it listened: .*absent\.onnx"),
        serving_peer("echo", str(tmp_path / "absent.onnx")),
    ):
        pass


def test_the_service_is_faster_than_a_simple_server(report: Bench) -> None:
    """The bound is generous: other tests run at the same time."""
    ratios = {ratio.name: values[0] for ratio, values in report[0].models["lines"].ratios()}
    assert ratios["stream_1 / afternoon_1"] > 1.5


# Writers


@pytest.mark.parametrize("most", [0, 1, 2, 63, 64, 65, 500, 1234])
@pytest.mark.parametrize("first", [1, 64])
def test_the_largest_number_in_time_is_found(most: int, first: int) -> None:
    tried: list[int] = []

    def is_in_time(writers: int) -> bool:
        tried.append(writers)
        return writers <= most

    found = writers.largest(is_in_time, first)
    assert most / writers.PRECISION - 1 <= found <= most
    assert len(tried) == len(set(tried)) <= 20


def test_writers_are_counted_and_drawn(tmp_path: Path) -> None:
    path = builders.line_checkpoint(tmp_path / "small.onnx").path
    options = ["--model", str(path), "--seconds", "0.3", "--repeats", "1"]
    options += ["--json", str(tmp_path / "writers.json"), "--plot", str(tmp_path / "writers.png")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "FIRST", 1)
        patch.setattr(writers, "PRECISION", 4.0)
        result = CliRunner().invoke(cli, ["bench", "writers", *options])
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "writers.json").read_text("utf-8"))
    counted = writers.Report(**figures)
    assert counted.title in result.output
    assert [trial.writers for trial in counted.trials if trial.is_in_time][-1:]
    assert (tmp_path / "writers.png").read_bytes().startswith(b"\x89PNG")


def test_a_load_that_takes_most_of_a_core_is_warned_of() -> None:
    measured = Measured(answered_per_s=1, p50_ms=1, p99_ms=1, load_cores=0.9, server_us=1)
    trial = writers.Trial(repeat=1, writers=8, measured=measured)
    counted = writers.Report(
        version="1", machine={}, model="lines", language="english", sent="ink", seconds=1,
        writers=[8], trials=[trial],
    )  # fmt: skip
    assert "the load took 90% of a core" in counted.text()
    assert "8 writers of lines with english" in counted.text()
