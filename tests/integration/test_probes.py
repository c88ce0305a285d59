"""Probes in their three roles, on real services: who is busy is left alone, who is sick is restarted."""

import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from instance import PYTHON, SERVICES, is_alive, wait_until


@pytest.fixture
def instance(make_instance):
    return make_instance()


@pytest.fixture
def port(free_port):
    return free_port()


def moody(port, probes, more=""):
    return f"""
services:
  web:
    command: [{PYTHON}, {SERVICES}/moody.py, "${{host}}", "${{port}}"]
    port: {port}
    probes: {probes}
{more}
"""


def set_mood(instance, mood):
    """At once: the service reads it at any time."""
    (instance.root / "mood.new").write_text(mood)
    os.rename(instance.root / "mood.new", instance.root / "mood")


def history(instance, name, role):
    """The last results of one role, newest first."""
    explained = json.loads(instance.flocks("why", "--json", name).stdout)
    return [r for r in explained["probes"] if r["role"] == f"PROBE_ROLE_{role}"]


def fill_backlog(port, n=16):
    """Connections that nobody accepts; the kernel drops what comes after."""
    held = []
    for _ in range(n):
        held.append(socket.socket())
        held[-1].setblocking(False)
        held[-1].connect_ex(("127.0.0.1", port))
    return held


def command_lines(instance):
    """Of every living process of the instance."""
    found = []
    for pid in instance.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
    return found


# As the two Flocks services have it by default.
DEFAULTS = """
      ready: {http: {path: /api/health, expect: {status: healthy}}, period: 500ms, timeout: 2s}
      alive: {http: {path: /api/health}, period: 5s, timeout: 5s, failure_threshold: 12, on_failure: RESTART}"""


def test_backend_busy_for_30_s_is_not_killed_by_defaults_as_the_python_supervisor_did_2_x_5_s(instance, port):
    instance.write(moody(port, DEFAULTS))
    instance.start()
    before = instance.service("web")
    set_mood(instance, "busy")
    # The passage of time is what is tested.
    time.sleep(30)
    # A check that takes longer than flocksd lives has no result: it says nothing about the service.
    if instance.chaos is None:
        assert len([r for r in history(instance, "web", "ALIVE") if not r["passed"]]) >= 4
    set_mood(instance, "")
    wait_until(lambda: history(instance, "web", "ALIVE")[0]["passed"], what="an answer")
    after = instance.service("web")
    assert after["state"] == "SERVICE_STATE_HEALTHY"
    assert (after["pid"], after["generation"]) == (before["pid"], before["generation"])


# The same thresholds in a tenth of the time: more failures in a row than the threshold, but not for a minute.
HASTY = """
      alive: {http: {path: /api/health}, period: 100ms, timeout: 100ms, on_failure: RESTART}"""


def failed_in_a_row(instance, role, n):
    results = history(instance, "web", role)[:n]
    return len(results) == n and not any(r["passed"] for r in results)


def test_backend_with_a_full_backlog_is_not_killed_by_the_default_threshold(instance, port):
    instance.write(moody(port, HASTY))
    instance.start()
    before = instance.service("web")
    set_mood(instance, "busy")
    held = fill_backlog(port)
    wait_until(lambda: failed_in_a_row(instance, "ALIVE", 16), what="16 failures in a row")
    assert any("no connection" in r["message"] for r in history(instance, "web", "ALIVE"))
    assert instance.service("web")["state"] == "SERVICE_STATE_HEALTHY"
    set_mood(instance, "")
    for connection in held:
        connection.close()
    wait_until(lambda: history(instance, "web", "ALIVE")[0]["passed"], what="an answer")
    after = instance.service("web")
    assert (after["pid"], after["generation"]) == (before["pid"], before["generation"])


def test_backend_sick_for_longer_than_its_threshold_is_restarted_and_says_why(instance, port):
    instance.write(
        moody(
            port,
            "{alive: {http: {path: /api/health}, period: 100ms, timeout: 2s, failure_threshold: 3, on_failure: RESTART}}",
        )
    )
    instance.start()
    before = instance.service("web")
    set_mood(instance, "sick")
    wait_until(lambda: instance.service("web")["generation"] > before["generation"], what="another generation")
    failed = [r for r in history(instance, "web", "ALIVE") if not r["passed"]]
    set_mood(instance, "")
    after = instance.wait_for_generation("web", before["generation"])
    assert after["pid"] != before["pid"]
    assert not is_alive(before["pid"])
    assert after["reason"] == "STATE_REASON_HEALTH_FAILED"
    assert after["last_error"] == "alive probe: answered 503, expected below 400"
    assert len(failed) >= 3
    assert failed[0]["message"] == "answered 503, expected below 400"


def test_probe_that_only_reports_degrades_and_recovers(instance, port):
    instance.write(
        moody(
            port,
            "{alive: {http: {path: /}, period: 100ms, failure_threshold: 2, success_threshold: 3, on_failure: REPORT}}",
        )
    )
    instance.start()
    before = instance.service("web")
    set_mood(instance, "sick")
    degraded = instance.wait_for_state("web", "DEGRADED")
    assert degraded["reason"] == "STATE_REASON_HEALTH_FAILED"
    set_mood(instance, "")
    healthy = instance.wait_for_state("web", "HEALTHY")
    assert healthy["pid"] == before["pid"]
    # success_threshold: not the first success, but the third.
    assert sum(r["passed"] for r in history(instance, "web", "ALIVE")[:3]) == 3


def test_probe_kill_goes_through_the_restart_path_process_compose_403(instance, port):
    """There a failing readiness probe ended the process for good, although its policy was to restart."""
    set_mood(instance, "sick")
    instance.write(
        moody(port, "{ready: {http: {path: /}, period: 50ms, failure_threshold: 2, on_failure: RESTART}}")
    )
    instance.start(check=None, timeout=60, *("--timeout", "2s"))
    wait_until(lambda: instance.service("web")["generation"] >= 3, what="a third try")
    assert instance.service("web")["reason"] == "STATE_REASON_HEALTH_FAILED"
    set_mood(instance, "")
    instance.wait_for_state("web", "HEALTHY")


def test_startup_ready_and_alive_are_three_probes_process_compose_217(instance):
    root = instance.root
    instance.write(
        """
services:
  app:
    command: [/bin/sleep, "1000"]
    probes:
      startup: {exec: {command: [/usr/bin/test, -e, "${root}/started"]}, period: 50ms, failure_threshold: 1000}
      ready: {exec: {command: [/usr/bin/test, -e, "${root}/is-ready"]}, period: 50ms}
      alive: {exec: {command: [/usr/bin/test, -e, "${root}/is-alive"]}, period: 50ms, failure_threshold: 2, on_failure: RESTART}
"""
    )
    instance.flocks("start", "--no-browser", "--timeout", "1s", timeout=60)

    def results(role):
        explained = json.loads(instance.flocks("why", "--json", "app").stdout)
        return [r["passed"] for r in explained["probes"] if r["role"] == f"PROBE_ROLE_{role}"]

    # alive would fail, and kill: it must not run before the others have passed.
    wait_until(lambda: len(results("STARTUP")) >= 3, what="startup checks")
    assert (instance.service("app")["state"], instance.service("app")["generation"]) == ("SERVICE_STATE_STARTING", 1)
    assert results("READY") == results("ALIVE") == []
    (root / "started").touch()
    wait_until(lambda: len(results("READY")) >= 3, what="ready checks")
    assert results("STARTUP")[0] is True
    n_startup = len(results("STARTUP"))
    assert instance.service("app")["generation"] == 1
    assert results("ALIVE") == []
    (root / "is-alive").touch()
    (root / "is-ready").touch()
    healthy = instance.wait_for_state("app", "HEALTHY")
    assert healthy["generation"] == 1
    wait_until(lambda: results("ALIVE")[:1] == [True], what="an alive check")
    assert len(results("STARTUP")) == n_startup
    (root / "is-alive").unlink()
    wait_until(lambda: instance.service("app")["generation"] > 1, what="a restart")


def test_ready_needs_its_success_threshold(instance):
    instance.write(
        """
services:
  app:
    command: [/bin/sleep, "1000"]
    probes:
      ready:
        exec: {command: [/bin/sh, -c, "echo x >> ${root}/checks"]}
        period: 50ms
        success_threshold: 5
        jitter: 0
"""
    )
    instance.start()
    assert len((instance.root / "checks").read_text().splitlines()) >= 5


def test_exec_probe_that_hangs_is_killed_with_what_left_its_session(instance):
    instance.write(
        """
services:
  app:
    command: [/bin/sleep, "1000"]
    probes:
      alive:
        exec: {command: [/bin/sh, -c, "setsid sleep 1002 & (setsid sleep 1003 &) ; exec sleep 1004"]}
        period: 100ms
        timeout: 200ms
        failure_threshold: 1000
"""
    )
    instance.start()
    wait_until(lambda: len(history(instance, "app", "ALIVE")) >= 5, what="five checks")
    record = history(instance, "app", "ALIVE")[0]
    assert record["message"] == "no result within 200 ms"
    for needle in ("sleep 1002", "sleep 1003", "sleep 1004"):
        assert command_lines(instance).count(needle) <= 1, needle
    assert instance.service("app")["generation"] == 1
    instance.stop("app")
    for needle in ("sleep 1002", "sleep 1003", "sleep 1004"):
        assert needle not in command_lines(instance)


def test_exec_probe_that_forks_without_end_is_ended(instance):
    instance.write(
        f"""
services:
  app:
    command: [/bin/sleep, "1000"]
    probes:
      alive:
        exec: {{command: [{PYTHON}, -c, "import os, sys, time
for i in range(300):
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
time.sleep(1000)"]}}
        period: 10s
        timeout: 1s
        failure_threshold: 1000
"""
    )
    instance.start()
    wait_until(lambda: history(instance, "app", "ALIVE"), what="a check")
    leader = instance.service("app")["pid"]
    wait_until(lambda: not any("os.fork" in line for line in command_lines(instance)), what="the end of what it forked")
    assert instance.service("app")["pid"] == leader


def test_exec_probe_writes_to_the_log_of_its_service_and_may_flood(instance):
    instance.write(
        """
services:
  app:
    command: [/bin/sleep, "1000"]
    logs: {max_size: 1MiB, keep: 1}
    probes:
      alive:
        exec: {command: [/bin/sh, -c, "head -c 3000000 /dev/zero | tr '\\\\0' y; echo; echo checked"]}
        period: 200ms
        timeout: 10s
"""
    )
    instance.start()
    wait_until(lambda: len(history(instance, "app", "ALIVE")) >= 3, what="three checks")
    assert all(r["passed"] for r in history(instance, "app", "ALIVE"))
    began = time.monotonic()
    assert instance.service("app")["state"] == "SERVICE_STATE_HEALTHY"
    assert time.monotonic() - began < 5
    wait_until(lambda: "checked" in instance.log("app"), what="its words in the log")


def test_exec_probe_that_cannot_be_run_fails_and_says_why(instance):
    program = instance.root / "check"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    instance.write(
        f"""
services:
  app:
    command: [/bin/sleep, "1000"]
    probes:
      alive: {{exec: {{command: [{program}]}}, period: 50ms, failure_threshold: 2}}
"""
    )
    instance.start()
    program.chmod(0o644)
    degraded = instance.wait_for_state("app", "DEGRADED")
    assert "EACCES" in degraded["last_error"]
    program.chmod(0o755)
    instance.wait_for_state("app", "HEALTHY")


def test_proxies_of_the_environment_do_not_break_loopback_probes(instance, port):
    """They did in the Python supervisor."""
    proxy = "http://127.0.0.1:1"
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        instance.environment[name] = proxy
    instance.write(moody(port, "{ready: {http: {path: /api/health, expect: {status: healthy}}, period: 100ms}}"))
    instance.start()
    assert instance.service("web")["state"] == "SERVICE_STATE_HEALTHY"


@pytest.mark.no_chaos(reason="kills flocksd itself, and counts")
def test_counts_and_history_survive_flocksd(instance, port):
    instance.write(
        moody(
            port,
            "{alive: {http: {path: /}, period: 300ms, failure_threshold: 5, on_failure: REPORT}}",
        )
    )
    instance.start()
    set_mood(instance, "sick")
    instance.wait_for_state("web", "DEGRADED")
    before = history(instance, "web", "ALIVE")
    os.kill(instance.status()["daemon"]["pid"], signal.SIGKILL)
    # Still DEGRADED: it would be a lie to call it healthy before its probe has passed.
    after = wait_until(lambda: instance.service("web"), what="status")
    assert after["state"] == "SERVICE_STATE_DEGRADED"
    records = history(instance, "web", "ALIVE")
    assert {r["at"] for r in records} & {r["at"] for r in before}
    set_mood(instance, "")
    assert instance.wait_for_state("web", "HEALTHY")["pid"] == after["pid"]
