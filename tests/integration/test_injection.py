"""Every system call that can fail fails: the state is honest each time, and recovery is full.

One call at a time, spread over the calls that a small day's work makes (a crash, a restart, a stop, a start,
status); then all of them for as long as that work takes. One instance goes through it all. Faults of others:
Supervisor#807 (spins once a descriptor is bad), canonical/pebble PR #380, monit-like supervisors that lose a child
when fork fails."""

import contextlib
import json
import os
import signal
from functools import cache

import pytest

from injection import Injection
from instance import PYTHON, SERVICES, descriptors_of, is_alive, processes_with, programs, running_root, wait_until
from ports import free_port

# How many places are tried of those that there are.
PLACES = int(os.environ.get("FLOCKS_INJECTION_PLACES", "2"))
HONEST = {0, 1, 3, 4, 5}
# How long a command waits: for what one failure delays; for what cannot be, as long as all calls fail.
PATIENCE, NO_PATIENCE = "4s", "1s"

# flocksd may end when these fail (libuv aborts, for its pipes of signals and threads too; or the keeper is heard no more),
# and the next one takes over.
FATAL = {"epoll_ctl", "read", "write", "sendto,sendmsg"}
CASES = {
    "flocksd": [
        ("openat", "EMFILE"),
        ("openat", "EIO"),
        ("read", "EIO"),
        ("getdents64", "ENOMEM"),
        ("readlink", "EACCES"),
        ("socket", "EMFILE"),
        ("connect", "EAGAIN"),
        ("accept4", "EMFILE"),
        ("memfd_create", "ENFILE"),
        ("pidfd_open", "EMFILE"),
        ("epoll_ctl", "ENOMEM"),
        ("write", "ENOSPC"),
        ("sendto,sendmsg", "ENOBUFS"),
    ],
    "flocks-keeper": [
        ("clone,clone3,fork,vfork", "EAGAIN"),
        ("clone,clone3,fork,vfork", "ENOMEM"),
        ("openat", "EMFILE"),
        ("openat", "ENOSPC"),
        ("pipe2", "EMFILE"),
        ("sendmsg", "ENOBUFS"),
    ],
    "flocks-capture": [
        ("splice", "EIO"),
        ("splice", "ENOSPC"),
        ("openat", "EMFILE"),
        ("fcntl", "ENOLCK"),
        ("fstat,newfstatat", "EIO"),
    ],
}


def places(count):
    """At most PLACES of 1..count, the first and the last among them."""
    if count <= PLACES:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / max(1, PLACES - 1)) for i in range(PLACES)})


def ask(instance, patience, *arguments):
    """A command that may fail, but says so, with an exit code that means something."""
    result = instance.flocks("--timeout", patience, *arguments, timeout=60)
    assert result.returncode in HONEST, (arguments, result.returncode, result.stderr)
    if result.returncode not in (0, 3):
        assert result.stderr.strip() or result.stdout.strip(), arguments
    return result


def work(instance, patience=PATIENCE):
    status = json.loads(ask(instance, patience, "status", "--json").stdout or "{}")
    pids = {s["name"]: s["pid"] for s in status.get("services", [])}
    if pids.get("ticker"):
        try:
            os.kill(pids["ticker"], signal.SIGKILL)
        except ProcessLookupError:
            pass
    # As a tool that rotates logs its own way would.
    (instance.root / "logs" / "ticker.log").unlink(missing_ok=True)
    ask(instance, patience, "restart", "web")
    ask(instance, patience, "stop", "ticker")
    ask(instance, patience, "start", "--no-browser")


def leaders_of(instance, service):
    """The processes of a service that lead a session."""
    found = []
    for pid in set(instance.processes()).intersection(processes_with("FLOCKS_SERVICE", service)):
        with contextlib.suppress(ProcessLookupError):
            found += [pid] if os.getsid(pid) == pid else []
    return found


def check_recovery(instance):
    """Everything runs again, once each, and nothing was left behind."""

    def is_well():
        instance.flocks("start", "--no-browser", "--timeout", "10s")
        services = instance.status()["services"]
        return services and all(s["state"] == "SERVICE_STATE_HEALTHY" for s in services)

    wait_until(is_well, 60, "health of all")
    for service in instance.status()["services"]:
        leaders = leaders_of(instance, service["name"])
        # Itself, and perhaps its exec probe.
        assert service["pid"] in leaders and len(leaders) <= 2, (service, leaders)


def check_capture(instance):
    """What is written after the failures is in the log."""
    known = instance.log("ticker").count("hello")
    instance.flocks("restart", "ticker", check=0)
    wait_until(lambda: instance.log("ticker").count("hello") > known, what="the output of a new process")


@pytest.fixture(scope="module")
def working():
    with running_root() as instance:
        port = free_port()
        instance.write(
            f"""
services:
  # With somebody who has to be found and ended at each of its ends.
  ticker: {{command: [/bin/sh, -c, "setsid sleep 1000 & echo hello; exec sleep 1000"], restart: {{delay: 20ms, max_delay: 100ms, give_up_after: 0}}}}
  web:
    command: [{PYTHON}, {SERVICES}/web.py, "${{host}}", "${{port}}"]
    port: {port}
    restart: {{delay: 20ms, max_delay: 100ms, give_up_after: 0}}
    probes: {{ready: {{http: {{path: /api/health}}, period: 200ms}}}}
    prepare: {{command: [/bin/true]}}
    after: [asked]
  asked:
    command: [/bin/sleep, "1000"]
    restart: {{delay: 20ms, max_delay: 100ms, give_up_after: 0}}
    probes: {{ready: {{exec: {{command: [/bin/true]}}, period: 500ms}}}}
"""
        )
        instance.start()
        yield instance


def log_of(instance):
    """Beside the root, which flocksd watches."""
    return instance.root.with_suffix(".strace")


@pytest.fixture(scope="module")
def count(working):
    """count("flocks-keeper", "openat,socket"): how often it makes one of these calls in a day's work."""

    @cache
    def counts(kind):
        calls = ",".join(sorted({calls for calls, _ in CASES[kind]}))
        with Injection(programs(working)[kind], calls, None, None, log_of(working)) as counted:
            work(working)
        check_recovery(working)
        return counted.counts

    return lambda kind, calls: sum(counts(kind)[call] for call in calls.split(","))


def inject(instance, count, kind, calls, error):
    calls_made = count(kind, calls)
    assert calls_made > 0, f"{kind} makes no call of {calls} in a day's work: take it out of the list"
    target = programs(instance)[kind]
    before = descriptors_of(target)
    for when, patience in [*((str(place), PATIENCE) for place in places(calls_made)), ("1+", NO_PATIENCE)]:
        with Injection(target, calls, error, when, log_of(instance)) as injection:
            work(instance, patience)
        assert injection.injected > 0 or when != "1+"
        check_recovery(instance)
        if kind == "flocks-capture":
            check_capture(instance)
        if kind == "flocksd" and calls in FATAL:
            target = programs(instance)[kind]
        assert is_alive(target), f"{kind} ended when {calls} failed with {error} at {when}"
    wait_until(lambda: descriptors_of(target) <= before + 1, 30, f"descriptors of {kind} closed again")


@pytest.mark.no_chaos("flocksd is traced")
@pytest.mark.parametrize("calls,error", CASES["flocksd"])
def test_flocksd_survives(working, count, calls, error):
    inject(working, count, "flocksd", calls, error)


@pytest.mark.no_chaos("the keeper is traced")
@pytest.mark.parametrize("calls,error", CASES["flocks-keeper"])
def test_keeper_survives(working, count, calls, error):
    inject(working, count, "flocks-keeper", calls, error)


@pytest.mark.no_chaos("capture is traced")
@pytest.mark.parametrize("calls,error", CASES["flocks-capture"])
def test_capture_survives(working, count, calls, error):
    inject(working, count, "flocks-capture", calls, error)
