"""Whose port it is: services whose port somebody else has, and services that lose their listener."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest

from instance import PYTHON, SERVICES, Instance, is_alive, wait_until

HERE = Path(__file__).parent
CONFIG = """
services:
  web:
    command: [{python}, {services}/{program}]
    host: "{host}"
    port: {port}
    extra_ports: [{extra}]
    listener: {listener}
    probes: {probes}
    restart: {{delay: 100ms}}
"""


def configure(instance, program, port, host="127.0.0.1", probes="{}", grace="500ms", listener=None, extra=()):
    instance.write(
        CONFIG.format(
            python=PYTHON,
            services=SERVICES,
            program=program,
            host=host,
            port=port,
            extra=", ".join(str(p) for p in extra),
            probes=probes,
            listener=listener or f"{{grace: {grace}}}",
        )
    )


def listening(port, *flags, host="127.0.0.1", extra=()):
    """Arguments of the fixture service that listens."""
    return ", ".join(["listener.py", *flags, f'"{host}"', *(f'"{p}"' for p in (port, *extra))])


WEB_PROBE = "{ready: {http: {path: /api/health, expect: {status: healthy}}, period: 50ms, timeout: 2s}}"


@pytest.fixture
def foreign(foreigners):
    """A function that starts a process of nobody's which listens on a port, or only binds it; answers it."""

    def start(program, *arguments, **options):
        process = subprocess.Popen([PYTHON, str(SERVICES / program), *map(str, arguments)], stdout=subprocess.PIPE,
                                   text=True, **options)
        foreigners.append(process)
        assert process.stdout.readline().strip() == "listening"
        return process

    return start


def free(process):
    process.kill()
    process.wait()


def states_seen(instance, seconds):
    """Every state that web is seen in meanwhile."""
    seen = set()
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        seen.add(instance.service("web")["state"])
    return seen


def wait_for_holder(instance, pid, seconds=30):
    """web's status once it waits for its port and says that `pid` has it."""

    def named():
        status = instance.service("web")
        is_held = status["state"] == "SERVICE_STATE_WAITING" and status["reason"] == "STATE_REASON_PORT_HELD"
        return status if is_held and f"pid {pid} " in status["last_error"] else None

    return wait_until(named, seconds, f"web waits for pid {pid}")


def answering_pid(port):
    """Who answers the health check; None: nobody."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=10) as answer:
            return json.load(answer)["pid"]
    except OSError:
        return None


# ---- somebody else has the port ----


def test_gascity_3897_held_port_does_not_crash_loop_and_names_the_holder(instance, free_port, foreign):
    port = free_port()
    holder = foreign("listener.py", "127.0.0.1", port)
    configure(instance, listening(port), port)
    result = instance.start(check=1)
    assert f"127.0.0.1:{port} is held by " in result.stderr
    if instance.chaos is None:
        assert f"held by pid {holder.pid} (" in result.stderr
        assert f"uid {os.getuid()})" in result.stderr
    # A flocksd that has just taken over looks for the holder once more.
    wait_until(lambda: f"held by pid {holder.pid} (" in instance.flocks("status").stdout, what="the holder's name")
    assert "WAITING" in instance.flocks("status").stdout
    status = wait_for_holder(instance, holder.pid)
    assert status["listener"] == "LISTENER_STATE_FOREIGN"
    assert states_seen(instance, 1) == {"SERVICE_STATE_WAITING"}
    status = instance.service("web")
    assert (status["generation"], status["restart_count"]) == (0, 0)
    free(holder)
    status = instance.wait_for_state("web", "HEALTHY")
    assert (status["generation"], status["listener"]) == (1, "LISTENER_STATE_OURS")


def test_overdeck_2663_health_never_reaches_the_old_process(instance, free_port, foreign):
    """The foreigner answers the service's own health check, and well."""
    port = free_port()
    holder = foreign("web.py", "127.0.0.1", port)
    assert wait_until(lambda: answering_pid(port), what="the foreigner answers") == holder.pid
    configure(instance, f'web.py, "127.0.0.1", "{port}"', port, probes=WEB_PROBE)
    instance.start(check=1)
    assert states_seen(instance, 1) == {"SERVICE_STATE_WAITING"}
    free(holder)
    status = instance.wait_for_state("web", "HEALTHY")
    assert answering_pid(port) == status["pid"]


@pytest.mark.no_chaos("stops flocksd by its pid")
def test_paseo_3333_port_grabbed_between_death_and_restart(instance, free_port, foreign):
    port = free_port()
    configure(instance, f'web.py, "127.0.0.1", "{port}"', port, probes=WEB_PROBE)
    instance.start()
    before = instance.service("web")
    daemon = instance.status()["daemon"]["pid"]
    os.kill(daemon, signal.SIGSTOP)
    try:
        os.kill(before["pid"], signal.SIGKILL)
        wait_until(lambda: not is_alive(before["pid"]), what="web is dead")
        holder = foreign("web.py", "127.0.0.1", port)
    finally:
        os.kill(daemon, signal.SIGCONT)
    wait_for_holder(instance, holder.pid)
    assert states_seen(instance, 1) == {"SERVICE_STATE_WAITING"}
    assert instance.service("web")["generation"] == before["generation"]
    free(holder)
    after = instance.wait_for_generation("web", before["generation"])
    assert after["generation"] == before["generation"] + 1
    assert answering_pid(port) == after["pid"]


def test_pm2_6084_leftover_of_an_earlier_run_is_called_so(instance, free_port, foreign):
    port = free_port()
    environment = {**os.environ, "FLOCKS_INVOCATION_ID": "0123456789abcdef" * 2, "FLOCKS_SERVICE": "web",
                   "FLOCKS_ROOT": str(instance.root)}
    holder = foreign("listener.py", "127.0.0.1", port, env=environment)
    configure(instance, listening(port), port)
    instance.start(check=1)
    assert "left over from an earlier run of service web" in wait_for_holder(instance, holder.pid)["last_error"]
    free(holder)
    instance.wait_for_state("web", "HEALTHY")


def test_port_of_another_service_names_it(instance, free_port):
    """One that does not say in its configuration what it listens on."""
    port = free_port()
    instance.write(
        f"services:\n"
        f"  first: {{command: [{PYTHON}, {SERVICES}/{listening(port)}]}}\n"
        f"  web: {{command: [{PYTHON}, {SERVICES}/{listening(port)}], port: {port}, start: false}}\n"
    )
    instance.start()
    wait_until(lambda: "listening" in instance.log("first"), what="the first one listens")
    instance.start("web", check=1)
    assert "which is service first" in wait_for_holder(instance, instance.pid("first"))["last_error"]
    instance.stop("first")
    instance.wait_for_state("web", "HEALTHY")


def test_port_that_is_bound_but_silent_is_waited_for(instance, free_port, foreign):
    """A lookup of listeners does not see it, and bind fails: EADDRINUSE for ever."""
    port = free_port()
    holder = foreign("listener.py", "--silent", "127.0.0.1", port)
    configure(instance, listening(port), port)
    instance.start(check=1)
    status = instance.wait_for_state("web", "WAITING")
    assert f"127.0.0.1:{port} is in use by a socket that does not listen" in status["last_error"]
    assert status["generation"] == 0
    free(holder)
    instance.wait_for_state("web", "HEALTHY")


def test_second_port_that_is_held_is_waited_for(instance, free_port, foreign):
    port, extra = free_port(), free_port()
    holder = foreign("listener.py", "127.0.0.1", extra)
    configure(instance, listening(port, extra=[extra]), port, extra=[extra])
    instance.start(check=1)
    assert f"127.0.0.1:{extra} is held" in wait_for_holder(instance, holder.pid)["last_error"]
    free(holder)
    instance.wait_for_state("web", "HEALTHY")


def test_localhost_held_in_the_other_family_is_waited_for(instance, free_port, foreign):
    port = free_port()
    holder = foreign("listener.py", "::1", port)
    configure(instance, listening(port), port, host="localhost")
    instance.start(check=1)
    assert f"[::1]:{port} is held" in wait_for_holder(instance, holder.pid)["last_error"]
    free(holder)
    instance.wait_for_state("web", "HEALTHY")


def test_more_specific_address_taken_while_it_runs(instance, free_port, foreign):
    """host:port would reach the other process from now on."""
    port = free_port()
    configure(
        instance, listening(port, "--reuse-port", host="0.0.0.0"), port, listener="{grace: 1s}",
        probes="{alive: {tcp: {}, period: 100ms}}",
    )
    instance.start()
    generation = instance.service("web")["generation"]
    holder = foreign("listener.py", "--reuse-port", "127.0.0.1", port)
    status = instance.wait_for_state("web", "DEGRADED")
    assert status["reason"] == "STATE_REASON_LISTENER_LOST"
    wait_for_holder(instance, holder.pid)
    free(holder)
    instance.wait_for_generation("web", generation)


# ---- the listener is lost ----


def is_told_lost(instance):
    return "event=UNHEALTHY to=DEGRADED" in instance.log("daemon") and "reason=LISTENER_LOST" in instance.log("daemon")


@pytest.mark.no_chaos("the time from the close to the news, and the log's last line of it")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_closed_listener_is_known_at_once_and_restarted_after_the_grace(instance, free_port, host):
    """At once: the slow look comes every ten seconds."""
    port = free_port()
    configure(instance, listening(port, host=host), port, host=host, grace="3s")
    instance.start()
    before = instance.service("web")
    closed = time.time()
    os.kill(before["pid"], signal.SIGUSR1)
    status = instance.wait_for_state("web", "DEGRADED")
    assert datetime.fromisoformat(status["since"]).timestamp() - closed < 1
    assert (status["reason"], status["listener"]) == ("STATE_REASON_LISTENER_LOST", "LISTENER_STATE_NONE")
    assert "nothing listens on" in status["last_error"]
    after = instance.wait_for_generation("web", before["generation"])
    assert after["pid"] != before["pid"] and not is_alive(before["pid"])


def test_closed_second_port_is_known(instance, free_port):
    port, extra = free_port(), free_port()
    configure(instance, listening(port, extra=[extra]), port, extra=[extra])
    instance.start()
    before = instance.service("web")
    os.kill(before["pid"], signal.SIGWINCH)
    instance.wait_for_generation("web", before["generation"])
    assert is_told_lost(instance)


def test_shut_down_listener_is_known_by_the_look_of_every_probe(instance, free_port):
    """The kernel has no message for it. The probe itself connects nowhere near."""
    port, other = free_port(), free_port()
    with socket.create_server(("127.0.0.1", other)):
        configure(instance, listening(port), port, probes=f"{{alive: {{tcp: {{port: {other}}}, period: 100ms}}}}")
        instance.start()
        before = instance.service("web")
        os.kill(before["pid"], signal.SIGUSR2)
        instance.wait_for_generation("web", before["generation"])
        assert is_told_lost(instance)


def test_shut_down_listener_without_probes_is_known_by_the_slow_look(instance, free_port):
    port = free_port()
    configure(instance, listening(port), port)
    instance.start()
    before = instance.service("web")
    os.kill(before["pid"], signal.SIGUSR2)
    instance.wait_for_generation("web", before["generation"])
    assert is_told_lost(instance)


def test_listener_that_comes_back_within_the_grace_is_left_alone(instance, free_port):
    port = free_port()
    configure(instance, listening(port), port, grace="60s")
    instance.start()
    before = instance.service("web")
    for _ in range(3):
        os.kill(before["pid"], signal.SIGUSR1)
        instance.wait_for_state("web", "DEGRADED")
        os.kill(before["pid"], signal.SIGHUP)
        after = instance.wait_for_state("web", "HEALTHY")
        assert (after["pid"], after["generation"]) == (before["pid"], before["generation"])


def test_listener_that_is_only_reported_is_not_restarted(instance, free_port):
    port = free_port()
    configure(instance, listening(port), port, listener="{grace: 50ms, restart: false}")
    instance.start()
    before = instance.service("web")
    os.kill(before["pid"], signal.SIGUSR1)
    instance.wait_for_state("web", "DEGRADED")
    assert states_seen(instance, 1) == {"SERVICE_STATE_DEGRADED"}
    os.kill(before["pid"], signal.SIGHUP)
    assert instance.wait_for_state("web", "HEALTHY")["pid"] == before["pid"]


@pytest.mark.no_chaos("stops flocksd by its pid")
def test_listener_lost_while_no_flocksd_runs_is_known_to_the_next(instance, free_port):
    port = free_port()
    configure(instance, listening(port), port)
    instance.start()
    before = instance.service("web")
    daemon = instance.status()["daemon"]["pid"]
    os.kill(daemon, signal.SIGSTOP)
    os.kill(before["pid"], signal.SIGUSR1)
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) != 0, what="the listener is closed")
    os.kill(daemon, signal.SIGKILL)
    instance.wait_for_generation("web", before["generation"])


def test_hidden_listener_counts_as_configured(make_instance, free_port):
    """A process that hides its descriptors from its own user: nobody can tell whose the socket is."""
    root = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if user:
        shutil.chown(root, 65534, 65534)
    instance = Instance(root)
    plain = instance.command
    instance.command = lambda *arguments: [*user, *plain(*arguments)]
    port = free_port()
    try:
        configure(instance, listening(port, "--hidden"), port, listener="{unverifiable: TRUST}")
        instance.start()
        assert instance.service("web")["listener"] == "LISTENER_STATE_UNVERIFIABLE"
        instance.stop()
        configure(instance, listening(port, "--hidden"), port, listener="{unverifiable: DISTRUST}")
        starting = subprocess.Popen(instance.command("start", "--no-browser"), env=instance.environment,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: instance.flocks("status").returncode != 3
                   and instance.service("web")["listener"] == "LISTENER_STATE_UNVERIFIABLE", what="it is looked at")
        assert states_seen(instance, 1) == {"SERVICE_STATE_STARTING"}
        instance.stop()
        starting.wait(timeout=60)
    finally:
        instance.end()
        shutil.rmtree(root, ignore_errors=True)


# ---- what must not be noticed ----


def wakeups(pid):
    """Voluntary context switches: how often it had to wake up."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("voluntary_ctxt")).split()[1])


def connect_until(port, stop, counts, index):
    """Connections one after the other, each given up by reset, so that none waits."""
    linger = b"\1\0\0\0\0\0\0\0"
    while not stop.is_set():
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.connect(("127.0.0.1", port))
        counts[index] += 1


@pytest.mark.no_chaos("counts the wake-ups of one flocksd")
def test_storm_of_connections_wakes_nobody(instance, free_port):
    """The rate itself, 10,000 a second, is test_port_events.c's."""
    port = free_port()
    configure(instance, listening(port), port)
    instance.start()
    before = instance.service("web")
    daemon = instance.status()["daemon"]["pid"]
    stop, counts = threading.Event(), [0, 0]
    clients = [threading.Thread(target=connect_until, args=(port, stop, counts, i)) for i in range(2)]
    slept = wakeups(daemon)
    for client in clients:
        client.start()
    wait_until(lambda: sum(counts) >= 10000, what="10,000 connections")
    stop.set()
    for client in clients:
        client.join()
    woken = wakeups(daemon) - slept
    after = instance.service("web")
    assert (after["state"], after["pid"]) == ("SERVICE_STATE_HEALTHY", before["pid"])
    assert woken < 100, f"{woken} wake-ups during {sum(counts)} connections"


@pytest.mark.no_chaos("counts the wake-ups of one flocksd")
def test_healthy_ports_at_rest_wake_nobody(instance, free_port):
    ports = [free_port() for _ in range(3)]
    services = "".join(
        f"  web{i}:\n    command: [{PYTHON}, {SERVICES}/{listening(p)}]\n    port: {p}\n" for i, p in enumerate(ports)
    )
    instance.write("services:\n" + services)
    instance.start()
    daemon = instance.status()["daemon"]["pid"]
    # What the question itself woke is over when another one has been answered.
    instance.status()
    quiet = wait_until(lambda: quiet_window(daemon, 4.0), what="four seconds with one wake-up at most")
    assert quiet


def quiet_window(daemon, seconds):
    """Three slow looks, at the same moment, are one wake-up every ten seconds."""
    slept = wakeups(daemon)
    time.sleep(seconds)
    return wakeups(daemon) - slept <= 1


# ---- without netlink ----


def test_ports_are_looked_after_without_netlink(instance, free_port, foreign):
    """In a sandbox: by /proc/net/tcp, every second."""
    plain = instance.command
    instance.command = lambda *arguments: [
        *([PYTHON, str(HERE / "without_netlink.py")] if arguments[0] == "start" else []), *plain(*arguments)]
    port = free_port()
    holder = foreign("listener.py", "127.0.0.1", port)
    configure(instance, listening(port), port, grace="100ms")
    instance.start(check=1)
    wait_for_holder(instance, holder.pid)
    assert "looked up in /proc/net only" in instance.log("daemon")
    free(holder)
    before = instance.wait_for_state("web", "HEALTHY")
    assert before["listener"] == "LISTENER_STATE_OURS"
    os.kill(before["pid"], signal.SIGUSR1)
    instance.wait_for_generation("web", before["generation"])
    assert is_told_lost(instance)
