"""A server made of Debian's Go ttrpc 1.1.1 and its generator, for our C clients: the generated one and the nano one."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from peers import GoPeer, tell

DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED, INTERNAL = 4, 5, 8, 13
SERVICES = 500
STATES = (
    "STOPPED WAITING PREPARING STARTING HEALTHY DEGRADED STOPPING BACKOFF PAUSED FAILED COMPLETED".split()
)


@pytest.fixture(scope="module")
def server():
    """The path of its socket."""
    peer = GoPeer()
    peer.generate()
    program = peer.build("server")
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    process = subprocess.Popen(
        [program, directory / "socket"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield directory / "socket"
        assert process.poll() is None, "the server lives through all of it"
    finally:
        process.stdin.close()
        process.wait(timeout=20)
        process.stdout.close()
        shutil.rmtree(directory)


def expected(number, state):
    return f"made-up-{number:03} {state} {10000 + number} {number} {1700000000 + number}"


def expected_with_path(number, state):
    return f"{expected(number, state)} /somewhere/logs/made-up-{number:03}.log"


def test_c_client_reads_five_hundred_services_and_sends_metadata(server):
    facts = tell("c_client", server, "status")
    assert facts["daemon"] == "4711 9.8.7"
    assert facts["token"] == "one+two"
    states = [STATES[n % 11] for n in range(SERVICES)]
    assert facts.all("service") == [expected_with_path(n, states[n]) for n in range(SERVICES)]


def test_c_client_takes_an_empty_answer_for_the_empty_message(server):
    facts = tell("c_client", server, "status", "empty")
    assert "code" not in facts
    assert facts.all("service") == []


def test_c_client_sees_code_text_and_detail(server):
    facts = tell("c_client", server, "status", "nobody")
    assert (int(facts["code"]), facts["from_server"]) == (NOT_FOUND, "1")
    assert facts["message"] == "no such service: nobody"
    assert facts["type"] == "flocks.v1.ErrorDetail"
    assert facts["reason"] == "UNKNOWN_SERVICE"
    assert (facts["service"], facts["hint"]) == ("nobody", "made-up-000 is one")


def test_c_client_hears_of_the_deadline_from_the_server(server):
    facts = tell("c_client", server, "status", "slow")
    assert (int(facts["code"]), facts["from_server"]) == (DEADLINE_EXCEEDED, "1")
    assert facts["message"] == "the Go server was told the deadline"
    assert facts["operation"] == "0123456789abcdef" * 2
    assert int(facts["took"]) < 400


def test_c_client_refuses_an_answer_over_four_mebibytes_and_goes_on(server):
    facts = tell("c_client", server, "twice", "huge")
    assert int(facts["code"]) == RESOURCE_EXHAUSTED
    assert facts.all("alive") == ["1", "1"]
    assert facts.all("service") == [expected_with_path(7, "BACKOFF")]


def test_c_client_has_many_calls_in_flight(server):
    assert tell("c_client", server, "many")["right"] == "64 of 64"


def test_c_client_reads_an_operation(server):
    facts = tell("c_client", server, "restart", "one")
    assert facts["operation"] == "0123456789abcdef" * 2 + " 3 3"
    assert facts.all("outcome") == ["one 0 1", "another 1 2"]


def test_nano_client_reads_five_hundred_services(server):
    facts = tell("nano_client", server, "status")
    assert facts["daemon"] == "4711 9.8.7"
    assert facts.all("service") == [expected(n, n % 11 + 1) for n in range(SERVICES)]


def test_nano_client_sees_code_text_and_detail(server):
    facts = tell("nano_client", server, "status", "nobody")
    assert int(facts["code"]) == NOT_FOUND
    assert facts["message"] == "no such service: nobody"
    assert (facts["reason"], facts["service"], facts["hint"]) == ("1", "nobody", "made-up-000 is one")


def test_nano_client_refuses_an_answer_over_four_mebibytes(server):
    assert int(tell("nano_client", server, "status", "huge")["code"]) == RESOURCE_EXHAUSTED


def test_nano_client_reads_operations(server):
    assert tell("nano_client", server, "restart", "one").all("outcome") == ["one 3 0 1"]
    assert tell("nano_client", server, "stop", "one", "two").all("outcome") == ["one 3 0 1", "two 3 1 2"]


def test_nano_client_reads_five_hundred_outcomes(server):
    assert tell("nano_client", server, "restart").all("outcome") == [f"made-up-{n:03} 4 {n} {n}" for n in range(SERVICES)]
