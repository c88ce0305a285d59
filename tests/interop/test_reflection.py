"""`buf curl` without a schema: it asks flocksd for it by reflection, over the unix socket. buf comes from npm into the build
directory."""

import base64
import json
import re
import subprocess

import pytest

from conftest import name_of
from peers import PROTO, buf

URL = "http://localhost"
SUPERVISOR = "flocks.v1.SupervisorService"
SERVED = [
    "flocks.v1.SupervisorService",
    "flocks.v1.UpgradeService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]
# buf's exit code is eight times the status' code.
NOT_FOUND = 5 * 8


@pytest.fixture(scope="module")
def program():
    return buf()


@pytest.fixture
def curl(program, socket_path):
    """A function that runs `buf curl`; its output, and its exit code if `code` is another than 0."""

    def do(*arguments, code=0):
        done = subprocess.run(
            [str(program), "curl", "--unix-socket", str(socket_path), "--protocol", "grpc", "--http2-prior-knowledge",
             *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    return do


def declared():
    """Every method of the API, as a reader of our protos sees them."""
    for file in ("supervisor", "upgrade"):
        text = (PROTO / "flocks" / "v1" / f"{file}.proto").read_text()
        service = re.search(r"^service (\w+)", text, re.M)[1]
        yield from (f"flocks.v1.{service}/{method}" for method in re.findall(r"^  rpc (\w+)", text, re.M))


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
def test_services_and_methods_are_listed(curl, protocol):
    reflect = ("--reflect-protocol", protocol)
    assert curl(*reflect, "--list-services", URL).split() == SERVED
    methods = set(curl(*reflect, "--list-methods", URL).split())
    assert {one for one in methods if one.startswith("flocks.")} == set(declared())
    assert {"grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"} < methods


def test_unary_call_without_a_schema(curl):
    answer = json.loads(curl("-d", json.dumps({"services": [name_of(7)]}), f"{URL}/{SUPERVISOR}/GetStatus"))
    (service,) = answer["services"]
    assert (service["name"], service["state"]) == (name_of(7), "SERVICE_STATE_HEALTHY")
    assert answer["daemon"]["pid"] > 0


def test_failure_shows_the_typed_detail(curl):
    said = json.loads(curl("-d", '{"services": ["nobody"]}', f"{URL}/{SUPERVISOR}/GetStatus", code=NOT_FOUND))
    assert (said["code"], said["details"][0]["type"]) == ("not_found", "flocks.v1.ErrorDetail")
    assert b"nobody" in base64.b64decode(said["details"][0]["value"] + "===")


def test_server_stream_without_a_schema(flock, program, socket_path):
    """A snapshot, then events, as they come."""
    command = [str(program), "curl", "--unix-socket", str(socket_path), "--protocol", "grpc", "--http2-prior-knowledge",
               "-d", json.dumps({"services": [name_of(8)]}), f"{URL}/{SUPERVISOR}/WatchEvents"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        try:
            items = decode_all(watch.stdout)
            (snapshot,) = next(items)["snapshot"]["services"]
            assert snapshot["name"] == name_of(8)
            flock.flocks("restart", name_of(8), check=0)
            states = []
            while "SERVICE_STATE_HEALTHY" not in states:
                states += [item["event"].get("service", {}).get("status", {}).get("state") for item in [next(items)]]
            assert "SERVICE_STATE_STOPPING" in states
        finally:
            watch.kill()


def decode_all(stream):
    """JSON values, one after the other, as soon as each is whole."""
    decoder, text = json.JSONDecoder(), ""
    for line in stream:
        text += line
        try:
            value, end = decoder.raw_decode(text.lstrip())
        except json.JSONDecodeError:
            continue
        text = text.lstrip()[end:]
        yield value


def test_health_is_called_and_watched(curl, program, socket_path):
    health = f"{URL}/grpc.health.v1.Health"
    for name in ("", name_of(9), SUPERVISOR):
        assert json.loads(curl("-d", json.dumps({"service": name}), f"{health}/Check")) == {"status": "SERVING"}
    assert json.loads(curl("-d", '{"service": "unready"}', f"{health}/Check")) == {"status": "NOT_SERVING"}
    assert json.loads(curl("-d", '{"service": "nobody"}', f"{health}/Check", code=NOT_FOUND))["code"] == "not_found"
    command = [str(program), "curl", "--unix-socket", str(socket_path), "--protocol", "grpc", "--http2-prior-knowledge",
               "-d", '{"service": "nobody"}', f"{health}/Watch"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        try:
            assert next(decode_all(watch.stdout)) == {"status": "SERVICE_UNKNOWN"}
            assert watch.poll() is None
        finally:
            watch.kill()
