"""RFC 9113, sections 3 to 7: frames and streams. Where the RFC leaves a choice, all answers stand in the row. A stream
error may be made one of the connection (5.4.2): that is used where nghttp2 does so, for calls beyond the announced
number and windows that grow by nothing. In three places nghttp2 is milder than the RFC: HEADERS of a stream that is
closed, or was skipped, are ignored (a client may not know yet that we have reset it), and SETTINGS that make a
stream's window too large end that stream only."""

from http2 import (
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME_MAX, GOAWAY, HAS_PRIORITY, HEADERS, PADDED, PING, PREFACE, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, call, data, frame, headers, message, number,
    opened, request, rst_stream, settings, window_update,
)  # fmt: skip
from rules import COMPRESSION, FINE, FLOW, MALFORMED, PROTOCOL, SIZE, rule

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
WINDOW_MAX = (1 << 31) - 1
FIELDS = block(*request())
UPLOAD = "StreamingInputCall"
# One response, after ten minutes: until then the client's side of the call is closed, and ours is not.
ANSWER_SLOWLY = message(b"\x12\x08\x08\x01\x10\x80\x8c\x8d\x9e\x02")
SLOW_DOWNLOAD = call(1, "StreamingOutputCall", ANSWER_SLOWLY)
STREAM_CLOSED = ("stream STREAM_CLOSED", "connection STREAM_CLOSED")


def padded(kind, payload, padding, flags=0, claimed=None):
    claimed = padding if claimed is None else claimed
    return frame(kind, flags | PADDED, 1, bytes([claimed]) + payload + bytes(padding))


def upload_message(size):
    """A message of StreamingInputCall of `size` bytes, 200 to 16,000, its prefix included."""

    def field(tag, value):
        return bytes([tag, len(value) & 0x7F | 0x80, len(value) >> 7]) + value

    return message(field(0x0A, field(0x12, bytes(size - 11))))


def whole_window_and_more(connection):
    """Messages that wait behind one whose answer takes ten minutes."""
    window = connection.greeted().get(INITIAL_WINDOW, 65535)
    waiting = message(b"\x1a\xe8\x07\x12\xe5\x07" + bytes(997))
    return data(1, ANSWER_SLOWLY + waiting * (window // len(waiting) + 1))


def one_call_too_many(connection):
    most = connection.greeted()[MAX_STREAMS]
    assert 0 < most <= 1000
    return b"".join(opened(1 + 2 * i) for i in range(most)) + opened(2001)


def until_both_know(connection):
    """Nothing to send: the server has seen all that was sent before."""
    assert connection.answers_ping()
    return b""


def until_it_is_answered(connection):
    assert connection.outcome(1) == FINE
    return b""


RULES = (
    # ---- 3.4: the preface ----
    rule("3.4", "another preface", expect="closed", greeting=(b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",)),
    rule("3.4", "half a preface, then frames", expect="closed", greeting=(PREFACE[:20] + b"XXXX" + settings(),)),
    rule("3.4", "HTTP/1", expect="closed", greeting=(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n",)),
    rule("3.4", "first frame not SETTINGS", expect=PROTOCOL, greeting=(PREFACE, call())),
    rule("3.4", "first frame an acknowledgement", expect=PROTOCOL, greeting=(PREFACE, settings(flags=ACK))),
    # ---- 4.1: the format of frames; 5.5: extensions ----
    rule("4.1", "unknown frames are ignored", frame(0xFA, 0xFF, 0, bytes(30)), frame(0xFA, 0, 7), call(), expect=FINE),
    rule("4.1", "unknown flags are ignored", frame(PING, 0xFE, 0, bytes(8)),
         frame(HEADERS, 0xD2 | END_HEADERS, 1, FIELDS), frame(DATA, 0xF6 | END_STREAM, 1, message()), expect=FINE),
    rule("4.1", "the reserved bit is ignored", frame(HEADERS, END_HEADERS, 0x80000001, FIELDS),
         frame(DATA, END_STREAM, 0x80000001, message()), expect=FINE),
    rule("5.5", "unknown frame in a field block", frame(HEADERS, 0, 1, FIELDS), frame(0xFA, 0, 1), expect=PROTOCOL),
    # ---- 4.2: the size of frames ----
    rule("4.2", "DATA too large", opened(), frame(DATA, 0, 1, bytes(FRAME_MAX + 1)),
         expect=(SIZE, "stream FRAME_SIZE_ERROR")),
    rule("4.2", "HEADERS too large", frame(HEADERS, END_HEADERS, 1, bytes(FRAME_MAX + 1)), expect=SIZE),
    rule("4.2", "CONTINUATION too large", frame(HEADERS, 0, 1, FIELDS), frame(CONTINUATION, 4, 1, bytes(FRAME_MAX + 1)),
         expect=SIZE),
    rule("4.2", "SETTINGS too large", settings(*[(0xFA, 0)] * 2731), expect=SIZE),
    rule("4.2", "largest frame", opened(method=UPLOAD), data(1, upload_message(FRAME_MAX), end=True), expect=FINE),
    # ---- 4.3: field blocks ----
    rule("4.3", "index of nothing", frame(HEADERS, END_HEADERS, 1, FIELDS + b"\xff\x80\x01"), expect=COMPRESSION),
    rule("4.3", "index zero", frame(HEADERS, END_HEADERS, 1, b"\x80" + FIELDS), expect=COMPRESSION),
    rule("4.3", "cut string", frame(HEADERS, END_HEADERS, 1, FIELDS + b"\x00\x05abc"), expect=COMPRESSION),
    rule("4.3", "bad Huffman code", frame(HEADERS, END_HEADERS, 1, FIELDS + b"\x00\x82\xff\xff\x00"),
         expect=COMPRESSION),
    rule("4.3", "endless number", frame(HEADERS, END_HEADERS, 1, b"\xff" + b"\xff" * 20 + FIELDS), expect=COMPRESSION),
    rule("4.3.1", "table larger than announced", frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\x0f" + FIELDS),
         expect=COMPRESSION),
    rule("4.3.1", "table size after a field", frame(HEADERS, END_HEADERS, 1, FIELDS + b"\x20"), expect=COMPRESSION),
    rule("4.3.1", "table size first", frame(HEADERS, END_HEADERS, 1, b"\x20" + FIELDS), data(1, message(), end=True),
         expect=FINE),
    rule("4.3", "field block in pieces", frame(HEADERS, 0, 1, FIELDS[:3]), frame(CONTINUATION, 0, 1, FIELDS[3:40]),
         frame(CONTINUATION, 0, 1), frame(CONTINUATION, END_HEADERS, 1, FIELDS[40:]), data(1, message(), end=True),
         expect=FINE),
    # ---- 5.1: the states of a stream ----
    rule("5.1", "idle: DATA", data(1, message()), expect=PROTOCOL),
    rule("5.1", "idle: RST_STREAM", rst_stream(1), expect=PROTOCOL),
    rule("5.1", "idle: WINDOW_UPDATE", window_update(1, 1), expect=PROTOCOL),
    rule("5.1", "idle: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, FIELDS), expect=PROTOCOL),
    rule("5.1", "idle: PRIORITY", frame(PRIORITY, 0, 1, bytes(5)), call(), expect=FINE),
    rule("5.1", "half-closed: DATA", SLOW_DOWNLOAD, data(1, message()), expect=STREAM_CLOSED),
    rule("5.1", "half-closed: HEADERS", SLOW_DOWNLOAD, headers(1, [("x", "y")], end=True), expect=STREAM_CLOSED),
    rule("5.1", "half-closed: WINDOW_UPDATE, PRIORITY", SLOW_DOWNLOAD, window_update(1, 5),
         frame(PRIORITY, 0, 1, bytes(5)), call(3), stream=3, expect=FINE),
    rule("5.1", "closed by RST_STREAM: DATA", opened(), rst_stream(1), data(1, message()), call(3), stream=3,
         expect=(FINE, "connection STREAM_CLOSED")),
    rule("5.1", "closed by RST_STREAM: HEADERS", opened(), rst_stream(1), headers(1, request(), end=True), call(3),
         stream=3, expect=(FINE, "connection STREAM_CLOSED", PROTOCOL)),
    rule("5.1", "closed by both: HEADERS", call(), until_it_is_answered, call(), call(3), stream=3,
         expect=(FINE, "connection STREAM_CLOSED", PROTOCOL)),
    rule("5.1", "closed by both: WINDOW_UPDATE, PRIORITY", call(), until_it_is_answered, window_update(1, 5),
         frame(PRIORITY, 0, 1, bytes(5)), call(3), stream=3, expect=FINE),
    # ---- 5.1.1: identifiers; 5.1.2: concurrency ----
    rule("5.1.1", "an even stream", call(2), stream=2, expect=PROTOCOL),
    rule("5.1.1", "a lower stream", call(5), call(3), call(7), stream=7,
         expect=(FINE, PROTOCOL, "connection STREAM_CLOSED")),
    rule("5.1.1", "streams may be skipped", call(5), call(101), stream=101, expect=FINE),
    rule("5.1.2", "one call too many", one_call_too_many, stream=2001,
         expect=(MALFORMED, "stream REFUSED_STREAM", PROTOCOL)),
    # ---- 6.1: DATA ----
    rule("6.1", "DATA on stream 0", data(0, b"x"), expect=PROTOCOL),
    rule("6.1", "DATA padded", opened(method=UPLOAD), padded(DATA, upload_message(300), 200), data(1, end=True),
         expect=FINE),
    rule("6.1", "DATA of padding alone", opened(method=UPLOAD), padded(DATA, b"", 9), data(1, end=True), expect=FINE),
    rule("6.1", "DATA padded beyond its end", opened(), padded(DATA, b"abc", 0, claimed=4), expect=PROTOCOL),
    rule("6.1", "DATA padded without a length", opened(), frame(DATA, PADDED, 1), expect=(SIZE, PROTOCOL)),
    # ---- 6.2: HEADERS ----
    rule("6.2", "HEADERS on stream 0", headers(0, request()), expect=PROTOCOL),
    rule("6.2", "HEADERS padded", padded(HEADERS, FIELDS, 77, END_HEADERS), data(1, message(), end=True), expect=FINE),
    rule("6.2", "HEADERS padded beyond their end", padded(HEADERS, b"abc", 0, END_HEADERS, claimed=4), expect=PROTOCOL),
    rule("6.2", "HEADERS padded without a length", frame(HEADERS, PADDED | END_HEADERS, 1), expect=(SIZE, PROTOCOL)),
    rule("6.2", "HEADERS with a priority", frame(HEADERS, HAS_PRIORITY | END_HEADERS, 1, number(0) + b"\x10" + FIELDS),
         data(1, message(), end=True), expect=FINE),
    rule("6.2", "HEADERS cut in their priority", frame(HEADERS, HAS_PRIORITY | END_HEADERS, 1, b"\0\0\0"), expect=SIZE),
    rule("6.2", "HEADERS within a field block", frame(HEADERS, 0, 1, FIELDS), headers(3, request()), expect=PROTOCOL),
    # ---- 6.3: PRIORITY ----
    rule("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, bytes(5)), expect=PROTOCOL),
    rule("6.3", "PRIORITY of 4 bytes", opened(), frame(PRIORITY, 0, 1, bytes(4)),
         expect=(SIZE, "stream FRAME_SIZE_ERROR")),
    rule("6.3", "PRIORITY anywhere is ignored", frame(PRIORITY, 0, 9, number(7) + b"\xff"), call(), expect=FINE),
    # ---- 6.4: RST_STREAM ----
    rule("6.4", "RST_STREAM on stream 0", rst_stream(0), expect=PROTOCOL),
    rule("6.4", "RST_STREAM of 3 bytes", opened(), frame(RST_STREAM, 0, 1, bytes(3)), expect=SIZE),
    rule("7", "RST_STREAM with an unknown error", opened(), rst_stream(1, 0xBAD), call(3), stream=3, expect=FINE),
    # ---- 6.5: SETTINGS ----
    rule("6.5", "SETTINGS on a stream", settings(stream=1), expect=PROTOCOL),
    rule("6.5", "acknowledgement with a payload", settings((MAX_STREAMS, 1), flags=ACK), expect=SIZE),
    rule("6.5", "SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, bytes(5)), expect=SIZE),
    rule("6.5.2", "ENABLE_PUSH of 2", settings((ENABLE_PUSH, 2)), expect=PROTOCOL),
    rule("6.5.2", "INITIAL_WINDOW_SIZE of 2^31", settings((INITIAL_WINDOW, WINDOW_MAX + 1)), expect=FLOW),
    rule("6.5.2", "MAX_FRAME_SIZE of 16383", settings((MAX_FRAME_SIZE, FRAME_MAX - 1)), expect=PROTOCOL),
    rule("6.5.2", "MAX_FRAME_SIZE of 2^24", settings((MAX_FRAME_SIZE, 1 << 24)), expect=PROTOCOL),
    rule("6.5.2", "an unknown setting is ignored", settings((0xFA, 7), (0, 1)), call(), expect=FINE),
    rule("6.5.2", "legal values", settings((HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 1), (MAX_STREAMS, 0),
                                           (INITIAL_WINDOW, WINDOW_MAX), (MAX_FRAME_SIZE, 1 << 20)),
         call(), expect=FINE),
    # ---- 6.6: PUSH_PROMISE ----
    rule("6.6", "PUSH_PROMISE by a client", opened(), frame(PUSH_PROMISE, END_HEADERS, 1, number(2) + FIELDS),
         expect=PROTOCOL),
    # ---- 6.7: PING ----
    rule("6.7", "PING on a stream", frame(PING, 0, 1, bytes(8)), expect=PROTOCOL),
    rule("6.7", "PING of 6 bytes", frame(PING, 0, 0, bytes(6)), expect=SIZE),
    rule("6.7", "an unasked answer is ignored", frame(PING, ACK, 0, bytes(8)), call(), expect=FINE),
    # ---- 6.8: GOAWAY ----
    rule("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), expect=PROTOCOL),
    rule("6.8", "GOAWAY of 7 bytes", frame(GOAWAY, 0, 0, bytes(7)), expect=SIZE),
    rule("6.8", "a call outlives GOAWAY", opened(method=UPLOAD), frame(GOAWAY, 0, 0, bytes(8)), data(1, end=True),
         expect=FINE),
    # ---- 6.9: WINDOW_UPDATE and flow control ----
    rule("6.9", "a stream's window by 0", opened(), window_update(1, 0), expect=(MALFORMED, PROTOCOL)),
    rule("6.9", "the connection's window by 0", window_update(0, 0), expect=PROTOCOL),
    rule("6.9", "WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), expect=SIZE),
    rule("6.9.1", "a stream's window beyond 2^31-1", opened(), window_update(1, WINDOW_MAX),
         expect="stream FLOW_CONTROL_ERROR"),
    rule("6.9.1", "the connection's window beyond 2^31-1", window_update(0, WINDOW_MAX), expect=FLOW),
    rule("6.9.1", "more than a stream's window", opened(), whole_window_and_more,
         expect=(FLOW, "stream FLOW_CONTROL_ERROR")),
    rule("6.9.2", "settings that make a window too large", opened(), window_update(1, 1 << 20), until_both_know,
         settings((INITIAL_WINDOW, WINDOW_MAX)), expect=(FLOW, "stream FLOW_CONTROL_ERROR")),
    # ---- 6.10: CONTINUATION ----
    rule("6.10", "CONTINUATION on stream 0", frame(CONTINUATION, END_HEADERS, 0, FIELDS), expect=PROTOCOL),
    rule("6.10", "CONTINUATION of another stream", frame(HEADERS, 0, 1, FIELDS), frame(CONTINUATION, END_HEADERS, 3),
         expect=PROTOCOL),
    rule("6.10", "CONTINUATION after the end", opened(), frame(CONTINUATION, END_HEADERS, 1, FIELDS), expect=PROTOCOL),
    rule("6.10", "CONTINUATION after DATA", opened(), data(1, message()), frame(CONTINUATION, END_HEADERS, 1, FIELDS),
         expect=PROTOCOL),
    rule("6.10", "DATA within a field block", frame(HEADERS, 0, 1, FIELDS), data(1), expect=PROTOCOL),
    rule("6.10", "PING within a field block", frame(HEADERS, 0, 1, FIELDS), frame(PING, 0, 0, bytes(8)),
         expect=PROTOCOL),
)
