"""What many writers need, from what one machine was measured to give."""

import socket

import pytest

from tools.scaling import (
    Measured,
    Need,
    Prices,
    needs_table,
    of_an_hour,
    tcp_bytes,
)

MEASURED = Measured(
    writers_per_core=50,
    idle_bytes=100e6,
    session_bytes=1e6,
    columns_per_s=60,
    messages_per_s=30,
    up_bytes_per_s=1000,
    down_bytes_per_s=5000,
    idle_session_bytes=30e3,
    state_bytes=10e3,
)


def test_two_of_three_zones_serve_all_writers_at_the_load_that_is_allowed() -> None:
    need = Need.of(10_000, MEASURED)
    assert need.replicas % 3 == 0
    assert need.cores == 4 * need.replicas
    assert need.cores * 2 / 3 * 50 * 0.6 >= 10_000
    assert (need.cores - 12) * 2 / 3 * 50 * 0.6 < 10_000  # a replica less in each zone


def test_memory_and_bytes_are_those_of_all_writers() -> None:
    need = Need.of(10_000, MEASURED)
    assert need.memory_bytes == need.cores * 100e6 + 10_000 * 1e6
    assert need.up_bits_per_s == 80e6
    assert need.down_bits_per_s == 400e6


def test_an_hour_costs_cores_memory_and_bytes() -> None:
    need = Need(
        cores=10,
        replicas=3,
        memory_bytes=2e9,
        up_bits_per_s=0,
        down_bits_per_s=8e9 / 3600,
        deploy_core_s=0,
    )
    assert of_an_hour(need, Prices(0.5, 0.25, 0.125)) == pytest.approx(5 + 0.5 + 0.125)


def test_the_table_has_a_column_for_each_number_of_writers() -> None:
    first, *rows = needs_table(MEASURED).splitlines()
    assert "10,000 | 1,000,000 | 100,000,000" in first
    assert {row.count("|") for row in rows} == {first.count("|")}


def test_the_bytes_of_a_connection_are_the_kernels() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            client.sendall(bytes(1000))
            assert len(server.recv(1000, socket.MSG_WAITALL)) == 1000
            server.sendall(bytes(300))
            assert len(client.recv(300, socket.MSG_WAITALL)) == 300
            assert tcp_bytes(client)[1] == 300
            assert tcp_bytes(server)[1] == 1000


def test_the_report_has_what_the_tables_need() -> None:
    measured = Measured.read()
    assert measured.writers_per_core > 1
    assert measured.session_bytes > 0
