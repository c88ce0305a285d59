"""start, status, restart, stop: exit codes, answers, and nothing left."""

import contextlib
import json
import subprocess
from pathlib import Path

from instance import PYTHON, SERVICES, is_alive, wait_until

WEB = """
services:
  web:
    command: [{python}, {services}/web.py, "${{host}}", "${{port}}"]
    port: {port}
    probes: {{ready: {{http: {{path: /api/health, expect: {{status: healthy}}}}, period: 100ms, timeout: 2s}}}}
  ticker: {{command: [/bin/sleep, "1000"]}}
"""


def names_of(instance):
    """What the living processes of the instance are called, sorted."""
    names = []
    for pid in instance.processes():
        with contextlib.suppress(OSError):
            names.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return sorted(names)


def write_web(instance, port):
    instance.write(WEB.format(python=PYTHON, services=SERVICES, port=port))


def test_start_status_stop_exit_codes(instance, free_port):
    write_web(instance, free_port())
    instance.flocks("status", check=3)
    instance.start()
    status = instance.status()
    assert status["daemon"]["state"] == "DAEMON_STATE_RUNNING"
    assert {s["name"]: s["state"] for s in status["services"]} == {
        "ticker": "SERVICE_STATE_HEALTHY",
        "web": "SERVICE_STATE_HEALTHY",
    }
    instance.flocks("status", check=0)
    instance.start()
    instance.stop()
    assert instance.processes() == []
    instance.stop()
    down = instance.flocks("status", "--json", check=3)
    answer = json.loads(down.stdout)
    assert answer["daemon"]["state"] == "DAEMON_STATE_NOT_RUNNING"
    assert answer["daemon"]["pid"] == 0
    assert {s["state"] for s in answer["services"]} == {"SERVICE_STATE_STOPPED"}


def test_start_ten_at_once_gives_one_of_each(instance, free_port):
    write_web(instance, free_port())
    starts = [
        subprocess.Popen(
            instance.command("start", "--no-browser"),
            env=instance.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(10)
    ]
    outputs = [start.communicate(timeout=120)[0] for start in starts]
    assert [start.returncode for start in starts] == [0] * 10, "\n---\n".join(outputs)
    expected = ["flocks-capture", "flocks-keeper", "flocksd", Path(PYTHON).name, "sleep"]
    # The capture names itself a moment after it was executed.
    wait_until(lambda: names_of(instance) == expected, what=f"{expected}, not {names_of(instance)}")
    assert instance.service("ticker")["generation"] == 1


def test_stop_and_start_one_service_leaves_the_other(instance, free_port):
    write_web(instance, free_port())
    instance.start()
    ticker = instance.pid("ticker")
    web = instance.pid("web")
    instance.stop("web")
    assert not is_alive(web)
    assert instance.service("web")["state"] == "SERVICE_STATE_STOPPED"
    assert not instance.service("web")["wanted"]
    # Judged without names: only what is wanted.
    instance.flocks("status", check=0)
    instance.flocks("status", "web", check=1)
    instance.start("web")
    assert instance.pid("ticker") == ticker
    instance.flocks("restart", "web", check=0)
    assert instance.service("web")["generation"] == 3
    assert instance.pid("ticker") == ticker


def test_restart_without_names_is_a_new_daemon_with_the_same_ports(instance, free_port):
    write_web(instance, free_port())
    instance.start()
    before = instance.status()
    instance.flocks("restart", check=0)
    after = instance.status()
    assert before["daemon"]["pid"] != after["daemon"]["pid"]
    assert before["daemon"]["keeper_pid"] != after["daemon"]["keeper_pid"]
    ports = [[s["port"] for s in status["services"]] for status in (before, after)]
    assert ports[0] == ports[1]


def test_unknown_service_name_is_refused_and_nothing_done(instance, free_port):
    write_web(instance, free_port())
    instance.start()
    pids = [s["pid"] for s in instance.status()["services"]]
    for verb in ("stop", "restart", "start"):
        result = instance.flocks(verb, "web", "nosuch", check=2)
        assert "nosuch" in result.stderr
    assert [s["pid"] for s in instance.status()["services"]] == pids
    failure = json.loads(instance.flocks("stop", "--json", "nosuch", check=2).stdout)
    assert failure["error"]["code"] == 5
    assert failure["error"]["details"][0]["@type"].endswith("/flocks.v1.ErrorDetail")


def test_usage_errors_exit_2(instance):
    for arguments in (["nosuch"], ["start", "--nosuch"], ["logs", "-n", "x"], ["status", "--json=3"]):
        instance.flocks(*arguments, check=2)


def test_foreground_ends_with_the_terminal_signal(instance, free_port):
    write_web(instance, free_port())
    process = subprocess.Popen(
        instance.command("start", "--foreground", "--no-browser"),
        env=instance.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: instance.flocks("status").returncode == 0, 60, "the service in the foreground")
    assert process.poll() is None
    process.terminate()
    process.wait(timeout=60)
    wait_until(lambda: instance.processes() == [], 30, "an empty root")
    instance.flocks("status", check=3)


def test_sigterm_to_the_keeper_is_an_orderly_shutdown(instance, free_port):
    write_web(instance, free_port())
    instance.start()
    keeper = instance.status()["daemon"]["keeper_pid"]
    subprocess.run(["kill", "-TERM", str(keeper)], check=True)
    wait_until(lambda: instance.processes() == [], 30, "an empty root")
    instance.flocks("status", check=3)


def test_version_and_help(instance):
    version = instance.flocks("version", check=0)
    assert "0.1.0" in version.stdout
    listing = instance.flocks("--help", check=0).stdout
    for verb in ("start", "stop", "restart", "status", "logs", "config", "version"):
        assert verb in listing
        assert "Usage" in instance.flocks(verb, "--help", check=0).stdout.title()


def test_start_by_name_on_a_fresh_root_starts_only_that(instance, free_port):
    write_web(instance, free_port())
    instance.start("ticker")
    assert instance.service("ticker")["state"] == "SERVICE_STATE_HEALTHY"
    assert instance.service("web")["state"] == "SERVICE_STATE_STOPPED"
    assert not instance.service("web")["wanted"]
