"""HTTP/2 frames of gRPC calls, made once and sent many times: a client that costs next to nothing.

RFC 9113 section 4.1 (frames) and RFC 7541 section 6 (header fields; nothing is indexed, so the same
bytes are good for every stream)."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
CANCEL = 0x8
PING_BODY = b"all done"


def frame(kind, flags, stream, body=b""):
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def _literal(name, value):
    """`name`: an index of the static table, or a text."""
    if isinstance(name, int):
        begin = bytes([name]) if name < 15 else bytes([15, name - 15])
    else:
        begin = bytes([0, len(name)]) + name.encode()
    return begin + bytes([len(value)]) + value.encode()


def request_headers(path):
    post, http = b"\x83", b"\x86"
    return (
        post + http + _literal(4, path) + _literal(1, "localhost") + _literal(31, "application/grpc")
        + _literal("te", "trailers")
    )  # fmt: skip


def message(payload):
    """A message whose first field are these bytes (fewer than 128), framed as gRPC does."""
    body = b"\x0a" + bytes([len(payload)]) + payload
    return b"\0" + struct.pack(">I", len(body)) + body


class Connection:
    """`with` closes it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def next_frame(self):
        """(kind, flags, stream, body)"""
        while len(self.received) < 9 or len(self.received) < 9 + self._body_len():
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self.received += data
        kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
        end = 9 + self._body_len()
        body, self.received = self.received[9:end], self.received[end:]
        if kind == GOAWAY:
            raise ConnectionError(f"the server gave up: {body[8:]!r}, code {body[7]}")
        return kind, flags, stream, body

    def _body_len(self):
        return int.from_bytes(self.received[:3], "big")

    def wait_for(self, kind, stream, flags):
        while True:
            found = self.next_frame()
            if found[0] == kind and found[2] == stream and found[1] & flags == flags:
                return found

    def call(self, headers, body):
        """One unary call to its end."""
        self.socket.sendall(
            frame(HEADERS, END_HEADERS, 1, headers) + frame(DATA, END_STREAM, 1, body)
        )
        self.wait_for(HEADERS, 1, END_STREAM)

    def open_and_cancel(self, headers, calls):
        """So many calls begun and given up, ten at a time; returns when the server has dealt with all."""
        streams = range(1, 2 * calls, 2)
        for begin in range(0, calls, 10):
            some = streams[begin : begin + 10]
            opened = b"".join(frame(HEADERS, END_HEADERS, stream, headers) for stream in some)
            reset = struct.pack(">I", CANCEL)
            self.socket.sendall(opened + b"".join(frame(RST_STREAM, 0, stream, reset) for stream in some))
        self.socket.sendall(frame(PING, 0, 0, PING_BODY))
        self.wait_for(PING, 0, ACK)
