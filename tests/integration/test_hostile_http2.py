"""Attacks on flocksd's HTTP/2 door, over the socket and over TCP: the documented answer (docs/protocol.md), bounded
memory, and meanwhile a killed child is replaced and `flocks status` answers. The rules of frames and headers one by one
are tests/interop's."""

import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from hostile import CONNECTION_CALLS_MAX, FRAME_SECONDS_MAX, MESSAGE_BYTES_MAX, MIB, Target, attackers, pour
from http2 import (
    ACK, CONTINUATION, DATA, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, Connection, block, call, data, frame, headers,
    message, number, request, rst_stream, settings, window_update,
)  # fmt: skip
from hpack.hpack import encode_integer
from hyperframe.frame import GoAwayFrame, PingFrame
from instance import Instance, wait_until
from ports import free_port
from tcp import configuration, token_file, wait_until_served

SERVICES = 20
INITIAL_WINDOW = 4
WINDOW_MAX = (1 << 31) - 1
GREETING = PREFACE + settings()
# Nothing but headers may be answered.
NO_WINDOW = PREFACE + settings((INITIAL_WINDOW, 0))
STREAMS = range(1, 2 * CONNECTION_CALLS_MAX, 2)

pytestmark = pytest.mark.no_chaos(reason="it ends the flocksd it attacks by itself")


def path_of(method, service="flocks.v1.SupervisorService"):
    return f"/{service}/{method}"


STATUS = path_of("GetStatus")
WATCH = path_of("WatchEvents")


@pytest.fixture(scope="module")
def target(stubs):
    """One instance for all attacks: what one leaves behind, the next one finds."""
    root = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    instance = Instance(root)
    # Freed memory is given back, as it is without the sanitizer.
    instance.environment["ASAN_OPTIONS"] += ":quarantine_size_mb=1:allocator_release_to_os_interval_ms=100"
    quick = '{command: [/bin/sleep, "1000"], restart: {delay: 10ms, max_delay: 10ms, give_up_after: 1000}}'
    chatty = '{command: [/bin/sh, -c, "while echo something to read; do sleep 1; done"]}'
    names = ["ticker", *(f"s{i}" for i in range(2, SERVICES))]
    port = free_port()
    lines = "".join(f"\n  {name}: {quick}" for name in names)
    instance.write(configuration(port, f"{lines}\n  chatty: {chatty}"))
    instance.start()
    try:
        target = Target(instance, stubs)
        wait_until_served(instance, port)
        target.tcp = ("127.0.0.1", port)
        target.authorization = "Bearer " + token_file(instance).read_text().strip()
        yield target
        target.assert_unhurt()
    finally:
        instance.end()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(autouse=True)
def alive_afterwards(target):
    yield
    with Connection(target.socket) as client:
        client.send(call(1, STATUS))
        assert client.outcome(1) == "grpc 0"
    target.sample()


def both_doors(target):
    """(address, what a call needs there)"""
    yield target.socket, {}
    yield target.tcp, {"authority": "localhost", "authorization": target.authorization}


# ---- header blocks ----


@pytest.mark.parametrize("references", [100, 16_000])
def test_header_bomb_out_of_the_dynamic_table(target, references):
    """An entry of 4,000 bytes that is named again and again, a byte each time: 64 MB for a frame of 16 KiB."""
    entry = b"\x40" + b"\x01x" + bytes(encode_integer(3900, 7)) + b"v" * 3900
    with Connection(target.socket) as client:
        client.send(frame(HEADERS, 4 | END_STREAM, 1, block(*request(STATUS)) + entry))
        assert client.outcome(1) == "grpc 12"
        client.send(frame(HEADERS, 4 | END_STREAM, 3, block(*request(STATUS)) + b"\xbe" * references))
        assert client.outcome(3).startswith("stream ")
        client.send(call(5, STATUS))
        assert client.outcome(5) == "grpc 0"


@pytest.mark.parametrize("size, outcome", [(15_000, "grpc 8"), (40_000, "grpc 8"), (70_000, "stream INTERNAL_ERROR")])
def test_header_list_beyond_its_bounds(target, size, outcome):
    fields = block(*request(STATUS), *((f"k{i}", "v" * 1000) for i in range(size // 1000)))
    pieces = [fields[at : at + 16_000] for at in range(0, len(fields), 16_000)]
    with Connection(target.socket) as client:
        client.send(frame(HEADERS, END_STREAM | (4 if len(pieces) == 1 else 0), 1, pieces[0]))
        for i, piece in enumerate(pieces[1:], 2):
            client.send(frame(CONTINUATION, 4 if i == len(pieces) else 0, 1, piece))
        assert client.outcome(1) == outcome
        assert client.answers_ping()


# ---- time ----


def test_whatever_is_half_is_closed_in_time(target):
    """Half a preface, half a frame, a block without an end that trickles; over TCP who shows no token, however busy."""
    begun = frame(HEADERS, 0, 1, block(*request(STATUS)))
    with (
        Connection(target.socket, PREFACE[:10]) as preface,
        Connection(target.socket, GREETING + b"\0\0\x08") as head,
        Connection(target.socket, GREETING + frame(DATA, 0, 1, b"x" * 10, length=100)) as body,
        Connection(target.socket, GREETING + begun) as endless,
        Connection(target.tcp) as stranger,
        Connection(target.socket) as quiet,
    ):
        began = time.monotonic()
        for i in range(7):
            endless.send(frame(CONTINUATION, 0, 1, b""))
            stranger.send(frame(PING, 0, 0, bytes(8)), call(1 + 2 * i, STATUS))
            time.sleep(1)  # the attack itself
        for client in (preface, head, body, endless, stranger):
            assert client.until(lambda _: False) is None
            assert FRAME_SECONDS_MAX - 1 < time.monotonic() - began < 2 * FRAME_SECONDS_MAX
        assert quiet.answers_ping()


# ---- readers ----


def watching(stubs, stream, kind):
    supervisor = stubs[1]
    method, body = {
        "events": ("WatchEvents", b""),
        "logs": ("ReadLogs", supervisor.ReadLogsRequest(follow=True).SerializeToString()),
        "health": ("Watch", b""),
        "status": ("GetStatus", b""),
    }[kind]
    service = "grpc.health.v1.Health" if kind == "health" else "flocks.v1.SupervisorService"
    return call(stream, path_of(method, service), message(body))


@pytest.mark.parametrize("kind", ["events", "logs", "health", "status"])
def test_readers_without_window_hold_no_more_than_their_bound(target, kind):
    """Ten connections of a hundred streams each, by halves with a window that never opens and by sockets never read."""
    streams = b"".join(watching(target.stubs, stream, kind) for stream in STREAMS)
    wide = PREFACE + settings((INITIAL_WINDOW, WINDOW_MAX)) + window_update(0, WINDOW_MAX - 65535)
    clients = [Connection(target.socket, greeting + streams) for greeting in [NO_WINDOW] * 5 + [wide] * 5]
    try:
        target.assert_unhurt()
        # Who asks from elsewhere is answered.
        with Connection(target.socket) as other:
            other.send(call(1, STATUS))
            assert other.outcome(1) == "grpc 0"
    finally:
        for client in clients:
            client.socket.close()


def test_answers_that_nobody_has_window_for_are_few(target):
    """A hundred complete calls may wait for window; the next stream is refused before anything is done for it."""
    with Connection(target.socket, NO_WINDOW) as client:
        client.send(b"".join(call(stream, STATUS) for stream in STREAMS), call(201, STATUS))
        assert client.outcome(201) == "stream REFUSED_STREAM"
        client.send(settings((INITIAL_WINDOW, 65535)))
        assert client.outcome(1) == "grpc 0"


# ---- writers ----


def test_uploads_that_trickle_hold_a_share_and_a_window(target):
    """Every stream of 20 connections has the largest message under way; the streams' windows stop all but two."""
    prefix = b"\0" + number(MESSAGE_BYTES_MAX - 1)
    opened = b"".join(headers(stream, request(path_of("PlanConfig"))) for stream in STREAMS)
    # What a stream's window takes, but in pieces that leave some of the connection's.
    parts = b"".join(data(stream, prefix + bytes(30_000)) for stream in STREAMS)
    clients = [Connection(target.socket, GREETING + opened) for _ in range(20)]
    try:
        pour([client.socket for client in clients], parts, 3.0, times=1)
        target.assert_unhurt()
    finally:
        for client in clients:
            client.socket.close()


FLOODS = {
    "rapid reset": lambda i: call(i, WATCH) + rst_stream(i),
    "resets of calls that never begin": lambda i: headers(i, request(STATUS)) + rst_stream(i),
    "made to reset": lambda i: headers(i, request(WATCH)) + window_update(i, WINDOW_MAX),
    "unknown methods": lambda i: call(i, "/no/such"),
    "calls": lambda i: call(i, STATUS),
    "foreign HTTP": lambda i: headers(i, [(":method", "GET"), *request(STATUS)[1:]], end=True),
    "PING": lambda _: frame(PING, 0, 0, bytes(8)),
    "SETTINGS": lambda i: settings((INITIAL_WINDOW, i)),
    "nothing": lambda _: frame(DATA, 0, 1),
}


@pytest.mark.parametrize("what", FLOODS)
def test_flood_from_many_connections_does_not_hold_up_others(target, tmp_path, what):
    (tmp_path / "data").write_bytes(GREETING + b"".join(FLOODS[what](1 + 2 * i) for i in range(5_000)))
    with attackers(target, 2, "flood", 50, tmp_path / "data", "reads"):
        target.assert_unhurt()


def test_connections_that_are_half_or_idle_are_a_crowd_and_no_more(target):
    with attackers(target, 4, "hold", 250, GREETING.hex()), attackers(target, 1, "hold", 100, PREFACE[:7].hex()):
        target.assert_unhurt()
        with Connection(target.socket) as client:
            client.send(call(1, STATUS))
            assert client.outcome(1) == "grpc 0"


def test_connections_that_call_and_go_cost_nothing(target):
    with attackers(target, 2, "come_and_go", 2_000, (GREETING + call(1, STATUS)).hex()) as started:
        while any(process.poll() is None for process in started):
            target.assert_unhurt()


# ---- cancelling ----


def moments(stubs):
    """Calls of each kind, cut after each frame and within."""
    supervisor = stubs[1]
    restart = supervisor.RestartServicesRequest(services=["s2"], wait=True).SerializeToString()
    bodies = {
        STATUS: b"",
        WATCH: b"",
        path_of("ReadLogs"): supervisor.ReadLogsRequest(services=["chatty"], follow=True).SerializeToString(),
        path_of("ExplainService"): supervisor.ExplainServiceRequest(service="chatty").SerializeToString(),
        path_of("RestartServices"): restart,
        path_of("Check", "grpc.health.v1.Health"): b"",
    }
    for path, body in bodies.items():
        opened, whole = headers(1, request(path)), message(body)
        yield from ([opened], [opened, data(1, whole[:3])], [opened, data(1, whole)], [opened, data(1, whole, end=True)])


def test_cancelled_or_lost_at_any_moment(target):
    """RST_STREAM, GOAWAY, and a connection that is cut within a frame: behind every part of every call."""
    for parts in moments(target.stubs):
        said = b"".join(parts)
        with Connection(target.socket, GREETING + said + rst_stream(1)) as client:
            assert client.answers_ping()
            # As late as the answer.
            client.send(rst_stream(1))
            assert client.answers_ping()
        Connection(target.socket, GREETING + said + frame(GOAWAY, 0, 0, bytes(8))).socket.close()
        for cut in (1, 5, 9):
            Connection(target.socket, GREETING + said[:-cut]).socket.close()


def test_goaway_of_the_client_ends_nothing_that_it_began(target):
    request_of_restart = target.stubs[1].RestartServicesRequest(services=["s3"], wait=True).SerializeToString()
    with Connection(target.socket) as client:
        client.send(call(1, path_of("RestartServices"), message(request_of_restart)), frame(GOAWAY, 0, 0, bytes(8)))
        assert client.outcome(1) == "grpc 0"
        # Nothing is left.
        assert client.until(lambda _: False) is None


# ---- who may ----


def authorizations(target):
    token = target.authorization.split()[1]
    yield from ([], [""], ["Bearer"], [token], [f"Basic {token}"], [f"Bearer {token[:-1]}"])
    yield from ([f"Bearer {token}0"], [f"Bearer {token.upper()}x"], ["Bearer " + "0" * 64], [f"Bearer {token},x"])
    # The first one counts.
    yield ["Bearer x", target.authorization]


def test_without_the_token_nothing_is_said_over_tcp(target):
    """Whether the method exists, whether the request is well-formed, whatever was said before on the connection."""
    with Connection(target.tcp) as client:
        client.send(call(1, STATUS, authority="localhost", authorization=target.authorization))
        assert client.outcome(1) == "grpc 0"
        stream = 3
        for path in (STATUS, "/no/such"):
            for values in authorizations(target):
                fields = [*request(path, authority="localhost"), *(("authorization", value) for value in values)]
                client.send(headers(stream, fields), data(stream, message(b"\xff"), end=True))
                assert client.outcome(stream) == "grpc 16", values
                stream += 2


FOREIGN = (
    "example.org", "localhost.example.org", "localhost:", "localhost:1x", "localhost@example.org", "127.0.0.2",
    "127.0.0.1.example.org", "[::1]x", "[::2]", "", "/run/x.sock", "%2Frun", "0", "localhost:123456",
)  # fmt: skip


def test_foreign_authority_over_tcp_is_refused(target):
    with Connection(target.tcp) as client:
        for i, authority in enumerate(FOREIGN):
            client.send(call(1 + 4 * i, STATUS, authority=authority, authorization=target.authorization))
            assert client.outcome(1 + 4 * i) == "grpc 7", authority
            client.send(call(3 + 4 * i, STATUS, authority=None, host=authority, authorization=target.authorization))
            assert client.outcome(3 + 4 * i) == "grpc 7", authority


def test_strangers_hold_little_and_keep_nobody_out(target):
    """200 connections without the token that say as much as they can; who has it comes in all the same."""
    flood = GREETING + b"".join(headers(stream, request(STATUS)) for stream in STREAMS)
    clients = []
    try:
        for _ in range(200):
            clients.append(socket.create_connection(target.tcp))
        pour(clients, flood, 2.0, reads=False, times=1)
        for address, changes in both_doors(target):
            with Connection(address) as client:
                client.send(call(1, STATUS, **changes))
                assert client.outcome(1) == "grpc 0"
        target.assert_unhurt()
    finally:
        for client in clients:
            client.close()


# ---- in the middle of it all ----


def test_calls_that_cross_the_notice_are_served_on_a_connection_long_idle(target):
    """The notice leaves a round trip's time, however long ago the last event was; who does not answer the PING is told
    the last id in a second all the same."""
    with Connection(target.socket) as idle, Connection(target.socket) as deaf:
        for client in (idle, deaf):
            client.send(call(1, STATUS))
            assert client.outcome(1) == "grpc 0"
            client.send(call(3, path_of("GetOperation"), message()))
            assert client.outcome(3).startswith("grpc ")
        time.sleep(1.5)  # longer than the notice's time
        os.kill(target.pid, signal.SIGUSR1)
        began = time.monotonic()
        # What is in flight keeps the connection; it began behind the notice.
        assert idle.until(lambda got: isinstance(got, GoAwayFrame)).last_stream_id == WINDOW_MAX
        ping = idle.until(lambda got: isinstance(got, PingFrame))
        idle.send(call(5, STATUS))
        assert idle.outcome(5) == "grpc 0"
        idle.send(frame(PING, ACK, 0, ping.opaque_data), call(7, STATUS))
        assert idle.until(lambda got: isinstance(got, GoAwayFrame)).last_stream_id == 5
        assert idle.until(lambda got: got.stream_id == 7) is None
        assert deaf.until(lambda got: isinstance(got, GoAwayFrame)).last_stream_id == WINDOW_MAX
        assert deaf.until(lambda got: isinstance(got, GoAwayFrame)).last_stream_id == 3
        assert time.monotonic() - began < 3
    target.pid = next_daemon(target)


def next_daemon(target):
    """Its pid; `flocks status` gives up before a hand-over that nobody helps along is over."""

    def another():
        pid = target.instance.status().get("daemon", {}).get("pid", target.pid)
        return pid if pid != target.pid else None

    return wait_until(another, what="the next flocksd")


@pytest.mark.parametrize("end", [signal.SIGUSR1, signal.SIGKILL])
def test_flocksd_that_ends_under_attack_is_replaced_and_services_run_on(target, tmp_path, end):
    services = {s["name"]: s["pid"] for s in target.instance.status()["services"]}
    mixed = b"".join(make(1 + 2 * i) for i in range(200) for make in (FLOODS["rapid reset"], FLOODS["PING"]))
    (tmp_path / "data").write_bytes(GREETING + mixed)
    streams = b"".join(watching(target.stubs, stream, "events") for stream in STREAMS)
    with attackers(target, 2, "flood", 20, tmp_path / "data", "reads"), Connection(target.socket, NO_WINDOW + streams):
        began = time.monotonic()
        os.kill(target.pid, end)
        target.pid = next_daemon(target)
        assert time.monotonic() - began < 12
        target.memory_before = target.memory_most = target.memory()
        target.assert_unhurt()
    after = {s["name"]: s["pid"] for s in target.instance.status()["services"]}
    assert {name: pid for name, pid in after.items() if name != target.service} == {
        name: pid for name, pid in services.items() if name != target.service
    }
    assert target.memory() < target.memory_before + 64 * MIB
