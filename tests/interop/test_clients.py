"""The tours of examples/clients, each as its README says: its commands are run here, against a supervisor with two
services, and what the README shows is what must be printed, but for the numbers."""

import os
import re
import shutil
import subprocess
import time

import pytest

from go_protobuf import old_go_protobuf
from instance import BUILD, PYTHON, REPOSITORY, running_root
from peers import KEPT, GoPeer, RustPeer, run
from ports import free_port
from tcp import wait_until_served

CLIENTS = REPOSITORY / "examples" / "clients"
TREE = KEPT / "clients"
# Installed from this build: what a program in C finds.
PREFIX = TREE / "prefix"
COMPONENTS = ("crpc-runtime", "crpc-devel", "flocks-runtime", "flocks-devel", "flocks-nano-devel")
# What the READMEs' commands make; stays from one run to the next.
MADE = ("generated", "gopath", "target", "dist", "node_modules", "tour", "Cargo.lock")
LOG_LINES = 5
BUILD_S, TOUR_S = 600, 120
RUNNING = "restart: RUNNING, # of #"

# Says which request it is at, and takes a moment to end, so that a restart has something to tell.
BACKEND = """
import signal, sys, time
def end(*_):
    time.sleep(0.2)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
for number in range(1, 1 << 30):
    print("request", number, flush=True)
    time.sleep(0.02)
"""


def debian_first():
    return {"PATH": f"/usr/bin:/bin:{os.environ['PATH']}"}


def installed_c():
    for component in COMPONENTS:
        run(["cmake", "--install", BUILD, "--prefix", PREFIX, "--component", component])
    # Sanitized libraries need a program that is.
    cache = (BUILD / "CMakeCache.txt").read_text()
    compiler, flags = (
        re.search(rf"^{name}:\w+=(.*)$", cache, re.M)[1] for name in ("CMAKE_C_COMPILER", "CMAKE_C_FLAGS")
    )
    return {
        "CC": compiler,
        "CFLAGS": flags,
        "PKG_CONFIG_PATH": str(PREFIX / "lib" / "pkgconfig"),
        "LD_LIBRARY_PATH": str(PREFIX / "lib"),
    }


def go(*gopath):
    return {**debian_first(), "GOPATH": ":".join(map(str, gopath)), "GOCACHE": GoPeer().environment["GOCACHE"]}


def rust():
    peer = RustPeer()
    peer.prepare()
    return peer.environment


def node():
    # It brings a list of certificate authorities of its own; those that this system trusts count as well.
    authorities = os.environ.get("NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt")
    return {"NODE_EXTRA_CA_CERTS": authorities}


# What a reader's machine has by itself, by directory of examples/clients.
ENVIRONMENTS = {
    "python": debian_first,
    "node": node,
    "go-grpc": lambda: go("/usr/share/gocode"),
    "buf-curl": node,
    "c": installed_c,
    "c-nano": installed_c,
    "go-ttrpc": lambda: go(old_go_protobuf(KEPT), "/usr/share/gocode"),
    "rust-ttrpc": rust,
}
WITHOUT_STREAMS = ("c-nano", "go-ttrpc", "rust-ttrpc")


@pytest.fixture(scope="module")
def flock():
    with running_root() as instance:
        program = instance.root / "backend.py"
        program.write_text(BACKEND)
        instance.tcp_port = free_port()
        instance.write(
            f"daemon: {{tcp: true, port: {instance.tcp_port}}}\n"
            f"services:\n  backend: {{command: [{PYTHON}, {program}]}}\n  webui: {{command: [/bin/sleep, '100000']}}\n"
        )
        instance.start()
        wait_until_served(instance, instance.tcp_port)
        yield instance


def copy_of(language):
    """The example beside a link to proto/, as in the repository; what has not changed keeps its time."""
    copy = TREE / "examples" / "clients" / language
    copy.parent.mkdir(parents=True, exist_ok=True)
    protos = TREE / "proto"
    if not protos.is_symlink():
        protos.symlink_to(REPOSITORY / "proto")
    for file in CLIENTS.joinpath(language).rglob("*"):
        below = file.relative_to(CLIENTS / language)
        if file.is_dir() or set(below.parts) & set(MADE):
            continue
        target = copy / below
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != file.read_bytes():
            shutil.copy(file, target)
    return copy


def blocks_of(readme):
    """The commands that build, those that run, and what is seen; not what else may be tried."""
    blocks = re.findall(r"^```(?!console)(\w+)\n(.*?)^```$", readme.read_text(), re.M | re.S)
    assert [kind for kind, _ in blocks] == ["sh", "sh", "text"], f"{readme}: build, run, what you see"
    return [text for _, text in blocks]


def shell(commands, directory, environment, seconds):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def folded(text):
    """Without numbers, and lines that then are the same once: how often progress is told depends on the moment, and
    whether a shell is in time for it at all."""
    lines = []
    for line in re.sub(r"\d+", "#", text).splitlines():
        if lines[-1:] != [line] and line != RUNNING:
            lines.append(line)
    return lines


def said(text, topic):
    return [line.partition(": ")[2] for line in text.splitlines() if line.startswith(f"{topic}: ")]


def assert_follows(lines):
    """Numbered lines, one after the other; a new process begins anew."""
    numbers = [int(line.split()[1]) for line in lines]
    assert len(numbers) == LOG_LINES
    for before, number in zip(numbers, numbers[1:]):
        assert number in (before + 1, 1), lines


def test_every_example_is_run():
    assert sorted(ENVIRONMENTS) == sorted(path.parent.name for path in CLIENTS.glob("*/README.md"))
    index = (CLIENTS / "README.md").read_text()
    for language in ENVIRONMENTS:
        assert f"]({language}/)" in index, f"{language} is not in the index"


# Cargo compiles all that Debian packages as sources: minutes, on a machine with other things to do.
@pytest.mark.timeout(BUILD_S + TOUR_S)
@pytest.mark.parametrize("language", ENVIRONMENTS)
def test_tour_prints_what_its_readme_shows(flock, language):
    build, tour, shown = blocks_of(CLIENTS / language / "README.md")
    directory = copy_of(language)
    environment = {**os.environ, **ENVIRONMENTS[language](), "FLOCKS_ROOT": str(flock.root)}
    environment.pop("FLOCKS_SOCKET", None)
    began = time.monotonic()
    shell(build, directory, environment, BUILD_S)
    print(f"{language}: built in {time.monotonic() - began:.1f} s")

    old = flock.service("backend")["generation"]
    began = time.monotonic()
    seen = shell(tour, directory, environment, TOUR_S)
    print(f"{language}: toured in {time.monotonic() - began:.1f} s")
    assert_toured(flock, seen, shown, old, language)


def assert_toured(flock, seen, shown, old, language):
    assert folded(seen) == folded(shown)
    now = flock.service("backend")
    assert (now["state"], now["generation"]) == ("SERVICE_STATE_HEALTHY", old + 1)
    assert said(seen, "status")[0] == f"backend HEALTHY, generation {old}"
    assert len(said(seen, "restart")) < 10, "one line a change: nobody asks again and again"
    assert language == "buf-curl" or said(seen, "restart")[0] == "RUNNING, 0 of 1"
    assert said(seen, "restart")[-1] == f"backend generation {old} -> {old + 1}"
    assert said(seen, "explain")[1] == f"generation {old} ended with 0"
    assert said(seen, "mistake")[0].startswith("code 5, ")
    if language not in WITHOUT_STREAMS:
        assert_follows(said(seen, "log"))
        assert said(seen, "event")[-1] == f"backend HEALTHY, generation {old + 1}"


# After the test above, which builds.


def test_shell_looks_around_as_its_readme_says(flock, tmp_path):
    readme = (CLIENTS / "buf-curl" / "README.md").read_text()
    console = re.search(r"^```console\n(.*?)^```$", readme, re.M | re.S)[1]
    (tmp_path / ".flocks").symlink_to(flock.root)
    commands = "".join(line.removeprefix("$ ") for line in console.splitlines(keepends=True))
    seen = shell(commands, copy_of("buf-curl"), {**os.environ, **node(), "HOME": str(tmp_path)}, 60)
    assert "flocks.v1.SupervisorService/ReadLogs\n" in seen
    assert '"name": "backend"' in seen


def test_tour_of_libflocks_goes_over_tcp(flock):
    _, tour, shown = blocks_of(CLIENTS / "c" / "README.md")
    address = {"FLOCKS_SOCKET": f"tcp:127.0.0.1:{flock.tcp_port}", "FLOCKS_ROOT": str(flock.root)}
    old = flock.service("backend")["generation"]
    seen = shell(tour, copy_of("c"), {**os.environ, **installed_c(), **address}, TOUR_S)
    assert_toured(flock, seen, shown, old, "c")


def test_python_over_tcp_is_as_the_index_says(flock):
    program = re.search(r"^```python\n(.*?)^```$", (CLIENTS / "README.md").read_text(), re.M | re.S)[1]
    assert program.count("48765") == 1
    environment = {**os.environ, "FLOCKS_ROOT": str(flock.root), "PYTHONPATH": "generated"}
    seen = run(
        [PYTHON, "-c", program.replace("48765", str(flock.tcp_port))], 60, cwd=copy_of("python"), env=environment
    )
    assert seen == "backend webui\n"


@pytest.mark.parametrize("language", [language for language in ENVIRONMENTS if language != "c"])
def test_tour_without_a_daemon_says_so(language, tmp_path):
    """libflocks is not asked: it waits for a daemon as long as its deadline allows."""
    _, tour, _ = blocks_of(CLIENTS / language / "README.md")
    environment = {**os.environ, **ENVIRONMENTS[language](), "FLOCKS_SOCKET": str(tmp_path / "none.sock")}
    done = subprocess.run(
        ["bash", "-c", tour], cwd=copy_of(language), env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert "none.sock" in done.stderr, "the error names where nobody is"
