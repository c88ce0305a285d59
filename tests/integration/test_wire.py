"""The control socket spoken by a client that shares no code with the server."""

import os
import signal

import pytest

from instance import is_alive, wait_until
from wire import Failure, Wire

CONFIG = """
services:
  one: {command: [/bin/sleep, "1000"]}
  two: {command: [/bin/sleep, "1000"]}
"""


@pytest.fixture
def running(instance):
    instance.write(CONFIG)
    instance.start()
    return instance


def socket_of(instance):
    return instance.root / "run" / "flocksd.sock"


def pids(status):
    return {service.name: service.pid for service in status.services}


def test_get_status_says_what_the_command_line_says(running, stubs):
    _, supervisor, types = stubs
    with Wire(socket_of(running), stubs) as wire:
        status = wire.call("GetStatus", supervisor.GetStatusRequest())
    told = running.status()
    assert status.daemon.pid == told["daemon"]["pid"]
    assert status.daemon.keeper_pid == told["daemon"]["keeper_pid"]
    assert status.daemon.api_revision >= 1
    assert pids(status) == {service["name"]: service["pid"] for service in told["services"]}
    assert all(service.state == types.SERVICE_STATE_HEALTHY for service in status.services)


def test_pipelined_calls_are_each_answered(running, stubs):
    _, supervisor, _ = stubs
    with Wire(socket_of(running), stubs) as wire:
        frames = [wire.frame("GetStatus", supervisor.GetStatusRequest()) for _ in range(50)]
        wire.socket.sendall(b"".join(frame for _, frame in frames))
        answered = [wire.response()[0] for _ in frames]
    assert sorted(answered) == [stream for stream, _ in frames]


def test_unknown_method_is_unimplemented_with_a_typed_reason(running, stubs):
    _, _, types = stubs
    with Wire(socket_of(running), stubs) as wire:
        with pytest.raises(Failure) as failure:
            wire.call("NoMethod", b"", service="flocks.v1.UpgradeService")
    assert failure.value.code == 12
    assert failure.value.detail.reason == types.ERROR_REASON_NOT_IMPLEMENTED
    assert failure.value.detail.hint


def test_unknown_field_of_a_mutation_does_nothing(running, stubs):
    """An old server would read a new filter as "all" (docs/protocol.md)."""
    _, supervisor, types = stubs
    with Wire(socket_of(running), stubs) as wire:
        before = pids(wire.call("GetStatus", supervisor.GetStatusRequest()))
        with pytest.raises(Failure) as failure:
            wire.call("StopServices", b"\xca\x3e\x03web")
        assert failure.value.code == 12
        assert failure.value.detail.reason == types.ERROR_REASON_UNKNOWN_FIELD
        assert pids(wire.call("GetStatus", supervisor.GetStatusRequest())) == before


def test_unknown_service_does_nothing(running, stubs):
    _, supervisor, types = stubs
    with Wire(socket_of(running), stubs) as wire:
        before = pids(wire.call("GetStatus", supervisor.GetStatusRequest()))
        with pytest.raises(Failure) as failure:
            wire.call("StopServices", supervisor.StopServicesRequest(services=["one", "nosuch"]))
        assert failure.value.code == 5
        assert failure.value.detail.reason == types.ERROR_REASON_UNKNOWN_SERVICE
        assert failure.value.detail.service == "nosuch"
        assert pids(wire.call("GetStatus", supervisor.GetStatusRequest())) == before


def test_stop_waits_until_the_service_is_gone(running, stubs):
    _, supervisor, types = stubs
    with Wire(socket_of(running), stubs) as wire:
        pid = pids(wire.call("GetStatus", supervisor.GetStatusRequest()))["one"]
        answer = wire.call(
            "StopServices", supervisor.StopServicesRequest(services=["one"], wait=True), timeout=30.0
        )
        assert answer.operation.state == types.OPERATION_STATE_SUCCEEDED
        assert not is_alive(pid)
        again = wire.call("GetOperation", supervisor.GetOperationRequest(operation_id=answer.operation.id))
        assert again.operation.state == types.OPERATION_STATE_SUCCEEDED


def test_request_id_joins_the_earlier_operation(running, stubs):
    _, supervisor, _ = stubs
    request = supervisor.RestartServicesRequest(services=["two"], wait=True, request_id="once")
    with Wire(socket_of(running), stubs) as wire:
        first = wire.call("RestartServices", request, timeout=30.0)
        after = pids(wire.call("GetStatus", supervisor.GetStatusRequest()))
        second = wire.call("RestartServices", request, timeout=30.0)
        assert second.operation.id == first.operation.id
        assert pids(wire.call("GetStatus", supervisor.GetStatusRequest())) == after


def test_status_is_back_after_flocksd_was_killed(running, stubs):
    _, supervisor, _ = stubs
    request = supervisor.GetStatusRequest()
    with Wire(socket_of(running), stubs) as wire:
        before = wire.call("GetStatus", request)
        os.kill(before.daemon.pid, signal.SIGKILL)
        with pytest.raises((ConnectionError, OSError)):
            while True:
                wire.call("GetStatus", request)
    # The keeper holds the listening socket: connecting never fails meanwhile.
    with Wire(socket_of(running), stubs) as wire:
        after = wait_until(lambda: wire.call("GetStatus", request), 10.0, "status")
    assert after.daemon.pid != before.daemon.pid
    assert after.daemon.takeovers == before.daemon.takeovers + 1
    assert pids(after) == pids(before)
