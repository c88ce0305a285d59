"""What updaters tell the real daemon, who hears it, and what becomes of it when somebody dies."""

import importlib
import os
import subprocess

import pytest
from instance import PYTHON, wait_until
from wire import Failure, Wire

pytestmark = pytest.mark.no_chaos(reason="speaks over one connection, and kills flocksd itself")

ABORTED, INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED = 10, 3, 5, 8
CONFIG = 'services: {one: {command: [/bin/sleep, "1000"]}, two: {command: [/bin/sleep, "1000"]}}\n'
SERVICE = "flocks.v1.UpgradeService"

# An updater: every line of its input is a step and a message; it says what it was answered.
UPDATER = """
import importlib, sys
sys.path[:0] = {paths!r}
from wire import Wire
names = ("flocks.ttrpc.v1.ttrpc_pb2", "flocks.v1.supervisor_pb2", "flocks.v1.types_pb2")
stubs = tuple(importlib.import_module(n) for n in names)
pb = importlib.import_module("flocks.v1.upgrade_pb2")
for line in sys.stdin:
    step, _, message = line.strip().partition(" ")
    progress = pb.UpgradeProgress(upgrade_id={id!r}, step=pb.UpgradeStep.Value("UPGRADE_STEP_" + step), message=message)
    with Wire({socket!r}, stubs) as wire:
        stream, frame = wire.frame("ReportUpgrade", pb.ReportUpgradeRequest(progress=progress), timeout=20.0,
                                   service={service!r})
        wire.socket.sendall(frame)
        answer = wire.decode(wire.response()[1], pb.ReportUpgradeResponse)
    print("abort" if answer.abort else "go on", flush=True)
"""


class Upgrades:
    """An instance, its UpgradeService over fresh connections, and updaters as processes."""

    def __init__(self, instance, stubs):
        self.instance, self.stubs = instance, stubs
        self.pb = importlib.import_module("flocks.v1.upgrade_pb2")
        self.types = stubs[2]
        self.updaters = []

    def wire(self):
        return Wire(self.instance.root / "run" / "flocksd.sock", self.stubs)

    def call(self, method, timeout=20.0, **fields):
        with self.wire() as wire:
            request = getattr(self.pb, f"{method}Request")(**fields)
            _, frame = wire.frame(method, request, timeout=timeout, service=SERVICE)
            wire.socket.sendall(frame)
            return wire.decode(wire.response()[1], getattr(self.pb, f"{method}Response"))

    def report(self, upgrade_id, step, message="", **fields):
        step = self.pb.UpgradeStep.Value(f"UPGRADE_STEP_{step}")
        return self.call("ReportUpgrade", progress=dict(upgrade_id=upgrade_id, step=step, message=message, **fields))

    def get(self, upgrade_id=""):
        return self.call("GetUpgrade", upgrade_id=upgrade_id).progress

    def step(self, upgrade_id=""):
        return self.pb.UpgradeStep.Name(self.get(upgrade_id).step)[len("UPGRADE_STEP_") :]

    def watch(self, upgrade_id="", after=""):
        """A stream: call it for the next item, None at its end."""
        wire = self.wire()
        wire.open(
            "WatchUpgrade", self.pb.WatchUpgradeRequest(upgrade_id=upgrade_id, after=after), service=SERVICE
        )
        return lambda: wire.item("WatchUpgrade", self.pb)

    def updater(self, upgrade_id):
        """A process that reports when told so: updater(step, message) -> "go on" or "abort"."""
        paths = [os.path.dirname(__file__), os.path.dirname(self.pb.__file__) + "/../.."]
        socket = str(self.instance.root / "run" / "flocksd.sock")
        script = UPDATER.format(paths=paths, id=upgrade_id, socket=socket, service=SERVICE)
        process = subprocess.Popen(
            [PYTHON, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.updaters.append(process)

        def say(step, message=""):
            process.stdin.write(f"{step} {message}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        say.process = process
        return say

    def kill_flocksd(self):
        before = self.instance.status()["daemon"]["pid"]
        os.kill(before, 9)
        wait_until(lambda: self.instance.status()["daemon"]["pid"] not in (0, before), what="another flocksd")

    def kill_both(self):
        """Nobody can save the other; what was told goes by the record on the disk."""
        daemon = self.instance.status()["daemon"]
        os.kill(daemon["keeper_pid"], 19)
        os.kill(daemon["pid"], 9)
        os.kill(daemon["keeper_pid"], 9)
        wait_until(lambda: self.instance.status()["daemon"]["state"] == "DAEMON_STATE_NOT_RUNNING", what="both dead")


@pytest.fixture
def upgrades(instance, stubs):
    instance.write(CONFIG)
    instance.start("--quiet")
    upgrades = Upgrades(instance, stubs)
    yield upgrades
    for process in upgrades.updaters:
        process.kill()
        process.communicate()


def refused(code, call, *arguments, **fields):
    with pytest.raises(Failure) as failure:
        call(*arguments, **fields)
    assert failure.value.code == code, failure.value
    return failure.value


# ---- what is told ----


def test_what_is_told_is_shown(upgrades):
    refused(NOT_FOUND, upgrades.get)
    assert not upgrades.report("u1", "DOWNLOADING", "of 2.0", bytes_done=1, bytes_total=4, to_version="2.0").abort
    told = upgrades.get()
    assert (told.upgrade_id, told.message, told.bytes_done, told.to_version) == ("u1", "of 2.0", 1, "2.0")
    assert told.HasField("began_at") and not told.HasField("ended_at")
    upgrades.report("u1", "DONE", "well")
    assert upgrades.get("u1").HasField("ended_at") and upgrades.get().message == "well"
    # A word from before the end that comes late.
    upgrades.report("u1", "INSTALLING", "late")
    assert upgrades.get().message == "well"
    for upgrade_id in ("", "a b", "a" * 33):
        refused(INVALID_ARGUMENT, upgrades.report, upgrade_id, "DONE")


def test_the_last_sixteen_are_remembered(upgrades):
    for i in range(18):
        upgrades.report(f"u{i}", "DONE", str(i))
    refused(NOT_FOUND, upgrades.get, "u1")
    assert [upgrades.get(f"u{i}").message for i in range(2, 18)] == [str(i) for i in range(2, 18)]
    for i in range(16):
        upgrades.report(f"v{i}", "INSTALLING")
    failure = refused(RESOURCE_EXHAUSTED, upgrades.report, "more", "INSTALLING")
    assert failure.detail.reason == upgrades.types.ERROR_REASON_LIMIT_REACHED


def test_watchers_hear_the_newest_until_the_end(upgrades):
    upgrades.report("u1", "DOWNLOADING", "0")
    quick, slow = upgrades.watch(), upgrades.watch("u1")
    assert quick().progress.message == "0" and slow().progress.message == "0"
    for i in range(1, 2000):
        upgrades.report("u1", "DOWNLOADING", str(i))
    upgrades.report("u1", "DONE", "well")
    heard = [0]
    for stream in (quick, slow):
        while (item := stream()) is not None:
            last = item
            heard.append(item.progress.message)
        assert last.progress.message == "well"
    # Whoever comes afterwards hears the end, and who has heard it only that it is over.
    after = upgrades.watch("u1")
    token = after().token
    assert after() is None
    assert upgrades.watch("u1", after=token)() is None
    assert upgrades.watch(after=token)() is None


def test_watching_what_is_not_there_is_refused(upgrades):
    upgrades.report("u1", "DONE")
    token = upgrades.watch("u1")().token
    upgrades.report("u2", "DONE")
    refused(NOT_FOUND, upgrades.watch("nobody"))
    refused(NOT_FOUND, upgrades.watch(after="nobody" + token[token.index(".") :]))
    for after in ("x", "u1.", "u1.0123", token + "0", token.upper()):
        refused(INVALID_ARGUMENT, upgrades.watch("u1", after=after))
    refused(INVALID_ARGUMENT, upgrades.watch("u2", after=token))


def test_a_lease_that_nobody_reports_of_is_watched_as_well(upgrades):
    lease = upgrades.call("BeginUpgrade", owner="test", services=["one"]).lease
    stream = upgrades.watch(lease.id)
    assert stream().progress.phase == upgrades.types.UPGRADE_PHASE_HELD
    upgrades.call("AbortUpgrade", lease_id=lease.id, reason="enough")
    steps = []
    while (item := stream()) is not None:
        steps.append(upgrades.pb.UpgradeStep.Name(item.progress.step))
    assert steps[-1] == "UPGRADE_STEP_DONE" and item is None
    assert upgrades.get(lease.id).phase == upgrades.types.UPGRADE_PHASE_ROLLED_BACK


def test_an_upgrade_and_its_lease_are_one(upgrades):
    """The lease's request_id is the upgrade's id: either id finds both, and the phase is the server's."""
    upgrades.report("u1", "STOPPING", "now")
    lease = upgrades.call("BeginUpgrade", owner="test", services=["one"], request_id="u1").lease
    assert upgrades.get(lease.id).upgrade_id == "u1" and upgrades.get("u1").lease_id == lease.id
    answer = upgrades.call("GetUpgrade")
    assert answer.lease.id == lease.id and answer.progress.upgrade_id == "u1"
    stream = upgrades.watch("u1")
    assert stream().progress.phase == upgrades.types.UPGRADE_PHASE_HELD
    upgrades.call("AbortUpgrade", upgrade_id="u1", reason="enough")
    wait_until(lambda: stream().progress.phase == upgrades.types.UPGRADE_PHASE_ROLLED_BACK, what="the roll-back")
    assert upgrades.step() == "STOPPING"
    assert upgrades.report("u1", "ROLLING_BACK").abort
    upgrades.report("u1", "DONE", "taken back")
    assert not upgrades.report("u1", "DONE", "taken back").abort


# ---- abort ----


def test_abort_is_told_to_the_updater_at_its_next_word(upgrades):
    say = upgrades.updater("u1")
    assert say("DOWNLOADING") == "go on"
    upgrades.call("AbortUpgrade", upgrade_id="u1", reason="changed my mind")
    upgrades.call("AbortUpgrade", upgrade_id="u1")
    upgrades.kill_flocksd()
    assert say("DOWNLOADING") == "abort"
    assert say("DONE", "aborted") == "go on"
    upgrades.call("AbortUpgrade", upgrade_id="u1")
    refused(ABORTED, upgrades.call, "AbortUpgrade", upgrade_id="nobody")


# ---- deaths ----


def test_what_was_told_survives_flocksd(upgrades):
    upgrades.report("u1", "DONE", "long ago")
    upgrades.report("u2", "INSTALLING", "step 1")
    stream = upgrades.watch("u2")
    token = stream().token
    upgrades.kill_flocksd()
    with pytest.raises((ConnectionError, OSError, Failure)):
        stream()
    assert upgrades.get("u1").message == "long ago"
    # Nothing new: the stream begins when there is.
    stream = upgrades.watch(after=token)
    upgrades.report("u2", "VERIFYING", "step 2")
    assert stream().progress.message == "step 2"
    upgrades.report("u2", "DONE", "well")
    items = iter(stream, None)
    assert [item.progress.message for item in items][-1] == "well"


@pytest.mark.parametrize("is_there", [True, False])
def test_record_half_written_when_flocksd_was_killed_is_written_again(upgrades, is_there):
    record = upgrades.instance.root / "run" / "lease.pb"
    half = record.with_name("lease.pb.aB3dE6")
    upgrades.report("u1", "DONE", "well")
    wait_until(lambda: record.exists() and b"well" in record.read_bytes(), what="the record")
    # As of before that report: it was being written.
    half.write_bytes(record.read_bytes()[:10])
    if is_there:
        record.write_bytes(b"")
    else:
        record.unlink()
    upgrades.kill_flocksd()
    wait_until(lambda: record.exists() and b"well" in record.read_bytes(), what="the record again")
    assert not half.exists()


def test_what_was_told_survives_everybody(upgrades):
    upgrades.report("u1", "DONE", "well")
    upgrades.report("u2", "INSTALLING", "step 1")
    record = upgrades.instance.root / "run" / "lease.pb"
    wait_until(lambda: record.exists() and b"step 1" in record.read_bytes(), what="the record")
    token = upgrades.watch("u2")().token
    upgrades.kill_both()
    upgrades.instance.start("--quiet")
    assert upgrades.get("u1").message == "well"
    assert upgrades.get("u1").HasField("ended_at")
    assert upgrades.get("u2").message == "step 1" and upgrades.step() == "INSTALLING"
    stream = upgrades.watch("u2", after=token)
    upgrades.report("u2", "DONE", "well")
    assert stream().progress.message == "well"
