"""Every rule of RFC 9113 (sections 3 to 8) that a server must check, and gRPC's above it: what a client sends, and the
error that it must get (frame_rules.py, header_rules.py); and floods (flood_rules.py). After each the server goes on
serving: the same connection where only a call was at fault, another one always."""

import pytest

import flood_rules
import frame_rules
import header_rules
from grpc_peers import running_server
from http2 import Connection, call

RULES = frame_rules.RULES + header_rules.RULES + flood_rules.RULES
LATER = 10001


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rule_is_held(server, rule):
    with Connection(server.socket, *rule.greeting) as connection:
        for part in rule.parts:
            connection.send(part(connection) if callable(part) else part)
        outcome = connection.outcome(rule.stream)
        assert outcome in rule.expected
        if not outcome.startswith(("connection", "closed")) and "GOAWAY" not in rule.name:
            connection.send(call(LATER))
            assert connection.outcome(LATER) == "grpc 0", "the connection goes on"
    with Connection(server.socket) as another:
        another.send(call())
        assert another.outcome() == "grpc 0", "the server goes on"


def test_names_of_rules_are_distinct():
    assert len({str(rule) for rule in RULES}) == len(RULES)
