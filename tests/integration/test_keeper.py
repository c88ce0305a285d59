"""Keeper and flocksd outlive each other; what both leave behind is never run twice and never mistaken."""

import contextlib
import json
import os
import random
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from instance import (
    BUILD,
    PYTHON,
    SERVICES,
    check_numbers,
    is_alive,
    numbers,
    processes_with,
    running_root,
    start_ticks,
    wait_until,
)
from side_by_side import side_by_side

pytestmark = pytest.mark.no_chaos(reason="kills keepers and both itself; of two that die together nobody is left to go on")

KEEPER_KILLS = int(os.environ.get("FLOCKS_KEEPER_KILLS", "20"))
HERE = Path(__file__).parent


def sleepers(count):
    return "services:\n" + "".join(f'  s{i:02d}: {{command: [/bin/sleep, "{1000 + i}"]}}\n' for i in range(count))


def daemon(instance):
    return instance.status()["daemon"]


def pids(instance):
    return {s["name"]: s["pid"] for s in instance.status()["services"]}


def kill_keeper(instance):
    """Returns the new keeper's pid, once it is another."""
    old = daemon(instance)["keeper_pid"]
    os.kill(old, signal.SIGKILL)
    return wait_until(lambda: (p := daemon(instance)["keeper_pid"]) not in (0, old) and p, what="another keeper")


def kill_both(instance):
    """flocksd is stopped first: it would become the keeper."""
    status = daemon(instance)
    os.kill(status["pid"], signal.SIGSTOP)
    os.kill(status["keeper_pid"], signal.SIGKILL)
    os.kill(status["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(status["pid"]) and not is_alive(status["keeper_pid"]), what="their end")


def all_healthy(instance):
    """The status, if all of its services are."""
    status = instance.status()
    return all(s["state"] == "SERVICE_STATE_HEALTHY" for s in status["services"]) and status


def comm(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def programs(instance, name):
    return [pid for pid in instance.processes() if comm(pid).startswith(name)]


def wait_for_one(instance, name):
    """One process of that name. A child that the keeper has forked is called as itself until it executes another."""
    wait_until(lambda: len(programs(instance, name)) == 1, what=f"one {name}")


# ---- the keeper dies ----


def test_keeper_killed_many_times_keeps_pids_and_every_line(instance):
    """supervisord, dinit, pm2: what the parent of the services ran is lost or run twice."""
    instance.write(sleepers(10) + numbers(instance))
    instance.start()
    before = pids(instance)
    moment = random.Random(8)
    seen = {daemon(instance)["keeper_pid"]}
    for _ in range(KEEPER_KILLS):
        time.sleep(moment.random() * 0.05)
        seen.add(kill_keeper(instance))
        assert pids(instance) == before
    assert len(seen) == KEEPER_KILLS + 1
    status = instance.status()
    assert all(s["generation"] == 1 and s["state"] == "SERVICE_STATE_HEALTHY" for s in status["services"])
    assert len(programs(instance, "sleep")) == 10
    wait_for_one(instance, "flocks-keeper")
    wait_for_one(instance, "flocks-capture")
    check_numbers(instance)


def test_status_is_answered_while_the_keeper_is_replaced(instance):
    instance.write(sleepers(5))
    instance.start()
    keeper = 0
    for _ in range(5):
        # One that has just been killed may still be told.
        keeper = wait_until(lambda old=keeper: (p := daemon(instance)["keeper_pid"]) not in (0, old) and p, what="a keeper")
        os.kill(keeper, signal.SIGKILL)
        for _ in range(5):
            assert instance.flocks("status", "--json", timeout=10).returncode == 0


def test_keeper_and_capture_killed_together_lose_no_line(instance):
    instance.write("services:\n" + numbers(instance))
    instance.start()
    before = pids(instance)
    for _ in range(10):
        status = daemon(instance)
        victims = [status["keeper_pid"], *programs(instance, "flocks-capture")]
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        wait_until(lambda old=status: daemon(instance)["keeper_pid"] not in (0, old["keeper_pid"]), what="a keeper")
    assert pids(instance) == before
    check_numbers(instance)


def test_exit_of_a_child_whose_keeper_was_killed_is_told_with_its_status(instance):
    instance.write(
        f"""
services:
  ends: {{command: [/bin/sh, -c, "while [ ! -e {instance.root}/end ]; do sleep 0.05; done; rm {instance.root}/end; exit 7"]}}
  dies: {{command: [/bin/sleep, "1000"]}}
"""
    )
    instance.start()
    before = pids(instance)
    kill_keeper(instance)
    (instance.root / "end").touch()
    os.kill(before["dies"], signal.SIGKILL)
    assert "exit code 7" in instance.wait_for_generation("ends", 1)["last_error"]
    assert "SIGKILL" in instance.wait_for_generation("dies", 1)["last_error"]
    # The replacements are the new keeper's own.
    kill_keeper(instance)
    assert pids(instance)["dies"] == instance.pid("dies")


def test_service_killed_together_with_its_keeper_is_replaced_once(instance):
    instance.write('services: {a: {command: [/bin/sleep, "1000"], restart: {delay: 1ms, max_delay: 1ms, give_up_after: 0}}}\n')
    instance.start()
    for _ in range(10):
        service = instance.service("a")
        keeper = daemon(instance)["keeper_pid"]
        os.kill(service["pid"], signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        instance.wait_for_generation("a", service["generation"])
        assert len(programs(instance, "sleep")) == 1


def test_keeper_killed_while_it_starts_services_starts_nothing_twice(instance):
    instance.write("services:\n" + "".join(f'  s{i:02d}: {{command: [/bin/sleep, "{1000 + i}"]}}\n' for i in range(30)))
    instance.start()
    moment = random.Random(9)
    for _ in range(8):
        restart = subprocess.Popen(
            instance.command("restart"), env=instance.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moment.random() * 0.2)
        os.kill(wait_until(lambda: daemon(instance)["keeper_pid"], what="a keeper"), signal.SIGKILL)
        restart.wait(60)
        instance.start()
        status = wait_until(lambda: all_healthy(instance), seconds=60, what="all healthy")
        running = sorted(pid for pid in instance.processes() if comm(pid) == "sleep")
        assert running == sorted(s["pid"] for s in status["services"])


def test_stop_after_the_keeper_was_killed_is_empty(instance):
    instance.write(
        f"services: {{family: {{command: [{PYTHON}, {SERVICES}/family.py, setsid, daemon, stubborn], stop: {{grace: 300ms}}}}}}\n"
    )
    instance.start()
    service = instance.service("family")
    wait_until(lambda: "family" in instance.log("family"), what="the family's word")
    members = processes_with("FLOCKS_INVOCATION_ID", service["invocation_id"])
    assert len(members) >= 3
    kill_keeper(instance)
    instance.stop("family")
    assert [pid for pid in members if is_alive(pid)] == []
    instance.start()
    assert instance.service("family")["state"] == "SERVICE_STATE_HEALTHY"


def test_keeper_killed_during_shutdown_shutdown_goes_on(instance):
    may_end = instance.root / "may-end"
    ending = f"until [ -e {may_end} ]; do sleep 0.05; done; exit 0"
    instance.write(
        "services: {slow: {command: [/bin/sh, -c, "
        f'"trap \'{ending}\' TERM; echo armed; while :; do sleep 0.1; done"], stop: {{grace: 60s}}}}}}\n'
    )
    instance.start()
    wait_until(lambda: "armed" in instance.log("slow"), what="the service")
    keeper = daemon(instance)["keeper_pid"]
    stop = subprocess.Popen(instance.command("stop"), env=instance.environment, stderr=subprocess.DEVNULL)
    instance.wait_for_state("slow", "STOPPING")
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: daemon(instance)["keeper_pid"] not in (0, keeper), what="another keeper")
    may_end.touch()
    assert stop.wait(60) == 0
    assert instance.processes() == []


def test_keeper_is_replaced_by_its_own_image_when_the_file_is_gone(make_instance, tmp_path):
    """An upgrade that is half done, or a deleted installation, must not cost the services."""
    programs_copy = tmp_path / "bin"
    programs_copy.mkdir()
    for name in ("flocks", "flocksd", "flocks-keeper"):
        subprocess.run(["cp", str(BUILD / "bin" / name), str(programs_copy)], check=True)
    instance = make_instance()
    instance.bin = programs_copy
    instance.write(sleepers(2))
    instance.start()
    before = pids(instance)
    (programs_copy / "flocks-keeper").unlink()
    kill_keeper(instance)
    assert pids(instance) == before


# ---- both die ----


def test_both_killed_then_start_duplicates_nothing(instance):
    instance.write(sleepers(5))
    instance.start()
    old = pids(instance)
    kill_both(instance)
    assert all(is_alive(pid) for pid in old.values())
    instance.start()
    new = pids(instance)
    assert [pid for pid in old.values() if is_alive(pid)] == []
    assert sorted(programs(instance, "sleep")) == sorted(new.values())


def test_both_killed_then_stop_leaves_no_stray(instance):
    """Recorded pids are not all: who cleared its environment and left the group is known by its mark."""
    instance.write(f"services: {{family: {{command: [{PYTHON}, {SERVICES}/family.py, setsid, daemon, bare]}}}}\n")
    instance.start()
    service = instance.service("family")
    wait_until(lambda: "family" in instance.log("family"), what="the family's word")
    members = processes_with("FLOCKS_INVOCATION_ID", service["invocation_id"])
    mark = limits_mark(service["pid"])
    marked = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and limits_mark(p.name) == mark]
    assert len(marked) > len(members)
    kill_both(instance)
    os.kill(service["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(service["pid"]), what="the leader's end")
    result = instance.stop()
    assert [pid for pid in marked if is_alive(pid)] == []
    assert "stopped" in result.stderr
    wait_until(lambda: instance.processes() == [], what="capture's end")
    assert [p.name for p in (instance.root / "run").iterdir()] == ["flocksd.lock"]


def limits_mark(pid):
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
            if line.startswith("Max realtime timeout"):
                return line.split()[3]
    return None


@pytest.mark.parametrize("same_boot", [False, True], ids=["another_boot", "this_boot"])
def test_records_of_another_boot_are_not_believed(instance, foreigners, same_boot):
    """After a reboot the pids are anybody's, and start times, counted from boot, may agree. A record of this boot with
    all that is believed: so the other one has been read."""
    instance.write(sleepers(1))
    instance.start()
    service = instance.service("s00")
    ticks = start_ticks(service["pid"])
    kill_both(instance)
    os.kill(service["pid"], signal.SIGKILL)
    foreigners.append(subprocess.Popen(["/bin/sleep", "3600"], start_new_session=True))
    other = foreigners[0].pid
    inventory = instance.root / "run" / "inventory"
    data = bytearray(inventory.read_bytes())
    record = struct.pack("=iIIxxxxQ", service["pid"], 0, 1, ticks)
    at = data.index(record)
    data[at : at + len(record)] = struct.pack("=iIIxxxxQ", other, 0, 1, start_ticks(other))
    if not same_boot:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
        at = data.index(boot_id)
        data[at : at + len(boot_id)] = boot_id[::-1]
    inventory.write_bytes(data)
    instance.start()
    assert (foreigners[0].poll() is None) == (not same_boot)
    assert instance.service("s00")["state"] == "SERVICE_STATE_HEALTHY"


def in_pid_namespace(scenario):
    """Runs tests/integration/recycled_pids.py SCENARIO as the second process of a pid namespace of its own. Where
    namespaces are refused this fails: the promise would be untested."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        unshare[1:1] = ["--map-root-user"]
    environment = {**os.environ, "FLOCKS_BUILD_DIR": str(BUILD)}
    return subprocess.run(
        [*unshare, PYTHON, str(HERE / "recycled_pids.py"), scenario],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )


RECYCLED = ("leader_after_both_killed", "group_after_both_killed", "service_of_a_killed_keeper", "keeper_of_the_lock")


@pytest.fixture(scope="module")
def recycled():
    with side_by_side(in_pid_namespace, RECYCLED) as result_of:
        yield result_of


@pytest.mark.parametrize("scenario", RECYCLED)
def test_recycled_pid_is_never_signalled(recycled, scenario):
    result = recycled(scenario)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the stranger lives" in result.stdout


# ---- who hangs ----


def flocksd_stopped_and_keeper_dead_start_is_honest_and_stop_ends_it(instance):
    instance.write(sleepers(2))
    instance.start()
    status = daemon(instance)
    os.kill(status["pid"], signal.SIGSTOP)
    os.kill(status["keeper_pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(status["keeper_pid"]), what="the keeper's end")
    start = instance.flocks("start", "--no-browser", timeout=60)
    assert start.returncode == 4, (start.returncode, start.stderr)
    assert "flocks stop" in start.stderr
    assert len(programs(instance, "sleep")) == 2
    instance.stop(timeout=60)
    assert instance.processes() == []


def keeper_stopped_status_answers_and_stop_ends_it(instance):
    instance.write(sleepers(2))
    instance.start()
    keeper = daemon(instance)["keeper_pid"]
    os.kill(keeper, signal.SIGSTOP)
    assert instance.flocks("status", timeout=10).returncode == 0
    instance.stop(timeout=90)
    assert instance.processes() == []
    assert not is_alive(keeper)


def keeper_stopped_start_goes_on_with_another(instance):
    instance.write('services: {a: {command: [/bin/sleep, "1000"]}, b: {command: [/bin/sleep, "1001"], start: false}}\n')
    instance.start()
    before = daemon(instance)["keeper_pid"], instance.pid("a")
    os.kill(before[0], signal.SIGSTOP)
    instance.start("b", timeout=60)
    assert daemon(instance)["keeper_pid"] != before[0]
    assert instance.pid("a") == before[1]
    assert instance.service("b")["state"] == "SERVICE_STATE_HEALTHY"


HANGS = {
    hang.__name__: hang
    for hang in (
        flocksd_stopped_and_keeper_dead_start_is_honest_and_stop_ends_it,
        keeper_stopped_status_answers_and_stop_ends_it,
        keeper_stopped_start_goes_on_with_another,
    )
}


@pytest.fixture(scope="module")
def hung():
    def run(hang):
        with running_root() as instance:
            HANGS[hang](instance)

    with side_by_side(run, HANGS) as result_of:
        yield result_of


@pytest.mark.parametrize("hang", HANGS)
def test_who_hangs_is_done_without(hung, hang):
    hung(hang)


# ---- lock and socket ----

FILES = {
    "lock": ["flocksd.lock"],
    "socket": ["flocksd.sock"],
    "notify": ["notify.sock"],
    "inventory_and_lock": ["inventory", "flocksd.lock"],
    "all": ["flocksd.lock", "flocksd.sock", "notify.sock", "inventory"],
}


@pytest.mark.parametrize("what", FILES)
def test_deleted_files_of_a_living_instance_are_made_again(instance, what):
    """Supervisor#480, #851, #1105: it runs, but cleaners of old files took its socket; and no second daemon starts."""
    instance.write(sleepers(2))
    instance.start()
    before = pids(instance), daemon(instance)["keeper_pid"]
    run = instance.root / "run"
    names = sorted(p.name for p in run.iterdir())
    for name in FILES[what]:
        (run / name).unlink()
    instance.start()
    wait_until(lambda: sorted(p.name for p in run.iterdir()) == names, what="the files")
    assert (pids(instance), daemon(instance)["keeper_pid"]) == before
    wait_for_one(instance, "flocks-keeper")
    kill_keeper(instance)
    assert pids(instance) == before[0]
    instance.stop()
    assert instance.processes() == []


def test_deleted_run_directory_is_made_again(instance):
    instance.write(sleepers(2))
    instance.start()
    before = pids(instance)
    run = instance.root / "run"
    # What is made again while it is at work makes rm complain.
    subprocess.run(["rm", "-rf", str(run)], stderr=subprocess.DEVNULL, check=False)
    wait_until(lambda: (run / "inventory").exists() and (run / "flocksd.sock").exists(), what="the files")
    instance.start()
    assert pids(instance) == before
    wait_for_one(instance, "flocks-keeper")
    kill_both(instance)
    instance.start()
    assert len(programs(instance, "sleep")) == 2


def test_lock_deleted_and_keeper_killed_at_once_no_second_daemon(instance):
    """The keeper runs flocksd again for the lock's sake, and may be killed before that one has said Hello: then both
    are dead, and the services are new ones. In no case are there two of anything."""
    instance.write(sleepers(2))
    instance.start()
    keeper = daemon(instance)["keeper_pid"]
    (instance.root / "run" / "flocksd.lock").unlink()
    os.kill(keeper, signal.SIGKILL)
    instance.start()
    assert sorted(programs(instance, "sleep")) == sorted(pids(instance).values())
    wait_for_one(instance, "flocks-keeper")


def test_racing_starts_spawn_one_daemon(instance):
    """pm2#4885: racing command lines spawn two daemons."""
    instance.write(sleepers(3))
    for _ in range(3):
        racers = [
            subprocess.Popen(
                instance.command("start", "--no-browser"),
                env=instance.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(8)
        ]
        failed = [(r.returncode, err) for r in racers if (err := r.communicate(timeout=120)[1]) is not None and r.returncode]
        assert failed == []
        wait_for_one(instance, "flocks-keeper")
        assert len(programs(instance, "sleep")) == 3
        instance.stop()


def test_long_root_leaves_nothing_in_tmp(make_instance):
    instance = make_instance()
    root = instance.root / ("x" * 120)
    root.mkdir(mode=0o700)
    environment = {**instance.environment, "FLOCKS_ROOT": str(root)}
    (root / "flocks.yaml").write_text(sleepers(1))

    def flocks(*arguments):
        command = [str(instance.bin / "flocks"), "--root", str(root), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)

    flocks("start", "--no-browser")
    # Too long for a socket's address: the sockets are elsewhere, beside those of other instances.
    mine = Path(os.readlink(root / "run" / "flocksd.sock")).parent
    assert mine.parent == Path(f"/tmp/flocks-{os.geteuid()}")
    assert sorted(p.name for p in mine.iterdir()) == ["flocksd.sock", "notify.sock"]
    flocks("stop")
    assert not mine.exists()
    flocks("start", "--no-browser")
    status = json.loads(flocks("status", "--json").stdout)["daemon"]
    os.kill(status["pid"], signal.SIGSTOP)
    for pid in (status["keeper_pid"], status["pid"]):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(status["pid"]), what="the end")
    flocks("stop")
    assert not mine.exists()


# ---- the wall clock ----

YEAR_NS = 365 * 24 * 3600 * 10**9


@pytest.fixture
def clock(instance):
    """A function that shifts the wall clock of the instance's programs by nanoseconds."""
    path = instance.root / "clock"
    path.write_bytes(struct.pack("q", 0))
    library = (BUILD / "tests" / "libclock_shift.so").resolve()
    assert library.exists(), "the tests of this build directory have not been built"
    instance.environment.update(LD_PRELOAD=str(library), CLOCK_SHIFT=str(path))
    instance.environment["ASAN_OPTIONS"] += ":verify_asan_link_order=0"

    def shift(ns):
        with open(path, "r+b") as file:
            file.write(struct.pack("q", ns))

    return shift


@pytest.mark.parametrize("years", [-20, 20])
def test_wall_clock_stepped_by_years_changes_nothing(instance, clock, years):
    """Supervisor#802: set back, `start` hangs. Only times that are shown may change."""
    instance.write(
        f"""
services:
  steady: {{command: [/bin/sleep, "1000"]}}
  probed:
    command: [/bin/sleep, "1001"]
    probes: {{alive: {{exec: {{command: [/bin/true]}}, period: 100ms}}}}
  loops:
    command: [/bin/sh, -c, "exit 3"]
    restart: {{delay: 300ms, max_delay: 300ms, give_up_after: 0}}
"""
    )
    instance.flocks("start", "--no-browser", "steady", "probed", check=0)
    before = pids(instance)
    instance.flocks("start", "--no-browser", "loops", "--timeout", "1s")
    clock(years * YEAR_NS)
    began = time.monotonic()
    looped = instance.service("loops")["generation"]
    wait_until(lambda: instance.service("loops")["generation"] >= looped + 3, seconds=30, what="the back-off's rhythm")
    assert time.monotonic() - began > 0.3
    status = instance.status()
    assert {n: p for n, p in pids(instance).items() if n != "loops"} == {n: p for n, p in before.items() if n != "loops"}
    assert {s["name"]: s["state"] for s in status["services"]}["probed"] == "SERVICE_STATE_HEALTHY"
    # Shown times are the new clock's.
    assert str(time.gmtime(time.time() + years * YEAR_NS / 1e9).tm_year) in instance.log("daemon").splitlines()[-1]
    instance.stop("steady", timeout=20)
    instance.start("steady", timeout=20)
    kill_keeper(instance)
    clock(-years * YEAR_NS)
    os.kill(daemon(instance)["pid"], signal.SIGKILL)
    wait_until(lambda: daemon(instance)["takeovers"] >= 2, what="another flocksd")
    assert instance.service("probed")["pid"] == before["probed"]
    kill_both(instance)
    clock(0)
    instance.start("steady", "probed", timeout=30)
    assert not is_alive(before["probed"])
    instance.stop(timeout=30)
    assert instance.processes() == []


# ---- what the system refuses ----


def inject(pid, what):
    """strace at one process, answering some of its calls with an error; returns when it is attached."""
    process = subprocess.Popen(
        ["strace", "-qq", "-o", "/dev/null", "-e", f"inject={what}", "-p", str(pid)], stderr=subprocess.DEVNULL
    )

    def is_traced():
        return f"TracerPid:\t{process.pid}" in Path(f"/proc/{pid}/status").read_text()

    wait_until(is_traced, what="strace")
    return process


def end_injection(process, pid):
    process.send_signal(signal.SIGINT)
    process.wait(10)
    wait_until(lambda: "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text(), what="strace's end")


@pytest.mark.parametrize("call, error", [("clone,clone3,fork", "EAGAIN"), ("clone,clone3,fork", "ENOMEM"), ("pipe2", "EMFILE")])
def test_keeper_that_cannot_fork_says_so_and_recovers(instance, call, error):
    instance.write('services: {a: {command: [/bin/sleep, "1000"], restart: {delay: 50ms, max_delay: 100ms, give_up_after: 0}}}\n')
    instance.start()
    service = instance.service("a")
    keeper = daemon(instance)["keeper_pid"]
    strace = inject(keeper, f"{call}:error={error}")
    os.kill(service["pid"], signal.SIGKILL)
    told = wait_until(
        lambda: (s := instance.service("a"))["reason"] == "STATE_REASON_EXEC_FAILED" and s, what="an honest state"
    )
    assert error in told["last_error"], told["last_error"]
    end_injection(strace, keeper)
    instance.wait_for_generation("a", service["generation"])
    assert daemon(instance)["keeper_pid"] == keeper


def test_full_disk_at_start_is_said(instance):
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    with tempfile.TemporaryDirectory(prefix="keeper-full-") as root:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", root], check=True)
        try:
            Path(root, "flocks.yaml").write_text(sleepers(1))
            command = [str(instance.bin / "flocks"), "--root", root, "start", "--no-browser"]
            environment = {**instance.environment, "FLOCKS_ROOT": root}
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            assert result.returncode != 0
            assert "inventory" in result.stderr and "ENOSPC" in result.stderr, result.stderr
            assert processes_with("FLOCKS_ROOT", root) == []
            subprocess.run(["mount", "-o", "remount,size=8m", root], check=True)
            subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
            command[3:] = ["stop"]
            subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
        finally:
            subprocess.run(["umount", "-l", root], check=True)
