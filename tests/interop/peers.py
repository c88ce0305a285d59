"""Peers in other languages, built from our protos by the generators and libraries that Debian has. What is built is
kept in the build directory; a peer that cannot be built fails its tests."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from go_protobuf import old_go_protobuf
from instance import BUILD, REPOSITORY

HERE = Path(__file__).resolve().parent
PROTO = REPOSITORY / "proto"
KEPT = BUILD / "interop"
MESSAGES = ("flocks/v1/types.proto", "flocks/v1/options.proto", "flocks/v1/config.proto")
SUPERVISOR, UPGRADE = "flocks/v1/supervisor.proto", "flocks/v1/upgrade.proto"


def run(command, seconds=600, **options):
    """Runs one step of a build; its output is in the failure."""
    options.setdefault("env", os.environ)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def keep(path, text):
    """Writes the file if it differs: cargo looks at times."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def buf():
    """The program, as tools/checks/proto pins it, from npm; fetched once."""
    version = re.search(r"^readonly version=(.*)$", (REPOSITORY / "tools" / "checks" / "proto").read_text(), re.M)[1]
    kept = KEPT / f"buf-{version}"
    program = kept / "node_modules" / ".bin" / "buf"
    if not program.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        # Node brings a list of certificate authorities of its own; those that this system trusts count as well.
        authorities = os.environ.get("NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt")
        new = Path(f"{kept}.new")
        run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--no-save", "--prefix", new,
             f"@bufbuild/buf@{version}"], env={**os.environ, "NODE_EXTRA_CA_CERTS": authorities})  # fmt: skip
        os.replace(new, kept)
    return program


class GoPeer:
    """The Go programs, as GOPATH/bin/<name>. Debian's packages have no modules: GOPATH mode."""

    # gogo's own types stand for the well-known ones, as its documentation has it.
    GOGO = "github.com/gogo/protobuf"
    MAP = ",".join(
        f"Mgoogle/protobuf/{name}.proto={package}"
        for name, package in (
            ("timestamp", f"{GOGO}/types"),
            ("duration", f"{GOGO}/types"),
            ("any", f"{GOGO}/types"),
            ("descriptor", f"{GOGO}/protoc-gen-gogo/descriptor"),
        )
    )

    def __init__(self):
        self.path = KEPT / "go"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GO111MODULE": "off",
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
            "GOPATH": f"{self.path}:{old_go_protobuf(KEPT)}:/usr/share/gocode",
            "GOCACHE": str(self.path / "cache"),
        }

    def generate(self):
        """protoc-gen-gogottrpc makes messages and the supervisor's stubs, protoc-gen-go-ttrpc those of upgrades;
        for a file without a service the latter writes what does not compile."""
        sources = self.path / "src"
        sources.mkdir(parents=True, exist_ok=True)
        protoc = ["protoc", f"--proto_path={PROTO}"]
        run([*protoc, f"--gogottrpc_out=plugins=ttrpc,{self.MAP}:{sources}", *MESSAGES, SUPERVISOR])
        run([*protoc, f"--gogottrpc_out={self.MAP}:{sources}", UPGRADE])
        run([*protoc, f"--go-ttrpc_out={sources}", UPGRADE])

    def build(self, name):
        program = self.path / "bin" / name
        run(["/usr/bin/go", "build", "-o", program, HERE / "go" / name / "main.go"], env=self.environment)
        return program


class RustPeer:
    """The Rust program, built by Debian's cargo from Debian's crates; without a network. ttrpc's manifest loses what
    its asynchronous half needs, which its sources leave out without that feature: most of the time to build it."""

    REGISTRY = Path("/usr/share/cargo/registry")
    TTRPC = "ttrpc-0.5.2"
    UNUSED = ("async-trait", "bytes", "futures", "tokio", "tokio-vsock")

    def __init__(self):
        self.path = KEPT / "rust"
        self.home = self.path / "home"
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "CARGO_HOME": str(self.home),
            "RUSTC": "/usr/bin/rustc",
            "CARGO_TARGET_DIR": str(self.path / "target"),
            "CARGO_PROFILE_DEV_DEBUG": "0",
            "FLOCKS_PROTO": str(PROTO),
        }

    def copy_ttrpc(self):
        copy = self.path / self.TTRPC
        original = self.REGISTRY / self.TTRPC
        shutil.copytree(original, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("Cargo.toml"))
        sections = re.split(r"(?m)^(?=\[)", (original / "Cargo.toml").read_text())
        unused = re.compile(rf"\[.*dependencies\.({'|'.join(self.UNUSED)})\]")
        keep(copy / "Cargo.toml", "".join(section for section in sections if not unused.match(section)))

    def prepare(self):
        """Where cargo finds crates; ttrpc among them."""
        self.home.mkdir(parents=True, exist_ok=True)
        keep(
            self.home / "config.toml",
            f'[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "{self.REGISTRY}"\n'
            f'[patch.crates-io]\nttrpc = {{ path = "{self.path / self.TTRPC}" }}\n',
        )
        self.copy_ttrpc()

    def build(self):
        self.prepare()
        # cargo writes its lock file beside the manifest. The tour makes its messages in the same way.
        crate = self.path / "crate"
        shutil.copytree(HERE / "rust", crate, dirs_exist_ok=True)
        shutil.copy2(REPOSITORY / "examples" / "clients" / "rust-ttrpc" / "build.rs", crate)
        run(["/usr/bin/cargo", "build", "--offline", "--quiet", "--manifest-path", crate / "Cargo.toml"],
            env=self.environment)
        return self.path / "target" / "debug" / "peer"


def ask(program, socket, command, *arguments, seconds=60):
    """One command of a peer; the JSON that it prints."""
    done = subprocess.run(
        [str(program), str(socket), command, *arguments], capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, f"{program.name} {command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


class Facts:
    """What a C program printed, one fact a line: facts["code"] is the rest of the first such line, all("service")
    of every one."""

    def __init__(self, text):
        self.lines = [line.partition(" ")[::2] for line in text.splitlines()]

    def __getitem__(self, name):
        return next(rest for word, rest in self.lines if word == name)

    def __contains__(self, name):
        return any(word == name for word, _ in self.lines)

    def all(self, name):
        return [rest for word, rest in self.lines if word == name]


def tell(program, socket, command, *arguments, seconds=60):
    """One command of a program, of the build directory's tests if it is no path; its facts."""
    done = subprocess.run(
        [str(BUILD / "tests" / program), str(socket), command, *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, f"{program} {command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Facts(done.stdout)
