"""Services that fail again and again: each cause has its own count, the rate is bounded, nobody else suffers.

Faults of others that this answers: Supervisor#1285 (endless restarts in spite of a limit, as every start counted as
a success), gascity#3897 (two days of crash loop, 645 MB of log), paseo#3333 (1,764 restarts in two hours)."""

import os
import signal
import time
from datetime import datetime, timezone

import pytest

from instance import PYTHON, SERVICES, running_root, wait_until
from ports import free_port


def starts_of(path):
    """When each start happened, in seconds."""
    return [int(line) / 1e9 for line in path.read_text().split()] if path.exists() else []


def in_seconds(timestamp):
    moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    return (moment - datetime.now(timezone.utc)).total_seconds()


def loop_of(instance, name, then, extra=""):
    """A service that notes each start and then does something that ends badly."""
    script = f"date +%s%N >> {instance.root}/{name}.starts; {then}"
    return (
        f"  {name}: {{command: [/bin/sh, -c, {script!r}], "
        f"restart: {{delay: 20ms, max_delay: 100ms, give_up_after: 6}}{extra}}}\n"
    )


REASONS = {
    "early": "STATE_REASON_EXITED",
    "late": "STATE_REASON_EXITED",
    "probe": "STATE_REASON_HEALTH_FAILED",
    "prepare": "STATE_REASON_PREPARE_FAILED",
    "exec": "STATE_REASON_EXEC_FAILED",
    "listener": "STATE_REASON_LISTENER_LOST",
}
# Those that note each start; prepare's service itself never starts.
NOTED = ("early", "late", "probe", "prepare")


@pytest.fixture(scope="module")
def opened(pytestconfig):
    """(instance, failed): one loop per cause side by side, and their status as each had opened its breaker. They have
    their trial a minute later: this file's other tests go by meanwhile."""
    with running_root(chaos=pytestconfig.getoption("--chaos")) as instance:
        port = free_port()
        gone = instance.root / "vanishes"
        gone.write_text("#!/bin/sh\nexec sleep 1000\n")
        gone.chmod(0o755)
        late = "sleep 0.5; exit 3"
        probe = ", probes: {alive: {exec: {command: [/bin/false]}, period: 50ms, failure_threshold: 2, on_failure: RESTART}}"
        prepare = ", prepare: {command: [/bin/sh, -c, 'date +%s%N >> ROOT/prepare.starts; exit 9'], timeout: 10s}"
        instance.write(
            "services:\n"
            + loop_of(instance, "early", "exit 7")
            + loop_of(instance, "late", late)
            + loop_of(instance, "probe", "exec sleep 1000", probe + ", stop: {grace: 100ms}")
            + "  prepare: {command: [/bin/sleep, '1000'], restart: {delay: 20ms, max_delay: 100ms, give_up_after: 6}"
            + prepare.replace("ROOT", str(instance.root))
            + "}\n"
            + f"  exec: {{command: [{gone}], restart: {{delay: 20ms, max_delay: 100ms, give_up_after: 6}}}}\n"
            + f"""  listener:
    command: [{PYTHON}, -c, "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(0.5); s.close(); time.sleep(1000)"]
    port: {port}
    listener: {{grace: 50ms}}
    stop: {{grace: 100ms}}
    restart: {{delay: 20ms, max_delay: 100ms, give_up_after: 6}}
  well: {{command: [/bin/sleep, "1000"]}}
"""
        )
        instance.flocks("start", "--no-browser")
        gone.unlink()
        os.kill(instance.pid("exec"), signal.SIGKILL)
        yield instance, {name: instance.wait_for_state(name, "FAILED", 60) for name in REASONS}


def test_every_cause_opens_the_breaker(opened):
    instance, failed = opened
    for name, reason in REASONS.items():
        assert failed[name]["reason"] == reason, failed[name]
        assert 0 < in_seconds(failed[name]["retry_at"]) <= 61, failed[name]
        assert failed[name]["last_error"]
    for name in NOTED:
        assert len(starts_of(instance.root / f"{name}.starts")) == 6, name
    # Nobody else was touched.
    assert instance.service("well")["generation"] == 1


def test_delays_double_up_to_their_bound(instance):
    """Supervisor#487: base, factor, cap and jitter are as configured."""
    instance.write(
        f"""
services:
  broken:
    command: [/bin/sh, -c, "date +%s%N >> {instance.root}/starts; exit 7"]
    restart: {{delay: 200ms, max_delay: 800ms, give_up_after: 9}}
"""
    )
    instance.flocks("start", "--no-browser")
    instance.wait_for_state("broken", "FAILED")
    starts = starts_of(instance.root / "starts")
    pauses = [later - earlier for earlier, later in zip(starts, starts[1:])]
    assert len(starts) == 9
    # The first three restarts come at once; then 200, 400, 800, 800 ms, each cut by up to a quarter.
    assert min(pauses[:3]) < 0.15, pauses
    for pause, step in zip(pauses[3:], (0.2, 0.4, 0.8, 0.8, 0.8)):
        assert pause >= step * 0.75, (pauses, step)


def test_a_stable_time_closes_the_breaker(instance):
    """The restart counter of the Python supervisor never fell: later failures always waited longest."""
    instance.write(
        """
services:
  ticker:
    command: [/bin/sleep, "1000"]
    restart: {delay: 10s, max_delay: 20s, give_up_after: 3, stable_after: 300ms}
"""
    )
    instance.start()
    for _ in range(8):
        before = instance.service("ticker")
        os.kill(before["pid"], signal.SIGKILL)
        # Were the count kept, the fourth would wait ten seconds and the third failure would be the last.
        after = instance.wait_for_generation("ticker", before["generation"], 5)
        since = datetime.fromisoformat(after["since"].replace("Z", "+00:00"))
        wait_until(lambda: (datetime.now(timezone.utc) - since).total_seconds() > 0.5, 5, "a stable time")


@pytest.mark.no_chaos(reason="a take-over of a thousand services lasts longer than flocksd is left alive")
def test_a_thousand_services_that_crash_at_once_starve_neither_status_nor_each_other(instance):
    names = [f"s{number:04}" for number in range(1000)]
    instance.write(
        "services:\n"
        + "".join(f"  {name}: {{command: [/bin/sleep, '1000']}}\n" for name in names)
        + "  victim: {command: [/bin/sleep, '1000']}\n"
    )
    instance.start(timeout=300)
    before = {s["name"]: s for s in instance.status()["services"]}
    for service in before.values():
        os.kill(service["pid"], signal.SIGKILL)
    took = []

    def all_are_back():
        began = time.monotonic()
        services = instance.status()["services"]
        took.append(time.monotonic() - began)
        return all(
            s["state"] == "SERVICE_STATE_HEALTHY" and s["generation"] == before[s["name"]]["generation"] + 1
            for s in services
        )

    wait_until(all_are_back, 120, "a second generation of each")
    assert max(took) < 10, sorted(took)[-3:]
    assert len(instance.processes()) >= 1001


def test_hundreds_of_crash_loops_leave_the_others_alone(instance):
    """Three hundred loops that never give up; one that serves is killed and is back, and status answers."""
    instance.write(
        "services:\n"
        + "".join(
            f"  loop{number:03}: {{command: [/bin/false], restart: {{delay: 1s, max_delay: 3s, give_up_after: 0}}}}\n"
            for number in range(300)
        )
        + "  good: {command: [/bin/sleep, '1000']}\n"
    )
    instance.flocks("start", "--no-browser", timeout=300)
    for _ in range(5):
        before = instance.wait_for_state("good", "HEALTHY", 20)
        os.kill(before["pid"], signal.SIGKILL)
        instance.wait_for_generation("good", before["generation"], 20)
    wait_until(lambda: instance.service("loop000")["restart_count"] > 3, what="a loop that goes on")
    instance.stop(timeout=120)
    assert instance.processes() == []


def test_open_breaker_tries_once_a_minute(opened):
    """Half open: one more start, and its failure opens it again. A person closes it."""
    instance, failed = opened
    before = {name: status["generation"] for name, status in failed.items() if name != "prepare"}
    wait_until(
        lambda: all(instance.service(n)["generation"] > g for n, g in before.items()), 90, "a trial of each"
    )
    for name in REASONS:
        instance.wait_for_state(name, "FAILED", 60)
    for name in NOTED:
        trials = starts_of(instance.root / f"{name}.starts")[5:]
        assert len(trials) >= 2, name
        assert all(later - earlier >= 55 for earlier, later in zip(trials, trials[1:])), (name, trials)
    wait_until(lambda: in_seconds(instance.wait_for_state("early", "FAILED")["retry_at"]) > 10, what="no trial soon")
    known = len(starts_of(instance.root / "early.starts"))
    instance.flocks("restart", "early")
    instance.wait_for_state("early", "FAILED", 60)
    assert len(starts_of(instance.root / "early.starts")) == known + 6
