"""One flocks instance as a person or a script sees it: its root, its configuration, its command line."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

PYTHON = "/usr/bin/python3"
REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FLOCKS_BUILD_DIR", REPOSITORY / "build" / "dev"))
SERVICES = REPOSITORY / "tests" / "fixtures" / "services"
PROGRAMS = ("flocksd", "flocks-keeper", "flocks-capture")
# PROCESS_ELDERS_MAX of src/server/supervise/process_set.h.
ELDERS_MAX = 64


def wait_until(condition, seconds=30.0, what="the condition"):
    """The first true answer of `condition`, asked every 10 ms; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.01)


def is_alive(pid):
    """A process that is neither gone nor a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def process_state(pid):
    """The letter of proc(5): R, S, T (stopped), Z ...; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def start_ticks(pid):
    """Field 22 of /proc/<pid>/stat: with the pid, the identity of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def open_files_of(pid):
    """Where its descriptors lead, as the links of /proc tell it."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(entry))
    return links


def descriptors_of(pid):
    """How many, but for those of processes: flocksd remembers the openers of older sessions, which are other programs'
    and come and go with them (PROCESS_ELDERS_MAX)."""
    return sum("pidfd" not in link for link in open_files_of(pid))


def pidfds_of(pid):
    return sum("pidfd" in link for link in open_files_of(pid))


def numbers(instance, name="numbers"):
    """In `services` of a configuration: writes numbered lines of many lengths, until check_numbers."""
    return (
        f'  {name}: {{command: [{PYTHON}, {SERVICES}/numbers.py, "100", "0.001", {instance.root}/enough],'
        " logs: {max_size: 1GiB}}\n"
    )


def check_numbers(instance, name="numbers"):
    """Lets it end; every line from 0 to the end once, in order, whole."""
    (instance.root / "enough").touch()
    wait_until(lambda: re.search(r"^end \d+$", instance.log(name), re.M), what="the last line")
    lines = [line for line in instance.log(name).splitlines() if line]
    for expected, line in enumerate(lines[:-1]):
        assert line.rstrip() == f"line {expected:09d} {'x' * (expected % 60)}".rstrip(), (expected, line)
    assert len(lines) - 1 == int(lines[-1].split()[1])


def processes_with(variable, value):
    """Pids whose environment has variable=value, oldest first."""
    wanted = f"{variable}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if wanted in environment:
            found.append(int(entry.name))
    return sorted(found)


def programs(instance):
    """Our own processes of this instance: {name: pid}. The oldest of a name: a service that is being spawned is called
    as the keeper is until its program runs."""
    found = {}
    for pid in instance.processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            if name in PROGRAMS:
                found.setdefault(name, []).append((start_ticks(pid), pid))
    found = {name: min(candidates)[1] for name, candidates in found.items()}
    assert set(found) == set(PROGRAMS), found
    return found


class Killer:
    """Kills an instance's flocksd at random moments, again and again, until it is told to leave it alone."""

    def __init__(self, root, seed, mean_seconds=0.4):
        self.root = root
        self.kills = 0
        self._random = random.Random(f"{seed} {root.name}")
        self._mean = mean_seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _flocksd(self):
        for pid in processes_with("FLOCKS_ROOT", str(self.root)):
            try:
                if os.readlink(f"/proc/{pid}/exe").endswith("/flocksd"):
                    return pid
            except OSError:
                continue
        return None

    def _run(self):
        while not self._over.wait(self._random.expovariate(1 / self._mean)):
            pid = self._flocksd()
            if pid is None:
                continue
            try:
                os.kill(pid, signal.SIGKILL)
                self.kills += 1
            except ProcessLookupError:
                pass

    def leave(self):
        self._over.set()
        self._thread.join()


class Instance:
    """`root` is made by the caller. Nothing runs until flocks("start"). `chaos`: a seed; from then on flocksd is
    killed at random moments, and everything must hold as if it were not."""

    def __init__(self, root, build=BUILD, chaos=None):
        self.chaos = chaos
        self.killer = None
        self.root = Path(root)
        self.bin = Path(build) / "bin"
        self.config = self.root / "flocks.yaml"
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "FLOCKS_ROOT": str(self.root),
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }

    # ---- doing ----

    def write(self, text):
        """The configuration file, as text."""
        self.config.write_text(text)

    def command(self, *arguments):
        return [str(self.bin / "flocks"), "--root", str(self.root), *arguments]

    def flocks(self, *arguments, timeout=90, check=None, **options):
        """Runs the CLI. `check`: the exit code it must have."""
        options.setdefault("env", self.environment)
        if "start" in arguments:
            self._let_chaos_in()
        result = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, **options
        )
        if check is not None:
            assert result.returncode == check, (
                f"flocks {' '.join(arguments)}: exit {result.returncode}, not {check}\n"
                f"{result.stdout}\n{result.stderr}\n{self.daemon_log()}"
            )
        return result

    def start(self, *arguments, check=0, **options):
        return self.flocks("start", "--no-browser", *arguments, check=check, **options)

    def _let_chaos_in(self):
        if self.chaos is not None and self.killer is None:
            self.killer = Killer(self.root, self.chaos)

    def stop(self, *arguments, check=0, **options):
        return self.flocks("stop", *arguments, check=check, **options)

    # ---- looking ----

    def status(self, *names):
        """GetStatusResponse as a dict, whatever the exit code."""
        return json.loads(self.flocks("status", "--json", *names).stdout)

    def service(self, name):
        return next(s for s in self.status()["services"] if s["name"] == name)

    def pid(self, name):
        return self.service(name)["pid"]

    def wait_for_state(self, name, state, seconds=30.0):
        """The service's status once its state is SERVICE_STATE_<state>."""

        def reached():
            status = self.service(name)
            return status if status["state"] == f"SERVICE_STATE_{state}" else None

        return wait_until(reached, seconds, f"{name} {state}")

    def wait_for_generation(self, name, generation, seconds=30.0):
        """The service's status once it is HEALTHY in a generation above `generation`."""

        def reached():
            status = self.service(name)
            healthy = status["state"] == "SERVICE_STATE_HEALTHY"
            return status if healthy and status["generation"] > generation else None

        return wait_until(reached, seconds, f"{name} past generation {generation}")

    def log(self, name):
        path = self.root / "logs" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def daemon_log(self):
        return self.log("daemon")[-8000:]

    def processes(self):
        """Every living process that was started under this root."""
        return [pid for pid in processes_with("FLOCKS_ROOT", str(self.root)) if is_alive(pid)]

    # ---- ending ----

    def end(self):
        """Stops politely, then kills what is left; sanitizer reports in the log fail the test."""
        if self.killer is not None:
            self.killer.leave()
        try:
            self.flocks("stop", timeout=60)
        except (subprocess.TimeoutExpired, OSError):
            pass
        for _ in range(50):
            left = self.processes()
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        log = self.log("daemon")
        for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion"):
            assert mark not in log, f"the daemon's log has a report:\n{log[-6000:]}"


@contextmanager
def running_root(*below, **options):
    """An Instance in a directory of its own, or further below it; ended afterwards."""
    top = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    root = top.joinpath(*below)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    instance = Instance(root, **options)
    try:
        yield instance
    finally:
        instance.end()
        shutil.rmtree(top, ignore_errors=True)
