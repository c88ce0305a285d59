"""Clients of grpc_test_server that do not read, or do not say that they have read, or go away: what the server holds
for them is bounded, everybody else is answered meanwhile, and their calls' work ends."""

import time

import pytest
from hyperframe.frame import DataFrame

import grpc_peers
from http2 import PREFACE, Connection, call, data, message, opened, rst_stream, settings, window_update

INITIAL_WINDOW = 4
# Room for everything that could ever be sent.
WIDE = (PREFACE, settings((INITIAL_WINDOW, (1 << 31) - 1)), window_update(0, (1 << 31) - 1 - 65535))
# No stream is given more than HTTP/2 begins with; the connection is.
NARROW = (PREFACE, settings(), window_update(0, (1 << 31) - 1 - 65535))
# The output at which streams pause, and what their last messages and the library's own frames add.
HELD_MAX = (1 << 20) + (512 << 10)
# What a call itself holds: its decoded request, most of all, and the message that waits for a window.
CALL_MAX = 256 << 10
# What the allocator keeps beyond that, sanitizers among it.
RESIDENT_MAX = 4 * HELD_MAX
CHUNK = 60000
# 60 MB in all.
ENDLESS = 1000
# For one answer, on a machine with other things to do; a stream that stood in the way would never let it come.
ANSWER_S = 2


@pytest.fixture(scope="module")
def protos():
    return grpc_peers.python_messages()


@pytest.fixture
def server():
    with grpc_peers.running_server() as server:
        yield server


@pytest.fixture
def world(protos, server):
    return World(server, *protos)


class World:
    def __init__(self, server, messages, mirror):
        self.server, self.messages, self.mirror = server, messages, mirror

    def connect(self, *greeting):
        return Connection(self.server.socket, *greeting)

    def download(self, stream, chunks, size=CHUNK):
        sizes = [self.messages.ResponseParameters(size=size)] * chunks
        body = self.messages.StreamingOutputCallRequest(response_parameters=sizes).SerializeToString()
        return call(stream, "StreamingOutputCall", message(body))

    def observe(self, connection, stream, until_ended=0, at_once_after=b""):
        """What the server says of its calls: asked for in the same write as what is sent before."""
        body = self.mirror.ObserveRequest(until_ended=until_ended).SerializeToString()
        method = "/flocks.testing.v1.MirrorService/Observe"
        connection.send(at_once_after + call(stream, method, message(body)))
        got = connection.until(lambda frame: frame.stream_id == stream and isinstance(frame, DataFrame))
        return self.mirror.ObserveResponse.FromString(got.data[5:])

    def settled(self, connection, stream):
        """The facts when what is held grows no more. Every turn of the server may add to it, and asking makes one."""
        known, same = self.observe(connection, stream), 0
        while same < 20:
            stream += 2
            now = self.observe(connection, stream)
            same = same + 1 if now.held_bytes <= known.held_bytes else 0
            known = now
        return known


def answers_within(connection, stream, seconds=ANSWER_S):
    started = time.monotonic()
    connection.send(call(stream))
    assert connection.outcome(stream) == "grpc 0"
    assert time.monotonic() - started < seconds


def received(connection, stream):
    """Bytes of DATA of a stream to its end."""
    total = 0
    while True:
        got = connection.next()
        if got.stream_id != stream:
            continue
        if isinstance(got, DataFrame):
            total += len(got.data)
        elif "END_STREAM" in got.flags:
            assert got.fields["grpc-status"] == "0"
            return total


def test_reader_that_stops_costs_one_buffer(world):
    with world.connect() as other:
        resident = world.server.resident_bytes()
        with world.connect(*WIDE) as dead:
            dead.send(world.download(1, ENDLESS))
            facts = world.settled(other, 1)
            assert facts.begun == 1 and facts.ended == 0
            assert 0 < facts.held_bytes < HELD_MAX + CALL_MAX
            assert world.server.resident_bytes() - resident < RESIDENT_MAX
            for i in range(50):
                answers_within(other, 100001 + 2 * i)
        facts = world.observe(other, 200001, until_ended=1)
        assert facts.cancelled == 1, "its caller has gone"
        assert facts.held_bytes < 64 << 10, "and so has what it held"


def test_readers_that_stop_cost_one_buffer_each(world):
    dead = [world.connect(*WIDE) for _ in range(10)]
    with world.connect() as other:
        resident = world.server.resident_bytes()
        for one in dead:
            one.send(*(world.download(1 + 2 * i, ENDLESS) for i in range(10)))
        facts = world.settled(other, 1)
        assert facts.begun == 100 and facts.ended == 0
        assert facts.held_bytes < len(dead) * (HELD_MAX + 10 * CALL_MAX)
        assert world.server.resident_bytes() - resident < len(dead) * RESIDENT_MAX
        answers_within(other, 200001)
        for one in dead:
            one.socket.close()
        assert world.observe(other, 200003, until_ended=100).cancelled == 100


def test_stream_without_a_window_stops_no_other_call(world):
    with world.connect(*NARROW) as connection:
        connection.send(*(world.download(1 + 2 * i, ENDLESS) for i in range(20)))
        for i in range(50):
            answers_within(connection, 1001 + 2 * i)
        facts = world.settled(connection, 2001)
        assert facts.begun == 20 and facts.ended == 0
        assert facts.held_bytes < HELD_MAX + 20 * CALL_MAX
        connection.send(world.download(100001, 3, size=10000))
        assert received(connection, 100001) == 3 * (5 + 3 + 3 + 10000), "another stream flows"


def test_reader_that_goes_on_gets_everything(world):
    chunks = 200
    with world.connect(*NARROW) as connection, world.connect() as other:
        connection.send(world.download(1, chunks))
        world.settled(other, 1)
        connection.send(window_update(1, (1 << 31) - 1 - 65535))
        assert received(connection, 1) == chunks * (5 + 4 + 4 + CHUNK)
        facts = world.observe(other, 100001, until_ended=1)
        assert (facts.cancelled, facts.expired) == (0, 0)


def test_cancellation_is_noticed_in_the_turn_that_reads_it(world):
    with world.connect(*NARROW) as connection:
        connection.send(world.download(1, ENDLESS), opened(3), opened(5, "StreamingInputCall"))
        facts = world.observe(connection, 7)
        assert (facts.begun, facts.ended) == (3, 0)
        for cancelled, stream in enumerate((1, 3, 5), start=1):
            # One write: the question is answered by the turn that has read the cancellation.
            facts = world.observe(connection, 10 + stream, at_once_after=rst_stream(stream))
            assert (facts.ended, facts.cancelled) == (cancelled, cancelled)


def test_cancellation_of_a_reader_that_stops_is_noticed(world):
    with world.connect(*WIDE) as dead, world.connect() as other:
        dead.send(world.download(1, ENDLESS))
        assert world.settled(other, 1).ended == 0
        dead.send(rst_stream(1))
        facts = world.observe(other, 100001, until_ended=1)
        assert facts.cancelled == 1, "reading goes on while nothing can be written"


def test_client_that_goes_away_is_noticed(world):
    with world.connect() as other:
        with world.connect() as gone:
            gone.send(opened(1), opened(3, "StreamingInputCall"), opened(5, "HalfDuplexCall"))
            assert gone.answers_ping()
        facts = world.observe(other, 1, until_ended=3)
        assert (facts.begun, facts.cancelled) == (3, 3)


def test_writer_ahead_of_its_handler_is_held_back(world):
    """The handler takes its next message when the one before is served: here never. The client may send no more than
    its window, and gets none back."""
    messages = world.messages
    slowly = messages.ResponseParameters(size=1, interval_us=600 * 1000000)
    first = messages.StreamingOutputCallRequest(response_parameters=[slowly]).SerializeToString()
    more = messages.StreamingOutputCallRequest(payload=messages.Payload(body=bytes(1000))).SerializeToString()
    with world.connect() as connection, world.connect() as other:
        window = connection.greeted().get(INITIAL_WINDOW, 65535)
        connection.send(opened(1), data(1, message(first)))
        room = window - len(message(first))
        for _ in range(room // len(message(more))):
            connection.send(data(1, message(more)))
        answers_within(connection, 101)
        facts = world.settled(other, 1)
        assert (facts.begun, facts.ended) == (1, 0), "what its window allows is no reason to end it"
        assert facts.held_bytes < HELD_MAX
