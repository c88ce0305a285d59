"""Go: Debian's ttrpc 1.1.1, stubs made from our protos by Debian's protoc-gen-gogottrpc and protoc-gen-go-ttrpc."""

import pytest

from conftest import SERVICES, name_of
from peers import GoPeer, ask

UNIMPLEMENTED, DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED = 12, 4, 5, 8


@pytest.fixture(scope="session")
def go():
    peer = GoPeer()
    peer.generate()
    return peer


@pytest.fixture(scope="session")
def client(go):
    return go.build("client")


@pytest.fixture
def call(client, socket_path):
    """call(COMMAND, NAME...): what the Go client saw."""
    return lambda *arguments: ask(client, socket_path, *arguments)


def test_status_of_five_hundred_services_is_complete(flock, call):
    seen, told = call("status"), flock.status()
    assert seen["daemon"] == told["daemon"]["pid"]
    assert len(seen["services"]) == SERVICES + 1
    assert {service["state"] for service in seen["services"]} <= {"SERVICE_STATE_HEALTHY", "SERVICE_STATE_STOPPED"}
    for ours, theirs in zip(told["services"], seen["services"]):
        assert theirs == {
            "name": ours["name"],
            "state": ours["state"],
            "pid": ours["pid"],
            "generation": ours["generation"],
            "log_path": ours["log_path"],
            "since": True,
        }


def test_restart_with_wait_answers_the_outcomes(flock, call):
    names = [name_of(1), name_of(2)]
    before = {name: flock.pid(name) for name in names}
    operation = call("restart", *names)
    assert (operation["kind"], operation["state"]) == ("OPERATION_KIND_RESTART", "OPERATION_STATE_SUCCEEDED")
    assert sorted(outcome["service"] for outcome in operation["outcomes"]) == names
    for outcome in operation["outcomes"]:
        assert outcome["to"] == outcome["from"] + 1
    for name in names:
        service = flock.service(name)
        assert service["state"] == "SERVICE_STATE_HEALTHY"
        assert service["pid"] != before[name]


def test_progress_comes_without_streams(call):
    seen = call("progress", *[name_of(n) for n in range(10, 20)])
    revisions = [one["revision"] for one in seen]
    assert revisions == sorted(set(revisions)), "each answer is a change"
    assert len({one["id"] for one in seen}) == 1
    assert len(seen) > 2, "more than the first and the last"
    done = [one["done"] for one in seen]
    assert done == sorted(done)
    assert seen[-1]["state"] == "OPERATION_STATE_SUCCEEDED"
    assert len(seen[-1]["outcomes"]) == 10


def test_stop_ends_the_service(flock, call):
    pid = flock.pid(name_of(3))
    operation = call("stop", name_of(3))
    assert operation["state"] == "OPERATION_STATE_SUCCEEDED"
    assert flock.service(name_of(3))["state"] == "SERVICE_STATE_STOPPED"
    assert pid not in flock.processes()
    flock.start(name_of(3))


def test_failure_brings_the_typed_detail(call):
    failure = call("fail", "nobody")
    assert failure["code"] == NOT_FOUND
    assert failure["type_url"] == "type.googleapis.com/flocks.v1.ErrorDetail"
    assert failure["reason"] == "ERROR_REASON_UNKNOWN_SERVICE"
    assert failure["service"] == "nobody"
    assert "nobody" in failure["message"]
    assert failure["hint"]


def test_deadline_ends_the_call_and_not_the_work(call):
    seen = call("deadline", "unready")
    assert seen["failure"]["code"] == DEADLINE_EXCEEDED
    assert seen["failure"]["operation"]
    assert seen["took_ms"] <= 2000, "the server's answer comes before the client gives up"
    assert seen["state"] == "OPERATION_STATE_RUNNING"


def test_concurrent_calls_on_one_connection_get_their_own_answers(call):
    seen = call("concurrent", *[name_of(n) for n in range(100, 132)])
    assert seen == {"calls": 800, "wrong": []}


def test_streaming_methods_say_that_the_stub_is_unary(call):
    seen = call("streams")
    for method in ("WatchEvents", "ReadLogs", "WatchOperation"):
        assert seen[method]["code"] == UNIMPLEMENTED, method
        assert "unary" in seen[method]["message"], method
    assert seen["after"] is None, "the connection goes on"


def test_refusals_leave_the_connection_usable(call):
    seen = call("refused")
    assert {name: seen[name]["code"] for name in ("upgrade", "service", "method", "size")} == {
        # There was none.
        "upgrade": NOT_FOUND,
        "service": UNIMPLEMENTED,
        "method": UNIMPLEMENTED,
        "size": RESOURCE_EXHAUSTED,
    }
    assert seen["after"] is None
