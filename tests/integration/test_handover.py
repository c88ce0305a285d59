"""One flocksd makes room for the next (SIGUSR1), and the daemon ends: callers see neither calls that
fail for it nor items that are lost. What the old system and others get wrong: a restart of the control plane that cuts
what is in flight."""

import os
import signal
import socket
import subprocess
import time

import pytest

from instance import BUILD, wait_until
from tcp import bearer, configuration, wait_until_served
from wire import HEADER, Failure, Wire

UNAVAILABLE = 14
HAND_OVERS = 20
# docs/protocol.md, TRANSPORT_HAND_OVER_MS and TRANSPORT_FAREWELL_MS, and what a loaded machine takes.
LIMIT_SECONDS, SLACK_SECONDS = 5.5, 6.0

pytestmark = pytest.mark.no_chaos(reason="counts and measures what flocksd does")

SLEEPERS = """
services:
  one: {command: [/bin/sleep, "1001"], restart: {delay: 1ms, max_delay: 1ms, give_up_after: 0}}
  two: {command: [/bin/sleep, "1002"], restart: {delay: 1ms, max_delay: 1ms, give_up_after: 0}}
"""


@pytest.fixture
def running(instance):
    instance.write(SLEEPERS)
    instance.start()
    return instance


def socket_of(instance):
    return instance.root / "run" / "flocksd.sock"


def daemon_pid(instance):
    return instance.status()["daemon"]["pid"]


def hand_over(instance):
    """Asks for one and waits until another flocksd answers; how long that took."""
    before = daemon_pid(instance)
    began = time.monotonic()
    os.kill(before, signal.SIGUSR1)
    wait_until(lambda: daemon_pid(instance) != before, what="the next flocksd")
    return time.monotonic() - began


def test_no_call_fails_through_twenty_hand_overs(running, stubs):
    """A client on libflocks with eight calls in flight at any time."""
    services = {s["name"]: (s["pid"], s["generation"]) for s in running.status()["services"]}
    program = [str(BUILD / "tests" / "flocks_client"), str(socket_of(running)), "survive"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        for _ in range(HAND_OVERS):
            hand_over(running)
        told = dict(line.split(" ", 1) for line in client.communicate(timeout=60)[0].splitlines())
    assert (told["failed"], client.returncode) == ("0", 0)
    assert int(told["answered"]) > HAND_OVERS
    after = running.status()
    assert {s["name"]: (s["pid"], s["generation"]) for s in after["services"]} == services
    assert after["daemon"]["takeovers"] == HAND_OVERS
    log = (running.root / "logs" / "daemon.log").read_text()
    assert log.count("flocksd makes room for the next one") == HAND_OVERS
    assert "was_ready=0" not in log


def test_what_is_in_flight_is_answered(running, stubs):
    """A waiting call is given five seconds: it is answered when its work ends in them. ttrpc's streams end at once."""
    with Wire(socket_of(running), stubs) as waiting, Wire(socket_of(running), stubs) as watching:
        watching.open("WatchEvents", stubs[1].WatchEventsRequest())
        assert watching.item("WatchEvents").HasField("snapshot")
        request = stubs[1].RestartServicesRequest(services=["one"], wait=True)
        stream, frame = waiting.frame("RestartServices", request)
        before = daemon_pid(running)
        waiting.socket.sendall(frame)
        os.kill(before, signal.SIGUSR1)
        with pytest.raises(Failure) as ended:
            while watching.item("WatchEvents") is not None:
                pass
        assert ended.value.code == UNAVAILABLE
        assert stubs[2].ErrorReason.Name(ended.value.detail.reason) == "ERROR_REASON_REPLACING"
        answered, response = waiting.response()
        assert answered == stream
        operation = waiting.decode(response, stubs[1].RestartServicesResponse).operation
        assert stubs[2].OperationState.Name(operation.state) == "OPERATION_STATE_SUCCEEDED"
        for wire in (waiting, watching):
            with pytest.raises(ConnectionError):
                wire.exactly(1)
    wait_until(lambda: daemon_pid(running) != before, what="the next flocksd")


def test_nobody_can_hold_a_hand_over_up(instance, free_port, stubs):
    """Not who waits for what does not come, not who reads nothing, not who says nothing or half a frame: a little more
    than five seconds, who waited is told why, and the services notice nothing."""
    instance.write(
        SLEEPERS + f'  slow: {{command: [/bin/sleep, "1003"], port: {free_port()}, start: false}}\n'
    )
    instance.start()
    pids = [s["pid"] for s in instance.status()["services"]]
    path = socket_of(instance)
    others = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for other in others:
        other.connect(str(path))
    others[1].sendall(HEADER.pack(1000, 1, 1, 0))
    others[2].sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    with Wire(path, stubs) as stuck, Wire(path, stubs) as waiting:
        # Never read.
        for _ in range(50):
            stuck.open("WatchEvents", stubs[1].WatchEventsRequest())
        _, frame = waiting.frame("StartServices", stubs[1].StartServicesRequest(services=["slow"], wait=True))
        waiting.socket.sendall(frame)
        instance.wait_for_state("slow", "STARTING")
        before = daemon_pid(instance)
        began = time.monotonic()
        os.kill(before, signal.SIGUSR1)
        _, response = waiting.response()
        with pytest.raises(Failure) as ended:
            waiting.decode(response, stubs[1].StartServicesResponse)
        assert ended.value.code == UNAVAILABLE
        assert stubs[2].ErrorReason.Name(ended.value.detail.reason) == "ERROR_REASON_REPLACING"
        wait_until(lambda: daemon_pid(instance) != before, what="the next flocksd")
        assert time.monotonic() - began < LIMIT_SECONDS + SLACK_SECONDS
    for other in others:
        other.close()
    assert [s["pid"] for s in instance.status()["services"]][:1] == pids[:1]
    assert instance.service("slow")["state"] == "SERVICE_STATE_STARTING"


def test_tcp_changes_hands_too(instance, free_port, stubs):
    """Connecting may be refused for the moment between two of them; a call is made again then, as clients do."""
    port = free_port()
    instance.write(configuration(port))
    instance.start()
    wait_until_served(instance, port)
    program = [str(BUILD / "tests" / "flocks_client"), f"tcp:127.0.0.1:{port}", "survive"]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=instance.environment
    ) as client:
        for _ in range(5):
            client.stdout.readline()
            hand_over(instance)
        client.stdout.readline()
        told = dict(line.split(" ", 1) for line in client.communicate(timeout=60)[0].splitlines())
    assert (told["failed"], told["daemons"]) == ("0", "6")
    with Wire(("127.0.0.1", port), stubs, metadata=[bearer(instance)]) as wire:
        assert wire.call("GetStatus", stubs[1].GetStatusRequest()).services
