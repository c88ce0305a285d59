"""ReadLogs: every line once and in order, whatever becomes of the files, of flocksd and of the reader.

Faults of others that are tests here: `docker logs -f` that stops at a rotation (moby/moby#41820), `kubectl logs -f`
that ends without a word when the file is rotated (kubernetes/kubernetes#28369)."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from instance import BUILD, wait_until
from parity import Grpc, Outcome
from wire import REMOTE_CLOSED, Failure, Wire

SUPERVISOR = "flocks.v1.SupervisorService"
INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE = 3, 5, 8, 12, 14
ITEM_BYTES_MAX = 64 * 1024
# READING_STREAMS_MAX of docs/protocol.md.
STREAMS_MAX = 256

# Says what is written to the pipe named by its argument.
TALKER = """
import os, sys
orders = os.open(sys.argv[1], os.O_RDONLY)
while order := os.read(orders, 65536):
    while order:
        order = order[os.write(1, order) :]
"""

QUIET = '{command: [/bin/sleep, "1000"], logs: {max_size: 64KiB, keep: 3}}'


def connect(instance, stubs, **options):
    return Wire(instance.root / "run" / "flocksd.sock", stubs, **options)


def request(stubs, *services, **fields):
    return stubs[1].ReadLogsRequest(services=services, **fields)


def read(instance, stubs, *services, **fields):
    """Every item of a stream that ends by itself."""
    with connect(instance, stubs) as wire:
        return list(wire.items("ReadLogs", request(stubs, *services, **fields)))


def text(items, service=None):
    return b"".join(item.data for item in items if service is None or item.service == service).decode()


def refused(instance, stubs, message):
    with connect(instance, stubs) as wire, pytest.raises(Failure) as failure:
        list(wire.items("ReadLogs", message))
    return failure.value


def memory(pid):
    """Resident bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


class Talker:
    """A service that says what it is told."""

    def __init__(self, instance, name, keep=3):
        self.path = instance.root / f"{name}.orders"
        os.mkfifo(self.path)
        program = instance.root / f"{name}.py"
        program.write_text(TALKER)
        self.log = instance.root / "logs" / f"{name}.log"
        self.keep = keep
        self.config = (
            f"  {name}: {{command: [/usr/bin/python3, {program}, {self.path}], logs: {{max_size: 64KiB, keep: {keep}}}}}\n"
        )
        self.orders = None

    def files(self):
        """Newest first."""
        return [path for path in [self.log] + [self.log.with_name(f"{self.log.name}.{i}") for i in range(1, self.keep + 1)]
                if path.exists()]

    def written(self):
        return sum(path.stat().st_size for path in self.files())

    def say(self, words):
        """Returns when the log has it."""
        if self.orders is None:
            self.orders = open(self.path, "w")
        last = words.encode()[-120:]
        self.orders.write(words)
        self.orders.flush()
        wait_until(lambda: self._ends_with(last), 10, "the line in the log")

    def _ends_with(self, last):
        for path in (self.log, self.log.with_name(f"{self.log.name}.1")):
            try:
                if path.read_bytes().endswith(last):
                    return True
            except FileNotFoundError:  # it is being rotated
                pass
        return False


@pytest.fixture
def talking(instance):
    talker = Talker(instance, "talker")
    instance.write("services:\n" + talker.config + f"  quiet: {QUIET}\n")
    instance.start()
    yield talker
    if talker.orders:
        talker.orders.close()


class Follower:
    """Follows in a thread, and resumes by token when the connection breaks or the daemon is ending."""

    def __init__(self, instance, stubs, *services, **fields):
        self.instance, self.stubs, self.services, self.fields = instance, stubs, services, dict(fields, follow=True)
        self.items, self.failure, self.resumed, self.over = [], None, 0, False
        self.wire = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _read(self):
        with connect(self.instance, self.stubs, timeout=60) as wire:
            self.wire = wire
            for item in wire.items("ReadLogs", request(self.stubs, *self.services, **self.fields)):
                self.items.append(item)
                self.fields = {"after": item.token, "follow": True, "daemon": self.fields.get("daemon", False)}

    def _run(self):
        while not self.over:
            try:
                self._read()
            except (ConnectionError, OSError):
                self.resumed += 1
                time.sleep(0.001)
            except Failure as failure:
                if failure.code != UNAVAILABLE:
                    self.failure = failure
                    return

    def wait_for(self, condition, what, seconds=30):
        def met():
            assert self.failure is None, self.failure
            return condition(self)

        wait_until(met, seconds, what)

    def text(self, service=None):
        return text(list(self.items), service)

    def leave(self):
        self.over = True
        if self.wire is not None:
            self.wire.socket.close()


class GrpcFollower(Follower):
    """The same through the other door."""

    def _read(self):
        door = Grpc(f"unix:{self.instance.root / 'run' / 'flocksd.sock'}")
        call, outcome = door.open(SUPERVISOR, "ReadLogs", request(self.stubs, *self.services, **self.fields)), Outcome()
        self.wire = call
        while door.take(call, outcome):
            item = self.stubs[1].ReadLogsResponse.FromString(outcome.payloads.pop())
            self.items.append(item)
            self.fields = {"after": item.token, "follow": True, "daemon": self.fields.get("daemon", False)}
        door.channel.close()
        if outcome.code == UNAVAILABLE:
            raise ConnectionError(outcome.message)
        if not self.over:
            raise Failure(outcome.code, outcome.message, None)

    def leave(self):
        self.over = True
        self.wire.cancel()


def lines(n, first=0, width=100):
    return "".join(f"{i:08d} {'x' * (width - 10)}\n" for i in range(first, first + n))


# ---- a tail ----


def test_tail_across_rotation_is_the_last_lines(instance, stubs, talking):
    for first in range(0, 2400, 100):
        talking.say(lines(100, first))
    assert len(talking.files()) > 2
    items = read(instance, stubs, "talker", tail=2200)
    assert text(items) == lines(2200, 200)
    assert all(len(item.data) <= ITEM_BYTES_MAX and item.data.endswith(b"\n") for item in items)
    assert all(item.service == "talker" and item.bytes_lost == 0 and item.generation == 0 for item in items)
    # When the last byte was written is known today, when those before it were is not.
    assert items[-1].HasField("at") and items[-1].at.nanos % 100_000_000 == 0
    assert abs(items[-1].at.seconds - time.time()) < 60
    assert not items[0].HasField("at")
    assert read(instance, stubs, "talker", tail=0) == []
    # Nothing says where to begin: with the first byte there is.
    assert text(read(instance, stubs, "talker")) == "".join(p.read_text() for p in reversed(talking.files()))
    # Behind a token in the middle there is the rest, each byte once.
    for item, rest in ((items[i], items[i + 1 :]) for i in range(len(items))):
        assert text(read(instance, stubs, "talker", after=item.token)) == text(rest)


@pytest.mark.no_chaos(reason="its reader does not resume")
def test_a_long_line_comes_in_pieces_and_an_unfinished_one_at_the_end(instance, stubs, talking):
    talking.say("short\n" + "y" * 100_000 + "\n" + "unfinished")
    items = read(instance, stubs, "talker", tail=3)
    assert [len(item.data) for item in items] == [6, 65536, 100_001 + 10 - 65536]
    assert text(items) == "short\n" + "y" * 100_000 + "\nunfinished"
    with connect(instance, stubs) as wire:
        wire.open("ReadLogs", request(stubs, "talker", follow=True, after=items[2].token))
        talking.say(" no more\n")
        assert wire.item("ReadLogs").data == b" no more\n"
    # Who follows gets it when it is finished.
    with connect(instance, stubs) as wire:
        wire.open("ReadLogs", request(stubs, "talker", follow=True, tail=1))
        assert wire.item("ReadLogs").data == b"unfinished no more\n"
        talking.say("and ")
        talking.say("another\nline")
        assert wire.item("ReadLogs").data == b"and another\n"


def test_several_services_and_the_daemon_take_turns(instance, stubs):
    talkers = [Talker(instance, name) for name in ("a", "b", "c")]
    instance.write("services:\n" + "".join(talker.config for talker in talkers))
    instance.start()
    for talker in talkers:
        talker.say(lines(3000, width=64))
    items = read(instance, stubs, daemon=True)
    first = [item.service for item in items[:4]]
    assert sorted(first) == ["", "a", "b", "c"]
    assert items[first.index("")].data.decode() in instance.log("daemon")
    for talker in talkers:
        name = talker.log.stem
        assert text(items, name) == lines(3000, width=64)
        talker.orders.close()
    # Two of them; a name twice is one; "daemon" is the daemon's own.
    assert {item.service for item in read(instance, stubs, "a", "c", "a", "daemon", tail=1)} == {"", "a", "c"}


# ---- what is refused ----


def test_what_cannot_be_is_refused_before_a_stream_begins(instance, stubs, talking):
    _, supervisor, types = stubs
    failure = refused(instance, stubs, request(stubs, "talker", "nosuch", follow=True))
    assert (failure.code, failure.detail.reason) == (NOT_FOUND, types.ERROR_REASON_UNKNOWN_SERVICE)
    assert failure.detail.service == "nosuch"
    for token in ("nonsense", "!", "Ag==", "AQEB", "0" * 65):
        failure = refused(instance, stubs, request(stubs, "talker", after=token))
        assert failure.code == INVALID_ARGUMENT, token
    later = supervisor.ReadLogsRequest(services=["talker"])
    later.until.seconds = 1
    since = supervisor.ReadLogsRequest(services=["talker"])
    since.since.seconds = 1
    for field, message in {"until": later, "since": since, "generation": request(stubs, "talker", generation=1)}.items():
        failure = refused(instance, stubs, message)
        assert (failure.code, failure.detail.reason) == (UNIMPLEMENTED, types.ERROR_REASON_NOT_IMPLEMENTED)
        assert failure.message.startswith(field + ":") and failure.detail.hint
    failure = refused(instance, stubs, request(stubs, "talker", after="A" * 131_073))
    assert (failure.code, failure.detail.reason) == (INVALID_ARGUMENT, types.ERROR_REASON_LIMIT_REACHED)


# ---- following ----


def test_rotation_under_load_loses_and_repeats_nothing(instance, stubs):
    """The service writes as fast as it can over many rotations; the readers begin anywhere."""
    total = 60_000
    load = Talker(instance, "load", keep=200)
    instance.write("services:\n" + load.config + f"  quiet: {QUIET}\n")
    instance.start()
    load.say(lines(1))
    followers = [Follower(instance, stubs, *names, tail=1) for names in ([], ["load"], ["load", "quiet"])]
    followers.append(GrpcFollower(instance, stubs, "load", "quiet", tail=1))
    for follower in followers:
        follower.wait_for(lambda f: f.items, "the first line")
    load.say(lines(total - 1, 1))
    for follower in followers:
        follower.wait_for(lambda f: f.items[-1].data.endswith(lines(1, total - 1).encode()), "the last line", 60)
        assert follower.text("load") == lines(total)
        assert sum(item.bytes_lost for item in follower.items) == 0
        assert all(item.data.endswith(b"\n") for item in follower.items)
        follower.leave()
    assert len(list((instance.root / "logs").glob("load.log.*"))) > 50


@pytest.mark.no_chaos(reason="it kills flocksd itself, and counts")
@pytest.mark.parametrize("kind", [Follower, GrpcFollower])
def test_kills_of_flocksd_lose_and_repeat_nothing(kind, instance, stubs, talking):
    talking.say(lines(1))
    follower = kind(instance, stubs, "talker", "quiet", tail=1, daemon=True)
    follower.wait_for(lambda f: f.text("talker"), "the first line")
    n = 1
    for round_ in range(5):
        for _ in range(4):
            talking.say(lines(200, n))
            n += 200
        follower.wait_for(lambda f, n=n: f"{n - 1:08d}" in f.text("talker")[-200:], "the last line")
        resumed = follower.resumed
        os.kill(instance.status()["daemon"]["pid"], signal.SIGKILL)
        talking.say(lines(300, n))
        n += 300
        follower.wait_for(lambda f, r=resumed: f.resumed > r, "the broken connection")
    follower.wait_for(lambda f: f"{n - 1:08d}" in f.text("talker")[-200:], "the last line")
    assert follower.text("talker") == lines(n)
    assert sum(item.bytes_lost for item in follower.items) == 0
    daemon = follower.text("")
    assert len(daemon) > 0 and daemon in instance.log("daemon")
    follower.leave()


@pytest.mark.no_chaos(reason="it kills flocksd itself, and counts")
def test_libflocks_goes_on_behind_its_last_token(instance, stubs, talking):
    program = [str(BUILD / "tests" / "flocks_client"), str(instance.root / "run" / "flocksd.sock"), "logs", "talker"]
    talking.say(lines(100))
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as client:
        for n in range(1, 6):
            assert "".join(client.stdout.readline() for _ in range(100)) == lines(100, (n - 1) * 100)
            os.kill(instance.status()["daemon"]["pid"], signal.SIGKILL)
            talking.say(lines(100, n * 100))
        talking.say("end\n")
        assert client.communicate(timeout=30)[0] == lines(100, 500) + "end\n"
    assert client.returncode == 0


@pytest.mark.no_chaos(reason="a new service is told from its first byte by the flocksd that took it in")
def test_a_service_that_comes_while_all_are_followed_is_told_from_its_first_byte(instance, stubs, talking):
    talking.say("before\n")
    # Of a service that there was once.
    (instance.root / "logs" / "late.log").write_text("of long ago\n")
    follower = Follower(instance, stubs, tail=1)
    follower.wait_for(lambda f: f.text() == "before\n", "the tail")
    late = "  late: {command: [/bin/sh, -c, 'echo here I am; exec sleep 1000']}\n"
    instance.write(instance.config.read_text() + late)
    with connect(instance, stubs) as wire:
        supervisor = stubs[1]
        whole = instance.config.read_bytes()
        plan = wire.call("PlanConfig", supervisor.PlanConfigRequest(text=whole)).plan
        wire.call("ApplyConfig", supervisor.ApplyConfigRequest(text=whole, plan=plan, wait=True), timeout=30)
    follower.wait_for(lambda f: f.text("late") != "", "the new service's line")
    talking.say("two\n")
    follower.wait_for(lambda f: "two" in f.text("talker"), "the second line")
    assert follower.text("late") == "here I am\n"
    assert follower.text("talker") == "before\ntwo\n"
    follower.leave()


# ---- losses ----


def test_files_rotated_away_are_said_to_the_byte(instance, stubs, talking):
    talking.say(lines(10))
    with connect(instance, stubs) as wire:
        wire.open("ReadLogs", request(stubs, "talker", tail=1, follow=True))
        token = wire.item("ReadLogs").token
    said = 10
    for _ in range(14):
        talking.say(lines(500, said))
        said += 500
    assert len(talking.files()) == 4
    expected = said * 100 - 10 * 100 - talking.written()
    assert expected > 0
    items = read(instance, stubs, "talker", after=token)
    assert items[0].bytes_lost == expected
    assert sum(item.bytes_lost for item in items[1:]) == 0
    assert text(items) == "".join(path.read_text() for path in reversed(talking.files()))


def test_truncated_and_deleted_files_are_survived(instance, stubs, talking):
    talking.say(lines(10))
    follower = Follower(instance, stubs, "talker", tail=2)
    follower.wait_for(lambda f: f.text() == lines(2, 8), "the tail")
    os.truncate(talking.log, 0)
    talking.say("after the cut\n")
    follower.wait_for(lambda f: f.text().endswith("after the cut\n"), "the line after the cut")
    talking.log.unlink()
    talking.orders.write("after the deletion\n")
    talking.orders.flush()
    follower.wait_for(lambda f: f.text().endswith("after the deletion\n"), "the line after the deletion")
    assert follower.text() == lines(2, 8) + "after the cut\nafter the deletion\n"
    assert sum(item.bytes_lost for item in follower.items) == 0
    follower.leave()
    # What was not read is told.
    token = follower.items[-1].token
    talking.say(lines(3))
    os.truncate(talking.log, 0)
    talking.say("the end\n")
    items = read(instance, stubs, "talker", after=token)
    assert [(item.data, item.bytes_lost) for item in items] == [(b"the end\n", 300)]


# ---- readers ----


@pytest.mark.no_chaos(reason="its readers do not resume")
def test_a_reader_that_stops_slows_nobody(instance, stubs, talking):
    """100 followers, of whom half read nothing more."""
    talking.say(lines(1))
    wires = [connect(instance, stubs, timeout=60) for _ in range(100)]
    for wire in wires:
        wire.open("ReadLogs", request(stubs, "talker", tail=1, follow=True))
    for wire in wires:
        assert wire.item("ReadLogs").data.decode() == lines(1)
    total = 1
    for _ in range(8):
        talking.say(lines(400, total))
        total += 400
    began = time.monotonic()
    with connect(instance, stubs) as wire:
        wire.call("GetStatus", stubs[1].GetStatusRequest(), timeout=5)
    assert time.monotonic() - began < 2
    for wire in wires[::2]:
        seen = b""
        while len(seen) < (total - 1) * 100:
            seen += wire.item("ReadLogs").data
        assert seen.decode() == lines(total - 1, 1)
    for wire in wires:
        wire.socket.close()


@pytest.mark.no_chaos(reason="its readers do not resume")
def test_a_stalled_reader_holds_its_bound_and_gets_everything_later(instance, stubs, talking):
    talking.say(lines(1))
    wires = [connect(instance, stubs, timeout=60) for _ in range(10)]
    for wire in wires:
        wire.open("ReadLogs", request(stubs, "talker", tail=1, follow=True))
    for wire in wires:
        assert wire.item("ReadLogs").data.decode() == lines(1)
    pid = instance.status()["daemon"]["pid"]
    before = memory(pid)
    total = 60_000
    follower = Follower(instance, stubs, "talker", tail=0)
    talking.say(lines(total, 1))
    # The kernel's share of a socket, and what the sanitizer keeps of what was freed, are not flocksd's.
    assert memory(pid) - before < len(wires) * 2 * 1024 * 1024 + 64 * 1024 * 1024
    with connect(instance, stubs) as wire:
        wire.call("GetStatus", stubs[1].GetStatusRequest(), timeout=2)
    items = []
    while not items or not items[-1].data.endswith(lines(1, total).encode()):
        items.append(wires[3].item("ReadLogs"))
    lost = sum(item.bytes_lost for item in items)
    assert lost > 0
    assert sum(len(item.data) for item in items) + lost == total * 100, "what was rotated away meanwhile is counted"
    # The first line behind a loss may have been cut by the rotation.
    seen = [line for line in text(items).splitlines() if len(line) == 99]
    assert len(seen) > 100
    numbers = [int(line.split()[0]) for line in seen]
    assert numbers == sorted(set(numbers)), "in order, each once"
    follower.leave()
    for wire in wires:
        wire.socket.close()


@pytest.mark.no_chaos(reason="it counts the streams of one flocksd")
def test_streams_are_bounded(instance, stubs, talking):
    talking.say("1\n")
    wires = [connect(instance, stubs) for _ in range(4)]
    frames = [
        wire.frame("ReadLogs", request(stubs, "talker", tail=1, follow=True), flags=REMOTE_CLOSED)[1]
        for wire in wires[:3]
        for _ in range(86)
    ]
    for n, wire in enumerate(wires[:3]):
        wire.socket.sendall(b"".join(frames[n * 86 : n * 86 + 86]))
    refusals, items = [], 0
    for wire in wires[:3]:
        for _ in range(86):
            try:
                assert wire.item("ReadLogs").data == b"1\n"
                items += 1
            except Failure as failure:
                refusals.append(failure)
    assert items == STREAMS_MAX
    assert len(refusals) == 3 * 86 - STREAMS_MAX
    assert all(failure.code == RESOURCE_EXHAUSTED for failure in refusals)
    assert all(failure.detail.reason == stubs[2].ERROR_REASON_LIMIT_REACHED for failure in refusals)
    # One that ends makes room for another one, once flocksd has seen it.
    wires[0].socket.close()

    def has_room():
        wires[3].open("ReadLogs", request(stubs, "talker", tail=1, follow=True))
        try:
            return wires[3].item("ReadLogs").data == b"1\n"
        except Failure as failure:
            assert failure.code == RESOURCE_EXHAUSTED
            return False

    wait_until(has_room, what="room for another one")
    for wire in wires[1:]:
        wire.socket.close()


@pytest.mark.no_chaos(reason="its reader does not resume")
def test_a_follower_is_told_that_the_daemon_ends(instance, stubs, talking):
    with connect(instance, stubs, timeout=60) as wire:
        talking.say("the last\n")
        wire.open("ReadLogs", request(stubs, "talker", tail=1, follow=True))
        assert wire.item("ReadLogs").data == b"the last\n"
        instance.stop()
        with pytest.raises(Failure) as failure:
            while wire.item("ReadLogs"):
                pass
    assert failure.value.code == UNAVAILABLE
    assert failure.value.detail.reason == stubs[2].ERROR_REASON_SHUTTING_DOWN
