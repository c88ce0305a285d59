"""Every system call that can fail fails: the state is honest each time, and recovery is full.

One call at a time, spread over the calls that a small day's work makes (a crash, a restart, a stop, a start,
status); then all of them for as long as that work takes. Faults of others: Supervisor#807 (spins once a descriptor
is bad), canonical/pebble PR #380, monit-like supervisors that lose a child when fork fails."""

import json
import os
import signal
from pathlib import Path

import pytest

from injection import Injection
from instance import PYTHON, SERVICES, descriptors_of, is_alive, processes_with, wait_until

# How many places are tried of those that there are.
PLACES = int(os.environ.get("FLOCKS_INJECTION_PLACES", "2"))
HONEST = {0, 1, 3, 4, 5}

# flocksd may end when these fail (libuv aborts, for its pipes of signals and threads too; or the keeper is heard no more),
# and the next one takes over.
FATAL = {"epoll_ctl", "read", "write", "sendto,sendmsg"}
FLOCKSD = [
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
]
KEEPER = [
    ("clone,clone3,fork,vfork", "EAGAIN"),
    ("clone,clone3,fork,vfork", "ENOMEM"),
    ("openat", "EMFILE"),
    ("openat", "ENOSPC"),
    ("pipe2", "EMFILE"),
    ("sendmsg", "ENOBUFS"),
]
CAPTURE = [
    ("splice", "EIO"),
    ("splice", "ENOSPC"),
    ("openat", "EMFILE"),
    ("fcntl", "ENOLCK"),
    ("fstat,newfstatat", "EIO"),
]


def places(count):
    """At most PLACES of 1..count, the first and the last among them."""
    if count <= PLACES:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / max(1, PLACES - 1)) for i in range(PLACES)})


def target_of(instance, kind):
    daemon = instance.status()["daemon"]
    if kind == "flocksd":
        return daemon["pid"]
    if kind == "keeper":
        return daemon["keeper_pid"]
    children = Path(f"/proc/{daemon['keeper_pid']}/task/{daemon['keeper_pid']}/children").read_text().split()
    image = os.readlink(f"/proc/{daemon['keeper_pid']}/exe")
    return next(int(pid) for pid in children if os.readlink(f"/proc/{pid}/exe") == image)


def ask(instance, *arguments):
    """A command that may fail, but says so, with an exit code that means something."""
    result = instance.flocks("--timeout", "4s", *arguments, timeout=60)
    assert result.returncode in HONEST, (arguments, result.returncode, result.stderr)
    if result.returncode not in (0, 3):
        assert result.stderr.strip() or result.stdout.strip(), arguments
    return result


def work(instance):
    status = json.loads(ask(instance, "status", "--json").stdout or "{}")
    pids = {s["name"]: s["pid"] for s in status.get("services", [])}
    if pids.get("ticker"):
        try:
            os.kill(pids["ticker"], signal.SIGKILL)
        except ProcessLookupError:
            pass
    # As a tool that rotates logs its own way would.
    (instance.root / "logs" / "ticker.log").unlink(missing_ok=True)
    ask(instance, "restart", "web")
    ask(instance, "stop", "ticker")
    ask(instance, "start", "--no-browser")


def check_recovery(instance):
    """Everything runs again, once each, and nothing was left behind."""

    def is_well():
        instance.flocks("start", "--no-browser", "--timeout", "10s")
        services = instance.status()["services"]
        return services and all(s["state"] == "SERVICE_STATE_HEALTHY" for s in services)

    wait_until(is_well, 60, "health of all")
    ours = set(instance.processes())
    for service in instance.status()["services"]:
        members = ours.intersection(processes_with("FLOCKS_SERVICE", service["name"]))
        leaders = [pid for pid in members if is_alive(pid) and os.getsid(pid) == pid]
        # Itself, and perhaps its exec probe.
        assert service["pid"] in leaders and len(leaders) <= 2, (service, leaders)


@pytest.fixture
def working(instance, free_port):
    port = free_port()
    instance.write(
        f"""
services:
  ticker: {{command: [/bin/sh, -c, "echo hello; exec sleep 1000"], restart: {{delay: 20ms, max_delay: 100ms, give_up_after: 0}}}}
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
    return instance


def inject(instance, kind, calls, error):
    # Beside the root, which flocksd watches.
    log = instance.root.with_suffix(".strace")
    target = target_of(instance, kind)
    with Injection(target, calls, error, None, log) as counted:
        work(instance)
    check_recovery(instance)
    assert counted.count > 0, f"{kind} makes no call of {calls} in a day's work: take it out of the list"
    before = descriptors_of(target)
    for when in [str(place) for place in places(counted.count)] + ["1+"]:
        with Injection(target, calls, error, when, log):
            work(instance)
        check_recovery(instance)
        if kind == "flocksd" and calls in FATAL:
            target = target_of(instance, kind)
        assert is_alive(target), f"{kind} ended when {calls} failed with {error} at {when}"
    wait_until(lambda: descriptors_of(target) <= before + 1, 30, f"descriptors of {kind} closed again")


@pytest.mark.no_chaos("flocksd is traced")
@pytest.mark.parametrize("calls,error", FLOCKSD)
def test_flocksd_survives(working, calls, error):
    inject(working, "flocksd", calls, error)


@pytest.mark.no_chaos("the keeper is traced")
@pytest.mark.parametrize("calls,error", KEEPER)
def test_keeper_survives(working, calls, error):
    inject(working, "keeper", calls, error)


@pytest.mark.no_chaos("capture is traced")
@pytest.mark.parametrize("calls,error", CAPTURE)
def test_capture_survives(working, calls, error):
    inject(working, "capture", calls, error)
