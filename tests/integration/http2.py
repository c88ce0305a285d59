"""HTTP/2 byte by byte: frames as somebody hostile or careless sends them, and what a server makes of them."""

import socket
import struct

import hpack
from hpack.hpack import encode_integer
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
ERRORS = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
)  # fmt: skip
# Until the server announces more.
FRAME_MAX = 1 << 14
SERVICE = "/grpc.testing.TestService/"


# ---- frames ----


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """`length` is what the frame claims where that is not the truth."""
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def number(value, size=4):
    return value.to_bytes(size, "big")


def settings(*pairs, flags=0, stream=0):
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


def rst_stream(stream, code=8):
    return frame(RST_STREAM, 0, stream, number(code))


def data(stream, payload=b"", end=False):
    """In as many frames as it takes."""
    pieces = [payload[at : at + FRAME_MAX] for at in range(0, len(payload), FRAME_MAX)] or [b""]
    whole = b"".join(frame(DATA, 0, stream, piece) for piece in pieces[:-1])
    return whole + frame(DATA, END_STREAM if end else 0, stream, pieces[-1])


def message(payload=b"", flag=0):
    """gRPC's length-prefixed message."""
    return bytes([flag]) + number(len(payload)) + payload


def literal(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return bytes(encode_integer(len(raw), 7)) + raw


def block(*fields):
    """A field block that leaves no trace in any table: any bytes as names and values."""
    return b"".join(b"\x00" + literal(name) + literal(value) for name, value in fields)


def request(method="EmptyCall", **changes):
    """The fields of a call, of TestService unless the method has a path. `changes` are by name, without the colon and
    with _ for -; None leaves a field out."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method if method.startswith("/") else SERVICE + method,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    for name, value in changes.items():
        name = name.replace("_", "-")
        fields[f":{name}" if f":{name}" in fields else name] = value
    return [(name, value) for name, value in fields.items() if value is not None]


def headers(stream, fields, end=False, flags=END_HEADERS):
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block(*fields))


def call(stream=1, method="EmptyCall", body=None, **changes):
    """A whole call with one message, of no bytes if nothing else is said."""
    body = message() if body is None else body
    return headers(stream, request(method, **changes)) + data(stream, body, end=True)


def opened(stream=1, method="FullDuplexCall", **changes):
    """A call that goes on: the server waits for its first message."""
    return headers(stream, request(method, **changes))


# ---- the connection ----


def name_of(code):
    return ERRORS[code] if code < len(ERRORS) else str(code)


class Connection:
    """A client that says what it is told to, at a path or a (host, port). What the server says is understood by
    hyperframe and hpack."""

    def __init__(self, address, *greeting, seconds=20):
        is_tcp = isinstance(address, tuple)
        self.socket = socket.socket(socket.AF_INET if is_tcp else socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(address if is_tcp else str(address))
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.buffer = b""
        self.announced = {}
        self.send(*(greeting or (PREFACE, settings())))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        """A server that has closed already is no error here: what it said before is read."""
        try:
            self.socket.sendall(b"".join(parts))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read(self, length):
        """None: the server has closed."""
        while len(self.buffer) < length:
            try:
                got = self.socket.recv(1 << 16)
            except ConnectionResetError:
                got = b""
            if not got:
                return None
            self.buffer += got
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def next(self):
        """The next frame, or None; SETTINGS are acknowledged, header blocks decoded into `fields`."""
        head = self.read(9)
        if head is None:
            return None
        got, length = Frame.parse_frame_header(memoryview(head))
        got.parse_body(memoryview(self.read(length)))
        if isinstance(got, HeadersFrame):
            assert "END_HEADERS" in got.flags
            got.fields = dict(self.decoder.decode(got.data))
        if isinstance(got, SettingsFrame) and "ACK" not in got.flags:
            self.announced.update(got.settings)
            self.send(settings(flags=ACK))
        return got

    def until(self, wanted):
        """The first frame for which `wanted` is true; everything before is dropped. None: the server has closed."""
        while (got := self.next()) is not None:
            if wanted(got):
                return got
        return None

    def greeted(self):
        self.until(lambda got: isinstance(got, SettingsFrame) and "ACK" not in got.flags)
        return self.announced

    def answers_ping(self, payload=b"are here"):
        self.send(frame(PING, 0, 0, payload))
        return self.until(lambda got: isinstance(got, PingFrame) and got.opaque_data == payload) is not None

    def outcome(self, stream=1):
        """What became of a call: "grpc CODE", "http STATUS", "stream ERROR", "connection ERROR" (and it is closed), or
        "closed" without a word."""
        while (got := self.next()) is not None:
            if isinstance(got, GoAwayFrame) and got.error_code != 0:
                assert self.until(lambda _: False) is None
                return f"connection {name_of(got.error_code)}"
            if got.stream_id != stream:
                continue
            if isinstance(got, RstStreamFrame):
                return f"stream {name_of(got.error_code)}"
            if isinstance(got, HeadersFrame) and got.fields.get(":status", "200") != "200":
                return f"http {got.fields[':status']}"
            if isinstance(got, (HeadersFrame, DataFrame)) and "END_STREAM" in got.flags:
                self.trailers = got.fields
                return f"grpc {got.fields['grpc-status']}"
        return "closed"
