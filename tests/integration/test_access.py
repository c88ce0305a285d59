"""Who may speak, what a root must look like, and paths that do not fit a socket address."""

import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from instance import PYTHON, Instance

SLEEPER = 'services: {ticker: {command: [/bin/sleep, "1000"]}}\n'
NOBODY = 65534

CONNECT_AS_NOBODY = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.settimeout(5)
try:
    client.sendall(bytes.fromhex(sys.argv[2]))
    answer = client.recv(1)
except (BrokenPipeError, ConnectionResetError):
    answer = b""
print(len(answer))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="another uid needs root")
def test_another_uid_is_closed_before_it_is_heard(instance):
    instance.write(SLEEPER)
    instance.start()
    path = instance.root / "run" / "flocksd.sock"
    assert os.stat(instance.root).st_mode & 0o777 == 0o700
    # Even with the file modes out of the way, the kernel's word about the peer decides.
    for directory in (instance.root, instance.root / "run"):
        directory.chmod(0o755)
    os.chmod(os.path.realpath(path), 0o777)
    request = b"\x0a\x1bflocks.v1.SupervisorService\x12\x09GetStatus"
    frame = len(request).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"\x01\x00" + request
    answer = subprocess.run(
        [PYTHON, "-c", CONNECT_AS_NOBODY, str(path), frame.hex()],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert answer.stdout.strip() == "0"
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    client.sendall(frame)
    assert client.recv(10)[8] == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="another uid needs root")
@pytest.mark.parametrize("command", ["status", "start", "stop", "restart", "config", "logs"])
def test_another_user_is_told_what_to_do(instance, command):
    instance.write(SLEEPER)
    instance.start()
    for directory in (instance.root.parent, instance.root):
        directory.chmod(0o755)
    try:
        result = instance.flocks(command, user=NOBODY, group=NOBODY, extra_groups=[])
    except PermissionError:
        pytest.skip("another user cannot reach the programs")
    assert result.returncode == 6, result.stderr
    assert "Permission denied" in result.stderr


def test_readable_root_is_repaired_with_a_message(instance):
    instance.write(SLEEPER)
    instance.root.chmod(0o755)
    result = instance.start()
    assert os.stat(instance.root).st_mode & 0o777 == 0o700
    assert "0700" in result.stderr or "700" in result.stderr


def test_writable_root_is_refused_with_the_remedy(instance):
    instance.write(SLEEPER)
    instance.root.chmod(0o777)
    result = instance.flocks("start", "--no-browser")
    assert result.returncode in (5, 6)
    assert "chmod" in result.stderr
    assert instance.processes() == []
    instance.root.chmod(0o700)


def test_long_root_works_through_the_fallback(make_instance):
    base = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    root = base / ("d" * 100) / ("e" * 100)
    root.mkdir(parents=True)
    instance = Instance(root)
    try:
        instance.write(SLEEPER)
        instance.start()
        assert instance.service("ticker")["state"] == "SERVICE_STATE_HEALTHY"
        assert (root / "run" / "flocksd.sock").is_symlink()
        instance.stop()
        assert not os.path.lexists(root / "run" / "flocksd.sock")
    finally:
        instance.end()
        subprocess.run(["rm", "-rf", str(base)], check=True)


def test_socket_modes_are_private(instance):
    instance.write(SLEEPER)
    instance.start()
    assert os.stat(instance.root / "run").st_mode & 0o777 == 0o700
    assert os.stat(instance.root / "run" / "flocksd.sock").st_mode & 0o777 == 0o600
