"""A keeper in a private root, driven through fake_flocksd."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

KEEPER = os.environ["FLOCKS_KEEPER"]
FAKE_FLOCKSD = os.environ["FLOCKS_FAKE_FLOCKSD"]
DEADLINE_S = 30


def wait_for(what, condition):
    """The first true answer of `condition`; polls, and gives up after a deadline."""
    until = time.monotonic() + DEADLINE_S
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < until, f"never happened: {what}"
        time.sleep(0.002)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                with open(f"/proc/{entry}/cmdline") as file:
                    found.append((int(entry), file.read().split("\0")[:-1]))
    return found


class Keeper:
    def __init__(self, root=None, mode="", options=(), program=KEEPER, ready=True):
        self.own_root = root is None
        self.root = root or tempfile.mkdtemp(prefix="flocks-keeper-")
        reading, writing = os.pipe()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOCKS_")}
        environment.update(FAKE_FLOCKSD=mode)
        self.process = subprocess.Popen(
            [program, "--root", self.root, "--flocksd", FAKE_FLOCKSD, "--ready-fd", str(writing),
             *options],
            pass_fds=[writing], env=environment, stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.pid = self.process.pid
        os.close(writing)
        with os.fdopen(reading) as file:
            self.word = file.read()
        if ready:
            assert self.word == "ready\n", (self.word, self.log())

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.path("logs/daemon.log"), errors="replace") as file:
                return file.read()
        return ""

    def ask(self, *words):
        """All lines of the answer, split; over a connection of its own, whichever flocksd lives."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE_S)
            sock.connect(self.path("run/flocksd.sock"))
            sock.sendall("\t".join(str(word) for word in words).encode() + b"\n")
            lines = []
            with sock.makefile("r") as file:
                for line in file:
                    lines.append(line.rstrip("\n"))
                    if line.split()[0] in ("ok", "error", "failed"):
                        return lines
        raise ConnectionError("fake flocksd has gone")

    def last(self, *words):
        return self.ask(*words)[-1].split()

    def ok(self, *words):
        answer = self.last(*words)
        assert answer[0] == "ok", (words, answer)
        return answer[1:]

    def spawn(self, slot, generation, *command, output=None, **settings):
        pairs = [f"{key}={value}" for key, value in settings.items()]
        output = slot if output is None else output
        return self.last("spawn", slot, generation, output, *pairs, "--", *command)

    def register(self, slot, name=None, max_size=0, keep=5):
        path = self.path("logs", name or f"{slot}.log")
        self.ok("register", slot, path, max_size, keep)
        return path

    def exits(self):
        return [tuple(int(word) for word in line.split()[1:]) for line in self.ask("exits")[:-1]]

    def children(self):
        return [tuple(int(word) for word in line.split()[1:]) for line in self.ask("list")[:-1]]

    def facts(self):
        names = ("keeper", "earlier_starts", "was_ready", "shutdown", "strays", "state_size", "pid")
        return dict(zip(names, map(int, self.ok("facts"))))

    def kill_flocksd(self):
        """Returns when the next one answers."""
        old = self.facts()["pid"]
        os.kill(old, signal.SIGKILL)

        def other():
            with contextlib.suppress(OSError):
                return self.facts()["pid"] not in (0, old)
            return False
        wait_for("flocksd runs again", other)

    def capture_pid(self):
        for pid, words in children_of(self.pid):
            if "--capture" in words:
                return pid
        return None

    def capture(self):
        """Its pid, once there is one: between fork and exec it looks like the keeper."""
        return wait_for("capture", self.capture_pid)

    def leave(self):
        self.ok("leave")
        with contextlib.suppress(OSError):
            self.ask("exit", 0)
        return self.process.wait(DEADLINE_S)

    def _kill_children(self):
        """Each with its group, which is its own: a shell's child would outlive it otherwise."""
        for pid, _words in children_of(self.pid):
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError):
                    kill(pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            # It would run another flocksd, which would be its heir.
            self.process.send_signal(signal.SIGSTOP)
            self._kill_children()
            self.process.kill()
            self._kill_children()
        self.process.wait(DEADLINE_S)
        self.process.stderr.close()
        if self.own_root:
            shutil.rmtree(self.root, ignore_errors=True)
