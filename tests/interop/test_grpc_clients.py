"""gRPC clients of three implementations exercise grpc_test_server, each in one process on one connection: the four
kinds, deadlines, cancellation, metadata, sizes, statuses, and every :authority that they can send. The same cases in
each language, but for what only one can do."""

import pytest

import grpc_peers

CASES = (
    "empty_unary",
    "large_unary",
    "cacheable_unary",
    "client_streaming",
    "server_streaming",
    "server_streaming_many",
    "ping_pong",
    "half_duplex",
    "many_requests_ahead",
    "empty_stream",
    "empty_upload",
    "deadline_of_unary",
    "deadline_of_stream",
    "deadline_reaches_the_server",
    "no_deadline",
    "cancel_unary",
    "cancel_before_the_first_message",
    "cancel_after_the_first_message",
    "cancel_a_stream_that_flows",
    "echoed_metadata",
    "metadata_reaches_the_server",
    "metadata_comes_back",
    "metadata_comes_back_with_an_error",
    "too_much_metadata",
    "largest_messages",
    "too_large_request",
    "too_large_response",
    "parallel_calls_on_one_connection",
    "parallel_streams_on_one_connection",
    "unimplemented_method",
    "unknown_method",
    "unimplemented_service",
    "every_status",
    "status_after_responses",
    "unicode_in_a_status",
    "status_details",
    "authority_localhost",
    "authority_percent_encoded_path",
    "authority_path",
    "authority_of_another_host",
    "nothing_is_left",
)
LANGUAGES = {"python": grpc_peers.python, "node": grpc_peers.node, "go": grpc_peers.go}
# What only grpc-go before 1.57 sends by itself.
ONLY = {"go": ("authority_of_a_dialer",)}


@pytest.fixture(scope="module")
def outcomes():
    """outcomes(LANGUAGE): each program is run when its first case is asked for."""
    known = {}

    def of(language):
        if language not in known:
            with grpc_peers.running_server() as server:
                known[language] = LANGUAGES[language](server.socket)
        return known[language]

    return of


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_case_passes(outcomes, language, case):
    assert outcomes(language).get(case, "was not run") == "ok"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_case_is_unknown(outcomes, language):
    assert set(outcomes(language)) == {*CASES, *ONLY.get(language, ())}


def test_authority_of_a_dialer_is_accepted(outcomes):
    assert outcomes("go")["authority_of_a_dialer"] == "ok"
