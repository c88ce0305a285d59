import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from keeper_process import Keeper, is_alive, wait_for

# Numbered lines as fast as they are taken; the count is the argument.
WRITER = "i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i of the output; done; echo end"


@pytest.fixture
def keeper():
    with Keeper() as running:
        yield running


def read_all(path):
    """Rotated files, oldest first, then the present one."""
    numbers = []
    for name in os.listdir(os.path.dirname(path)):
        base, _, number = name.rpartition(".")
        if base == os.path.basename(path) and number.isdigit():
            numbers.append(int(number))
    text = ""
    for name in [f"{path}.{n}" for n in sorted(numbers, reverse=True)] + [path]:
        # While capture rotates, a name may vanish between the list and the look.
        with contextlib.suppress(FileNotFoundError), open(name) as file:
            text += file.read()
    return text


def check_lines(text, count):
    lines = text.splitlines()
    for number, line in enumerate(lines[:-1], 1):
        assert line == f"line {number} of the output", (number, line)
    assert lines[-1] == "end" and len(lines) == count + 1


def kill_capture(keeper):
    pid = keeper.capture_pid()
    if pid is None:
        return 0
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # the one before, just reaped
        return 0
    return 1


@pytest.mark.parametrize("max_size", [0, 300_000])
def test_capture_killed_200_times_under_load_loses_and_repeats_nothing(keeper, max_size):
    log = keeper.register(0, max_size=max_size, keep=900)
    count = 300_000
    assert keeper.spawn(0, 1, "sh", "-c", WRITER.format(count=count))[0] == "ok"
    kills = 0
    while kills < 200 or not keeper.exits():
        kills += kill_capture(keeper) if kills < 200 else 0
    wait_for("end", lambda: read_all(log).endswith("end\n"))
    check_lines(read_all(log), count)
    if max_size:
        assert os.path.exists(log + ".1")
        assert int(keeper.ok("loss", 0)[2]) > 0


def test_flocksd_and_capture_killed_together_lose_nothing(keeper):
    log = keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c", WRITER.format(count=100_000))
    for _ in range(30):
        kill_capture(keeper)
        keeper.kill_flocksd()
    wait_for("end", lambda: read_all(log).endswith("end\n"))
    check_lines(read_all(log), 100_000)


def test_fifty_services_keep_their_outputs_apart(keeper):
    logs = []
    for slot in range(50):
        logs.append(keeper.register(slot))
        keeper.spawn(slot, 1, "sh", "-c", WRITER.format(count=2000))
    for log in logs:
        wait_for("end", lambda log=log: read_all(log).endswith("end\n"))
        check_lines(read_all(log), 2000)


def test_what_is_in_the_pipes_at_the_end_reaches_the_file(keeper):
    log = keeper.register(0)
    os.kill(keeper.capture(), signal.SIGSTOP)
    keeper.spawn(0, 1, "sh", "-c", WRITER.format(count=1000))
    wait_for("exit", keeper.exits)
    stopped = keeper.capture()
    os.kill(stopped, signal.SIGCONT)
    assert keeper.leave() == 0
    check_lines(read_all(log), 1000)
    assert "keeper ends" in keeper.log(), "our own last words too"
    assert not is_alive(stopped)


def test_output_of_a_forgotten_slot_is_drained(keeper):
    log = keeper.register(0)
    os.kill(keeper.capture(), signal.SIGSTOP)
    keeper.spawn(0, 1, "sh", "-c", WRITER.format(count=1000))
    wait_for("exit", keeper.exits)
    keeper.ok("forget", 0)
    os.kill(keeper.capture(), signal.SIGKILL)
    wait_for("end", lambda: read_all(log).endswith("end\n"))
    check_lines(read_all(log), 1000)


def test_unlinked_file_is_made_anew(keeper):
    log = keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c", "echo one; sleep 1000")
    wait_for("one", lambda: os.path.exists(log) and read_all(log) == "one\n")
    os.unlink(log)
    keeper.spawn(1, 1, "echo", "two", output=0)
    wait_for("two", lambda: os.path.exists(log) and read_all(log) == "two\n")
    os.rename(log, log + ".moved")
    keeper.spawn(2, 1, "echo", "three", output=0)
    wait_for("three", lambda: os.path.exists(log) and read_all(log) == "three\n")
    with open(log + ".moved") as file:
        assert file.read() == "two\n"


def test_rotation_keeps_the_count(keeper):
    log = keeper.register(0, max_size=10_000, keep=3)
    keeper.spawn(0, 1, "sh", "-c", WRITER.format(count=60_000))
    wait_for("end", lambda: read_all(log).endswith("end\n"))
    names = sorted(name for name in os.listdir(keeper.path("logs")) if name.startswith("0.log"))
    assert names == ["0.log", "0.log.1", "0.log.2", "0.log.3"]
    lines = read_all(log).splitlines()[1:-1]
    first = int(lines[0].split()[1])
    assert [int(line.split()[1]) for line in lines] == list(range(first, 60_001))


def test_registered_again_goes_to_the_new_path(keeper):
    keeper.register(0)
    other = keeper.register(0, name="other.log")
    keeper.spawn(0, 1, "echo", "hello")
    wait_for("hello", lambda: os.path.exists(other) and read_all(other) == "hello\n")
    assert not os.path.exists(keeper.path("logs/0.log"))


def test_unwritable_path_is_counted_and_service_goes_on(keeper):
    keeper.register(0, name="no/such/directory/x.log")
    keeper.spawn(0, 1, "sh", "-c", WRITER.format(count=20_000))
    wait_for("exit", keeper.exits)
    size = sum(len(f"line {i} of the output\n") for i in range(1, 20_001)) + 4
    wait_for("loss", lambda: int(keeper.ok("loss", 0)[0]) == size)
    assert keeper.ok("loss", 0)[1:] == ["0", "0", "2"]


def test_full_disk_is_counted_and_written_again_when_there_is_room():
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    with tempfile.TemporaryDirectory() as root:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", root]
        if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode != 0:
            pytest.skip("no mounts here")
        try:
            with Keeper(root=root) as keeper:
                log = keeper.register(0)
                keeper.spawn(0, 1, "sh", "-c", WRITER.format(count=100_000))
                wait_for("exit", keeper.exits)
                size = sum(len(f"line {i} of the output\n") for i in range(1, 100_001)) + 4

                def accounted():
                    lost, written = map(int, keeper.ok("loss", 0)[:2])
                    return lost > 0 and lost + written == size
                wait_for("every byte is accounted for", accounted)
                assert keeper.ok("loss", 0)[3] == "28"
                assert os.path.getsize(log) == int(keeper.ok("loss", 0)[1])
                os.unlink(log)
                keeper.spawn(0, 2, "echo", "again")
                wait_for("again", lambda: os.path.exists(log) and read_all(log) == "again\n")
                assert keeper.ok("loss", 0)[3] == "0"
        finally:
            subprocess.run(["umount", "-l", root], check=True)


def test_locked_file_is_waited_for_and_the_service_not(keeper):
    import fcntl
    import struct
    log = keeper.register(0)
    keeper.spawn(0, 1, "echo", "before")
    wait_for("before", lambda: os.path.exists(log) and read_all(log) == "before\n")
    # Its words may be there before its end is; the slot is free after that.
    wait_for("exit", lambda: len(keeper.exits()) == 1)
    with open(log, "r+") as file:
        # F_OFD_SETLKW: capture itself may not have given it back yet.
        fcntl.fcntl(file, 38, struct.pack("hhllhh", fcntl.F_WRLCK, 0, 0, 0, 0, 0))
        assert keeper.spawn(0, 2, "echo", "after")[0] == "ok"
        wait_for("exit", lambda: len(keeper.exits()) == 2)
        assert read_all(log) == "before\n"
    wait_for("after", lambda: read_all(log) == "before\nafter\n")


def test_capture_stopped_does_not_stall_flocksd(keeper):
    keeper.register(0)
    os.kill(keeper.capture(), signal.SIGSTOP)
    for slot in range(1, 400):
        keeper.register(slot)
    assert keeper.spawn(399, 1, "true")[0] == "ok"
    os.kill(keeper.capture(), signal.SIGCONT)
    keeper.spawn(398, 1, "echo", "hello")
    log = keeper.path("logs/398.log")
    wait_for("hello", lambda: os.path.exists(log) and read_all(log) == "hello\n")


def test_flags_set_by_one_child_do_not_reach_another(keeper):
    log = keeper.register(0)
    nonblocking = ("import fcntl, os; fcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK);"
                   "import time; print('set', flush=True); time.sleep(1000)")
    keeper.spawn(0, 1, "/usr/bin/python3", "-c", nonblocking)
    wait_for("set", lambda: os.path.exists(log) and read_all(log) == "set\n")
    keeper.spawn(1, 1, "/usr/bin/python3", "-c",
                 "import fcntl, os; print(fcntl.fcntl(1, fcntl.F_GETFL) & os.O_NONBLOCK)", output=0)
    wait_for("clear", lambda: read_all(log) == "set\n0\n")


def test_child_survives_the_loss_of_every_reader():
    with Keeper() as keeper:
        keeper.register(0)
        pid = int(keeper.spawn(0, 1, "sh", "-c", "while :; do echo x; sleep 0.01; done")[1])
        capture, flocksd = keeper.capture(), keeper.facts()["pid"]
        # Stopped first: it would become the keeper, and read on.
        os.kill(flocksd, signal.SIGSTOP)
        keeper.process.kill()
        os.kill(capture, signal.SIGKILL)
        keeper.process.wait()
        os.kill(flocksd, signal.SIGKILL)
        wait_for("flocksd has gone", lambda: not is_alive(flocksd))
        time.sleep(0.1)  # a few of its writes
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
