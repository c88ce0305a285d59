"""The command line's contract: output for programs, exit codes, following logs, settings."""

import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest

from instance import PYTHON, SERVICES, is_alive, wait_until

TICKER = "services: {ticker: {command: [/bin/sleep, '1000']}}\n"
WEB = """
services:
  backend:
    command: [{python}, {services}/web.py, "${{host}}", "${{port}}"]
    port: {port}
    probes: {{ready: {{http: {{path: /api/health}}, period: 100ms, timeout: 2s}}}}
"""


def run(instance, *arguments, **options):
    """A command in the background, its output piped."""
    return subprocess.Popen(
        instance.command(*arguments),
        env=instance.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def wait_until_followed(process):
    """Until it says how the service `slow` is: it knows the operation then."""
    assert select.select([process.stderr], [], [], 30)[0]
    wait_until(lambda: "slow: STARTING" in process.stderr.readline(), what="it follows")


# ---- output ----


def test_json_failures_are_one_object_with_the_exit_code(instance):
    instance.write(TICKER)
    instance.start()
    result = instance.flocks("restart", "tickr", "--json", check=2)
    failure = json.loads(result.stdout)["error"]
    assert failure["code"] == 5
    assert failure["details"][0]["@type"] == "type.googleapis.com/flocks.v1.ErrorDetail"
    assert failure["details"][0]["reason"] == "ERROR_REASON_UNKNOWN_SERVICE"


def test_json_of_every_command_is_the_response(instance):
    instance.write(TICKER)
    started = json.loads(instance.start("--json").stdout)
    assert started["operation"]["kind"] == "OPERATION_KIND_START"
    assert started["operation"]["state"] == "OPERATION_STATE_SUCCEEDED"
    restarted = json.loads(instance.flocks("restart", "ticker", "--json", check=0).stdout)
    assert restarted["operation"]["kind"] == "OPERATION_KIND_RESTART"
    config = json.loads(instance.flocks("config", "--json", check=0).stdout)
    assert config["config"]["services"]["ticker"]["command"] == ["/bin/sleep", "1000"]
    version = json.loads(instance.flocks("version", "--json", check=0).stdout)
    assert version["client_version"] == version["daemon"]["version"]
    stopped = json.loads(instance.stop("ticker", "--json").stdout)
    assert stopped["operation"]["kind"] == "OPERATION_KIND_STOP"
    assert "operation" in json.loads(instance.stop("--json").stdout)
    assert json.loads(instance.stop("--json").stdout) == {}


def test_quiet_start_says_nothing(instance):
    instance.write(TICKER)
    result = instance.start("--quiet")
    assert (result.stdout, result.stderr) == ("", "")


def test_output_closed_by_the_reader_is_no_failure(instance):
    instance.write(TICKER)
    instance.start()
    for command in (("status",), ("status", "--json"), ("config",), ("logs", "daemon", "--no-follow")):
        read_end, write_end = os.pipe()
        os.close(read_end)
        result = subprocess.run(
            instance.command(*command), env=instance.environment, stdout=write_end, timeout=30
        )
        os.close(write_end)
        assert result.returncode == 0, command


def test_output_that_cannot_be_written_is_1(instance):
    instance.write(TICKER)
    instance.start()
    commands = (("status",), ("status", "--json"), ("config",), ("version", "--json"), ("restart", "ticker"))
    for command in commands:
        with open("/dev/full", "w") as full:
            result = subprocess.run(
                instance.command(*command),
                env=instance.environment,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=30,
            )
        assert result.returncode == 1, command
        assert result.stderr.count("ENOSPC") == 1, command


def test_closed_descriptors_are_nobody_else_s(instance):
    instance.write(TICKER)
    for command in (("start", "--no-browser"), ("status", "--json"), ("restart", "--no-browser"), ("stop",)):
        line = " ".join(instance.command(*command)) + " <&- >&- 2>&-"
        subprocess.run(["sh", "-c", line], env=instance.environment, timeout=60, check=True)
    assert "refused or closed" not in instance.daemon_log()


def test_start_in_a_terminal_shows_progress_and_colours(instance):
    instance.write(TICKER)
    leader, follower = pty.openpty()
    environment = dict(instance.environment, TERM="xterm")
    process = subprocess.Popen(
        instance.command("start", "--no-browser"), env=environment, stdout=follower, stderr=follower
    )
    os.close(follower)
    seen = b""
    while select.select([leader], [], [], 30)[0]:
        try:
            data = os.read(leader, 4096)
        except OSError:
            break
        seen += data
    os.close(leader)
    assert process.wait(timeout=30) == 0
    assert b"\x1b[32mHEALTHY\x1b[0m" in seen


# ---- exit codes ----


def test_status_of_a_named_stopped_service_is_1(instance):
    instance.write(TICKER)
    instance.start()
    instance.stop("ticker")
    instance.flocks("status", check=0)
    instance.flocks("status", "ticker", check=1)


def test_what_both_dead_left_is_named_and_ended(instance):
    instance.write(TICKER)
    instance.start()
    daemon = instance.status()["daemon"]
    ticker = instance.pid("ticker")
    # Stopped first: a flocksd that sees its keeper die ends the services.
    for name, number in (("pid", signal.SIGSTOP), ("keeper_pid", signal.SIGKILL), ("pid", signal.SIGKILL)):
        os.kill(daemon[name], number)
    wait_until(lambda: not is_alive(daemon["pid"]) and not is_alive(daemon["keeper_pid"]), what="both are dead")
    told = instance.flocks("status", check=3).stdout
    assert f"ticker: pid {ticker} (/usr/bin/sleep)" in told or f"ticker: pid {ticker} (/bin/sleep)" in told
    ended = instance.stop().stderr
    assert f"ending ticker, pid {ticker}" in ended
    assert ended.endswith("flocks: stopped\n")
    assert instance.stop().stderr == "flocks: nothing runs\n"


def test_without_root_and_home_is_usage(instance):
    told = subprocess.run(
        [str(instance.bin / "flocks"), "status"], env={}, capture_output=True, text=True, timeout=30
    )
    assert told.returncode == 2
    assert "--root DIRECTORY" in told.stderr


def test_second_foreground_start_is_refused_with_the_remedy(instance):
    instance.write(TICKER)
    instance.start()
    told = instance.start("--foreground", check=5).stderr
    assert "runs already" in told and "`flocks stop` ends it" in told


def test_restart_of_a_service_where_nothing_runs_is_3(instance):
    instance.write(TICKER)
    result = instance.flocks("restart", "ticker", check=3)
    assert "nothing runs in" in result.stderr and "flocks start" in result.stderr
    failure = json.loads(instance.flocks("restart", "ticker", "--json", check=3).stdout)
    assert failure["error"]["code"] == 14


def test_status_of_an_unknown_service_is_2_with_and_without_daemon(instance):
    instance.write(TICKER)
    instance.flocks("status", "ticker", check=3)
    assert "did you mean ticker?" in instance.flocks("status", "tickr", check=2).stderr
    instance.start()
    assert "the services are ticker" in instance.flocks("status", "tickr", check=2).stderr


def test_wrong_command_line_is_told_as_json_too(instance):
    for arguments in (("status", "--bogus", "--json"), ("nosuch", "--json"), ("--json", "nosuch")):
        failure = json.loads(instance.flocks(*arguments, check=2).stdout)
        assert failure["error"]["code"] == 3, arguments


@pytest.mark.parametrize("option", ["--root", "--config", "--socket", "--timeout"])
def test_empty_value_is_no_value(instance, option):
    result = instance.flocks(option, "", "status", check=2)
    assert f"{option} wants a value" in result.stderr


def test_silent_daemon_is_a_deadline(instance):
    instance.write(TICKER)
    instance.start()
    pid = instance.status()["daemon"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        told = instance.flocks("--timeout", "300ms", "status", check=4).stderr
        assert time.monotonic() - began < 5
        assert "`flocks stop` ends a daemon that hangs" in told
        version = instance.flocks("--timeout", "300ms", "version", check=0).stdout
        assert "flocksd        cannot be asked" in version
    finally:
        os.kill(pid, signal.SIGCONT)


def test_interrupted_start_says_the_operation_and_goes_on(instance, free_port):
    # Never ready: nothing listens on its port.
    instance.write(f"services: {{slow: {{command: [/bin/sleep, '1000'], port: {free_port()}}}}}\n")
    process = run(instance, "start", "--no-browser")
    wait_until_followed(process)
    process.send_signal(signal.SIGINT)
    output, words = process.communicate(timeout=30)
    assert process.returncode == 130, words
    assert "goes on" in words
    assert instance.service("slow")["wanted"]


def test_what_ends_the_waiting_names_the_operation_in_json(instance, free_port):
    instance.write(f"services: {{slow: {{command: [/bin/sleep, '1000'], port: {free_port()}, start: false}}}}\n")
    # The second is for asking and being answered alone.
    instance.start()
    late = instance.start("slow", "--json", "--timeout", "1s", check=4)
    operation = json.loads(late.stdout)["error"]["details"][0]["operation_id"]
    assert operation
    process = run(instance, "start", "slow", "--json")
    wait_until_followed(process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(output)["error"]["details"][0]["operation_id"]


def test_quiet_start_that_fails_says_why(instance):
    instance.write("services: {bad: {command: [/bin/false], restart: {policy: NEVER}}}\n")
    result = instance.start("--quiet", check=1)
    assert result.stdout == ""
    assert result.stderr.startswith("flocks: bad: ")
    assert "hint: `flocks logs bad` shows what it said" in result.stderr


# ---- settings ----


def port_of(instance):
    return instance.service("backend")["port"]


def test_start_with_other_settings_restarts_and_without_keeps_them(instance, free_port):
    first, second = free_port(), free_port()
    instance.write(WEB.format(python=PYTHON, services=SERVICES, port=first))
    instance.start()
    keeper = instance.status()["daemon"]["keeper_pid"]
    instance.start("--server-port", str(first))
    assert instance.status()["daemon"]["keeper_pid"] == keeper
    changed = instance.start("--server-port", str(second))
    assert "configuration changed" in changed.stderr
    assert port_of(instance) == second
    instance.start()
    assert port_of(instance) == second
    instance.flocks("restart", "--no-browser", check=0)
    assert port_of(instance) == second
    shown = instance.flocks("config", check=0).stdout
    assert "# running daemon\n" in shown


def test_restart_keeps_the_file_that_the_daemon_was_given(instance):
    other = instance.root / "other.yaml"
    other.write_text(TICKER)
    instance.flocks("--config", str(other), "start", "--no-browser", check=0)
    instance.flocks("restart", "--no-browser", check=0)
    assert [service["name"] for service in instance.status()["services"]] == ["ticker"]
    assert f"# file {other}:1" in instance.flocks("config", check=0).stdout


def test_too_long_a_socket_path_is_usage(instance):
    told = instance.flocks("--socket", "/tmp/" + "s" * 120, "status", check=2).stderr
    assert "--socket has 125 bytes; a socket path has at most 107" in told


def test_config_shows_the_origin_of_each_value(instance, free_port):
    instance.write(WEB.format(python=PYTHON, services=SERVICES, port=free_port()))
    environment = dict(instance.environment, FLOCKS_BACKEND_HOST="127.0.0.2")
    lines = instance.flocks("config", check=0, env=environment).stdout.splitlines()
    host = next(line for line in lines if " host:" in line)
    assert host.split() == ["host:", "127.0.0.2", "#", "environment", "FLOCKS_BACKEND_HOST"]
    port = next(line for line in lines if " port:" in line)
    assert f"# file {instance.config}:5" in port


# ---- logs ----


@pytest.fixture
def logs(instance):
    directory = instance.root / "logs"
    directory.mkdir(mode=0o700)
    return directory


def read_line(process):
    assert select.select([process.stdout], [], [], 30)[0], "no output"
    return os.read(process.stdout.fileno(), 65536).decode()


def test_logs_of_one_service_are_its_bytes(instance, logs):
    (logs / "web.log").write_bytes(b"one\n\x1b[31mtwo\xff\r\nno newline")
    result = subprocess.run(
        instance.command("logs", "web", "--no-follow"), env=instance.environment, stdout=subprocess.PIPE
    )
    assert result.returncode == 0
    assert result.stdout == b"one\n\x1b[31mtwo\xff\r\nno newline"


def test_logs_of_several_have_names_and_headers(instance, logs):
    (logs / "web.log").write_text("a\nb\n")
    (logs / "daemon.log").write_text("d\n")
    result = instance.flocks("logs", "--no-follow", "-n", "1", check=0)
    assert result.stdout == (
        f"[web] --- {logs}/web.log ---\n[web] b\n[daemon] --- {logs}/daemon.log ---\n[daemon] d\n"
    )


def test_logs_follow_across_rotation_until_interrupted(instance, logs):
    (logs / "web.log").write_text("1\n")
    process = run(instance, "logs", "web")
    assert read_line(process) == "1\n"
    with open(logs / "web.log", "a") as file:
        file.write("2\n")
        file.flush()
        os.rename(logs / "web.log", logs / "web.log.1")
        file.write("3\n")
    (logs / "web.log").write_text("4\n")
    seen = ""
    while not seen.endswith("4\n"):
        seen += read_line(process)
    assert seen == "2\n3\n4\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    process.communicate()


def test_logs_follow_ends_with_its_reader(instance, logs):
    (logs / "web.log").write_text("1\n")
    process = run(instance, "logs", "web")
    assert read_line(process) == "1\n"
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    process.stderr.close()
