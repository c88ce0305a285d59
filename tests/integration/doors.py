"""Calls of any service through either door, with the messages of Debian's grpc-proto: ttrpc by hand, gRPC by grpcio. Both
answer messages, and raise Failure with the status' code."""

import subprocess
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from wire import DATA, HEADER, NO_DATA, REMOTE_CLOSED, RESPONSE, Failure, Wire

GRPC_PROTO = "/usr/share/grpc-proto"
FILES = ("grpc/health/v1/health.proto", "grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto")
REMOTE_OPEN = 0x02


def descriptor_set(include, files):
    """What protoc makes of the files and all they import."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(
            ["protoc", f"--proto_path={include}", "--include_imports", f"--descriptor_set_out={out.name}", *files],
            check=True,
            timeout=60,
        )
        return descriptor_pb2.FileDescriptorSet.FromString(out.read())


class Messages:
    """Classes by full name; a pool of its own, because the modules' names would be those of grpcio."""

    def __init__(self, files=None):
        self.pool = descriptor_pool.DescriptorPool()
        for file in (files or descriptor_set(GRPC_PROTO, FILES)).file:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)

    def __getitem__(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))


class TtrpcDoor:
    """One connection a call."""

    def __init__(self, path, stubs):
        self.path, self.stubs = path, stubs

    def unary(self, service, method, request, answer):
        with Wire(self.path, self.stubs) as wire:
            stream, frame = wire.frame(method, request, service=service)
            wire.socket.sendall(frame)
            answered, response = wire.response()
            assert answered == stream
            return wire.decode(response, answer)

    def stream(self, service, method, request, answer, timeout=20.0):
        """The messages of a server stream; closing the generator ends the call."""
        with Wire(self.path, self.stubs, timeout=timeout) as wire:
            stream, frame = wire.frame(method, request, service=service, flags=REMOTE_CLOSED)
            wire.socket.sendall(frame)
            yield from self._messages(wire, answer)

    def talk(self, service, method, requests, answer):
        """Everything that is answered to `requests`, which are sent at once."""
        with Wire(self.path, self.stubs) as wire:
            stream, frame = wire.frame(method, b"", service=service, flags=REMOTE_OPEN)
            wire.socket.sendall(frame)
            for request in requests:
                data = request.SerializeToString()
                wire.socket.sendall(HEADER.pack(len(data), stream, DATA, 0) + data)
            wire.socket.sendall(HEADER.pack(0, stream, DATA, REMOTE_CLOSED | NO_DATA))
            return list(self._messages(wire, answer))

    def _messages(self, wire, answer):
        while True:
            length, _, kind, flags = HEADER.unpack(wire.exactly(HEADER.size))
            data = wire.exactly(length)
            if kind == RESPONSE:
                wire.decode(wire.ttrpc.Response.FromString(data), answer)
                return
            if flags & NO_DATA:
                return
            yield answer.FromString(data)


class GrpcDoor:
    """One channel."""

    def __init__(self, path, _):
        self.channel = grpc.insecure_channel(f"unix:{path}")

    def _multicallable(self, kind, service, method, answer):
        return getattr(self.channel, kind)(
            f"/{service}/{method}", request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer.FromString
        )

    @staticmethod
    def _failure(error):
        return Failure(error.code().value[0], error.details(), None)

    def unary(self, service, method, request, answer):
        try:
            return self._multicallable("unary_unary", service, method, answer)(request, timeout=20)
        except grpc.RpcError as error:
            raise self._failure(error) from error

    def stream(self, service, method, request, answer, timeout=20.0):
        call = self._multicallable("unary_stream", service, method, answer)(request, timeout=timeout)
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._failure(error) from error
        finally:
            call.cancel()

    def talk(self, service, method, requests, answer):
        try:
            return list(self._multicallable("stream_stream", service, method, answer)(iter(requests), timeout=20))
        except grpc.RpcError as error:
            raise self._failure(error) from error


DOORS = {"ttrpc": TtrpcDoor, "grpc": GrpcDoor}
