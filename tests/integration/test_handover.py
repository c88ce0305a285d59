"""One flocksd makes room for the next (SIGUSR1), and the daemon ends: callers of both protocols see neither calls that
fail for it nor items that are lost. What the old system and others get wrong: a restart of the control plane that cuts
what is in flight."""

import os
import signal
import socket
import subprocess
import threading
import time

import grpc
import pytest

from instance import BUILD, wait_until
from tcp import bearer, channel_of, configuration, grpc_detail, grpc_method, grpc_stream, wait_until_served
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
    """0: nobody has answered in time."""
    return instance.status().get("daemon", {}).get("pid", 0)


def hand_over(instance):
    """Asks for one and waits until another flocksd answers; how long that took."""
    before = wait_until(lambda: daemon_pid(instance), what="flocksd")
    began = time.monotonic()
    os.kill(before, signal.SIGUSR1)
    wait_until(lambda: daemon_pid(instance) not in (0, before), what="the next flocksd")
    return time.monotonic() - began


class Caller(threading.Thread):
    """Makes a call again and again until it is told to end; failures are kept."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.answers, self.failures, self.is_over = call, 0, [], False
        self.start()

    def run(self):
        while not self.is_over:
            try:
                self.call()
                self.answers += 1
            except Exception as failure:  # noqa: BLE001
                self.failures.append(failure)

    def end(self):
        self.is_over = True
        self.join(60)
        assert not self.is_alive()
        return self.answers, self.failures


def test_no_call_fails_through_twenty_hand_overs(running, stubs):
    """A grpcio client that knows nothing of flocksd, and one on libflocks with eight calls in flight at any time."""
    services = {s["name"]: (s["pid"], s["generation"]) for s in running.status()["services"]}
    channel = channel_of(f"unix:{socket_of(running)}")
    get_status = grpc_method(channel, stubs, "GetStatus")
    caller = Caller(lambda: get_status(stubs[1].GetStatusRequest(), timeout=30))
    program = [str(BUILD / "tests" / "flocks_client"), str(socket_of(running)), "survive"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        for _ in range(HAND_OVERS):
            answers = caller.answers
            hand_over(running)
            wait_until(lambda seen=answers: caller.answers > seen + 3 or caller.failures, what="more answers")
        told = dict(line.split(" ", 1) for line in client.communicate(timeout=60)[0].splitlines())
    answers, failures = caller.end()
    channel.close()
    assert failures == []
    assert answers > HAND_OVERS
    assert (told["failed"], client.returncode) == ("0", 0)
    assert int(told["answered"]) > HAND_OVERS
    after = running.status()
    assert {s["name"]: (s["pid"], s["generation"]) for s in after["services"]} == services
    assert after["daemon"]["takeovers"] == HAND_OVERS
    log = (running.root / "logs" / "daemon.log").read_text()
    assert log.count("flocksd makes room for the next one") == HAND_OVERS
    assert "was_ready=0" not in log


def test_watchers_go_on_behind_their_last_token(running, stubs):
    """Streams are ended with a reason; resumed by token nothing is lost and nothing comes twice."""
    channel = channel_of(f"unix:{socket_of(running)}")
    watch = grpc_stream(channel, stubs, "WatchEvents")
    tokens, reasons, is_over = [], [], threading.Event()

    def follow():
        while not is_over.is_set():
            after = tokens[-1] if tokens else ""
            try:
                for item in watch(stubs[1].WatchEventsRequest(after=after), wait_for_ready=True, timeout=60):
                    assert not item.HasField("gap")
                    tokens.append(item.token)
                    if is_over.is_set():
                        return
            except grpc.RpcError as failure:
                code, detail = grpc_detail(failure, stubs)
                reasons.append((code, detail and stubs[2].ErrorReason.Name(detail.reason)))

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    wait_until(lambda: tokens, what="the snapshot")
    with subprocess.Popen(
        running.command("events", "--json"), env=running.environment, stdout=subprocess.PIPE, text=True
    ) as cli:
        assert cli.stdout.readline()
        for _ in range(5):
            seen = len(tokens)
            hand_over(running)
            running.flocks("restart", "one", check=0)
            wait_until(lambda seen=seen: len(tokens) > seen, what="more events")
        is_over.set()
        running.flocks("restart", "two", check=0)
        follower.join(60)
        assert not follower.is_alive()
        cli.send_signal(signal.SIGINT)
        cli.communicate(timeout=60)
    channel.close()
    assert set(reasons) == {(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_REPLACING")}
    assert len(reasons) == 5
    numbers = [int(token.rpartition("-")[2]) for token in tokens]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len({token.rpartition("-")[0] for token in tokens}) == 1


def test_what_is_in_flight_is_answered(running, stubs):
    """A waiting call is given five seconds: it is answered when its work ends in them. ttrpc's streams end at once."""
    with Wire(socket_of(running), stubs) as waiting, Wire(socket_of(running), stubs) as watching:
        watching.open("WatchEvents", stubs[1].WatchEventsRequest())
        assert watching.item("WatchEvents").HasField("snapshot")
        request = stubs[1].RestartServicesRequest(services=["one"], wait=True)
        stream, frame = waiting.frame("RestartServices", request)
        before = wait_until(lambda: daemon_pid(running), what="flocksd")
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
    wait_until(lambda: daemon_pid(running) not in (0, before), what="the next flocksd")


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
        before = wait_until(lambda: daemon_pid(instance), what="flocksd")
        began = time.monotonic()
        os.kill(before, signal.SIGUSR1)
        _, response = waiting.response()
        with pytest.raises(Failure) as ended:
            waiting.decode(response, stubs[1].StartServicesResponse)
        assert ended.value.code == UNAVAILABLE
        assert stubs[2].ErrorReason.Name(ended.value.detail.reason) == "ERROR_REASON_REPLACING"
        wait_until(lambda: daemon_pid(instance) not in (0, before), what="the next flocksd")
        assert time.monotonic() - began < LIMIT_SECONDS + SLACK_SECONDS
    for other in others:
        other.close()
    assert [s["pid"] for s in instance.status()["services"]][:1] == pids[:1]
    assert instance.service("slow")["state"] == "SERVICE_STATE_STARTING"


def test_shutdown_answers_its_caller_over_http2(running, stubs):
    """The daemon ends in order: who asked for it over gRPC is told so, and the connection says goodbye."""
    channel = channel_of(f"unix:{socket_of(running)}")
    watch = grpc_stream(channel, stubs, "WatchEvents")
    items = watch(stubs[1].WatchEventsRequest(), timeout=60)
    assert next(items).HasField("snapshot")
    shutdown = grpc_method(channel, stubs, "Shutdown")
    answer = shutdown(stubs[1].ShutdownRequest(wait=True), timeout=60)
    assert stubs[2].OperationState.Name(answer.operation.state) == "OPERATION_STATE_SUCCEEDED"
    with pytest.raises(grpc.RpcError) as ended:
        for _ in items:
            pass
    code, detail = grpc_detail(ended.value, stubs)
    assert code == grpc.StatusCode.UNAVAILABLE
    assert stubs[2].ErrorReason.Name(detail.reason) == "ERROR_REASON_SHUTTING_DOWN"
    channel.close()
    running.stop(check=None)


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
