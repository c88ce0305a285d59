"""WatchEvents: a snapshot, then every change once, whatever becomes of flocksd, of the watcher and of the others.

Faults of others that are tests here: davmac314/dinit#363 (a client waits for an event that was already sent),
supervisord's buffer of events, which drops the oldest without a word."""

import os
import random
import signal
import socket
import threading
import time

import pytest

from instance import is_alive, wait_until
from wire import HEADER, Failure, Wire

# docs/protocol.md, Limits.
EVENTS_MAX = 4096
WATCHES_MAX = 1024

INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNAVAILABLE = 3, 5, 8, 14

SLEEPERS = """
services:
  one: {command: [/bin/sleep, "1001"], restart: {delay: 1ms, max_delay: 1ms, give_up_after: 0}}
  two: {command: [/bin/sleep, "1002"], restart: {delay: 1ms, max_delay: 1ms, give_up_after: 0}}
"""


def connect(instance, stubs, **options):
    return Wire(instance.root / "run" / "flocksd.sock", stubs, **options)


def number(token):
    return int(token.rpartition("-")[2])


def epoch(token):
    return token.rpartition("-")[0]


@pytest.fixture
def running(instance):
    instance.write(SLEEPERS)
    instance.start()
    return instance


class Watcher:
    """Records every item in a thread, and resumes by token when the connection breaks."""

    def __init__(self, instance, stubs, after="", services=()):
        self.instance, self.stubs, self.services = instance, stubs, list(services)
        self.after, self.items, self.failure, self.over = after, [], None, False
        self.connections = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _read(self):
        request = self.stubs[1].WatchEventsRequest(after=self.after, services=self.services)
        with connect(self.instance, self.stubs, timeout=60) as wire:
            self.connections += 1
            self.wire = wire
            for item in wire.items("WatchEvents", request):
                self.items.append(item)
                self.after = item.token

    def _run(self):
        while not self.over:
            try:
                self._read()
            except (ConnectionError, OSError):
                time.sleep(0.001)
            except Failure as failure:
                if failure.code != UNAVAILABLE:
                    self.failure = failure
                    return

    def leave(self):
        self.over = True
        try:
            self.wire.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.failure is None, self.failure

    def wait_for(self, condition, what):
        return wait_until(lambda: next((i for i in list(self.items) if condition(i)), None), what=what)


def changes(items, name):
    return [i.event.service for i in items if i.HasField("event") and i.event.service.status.name == name]


def shown(status):
    """What a watcher sees of a status: not what is computed from the present time."""
    seen = type(status).FromString(status.SerializeToString())
    seen.ClearField("retry_at")
    seen.ClearField("log_bytes_lost")
    return seen.SerializeToString()


def check_record(items):
    """A snapshot, then events without a hole and without a repetition, each from where the last one ended."""
    assert items[0].HasField("snapshot")
    assert all(i.HasField("event") for i in items[1:]), [i for i in items[1:] if not i.HasField("event")]
    assert len({epoch(i.token) for i in items}) == 1
    assert [number(i.token) for i in items] == list(range(number(items[0].token), number(items[-1].token) + 1))
    last = {s.name: s for s in items[0].snapshot.services}
    for item in items[1:]:
        change = item.event.service
        if not item.event.HasField("service"):
            continue
        name = change.status.name
        assert change.previous_state == last[name].state, item
        assert change.HasField("exit") or shown(change.status) != shown(last[name]), item
        assert change.status.generation >= last[name].generation, item
        last[name] = change.status
    return last


# ---- what is told ----


def test_snapshot_comes_first_then_each_change_once(running, stubs):
    _, supervisor, types = stubs
    watcher = Watcher(running, stubs)
    watcher.wait_for(lambda i: i.HasField("snapshot"), "a snapshot")
    running.stop("one")
    watcher.wait_for(
        lambda i: i.event.operation.kind == types.OPERATION_KIND_STOP
        and i.event.operation.state == types.OPERATION_STATE_SUCCEEDED,
        "the end of the stop",
    )
    watcher.leave()
    last = check_record(watcher.items)
    states = [c.status.state for c in changes(watcher.items, "one")]
    assert states[0] == types.SERVICE_STATE_STOPPING and states[-1] == types.SERVICE_STATE_STOPPED
    assert last["one"].state == types.SERVICE_STATE_STOPPED
    ended = [c for c in changes(watcher.items, "one") if c.HasField("exit")]
    assert len(ended) == 1 and ended[0].exit.signal == "SIGTERM" and ended[0].exit.generation == 1
    assert [s.name for s in watcher.items[0].snapshot.services] == ["one", "two"]
    assert watcher.items[0].snapshot.daemon.pid == running.status()["daemon"]["pid"]


def test_services_filter_events_of_others(running, stubs):
    watcher = Watcher(running, stubs, services=["two"])
    watcher.wait_for(lambda i: i.HasField("snapshot"), "a snapshot")
    running.flocks("restart", "one", check=0)
    running.flocks("restart", "two", check=0)
    watcher.wait_for(lambda i: i.event.service.status.generation == 2, "the second generation")
    watcher.leave()
    assert [s.name for s in watcher.items[0].snapshot.services] == ["two"]
    for item in watcher.items[1:]:
        if item.event.HasField("service"):
            assert item.event.service.status.name == "two"
        if item.event.HasField("operation"):
            assert [o.service for o in item.event.operation.outcomes] == ["two"]


def test_lost_event_dinit_363_status_tells_where_events_go_on(running, stubs):
    """dinit#363: look, then subscribe: what happens between the two is not lost."""
    _, supervisor, types = stubs
    with connect(running, stubs) as wire:
        token = wire.call("GetStatus", supervisor.GetStatusRequest()).event_token
    running.stop("one")
    watcher = Watcher(running, stubs, after=token)
    watcher.wait_for(lambda i: i.event.service.status.state == types.SERVICE_STATE_STOPPED, "the stop")
    watcher.leave()
    assert not any(i.HasField("snapshot") or i.HasField("gap") for i in watcher.items)
    assert number(watcher.items[0].token) == number(token) + 1


def test_tokens_are_short(running, stubs):
    with connect(running, stubs) as wire:
        assert len(wire.call("GetStatus", stubs[1].GetStatusRequest()).event_token) <= 47


# ---- resuming ----


@pytest.mark.no_chaos("counts its own kills")
def test_flocksd_killed_fifty_times_loses_and_repeats_no_event(running, stubs):
    kills = int(os.environ.get("FLOCKS_EVENT_KILLS", "50"))
    watcher = Watcher(running, stubs)
    watcher.wait_for(lambda i: i.HasField("snapshot"), "a snapshot")
    moment = random.Random(20261123)
    over = threading.Event()
    crashed = [0]

    def crash_services():
        while not over.wait(0.03):
            pid = running.status()["services"][0]["pid"]
            if pid:
                crashed[0] = pid
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def is_back():
        one = running.service("one")
        return one["state"] == "SERVICE_STATE_HEALTHY" and one["pid"] != crashed[0]

    crasher = threading.Thread(target=crash_services)
    crasher.start()
    victim = None
    for _ in range(kills):
        victim = wait_until(
            lambda last=victim: (p := running.status()["daemon"]["pid"]) not in (0, last) and p, what="a flocksd"
        )
        time.sleep(moment.random() * 0.05)
        os.kill(victim, signal.SIGKILL)
    over.set()
    crasher.join()
    wait_until(is_back, what="one after the last crash")
    running.stop("two")
    watcher.wait_for(
        lambda i: i.event.service.status.name == "two" and i.event.service.status.state == 1, "the last event"
    )
    watcher.leave()
    last = check_record(watcher.items)
    assert watcher.connections >= kills // 2
    status = {s["name"]: s for s in running.status()["services"]}
    assert last["one"].generation == status["one"]["generation"] and last["one"].pid == status["one"]["pid"]
    daemons = {i.event.daemon.takeovers for i in watcher.items if i.event.HasField("daemon")}
    assert max(daemons) >= kills
    exits = [c.exit.generation for c in changes(watcher.items, "one") if c.HasField("exit")]
    assert exits == sorted(set(exits)), "no end of a generation is told twice"
    assert set(range(1, last["one"].generation)) <= set(exits), "every end is told"


def test_token_of_another_life_is_a_gap_and_a_snapshot(running, stubs):
    _, supervisor, _ = stubs
    with connect(running, stubs) as wire:
        items = wire.items("WatchEvents", supervisor.WatchEventsRequest(after="00000000000000aa-77"))
        gap, snapshot = next(items), next(items)
    assert gap.HasField("gap") and gap.gap.events_lost == 0
    assert gap.token == "00000000000000aa-77", "whoever resumes behind the gap still needs its snapshot"
    assert snapshot.HasField("snapshot") and len(snapshot.snapshot.services) == 2


def test_both_processes_gone_begin_a_new_epoch(running, stubs):
    _, supervisor, _ = stubs
    with connect(running, stubs) as wire:
        token = wire.call("GetStatus", supervisor.GetStatusRequest()).event_token
    running.stop()
    running.start()
    with connect(running, stubs) as wire:
        items = wire.items("WatchEvents", supervisor.WatchEventsRequest(after=token))
        gap, snapshot = next(items), next(items)
    assert gap.HasField("gap") and gap.gap.events_lost == 0
    assert epoch(snapshot.token) != epoch(token)


@pytest.mark.no_chaos(reason="thousands of calls over one connection")
def test_supervisord_drops_oldest_silently_here_the_gap_says_how_many(running, stubs):
    _, supervisor, _ = stubs
    with connect(running, stubs) as wire:
        token = wire.call("GetStatus", supervisor.GetStatusRequest()).event_token
        for i in range(EVENTS_MAX + 200):
            wire.call("StartServices", supervisor.StartServicesRequest(services=["one"]))
        last = wire.call("GetStatus", supervisor.GetStatusRequest()).event_token
        items = wire.items("WatchEvents", supervisor.WatchEventsRequest(after=token))
        gap, snapshot = next(items), next(items)
    assert number(last) - number(token) > EVENTS_MAX
    assert gap.HasField("gap")
    assert gap.gap.events_lost >= number(last) - number(token) - EVENTS_MAX
    assert gap.token == token
    assert snapshot.HasField("snapshot")


@pytest.mark.parametrize("token", ["x", "-", "1-1", "00000000000000aa", "00000000000000aa-", "00000000000000AA-1",
                                   "00000000000000aa-01", "00000000000000aa-99999999999999999999"])
def test_malformed_token_is_refused(running, stubs, token):
    with connect(running, stubs) as wire:
        with pytest.raises(Failure) as failure:
            next(wire.items("WatchEvents", stubs[1].WatchEventsRequest(after=token)))
    assert failure.value.code == INVALID_ARGUMENT
    assert failure.value.detail.hint


def test_unknown_service_is_refused(running, stubs):
    with connect(running, stubs) as wire:
        with pytest.raises(Failure) as failure:
            next(wire.items("WatchEvents", stubs[1].WatchEventsRequest(services=["one", "three"])))
    assert failure.value.code == NOT_FOUND
    assert failure.value.detail.reason == stubs[2].ERROR_REASON_UNKNOWN_SERVICE


# ---- many, and hostile ones ----


@pytest.mark.no_chaos("counts watchers")
def test_a_thousand_watchers_all_hear_and_more_than_1024_are_refused(running, stubs):
    _, supervisor, types = stubs
    request = supervisor.WatchEventsRequest()
    wires = []
    per_connection = 64
    try:
        for _ in range(WATCHES_MAX // per_connection):
            wire = connect(running, stubs)
            wires.append(wire)
            for _ in range(per_connection):
                wire.open("WatchEvents", request)
            for _ in range(per_connection):
                assert wire.item("WatchEvents").HasField("snapshot")
        with connect(running, stubs) as wire:
            with pytest.raises(Failure) as failure:
                next(wire.items("WatchEvents", request))
            assert failure.value.code == RESOURCE_EXHAUSTED
            assert failure.value.detail.reason == types.ERROR_REASON_LIMIT_REACHED
            began = time.monotonic()
            wire.call("StopServices", supervisor.StopServicesRequest(services=["one"], wait=True))
            took = time.monotonic() - began
        assert took < 5, "a thousand watchers keep nobody from stopping a service"
        for wire in wires:
            heard = 0
            while heard < per_connection:
                item = wire.item("WatchEvents")
                heard += item.event.service.status.state == types.SERVICE_STATE_STOPPED
    finally:
        for wire in wires:
            wire.socket.close()
    with connect(running, stubs) as wire:
        wait_until(lambda: next(wire.items("WatchEvents", request)).HasField("snapshot"), what="room for a watcher")


@pytest.mark.no_chaos("looks at one flocksd's memory")
def test_watcher_that_never_reads_holds_its_bound_and_nothing_else(instance, stubs):
    _, supervisor, _ = stubs
    # Sanitizers keep what was freed: only a little of it here.
    instance.environment["ASAN_OPTIONS"] += ":quarantine_size_mb=1"
    instance.write(SLEEPERS)
    instance.start()
    running = instance
    pid = running.status()["daemon"]["pid"]

    def memory():
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024

    silent = [connect(running, stubs) for _ in range(20)]
    before = memory()
    for wire in silent:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(50):
            wire.open("WatchEvents", supervisor.WatchEventsRequest())
    listener = Watcher(running, stubs)
    with connect(running, stubs) as wire:
        for _ in range(3000):
            wire.call("StartServices", supervisor.StartServicesRequest(services=["one"]))
        token = wire.call("GetStatus", supervisor.GetStatusRequest()).event_token
    listener.wait_for(lambda i: number(i.token) >= number(token), "everything, for whoever reads")
    listener.leave()
    check_record(listener.items)
    # 1 MiB of output for each connection, whatever there is to say, and as much again for what memory costs.
    assert memory() - before < 20 * 2 + 40
    # The ring holds them to their place: what they missed is told as a number.
    wire = silent[0]
    wire.socket.settimeout(20)
    lost = 0
    while not lost:
        item = wire.item("WatchEvents")
        lost = item.gap.events_lost if item.HasField("gap") else 0
        if item.HasField("event") and number(item.token) >= number(token):
            break
    for wire in silent:
        wire.socket.close()
    assert is_alive(pid)


def test_last_events_of_a_shutdown_are_told(running, stubs):
    _, supervisor, types = stubs
    seen = []
    with connect(running, stubs) as wire:
        wire.open("WatchEvents", supervisor.WatchEventsRequest())
        assert wire.item("WatchEvents").HasField("snapshot")
        with connect(running, stubs) as other:
            other.call("Shutdown", supervisor.ShutdownRequest())
        with pytest.raises((Failure, ConnectionError)):
            while True:
                seen.append(wire.item("WatchEvents"))
    stopped = {i.event.service.status.name for i in seen if i.event.service.status.state == 1}
    assert stopped == {"one", "two"}
    assert any(i.event.daemon.state == types.DAEMON_STATE_STOPPING for i in seen)
    assert any(i.event.operation.state == types.OPERATION_STATE_SUCCEEDED for i in seen)
