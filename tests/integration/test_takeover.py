"""flocksd is killed: the services do not notice, nothing is started twice, no byte of output is lost."""

import contextlib
import os
import random
import re
import signal
import subprocess
import time

from instance import PYTHON, SERVICES, is_alive, processes_with, wait_until

KILLS = int(os.environ.get("FLOCKS_TAKEOVERS", "200"))


def sleepers(count, restart="{}"):
    return "services:\n" + "".join(
        f'  s{i:02d}: {{command: [/bin/sleep, "{1000 + i}"], restart: {restart}}}\n' for i in range(count)
    )


def daemon_pid(instance):
    """The pid of a flocksd that answers; the last one may just have been killed."""
    return instance.status()["daemon"]["pid"]


def test_flocksd_killed_keeps_pids_and_state(instance):
    instance.write(sleepers(20))
    instance.start()
    before = instance.status()
    os.kill(before["daemon"]["pid"], signal.SIGKILL)
    after = wait_until(
        lambda: (s := instance.status())["daemon"]["pid"] not in (0, before["daemon"]["pid"]) and s,
        what="another flocksd",
    )
    keep = ("name", "pid", "generation", "restart_count", "state", "since", "invocation_id", "wanted")
    for old, new in zip(before["services"], after["services"]):
        assert {k: old.get(k) for k in keep} == {k: new.get(k) for k in keep}
    assert after["daemon"]["takeovers"] == 1
    assert after["daemon"]["config_digest"] == before["daemon"]["config_digest"]
    assert after["daemon"]["keeper_pid"] == before["daemon"]["keeper_pid"]


def test_flocksd_killed_many_times_under_load(instance):
    """At any moment, many times in a row, while a service writes and others are killed."""
    instance.write(
        sleepers(10)
        + f"""
  numbers:
    command: [{PYTHON}, {SERVICES}/numbers.py, "200", "0.001", {instance.root}/enough]
    logs: {{max_size: 1GiB}}
"""
    )
    instance.start()
    pids = {s["name"]: s["pid"] for s in instance.status()["services"]}
    moment = random.Random(20261123)
    victim = None
    for _ in range(KILLS):
        victim = wait_until(
            lambda last=victim: (p := daemon_pid(instance)) not in (0, last) and p, what="a flocksd"
        )
        # Any moment of its life: from its first answer on.
        time.sleep(moment.random() * 0.02)
        os.kill(victim, signal.SIGKILL)
    wait_until(lambda: daemon_pid(instance) not in (0, victim), what="the last flocksd")
    status = instance.status()
    assert {s["name"]: s["pid"] for s in status["services"]} == pids
    assert all(s["generation"] == 1 for s in status["services"])
    assert status["daemon"]["takeovers"] >= KILLS
    assert sum(1 for pid in instance.processes() if is_sleep(pid)) == 10

    (instance.root / "enough").touch()
    wait_until(lambda: re.search(r"^end \d+$", instance.log("numbers"), re.M), what="the last line")
    check_numbers(instance.log("numbers"))


def test_service_killed_while_flocksd_is_down_is_replaced_once(instance):
    # Twenty kills in a row are no reason to wait, or to give up, here.
    instance.write(sleepers(5, "{delay: 1ms, max_delay: 1ms, give_up_after: 0}"))
    instance.start()
    for _ in range(20):
        before = instance.status()
        victim = before["services"][2]
        os.kill(before["daemon"]["pid"], signal.SIGKILL)
        os.kill(victim["pid"], signal.SIGKILL)
        after = instance.wait_for_generation(victim["name"], victim["generation"])
        assert after["generation"] == victim["generation"] + 1
        assert not is_alive(victim["pid"])
        assert sum(1 for pid in instance.processes() if is_sleep(pid)) == 5


def test_flocksd_killed_while_it_replaces_knows_every_replacement(instance):
    """At any moment of the turn in which it asks for many new processes: none is left unsupervised."""
    instance.write(sleepers(40, "{delay: 1ms, max_delay: 1ms, give_up_after: 0}"))
    instance.start()
    moment = random.Random(1)
    for _ in range(10):
        status = instance.status()
        victims = {s["pid"] for s in status["services"]}
        daemon = status["daemon"]["pid"]
        # All at once: the exits wait until flocksd goes on.
        os.kill(daemon, signal.SIGSTOP)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        os.kill(daemon, signal.SIGCONT)
        time.sleep(moment.random() * 0.02)
        os.kill(daemon, signal.SIGKILL)

        def replaced(victims=victims):
            services = instance.status()["services"]
            healthy = all(s["state"] == "SERVICE_STATE_HEALTHY" for s in services)
            return healthy and not victims & {s["pid"] for s in services} and services

        services = wait_until(replaced, what="forty replacements")
        living = [pid for pid in instance.processes() if is_sleep(pid)]
        assert sorted(living) == sorted(s["pid"] for s in services)


def test_start_killed_in_the_middle_starts_nothing_twice(instance):
    instance.write(sleepers(30))
    moment = random.Random(4)
    for _ in range(10):
        starting = subprocess.Popen(
            instance.command("start", "--no-browser"),
            env=instance.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pid = wait_until(lambda: flocksd_pid(instance), what="flocksd")
        time.sleep(moment.random() * 0.03)
        os.kill(pid, signal.SIGKILL)
        starting.wait(timeout=60)
        wait_until(
            lambda: all(s["state"] == "SERVICE_STATE_HEALTHY" for s in instance.status()["services"]),
            what="all healthy",
        )
        arguments = [cmdline(p) for p in instance.processes() if is_sleep(p)]
        assert sorted(arguments) == sorted(set(arguments)) and len(arguments) == 30
        instance.stop()


def test_capture_killed_loses_and_repeats_nothing(instance):
    instance.write(
        f"""
services:
  numbers:
    command: [{PYTHON}, {SERVICES}/numbers.py, "500", "0", {instance.root}/enough]
    logs: {{max_size: 8MiB, keep: 999}}
"""
    )
    instance.start()
    for _ in range(30):
        # The one of before may take a moment to die.
        with contextlib.suppress(ProcessLookupError):
            os.kill(capture_pid(instance), signal.SIGKILL)
        time.sleep(0.02)
    (instance.root / "enough").touch()
    logs = instance.root / "logs"

    def whole():
        rotated = sorted(
            logs.glob("numbers.log.*"), key=lambda path: -int(path.name.rpartition(".")[2])
        )
        return "".join(p.read_text() for p in [*rotated, logs / "numbers.log"])

    # Nothing is rotated any more then, while the files are read one after the other.
    wait_until(lambda: re.search(r"^end \d+$", instance.log("numbers")[-40:], re.M), what="end")
    check_numbers(whole())


FAMILY = f"services: {{family: {{command: [{PYTHON}, {SERVICES}/family.py, setsid, daemon]}}}}\n"


def family_of(instance, service):
    wait_until(lambda: instance.log("family").count("family") == service["generation"], what="the family's word")
    return processes_with("FLOCKS_INVOCATION_ID", service["invocation_id"])


def test_both_killed_leaves_nothing_for_the_next_start(instance):
    """Keeper and flocksd die, then the leader: what it had started is ended before a new one begins."""
    instance.write(FAMILY)
    instance.start()
    status = instance.status()
    family = family_of(instance, status["services"][0])
    assert len(family) == 3
    # Stopped, it cannot become the keeper.
    os.kill(status["daemon"]["pid"], signal.SIGSTOP)
    for pid in (status["daemon"]["keeper_pid"], status["daemon"]["pid"], status["services"][0]["pid"]):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(status["services"][0]["pid"]), what="the leader's end")
    assert len([pid for pid in family if is_alive(pid)]) == 2
    instance.start()
    assert [pid for pid in family if is_alive(pid)] == []


def test_start_right_after_the_keeper_was_killed_starts_nothing_twice(instance):
    instance.write(FAMILY)
    instance.start()
    status = instance.status()
    family = family_of(instance, status["services"][0])
    os.kill(status["daemon"]["keeper_pid"], signal.SIGKILL)
    instance.start()
    after = instance.status()
    assert after["daemon"]["keeper_pid"] != status["daemon"]["keeper_pid"]
    assert after["services"][0]["pid"] == status["services"][0]["pid"]
    assert family_of(instance, after["services"][0]) == family


def test_probe_of_a_killed_flocksd_is_ended_with_its_children(instance):
    instance.write(
        """
services:
  probed:
    command: [/bin/sleep, "1000"]
    probes: {alive: {exec: {command: [/bin/sh, -c, "sleep 1001; true"]}, period: 100ms, timeout: 60s}}
"""
    )
    instance.start()

    def probes():
        return [pid for pid in instance.processes() if cmdline(pid) == b"sleep\x001001\x00"]

    first = wait_until(probes, what="a probe")
    os.kill(daemon_pid(instance), signal.SIGKILL)
    wait_until(lambda: (p := probes()) and not set(p) & set(first), what="another probe")
    assert len(probes()) == 1

def check_numbers(text):
    """Every line from 0 to the end once, in order, whole."""
    lines = [line for line in text.splitlines() if line]
    assert re.fullmatch(r"end \d+", lines[-1])
    for expected, line in enumerate(lines[:-1]):
        assert line.rstrip() == f"line {expected:09d} {'x' * (expected % 60)}".rstrip(), (expected, line)
    assert len(lines) - 1 == int(lines[-1].split()[1])


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def is_sleep(pid):
    return comm(pid) == "sleep"


def flocksd_pid(instance):
    return next((pid for pid in instance.processes() if comm(pid) == "flocksd"), None)


def capture_pid(instance):
    return wait_until(
        lambda: next((p for p in instance.processes() if b"--capture" in cmdline(p)), None),
        what="capture",
    )
