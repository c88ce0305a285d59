"""What attacks have in common: frames by hand, a target whose health is looked at, clients by the thousand."""

import contextlib
import functools
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from wire import HEADER, REQUEST, Wire

DATA, CANCEL = 3, 0x10
REMOTE_CLOSED, REMOTE_OPEN, NO_DATA = 1, 2, 4
KIB, MIB = 1 << 10, 1 << 20

# docs/protocol.md, Limits.
MESSAGE_BYTES_MAX = 4 * MIB
DISCARD_BYTES_MAX = 16 * MIB - 1
METADATA_BYTES_MAX, METADATA_PAIRS_MAX = 8 * KIB, 64
CONNECTION_CALLS_MAX = 100
FRAME_SECONDS_MAX = 10
HELD_BYTES_MAX = 64 * MIB

CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 1, 2, 3, 4, 5
RESOURCE_EXHAUSTED, UNIMPLEMENTED = 8, 12

# One child, killed while clients attack, is there again within this; otherwise it takes milliseconds.
REPLACED_SECONDS = 5.0


def frame(kind, stream, body=b"", flags=0, length=None):
    """One frame; `length` is what it announces, if that is a lie."""
    return HEADER.pack(len(body) if length is None else length, stream, kind, flags) + body


class Hostile(Wire):
    """A connection that says what it likes."""

    def say(self, data):
        self.socket.sendall(data)

    @staticmethod
    def request(method="GetStatus", payload=b"", metadata=(), service="flocks.v1.SupervisorService", **fields):
        """The body of a Request frame; the wire allows names and metadata that are no text."""

        def field(number, content):
            return bytes([number << 3 | 2]) + varint(len(content)) + content

        def raw(text):
            return text if isinstance(text, bytes) else text.encode()

        body = field(1, raw(service)) + field(2, raw(method)) + (field(3, payload) if payload else b"")
        if fields.get("timeout_nano"):
            body += b"\x20" + varint(fields["timeout_nano"])
        pairs = [field(5, field(1, raw(key)) + field(2, raw(value))) for key, value in metadata]
        return body + b"".join(pairs)

    def code(self, stream):
        """The status of the next response, which must be on this stream."""
        answered, response = self.response()
        assert answered == stream, f"answered on {answered}, not on {stream}: {response}"
        return response.status.code

    def is_alive(self):
        """An ordinary call on the same connection is answered."""
        stream = 0x7FFF_0001
        self.say(frame(REQUEST, stream, Hostile.request()))
        return self.code(stream) == 0

    def is_closed(self, seconds=5.0):
        """The server has closed; nothing was answered."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


class Target:
    """A running instance, how it is now, and what must stay so."""

    def __init__(self, instance, stubs, service="ticker"):
        self.instance, self.stubs, self.service = instance, stubs, service
        self.socket = instance.root / "run" / "flocksd.sock"
        self.pid = instance.status()["daemon"]["pid"]
        self.memory_before = self.memory()
        self.memory_most = self.memory_before

    def connect(self, **options):
        return Hostile(self.socket, self.stubs, **options)

    def raw(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.socket))
        return client

    def memory(self):
        return memory_of(self.pid)

    def sample(self):
        self.memory_most = max(self.memory_most, self.memory())

    def assert_unhurt(self):
        """A killed child is replaced, status is answered, by the same flocksd within its memory."""
        self.sample()
        before = self.instance.service(self.service)
        os.kill(before["pid"], signal.SIGKILL)
        began = time.monotonic()
        after = self.instance.wait_for_generation(self.service, before["generation"], REPLACED_SECONDS)
        assert time.monotonic() - began < REPLACED_SECONDS
        assert after["pid"] != before["pid"]
        status = self.instance.status()
        assert status["daemon"]["pid"] == self.pid, "flocksd was run again"
        self.sample()
        held = self.memory_most - self.memory_before
        assert held < HELD_BYTES_MAX + slack(self.instance), f"flocksd holds {held / MIB:.1f} MiB more"


def memory_of(pid):
    """PSS of a process, with what of it is swapped out."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Pss:", "SwapPss:")):
            total += int(line.split()[1]) * KIB
    return total


@functools.cache
def is_sanitized(program):
    return b"__asan_init" in Path(program).read_bytes()


def slack(instance):
    """Code, stacks, the allocator's own, services and operations; the sanitizer doubles what is held."""
    return HELD_BYTES_MAX + 64 * MIB if is_sanitized(instance.bin / "flocksd") else 16 * MIB


@contextlib.contextmanager
def crowd(target, count, first=b""):
    """`count` connections; all of them have said `first`."""
    clients = []
    try:
        for _ in range(count):
            client = target.raw()
            if first:
                client.sendall(first)
            clients.append(client)
        yield clients
    finally:
        for client in clients:
            client.close()


def pour(clients, data, seconds, reads=True, times=None, quiet_seconds=None):
    """Writes `data` over and over (or `times`) to all clients, as fast as they are read from, until there is
    nothing left to write or no time, or nothing could be written for `quiet_seconds`. Answers how much was written."""
    selector = selectors.DefaultSelector()
    rest = {}
    written = 0
    for client in clients:
        client.setblocking(False)
        selector.register(client, selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0))
        rest[client] = [memoryview(data), times]
    deadline = time.monotonic() + seconds
    quiet_since, quiet_at = time.monotonic(), 0
    while time.monotonic() < deadline and selector.get_map():
        if written > quiet_at:
            quiet_since, quiet_at = time.monotonic(), written
        if quiet_seconds is not None and time.monotonic() - quiet_since > quiet_seconds:
            break
        for key, events in selector.select(0.1):
            client = key.fileobj
            try:
                if events & selectors.EVENT_READ and not client.recv(1 << 18):
                    raise ConnectionResetError
                if events & selectors.EVENT_WRITE:
                    written += _write_some(client, rest[client], data)
                    if rest[client][1] == 0:
                        selector.unregister(client)
            except BlockingIOError:
                pass
            except OSError:
                selector.unregister(client)
    selector.close()
    return written


def _write_some(client, rest, data):
    sent = client.send(rest[0])
    rest[0] = rest[0][sent:]
    if not rest[0]:
        rest[0] = memoryview(data)
        rest[1] = rest[1] - 1 if rest[1] is not None else None
    return sent


@contextlib.contextmanager
def attackers(target, count, function, *arguments):
    """`count` processes that run tests/integration/hostile.py FUNCTION SOCKET ARGUMENTS until the block ends."""
    command = [sys.executable, __file__, function, str(target.socket), *map(str, arguments)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout.readline() == b"ready\n"
        yield started
    finally:
        for process in started:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()


# ---- what an attacking process does ----


def _connections(path, count):
    clients = []
    for _ in range(count):
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        clients.append(client)
    return clients


def _hold(path, count, first):
    """Keeps `count` connections that have said `first` (hex), or all that the server has not thrown out by then."""
    clients = _connections(path, int(count))
    for client in clients:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(bytes.fromhex(first))
    print("ready", flush=True)
    while True:
        time.sleep(60)


def _flood(path, count, data_file, reads):
    """Writes the file's bytes for ever on `count` connections."""
    clients = _connections(path, int(count))
    print("ready", flush=True)
    data = Path(data_file).read_bytes()
    while True:
        pour(clients, data, 3600, reads=reads == "reads")
        for client in clients:
            client.close()
        clients = _connections(path, int(count))


def _come_and_go(path, count, first=""):
    """Connects, says `first` (hex) and leaves, as fast as it can."""
    print("ready", flush=True)
    for _ in range(int(count)):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            if first:
                client.sendall(bytes.fromhex(first))


if __name__ == "__main__":
    functions = {"hold": _hold, "flood": _flood, "come_and_go": _come_and_go}
    functions[sys.argv[1]](*sys.argv[2:])
