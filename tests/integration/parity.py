"""The same call through both doors: ttrpc frame by frame (wire.py), gRPC by grpcio with bytes in and out."""

import dataclasses
import importlib

import grpc

from wire import DATA, HEADER, NO_DATA, REMOTE_CLOSED, RESPONSE, Wire

DETAILS = "grpc-status-details-bin"


@dataclasses.dataclass
class Outcome:
    """How a call ended. `status` is the packed google.rpc.Status as it travelled, empty when the call succeeded."""

    code: int = 0
    message: str = ""
    status: bytes = b""
    payloads: list = dataclasses.field(default_factory=list)


def detail(outcome, types):
    """The one ErrorDetail of a failure, or None."""
    status = importlib.import_module("flocks.ttrpc.v1.ttrpc_pb2").Status.FromString(outcome.status)
    for packed in status.details:
        assert packed.type_url == "type.googleapis.com/flocks.v1.ErrorDetail"
        return types.ErrorDetail.FromString(packed.value)
    return None


def field_bytes(message, number):
    """The bytes of a length-delimited field as they stand in a message; b"" when it is absent."""
    found, at = b"", 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        assert tag & 7 in (0, 2), "a Response has varints and bytes only"
        if tag & 7 == 0:
            varint()
            continue
        length = varint()
        if tag >> 3 == number:
            found = message[at : at + length]
        at += length
    return found


class Ttrpc:
    """One connection for each call, so that none waits for another."""

    name = "ttrpc"

    def __init__(self, address, stubs, metadata=()):
        self.address, self.stubs, self.metadata = address, stubs, metadata

    def open(self, service, method, request, stream=False, timeout=None):
        """A call under way."""
        wire = Wire(self.address, self.stubs, timeout=60, metadata=self.metadata)
        flags = REMOTE_CLOSED if stream else 0
        wire.socket.sendall(wire.frame(method, request, timeout=timeout or 0.0, service=service, flags=flags)[1])
        return wire

    def take(self, wire, outcome):
        """The next message into the outcome; False at the end."""
        length, _, kind, flags = HEADER.unpack(wire.exactly(HEADER.size))
        data = wire.exactly(length)
        if kind == DATA:
            if flags & NO_DATA:
                return False
            outcome.payloads.append(data)
            return True
        assert kind == RESPONSE
        response = self.stubs[0].Response.FromString(data)
        outcome.code, outcome.message = response.status.code, response.status.message
        if outcome.code != 0:
            outcome.status = field_bytes(data, 1)
        else:
            outcome.payloads.append(response.payload)
        return False

    def close(self, wire):
        wire.socket.close()


class Grpc:
    """The same by gRPC; `address` as grpcio takes it."""

    name = "grpc"

    def __init__(self, address, metadata=()):
        self.metadata = metadata
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
        )

    def open(self, service, method, request, stream=False, timeout=None):
        """Opened as a stream in any case: grpcio gives the messages of either kind one by one then."""
        bytes_ = request if isinstance(request, bytes) else request.SerializeToString()
        call = self.channel.unary_stream(f"/{service}/{method}")
        return call(bytes_, timeout=timeout, metadata=list(self.metadata), wait_for_ready=False)

    def take(self, call, outcome):
        try:
            outcome.payloads.append(next(call))
            return True
        except StopIteration:
            return False
        except grpc.RpcError as error:
            outcome.code, outcome.message = error.code().value[0], error.details()
            found = [value for key, value in error.trailing_metadata() or () if key == DETAILS]
            outcome.status = found[0] if found else b""
            return False

    def close(self, call):
        call.cancel()


def run(door, service, method, request, items=None, **options):
    """The whole call, or as many messages as `items` says."""
    outcome = Outcome()
    call = door.open(service, method, request, **options)
    while (items is None or len(outcome.payloads) < items) and door.take(call, outcome):
        pass
    door.close(call)
    return outcome
