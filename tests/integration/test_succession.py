"""The keeper is killed while a flocksd begins: whatever that has done so far, it is the next keeper."""

import contextlib
import functools
import os
import signal
import subprocess
from pathlib import Path

import pytest
from instance import BUILD, check_numbers, is_alive, numbers, process_state, running_root, wait_until

pytestmark = pytest.mark.no_chaos(reason="kills keepers and flocksd at chosen moments; of two that die together nobody is left")

# System calls of a start behind which flocksd is stopped, out of all that it makes until it is ready.
PLACES = int(os.environ.get("FLOCKS_SUCCESSION_PLACES", "3"))
# The shell that becomes it; the same, and its first memfd cannot be made.
BEFORE_EXEC, FAILING = 0, "failing"
SLEEPER = 'services:\n  a: {command: [/bin/sleep, "1000"]}\n'

FLOCKSD = """#!/bin/sh
# Where `at` lies, the next flocksd alone stops behind that system call of its own.
at=$(cat "{home}/at" 2>/dev/null) && rm "{home}/at" || at=none
case $at in
none) exec "{program}" "$@" ;;
0) kill -STOP $$; exec "{program}" "$@" ;;
failing) kill -STOP $$; exec strace -D -qq -o "{home}/calls" -e inject=memfd_create:error=ENOMEM:when=1 "{program}" "$@" ;;
count) exec strace -D -qq -s 200 -o "{home}/calls" "{program}" "$@" ;;
*) exec strace -D -qq -o "{home}/calls" -e inject="$at" "{program}" "$@" ;;
esac
"""


def prepare(instance, home):
    """Its flocksd is a script that knows when to stop the real one."""
    instance.home = home
    instance.bin = programs = home / "bin"
    # Leaks cannot be looked for in the hands of strace.
    instance.environment["ASAN_OPTIONS"] = "detect_leaks=0"
    instance.write(SLEEPER + numbers(instance))
    (programs / "real").mkdir(parents=True)
    for name, place in (("flocks", programs), ("flocks-keeper", programs), ("flocksd", programs / "real")):
        os.link(BUILD / "bin" / name, place / name)
    script = programs / "flocksd"
    script.write_text(FLOCKSD.format(home=home, program=programs / "real" / "flocksd"))
    script.chmod(0o755)


@pytest.fixture
def make_begun(make_instance, tmp_path):
    def make():
        instance = make_instance()
        prepare(instance, tmp_path / instance.root.name)
        return instance

    return make


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where flocksd is stopped: of its calls up to the one that tells the keeper of readiness, as a first start makes them."""
    home = tmp_path_factory.mktemp("count")
    with running_root() as instance:
        prepare(instance, home)
        (home / "at").write_text("count")
        instance.start()
        calls = (home / "calls").read_text().splitlines()
    names = [line.partition("(")[0] for line in calls]
    ready = next(i for i, line in enumerate(calls) if "ReportStartup" in line)
    # Around Hello, which is the first that is sent; and spread over all, but for the execve.
    hello = names.index("sendmsg")
    chosen = {hello - 1, hello, *(1 + round(i * (ready - 1) / (PLACES - 1)) for i in range(PLACES))}
    # strace counts each call by itself.
    return [BEFORE_EXEC, *(f"{names[i]}:signal=STOP:when={names[: i + 1].count(names[i])}" for i in sorted(chosen))]


def has_stopped(home, pid):
    """By itself, or as strace saw it do."""
    with contextlib.suppress(FileNotFoundError):
        return "--- stopped by SIGSTOP ---" in (home / "calls").read_text()
    return process_state(pid) == "T"


def stop_next_flocksd(instance, place, keeper, begin):
    """The next flocksd, stopped behind that call."""
    (instance.home / "calls").unlink(missing_ok=True)
    (instance.home / "at").write_text(str(place))
    begin()
    keeper = keeper or wait_until(lambda: keeper_of(instance), what="a keeper")
    return keeper, wait_until(
        lambda: next((p for p in children_of(keeper) if is_flocksd(p) and has_stopped(instance.home, p)), None),
        what=f"flocksd's stop at {place}",
    )


def keeper_of(instance):
    with contextlib.suppress(OSError, ValueError):
        return int((instance.root / "run" / "flocksd.lock").read_text())
    return None


def is_flocksd(pid):
    with contextlib.suppress(OSError):
        return b"--keeper-fd" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def children_of(pid):
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def orphan(keeper, flocksd):
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: not is_alive(keeper), what="the keeper's end")
    os.kill(flocksd, signal.SIGCONT)


def is_served_by(instance, keeper):
    status = instance.status()
    healthy = all(s["state"] == "SERVICE_STATE_HEALTHY" for s in status.get("services", [])) and status.get("services")
    return healthy and status["daemon"]["keeper_pid"] == keeper and status


def pids(status):
    return {s["name"]: s["pid"] for s in status["services"]}


def test_keeper_killed_at_every_step_of_a_next_flocksd_costs_nothing(make_begun, places):
    for place in places:
        instance = make_begun()
        instance.start()
        before = instance.status()
        kill = functools.partial(os.kill, before["daemon"]["pid"], signal.SIGKILL)
        keeper, flocksd = stop_next_flocksd(instance, place, before["daemon"]["keeper_pid"], kill)
        orphan(keeper, flocksd)
        after = wait_until(lambda: is_served_by(instance, flocksd), what=f"another keeper, at {place}")
        assert pids(after) == pids(before), place
        check_numbers(instance)
        instance.stop()
        assert instance.processes() == [], place


def test_next_flocksd_that_cannot_be_the_keeper_at_once_tries_again(make_begun):
    instance = make_begun()
    instance.start()
    before = instance.status()
    kill = functools.partial(os.kill, before["daemon"]["pid"], signal.SIGKILL)
    keeper, flocksd = stop_next_flocksd(instance, FAILING, before["daemon"]["keeper_pid"], kill)
    orphan(keeper, flocksd)
    after = wait_until(lambda: is_served_by(instance, flocksd), what="another keeper")
    assert pids(after) == pids(before)
    assert "cannot become the keeper" in instance.daemon_log()
    instance.stop()
    assert instance.processes() == []


def test_keeper_killed_at_every_step_of_the_first_flocksd_is_succeeded(make_begun, places):
    """`flocks start` says that the keeper was killed, unless it heard of readiness before; what it was to start comes up."""
    for place in places[::2]:
        instance = make_begun()
        starts = []

        def begin():
            starts.append(subprocess.Popen(instance.command("start", "--no-browser"), env=instance.environment, stderr=subprocess.PIPE, text=True))

        keeper, flocksd = stop_next_flocksd(instance, place, None, begin)
        orphan(keeper, flocksd)
        wait_until(lambda: is_served_by(instance, flocksd), what=f"another keeper, at {place}")
        _, said = starts[0].communicate(timeout=60)
        assert starts[0].returncode == 0 or "ended by signal 9" in said, said
        instance.stop()
        assert instance.processes() == [], place
