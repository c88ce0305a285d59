"""The official gRPC interop client (Debian's ruby-grpc) against grpc_test_server, over its unix socket. Its two cases
of compression need a server that compresses; those of credentials need TLS and tokens of Google's."""

import subprocess

import pytest

from grpc_peers import ruby_client, running_server

CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "unimplemented_method",
    "unimplemented_service",
    "status_code_and_message",
    "custom_metadata",
)


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def client():
    return ruby_client()


@pytest.mark.parametrize("case", CASES)
def test_official_case_passes(server, client, case):
    done = subprocess.run(
        ["ruby", client, "--server_host", "unix", "--server_port", server.socket, "--test_case", case],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"OK: {case}" in done.stdout, "the case was run to its end"
