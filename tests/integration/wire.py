"""ttrpc by hand over the control socket, with Python's own protobuf: a peer that shares no code with ours."""

import importlib
import socket
import struct
import subprocess
import sys

from instance import REPOSITORY

PROTO = REPOSITORY / "proto"
FILES = (
    "flocks/v1/types.proto",
    "flocks/v1/options.proto",
    "flocks/v1/config.proto",
    "flocks/v1/supervisor.proto",
    "flocks/v1/upgrade.proto",
    "flocks/ttrpc/v1/ttrpc.proto",
)
HEADER = struct.Struct(">IIBB")
REQUEST, RESPONSE, DATA = 1, 2, 3
REMOTE_CLOSED, NO_DATA = 0x01, 0x04


def compile_stubs(directory):
    """Python stubs of our protos, made by protoc into `directory`; answers (ttrpc, supervisor, types)."""
    subprocess.run(
        ["protoc", f"--proto_path={PROTO}", f"--python_out={directory}", *FILES], check=True, timeout=60
    )
    sys.path.insert(0, str(directory))
    names = ("flocks.ttrpc.v1.ttrpc_pb2", "flocks.v1.supervisor_pb2", "flocks.v1.types_pb2")
    return tuple(importlib.import_module(name) for name in names)


class Failure(Exception):
    """A status other than OK: `code`, `message` and the typed `detail` (or None)."""

    def __init__(self, code, message, detail):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.detail = code, message, detail


class Wire:
    """One connection."""

    def __init__(self, address, stubs, timeout=20.0, metadata=()):
        """`address`: a socket's path, or (host, port). `metadata`: pairs that every call carries."""
        self.ttrpc, self.supervisor, self.types = stubs
        self.metadata = list(metadata)
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, timeout=timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            # Without a timeout: connecting to a full backlog waits then, instead of failing.
            self.socket.connect(str(address))
        self.socket.settimeout(timeout)
        self.next_stream = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def frame(self, method, request, timeout=0.0, service="flocks.v1.SupervisorService", flags=0):
        """One request frame and its stream."""
        envelope = self.ttrpc.Request(
            service=service,
            method=method,
            payload=request if isinstance(request, bytes) else request.SerializeToString(),
            timeout_nano=int(timeout * 1e9),
            metadata=[self.ttrpc.KeyValue(key=key, value=value) for key, value in self.metadata],
        ).SerializeToString()
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        return stream, HEADER.pack(len(envelope), stream, REQUEST, flags) + envelope

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the server closed the connection")
            data += more
        return data

    def response(self):
        """(stream, Response) of the next frame."""
        length, stream, kind, flags = HEADER.unpack(self.exactly(HEADER.size))
        assert (kind, flags) == (RESPONSE, 0)
        return stream, self.ttrpc.Response.FromString(self.exactly(length))

    def decode(self, response, answer):
        if response.status.code == 0:
            return answer.FromString(response.payload)
        detail = None
        for packed in response.status.details:
            assert packed.type_url == "type.googleapis.com/flocks.v1.ErrorDetail"
            detail = self.types.ErrorDetail.FromString(packed.value)
        raise Failure(response.status.code, response.status.message, detail)

    def call(self, method, request, **options):
        """The answer of one unary method of SupervisorService; raises Failure."""
        stream, frame = self.frame(method, request, **options)
        self.socket.sendall(frame)
        answered, response = self.response()
        assert answered == stream
        return self.decode(response, getattr(self.supervisor, f"{method}Response", None))

    def open(self, method, request, **options):
        """Begins a server stream and answers its number."""
        stream, frame = self.frame(method, request, flags=REMOTE_CLOSED, **options)
        self.socket.sendall(frame)
        return stream

    def item(self, method, module=None):
        """The next message of the only stream of this connection; None at its end; raises Failure. `module`: where its
        type is, else the supervisor's."""
        answer = getattr(module or self.supervisor, f"{method}Response")
        length, _, kind, flags = HEADER.unpack(self.exactly(HEADER.size))
        data = self.exactly(length)
        if kind == RESPONSE:
            return self.decode(self.ttrpc.Response.FromString(data), answer)
        assert kind == DATA
        if flags & NO_DATA:
            return None
        return answer.FromString(data)

    def items(self, method, request, **options):
        """Every message of one server stream."""
        self.open(method, request, **options)
        while (item := self.item(method)) is not None:
            yield item
