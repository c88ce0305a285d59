"""The command line where things change: why, events, status --watch, progress, wait and cancel."""

import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest

from instance import PYTHON, SERVICES, is_alive, process_state, wait_until
from terminal import Terminal, plain

TWO = """
services:
  one: {command: [/bin/sleep, '1000']}
  two: {command: [/bin/sleep, '1000'], after: [one]}
"""
# Ends with 3 at once; the delay keeps it in BACKOFF for long after the first burst.
CRASHING = """
services:
  bad:
    command: [/bin/sh, -c, 'printf "said\\\\tthis \\\\033[2J\\\\n"; exit 3']
    restart: {policy: ALWAYS, delay: 60s, max_delay: 60s}
  good: {command: [/bin/sleep, '1000']}
"""
OPEN_SCREEN = b"\x1b[?1049h\x1b[?25l"
CLOSE_SCREEN = b"\x1b[?25h\x1b[?1049l"


@pytest.fixture
def terminal(instance):
    """A function that runs a command in a terminal; all are closed after the test."""
    made = []

    def make(*arguments, environment=None, **options):
        environment = environment or instance.environment
        made.append(Terminal(instance.command(*arguments), environment, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def piped(instance):
    """A function that runs a command whose output is read line by line; all are killed after the test."""
    made = []

    def make(*arguments):
        made.append(
            subprocess.Popen(
                instance.command(*arguments),
                env=instance.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        )
        return made[-1]

    yield make
    for process in made:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()


def read_line(process, seconds=30):
    """Up to the newline; "" at the end of the output."""
    line = b""
    deadline = time.monotonic() + seconds
    while not line.endswith(b"\n"):
        left = max(0.0, deadline - time.monotonic())
        assert select.select([process.stdout], [], [], left)[0], f"no output behind {line!r}"
        byte = process.stdout.read(1)
        if not byte:
            break
        line += byte
    return line.decode()


def read_until(process, condition):
    """Lines up to the first for which `condition` is true; that one is the last."""
    lines = []
    while not lines or not condition(lines[-1]):
        lines.append(read_line(process))
        assert lines[-1], f"the output ended: {lines}"
    return lines


def slow_service(instance, port):
    gate = instance.root / "gate"
    program = instance.root / "slow.py"
    program.write_text(
        "import os, socket, time\n"
        f"while not os.path.exists('{gate}'):\n    time.sleep(0.01)\n"
        f"s = socket.create_server(('127.0.0.1', {port}))\ntime.sleep(1000)\n"
    )
    instance.write(f"services: {{slow: {{command: [{PYTHON}, {program}], port: {port}}}}}\n")
    return gate


# ---- why ----


def test_why_tells_the_chain_of_a_crashing_service(instance):
    instance.write(CRASHING)
    instance.start(check=1)
    instance.wait_for_state("bad", "BACKOFF")
    told = instance.flocks("why", "bad", check=0).stdout
    assert "bad is BACKOFF for" in told
    assert "exit code 3" in told
    assert "next try      in " in told
    assert "last asked    start by pid" in told
    assert "  | said\tthis \\x1b[2J\n" in told
    answer = json.loads(instance.flocks("why", "bad", "--json", check=0).stdout)
    assert answer["status"]["state"] == "SERVICE_STATE_BACKOFF"
    assert answer["exits"][0]["exit_code"] == 3
    assert answer["output_tail"][-1] == "said\tthis \x1b[2J"
    none = instance.flocks("why", "bad", "-n", "0", check=0).stdout
    assert "  | " not in none


def test_why_without_a_name_tells_of_those_that_are_not_well(instance):
    instance.write(CRASHING)
    instance.start(check=1)
    instance.wait_for_state("bad", "BACKOFF")
    told = instance.flocks("why", check=0).stdout
    assert told.startswith("bad is BACKOFF for") and "good" not in told
    some = json.loads(instance.flocks("why", "--json", check=0).stdout)
    assert [service["name"] for service in some["services"]] == ["bad"]
    instance.stop("bad")
    assert instance.flocks("why", check=0).stdout == "every wanted service is well\n"


def test_why_of_a_held_port_names_the_holder(instance, free_port, foreigners):
    port = free_port()
    foreigners.append(subprocess.Popen([PYTHON, SERVICES / "listener.py", "127.0.0.1", str(port)]))
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, what="somebody listens")
    instance.write(f"services: {{web: {{command: [/bin/sleep, '1000'], port: {port}}}}}\n")
    instance.flocks("--timeout", "2s", "start", "--no-browser", check=4)
    holder = f"port held by  pid {foreigners[0].pid} ("
    wait_until(lambda: holder in instance.flocks("why", "web", check=0).stdout, what="the holder's name")


def test_why_and_events_refuse_what_is_not_there(instance):
    instance.write(TWO)
    for command in (("why", "one"), ("why",), ("events",), ("status", "--watch"), ("wait", "1"), ("cancel", "1")):
        told = instance.flocks(*command, check=3)
        assert "nothing runs in" in told.stderr, command
        failure = json.loads(instance.flocks(*command, "--json", check=3).stdout)
        assert failure["error"]["code"] == 14, command
    instance.start()
    for command in (("why", "onne"), ("events", "onne"), ("status", "--watch", "onne")):
        assert "one" in instance.flocks(*command, check=2).stderr, command
    instance.flocks("why", "one", "two", check=2)
    instance.flocks("wait", check=2)
    instance.flocks("wait", "nosuch", check=2)
    instance.flocks("cancel", "nosuch", check=2)


# ---- events ----


def test_events_are_lines_until_interrupted(instance, piped):
    instance.write(TWO)
    instance.start()
    process = piped("events", "--snapshot", "one")
    assert "HEALTHY, pid" in read_line(process)
    instance.flocks("restart", "one", check=0)
    lines = read_until(process, lambda line: "STARTING -> HEALTHY" in line)
    assert any("HEALTHY -> STOPPING" in line for line in lines)
    assert not any("two" in line.split()[1:2] for line in lines)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0


def test_events_in_json_have_tokens_that_resume(instance, piped):
    instance.write(TWO)
    instance.start()
    process = piped("events", "--json")
    first = json.loads(read_line(process))
    assert {service["name"] for service in first["snapshot"]["services"]} == {"one", "two"}
    instance.flocks("restart", "one", check=0)

    def is_healthy_again(line):
        change = json.loads(line).get("event", {}).get("service")
        return bool(change) and change["status"]["state"] == "SERVICE_STATE_HEALTHY"

    items = [json.loads(line) for line in read_until(process, is_healthy_again)]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    again = piped("events", "--json", "--after", items[0]["token"])
    resumed = [json.loads(line) for line in read_until(again, is_healthy_again)]
    assert [item["token"] for item in resumed[: len(items) - 1]] == [item["token"] for item in items[1:]]


def test_events_go_on_when_flocksd_is_killed(instance, piped):
    instance.write(TWO)
    instance.start()
    process = piped("events", "--json")
    tokens = [json.loads(read_line(process))["token"]]
    for _ in range(3):
        before = instance.status()["daemon"]["takeovers"]
        os.kill(instance.status()["daemon"]["pid"], signal.SIGKILL)
        wait_until(lambda: instance.status()["daemon"].get("takeovers", 0) > before, what="taken over")
        generation = instance.service("one")["generation"]
        instance.flocks("restart", "one", check=0)

        def is_next(line, generation=generation):
            change = json.loads(line).get("event", {}).get("service")
            return bool(change) and change["status"]["generation"] > generation and (
                change["status"]["state"] == "SERVICE_STATE_HEALTHY")

        tokens += [json.loads(line)["token"] for line in read_until(process, is_next)]
    assert len(set(tokens)) == len(tokens), "an event was told twice"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0


def test_events_end_with_their_reader_and_with_the_daemon(instance, piped):
    instance.write(TWO)
    instance.start()
    process = piped("events", "--snapshot")
    read_line(process)
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    process.stderr.close()
    process.stdout = process.stderr = None
    other = piped("events", "--snapshot")
    read_line(other)
    instance.stop()
    assert other.wait(timeout=30) == 3


# ---- status --watch ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_watched_screen_is_drawn_over_and_given_back(instance, terminal, number):
    instance.write(TWO)
    instance.start()
    screen = terminal("status", "--watch")
    at = screen.wait_for(OPEN_SCREEN)
    at = screen.wait_for(b"two", since=at)
    instance.stop("two")
    screen.wait_for(b"STOPPED", since=at)
    screen.process.send_signal(number)
    assert screen.wait() == 0
    assert screen.seen.endswith(CLOSE_SCREEN)


def test_watched_screen_takes_a_new_size_at_once(instance, terminal):
    instance.write(TWO)
    instance.start()
    screen = terminal("status", "--watch", columns=100, rows=30)
    at = screen.wait_for(b"two")
    screen.resize(20, 4)
    screen.process.send_signal(signal.SIGWINCH)
    screen.wait_for(b"more", since=at)
    picture = plain(screen.seen[screen.seen.rindex(b"\x1b[H"):])
    assert all(len(line) <= 20 for line in picture.split("\n")), picture
    screen.interrupt()
    assert screen.wait() == 0


def test_watched_screen_is_given_back_while_stopped(instance, terminal):
    instance.write(TWO)
    instance.start()
    screen = terminal("status", "--watch")
    screen.wait_for(b"two")
    os.kill(screen.process.pid, signal.SIGTSTP)
    at = screen.wait_for(CLOSE_SCREEN)
    # It gives the screen back first and stops then; a SIGCONT in between would be lost.
    wait_until(lambda: process_state(screen.process.pid) == "T", what="the command is stopped")
    os.kill(screen.process.pid, signal.SIGCONT)
    screen.wait_for(OPEN_SCREEN, since=at)
    screen.interrupt()
    assert screen.wait() == 0


def test_watched_screen_survives_flocksd_and_ends_with_the_daemon(instance, terminal):
    instance.write(TWO)
    instance.start()
    screen = terminal("status", "--watch")
    at = screen.wait_for(b"two")
    os.kill(instance.status()["daemon"]["pid"], signal.SIGKILL)
    at = screen.wait_for(b"taken over 1 time", since=at)
    instance.stop()
    assert screen.wait() == 3
    assert CLOSE_SCREEN in screen.seen and "nothing runs in" in screen.text()


def test_watched_status_elsewhere_is_one_table_or_object_for_each_change(instance, piped):
    instance.write(TWO)
    instance.start()
    tables = piped("status", "--watch")
    objects = piped("status", "--watch", "--json")
    read_until(tables, lambda line: line.startswith("two"))
    assert json.loads(read_line(objects))["services"][1]["state"] == "SERVICE_STATE_HEALTHY"
    instance.stop("two")
    read_until(tables, lambda line: line.startswith("two") and "STOPPED" in line)
    read_until(objects, lambda line: json.loads(line)["services"][1]["state"] == "SERVICE_STATE_STOPPED")
    for process in (tables, objects):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


# ---- progress ----


def test_progress_in_a_terminal_shows_each_service_and_goes_away(instance, terminal, free_port):
    gate = slow_service(instance, free_port())
    screen = terminal("start", "--no-browser", split=True)
    screen.wait_for(b"slow  ")
    screen.wait_for(b"STARTING")
    gate.write_text("")
    assert screen.wait() == 0
    assert b"\x1b[J" in screen.seen
    assert b"HEALTHY" in screen.process.stdout.read()


def test_progress_elsewhere_is_a_line_for_each_change(instance):
    instance.write(TWO)
    told = instance.start().stderr.splitlines()
    assert "flocks: one: HEALTHY" in told and "flocks: two: HEALTHY" in told
    for options in (("--quiet",), ("--json",)):
        told = instance.flocks("restart", "one", *options, check=0).stderr
        assert "HEALTHY" not in told


def test_interrupted_progress_names_the_operation_that_goes_on(instance, terminal, free_port):
    gate = slow_service(instance, free_port())
    screen = terminal("start", "--no-browser")
    screen.wait_for(b"STARTING")
    screen.interrupt()
    assert screen.wait() == 130
    words = screen.text().split()
    operation = words[words.index("operation") + 1]
    waiting = subprocess.Popen(instance.command("wait", operation), env=instance.environment)
    gate.write_text("")
    assert waiting.wait(timeout=30) == 0
    instance.flocks("wait", operation, check=0)
    assert instance.service("slow")["state"] == "SERVICE_STATE_HEALTHY"


def test_cancelled_operation_ends_the_waiting_with_1(instance, terminal, free_port):
    slow_service(instance, free_port())
    screen = terminal("start", "--no-browser")
    screen.wait_for(b"STARTING")
    operation = instance.service("slow")["operation_id"]
    told = instance.flocks("cancel", operation, check=0).stderr
    assert f"start {operation} was cancelled" in told
    assert screen.wait() == 1
    instance.flocks("wait", operation, check=1)


def test_progress_survives_flocksd(instance, terminal, free_port):
    gate = slow_service(instance, free_port())
    screen = terminal("start", "--no-browser")
    screen.wait_for(b"STARTING")
    for takeovers in range(1, 4):
        os.kill(instance.status()["daemon"]["pid"], signal.SIGKILL)
        wait_until(lambda n=takeovers: instance.status()["daemon"].get("takeovers") == n, what="taken over")
    gate.write_text("")
    assert screen.wait() == 0


def test_interrupt_at_every_moment_leaves_nothing_half_done(instance):
    instance.write(TWO)
    instance.start()
    for number in range(16):
        process = subprocess.Popen(
            instance.command("restart", "one"), env=instance.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        time.sleep(number * 0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130, -signal.SIGINT)

    def is_whole():
        one = instance.service("one")
        return one["state"] == "SERVICE_STATE_HEALTHY" and not one["operation_id"]

    wait_until(is_whole, what="an end of what was begun")


@pytest.mark.parametrize("command", [("restart", "one"), ("stop", "one"), ("why", "one"), ("status",), ("config",)])
def test_flocksd_killed_during_a_command_is_not_noticed(instance, command):
    instance.write(TWO)
    instance.start()
    for _ in range(3):
        pid = instance.status()["daemon"]["pid"]
        process = subprocess.Popen(
            instance.command(*command), env=instance.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        os.kill(pid, signal.SIGKILL)
        told = process.communicate(timeout=60)
        assert process.returncode == 0, told


def test_stop_lists_what_had_to_be_signalled(instance):
    instance.write(
        "services: {deaf: {command: [/bin/sh, -c, 'trap \"\" TERM; echo deaf; while :; do sleep 0.1; done'], "
        "stop: {grace: 300ms}}}\n"
    )
    instance.start()
    wait_until(lambda: instance.log("deaf"), what="deafness")
    pid = instance.pid("deaf")
    told = instance.stop("deaf").stderr
    assert f"flocks: deaf: SIGKILL to pid {pid} (" in told
    assert not is_alive(pid)


def test_no_colours_where_nobody_wants_them(instance, terminal):
    instance.write(TWO)
    instance.start()
    for options, environment in (((), {"NO_COLOR": "1"}), (("--no-color",), {})):
        for command in (("status",), ("why", "one"), ("restart", "one", "--no-browser")):
            screen = terminal(*command, *options, environment=dict(instance.environment, **environment))
            assert screen.wait() == 0
            assert b"\x1b[3" not in screen.seen and b"\x1b[1m" not in screen.seen, command
