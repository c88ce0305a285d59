"""exercise.py SOCKET: every case against grpc_test_server, by grpcio; a line for each, "ok NAME" or "FAIL NAME why".
PYTHONPATH is the directory of the generated modules. The same cases stand in ../node and ../go_grpc."""

import os
import queue
import sys
import traceback

import grpc

# What is generated for the package grpc.testing lies in a second directory of the package grpc.
grpc.__path__.append(os.path.join(os.environ["PYTHONPATH"], "grpc"))

from flocks.testing.v1 import mirror_pb2, mirror_pb2_grpc  # noqa: E402
from flocks.ttrpc.v1 import ttrpc_pb2  # noqa: E402
from grpc.testing import empty_pb2, messages_pb2, test_pb2_grpc  # noqa: E402

LARGEST = 4 << 20
# Of tags and lengths around a payload that fills the largest message.
ENVELOPE = 10
PATIENCE = 30
UNICODE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
CASES = []
StatusCode = grpc.StatusCode


def case(function):
    CASES.append(function)
    return function


class World:
    """One connection, and what the server says about its calls."""

    def __init__(self, path, *options):
        self.path = path
        self.channel = grpc.insecure_channel(f"unix:{path}", options=options)
        self.test = test_pb2_grpc.TestServiceStub(self.channel)
        self.mirror = mirror_pb2_grpc.MirrorServiceStub(self.channel)

    def observe(self, until_ended=0):
        return self.mirror.Observe(mirror_pb2.ObserveRequest(until_ended=until_ended), timeout=PATIENCE)

    def ended(self, before):
        """One more call than before has ended: the server's counts then."""
        after = self.observe(before.ended + 1)
        equal(after.ended, before.ended + 1)
        equal(after.begun, after.ended)
        return after


def equal(got, wanted):
    assert got == wanted, f"got {str(got)[:300]}, wanted {str(wanted)[:300]}"


def fails(code, call):
    """The error that the call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        equal(error.code(), code)
        return error
    raise AssertionError(f"no {code}")


def payload(size):
    return messages_pb2.Payload(body=bytes(size))


def sized(*sizes, interval_us=0):
    return [messages_pb2.ResponseParameters(size=size, interval_us=interval_us) for size in sizes]


def pairs(metadata, *keys):
    return [(key, value) for key, value in metadata if key in keys]


class Requests:
    """An iterator that is fed: grpcio reads it in a thread of its own."""

    END = object()

    def __init__(self):
        self.queue = queue.Queue()

    def __iter__(self):
        return iter(self.queue.get, self.END)

    def put(self, request):
        self.queue.put(request)

    def end(self):
        self.queue.put(self.END)


# ---- four kinds ----


@case
def empty_unary(world):
    equal(world.test.EmptyCall(empty_pb2.Empty(), timeout=PATIENCE), empty_pb2.Empty())


@case
def large_unary(world):
    response = world.test.UnaryCall(
        messages_pb2.SimpleRequest(response_size=314159, payload=payload(271828)), timeout=PATIENCE
    )
    equal(response.payload.body, bytes(314159))


@case
def cacheable_unary(world):
    response, call = world.test.CacheableUnaryCall.with_call(messages_pb2.SimpleRequest(), timeout=PATIENCE)
    assert int(response.payload.body) > 0
    equal(pairs(call.initial_metadata(), "cache-control"), [("cache-control", "max-age=60, public")])


@case
def client_streaming(world):
    sizes = (27182, 8, 1828, 45904)
    requests = (messages_pb2.StreamingInputCallRequest(payload=payload(size)) for size in sizes)
    equal(world.test.StreamingInputCall(requests, timeout=PATIENCE).aggregated_payload_size, 74922)


@case
def server_streaming(world):
    sizes = [31415, 9, 2653, 58979]
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=sized(*sizes))
    responses = world.test.StreamingOutputCall(request, timeout=PATIENCE)
    equal([len(response.payload.body) for response in responses], sizes)


@case
def server_streaming_many(world):
    sizes = [10] * 20000
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=sized(*sizes))
    equal(sum(1 for _ in world.test.StreamingOutputCall(request, timeout=PATIENCE)), len(sizes))


@case
def ping_pong(world):
    requests = Requests()
    responses = world.test.FullDuplexCall(iter(requests), timeout=PATIENCE)
    for ask, answer in ((27182, 31415), (8, 9), (1828, 2653), (45904, 58979)):
        requests.put(
            messages_pb2.StreamingOutputCallRequest(response_parameters=sized(answer), payload=payload(ask))
        )
        equal(len(next(responses).payload.body), answer)
    requests.end()
    equal(list(responses), [])
    equal(responses.code(), StatusCode.OK)


@case
def half_duplex(world):
    sizes = [10, 20, 30, 40]
    requests = Requests()
    responses = world.test.HalfDuplexCall(iter(requests), timeout=PATIENCE)
    for size in sizes:
        requests.put(messages_pb2.StreamingOutputCallRequest(response_parameters=sized(size)))
    requests.end()
    equal([len(response.payload.body) for response in responses], sizes)


@case
def many_requests_ahead(world):
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=sized(10))
    responses = world.test.FullDuplexCall(iter([request] * 3000), timeout=PATIENCE)
    equal(sum(1 for _ in responses), 3000)


@case
def empty_stream(world):
    equal(list(world.test.FullDuplexCall(iter(()), timeout=PATIENCE)), [])


@case
def empty_upload(world):
    equal(world.test.StreamingInputCall(iter(()), timeout=PATIENCE).aggregated_payload_size, 0)


# ---- deadlines and cancellation: the server's work ends, too ----


@case
def deadline_of_unary(world):
    before = world.observe()
    fails(
        StatusCode.DEADLINE_EXCEEDED,
        lambda: world.mirror.Mirror(mirror_pb2.MirrorRequest(delay_ms=600000), timeout=0.2),
    )
    after = world.ended(before)
    equal(after.cancelled + after.expired, before.cancelled + before.expired + 1)


@case
def deadline_of_stream(world):
    before = world.observe()
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=sized(1, interval_us=600000000))
    fails(StatusCode.DEADLINE_EXCEEDED, lambda: list(world.test.StreamingOutputCall(request, timeout=0.2)))
    after = world.ended(before)
    equal(after.cancelled + after.expired, before.cancelled + before.expired + 1)


@case
def deadline_reaches_the_server(world):
    response = world.mirror.Mirror(mirror_pb2.MirrorRequest(), timeout=PATIENCE)
    # What it sends is rounded up.
    assert 0 < response.time_left_ms <= PATIENCE * 1050, response.time_left_ms


@case
def no_deadline(world):
    equal(world.mirror.Mirror(mirror_pb2.MirrorRequest()).time_left_ms, -1)


@case
def cancel_unary(world):
    before = world.observe()
    call = world.mirror.Mirror.future(mirror_pb2.MirrorRequest(delay_ms=600000), timeout=PATIENCE)
    while world.observe().begun == before.begun:
        pass
    call.cancel()
    assert call.cancelled()
    equal(world.ended(before).cancelled, before.cancelled + 1)


@case
def cancel_before_the_first_message(world):
    before = world.observe()
    requests = Requests()
    call = world.test.StreamingInputCall.future(iter(requests), timeout=PATIENCE)
    # The server has begun the call.
    call.initial_metadata()
    call.cancel()
    requests.end()
    assert call.cancelled()
    equal(world.ended(before).cancelled, before.cancelled + 1)


@case
def cancel_after_the_first_message(world):
    before = world.observe()
    requests = Requests()
    responses = world.test.FullDuplexCall(iter(requests), timeout=PATIENCE)
    requests.put(messages_pb2.StreamingOutputCallRequest(response_parameters=sized(31415), payload=payload(27182)))
    equal(len(next(responses).payload.body), 31415)
    responses.cancel()
    requests.end()
    fails(StatusCode.CANCELLED, lambda: next(responses))
    equal(world.ended(before).cancelled, before.cancelled + 1)


@case
def cancel_a_stream_that_flows(world):
    before = world.observe()
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=sized(*([60000] * 20000)))
    responses = world.test.StreamingOutputCall(request, timeout=PATIENCE)
    next(responses)
    responses.cancel()
    equal(world.ended(before).cancelled, before.cancelled + 1)


# ---- metadata ----


@case
def echoed_metadata(world):
    sent = (("x-grpc-test-echo-initial", "test_initial_metadata_value"),
            ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))
    request = messages_pb2.SimpleRequest(response_size=314159, payload=payload(271828))
    _, call = world.test.UnaryCall.with_call(request, metadata=sent, timeout=PATIENCE)
    stream = world.test.FullDuplexCall(
        iter([messages_pb2.StreamingOutputCallRequest(response_parameters=sized(314159), payload=payload(271828))]),
        metadata=sent, timeout=PATIENCE,
    )
    equal(len(list(stream)), 1)
    for one in (call, stream):
        equal(pairs(one.initial_metadata(), sent[0][0]), [sent[0]])
        equal(pairs(one.trailing_metadata(), sent[1][0]), [sent[1]])


ALL_BYTES = bytes(range(256))
MANY = [
    ("x-text", "one"),
    ("x-bytes-bin", ALL_BYTES),
    ("x-text", "two, and a comma"),
    ("x-bytes-bin", b""),
    ("x-bytes-bin", b"a"),
    ("x-other", "~ !\"#$%&'()*+,-./:;<=>?@[]^_`{|}"),
]


@case
def metadata_reaches_the_server(world):
    response = world.mirror.Mirror(mirror_pb2.MirrorRequest(), metadata=MANY, timeout=PATIENCE)
    got = [(pair.key, pair.value) for pair in response.metadata]
    for wanted in ("x-text", "x-bytes-bin", "x-other"):
        equal(
            [value for key, value in got if key == wanted],
            [value if isinstance(value, bytes) else value.encode() for key, value in MANY if key == wanted],
        )


def mirrored(prefix):
    return [
        mirror_pb2.Pair(key=prefix + key, value=value if isinstance(value, bytes) else value.encode())
        for key, value in MANY
    ]


def wanted_back(prefix):
    return [(prefix + key, value) for key, value in MANY]


def same_pairs(metadata, wanted):
    """Repeated keys keep their order; keys among each other need not."""
    for key in {key for key, _ in wanted}:
        equal(pairs(metadata, key), [pair for pair in wanted if pair[0] == key])


@case
def metadata_comes_back(world):
    request = mirror_pb2.MirrorRequest(headers=mirrored("h-"), trailers=mirrored("t-"))
    _, call = world.mirror.Mirror.with_call(request, timeout=PATIENCE)
    same_pairs(call.initial_metadata(), wanted_back("h-"))
    same_pairs(call.trailing_metadata(), wanted_back("t-"))


@case
def metadata_comes_back_with_an_error(world):
    request = mirror_pb2.MirrorRequest(trailers=mirrored("t-"), failure=mirror_pb2.Failure(code=9, message="no"))
    error = fails(StatusCode.FAILED_PRECONDITION, lambda: world.mirror.Mirror(request, timeout=PATIENCE))
    same_pairs(error.trailing_metadata(), wanted_back("t-"))


@case
def too_much_metadata(world):
    sent = [(f"x-much-{i}", "y" * 1000) for i in range(9)]
    fails(
        StatusCode.RESOURCE_EXHAUSTED,
        lambda: world.mirror.Mirror(mirror_pb2.MirrorRequest(), metadata=sent, timeout=PATIENCE),
    )


# ---- sizes and numbers ----


@case
def largest_messages(world):
    size = LARGEST - ENVELOPE
    request = messages_pb2.SimpleRequest(payload=payload(size))
    equal(request.ByteSize(), LARGEST)
    world.test.UnaryCall(request, timeout=PATIENCE)
    response = world.test.UnaryCall(messages_pb2.SimpleRequest(response_size=size), timeout=PATIENCE)
    equal(response.ByteSize(), LARGEST)


@case
def too_large_request(world):
    request = messages_pb2.SimpleRequest(payload=payload(LARGEST - ENVELOPE + 1))
    fails(StatusCode.RESOURCE_EXHAUSTED, lambda: world.test.UnaryCall(request, timeout=PATIENCE))
    requests = [messages_pb2.StreamingInputCallRequest(payload=payload(2 * LARGEST))]
    fails(StatusCode.RESOURCE_EXHAUSTED, lambda: world.test.StreamingInputCall(iter(requests), timeout=PATIENCE))
    empty_unary(world)


@case
def too_large_response(world):
    request = messages_pb2.SimpleRequest(response_size=LARGEST - ENVELOPE + 1)
    fails(StatusCode.RESOURCE_EXHAUSTED, lambda: world.test.UnaryCall(request, timeout=PATIENCE))
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=sized(5, 2 * LARGEST))
    fails(StatusCode.RESOURCE_EXHAUSTED, lambda: list(world.test.StreamingOutputCall(request, timeout=PATIENCE)))


@case
def parallel_calls_on_one_connection(world):
    connections = world.observe().connections
    calls = [
        world.test.UnaryCall.future(messages_pb2.SimpleRequest(response_size=size), timeout=PATIENCE)
        for size in range(1000)
    ]
    equal([len(call.result().payload.body) for call in calls], list(range(1000)))
    equal(world.observe().connections, connections)


@case
def parallel_streams_on_one_connection(world):
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=sized(*([50000] * 20)))
    streams = [world.test.StreamingOutputCall(request, timeout=PATIENCE) for _ in range(50)]
    for stream in streams:
        equal([len(response.payload.body) for response in stream], [50000] * 20)


# ---- statuses ----


@case
def unimplemented_method(world):
    error = fails(
        StatusCode.UNIMPLEMENTED, lambda: world.test.UnimplementedCall(empty_pb2.Empty(), timeout=PATIENCE)
    )
    assert "UnimplementedCall" in error.details(), error.details()


@case
def unknown_method(world):
    call = world.channel.unary_unary("/grpc.testing.TestService/NoSuchCall")
    fails(StatusCode.UNIMPLEMENTED, lambda: call(b"", timeout=PATIENCE))


@case
def unimplemented_service(world):
    stub = test_pb2_grpc.UnimplementedServiceStub(world.channel)
    fails(StatusCode.UNIMPLEMENTED, lambda: stub.UnimplementedCall(empty_pb2.Empty(), timeout=PATIENCE))


@case
def every_status(world):
    for code in StatusCode:
        number = code.value[0]
        if number == 0:
            continue
        status = messages_pb2.EchoStatus(code=number, message=f"status {number}")
        request = messages_pb2.SimpleRequest(response_status=status)
        error = fails(code, lambda: world.test.UnaryCall(request, timeout=PATIENCE))
        equal(error.details(), status.message)
        requests = [messages_pb2.StreamingOutputCallRequest(response_status=status)]
        error = fails(code, lambda: list(world.test.FullDuplexCall(iter(requests), timeout=PATIENCE)))
        equal(error.details(), status.message)


@case
def status_after_responses(world):
    requests = Requests()
    responses = world.test.FullDuplexCall(iter(requests), timeout=PATIENCE)
    requests.put(messages_pb2.StreamingOutputCallRequest(response_parameters=sized(7)))
    equal(len(next(responses).payload.body), 7)
    requests.put(
        messages_pb2.StreamingOutputCallRequest(response_status=messages_pb2.EchoStatus(code=10, message="enough"))
    )
    error = fails(StatusCode.ABORTED, lambda: next(responses))
    equal(error.details(), "enough")
    requests.end()


@case
def unicode_in_a_status(world):
    status = messages_pb2.EchoStatus(code=2, message=UNICODE)
    error = fails(
        StatusCode.UNKNOWN,
        lambda: world.test.UnaryCall(messages_pb2.SimpleRequest(response_status=status), timeout=PATIENCE),
    )
    equal(error.details(), UNICODE)


@case
def status_details(world):
    failure = mirror_pb2.Failure(code=5, message="100% nothing ☺", detail="what was missing")
    error = fails(
        StatusCode.NOT_FOUND,
        lambda: world.mirror.Mirror(mirror_pb2.MirrorRequest(failure=failure), timeout=PATIENCE),
    )
    equal(error.details(), failure.message)
    # Ours has the numbers of google.rpc.Status.
    (raw,) = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    status = ttrpc_pb2.Status.FromString(raw)
    equal((status.code, status.message), (5, failure.message))
    equal(status.details[0].type_url, "type.googleapis.com/flocks.testing.v1.FailureDetail")
    detail = mirror_pb2.FailureDetail()
    assert status.details[0].Unpack(detail)
    equal(detail.text, "what was missing")


# ---- :authority, as clients send it on unix sockets ----


def authority(world, value):
    other = World(world.path, ("grpc.default_authority", value), ("grpc.use_local_subchannel_pool", 1))
    empty_unary(other)
    other.channel.close()


@case
def authority_localhost(world):
    authority(world, "localhost")


@case
def authority_percent_encoded_path(world):
    authority(world, world.path.replace("/", "%2F"))


@case
def authority_path(world):
    authority(world, world.path)


@case
def authority_of_another_host(world):
    authority(world, "elsewhere.example:443")


# ---- at the end ----


@case
def nothing_is_left(world):
    now = world.observe()
    equal(now.begun, now.ended)


def main():
    world = World(sys.argv[1])
    for function in CASES:
        try:
            function(world)
            print(f"ok {function.__name__}", flush=True)
        except Exception as error:  # Each case is judged by itself.
            where = traceback.extract_tb(error.__traceback__)[-1].lineno
            text = f"{type(error).__name__}: {error}".replace("\n", " ")
            print(f"FAIL {function.__name__} line {where}: {text}", flush=True)
    world.channel.close()


main()
