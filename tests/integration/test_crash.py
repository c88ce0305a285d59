"""A service dies: it is back at once, its strays are gone, and status says why."""

import os
import signal
import time
from pathlib import Path

from instance import PYTHON, SERVICES, is_alive, processes_with, wait_until


def test_killed_service_is_replaced_within_milliseconds(instance):
    instance.write('services: {ticker: {command: [/bin/sleep, "1000"]}}\n')
    instance.start()
    before = instance.service("ticker")
    killed_at = time.monotonic()
    os.kill(before["pid"], signal.SIGKILL)
    after = instance.wait_for_generation("ticker", before["generation"])
    # Not a benchmark: only that no poll interval or back-off lies between. The bench has the figure.
    assert time.monotonic() - killed_at < 5
    assert after["restart_count"] == before["restart_count"] + 1
    assert after["pid"] != before["pid"]
    assert "SIGKILL" in after["last_error"]
    assert after["reason"] == "STATE_REASON_SIGNALLED"


def test_killed_leader_leaves_no_stray_of_its_generation(instance):
    instance.write(
        f"services: {{family: {{command: [{PYTHON}, {SERVICES}/family.py, setsid, daemon, stubborn, bare]}}}}\n"
    )
    instance.start()
    before = instance.service("family")
    wait_until(lambda: "family" in instance.log("family"), what="the family's word")
    old = processes_with("FLOCKS_INVOCATION_ID", before["invocation_id"])
    assert len(old) == 4, old
    bare = adopted_without_environment(instance)
    assert len(bare) == 1
    os.kill(before["pid"], signal.SIGKILL)
    instance.wait_for_generation("family", before["generation"])
    assert [pid for pid in old if is_alive(pid)] == []
    assert [pid for pid in bare if is_alive(pid)] == []


def test_stop_means_empty(instance):
    instance.write(
        f"""
services:
  family:
    command: [{PYTHON}, {SERVICES}/family.py, setsid, daemon, stubborn, bare]
    stop: {{grace: 300ms}}
"""
    )
    instance.start()
    wait_until(lambda: "family" in instance.log("family"), what="the family's word")
    members = processes_with("FLOCKS_INVOCATION_ID", instance.service("family")["invocation_id"])
    bare = adopted_without_environment(instance)
    assert (len(members), len(bare)) == (4, 1)
    instance.stop("family")
    assert [pid for pid in members + bare if is_alive(pid)] == []


def test_stop_reaches_a_service_that_was_stopped_by_a_signal(instance):
    instance.write('services: {ticker: {command: [/bin/sleep, "1000"], stop: {grace: 60s}}}\n')
    instance.start()
    os.kill(instance.pid("ticker"), signal.SIGSTOP)
    instance.stop("ticker", timeout=30)


def test_crash_loop_backs_off_and_then_fails(instance):
    instance.write(
        """
services:
  broken:
    command: [/bin/sh, -c, "exit 7"]
    restart: {delay: 20ms, max_delay: 50ms, give_up_after: 5}
"""
    )
    result = instance.flocks("start", "--no-browser")
    assert result.returncode == 1
    failed = instance.wait_for_state("broken", "FAILED")
    assert failed["reason"] == "STATE_REASON_EXITED"
    assert "7" in failed["last_error"]
    assert failed["retry_at"]
    assert failed["generation"] <= 6


def test_program_that_cannot_be_executed_says_so(instance):
    program = instance.root / "vanishes"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    instance.write(f"services: {{gone: {{command: [{program}]}}}}\n")
    instance.start()
    program.unlink()
    os.kill(instance.pid("gone"), signal.SIGKILL)
    status = wait_until(
        lambda: (s := instance.service("gone"))["reason"] == "STATE_REASON_EXEC_FAILED" and s,
        what="EXEC_FAILED",
    )
    assert "ENOENT" in status["last_error"] or "No such file" in status["last_error"]


def test_healthy_needs_the_own_listener(instance, free_port, foreigners):
    """A foreign process answers on the port: the service is never called healthy, the holder is named."""
    import subprocess

    port = free_port()
    foreigners.append(
        subprocess.Popen([PYTHON, f"{SERVICES}/web.py", "127.0.0.1", str(port)], stdout=subprocess.PIPE)
    )
    foreigners[0].stdout.readline()
    instance.write(
        f"""
services:
  web:
    command: [{PYTHON}, {SERVICES}/web.py, "${{host}}", "${{port}}"]
    port: {port}
    probes: {{ready: {{http: {{path: /api/health}}, period: 100ms}}}}
"""
    )
    result = instance.flocks("start", "--no-browser", "--timeout", "3s")
    assert result.returncode != 0
    status = instance.service("web")
    assert status["state"] != "SERVICE_STATE_HEALTHY"
    assert status["reason"] == "STATE_REASON_PORT_HELD"
    # A flocksd that has just taken over looks for the holder once more.
    wait_until(lambda: str(foreigners[0].pid) in instance.service("web")["last_error"], what="the holder's name")
    foreigners[0].kill()
    foreigners[0].wait()
    instance.wait_for_state("web", "HEALTHY")


def test_probes_leave_nothing_behind(instance):
    instance.write(
        f"""
services:
  probed:
    command: [/bin/sleep, "1000"]
    probes: {{alive: {{exec: {{command: [/bin/sh, -c, "sleep 1001 & echo >> {instance.root}/probes"]}}, period: 50ms}}}}
"""
    )
    instance.start()
    told = instance.root / "probes"
    wait_until(lambda: told.exists() and told.read_text().count("\n") >= 10, what="ten probes")
    # One at most is under way.
    wait_until(lambda: len(instance.processes()) <= 6, what="an end of what they started")


def adopted_without_environment(instance):
    """The keeper's children whose environment is empty: family.py's `bare`."""
    keeper = instance.status()["daemon"]["keeper_pid"]
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return [int(pid) for pid in children if is_alive(pid) and Path(f"/proc/{pid}/environ").read_bytes() == b""]
