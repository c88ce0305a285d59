"""Pids that a stranger has by now, in a pid namespace where the kernel can be told which one comes next.

Run by test_keeper.py as the first process of the namespace: recycled_pids.py SCENARIO. The first process only reaps;
the scenario runs in a child. Says "the stranger lives", or fails."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from instance import Instance, is_alive, start_ticks, wait_until  # noqa: E402


def stranger(pid, *, then="exec sleep 3600"):
    """A process with exactly this pid, in a session of its own; forks until the kernel agrees."""
    for _ in range(200):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        process = subprocess.Popen(["/bin/sh", "-c", then], start_new_session=True, env={})
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
        time.sleep(0.01)
    raise AssertionError(f"pid {pid} is not given again")


def kill_both(instance):
    daemon = instance.status()["daemon"]
    os.kill(daemon["pid"], signal.SIGSTOP)
    for pid in (daemon["keeper_pid"], daemon["pid"]):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda p=pid: not Path(f"/proc/{p}").exists(), what="their end")
    return daemon


def kill_service(instance, name):
    service = instance.service(name)
    os.kill(service["pid"], signal.SIGKILL)
    return service


def gone(pid):
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="the pid's freedom")


def leader_after_both_killed(instance):
    pid = instance.pid("a")
    kill_both(instance)
    os.kill(pid, signal.SIGKILL)
    gone(pid)
    other = stranger(pid)
    instance.start()
    assert other.poll() is None
    instance.stop()
    assert other.poll() is None


def group_after_both_killed(instance):
    """The stranger leads a group of that number, leaves, and its child stays in it."""
    pid = instance.pid("a")
    kill_both(instance)
    os.kill(pid, signal.SIGKILL)
    gone(pid)
    other = stranger(pid, then="sleep 3601 & echo $! > /tmp/recycled-child; exit 0")
    other.wait()
    child = int(Path("/tmp/recycled-child").read_text())
    assert os.getpgid(child) == pid
    instance.start()
    instance.stop()
    assert is_alive(child)


def service_of_a_killed_keeper(instance):
    """An adopted child ends, and its number is a stranger's before anybody stops the service."""
    pid = instance.pid("b")
    old = instance.status()["daemon"]["keeper_pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: instance.status()["daemon"]["keeper_pid"] not in (0, old), what="another keeper")
    os.kill(pid, signal.SIGKILL)
    instance.wait_for_state("b", "COMPLETED") if False else gone(pid)
    other = stranger(pid)
    instance.flocks("stop", "b", timeout=60)
    instance.flocks("restart", timeout=60)
    instance.stop()
    assert other.poll() is None


def keeper_of_the_lock(instance):
    """The lock file and the inventory name pids that are strangers' now: `flocks stop` ends nobody."""
    daemon = kill_both(instance)
    gone(daemon["keeper_pid"])
    others = [stranger(daemon["keeper_pid"]), stranger(daemon["pid"])]
    instance.stop()
    instance.start()
    instance.stop()
    assert [other.poll() for other in others] == [None, None]


def scenario(name):
    root = tempfile.mkdtemp(prefix="fl-", dir="/tmp")
    instance = Instance(root)
    instance.write(
        'services: {a: {command: [/bin/sleep, "1000"]}, b: {command: [/bin/sleep, "1001"], restart: {policy: NEVER}}}\n'
    )
    try:
        instance.start()
        globals()[name](instance)
        print("the stranger lives", flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main():
    child = os.fork()
    if child == 0:
        try:
            scenario(sys.argv[1])
        except BaseException as error:  # noqa: BLE001
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


main()
