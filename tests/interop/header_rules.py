"""RFC 9113, section 8: the fields of a request; and what gRPC over HTTP/2 asks of them and of its messages."""

from http2 import (
    SERVICE, call, data, headers, message, number, opened, request,
)  # fmt: skip
from rules import EXHAUSTED, FINE, INTERNAL, INVALID, MALFORMED, UNIMPLEMENTED, asked, fields, malformed, rule

UNSUPPORTED_TYPE = "http 415"


def body(payload, method="EmptyCall", **changes):
    return call(1, method, payload, **changes)


FIELD_RULES = (
    # ---- 8.1: what a request is made of ----
    rule("8.1", "fields after the message, not at the end", opened(), data(1, message()), headers(1, [("x", "y")]),
         expect=MALFORMED),
    rule("8.1", "trailers", opened(method="StreamingInputCall"), data(1), headers(1, [("x", "y")], end=True),
         expect=FINE),
    rule("8.1", "trailers with a pseudo header", opened(method="StreamingInputCall"),
         headers(1, [(":path", "/")], end=True), expect=MALFORMED),
    rule("8.1", "a field block in which nothing is", headers(1, []) + data(1, message(), end=True), expect=MALFORMED),
    rule("8.1.1", "more bytes than content-length", asked(("content-length", "4")), expect=MALFORMED),
    rule("8.1.1", "fewer bytes than content-length", asked(("content-length", "6")), expect=MALFORMED),
    rule("8.1.1", "no bytes, content-length 5", headers(1, fields(("content-length", "5")), end=True),
         expect=MALFORMED),
    rule("8.1.1", "the bytes of content-length", asked(("content-length", "5")), expect=FINE),
    malformed("8.1.1", "content-length is no number", ("content-length", "5x")),
    malformed("8.1.1", "content-length twice", ("content-length", "5"), ("content-length", "6")),
    # ---- 8.2.1: names and values ----
    malformed("8.2.1", "upper-case name", ("X-Upper", "1")),
    malformed("8.2.1", "name with a space", ("x y", "1")),
    malformed("8.2.1", "name with a colon", ("x:y", "1")),
    malformed("8.2.1", "name with a control", (b"x\x1fy", "1")),
    malformed("8.2.1", "name with DEL", (b"x\x7f", "1")),
    malformed("8.2.1", "name beyond ASCII", (b"x\xc3\xa4", "1")),
    malformed("8.2.1", "empty name", ("", "1")),
    malformed("8.2.1", "value with NUL", ("x", b"a\x00b")),
    malformed("8.2.1", "value with CR", ("x", b"a\rb")),
    malformed("8.2.1", "value with LF", ("x", b"a\nb")),
    malformed("8.2.1", "value with a space first", ("x", " a")),
    malformed("8.2.1", "value with a tab last", ("x", "a\t")),
    malformed("8.2.1", "path with NUL", (":path", b"/a\x00"), without=(":path",)),
    rule("8.2.1", "empty value", asked(("x-empty", "")), expect=FINE),
    # ---- 8.2.2: fields of one connection ----
    malformed("8.2.2", "connection", ("connection", "close")),
    malformed("8.2.2", "keep-alive", ("keep-alive", "1")),
    malformed("8.2.2", "proxy-connection", ("proxy-connection", "close")),
    malformed("8.2.2", "transfer-encoding", ("transfer-encoding", "chunked")),
    malformed("8.2.2", "upgrade", ("upgrade", "h2c")),
    malformed("8.2.2", "te other than trailers", ("te", "gzip"), without=("te",)),
    # ---- 8.3: pseudo headers ----
    malformed("8.3", "unknown pseudo header", (":unknown", "1")),
    malformed("8.3", "a response's pseudo header", (":status", "200")),
    rule("8.3", "pseudo header after a field",
         headers(1, [("x", "y"), *request()]) + data(1, message(), end=True), expect=MALFORMED),
    malformed("8.3", "two methods", (":method", "POST")),
    malformed("8.3", "two schemes", (":scheme", "http")),
    malformed("8.3", "two paths", (":path", SERVICE + "EmptyCall")),
    malformed("8.3", "two authorities", (":authority", "localhost")),
    # ---- 8.3.1: a request's pseudo headers ----
    malformed("8.3.1", "no method", without=(":method",)),
    malformed("8.3.1", "no scheme", without=(":scheme",)),
    malformed("8.3.1", "no path", without=(":path",)),
    malformed("8.3.1", "empty method", (":method", ""), without=(":method",)),
    malformed("8.3.1", "empty scheme", (":scheme", ""), without=(":scheme",)),
    malformed("8.3.1", "empty path", (":path", ""), without=(":path",)),
    malformed("8.3.1", "method with a space", (":method", "PO ST"), without=(":method",)),
    malformed("8.3.1", "scheme with a space", (":scheme", "ht tp"), without=(":scheme",)),
    malformed("8.3.1", "path with a space", (":path", "/a b"), without=(":path",)),
    malformed("8.3.1", "path without a slash", (":path", "grpc.testing.TestService/EmptyCall"), without=(":path",)),
    malformed("8.5", "CONNECT with a path", (":method", "CONNECT"), without=(":method",)),
)

# What clients send on unix sockets: reference/rpc.md, 3.3.
AUTHORITIES = {
    "localhost": [(":authority", "localhost")],
    "percent-encoded path": [(":authority", "%2Frun%2Fflocksd.sock")],
    "path": [(":authority", "/run/flocksd.sock")],
    "empty": [(":authority", "")],
    "none": [],
    "none, but a host": [("host", "localhost")],
    "the same host": [(":authority", "localhost"), ("host", "localhost")],
    "with a port": [(":authority", "[::1]:48765")],
}
AUTHORITY_RULES = tuple(
    rule("8.3.1", f"authority: {name}", asked(*added, without=(":authority",)), expect=FINE)
    for name, added in AUTHORITIES.items()
)

GRPC_RULES = (
    # ---- requests: grpc/doc/PROTOCOL-HTTP2.md ----
    rule("gRPC", "content-type of something else", body(message(), content_type="application/json"),
         expect=UNSUPPORTED_TYPE),
    rule("gRPC", "no content-type", body(message(), content_type=None), expect=UNSUPPORTED_TYPE),
    rule("gRPC", "content-type that goes on", body(message(), content_type="application/grpcx"),
         expect=UNSUPPORTED_TYPE),
    rule("gRPC", "content-type with a format", body(message(), content_type="application/grpc+proto"), expect=FINE),
    rule("gRPC", "content-type with a parameter", body(message(), content_type="application/grpc;v=1"), expect=FINE),
    rule("gRPC", "GET", asked((":method", "GET"), without=(":method",)), expect="http 405"),
    rule("gRPC", "path of no method", asked((":path", "/grpc.testing.TestService"), without=(":path",)),
         expect=UNIMPLEMENTED),
    rule("gRPC", "path of a slash", asked((":path", "/"), without=(":path",)), expect=UNIMPLEMENTED),
    rule("gRPC", "path with a part too many", asked((":path", SERVICE + "EmptyCall/x"), without=(":path",)),
         expect=UNIMPLEMENTED),
    rule("gRPC", "path in other letters", asked((":path", SERVICE.upper() + "EmptyCall"), without=(":path",)),
         expect=UNIMPLEMENTED),
    *(
        rule("gRPC", f"timeout {text!r}", body(message(), grpc_timeout=text), expect=(INTERNAL, INVALID))
        for text in ("", "S", "5", "5x", "-1S", "1.5S", "123456789S", "1SS")
    ),
    *(
        rule("gRPC", f"timeout {text!r}", body(message(), grpc_timeout=text), expect=FINE)
        for text in ("99999999H", "00000100S", "100000m", "10000000u", "99999999n")
    ),
    rule("gRPC", "timeout of nothing", call(1, "FullDuplexCall", b"", grpc_timeout="0n"), expect="grpc 4"),
    rule("gRPC", "base64 that is none", asked(("x-bytes-bin", "a*b")), expect=(INTERNAL, INVALID)),
    rule("gRPC", "base64, padded and not", asked(("x-a-bin", "YQ=="), ("x-b-bin", "YQ"), ("x-c-bin", "YQ,YQ==")),
         expect=FINE),
    # ---- messages ----
    rule("gRPC", "cut message", body(message(b"12345678")[:-1]), expect=(INTERNAL, INVALID)),
    rule("gRPC", "cut prefix", body(b"\0\0\0"), expect=(INTERNAL, INVALID)),
    rule("gRPC", "bytes that are no message", body(message(b"\xff\xff\xff")), expect=(INTERNAL, INVALID)),
    rule("gRPC", "no message on unary", body(b""), expect=UNIMPLEMENTED),
    rule("gRPC", "two messages on unary", body(message() + message()), expect=UNIMPLEMENTED),
    rule("gRPC", "two messages on a server stream", body(message() * 2, "StreamingOutputCall"), expect=UNIMPLEMENTED),
    rule("gRPC", "message cut into bytes", opened(method="UnaryCall"),
         *(data(1, bytes([byte])) for byte in message(b"\x10\x05")), data(1, end=True), expect=FINE),
    rule("gRPC", "two messages in one frame", body(message() * 2, "StreamingInputCall"), expect=FINE),
    rule("gRPC", "compressed without an encoding", body(message(flag=1)), expect=INTERNAL),
    rule("gRPC", "compressed by gzip", body(message(b"\x1f\x8b", flag=1), grpc_encoding="gzip"), expect=UNIMPLEMENTED),
    rule("gRPC", "gzip announced, not used", body(message(), grpc_encoding="gzip"), expect=(FINE, UNIMPLEMENTED)),
    rule("gRPC", "unknown flag", body(message(flag=2)), expect=INTERNAL),
    rule("gRPC", "message that claims 4 GiB", body(b"\0" + number(0xFFFFFFFF) + bytes(100)), expect=EXHAUSTED),
    rule("gRPC", "message larger than its bound", opened(), data(1, b"\0" + number((4 << 20) + 1) + bytes(100)),
         expect=EXHAUSTED),
)

RULES = FIELD_RULES + AUTHORITY_RULES + GRPC_RULES
