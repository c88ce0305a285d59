"""grpc_test_server, and the gRPC clients of other languages that exercise it."""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from instance import BUILD, REPOSITORY
from peers import HERE, KEPT, GoPeer, run

SERVER = BUILD / "bin" / "grpc_test_server"
GRPC_PROTO = Path("/usr/share/grpc-proto")
OWN_PROTO = HERE / "proto"
TEST_PROTOS = tuple(f"grpc/testing/{name}.proto" for name in ("test", "messages", "empty"))
MIRROR_PROTO = "flocks/testing/v1/mirror.proto"
STATUS_PROTO = "flocks/ttrpc/v1/ttrpc.proto"
PATHS = (GRPC_PROTO, OWN_PROTO, REPOSITORY / "proto")
# Freed memory would be counted as held.
SANITIZER = "quarantine_size_mb=1:malloc_context_size=2"
# @grpc/grpc-js and what reads protos for it; nothing else is downloaded.
NODE_PACKAGES = ("@grpc/grpc-js@1.14.0", "@grpc/proto-loader@0.8.0")


class TestServer:
    """A grpc_test_server that runs."""

    def __init__(self, directory):
        self.socket = directory / "grpc.sock"
        self.log = directory / "log"
        options = ":".join(part for part in (os.environ.get("ASAN_OPTIONS"), SANITIZER) if part)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [SERVER, self.socket], stdout=subprocess.PIPE, stderr=log, env={**os.environ, "ASAN_OPTIONS": options}
            )
        assert self.process.stdout.readline() == b"ready\n", self.log.read_text()

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self):
        """Ends it; nothing may have been lost, and no sanitizer have spoken. A call that was left behind, which no
        client waits for, would make it wait for five seconds."""
        self.process.terminate()
        try:
            said, _ = self.process.communicate(timeout=4)
        finally:
            self.process.kill()
            self.process.wait()
        assert self.process.returncode == 0, (self.process.returncode, said, self.log.read_text()[-4000:])


@contextmanager
def running_server():
    directory = Path(tempfile.mkdtemp(prefix="interop-", dir="/tmp"))
    try:
        server = TestServer(directory)
        try:
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def exercise(command, **environment):
    """The cases of one program: name -> what it says, "ok" or why not."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
    )
    outcomes = {}
    for line in done.stdout.splitlines():
        word, name, *rest = [*line.split(" ", 2), ""]
        if word in ("ok", "FAIL"):
            outcomes[name] = "ok" if word == "ok" else rest[0] or "fails"
    assert done.returncode == 0 and outcomes, done.stdout[-4000:]
    return outcomes


def includes():
    return [f"--proto_path={path}" for path in PATHS]


def python_modules():
    """The directory of what protoc and grpcio's plugin make of the protos."""
    generated = KEPT / "grpc-python"
    generated.mkdir(parents=True, exist_ok=True)
    run(["protoc", *includes(), f"--python_out={generated}", "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
         f"--grpc_out={generated}", *TEST_PROTOS, MIRROR_PROTO, STATUS_PROTO])
    return generated


def python_messages():
    """The modules of grpc.testing's messages and of the mirror's, for a test that speaks HTTP/2 itself."""
    generated = python_modules()
    sys.path.insert(0, str(generated))
    grpc = importlib.import_module("grpc")
    # What is generated for the package grpc.testing lies in a second directory of the package grpc.
    grpc.__path__.append(str(generated / "grpc"))
    return tuple(map(importlib.import_module, ("grpc.testing.messages_pb2", "flocks.testing.v1.mirror_pb2")))


def python(socket):
    return exercise(["/usr/bin/python3", HERE / "python" / "exercise.py", socket], PYTHONPATH=str(python_modules()))


def node(socket):
    """npm's packages, once for each set of versions, into the build directory."""
    home = KEPT / "grpc-node" / "-".join(package.rpartition("@")[2] for package in NODE_PACKAGES)
    if not (home / "complete").exists():
        home.mkdir(parents=True, exist_ok=True)
        # Node brings a list of certificate authorities of its own; those that this system trusts count as well.
        authorities = {"NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt", **os.environ}
        run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--no-save", "--prefix", home, *NODE_PACKAGES],
            env=authorities)
        (home / "complete").touch()
    return exercise(
        ["node", HERE / "node" / "exercise.js", socket, *PATHS], NODE_PATH=str(home / "node_modules")
    )


class GoGrpcPeer(GoPeer):
    """Debian's grpc-go 1.33 and its generators."""

    PACKAGES = ",".join(
        [f"M{proto}=grpc/testing" for proto in TEST_PROTOS] + [f"M{MIRROR_PROTO}=flocks/testing/v1;testingv1"]
    )

    def __init__(self):
        super().__init__()
        self.generated = KEPT / "grpc-go"
        self.environment["GOPATH"] = f"{self.generated}:/usr/share/gocode"

    def generate(self):
        sources = self.generated / "src"
        sources.mkdir(parents=True, exist_ok=True)
        run(["protoc", *includes(), f"--go_out={self.PACKAGES}:{sources}", f"--go-grpc_out={self.PACKAGES}:{sources}",
             *TEST_PROTOS, MIRROR_PROTO])

    def build(self, name="exercise"):
        program = self.generated / "bin" / name
        self.path.mkdir(parents=True, exist_ok=True)
        run(["/usr/bin/go", "build", "-o", program, HERE / "go_grpc" / "main.go"], env=self.environment)
        return program


def go(socket):
    peer = GoGrpcPeer()
    peer.generate()
    return exercise([peer.build(), socket])


def ruby_client():
    """The official interop client, as Debian's ruby-grpc installs it."""
    (home,) = run(["ruby", "-e", "print Gem::Specification.find_by_name('grpc').gem_dir"]).splitlines()
    client = Path(home) / "src" / "ruby" / "pb" / "test" / "client.rb"
    assert client.exists(), client
    return client
