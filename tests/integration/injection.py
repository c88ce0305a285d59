"""System calls of a running process that fail, made to by strace(1)."""

import re
import subprocess
from collections import Counter
from pathlib import Path

from instance import wait_until


def tasks_of(pid):
    return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]


def is_traced(tid):
    """Or gone: threads come and go."""
    try:
        status = Path(f"/proc/{tid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return "TracerPid:\t0\n" not in status


class Injection:
    """`calls` ("openat,socket") of `pid` fail with `error` ("EMFILE") as `when` says: "3" the third one, "3+" all
    from there on, None: none, they are only counted. A context; `counts`, by call, and `injected` are known after it."""

    # Behind a pid where there are threads; a call that another thread has interrupted returns as "<... name resumed>".
    RETURNED = re.compile(r"(?m)^(?:\d+ +)?(?:<\.\.\. )?(\w+).* = ")

    def __init__(self, pid, calls, error, when, log):
        self.pid = pid
        self.log = Path(log)
        self.counts = Counter()
        self.injected = 0
        self._command = ["strace", "-qq", "-o", str(log), "-p", str(pid), "-e", f"trace={calls}"]
        # Threads, but not the children that a process with one thread forks.
        if len(tasks_of(pid)) > 1:
            self._command.append("-f")
        if when is not None:
            self._command += ["-e", f"inject={calls}:error={error}:when={when}"]

    def __enter__(self):
        self._strace = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until(
            lambda: self._strace.poll() is not None or all(is_traced(tid) for tid in tasks_of(self.pid)),
            what="strace",
        )
        assert self._strace.poll() is None, self._strace.stderr.read()
        return self

    def __exit__(self, *details):
        self._strace.terminate()
        self._strace.communicate(timeout=30)
        trace = self.log.read_text(errors="replace")
        self.counts = Counter(self.RETURNED.findall(trace))
        self.injected = trace.count("(INJECTED)")
        self.log.unlink()
