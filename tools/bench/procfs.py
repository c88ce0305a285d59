"""What /proc says about the processes of one benchmark run. Standard library only."""

import ctypes
import os
import resource
import signal
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Daemons that detach stay our descendants, so that every one can be measured and ended."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _stat(pid):
    """(name, state, parent) or None."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    state, parent = text[text.rindex(")") + 2 :].split()[:2]
    return name, state, int(parent)


def descendants():
    """{pid: name} of everything alive below this process."""
    seen = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            found = _stat(entry)
            if found and found[1] != "Z":
                seen[int(entry)] = found
    below = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, (_, _, parent) in seen.items() if parent in below} - below
        below |= more
        grown = bool(more)
    below.discard(os.getpid())
    return {pid: seen[pid][0] for pid in below}


def executable(pid):
    """Path of its program; "" when it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def end_descendants(patience_s=5.0):
    """SIGKILL until nothing is left. Reaps what is ours."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        living = descendants()
        for pid in living:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap()
        if not living:
            return
        time.sleep(0.01)
    raise RuntimeError(f"processes left behind: {descendants()}")


def reap():
    """Collects every zombie of ours, adopted ones too."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def reap_named(name):
    """Collects zombies of this name only: other exits are waited for by subprocess."""
    for entry in os.listdir("/proc"):
        found = _stat(entry) if entry.isdigit() else None
        if found and found[0] == name and found[1] == "Z" and found[2] == os.getpid():
            os.waitpid(int(entry), os.WNOHANG)


def pss_kib(pids):
    """Proportional set size of some processes together, KiB."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total


def wakeups(pids):
    """Voluntary context switches of every thread so far."""
    total = 0
    for pid in pids:
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            for line in text.splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total


def cpu_ns(pid):
    """Processor time of every living thread of a process so far."""
    total = 0
    for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(schedstat.read_text().split()[0])
        except OSError:
            continue
    return total


def raise_descriptor_limit():
    """The soft limit up to the hard one, for ourselves and what we start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
