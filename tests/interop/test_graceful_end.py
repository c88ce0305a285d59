"""A server on crpc's listener that is asked to end while gRPC clients are at work: it says so in two steps (RFC 9113,
6.8), goes on with what it has begun, and then is gone."""

import signal

import pytest
from hyperframe.frame import GoAwayFrame, PingFrame

import grpc_peers
from http2 import ACK, PING, Connection, call, data, frame, message, opened

NO_LIMIT = (1 << 31) - 1


@pytest.fixture
def server():
    with grpc_peers.running_server() as server:
        yield server


def next_goaway(connection):
    """The frame; pings that come before it are answered."""
    while (got := connection.next()) is not None:
        if isinstance(got, PingFrame) and "ACK" not in got.flags:
            connection.send(frame(PING, ACK, 0, got.opaque_data))
        if isinstance(got, GoAwayFrame):
            return got
    return None


def test_call_in_flight_is_finished_after_goaway(server):
    with Connection(server.socket) as connection:
        connection.send(opened(1, "StreamingInputCall"))
        assert connection.answers_ping()
        server.process.send_signal(signal.SIGTERM)
        notice = next_goaway(connection)
        assert (notice.last_stream_id, notice.error_code) == (NO_LIMIT, 0), "a notice"
        last = next_goaway(connection)
        assert (last.last_stream_id, last.error_code) == (1, 0), "what is served to its end"
        connection.send(data(1, message(), end=True))
        assert connection.outcome(1) == "grpc 0"
        assert connection.next() is None, "closed"
        assert server.process.wait(timeout=4) == 0


def test_call_that_crosses_the_notice_is_told(server):
    with Connection(server.socket) as connection:
        assert connection.answers_ping()
        server.process.send_signal(signal.SIGTERM)
        assert connection.until(lambda got: isinstance(got, GoAwayFrame)).last_stream_id == NO_LIMIT
        connection.send(call(1))
        assert connection.outcome(1) in ("grpc 0", "grpc 14")


def test_connection_without_a_call_is_closed_after_a_round_trip(server):
    with Connection(server.socket) as idle, Connection(server.socket) as silent:
        assert idle.answers_ping() and silent.answers_ping()
        server.process.send_signal(signal.SIGTERM)
        assert next_goaway(idle).last_stream_id == NO_LIMIT
        assert next_goaway(idle).last_stream_id == 0
        assert idle.next() is None
        # Who does not answer the ping is waited for in vain, not for long.
        assert silent.until(lambda got: False) is None
        assert server.process.wait(timeout=4) == 0
