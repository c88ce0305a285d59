"""Attacks on the control socket, one a test: the documented answer (docs/protocol.md), bounded memory, and
meanwhile a killed child is replaced and `flocks status` answers."""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from hostile import (
    CANCEL,
    CANCELLED,
    CONNECTION_CALLS_MAX,
    DATA,
    DISCARD_BYTES_MAX,
    FRAME_SECONDS_MAX,
    INVALID_ARGUMENT,
    MESSAGE_BYTES_MAX,
    METADATA_BYTES_MAX,
    METADATA_PAIRS_MAX,
    MIB,
    NO_DATA,
    REMOTE_CLOSED,
    REMOTE_OPEN,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    Hostile,
    Target,
    attackers,
    crowd,
    frame,
    pour,
    varint,
)
from instance import Instance, wait_until
from side_by_side import side_by_side
from wire import REQUEST, RESPONSE

CONFIG = """
services:
  ticker: {command: [/bin/sleep, "1000"], restart: {delay: 10ms, max_delay: 10ms, give_up_after: 1000}}
  stubborn: {command: [/bin/sh, -c, "trap '' TERM; echo deaf; while :; do sleep 1000; done"], stop: {grace: 50m}}
"""

EXTENSION = [("crpc-ext", "cancel")]


@pytest.fixture(scope="module")
def target(stubs):
    """One instance for all attacks: what one leaves behind, the next one finds."""
    root = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    instance = Instance(root)
    # Freed memory is given back, as it is without the sanitizer.
    instance.environment["ASAN_OPTIONS"] += ":quarantine_size_mb=1:allocator_release_to_os_interval_ms=100"
    instance.write(CONFIG)
    instance.start()
    wait_until(lambda: instance.log("stubborn"), what="deafness")
    stubborn = instance.pid("stubborn")
    try:
        target = Target(instance, stubs)
        target.operation, target.revision = stop_in_vain(target)
        yield target
    finally:
        os.killpg(stubborn, signal.SIGKILL)
        instance.end()
        shutil.rmtree(root, ignore_errors=True)


def stop_in_vain(target):
    """(id, revision) of an operation that goes on until everything ends."""
    _, supervisor, types = target.stubs
    with target.connect() as client:
        begun = client.call("StopServices", supervisor.StopServicesRequest(services=["stubborn"]))
        request = supervisor.GetOperationRequest(operation_id=begun.operation.id)
        answer = client.call("GetOperation", request)
        assert answer.operation.state == types.OPERATION_STATE_RUNNING
        return answer.operation.id, answer.revision


@pytest.fixture(autouse=True)
def unhurt_afterwards(target):
    yield
    target.assert_unhurt()


def held_call(target, stream, metadata=()):
    """The frame of a call that stays in flight: it waits for a change of an operation that has none."""
    _, supervisor, _ = target.stubs
    request = supervisor.GetOperationRequest(operation_id=target.operation, wait=True, seen_revision=target.revision)
    body = Hostile.request("GetOperation", request.SerializeToString(), metadata)
    return frame(REQUEST, stream, body)


# ---- lengths ----


@pytest.mark.parametrize("length", [MESSAGE_BYTES_MAX + 1, DISCARD_BYTES_MAX])
def test_oversized_frame_is_discarded_and_answered_on_its_stream(target, length):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, bytes(length)))
        assert client.code(1) == RESOURCE_EXHAUSTED
        assert client.is_alive()


def test_frame_of_exactly_the_largest_length_is_taken(target):
    with target.connect() as client:
        body = Hostile.request()
        padding = MESSAGE_BYTES_MAX - len(body) - 5
        body += b"\x1a" + varint(padding) + bytes(padding)
        assert len(body) == MESSAGE_BYTES_MAX
        client.say(frame(REQUEST, 1, body))
        # GetStatusRequest is no run of zeros, but it was looked at.
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


@pytest.mark.parametrize("length", [DISCARD_BYTES_MAX + 1, 0xFFFF_FFFF])
def test_frame_beyond_what_is_discarded_closes(target, length):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request()))
        assert client.code(1) == 0
        client.say(frame(REQUEST, 3, length=length))
        assert client.is_closed()


def test_first_frame_beyond_what_is_discarded_opens_no_door(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, length=DISCARD_BYTES_MAX + 1))
        assert client.is_closed()


def test_oversized_frame_of_an_unknown_type_is_skipped_in_silence(target):
    with target.connect() as client:
        client.say(frame(0x7F, 1, bytes(MESSAGE_BYTES_MAX + 1)))
        assert client.is_alive()


def test_truncated_frame_is_dropped_with_its_connection(target):
    with target.connect() as client:
        whole = frame(REQUEST, 1, Hostile.request())
        client.say(whole[:-1])
        client.socket.shutdown(1)
        assert client.is_closed()


@pytest.mark.parametrize("cut", range(1, 10))
def test_truncated_header_is_dropped_with_its_connection(target, cut):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request())[:cut])
        client.socket.shutdown(1)
        assert client.is_closed()


def test_zero_length_request_names_no_method(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1))
        assert client.code(1) == UNIMPLEMENTED
        assert client.is_alive()


def test_zero_length_data_is_data_on_no_stream(target):
    with target.connect() as client:
        client.say(frame(DATA, 1))
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


# ---- types and flags ----


def test_unknown_frame_types_are_ignored(target):
    with target.connect() as client:
        known = (REQUEST, DATA, CANCEL)
        for kind in range(256):
            if kind not in known:
                client.say(frame(kind, 2 * kind + 1, b"\xff" * kind, flags=kind))
        assert client.is_alive()


def test_response_frame_from_a_client_is_ignored(target):
    with target.connect() as client:
        client.say(frame(RESPONSE, 1, b"\x0a\x00"))
        assert client.is_alive()


def test_unary_method_opened_as_a_stream_is_refused(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(), flags=REMOTE_OPEN))
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


def test_unknown_flags_of_a_unary_request_change_nothing(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(), flags=0xF8))
        assert client.code(1) == 0


# ---- stream ids ----


@pytest.mark.parametrize("stream", [0, 2, 0xFFFF_FFFE])
def test_even_stream_id_is_answered_on_itself(target, stream):
    with target.connect() as client:
        client.say(frame(REQUEST, stream, Hostile.request()))
        assert client.code(stream) == INVALID_ARGUMENT
        assert client.is_alive()


def test_repeated_stream_id_of_a_live_call_is_refused(target):
    with target.connect() as client:
        client.say(held_call(target, 1, EXTENSION) + frame(REQUEST, 1, Hostile.request()))
        assert client.code(1) == INVALID_ARGUMENT
        # The first call is none the worse for it.
        client.say(frame(CANCEL, 1))
        assert client.code(1) == CANCELLED
        assert client.is_alive()


def test_repeated_stream_id_of_an_ended_call_is_a_new_call(target):
    with target.connect() as client:
        for _ in range(3):
            client.say(frame(REQUEST, 1, Hostile.request()))
            assert client.code(1) == 0


def test_stream_ids_wrap_without_harm(target):
    with target.connect() as client:
        for stream in (0xFFFF_FFFD, 0xFFFF_FFFF, 1, 3, 0xFFFF_FFFF):
            client.say(frame(REQUEST, stream, Hostile.request()))
            assert client.code(stream) == 0


# ---- data ----


def test_data_on_a_unary_stream_ends_the_call(target):
    with target.connect() as client:
        client.say(held_call(target, 1) + frame(DATA, 1, b"x"))
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


def test_data_on_an_unknown_stream_is_refused(target):
    with target.connect() as client:
        client.say(frame(DATA, 99, b"x", flags=REMOTE_CLOSED))
        assert client.code(99) == INVALID_ARGUMENT
        assert client.is_alive()


def test_data_on_an_even_stream_is_refused(target):
    with target.connect() as client:
        client.say(frame(DATA, 4, flags=REMOTE_CLOSED | NO_DATA))
        assert client.code(4) == INVALID_ARGUMENT
        assert client.is_alive()


def test_oversized_data_on_an_unknown_stream_is_discarded(target):
    with target.connect() as client:
        client.say(frame(DATA, 1, bytes(MESSAGE_BYTES_MAX + 1)))
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


# ---- time ----


def hold_half_a_header(target):
    with target.connect(timeout=3 * FRAME_SECONDS_MAX) as client, target.connect() as silent:
        began = time.monotonic()
        client.say(b"\0\0\0\x10\0")
        assert client.is_closed(3 * FRAME_SECONDS_MAX)
        assert time.monotonic() - began > FRAME_SECONDS_MAX - 1
        # One that says nothing at all is not half of anything.
        assert silent.is_alive()


def trickle_a_frame(target):
    """A byte now and then is no progress: the time runs from a frame's first byte."""
    with target.connect() as client:
        whole = frame(REQUEST, 1, bytes(64))
        began = time.monotonic()
        with pytest.raises(OSError):
            for byte in whole:
                client.say(bytes([byte]))
                time.sleep(0.4)  # the attack itself
        assert time.monotonic() - began < 3 * FRAME_SECONDS_MAX


SLOW = (hold_half_a_header, trickle_a_frame)


@pytest.fixture(scope="module")
def slow(target):
    """The bound is ten seconds; every smaller step of it is tests/unit/rpc/test_session.c's."""
    with side_by_side(lambda attack: attack(target), SLOW) as result_of:
        yield result_of


@pytest.mark.parametrize("attack", SLOW, ids=lambda attack: attack.__name__)
def test_frame_that_takes_for_ever_is_closed_in_time(target, slow, attack):
    target.assert_unhurt()
    slow(attack)


# ---- contents ----


def test_envelope_that_is_no_protobuf_is_malformed(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, b"\xff" * 64))
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


def test_payload_that_is_no_protobuf_is_malformed(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(payload=b"\xff" * 64)))
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


def nested(depth):
    """Messages within messages, in a field that nobody knows."""
    body = b""
    for _ in range(depth):
        body = b"\x7a" + varint(len(body)) + body
    return body


def test_nesting_in_unknown_fields_is_not_descended_into(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(payload=nested(20_000))))
        assert client.code(1) == 0
        client.say(frame(REQUEST, 3, Hostile.request("StopServices", nested(20_000))))
        assert client.code(3) == UNIMPLEMENTED
        assert client.is_alive()


def test_groups_are_malformed_at_any_depth(target):
    with target.connect() as client:
        for stream, depth in ((1, 1), (3, 1_000_000)):
            client.say(frame(REQUEST, stream, Hostile.request(payload=b"\x0b" * depth)))
            assert client.code(stream) == INVALID_ARGUMENT
        assert client.is_alive()


def test_amplification_by_empty_elements_is_bounded(target):
    """Two bytes on the wire, a pointer and an object in memory: 4 MiB of them stay below the arena's cap."""
    with target.connect() as client:
        names = b"\x0a\x00" * (MESSAGE_BYTES_MAX // 2 - 64)
        client.say(frame(REQUEST, 1, Hostile.request("StopServices", names)))
        assert client.code(1) in (RESOURCE_EXHAUSTED, INVALID_ARGUMENT)
        assert client.is_alive()


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x00b"],
    ids=["no_lead", "overlong", "surrogate", "too_large", "embedded_nul"],
)
def test_bad_text_in_a_payload_is_refused(target, text):
    _, supervisor, types = target.stubs
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request("StopServices", b"\x0a" + varint(len(text)) + text)))
        _, response = client.response()
        assert response.status.code == INVALID_ARGUMENT
        detail = types.ErrorDetail.FromString(response.status.details[0].value)
        assert detail.reason == types.ERROR_REASON_BAD_TEXT
        assert client.is_alive()


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe",
        b"flocks.v1.\x00SupervisorService",
        b"flocks.v1.SupervisorService\x00" + b"x" * 1000,
        b"GetStatus\x00" + b"x" * 1000,
        b"x" * 100_000,
        b"",
    ],
    ids=["not_utf8", "embedded_nul", "service_and_nul", "method_and_nul", "long", "empty"],
)
def test_bad_text_as_service_or_method_is_an_unknown_one(target, name):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(service=name)))
        assert client.code(1) == UNIMPLEMENTED
        client.say(frame(REQUEST, 3, Hostile.request(method=name)))
        stream, response = client.response()
        assert (stream, response.status.code) == (3, UNIMPLEMENTED)
        assert len(response.status.message) < 400
        assert client.is_alive()


@pytest.mark.parametrize(
    "pair",
    [("k", b"\xff"), (b"\xff", "v"), ("k", b"a\x00b"), (b"a\x00b", "v")],
    ids=["value_not_utf8", "key_not_utf8", "nul_in_value", "nul_in_key"],
)
def test_bad_text_in_metadata_is_refused(target, pair):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(metadata=[pair])))
        assert client.code(1) == INVALID_ARGUMENT
        assert client.is_alive()


@pytest.mark.parametrize(
    "pairs",
    [
        [("k", "v")] * (METADATA_PAIRS_MAX + 1),
        [("k", "v")] * 100_000,
        [("k", "v" * METADATA_BYTES_MAX)],
        [("k" * METADATA_BYTES_MAX, "v")],
        [("", "")] * 200_000,
    ],
    ids=["one_pair_too_many", "many_pairs", "long_value", "long_key", "empty_pairs"],
)
def test_metadata_bomb_is_refused(target, pairs):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(metadata=pairs)))
        assert client.code(1) == RESOURCE_EXHAUSTED
        assert client.is_alive()


def test_metadata_at_its_bounds_is_taken(target):
    with target.connect() as client:
        pairs = [("k", "v")] * (METADATA_PAIRS_MAX - 1)
        pairs.append(("k", "v" * (METADATA_BYTES_MAX - 2 * len(pairs) - 1)))
        client.say(frame(REQUEST, 1, Hostile.request(metadata=pairs)))
        assert client.code(1) == 0


# ---- floods of opens and cancels ----


def test_one_call_too_many_on_a_connection_is_refused(target):
    with target.connect() as client:
        streams = range(1, 2 * CONNECTION_CALLS_MAX, 2)
        client.say(b"".join(held_call(target, stream, EXTENSION) for stream in streams))
        client.say(held_call(target, 2 * CONNECTION_CALLS_MAX + 1))
        assert client.code(2 * CONNECTION_CALLS_MAX + 1) == RESOURCE_EXHAUSTED
        for stream in streams:
            client.say(frame(CANCEL, stream))
            assert client.code(stream) == CANCELLED
        assert client.is_alive()


def test_calls_held_by_many_connections_are_bounded(target):
    """1,024 callers may wait for operations; a person's own call is answered all the same."""
    n_refused = 0
    clients = [target.connect() for _ in range(12)]
    try:
        for client in clients:
            client.say(b"".join(held_call(target, stream) for stream in range(1, 2 * CONNECTION_CALLS_MAX, 2)))
            # Answered behind all those that are refused.
            client.say(frame(REQUEST, 0x7FFF_0001, Hostile.request()))
            while True:
                stream, response = client.response()
                if stream == 0x7FFF_0001:
                    break
                assert response.status.code == RESOURCE_EXHAUSTED
                n_refused += 1
        assert n_refused >= 12 * CONNECTION_CALLS_MAX - 1024
        target.assert_unhurt()
    finally:
        for client in clients:
            client.socket.close()


def test_cancel_without_negotiation_is_ignored(target):
    with target.connect() as client:
        client.say(held_call(target, 1) + frame(CANCEL, 1))
        assert client.is_alive()


def test_cancel_of_unknown_and_ended_calls_is_ignored(target):
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(metadata=EXTENSION)))
        assert client.code(1) == 0
        client.say(frame(CANCEL, 1) + frame(CANCEL, 99) + frame(CANCEL, 2) + frame(CANCEL, 1, b"body"))
        assert client.is_alive()


def test_flood_of_opens_and_cancels_is_answered_one_by_one(target):
    count = 20_000
    with target.connect() as client:
        client.say(frame(REQUEST, 1, Hostile.request(metadata=EXTENSION)))
        assert client.code(1) == 0
        pair = b"".join(held_call(target, 3) + frame(CANCEL, 3) for _ in range(100))
        for _ in range(count // 100):
            client.say(pair)
            for _ in range(100):
                assert client.code(3) == CANCELLED
        assert client.is_alive()


def test_flood_of_calls_that_are_abandoned_leaves_nothing_behind(target):
    """Each connection opens as many calls as it may and leaves without a word."""
    calls = b"".join(held_call(target, stream) for stream in range(1, 2 * CONNECTION_CALLS_MAX, 2))
    for _ in range(100):
        with target.raw() as client:
            client.sendall(calls)

    def is_held():
        with target.connect() as client:
            client.say(held_call(target, 1, EXTENSION) + frame(CANCEL, 1))
            return client.code(1) == CANCELLED

    # None of the 1,024 places for waiting callers stays taken.
    wait_until(is_held, what="a place for a waiting caller")


# ---- crowds ----


def test_idle_and_half_open_connections_are_a_crowd_and_no_more(target):
    """1,200 idle and 100 half-open ones."""
    with attackers(target, 5, "hold", 240, ""), attackers(target, 1, "hold", 100, "00000010"):
        for _ in range(5):
            target.assert_unhurt()
        with target.connect() as client:
            assert client.is_alive()


def test_connections_that_come_and_go_cost_nothing(target):
    """25,000 of them, as fast as two processes can."""
    with attackers(target, 2, "come_and_go", 12_500) as started:
        while any(process.poll() is None for process in started):
            target.assert_unhurt()


def test_connections_that_call_and_go_cost_nothing(target):
    call = frame(REQUEST, 1, Hostile.request()).hex()
    with attackers(target, 2, "come_and_go", 5_000, call) as started:
        while any(process.poll() is None for process in started):
            target.assert_unhurt()


def test_frames_that_are_almost_whole_do_not_fill_memory(target):
    """Each connection has sent all but the last byte of the largest frame."""
    body = Hostile.request(payload=bytes(MESSAGE_BYTES_MAX - 100))
    almost = frame(REQUEST, 1, body)[:-1]
    with crowd(target, 200) as clients:
        pour(clients, almost, 3.0, times=1)
        target.assert_unhurt()


# ---- never ending ----


@pytest.mark.parametrize("n_connections", [1, 200])
def test_reader_that_never_reads_is_read_from_no_more(target, n_connections):
    """Its own answers stop it: what is queued for it is bounded, for it and for all of them together."""
    calls = frame(REQUEST, 1, Hostile.request()) * 1000
    with crowd(target, n_connections) as clients:
        if n_connections > 1:
            pour(clients, calls, 3.0, reads=False)
        else:
            began = time.monotonic()
            assert pour(clients, calls, 60.0, reads=False, quiet_seconds=2.0) < 64 * MIB
            assert time.monotonic() - began < 60, "reading goes on"
        target.assert_unhurt()


@pytest.mark.parametrize(
    "what",
    ["calls", "refused_calls", "unknown_types", "stray_data", "discarded", "cancels"],
)
def test_writer_that_never_stops_does_not_hold_up_others(target, tmp_path, what):
    data = {
        "calls": frame(REQUEST, 1, Hostile.request()) * 10_000,
        "refused_calls": frame(REQUEST, 1) * 50_000,
        "unknown_types": frame(0x55, 1) * 50_000,
        "stray_data": frame(DATA, 2) * 50_000,
        "discarded": frame(0x55, 1, bytes(DISCARD_BYTES_MAX)),
        "cancels": frame(REQUEST, 1, Hostile.request(metadata=EXTENSION))
        + (held_call(target, 3) + frame(CANCEL, 3)) * 5_000,
    }[what]
    (tmp_path / "data").write_bytes(data)
    with attackers(target, 2, "flood", 100, tmp_path / "data", "reads"):
        for _ in range(3):
            target.assert_unhurt()
