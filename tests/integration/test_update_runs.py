"""flocks-update as flocksd runs it: detached when somebody asks for an update, and to recover what nobody is at."""

import fcntl
import json
import os
import struct

import pytest
from instance import PYTHON, SERVICES, is_alive, wait_until
from test_upgrades import CONFIG, Upgrades, refused

pytestmark = pytest.mark.no_chaos(reason="speaks over one connection, and kills flocksd itself")

ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND = 6, 9, 3, 5
F_OFD_SETLK = 37


class Runs(Upgrades):
    """Upgrades whose flocks-update is a stand-in that says what it was run with."""

    def __init__(self, instance, stubs):
        super().__init__(instance, stubs)
        libexec = instance.root / "libexec"
        libexec.mkdir()
        self.program = libexec / "flocks-update"
        self.program.write_text(f"#!{PYTHON}\n" + (SERVICES / "updater.py").read_text())
        self.program.chmod(0o755)
        instance.environment["FLOCKS_LIBEXEC"] = str(libexec)
        self.journal = instance.root / "run" / "upgrade.journal"

    def runs(self, command):
        """What every run of `command` said, the first one first."""
        directory = self.instance.root / "runs"
        files = sorted(directory.glob("*.json"), key=lambda file: file.stat().st_mtime_ns) if directory.exists() else []
        return [run for run in (json.loads(file.read_text()) for file in files) if run["command"] == command]

    def wait_for_run(self, command, seconds=30.0):
        return wait_until(lambda: self.runs(command), seconds, f"a run of {command}")[-1]

    def end(self):
        (self.instance.root / "end").write_text("")

    def hold_lock(self):
        """The lock of upgrades, ours until the descriptor is closed."""
        lock = os.open(self.instance.root / "run" / "upgrade.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
        os.write(lock, f"{os.getpid()} a person\n".encode())
        return lock

    def parent(self, pid):
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])

    def wait_until_reaped(self, pid):
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="that it is reaped")


@pytest.fixture
def runs(instance, stubs):
    instance.write(CONFIG)
    runs = Runs(instance, stubs)
    instance.start("--quiet")
    yield runs
    runs.end()
    for process in runs.updaters:
        process.kill()
        process.communicate()
    for run in runs.runs("apply"):
        wait_until(lambda: not is_alive(run["pid"]), what="the end of the stand-in")


# ---- StartUpdate ----


def test_an_update_runs_detached(runs):
    upgrade = runs.call("StartUpdate", version="2.0", source="/some/where", region="cn", force=True).upgrade_id
    run = runs.wait_for_run("apply")
    root = str(runs.instance.root)
    assert run["arguments"] == [
        "--root", root, "--socket", f"{root}/run/flocksd.sock", "apply", "--upgrade-id", upgrade,
        "--owner", f"StartUpdate of process {os.getpid()}", "--to", "2.0", "--from", "/some/where", "--region", "cn",
        "--force",
    ]  # fmt: skip
    inherited = {number: path for number, path in run["descriptors"].items() if path}
    assert set(inherited) - {"0", "1", "2"} <= {n for n, p in inherited.items() if p.startswith("/proc/")}
    assert inherited["0"] == inherited["1"] == "/dev/null" and inherited["2"] == f"{root}/logs/update.log"
    assert not {"NOTIFY_SOCKET", "FLOCKS_SERVICE", "FLOCKS_INVOCATION_ID"} & set(run["environment"])
    assert runs.step(upgrade) == "CHECKING" and runs.get().to_version == "2.0"
    # In nobody's process set: what stops every service leaves it alone.
    runs.instance.flocks("stop", "one", "two", check=0)
    assert is_alive(run["pid"])
    runs.end()
    runs.wait_until_reaped(run["pid"])
    wait_until(lambda: runs.step(upgrade) == "DONE", what="that its end is told")


def test_an_update_survives_flocksd_and_the_keeper(runs):
    upgrade = runs.call("StartUpdate", request_id="r1").upgrade_id
    run = runs.wait_for_run("apply")
    runs.kill_flocksd()
    assert is_alive(run["pid"])
    daemon = runs.instance.status()["daemon"]
    wait_until(lambda: runs.parent(run["pid"]) == daemon["keeper_pid"], what="that it is the keeper's")
    # The same request to another flocksd.
    assert runs.call("StartUpdate", request_id="r1").upgrade_id == upgrade
    os.kill(daemon["keeper_pid"], 9)
    wait_until(
        lambda: runs.instance.status()["daemon"]["keeper_pid"] not in (0, daemon["keeper_pid"]), what="another keeper"
    )
    assert is_alive(run["pid"]) and runs.step(upgrade) == "CHECKING"
    runs.end()
    wait_until(lambda: not is_alive(run["pid"]), what="its end")
    wait_until(lambda: runs.step(upgrade) == "DONE", what="that its end is told")
    assert len(runs.runs("apply")) == 1


def test_a_stop_leaves_the_updater_alone(runs):
    runs.call("StartUpdate")
    run = runs.wait_for_run("apply")
    stopped = runs.instance.stop()
    assert is_alive(run["pid"]) and "left" not in stopped.stderr
    assert runs.instance.flocks("status", "--json", check=3).stdout.count("leftovers") == 0 or (
        runs.instance.status().get("leftovers", []) == []
    )


def test_one_update_at_a_time(runs):
    upgrade = runs.call("StartUpdate", request_id="r1").upgrade_id
    assert runs.call("StartUpdate", request_id="r1").upgrade_id == upgrade
    failure = refused(ALREADY_EXISTS, runs.call, "StartUpdate")
    assert failure.detail.reason == runs.types.ERROR_REASON_UPGRADE_RUNNING and upgrade in str(failure)
    run = runs.wait_for_run("apply")
    runs.end()
    runs.wait_until_reaped(run["pid"])
    wait_until(lambda: runs.step(upgrade) == "DONE", what="that its end is told")
    # One that nobody told of, by the lock alone; and nothing is remembered of what was refused.
    lock = runs.hold_lock()
    failure = refused(ALREADY_EXISTS, runs.call, "StartUpdate", request_id="r2")
    assert failure.detail.reason == runs.types.ERROR_REASON_UPGRADE_RUNNING
    assert f"a person (pid {os.getpid()}) has the lock" in str(failure)
    assert runs.get().upgrade_id == upgrade
    os.close(lock)
    assert runs.call("StartUpdate", request_id="r2").upgrade_id != upgrade


def test_what_cannot_be_run_is_refused(runs):
    for fields in ({"version": "1\n2"}, {"roll_back": True, "version": "1"}, {"roll_back": True, "force": True}):
        refused(INVALID_ARGUMENT, runs.call, "StartUpdate", **fields)
    runs.program.write_text("#!/nonexistent/interpreter\n")
    failure = refused(FAILED_PRECONDITION, runs.call, "StartUpdate", request_id="r1")
    assert failure.detail.reason == runs.types.ERROR_REASON_SYSTEM and "flocks-update" in str(failure)
    # Nothing is remembered of it, not even the request.
    refused(NOT_FOUND, runs.get)
    refused(FAILED_PRECONDITION, runs.call, "StartUpdate", request_id="r1")


# ---- recovery ----


def journal_text(root, upgrade_id, *steps, lease="0123456789abcdef0123456789abcdef"):
    """A journal as flocks-update writes it: from release 1 to release 2."""
    lines = ["flocks-upgrade 1 1", f"id {upgrade_id}", "from 1.0.0", "to 2.0.0"]
    lines += [f"lease {lease}"] if lease else []
    lines += [f"link {root}/current", "old releases/1.0.0", "new releases/2.0.0"]
    text = "".join(f"{line}\n" for line in lines + [f"step {step} 1764000000000" for step in steps])
    total = 0xCBF29CE484222325
    for byte in text.encode():
        total = (total ^ byte) * 0x100000001B3 % 2**64
    return text + f"end {total:016x}\n"


def test_what_only_a_server_can_tell_is_recovered_by_it(instance, stubs):
    """`flocks start` leaves a commit that was under way to the server that it starts."""
    instance.write(CONFIG)
    runs = Runs(instance, stubs)
    runs.journal.parent.mkdir(mode=0o700)
    (instance.root / "current").symlink_to("releases/2.0.0")
    steps = ("preparing", "prepared", "leasing", "leased", "stopping", "switching", "switched", "committing")
    runs.journal.write_text(journal_text(instance.root, "u1", *steps))
    instance.start("--quiet")
    run = runs.wait_for_run("recover")
    root = str(instance.root)
    assert run["arguments"] == ["--root", root, "--socket", f"{root}/run/flocksd.sock", "recover"]
    wait_until(lambda: not runs.journal.exists(), what="the end of the journal")


def test_start_goes_on_beside_an_updater_that_waits_for_a_servers_word(instance, stubs):
    """Both daemons died in the middle of a commit: without a start nobody would ever say how it ends."""
    link = instance.root / "current"
    for version in ("1.0.0", "2.0.0"):
        (instance.root / "releases" / version).mkdir(parents=True)
    instance.write("services: {one: {command: [/bin/sleep, '1000']}}\n")
    runs = Runs(instance, stubs)
    runs.journal.parent.mkdir(mode=0o700)
    link.symlink_to("releases/2.0.0")
    steps = ("preparing", "prepared", "leasing", "leased", "stopping", "switching", "switched", "committing")
    runs.journal.write_text(journal_text(instance.root, "u1", *steps))
    lock = runs.hold_lock()
    instance.start()
    assert os.readlink(link) == "releases/2.0.0" and runs.journal.exists()
    os.close(lock)


def test_start_puts_back_what_was_switched_before_it_runs_anything(instance, stubs):
    """And does not start beside one that still switches: exit 5, with who it is."""
    link = instance.root / "current"
    for version in ("1.0.0", "2.0.0"):
        (instance.root / "releases" / version).mkdir(parents=True)
    instance.write(f'services: {{one: {{command: [/bin/sh, -c, "readlink {link}; exec sleep 1000"]}}}}\n')
    runs = Runs(instance, stubs)
    runs.journal.parent.mkdir(mode=0o700)
    link.symlink_to("releases/2.0.0")
    steps = ("preparing", "prepared", "leasing", "leased", "stopping", "switching", "switched")
    runs.journal.write_text(journal_text(instance.root, "u1", *steps))
    lock = runs.hold_lock()
    refused_start = instance.start(check=5)
    assert f"a person (pid {os.getpid()})" in refused_start.stderr and "flocks update --abort" in refused_start.stderr
    assert os.readlink(link) == "releases/2.0.0" and instance.log("one") == ""
    os.close(lock)
    assert "took back an unfinished update to 2.0.0" in instance.start().stderr
    assert os.readlink(link) == "releases/1.0.0" and not runs.journal.exists()
    assert "releases/1.0.0" in instance.log("one")


def test_a_journal_is_recovered_after_a_take_over_and_again_if_need_be(runs):
    stuck = runs.instance.root / "stuck"
    stuck.write_text("")
    runs.journal.write_text("unfinished")
    runs.kill_flocksd()
    first = runs.wait_for_run("recover")
    runs.wait_until_reaped(first["pid"])
    stuck.unlink()
    wait_until(lambda: not runs.journal.exists(), what="another try")
    assert len(runs.runs("recover")) >= 2


def test_what_a_lease_left_is_recovered(runs):
    link = runs.instance.root / "current"
    link.symlink_to("releases/1")
    lease = runs.call(
        "BeginUpgrade", owner="test", services=["one"], undo=[{"link": str(link), "target": "releases/1"}]
    ).lease
    runs.journal.write_text("unfinished")
    # Whoever has the lock is at it.
    lock = runs.hold_lock()
    runs.call("AbortUpgrade", lease_id=lease.id)
    wait_until(lambda: runs.get(lease.id).phase == runs.types.UPGRADE_PHASE_ROLLED_BACK, what="the roll-back")
    os.close(lock)
    if not runs.runs("recover"):
        # It may have been looked while the lock was held: the next end of a lease.
        lease = runs.call(
            "BeginUpgrade", owner="test", services=["one"], undo=[{"link": str(link), "target": "releases/1"}]
        ).lease
        runs.call("AbortUpgrade", lease_id=lease.id)
    wait_until(lambda: not runs.journal.exists(), what="the recovery")


def test_the_end_of_an_updater_that_died_is_told(runs):
    """By the server, when nothing is left of it; from the result when it had come so far as to write one."""
    say = runs.updater("u1")
    say("DOWNLOADING", "of 2.0")
    stream = runs.watch("u1")
    stream()
    say.process.kill()
    items = list(iter(stream, None))
    last = items[-1].progress
    assert (last.step, last.code, last.message) == (10, 10, "the updater died; nothing was changed")
    assert last.error.hint and last.HasField("ended_at")
    say = runs.updater("u2")
    say("COMMITTING", "2.0")
    (runs.instance.root / "run" / "upgrade-result.json").write_text(
        json.dumps({"upgrade_id": "u2", "message": "2.0 is committed", "phase": "UPGRADE_PHASE_COMMITTED"})
    )
    say.process.kill()
    wait_until(lambda: runs.step("u2") == "DONE", what="the end")
    assert (runs.get("u2").message, runs.get("u2").code) == ("2.0 is committed", 0)
    # Not dead after all: its own word counts.
    runs.report("u1", "INSTALLING", "I live")
    assert runs.step("u1") == "INSTALLING"


def test_an_updater_that_dies_is_noticed(runs):
    """While somebody has the lock, it is that one's to end."""
    lock = runs.hold_lock()
    say = runs.updater("u1")
    assert say("DOWNLOADING", "of 2.0") == "go on"
    say.process.kill()
    wait_until(lambda: runs.step() == "RECOVERING", what="that its death is noticed")
    os.close(lock)
    wait_until(lambda: runs.step() == "DONE", what="the end")


def test_an_updater_that_died_with_a_journal_is_recovered_first(runs):
    say = runs.updater("u1")
    say("SWITCHING", "to 2.0")
    runs.journal.write_text("unfinished")
    say.process.kill()
    runs.wait_for_run("recover")
    wait_until(lambda: runs.step("u1") == "DONE", what="the end")
    assert not runs.journal.exists()
