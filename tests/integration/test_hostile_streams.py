"""Attacks on streaming calls, one a test, against a server of all four kinds (tests/fixtures/streams) behind both
transports: crpc's listener and flocksd's own. The documented answer (docs/protocol.md), bounded memory, and
others are served meanwhile."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hostile import (
    CANCEL,
    CANCELLED,
    CONNECTION_CALLS_MAX,
    DATA,
    DEADLINE_EXCEEDED,
    HELD_BYTES_MAX,
    INVALID_ARGUMENT,
    KIB,
    MESSAGE_BYTES_MAX,
    MIB,
    NO_DATA,
    REMOTE_CLOSED,
    REMOTE_OPEN,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    Hostile,
    frame,
    is_sanitized,
    memory_of,
)
from instance import BUILD, REPOSITORY, wait_until
from wire import HEADER, REQUEST, RESPONSE

PROTO = REPOSITORY / "tests" / "fixtures" / "streams"
SERVER = BUILD / "tests" / "streams_server"
SERVICE = "fixture.v1.FixtureService"
EXTENSION = [("crpc-ext", "cancel")]

# docs/protocol.md, Limits.
INBOUND_MESSAGES_MAX = 16
INBOUND_BYTES_MAX = 8 * MIB
OUTPUT_SOFT_BYTES = 1 * MIB
SERVER_CALLS_MAX = 4096


@pytest.fixture(scope="session")
def messages(tmp_path_factory):
    """Python's own stubs of the fixture's proto."""
    directory = tmp_path_factory.mktemp("fixture")
    subprocess.run(
        ["protoc", f"--proto_path={PROTO}", f"--python_out={directory}", "streams.proto"], check=True, timeout=60
    )
    sys.path.insert(0, str(directory))
    return importlib.import_module("streams_pb2")


class Server:
    """The fixture's server, how it is now, and what must stay so."""

    def __init__(self, kind, directory, stubs, messages):
        self.socket, self.stubs, self.messages = directory / "socket", stubs, messages
        # As flocksd: what was made large goes back to the system.
        environment = dict(os.environ, MALLOC_MMAP_THRESHOLD_="131072")
        environment["ASAN_OPTIONS"] = "detect_leaks=1:quarantine_size_mb=1"
        self.process = subprocess.Popen([SERVER, kind, self.socket], stdout=subprocess.PIPE, env=environment)
        assert self.process.stdout.readline() == b"ready\n"
        self.memory_before = self.memory_most = memory_of(self.process.pid)

    def connect(self, **options):
        return Streams(self, **options)

    def stats(self):
        with self.connect() as client:
            client.say(client.opening("GetStats", 1))
            stream, response = client.response()
            assert (stream, response.status.code) == (1, 0)
            return self.messages.GetStatsResponse.FromString(response.payload)

    def sample(self):
        self.memory_most = max(self.memory_most, memory_of(self.process.pid))

    def assert_unhurt(self):
        """Others are served, and what clients made it hold is within the bounds."""
        self.sample()
        with self.connect() as client:
            client.say(client.opening("Ask", 1, self.messages.AskRequest(payload=b"x")))
            assert client.response()[1].payload
        held = self.memory_most - self.memory_before
        slack = HELD_BYTES_MAX + 64 * MIB if is_sanitized(SERVER) else 16 * MIB
        assert held < HELD_BYTES_MAX + slack, f"the server holds {held / MIB:.1f} MiB more"

    def assert_all_ended(self):
        """No handler's work is left, whatever became of its caller."""
        wait_until(lambda: self.stats().streams == 0 and self.stats().held == 0, 10.0, "the end of every stream")

    def end(self):
        """By itself, without a leak."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        self.process.stdout.close()


class Streams(Hostile):
    """A connection to the fixture's service."""

    def __init__(self, server, timeout=20.0):
        super().__init__(server.socket, server.stubs, timeout)
        self.messages = server.messages

    def opening(self, method, stream, message=None, flags=0, **fields):
        """The frame that opens a call."""
        payload = message.SerializeToString() if message else b""
        return frame(REQUEST, stream, Hostile.request(method, payload, service=SERVICE, **fields), flags)

    def count(self, stream, messages, size=0, **fields):
        request = self.messages.CountRequest(messages=messages, bytes=size)
        return self.opening("Count", stream, request, REMOTE_CLOSED, **fields)

    def collect(self, stream, **fields):
        return self.opening("Collect", stream, flags=REMOTE_OPEN, **fields)

    def chat(self, stream, **fields):
        return self.opening("Chat", stream, flags=REMOTE_OPEN, **fields)

    def collected(self, stream, payload=b"", hold=False):
        """A Data frame for Collect."""
        return frame(DATA, stream, self.messages.CollectRequest(payload=payload, hold=hold).SerializeToString())

    def frame(self):
        """(stream, kind, flags, body) of whatever comes next."""
        length, stream, kind, flags = HEADER.unpack(self.exactly(HEADER.size))
        return stream, kind, flags, self.exactly(length)

    def end_of(self, stream):
        """The code that ends `stream`, and how many messages came before; other streams are skipped."""
        n_messages = 0
        while True:
            number, kind, flags, body = self.frame()
            if number != stream:
                continue
            if kind == RESPONSE:
                return self.ttrpc.Response.FromString(body).status.code, n_messages
            assert kind == DATA
            n_messages += 0 if flags & NO_DATA else 1
            if flags & REMOTE_CLOSED:
                return 0, n_messages

    def is_alive(self):
        """An ordinary call on the same connection is answered."""
        self.say(self.opening("Ask", 0x7FFF_0001, self.messages.AskRequest(payload=b"x")))
        return self.end_of(0x7FFF_0001) == (0, 0)


@pytest.fixture(scope="module", params=["listener", "transport"])
def server(request, stubs, messages):
    """One server for all attacks: what one leaves behind, the next one finds."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    server = Server(request.param, directory, stubs, messages)
    try:
        yield server
        server.end()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def unhurt_afterwards(server):
    yield
    server.assert_unhurt()
    server.assert_all_ended()


# ---- opening ----


@pytest.mark.parametrize("method", ["Count", "Collect", "Chat"])
def test_stream_opened_as_unary_is_unimplemented(server, method):
    with server.connect() as client:
        client.say(client.opening(method, 1))
        assert client.code(1) == UNIMPLEMENTED
        assert client.is_alive()


def test_repeated_id_of_a_live_stream_is_refused(server):
    with server.connect() as client:
        client.say(client.chat(1) + client.chat(1))
        assert client.end_of(1)[0] == INVALID_ARGUMENT
        # The first one goes on.
        client.say(frame(DATA, 1, b"") + frame(DATA, 1, flags=REMOTE_CLOSED | NO_DATA))
        assert client.end_of(1) == (0, 1)


def test_flood_of_stream_opens_is_bounded_on_a_connection(server):
    with server.connect() as client:
        streams = range(1, 2 * CONNECTION_CALLS_MAX, 2)
        client.say(b"".join(client.count(stream, 0) for stream in streams))
        beyond = 2 * CONNECTION_CALLS_MAX + 1
        client.say(client.count(beyond, 0))
        assert client.code(beyond) == RESOURCE_EXHAUSTED
        assert server.stats().streams == CONNECTION_CALLS_MAX


def test_flood_of_stream_opens_is_bounded_for_the_server(server):
    clients = [server.connect() for _ in range(SERVER_CALLS_MAX // CONNECTION_CALLS_MAX + 3)]
    try:
        for client in clients:
            client.say(b"".join(client.count(stream, 0) for stream in range(1, 2 * CONNECTION_CALLS_MAX, 2)))
        # In the order of the calls: what is refused first is the first beyond the bound.
        assert clients[-1].end_of(2 * CONNECTION_CALLS_MAX - 1)[0] == RESOURCE_EXHAUSTED
        # Whoever asks one thing is answered all the same.
        server.assert_unhurt()
        with server.connect() as newcomer:
            newcomer.say(newcomer.chat(1) + newcomer.opening("Ask", 3))
            assert newcomer.code(3) == RESOURCE_EXHAUSTED
    finally:
        for client in clients:
            client.socket.close()


def test_flood_of_streams_that_are_abandoned_leaves_nothing_behind(server):
    for _ in range(50):
        with server.connect() as client:
            opens = (client.count(4 * i + 1, 0) + client.chat(4 * i + 3) for i in range(CONNECTION_CALLS_MAX // 2))
            client.say(b"".join(opens))


def test_reset_in_the_middle_of_a_message_ends_the_stream(server):
    with server.connect() as client:
        client.say(client.collect(1) + client.collected(1, bytes(100_000))[:-1])
        wait_until(lambda: server.stats().streams == 1, 10.0, "the stream")


# ---- data ----


def test_data_on_a_server_stream_ends_it(server):
    with server.connect() as client:
        client.say(client.count(1, 0) + frame(DATA, 1, b"\x0a\x01x"))
        assert client.end_of(1)[0] == INVALID_ARGUMENT
        assert client.is_alive()


def test_data_on_a_unary_call_ends_it(server):
    with server.connect() as client:
        client.say(client.opening("Ask", 1, server.messages.AskRequest(hold=True)) + frame(DATA, 1, b""))
        assert client.end_of(1)[0] == INVALID_ARGUMENT
        assert client.is_alive()


def test_data_after_half_close_ends_the_stream(server):
    with server.connect() as client:
        client.say(client.collect(1) + client.collected(1, hold=True))
        client.say(frame(DATA, 1, flags=REMOTE_CLOSED | NO_DATA) + client.collected(1))
        assert client.end_of(1)[0] == INVALID_ARGUMENT
        assert client.is_alive()


def test_half_close_twice_ends_the_stream(server):
    with server.connect() as client:
        client.say(client.collect(1) + client.collected(1, hold=True))
        client.say(frame(DATA, 1, flags=REMOTE_CLOSED | NO_DATA) * 2)
        assert client.end_of(1)[0] == INVALID_ARGUMENT
        assert client.is_alive()


def test_data_on_a_stream_of_the_past_is_silence(server):
    with server.connect() as client:
        client.say(client.count(1, 3))
        assert client.end_of(1) == (0, 3)
        client.say(frame(DATA, 1, b"x") * 100)
        client.say(client.opening("Ask", 3))
        stream, kind, _, _ = client.frame()
        assert (stream, kind) == (3, RESPONSE)


def test_oversized_message_ends_its_stream_only(server):
    with server.connect() as client:
        client.say(client.collect(1) + client.chat(3) + frame(DATA, 1, bytes(MESSAGE_BYTES_MAX + 1)))
        assert client.end_of(1)[0] == RESOURCE_EXHAUSTED
        client.say(frame(DATA, 3, b"") + frame(DATA, 3, flags=REMOTE_CLOSED | NO_DATA))
        assert client.end_of(3) == (0, 1)


@pytest.mark.parametrize(
    "body", [b"\xff\xff", b"\x0b", b"\x12\x01\xff", b"\x12\x03a\x00b"], ids=["garbage", "group", "not_utf8", "nul"]
)
def test_bad_message_ends_its_stream_only(server, body):
    with server.connect() as client:
        client.say(client.chat(3) + client.collect(1) + client.collected(1) + frame(DATA, 1, body))
        assert client.end_of(1)[0] == INVALID_ARGUMENT
        client.say(frame(DATA, 3, b"") + frame(DATA, 3, flags=REMOTE_CLOSED | NO_DATA))
        assert client.end_of(3) == (0, 1)


def test_zero_length_data_is_an_empty_message(server):
    with server.connect() as client:
        client.say(client.collect(1) + frame(DATA, 1) * 10 + frame(DATA, 1, flags=NO_DATA) * 10)
        client.say(frame(DATA, 1, flags=REMOTE_CLOSED | NO_DATA))
        _, response = client.response()
        assert server.messages.CollectResponse.FromString(response.payload).messages == 10


def test_messages_beyond_what_may_wait_end_their_stream_only(server):
    with server.connect() as client:
        client.say(client.collect(1) + client.chat(3) + client.collected(1, hold=True))
        client.say(client.collected(1) * (INBOUND_MESSAGES_MAX - 1))
        # At the bound all is well.
        assert client.is_alive()
        client.say(client.collected(1))
        assert client.end_of(1)[0] == RESOURCE_EXHAUSTED
        client.say(frame(DATA, 3, b"") + frame(DATA, 3, flags=REMOTE_CLOSED | NO_DATA))
        assert client.end_of(3) == (0, 1)


def test_bytes_beyond_what_may_wait_end_the_stream_that_brought_them(server):
    with server.connect() as client:
        for stream in (1, 3, 5):
            client.say(client.collect(stream) + client.collected(stream, hold=True))
        most = bytes(INBOUND_BYTES_MAX // 2 - 64)
        client.say(client.collected(1, most) + client.collected(3, most))
        assert client.is_alive()
        client.say(client.collected(5, most))
        assert client.end_of(5)[0] == RESOURCE_EXHAUSTED
        assert server.stats().streams == 2
        assert client.is_alive()


def test_data_flood_on_many_connections_stays_within_what_all_may_hold(server):
    clients = [server.connect() for _ in range(24)]
    try:
        for client in clients:
            try:
                client.say(client.collect(1) + client.collected(1, hold=True))
                client.say(client.collected(1, bytes(MESSAGE_BYTES_MAX - 64)))
            except OSError:
                pass  # closed for the sake of the others
            server.sample()
        server.assert_unhurt()
    finally:
        for client in clients:
            client.socket.close()


def test_writer_that_never_stops_is_taken_message_by_message(server):
    count = 50_000
    with server.connect() as client:
        client.say(client.collect(1))
        for _ in range(count // 1000):
            client.say(client.collected(1, b"x" * 100) * 1000)
        server.assert_unhurt()
        client.say(frame(DATA, 1, flags=REMOTE_CLOSED | NO_DATA))
        _, response = client.response()
        assert server.messages.CollectResponse.FromString(response.payload).messages == count


# ---- reading ----


def test_reader_that_never_reads_holds_its_bound_and_nothing_else(server):
    with server.connect() as client, server.connect() as other:
        before = memory_of(server.process.pid)
        client.say(client.count(1, 1_000_000, 64 * KIB))
        wait_until(lambda: server.stats().streams == 1, 10.0, "the stream")
        for _ in range(20):
            assert other.is_alive()
            server.assert_unhurt()
        if not is_sanitized(SERVER):
            assert memory_of(server.process.pid) - before < 4 * OUTPUT_SOFT_BYTES
        # It is only paused: whoever reads again gets what is due, in order.
        assert client.frame()[:2] == (1, DATA)


def test_many_readers_that_never_read_stay_within_what_all_may_hold(server):
    clients = [server.connect() for _ in range(150)]
    try:
        for client in clients:
            client.say(client.count(1, 1_000_000, 60 * KIB))
            server.sample()
        for _ in range(10):
            server.assert_unhurt()
    finally:
        for client in clients:
            client.socket.close()


def test_call_beside_a_stalled_stream_is_answered(server):
    """On the same connection, behind what is queued."""
    with server.connect() as client:
        client.say(client.count(1, 1_000_000, 64 * KIB))
        client.say(client.opening("Ask", 3, server.messages.AskRequest(payload=b"x")))
        assert client.end_of(3)[0] == 0


# ---- giving up ----


def test_cancel_of_a_stalled_stream_ends_it_and_drops_what_was_queued(server):
    with server.connect() as client:
        client.say(client.count(1, 1_000_000, 64 * KIB, metadata=EXTENSION))
        client.frame()
        # Its queue is full by now, or will be; the answer does not wait behind it.
        client.say(frame(CANCEL, 1))
        server.assert_all_ended()
        code, n_messages = client.end_of(1)
        assert code == CANCELLED
        # What the kernel had taken, and no more.
        assert n_messages * 64 * KIB < OUTPUT_SOFT_BYTES
        assert client.is_alive()


def test_cancel_storm_with_queued_data_is_answered_one_by_one(server):
    rounds = 200
    with server.connect() as client:
        client.say(client.opening("Ask", 1, metadata=EXTENSION))
        assert client.code(1) == 0
        for i in range(rounds):
            streams = range(20 * i + 3, 20 * i + 23, 2)
            client.say(b"".join(client.count(stream, 1_000_000, 8 * KIB) for stream in streams))
            client.say(b"".join(frame(CANCEL, stream) for stream in streams))
            left = set(streams)
            while left:
                stream, kind, _, body = client.frame()
                if kind == RESPONSE:
                    assert client.ttrpc.Response.FromString(body).status.code == CANCELLED
                    left.remove(stream)
        assert client.is_alive()


def test_opens_and_cancels_without_reading_stay_bounded(server):
    """The answers are never read: reading stops, and memory with it."""
    with server.connect(timeout=3.0) as client:
        client.say(client.opening("Ask", 1, metadata=EXTENSION))
        storm = b"".join(client.count(i, 1_000_000, 8 * KIB) + frame(CANCEL, i) for i in range(3, 2003, 2))
        deadline = time.monotonic() + 5
        try:
            while time.monotonic() < deadline:
                client.say(storm)
        except TimeoutError:
            pass
        server.assert_unhurt()


def test_deadline_ends_a_stream_whose_reader_never_reads(server):
    with server.connect() as client:
        client.say(client.count(1, 1_000_000, 64 * KIB, timeout_nano=300_000_000))
        server.assert_all_ended()
        assert client.end_of(1)[0] == DEADLINE_EXCEEDED


def test_deadline_ends_a_stream_whose_writer_never_stops(server):
    with server.connect() as client:
        client.say(client.chat(1, timeout_nano=300_000_000))
        began = time.monotonic()
        client.socket.settimeout(0.2)
        messages = frame(DATA, 1, server.messages.ChatRequest(payload=bytes(1000)).SerializeToString())
        try:
            while time.monotonic() - began < 2:
                client.say(messages)
        except TimeoutError:
            pass
        client.socket.settimeout(20)
        # Too fast for an echo that nobody reads, or too long.
        assert client.end_of(1)[0] in (DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED)


def test_disconnect_ends_every_kind_of_call(server):
    before = server.stats().closed[CANCELLED]
    with server.connect() as client:
        client.say(client.opening("Ask", 1, server.messages.AskRequest(hold=True)))
        client.say(client.count(3, 0) + client.count(5, 1_000_000, KIB))
        client.say(client.collect(7) + client.collected(7, hold=True) + client.chat(9))
        wait_until(lambda: server.stats().streams == 4, 10.0, "the streams")
    server.assert_all_ended()
    assert server.stats().closed[CANCELLED] == before + 4
