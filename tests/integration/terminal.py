"""A command in a terminal of its own: what it draws, keys, size; every wait bounded."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def plain(data):
    """The text alone, without sequences."""
    return SEQUENCE.sub(b"", data).decode(errors="replace").replace("\r", "")


class Terminal:
    """Runs `command` as the leader of a session with this terminal; `split`: standard output is a pipe, only the
    rest is the terminal."""

    def __init__(self, command, environment, columns=100, rows=30, split=False):
        self.seen = b""
        self.leader, follower = pty.openpty()
        self.resize(columns, rows)
        self.process = subprocess.Popen(
            command,
            env=dict(environment, TERM="xterm"),
            stdin=follower,
            stdout=subprocess.PIPE if split else follower,
            stderr=follower,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(follower)

    def resize(self, columns, rows):
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.leader, text.encode())

    def interrupt(self):
        """Ctrl-C."""
        self.type("\x03")

    def read(self, seconds):
        """What comes within that time, at least once; b"": nothing, None: the end."""
        if not select.select([self.leader], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.leader, 65536)
        except OSError:
            return None
        self.seen += data
        return data or None

    def wait_for(self, text, seconds=30.0, since=0):
        """Reads until `text` (bytes) was seen behind `since`; answers where it ends."""
        deadline = time.monotonic() + seconds
        while text not in self.seen[since:]:
            data = self.read(max(0.0, deadline - time.monotonic()))
            assert data is not None or text in self.seen[since:], f"the end, without {text!r}: {self.seen!r}"
            assert time.monotonic() < deadline or text in self.seen[since:], f"no {text!r} in {self.seen!r}"
        return self.seen.index(text, since) + len(text)

    def wait(self, seconds=30.0):
        """The exit code; everything it wrote has been read."""
        deadline = time.monotonic() + seconds
        while self.read(max(0.0, deadline - time.monotonic())) is not None:
            assert time.monotonic() < deadline, f"it does not end: {self.seen!r}"
        return self.process.wait(timeout=max(1.0, deadline - time.monotonic()))

    def text(self):
        return plain(self.seen)

    def close(self):
        """Ends what still runs."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self.leader)
