"""Faults of others (docs/faults.md) that no other file's tests answer; each name says whose fault it is."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from instance import (
    ELDERS_MAX, PYTHON, descriptors_of, is_alive, open_files_of, pidfds_of, programs, wait_until,
)  # fmt: skip

SLEEPER = "services: {ticker: {command: [/bin/sleep, '1000']}}\n"


class Begun:
    """A command that runs, and what it says on standard error."""

    def __init__(self, instance, *arguments):
        self._told = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            instance.command(*arguments), env=instance.environment, stdout=subprocess.DEVNULL, stderr=self._told
        )

    def told(self):
        self._told.seek(0)
        return self._told.read()

    def wait(self):
        return self._process.wait(timeout=60)


# ---- the system before this one ----


def test_browser_opened_and_exit_0_when_the_service_is_not_healthy_cannot_be(instance, free_port):
    opened = instance.root / "opened"
    browser = instance.root / "browser"
    browser.write_text(f"#!/bin/sh\ntouch {opened}\n")
    browser.chmod(0o700)
    instance.write(
        f"services: {{webui: {{command: [/bin/false], port: {free_port()}, restart: {{policy: NEVER}}}}}}\n"
    )
    terminal, end = os.openpty()
    environment = {**instance.environment, "BROWSER": str(browser), "DISPLAY": ":9"}
    result = subprocess.run(instance.command("start"), env=environment, stdin=end, stdout=end, stderr=end, timeout=60)
    os.close(end)
    os.close(terminal)
    assert result.returncode == 1
    # A browser would be a child of the command, or left by it.
    assert not opened.exists()


def test_output_of_the_background_never_reaches_the_terminal_of_start(instance):
    instance.write("services: {loud: {command: [/bin/sh, -c, 'while :; do echo loud; sleep 0.05; done']}}\n")
    terminal, end = os.openpty()
    name = os.ttyname(end)
    result = subprocess.run(
        instance.command("start", "--no-browser"), env=instance.environment, stdin=end, stdout=end, stderr=end, timeout=60
    )
    assert result.returncode == 0
    for pid in instance.processes():
        # Its sleeps come and go.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            assert name not in open_files_of(pid), pid
    os.close(end)
    os.close(terminal)
    wait_until(lambda: instance.log("loud").count("loud") > 5, what="its words in its log")


def test_exiting_daemon_deletes_its_successors_socket_cannot_be(instance):
    """A stop that takes a while, and starts in the middle of it."""
    instance.write(
        "services: {slow: {command: [/bin/sh, -c, \"trap 'sleep 0.7; exit 0' TERM; while :; do sleep 0.05; done\"]}}\n"
    )
    for _ in range(3):
        instance.start()
        old = instance.status()["daemon"]["keeper_pid"]
        stop = Begun(instance, "stop")
        wait_until(lambda: instance.status()["daemon"]["state"] != "DAEMON_STATE_RUNNING", what="the stop")
        # Until then it may well be refused, or be told that the daemon stops.
        wait_until(lambda: instance.flocks("start", "--no-browser").returncode == 0, what="another daemon")
        assert stop.wait() == 0, stop.told()
        wait_until(lambda: not is_alive(old), what="the old keeper's end")
        assert instance.status()["daemon"]["keeper_pid"] not in (0, old)
        instance.stop()


@pytest.mark.no_chaos("stops flocksd by its pid")
def test_start_deletes_the_socket_of_a_living_daemon_cannot_be(instance):
    instance.write(SLEEPER)
    instance.start()
    socket_path = instance.root / "run" / "flocksd.sock"
    before = instance.status()
    inode = socket_path.stat().st_ino
    os.kill(before["daemon"]["pid"], signal.SIGSTOP)
    try:
        assert instance.flocks("start", "--no-browser", "--timeout", "500ms").returncode == 4
        assert socket_path.stat().st_ino == inode and stat.S_ISSOCK(socket_path.stat().st_mode)
    finally:
        os.kill(before["daemon"]["pid"], signal.SIGCONT)
    after = instance.status()
    assert after["daemon"]["pid"] == before["daemon"]["pid"]
    assert after["services"][0]["pid"] == before["services"][0]["pid"]


def test_death_during_the_wait_for_readiness_unnoticed_cannot_be(instance, free_port):
    instance.write(
        f"services: {{web: {{command: [/bin/sh, -c, 'sleep 0.3; exit 7'], port: {free_port()}, "
        "restart: {policy: NEVER}}}\n"
    )
    began = time.monotonic()
    result = instance.start(check=1)
    assert time.monotonic() - began < 20
    assert "7" in instance.service("web")["last_error"], result.stderr


# ---- other supervisors ----


def test_process_compose_520_pebble_594_next_generation_waits_for_the_last_one(instance):
    """The leader obeys TERM, a child of its group does not: no new generation while that one lives."""
    alive = instance.root / "alive"
    instance.write(
        f"""
services:
  web:
    command:
      - {PYTHON}
      - -c
      - |
        import fcntl, os, signal, subprocess, time
        lock = os.open("{alive}", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("somebody of the last generation lives", flush=True)
        os.set_inheritable(lock, True)
        ignoring = lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["/bin/sleep", "1000"], close_fds=False, preexec_fn=ignoring)
        print("begun", flush=True)
        while True:
            time.sleep(1000)
    stop: {{grace: 300ms}}
    restart: {{delay: 50ms}}
"""
    )
    instance.start()
    for number in range(1, 4):
        wait_until(lambda: instance.log("web").count("begun") == number, what="its child")
        instance.flocks("restart", "web", check=0)
    wait_until(lambda: instance.log("web").count("begun") == 4, what="its child")
    os.kill(instance.pid("web"), signal.SIGTERM)
    wait_until(lambda: instance.log("web").count("begun") == 5, what="another generation")
    assert "somebody" not in instance.log("web")


def test_supervisor_122_start_waits_until_what_it_needs_is_ready(instance):
    ready = instance.root / "ready"
    instance.write(
        f"""
services:
  base:
    command: [/bin/sh, -c, "sleep 0.7; touch {ready}; exec sleep 1000"]
    probes: {{ready: {{exec: {{command: [/usr/bin/test, -e, {ready}]}}, period: 50ms}}}}
  app: {{command: [/bin/sh, -c, "test -e {ready} && echo after || echo before; exec sleep 1000"], after: [base]}}
"""
    )
    instance.start()
    wait_until(lambda: instance.log("app"), what="its word")
    assert instance.log("app") == "after\n"


def test_process_compose_530_restart_while_it_waits_leaves_no_copy(instance, free_port):
    instance.write(
        f"""
services:
  unready: {{command: [/bin/sleep, "1000"], port: {free_port()}, start: false}}
  late: {{command: [/bin/sleep, "1001"], after: [unready], start: false}}
  ticker: {{command: [/bin/sleep, "1002"]}}
"""
    )
    instance.start()
    start = Begun(instance, "start", "--no-browser", "unready", "late")
    instance.wait_for_state("late", "WAITING")
    restarts = [Begun(instance, "restart", "--no-browser", "late") for _ in range(3)]
    # One that is asked for behind the stop is right to start them again.
    wait_until(lambda: all("WAITING" in restart.told() for restart in restarts), what="three restarts that wait")
    instance.stop("unready", "late")
    for process in (start, *restarts):
        process.wait()
    names = []
    for pid in instance.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    assert b"/bin/sleep\x001002\x00" in names
    assert b"/bin/sleep\x001001\x00" not in names and b"/bin/sleep\x001000\x00" not in names


def ticks(pid):
    """Processor time, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.no_chaos("measures one flocksd")
def test_supervisor_807_closed_output_and_moved_logs_cost_no_processor(instance, foreigners):
    """100 % of a core in poll(2), after a descriptor was closed or a log was moved away."""
    instance.write(
        """
services:
  closed: {command: [/bin/sh, -c, "echo said; exec sleep 1000 >&- 2>&- <&-"]}
  moved: {command: [/bin/sh, -c, "echo said; exec sleep 1000"]}
"""
    )
    instance.start()
    for name in ("closed", "moved"):
        wait_until(lambda: "said" in instance.log(name), what="its word")
    os.rename(instance.root / "logs" / "moved.log", instance.root / "logs" / "elsewhere")
    (instance.root / "logs" / "daemon.log").unlink()
    instance.status()
    before = {pid: ticks(pid) for pid in programs(instance).values()}
    # Who does spin says how much a spinning process gets here meanwhile.
    spinner = subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"])
    foreigners.append(spinner)
    second = os.sysconf("SC_CLK_TCK")
    wait_until(lambda: ticks(spinner.pid) >= second, 60, "a second of the spinner's")
    spent = {pid: ticks(pid) - then for pid, then in before.items()}
    assert max(spent.values()) < second / 4, spent


def resident_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.no_chaos("looks at one flocksd")
def test_pm2_6113_circus_315_flapping_leaks_neither_memory_nor_descriptors(instance):
    instance.write(
        "services: {flaps: {command: [/bin/sh, -c, 'echo here; sleep 0.01'], restart: {delay: 10ms, max_delay: 10ms, "
        "give_up_after: 0}}, ticker: {command: [/bin/sleep, '1000']}}\n"
    )
    instance.flocks("start", "--no-browser", timeout=60)

    def flap(times):
        begun = instance.service("flaps")["generation"]
        wait_until(lambda: instance.service("flaps")["generation"] >= begun + times, 120, "flapping")

    flap(20)
    ours = programs(instance)
    before = {name: descriptors_of(pid) for name, pid in ours.items()}
    resident = {name: resident_kib(pid) for name, pid in ours.items()}
    flap(100)
    instance.stop("flaps")

    wait_until(
        lambda: all(descriptors_of(pid) <= before[name] for name, pid in ours.items()), 10, f"no more descriptors than {before}"
    )
    # How many sessions of other programs flocksd remembers is not for this test to say, but they are bounded; what leaked
    # would be at least one a generation.
    assert all(pidfds_of(pid) <= ELDERS_MAX + 16 for pid in ours.values())
    # A sanitizer keeps freed memory for a while; a generation that leaked its buffers would be far beyond this.
    grown = {name: resident_kib(pid) - resident[name] for name, pid in ours.items()}
    assert all(kib < 16 * 1024 for kib in grown.values()), (resident, grown)


def listening_inodes():
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(f"socket:[{fields[9]}]")
    return found


def test_ghsa_5gm3_no_tcp_port_unless_asked_for(instance):
    """process-compose's, and pm2's and monit's: a port of the supervisor itself, which a web page can reach."""
    instance.write(SLEEPER)
    instance.start()
    with socket.create_server(("127.0.0.1", 0)) as own:
        assert f"socket:[{os.fstat(own.fileno()).st_ino}]" in listening_inodes()
        for name, pid in programs(instance).items():
            assert not set(open_files_of(pid)) & listening_inodes(), name


def test_process_compose_364_relative_root_is_the_same_from_everywhere(instance):
    instance.write(SLEEPER)
    environment = {k: v for k, v in instance.environment.items() if k != "FLOCKS_ROOT"}
    environment["FLOCKS_ROOT"] = instance.root.name
    line = [str(instance.bin / "flocks"), "start", "--no-browser"]
    subprocess.run(line, env=environment, cwd=instance.root.parent, check=True, capture_output=True, timeout=60)
    before = instance.status()
    assert before["services"][0]["state"] == "SERVICE_STATE_HEALTHY"
    os.kill(before["daemon"]["pid"], signal.SIGKILL)
    wait_until(lambda: instance.status()["daemon"]["pid"] not in (0, before["daemon"]["pid"]), what="another flocksd")
    assert instance.pid("ticker") == before["services"][0]["pid"]
    environment["FLOCKS_ROOT"] = str(Path("..") / instance.root.name)
    line = [str(instance.bin / "flocks"), "status", "--json"]
    told = subprocess.run(line, env=environment, cwd=instance.root, check=True, capture_output=True, timeout=60)
    assert json.loads(told.stdout)["services"][0]["pid"] == before["services"][0]["pid"]


def test_dinit_225_s6_overlay_566_shutdown_stuck_behind_a_start_cannot_be(instance, free_port):
    instance.write(
        f"""
services:
  unready: {{command: [/bin/sleep, "1000"], port: {free_port()}}}
  prepared: {{command: [/bin/sleep, "1001"], prepare: {{command: [/bin/sleep, "1002"], timeout: 5m}}}}
  late: {{command: [/bin/sleep, "1003"], after: [unready]}}
"""
    )
    # Several ask, so that some meet each moment of the daemon's end. One that comes later would be right to begin anew.
    starts = [Begun(instance, "start", "--no-browser") for _ in range(6)]
    wait_until(lambda: all(start.told() for start in starts), what="a daemon that all of them know")
    for name, state in (("unready", "STARTING"), ("prepared", "PREPARING"), ("late", "WAITING")):
        instance.wait_for_state(name, state)
    began = time.monotonic()
    instance.stop()
    assert time.monotonic() - began < 15
    for start in starts:
        assert start.wait() != 0 and "flocks: \n" not in start.told(), start.told()
    assert instance.processes() == []


def zombies_of(pid):
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            found += [child] if not is_alive(int(child)) else []
        except OSError:
            continue
    return found


@pytest.mark.no_chaos("counts a keeper's children")
def test_pebble_71_zombies_of_orphans_are_reaped(instance):
    """A leader that leaves orphans behind, which end long before it does."""
    instance.write(
        "services: {mother: {command: [/bin/sh, -c, "
        "'for i in 1 2 3 4 5 6 7 8; do (setsid sleep 0.2 &) ; done; sleep 0.6; echo done; exec sleep 1000']}}\n"
    )
    instance.start()
    wait_until(lambda: "done" in instance.log("mother"), what="the orphans' end")
    ours = programs(instance)
    # Late ones may have slept longer than their mother.
    wait_until(lambda: len(instance.processes()) == len(ours) + 1, what="the end of the last orphan")
    wait_until(lambda: not any(zombies_of(pid) for pid in ours.values()), 10, "nobody unburied")


def test_pebble_380_exec_probe_under_way_holds_up_no_shutdown(instance):
    begun = instance.root / "begun"
    instance.write(
        f"""
services:
  web:
    command: [/bin/sleep, "1000"]
    probes: {{alive: {{exec: {{command: [/bin/sh, -c, "touch {begun}; exec sleep 100"]}}, period: 60s, timeout: 50s}}}}
"""
    )
    instance.start()
    wait_until(begun.exists, what="the probe")
    began = time.monotonic()
    instance.stop()
    assert time.monotonic() - began < 15
    assert instance.processes() == []
