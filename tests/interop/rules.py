"""A rule that a server must hold, as a row of a table."""

from dataclasses import dataclass

from http2 import data, headers, message, request

FINE = "grpc 0"
INTERNAL, UNIMPLEMENTED, EXHAUSTED, INVALID, UNKNOWN = "grpc 13", "grpc 12", "grpc 8", "grpc 3", "grpc 2"
# A malformed request is a stream error (RFC 9113, 8.1.1).
MALFORMED = "stream PROTOCOL_ERROR"
PROTOCOL, SIZE, FLOW = "connection PROTOCOL_ERROR", "connection FRAME_SIZE_ERROR", "connection FLOW_CONTROL_ERROR"
COMPRESSION = "connection COMPRESSION_ERROR"


@dataclass(frozen=True)
class Rule:
    """What a client sends, and what becomes of the call on `stream`: one of `expected`."""

    section: str
    name: str
    # Bytes, or functions that make them for a connection.
    parts: tuple
    expected: tuple
    stream: int
    # In place of the preface and empty SETTINGS.
    greeting: tuple

    def __str__(self):
        return f"{self.section} {self.name}".replace(" ", "_")


def rule(section, name, *parts, expect, stream=1, greeting=()):
    return Rule(section, name, parts, (expect,) if isinstance(expect, str) else expect, stream, greeting)


def fields(*added, without=()):
    """A request's fields: `added` pseudo headers stand first, other fields last."""
    kept = [field for field in request() if field[0] not in without]
    first = [field for field in added if bytes_of(field[0]).startswith(b":")]
    return first + kept + [field for field in added if field not in first]


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode()


def asked(*added, without=()):
    """A whole call with these fields."""
    return headers(1, fields(*added, without=without)) + data(1, message(), end=True)


def malformed(section, name, *added, without=()):
    return rule(section, name, asked(*added, without=without), expect=MALFORMED)
