"""The echo servers and clients that tools/bench/rpc compares, each as a command that can be pinned."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import procfs

HERE = Path(__file__).resolve().parent
READY_LIMIT_S = 20
GOCODE = "/usr/share/gocode"


def pinned(cpus):
    """For Popen: the child runs on these processors only, before its first instruction."""
    return (lambda: os.sched_setaffinity(0, cpus)) if cpus else None


def run(command, cpus, timeout=300):
    """Output of a client; fails when it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(
        words, capture_output=True, text=True, timeout=timeout, preexec_fn=pinned(cpus)
    )
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: exit {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def numbers(command, cpus):
    """One number a line."""
    return [int(line) for line in run(command, cpus).split()]


class Server:
    """A running echo server. `with` starts and ends it."""

    def __init__(self, command, root, cpus):
        self.path = Path(root) / "socket"
        self.command = [str(word) for word in command] + [str(self.path)]
        self.cpus = cpus
        self.process = None

    def __enter__(self):
        self.path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(self.cpus)
        )
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{self.command[0]} did not start")
        return self

    def __exit__(self, *unused):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def cpu_ns(self):
        """Processor time of all its threads so far."""
        return procfs.cpu_ns(self.process.pid)

    def pss_kib(self):
        return procfs.pss_kib([self.process.pid])


class GoPeer:
    """A Go program, built offline from Debian's sources: containerd's ttrpc here."""

    name = "gopeer"
    needed = ("go", "protoc", "protoc-gen-gogottrpc")
    package = "github.com/containerd/ttrpc"

    @classmethod
    def missing(cls):
        """What is not installed, or None."""
        for program in cls.needed:
            if not shutil.which(program):
                return program
        source = Path(GOCODE) / "src" / cls.package
        return None if source.is_dir() else str(source)

    @staticmethod
    def generate(echo):
        """protoc's options that write Go for echo.proto into the directory."""
        return [f"--gogottrpc_out=plugins=ttrpc:{echo}"]

    @classmethod
    def build(cls, directory):
        """Path of the program below `directory`, which keeps Go's cache for the next run."""
        workspace = Path(directory) / f"{cls.name}.go"
        echo = workspace / "src" / "echo"
        echo.mkdir(parents=True, exist_ok=True)
        main = workspace / "src" / cls.name
        main.mkdir(exist_ok=True)
        shutil.copy(HERE / cls.name / "main.go", main)
        subprocess.run(["protoc", f"--proto_path={HERE}", *cls.generate(echo), "echo.proto"], check=True)
        environment = {
            **os.environ,
            "GO111MODULE": "off",
            "GOFLAGS": "",
            "GOPATH": f"{workspace}:{GOCODE}",
            "GOCACHE": str(Path(directory) / "go-cache"),
            "GOTOOLCHAIN": "local",
        }
        program = workspace / cls.name
        subprocess.run(["go", "build", "-o", program, cls.name], env=environment, check=True)
        return program


class GoGrpcPeer(GoPeer):
    """grpc-go."""

    name = "gogrpc"
    needed = ("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc")
    package = "google.golang.org/grpc"

    @staticmethod
    def generate(echo):
        # Its generators want a path where ttrpc's are content with a name.
        options = "paths=source_relative,Mecho.proto=bench/echo"
        return [f"--go_out={options}:{echo}", f"--go-grpc_out={options}:{echo}"]
