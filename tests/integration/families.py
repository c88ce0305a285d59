"""Services with descendants that do not want to go, and one witness that nobody can fool: a FIFO that every
descendant holds open. Its reader gets end of file from the kernel when no process of the family is left."""

import json
import os
import select
import shutil
import time
from pathlib import Path

from instance import BUILD, is_alive

FAMILY = BUILD / "tests" / "family"

# What each is, and whose fault with it the tests remember.
KINDS = {
    "setsid": "a grandchild in a session of its own (process-compose#520)",
    "daemonised": "a double-forked daemon (Supervisor#1101)",
    "stubborn": "a child that ignores TERM while its leader obeys (pebble#594)",
    "forker": "one that forks in a loop, in the leader's group",
    "runner": "one that is always another process, each in its own session (supervisord, dinit, s6: stopped)",
    "bare": "one that clears its environment and double-forks (pm2#6084)",
    "hidden": "one that is not dumpable and double-forks",
    "frozen": "a double-forked one that was stopped by SIGSTOP",
}
# Those the stop reports as processes outside the group; of the rest the group is what is killed, or the many
# processes that a storm is made of cannot be named beforehand.
STRAYS = {"setsid", "daemonised", "bare", "hidden", "frozen"}


class Witness:
    """The FIFO of one run."""

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.exists():
            os.mkfifo(self.path)
            self.path.chmod(0o666)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.text = ""

    def _read(self):
        """False: end of file, nobody writes."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.text += data.decode()

    def wait_for(self, kinds, seconds=30):
        """Pids by kind, once each has said that it is there."""
        deadline = time.monotonic() + seconds
        while True:
            self._read()
            here = {words[1]: int(words[2]) for line in self.text.splitlines()
                    if len(words := line.split()) == 3 and words[0] == "here"}
            if set(kinds) <= set(here):
                return here
            assert time.monotonic() < deadline, f"only {here} of {kinds} came: {self.text!r}"
            select.select([self.fd], [], [], 0.02) if self._read() else time.sleep(0.005)

    def is_empty(self):
        """True only if no process has the FIFO open, that is, if nobody of the family is left."""
        return not self._read()

    def has_given_up(self):
        return "over" in self.text

    def close(self):
        os.close(self.fd)


def configuration(kinds, root, grace="200ms", together=False):
    """One service a kind, named after it; or one service of all kinds."""
    groups = {"family": list(kinds)} if together else {kind: [kind] for kind in kinds}
    lines = ["services:"]
    for name, members in groups.items():
        command = ", ".join(f'"{word}"' for word in [FAMILY, Path(root) / f"{name}.witness", *members])
        lines += [f"  {name}:", f"    command: [{command}]", "    start: false", f"    stop: {{grace: {grace}}}"]
    return "\n".join(lines) + "\n"


def outcome_of(result, name):
    """The stop's own account of one service."""
    operation = json.loads(result.stdout)
    operation = operation.get("operation", operation)
    return next(o for o in operation["outcomes"] if o["service"] == name)


def run_once(instance, name, kinds, **options):
    """Starts and stops the service once. Answers how long the stop took; fails on a false "empty"."""
    witness = Witness(instance.root / f"{name}.witness")
    try:
        instance.start(name, **options)
        pids = witness.wait_for([*kinds, "leader"])
        began = time.monotonic()
        result = instance.stop(name, "--json", **options)
        took = time.monotonic() - began
        assert witness.is_empty(), f"stop of {name} said empty, and somebody lives: {pids}\n{instance.daemon_log()}"
        assert not witness.has_given_up(), f"{name}: nobody caught {witness.text!r}"
        outcome = outcome_of(result, name)
        signalled = {item["pid"]: item for item in outcome["signalled"]}
        assert pids["leader"] in signalled, (pids, outcome)
        # Whom the sweep of a flocksd has just signalled when that is killed itself is told by nobody.
        untold = {kind for kind in kinds if instance.chaos is not None and pids[kind] not in signalled}
        for kind in set(kinds) & STRAYS - untold:
            assert pids[kind] in signalled, (kind, pids, outcome)
            assert signalled[pids[kind]]["stray"], (kind, pids, outcome)
            hides = kind == "hidden" and options
            name_of_it = "[family]" if hides else str(FAMILY.resolve())
            assert signalled[pids[kind]]["executable"] == name_of_it, outcome
        if "stubborn" in set(kinds) - untold:
            assert signalled[pids["stubborn"]]["signal"] == "SIGKILL", outcome
            assert not signalled[pids["stubborn"]]["stray"], outcome
        assert [pid for pid in pids.values() if is_alive(pid)] == []
        return took
    finally:
        witness.close()


def as_ordinary_user(root, user=65534):
    """Options of Instance.flocks that run everything as somebody who is not root."""
    if os.getuid() != 0:
        return {}
    shutil.chown(root, user, user)
    return {"user": user, "group": user, "extra_groups": []}
