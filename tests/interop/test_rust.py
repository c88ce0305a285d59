"""Rust: Debian's ttrpc 0.5.2 over a descriptor, messages made from our protos by Debian's protobuf-codegen."""

import pytest

from conftest import SERVICES, name_of
from peers import RustPeer, tell

UNIMPLEMENTED, DEADLINE_EXCEEDED, NOT_FOUND = 12, 4, 5


@pytest.fixture(scope="session")
def program():
    return RustPeer().build()


@pytest.fixture
def call(program, socket_path):
    """call(COMMAND, NAME...): what the Rust client saw."""
    return lambda *arguments: tell(program, socket_path, *arguments)


def test_status_of_five_hundred_services_is_complete(flock, call):
    seen, told = call("status"), flock.status()
    assert seen["daemon"] == f"{told['daemon']['pid']} {told['daemon']['version']}"
    assert len(seen.all("service")) == SERVICES + 1
    assert seen.all("service") == [
        f"{one['name']} {one['state']} {one['pid']} {one['generation']} {one['log_path']}" for one in told["services"]
    ]


def test_restart_with_wait_answers_the_outcomes(flock, call):
    names = [name_of(1), name_of(2)]
    before = {name: flock.pid(name) for name in names}
    seen = call("restart", *names)
    assert seen["operation"].endswith("OPERATION_KIND_RESTART OPERATION_STATE_SUCCEEDED")
    assert [line.split()[0] for line in sorted(seen.all("outcome"))] == names
    for name in names:
        assert flock.pid(name) != before[name]


def test_progress_comes_without_streams(call):
    changes = [line.split() for line in call("progress", *[name_of(n) for n in range(10, 20)]).all("change")]
    revisions = [int(revision) for revision, _, _ in changes]
    assert revisions == sorted(set(revisions)), "each answer is a change"
    assert len(changes) > 2, "more than the first and the last"
    assert changes[-1][1:] == ["10", "OPERATION_STATE_SUCCEEDED"]


def test_stop_ends_the_service(flock, call):
    assert call("stop", name_of(3))["operation"].endswith("OPERATION_KIND_STOP OPERATION_STATE_SUCCEEDED")
    assert flock.service(name_of(3))["state"] == "SERVICE_STATE_STOPPED"
    flock.start(name_of(3))


def test_failure_brings_the_typed_detail(call):
    seen = call("stop", "nobody")
    assert int(seen["code"]) == NOT_FOUND
    assert seen["type_url"] == "type.googleapis.com/flocks.v1.ErrorDetail"
    assert (seen["reason"], seen["service"]) == ("ERROR_REASON_UNKNOWN_SERVICE", "nobody")
    assert "nobody" in seen["message"]
    assert seen["hint"]


def test_deadline_ends_the_call_and_not_the_work(call):
    seen = call("deadline", "unready")
    assert int(seen["code"]) == DEADLINE_EXCEEDED
    assert seen["operation"]
    assert int(seen["took"]) <= 2000, "the server's answer comes before the client gives up"
    assert seen["state"] == "OPERATION_STATE_RUNNING"


def test_concurrent_calls_on_one_connection_get_their_own_answers(call):
    assert call("concurrent", *[name_of(n) for n in range(100, 132)])["right"] == "800 of 800"


def test_refusals_leave_the_connection_usable(call):
    seen = call("refused")
    supervisor, nobody = "flocks.v1.SupervisorService", "flocks.v1.NoService"
    for call_name in (f"{supervisor}_WatchEvents", f"{supervisor}_ReadLogs"):
        assert int(seen[f"{call_name}_code"]) == UNIMPLEMENTED
        assert "unary" in seen[f"{call_name}_message"]
    for call_name in (f"{supervisor}_NoMethod", f"{nobody}_GetStatus"):
        assert int(seen[f"{call_name}_code"]) == UNIMPLEMENTED
    assert seen["after"] == "1"
