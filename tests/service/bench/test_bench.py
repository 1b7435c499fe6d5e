"""The bench reports every measurement, and a load counts complete results only."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from inkstream.service.bench import compare, kernels
from inkstream.service.bench.compare import Report
from inkstream.service.bench.load import MASK, Connection, Load, LoadError, frame, ink, put
from inkstream.service.cli.main import cli
from tests.helpers import builders

pytestmark = pytest.mark.slow

RESULT = b'{"type":"result","epoch":0,"column":0,"probabilities":{"a":1.000000}}'
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
    connection.send()
    stream = UPGRADED + text_frame(b'{"type":"ready"}') + 4 * text_frame(RESULT)
    for start in range(0, len(stream), n_bytes):
        connection.data_received(stream[start : start + n_bytes])
    assert len(connection.times_ms) == 2
    assert transport.written[1:] == [b"message"] * 3  # the first, and one after each answered pair
    assert not failure.done()


async def test_a_paced_connection_sends_nothing_by_itself() -> None:
    connection, transport, _ = connected(Load(port=1, messages_per_s=10.0))
    connection.send()
    connection.data_received(UPGRADED + text_frame(RESULT))
    assert transport.written[1:] == [b"message"]


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
    ],
)
async def test_a_refusal_is_a_failure_that_quotes_the_server(data: bytes, quoted: str) -> None:
    connection, _, failure = connected(Load(port=1))
    connection.data_received(data)
    with pytest.raises(LoadError, match=quoted):
        failure.result()


async def test_a_server_that_hangs_up_is_a_failure() -> None:
    connection, _, failure = connected(Load(port=1))
    connection.connection_lost(ConnectionResetError("reset by peer"))
    with pytest.raises(LoadError, match=r"closed the connection \(reset by peer"):
        failure.result()


async def test_a_port_without_a_server_is_named() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(LoadError, match=f"no connection to port {port}"):
            await put(Load(port=port))


# Kernels


def test_matrix_products_of_a_step_are_those_of_the_net() -> None:
    config = builders.config(features=12, units=16, layers=2)
    shapes = [weights.shape for _, weights, _ in kernels.products(config, batch=3)]
    assert shapes == [(3 * 28, 12), (12 + 16, 4 * 16), (2 * 16, 4 * 16), (16, 10)]


# Compare


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Run one short bench of a tiny net."""
    folder = tmp_path_factory.mktemp("bench")
    path = builders.checkpoint(folder / "tiny.onnx").path
    options = ["--model", str(path), "--sessions", "2", "--seconds", "0.2", "--rounds", "1"]
    options += ["--json", str(folder / "bench.json"), "--plot", str(folder / "bench.png")]
    result = CliRunner().invoke(cli, ["bench", *options])
    assert result.exit_code == 0, result.output
    figures = json.loads((folder / "bench.json").read_text("utf-8"))
    return Report(**figures), result.output, folder


def test_every_measurement_is_in_figures_and_text(report: Bench) -> None:
    figures, text, _ = report
    assert set(figures.rates) == {"product", "runtime", "engine_1", "engine_28", *compare.WORKLOADS}
    assert all(rate > 0 for rates in figures.rates.values() for rate in rates)
    assert set(figures.latencies) == {"stream_1", "echo_1", "afternoon_1"}
    assert "stream_1 / echo_1" in text
    assert figures.machine["cores"] in text


def test_the_plot_is_a_picture(report: Bench) -> None:
    assert (report[2] / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_without_torch_the_afternoon_server_is_skipped_with_a_note(
    report: Bench,
) -> None:
    rates = {name: v for name, v in report[0].rates.items() if not name.startswith("afternoon")}
    without = report[0].model_copy(update={"rates": rates, "skipped": compare.NO_TORCH})
    assert "torch is not installed" in without.text()
    assert not [name for name, _, _ in without.ratios() if "afternoon" in name]


def test_a_server_that_cannot_start_ends_the_bench(tmp_path: Path) -> None:
    with (
        pytest.raises(LoadError, match="echo ended with 1 before it listened"),
        compare.serving("echo", str(tmp_path / "absent.onnx")),
    ):
        pass
