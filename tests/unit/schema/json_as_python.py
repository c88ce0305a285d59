"""JSON as Python's protobuf has it: the same messages through json_tool (C) and json_format, both ways."""

import importlib
import json
import random
import struct
import subprocess
import sys
import tempfile

from google.protobuf import json_format

TOOL, PROTOC, *PATHS = sys.argv[1:]
SEED = 20260724
RANDOM_MESSAGES = 300


def load_zoo(directory):
    subprocess.run([PROTOC, *PATHS, f"--python_out={directory}", "zoo.proto", "flocks/v1/options.proto"],
                   check=True)
    sys.path.insert(0, directory)
    return importlib.import_module("zoo_pb2")


def run(mode, blobs):
    data = b"".join(struct.pack("=I", len(blob)) + blob for blob in blobs)
    out = subprocess.run([TOOL, mode], input=data, stdout=subprocess.PIPE, check=True).stdout
    result = []
    while out:
        length, = struct.unpack("=I", out[:4])
        result.append(out[4:4 + length])
        out = out[4 + length:]
    assert len(result) == len(blobs)
    return result


def edge_messages(pb):
    yield pb.Zoo()
    yield pb.Zoo(small=-2**31, large=-2**63, small_unsigned=2**32 - 1, large_unsigned=2**64 - 1,
                 small_zigzag=2**31 - 1, large_zigzag=2**63 - 1, small_fixed=1, large_fixed=2**63,
                 small_signed_fixed=-1, large_signed_fixed=-2**63)
    for real in (0.1, 1e300, 5e-324, float("inf"), float("-inf"), 123456789.0, 2.0**53):
        yield pb.Zoo(precise=real, reals=[real, -real])
    for real in (0.1, 3.4028234663852886e38, 1e-45, 16777216.0, float("inf")):
        yield pb.Zoo(ratio=real)
    yield pb.Zoo(text="\u0000\u001f\"\\/\u007fé\u2028\U0001f600".replace("\u0000", ""), texts=["", "a\tb\nc"])
    yield pb.Zoo(data=bytes(range(256)), blobs=[b"", b"a", b"ab", b"abc"])
    yield pb.Zoo(colour=1, colours=[0, 1, -2, 77])
    yield pb.Zoo(leaf=pb.Leaf(), leaves=[pb.Leaf(), pb.Leaf(name="x", size=3)])
    yield pb.Zoo(choice_text="")
    yield pb.Zoo(choice_number=0)
    yield pb.Zoo(choice_leaf=pb.Leaf(size=1))
    for seconds, nanos in ((0, 0), (1, 500000000), (-1, -1), (315576000000, 0), (0, 1000), (5, 20000000)):
        message = pb.Zoo()
        message.lasts.seconds, message.lasts.nanos = seconds, nanos
        message.durations.add().CopyFrom(message.lasts)
        yield message
    for seconds, nanos in ((0, 0), (-62135596800, 0), (253402300799, 999999999), (951782400, 1000), (-1, 5)):
        message = pb.Zoo()
        message.since.seconds, message.since.nanos = seconds, nanos
        yield message
    message = pb.Zoo()
    message.anything.Pack(pb.Leaf(name="inside", size=9))
    yield message
    message = pb.Zoo(pairs={"a": "1", "": "empty"}, by_truth={True: 2**64 - 1, False: 0}, by_large={2**64 - 1: 1})
    message.by_number[-5].size = 4
    yield message


def random_message(pb, rng):
    message = pb.Zoo(
        small=rng.randint(-2**31, 2**31 - 1), large=rng.randint(-2**63, 2**63 - 1),
        large_unsigned=rng.randint(0, 2**64 - 1), precise=rng.uniform(-1e10, 1e10),
        ratio=rng.randint(-10**6, 10**6) / 64, truth=rng.random() < 0.5,
        text="".join(chr(rng.choice((rng.randint(1, 0x7f), rng.randint(0x80, 0xd7ff), rng.randint(0x10000, 0x10ffff))))
                     for _ in range(rng.randint(0, 12))),
        data=rng.randbytes(rng.randint(0, 9)), numbers=[rng.randint(-9, 9) for _ in range(rng.randint(0, 4))])
    message.since.seconds = rng.randint(-62135596800, 253402300799)
    message.since.nanos = rng.choice((0, rng.randint(0, 999) * 10**6, rng.randint(0, 999999) * 1000,
                                      rng.randint(0, 999999999)))
    message.lasts.seconds = rng.randint(0, 10**9)
    message.lasts.nanos = rng.randint(0, 999999999)
    for _ in range(rng.randint(0, 3)):
        message.leaves.add(name=str(rng.random()), size=rng.randint(0, 9))
        message.pairs[str(rng.random())] = "x"
    return message


def ordered(text):
    """Members with their order; entries of maps without it, which JSON does not promise."""
    def members(pairs):
        names = [name for name, _ in pairs]
        assert len(set(names)) == len(names), f"a name twice: {names}"
        return dict(pairs)
    return json.loads(text, object_pairs_hook=members)


def main():
    with tempfile.TemporaryDirectory() as directory:
        pb = load_zoo(directory)
        rng = random.Random(SEED)
        messages = list(edge_messages(pb)) + [random_message(pb, rng) for _ in range(RANDOM_MESSAGES)]
        ours = run("write", [message.SerializeToString() for message in messages])
        for message, text in zip(messages, ours):
            theirs = json_format.MessageToJson(
                message, including_default_value_fields=True, preserving_proto_field_name=True)
            a, b = ordered(text.decode()), ordered(theirs)
            assert a == b, f"differs\nours:   {text.decode()}\ntheirs: {theirs}"
            known = [field.name for field in pb.Zoo.DESCRIPTOR.fields if field.name in a]
            assert list(a) == known, f"not in the order of field numbers: {list(a)}"
        for source in ("ours", "theirs", "camel"):
            texts = {
                "ours": lambda m, t: t,
                "theirs": lambda m, t: json_format.MessageToJson(m, preserving_proto_field_name=True).encode(),
                "camel": lambda m, t: json_format.MessageToJson(m).encode(),
            }[source]
            packed = run("read", [texts(message, text) for message, text in zip(messages, ours)])
            for message, blob in zip(messages, packed):
                back = pb.Zoo.FromString(blob)
                assert back == message, f"{source} read differently:\n{back}\n--\n{message}"
    print(f"{len(messages)} messages: the same text, and read back the same")


if __name__ == "__main__":
    main()
