"""RFC 9113, 10.5: legal frames, in such numbers that they can only be meant to cost us something. The bounds stand in
docs/protocol.md; honest clients stay far below."""

from http2 import (
    CONTINUATION, DATA, HEADERS, PADDED, PING, PRIORITY, block, data, frame, opened, request, rst_stream, settings,
    window_update,
)  # fmt: skip
from rules import rule

CALM = "connection ENHANCE_YOUR_CALM"
MANY = 20000
WINDOW_MAX = (1 << 31) - 1


def flood(name, *parts):
    return rule("10.5", f"flood: {name}", *parts, expect=CALM, stream=0)


def streams(make):
    return b"".join(make(1 + 2 * i) for i in range(3000))


RULES = (
    flood("streams that are reset", streams(lambda stream: opened(stream) + rst_stream(stream))),
    flood("streams that we are made to reset", streams(lambda stream: opened(stream) + window_update(stream, WINDOW_MAX))),
    flood("malformed requests", streams(lambda stream: opened(stream, path=""))),
    flood("SETTINGS", settings() * MANY),
    flood("PING", frame(PING, 0, 0, bytes(8)) * MANY),
    flood("PRIORITY", frame(PRIORITY, 0, 1, bytes(5)) * MANY),
    flood("unknown frames", frame(0xFA) * MANY),
    flood("windows", opened(), window_update(1, 1) * MANY),
    flood("empty DATA", opened(), data(1) * MANY),
    flood("padding", opened(), frame(DATA, PADDED, 1, b"\0") * MANY),
    flood("CONTINUATION", frame(HEADERS, 0, 1, block(*request())), frame(CONTINUATION, 0, 1) * 1000),
)
