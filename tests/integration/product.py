"""An instance whose services come from releases: upgrades of it, and what must be so after each of them."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import releases
from instance import descriptors_of, is_alive, wait_until

SERVICES = ("backend", "webui")
# Steps of the journal in the order of an upgrade with a daemon: src/common/release/upgrade_journal.h.
JOURNAL_STEPS = ("preparing", "prepared", "leasing", "leased", "stopping", "switching", "switched", "committing", "committed")
# From it on the new version may be the one that stays.
FIRST_STEP_OF_NEW = "committing"
# The C library's struct flock: type, whence, start, length, pid.
FLOCK = struct.Struct("hhlli4x")
F_OFD_GETLK = 36
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_locked(path):
    """Whether anybody holds an upgrade's lock on the file."""
    try:
        with open(path, "rb") as file:
            answer = fcntl.fcntl(file, F_OFD_GETLK, FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
    except FileNotFoundError:
        return False
    return FLOCK.unpack(answer)[0] != fcntl.F_UNLCK


def ask(port, path="/api/version", timeout=20):
    """The JSON that a service answers, whatever the status; None: nobody answers with JSON."""
    try:
        with _direct.open(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return json.loads(answer.read())
    except (OSError, ValueError):
        return None


def parents():
    """Every process' parent, by pid."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def version_of(release):
    """What its services tell: a release that was installed again has a name of its own."""
    return release.partition("+reinstall")[0]


class Outcome:
    """What one run of flocks-update said: `code`, `events` (UpgradeProgress as JSON), `text` of the last one's
    message and error, `said` all of stdout and stderr."""

    def __init__(self, code, stdout, stderr):
        self.code = code
        self.said = stdout + stderr
        self.events = [json.loads(line) for line in stdout.splitlines()]
        self.last = self.events[-1] if self.events else {}
        error = self.last.get("error", {})
        self.text = " ".join([self.last.get("message", ""), *(str(value) for value in error.values())])

    @property
    def is_over(self):
        return self.last.get("step") == "UPGRADE_STEP_DONE"


class Product:
    """Release `version` is installed in the instance's root; `publisher` has others. Nothing runs before start()."""

    def __init__(self, instance, publisher, sources, ports, version="1.0.0", **options):
        self.instance, self.publisher, self.ports = instance, publisher, dict(zip(SERVICES, ports))
        self.root = instance.root
        releases.install(self.root, version)
        instance.write(releases.configuration(ports, sources, [publisher.key.public], **options))
        self.before = None

    def start(self):
        self.instance.start()
        self.before = self.names()

    # ---- upgrading ----

    def command(self, *arguments):
        return [str(self.instance.bin / "flocks-update"), "--root", str(self.root), *arguments]

    def begin(self, *arguments, prefix=(), **options):
        """A flocks-update that runs: finish() waits for it."""
        options.setdefault("env", self.instance.environment)
        return subprocess.Popen(
            [*prefix, *self.command(*arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def finish(self, updater, check=None, timeout=120):
        try:
            stdout, stderr = updater.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            updater.kill()
            raise
        outcome = Outcome(updater.returncode, stdout, stderr)
        if check is not None:
            assert outcome.code == check, f"exit {outcome.code}, not {check}:\n{outcome.said}\n{self.instance.daemon_log()}"
        return outcome

    def update(self, *arguments, check=0, timeout=120):
        """flocks-update with these arguments, to its end."""
        return self.finish(self.begin(*arguments), check, timeout)

    def apply(self, *arguments, check=0, timeout=120):
        return self.update("apply", *arguments, check=check, timeout=timeout)

    # ---- looking ----

    def journal(self):
        """The last step of an unfinished upgrade; None: there is none."""
        try:
            text = (self.root / "run" / "upgrade.journal").read_text()
        except FileNotFoundError:
            return None
        return [line.split()[1] for line in text.splitlines() if line.startswith("step ")][-1]

    def current(self):
        return os.readlink(self.root / "current").rpartition("/")[2]

    def versions(self):
        """What both services tell; None for one that does not."""
        return {name: (ask(port) or {}).get("version") for name, port in self.ports.items()}

    def is_serving(self, version):
        return set(self.versions().values()) == {version}

    def states(self):
        return {s["name"]: s["state"][len("SERVICE_STATE_") :] for s in self.instance.status()["services"]}

    def names(self):
        """What lies in the root and in run."""
        below = {"": self.root, "run/": self.root / "run"}
        return {
            prefix + entry.name for prefix, directory in below.items() if directory.is_dir() for entry in directory.iterdir()
        }

    # ---- afterwards ----

    def settled(self):
        """Why it is not whole yet, as text; "": it is. One version is current, complete, and serves; nothing is
        left of the upgrade, and nobody holds anything."""
        status = self.instance.status()
        complaints = [
            *self._complaints_about_services(status),
            *self._complaints_about_files(),
            *self._complaints_about_processes(status),
        ]
        return "; ".join(complaints)

    def _complaints_about_services(self, status):
        if status["daemon"]["pid"] == 0:
            return ["no daemon runs"]
        states = {s["name"]: s["state"][len("SERVICE_STATE_") :] for s in status["services"] if s["wanted"]}
        found = [f"{name} is {state}" for name, state in states.items() if state != "HEALTHY"]
        found += [f"lease {lease['id']} is there" for lease in status.get("leases", [])]
        pids = {s["name"]: s["pid"] for s in status["services"]}
        for name, port in self.ports.items():
            if name not in states:
                continue
            told = ask(port) or {}
            if (told.get("version"), told.get("pid"), told.get("name")) != (version_of(self.current()), pids[name], name):
                found.append(f"{name} tells {told}, not {self.current()} and pid {pids[name]}")
        return found

    def _complaints_about_files(self):
        found = []
        for entry in (self.root / "releases").iterdir():
            version = (entry / "version").read_text().strip() if (entry / "version").exists() else None
            if version_of(entry.name) != version:
                found.append(f"{entry.name} has the version {version}")
            found += [f"no {name} in {entry.name}" for name in SERVICES if not (entry / name / "service.py").exists()]
        allowed = {"logs", "run", "run/downloads", "run/lease.pb", "run/upgrade.lock", "run/upgrade-result.json", "run/upgrade-back"}
        more = self.names() - (self.before or set()) - allowed
        found += [f"left: {', '.join(sorted(more))}"] if more else []
        found += self._complaints_about_downloads()
        if is_locked(self.root / "run" / "upgrade.lock"):
            found.append("the lock is held")
        return found

    def _complaints_about_downloads(self):
        """One that was cut short is kept, for the next one of the same file."""
        directory = self.root / "run" / "downloads"
        names = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
        stems = {name.partition(".tar")[0] for name in names}
        is_one_cut_short = len(stems) <= 1 and f"{releases.NAME}-{version_of(self.current())}" not in stems
        return [] if is_one_cut_short else [f"run/downloads: {', '.join(names)}"]

    def _complaints_about_processes(self, status):
        known = {s["pid"] for s in status["services"]} | {status["daemon"]["pid"], status["daemon"]["keeper_pid"]}
        family = parents()

        def belongs(pid):
            if "flocks-update" in command_of(pid).split(" ")[0]:
                return False
            while pid not in known and pid > 1:
                pid = family.get(pid, 0)
            return pid in known

        strangers = [pid for pid in self.instance.processes() if not belongs(pid)]
        return [f"process {pid} is there: {command_of(pid)}" for pid in strangers]

    def assert_whole(self, *versions, seconds=60.0):
        """Soon, and it is one of these versions."""
        why = ["?"]

        def is_whole():
            why[0] = self.settled()
            return not why[0]

        try:
            wait_until(is_whole, seconds, "wholeness")
        except AssertionError:
            raise AssertionError(f"{why[0]}\n{self.instance.daemon_log()}") from None
        assert self.current() in versions, f"{self.current()} is current, not {versions}"

    # ---- deaths ----

    def kill(self, *who):
        """flocksd, keeper, or both: neither can save the other then."""
        daemon = self.instance.status()["daemon"]
        victims = [daemon["pid" if name == "flocksd" else "keeper_pid"] for name in who]
        for pid in victims:
            send(pid, signal.SIGSTOP)
        for pid in victims:
            send(pid, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in victims), what=f"{who} dead")


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "gone"


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def send(pid, number):
    """Not to nobody, not to everybody; a process that is gone is no mistake."""
    assert pid != 1 and pid >= 0
    try:
        if pid:
            os.kill(pid, number)
    except ProcessLookupError:
        pass


class Row:
    """One upgrade after the other, each to a version of its own."""

    def __init__(self, product, publisher, first=1):
        self.product, self.publisher, self.number = product, publisher, first

    def upgrade(self):
        version = f"1.0.{self.number}"
        self.number += 1
        self.publisher.publish(version)
        self.product.apply()
        self.product.assert_whole(version)
        self.publisher.withdraw(version)

    def usage(self):
        """How many there are of each name, of releases, processes, and the descriptors of ours."""
        processes = self.product.instance.processes()
        counts = {name: 1 for name in self.product.names()}
        counts["releases/*"] = len(list((self.product.root / "releases").iterdir()))
        counts["processes"] = len(processes)
        for pid in processes:
            with contextlib.suppress(OSError):
                if (name := name_of(pid)).startswith("flocks"):
                    counts[f"descriptors of {name}"] = descriptors_of(pid)
        return counts

    def assert_no_more_than(self, before):
        """Soon: what ends may be there for a moment, and may have been counted in `before`, too."""

        def more():
            return {what: n for what, n in self.usage().items() if n > before.get(what, 0)}

        wait_until(lambda: not more(), what=f"no more than {before}, but {more()}")


class Stopped:
    """A flocks-update that is held where its journal says `step`: nothing of the step has been done yet, or with
    `at_end` all of it, and the next record is being written. A context; kill() ends it there, go_on() lets it live.

    strace(1) stops it after each call that a record is made of, and lets it go on but at the wanted one."""

    CALLS = "rename,renameat,renameat2,fchmod,unlink,unlinkat"

    def __init__(self, product, step, *arguments, at_end=False):
        self.product, self.step, self.at_end = product, step, at_end
        self.updater_pid = 0
        self._answered = 0
        self._seen = False
        # LeakSanitizer cannot work under strace.
        options = product.instance.environment["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0")
        self._log = tempfile.NamedTemporaryFile(mode="r", prefix="fl-strace-")
        self._tracer = product.begin(
            *arguments,
            prefix=[
                *("strace", "-f", "-qq", "-o", self._log.name, "-E", f"ASAN_OPTIONS={options}"),
                *("-e", f"trace={self.CALLS}", "-e", f"inject={self.CALLS}:signal=SIGSTOP"),
            ],
        )

    def __enter__(self):
        try:
            wait_until(lambda: self._is_held() or self._tracer.poll() is not None, 90, f"a journal at {self.step}")
            assert self.updater_pid, self._tracer.communicate()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_wanted(self):
        step = self.product.journal()
        self._seen = self._seen or step == self.step
        if not self.at_end:
            return step == self.step
        if self.step == JOURNAL_STEPS[-1]:
            return self._seen and step is None
        return step == self.step and any((self.product.root / "run").glob("upgrade.journal.*"))

    def _is_held(self):
        self._log.seek(0)
        stops = [line.split()[0] for line in self._log if line.endswith("--- stopped by SIGSTOP ---\n")]
        for pid in map(int, stops[self._answered :]):
            self._answered += 1
            if self._is_wanted():
                self.updater_pid = pid
                return True
            send(pid, signal.SIGCONT)
        return False

    def kill(self):
        send(self.updater_pid, signal.SIGKILL)
        self._tracer.wait(timeout=60)

    def finish(self, check=None, timeout=120, meanwhile=None):
        """Lets it live, or lets its death be seen; `meanwhile` is called while it lives."""
        self.step, self.at_end = "none", False
        send(self.updater_pid, signal.SIGCONT)
        over = threading.Event()
        follower = threading.Thread(target=self._follow, args=(over,), daemon=True)
        follower.start()
        try:
            if meanwhile:
                meanwhile()
            return self.product.finish(self._tracer, check, timeout)
        finally:
            over.set()
            follower.join()

    def _follow(self, over):
        while not over.wait(0.01) and self._tracer.poll() is None:
            self._is_held()

    def __exit__(self, *_):
        if self._tracer.poll() is None:
            send(self.updater_pid, signal.SIGKILL)
            self._tracer.kill()
        self._tracer.wait(timeout=60)
        for stream in (self._tracer.stdout, self._tracer.stderr, self._log):
            stream.close()


class Traffic:
    """A client that asks WebUI and API all the time; a context. `answers`: for each service (began, ended, what) in
    order, `what` being a version, "page" (503 with Retry-After), or "nobody" and "broken"."""

    def __init__(self, ports, pause=0.005):
        self.answers = {name: [] for name in ports}
        self._pause = pause
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=item, daemon=True) for item in ports.items()]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_until(lambda: all(self.answers.values()), what="the first answers")
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, name, port):
        while not self._over.wait(self._pause):
            began = time.monotonic()
            what = self._one(port)
            self.answers[name].append((began, time.monotonic(), what))

    @staticmethod
    def _one(port):
        try:
            with _direct.open(f"http://127.0.0.1:{port}/api/version", timeout=20) as answer:
                return json.loads(answer.read())["version"]
        except urllib.error.HTTPError as error:
            return "page" if error.code == 503 and error.headers.get("Retry-After") else "broken"
        except urllib.error.URLError as error:
            return "nobody" if isinstance(error.reason, ConnectionRefusedError) else "broken"
        except (OSError, ValueError, KeyError, socket.timeout):
            return "broken"

    def versions(self, name):
        """Those that answered, in order, each once in a row."""
        found = []
        for _, _, what in self.answers[name]:
            if what not in ("page", "nobody", "broken") and found[-1:] != [what]:
                found.append(what)
        return found

    def gaps(self, name):
        """Each time that nobody of the product answered, or another version: seconds from the last good answer to the
        next, and what came instead, by kind."""
        found, last, instead = [], None, {}
        for _, ended, what in self.answers[name]:
            if what in ("page", "nobody", "broken"):
                instead[what] = instead.get(what, 0) + 1
                continue
            if last is not None and (instead or last[1] != what):
                found.append((ended - last[0], instead))
            last, instead = (ended, what), {}
        return found
