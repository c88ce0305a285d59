"""Other images of flocksd and of the keeper in place of the running ones, and back when they are no good."""
import contextlib
import os
import shutil
import signal
import stat
import struct
import subprocess

import pytest

from keeper_process import FAKE_FLOCKSD, KEEPER, Keeper, is_alive, wait_for


def version_of(program):
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[1]


VERSION = version_of(KEEPER)
OTHER = VERSION[:-1] + ("9" if VERSION[-1] != "9" else "8")


def copy(directory, program, name, version=None):
    """A copy; with another version where one is told, of the same length."""
    target = directory / name
    with open(program, "rb") as file:
        image = file.read()
    if version:
        assert VERSION.encode() in image
        image = image.replace(VERSION.encode() + b"\0", version.encode() + b"\0")
        image = image.replace(VERSION.encode() + b"\n", version.encode() + b"\n")
    target.write_bytes(image)
    target.chmod(0o755)
    return str(target)


def script(directory, name, text):
    target = directory / name
    target.write_text("#!/bin/sh\n" + text)
    target.chmod(0o755)
    return str(target)


def pretender(directory, name, text, says=VERSION):
    """A flocksd that says its version and then does what the text says."""
    return script(directory, name, f'[ "$1" = --version ] && {{ echo flocksd {says}; exit 0; }}\n{text}\n')


@pytest.fixture
def keeper():
    made = Keeper()
    yield made
    with contextlib.suppress(Exception):
        made.ok("leave")
        made.ask("exit", 0)
    with contextlib.suppress(Exception):
        made.process.wait(5)
    print(made.log())
    made.process.kill()
    shutil.rmtree(made.root, ignore_errors=True)


class Replacements:
    """Names operations, and waits for their ends."""

    def __init__(self, keeper):
        self.keeper = keeper
        self.n = 0

    def prepare(self, flocksd, program=KEEPER, version=""):
        self.n += 1
        answer = self.keeper.last("prepare", f"op-{self.n}", flocksd, program, version)
        return " ".join(answer)

    def begin(self):
        with contextlib.suppress(OSError):
            self.keeper.last("replace", f"op-{self.n}")

    def end(self):
        """(version of the keeper, failure), as the flocksd that runs was told."""
        return wait_for("replacement ended", self._look)

    def _look(self):
        with contextlib.suppress(OSError, ValueError, IndexError):
            told = " ".join(self.keeper.ok("replaced")).partition("|")[2]
            operation, version, failure = told.split(" ", 2) if told.count(" ") > 1 else (told.split(" ") + [""])
            return (version, failure.strip()) if operation == f"op-{self.n}" else None
        return None

    def run(self, flocksd, program=KEEPER, version=""):
        answer = self.prepare(flocksd, program, version)
        assert answer == "ok", (answer, self.keeper.log())
        self.begin()
        return self.end()


@pytest.fixture
def replacements(keeper):
    return Replacements(keeper)


def image_of(pid):
    return os.readlink(f"/proc/{pid}/exe")


def descriptors_of(keeper):
    """Between two requests: after its answer, whatever it was doing before is done."""
    keeper.children()
    directory = f"/proc/{keeper.pid}/fd"
    found = []
    for fd in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"{directory}/{fd}").split(":")[0])
    return sorted(found)


def test_both_images_change_and_children_notice_nothing(keeper, replacements, tmp_path):
    log = keeper.register(1)
    keeper.register(2)
    writer = ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exec sleep 1000"]
    _, pid, _ = keeper.spawn(1, 7, *writer)
    _, short, _ = keeper.spawn(2, 3, "sh", "-c", "read x < /dev/null; exit 5")
    wait_for("exit", lambda: any(exit[3] == int(short) for exit in keeper.exits()))
    before = keeper.facts()
    flocksd = copy(tmp_path, FAKE_FLOCKSD, "flocksd")
    program = copy(tmp_path, KEEPER, "keeper", OTHER)

    assert replacements.run(flocksd, program) == (OTHER, "")

    after = keeper.facts()
    assert after["keeper"] == before["keeper"] == keeper.pid
    assert after["pid"] != before["pid"]
    assert image_of(keeper.pid) == program
    assert image_of(after["pid"]) == flocksd
    assert is_alive(int(pid))
    with open(f"/proc/{keeper.pid}/comm") as file:
        assert file.read() == "flocks-keeper\n"
    with open(log) as file:
        wait_for("the last line", lambda: file.seek(0) == 0 and file.read().endswith("line 19999\n"))
    # An exit that was not acknowledged is told again, once, by the new keeper, and new ones go on behind it.
    assert [(exit[1], exit[2], exit[4]) for exit in keeper.exits() if exit[1] == 2] == [(2, 3, 5 << 8)]
    keeper.ok("signal", 1, 7, signal.SIGTERM, "leader")
    wait_for("exit of the writer", lambda: any(exit[3] == int(pid) for exit in keeper.exits()))
    last = [exit for exit in keeper.exits() if exit[3] == int(pid)][0]
    assert last[4] == signal.SIGTERM and last[0] > 1
    assert keeper.spawn(1, 7, "true")[0] == "error"
    assert keeper.spawn(1, 8, "true")[0] == "ok"
    with open(log) as file:
        assert file.read() == "".join(f"line {i}\n" for i in range(20000))


def test_twenty_replacements_leave_nothing_behind(keeper, replacements, tmp_path):
    for slot in range(1, 6):
        keeper.register(slot)
        keeper.spawn(slot, 1, "sleep", "1000")
    pids = [child[2] for child in keeper.children()]
    keepers = [copy(tmp_path, KEEPER, "keeper-a"), copy(tmp_path, KEEPER, "keeper-b", OTHER)]
    # The first one makes the descriptors close-on-exec that were opened otherwise; then none may be added.
    replacements.run(FAKE_FLOCKSD, keepers[1])
    keeper.capture()
    before = descriptors_of(keeper)
    for i in range(20):
        assert replacements.run(FAKE_FLOCKSD, keepers[i % 2])[1] == ""
    keeper.capture()
    wait_for("descriptors as before", lambda: descriptors_of(keeper) == before)
    assert [child[2] for child in keeper.children()] == pids
    assert all(is_alive(pid) for pid in pids)


TRUNCATED, NO_PROGRAM, DIES, OTHER_VERSION, NO_KEEPER = "truncated", "no program", "dies", "version", "no keeper"


@pytest.mark.parametrize("fault", [TRUNCATED, NO_PROGRAM, DIES, OTHER_VERSION, NO_KEEPER])
def test_image_that_is_no_good_is_refused_and_nothing_changes(keeper, replacements, tmp_path, fault):
    flocksd, program, version = FAKE_FLOCKSD, KEEPER, VERSION
    if fault == TRUNCATED:
        flocksd = copy(tmp_path, FAKE_FLOCKSD, "flocksd")
        os.truncate(flocksd, 3000)
    elif fault == NO_PROGRAM:
        program = copy(tmp_path, KEEPER, "keeper")
        os.chmod(program, stat.S_IRUSR)
        flocksd = script(tmp_path, "flocksd", "exit 0")
        os.chmod(flocksd, stat.S_IRUSR)
    elif fault == DIES:
        flocksd = script(tmp_path, "flocksd", "echo no such library; exit 3")
    elif fault == OTHER_VERSION:
        program = copy(tmp_path, KEEPER, "keeper", OTHER)
    elif fault == NO_KEEPER:
        program = "/bin/echo"
    before = keeper.facts()
    answer = replacements.prepare(flocksd, program, version)
    assert answer.startswith("error FAILED_PRECONDITION"), answer
    expected = {TRUNCATED: "cannot be used", NO_PROGRAM: "Permission denied", DIES: "exit code 3 when it was tried "
                "out: no such library", OTHER_VERSION: f"is version {OTHER}, not {VERSION}", NO_KEEPER: "flocks-keeper"}
    assert expected[fault] in answer
    assert keeper.last("replace", f"op-{replacements.n}")[0] == "error"
    # (A sanitizer's helper may have been orphaned.)
    assert {**keeper.facts(), "strays": 0} == {**before, "strays": 0}
    # And it may be tried again.
    assert replacements.run(FAKE_FLOCKSD)[1] == ""


def test_flocksd_that_dies_before_it_is_ready_gives_way_to_the_old_one(keeper, replacements, tmp_path):
    image = pretender(tmp_path, "flocksd", "exit 9")
    before = image_of(keeper.facts()["pid"])
    _, failure = replacements.run(image)
    assert "ended 3 times before it was ready (exit code 9)" in failure
    assert failure.endswith(f"flocksd {VERSION} runs again")
    assert image_of(keeper.facts()["pid"]) == before
    # A crash afterwards runs the right one, too.
    keeper.kill_flocksd()
    assert image_of(keeper.facts()["pid"]) == before


def test_flocksd_that_cannot_serve_gives_way_at_once_and_says_why(keeper, replacements, tmp_path):
    image = pretender(tmp_path, "flocksd", f"FAKE_FLOCKSD=fail exec {FAKE_FLOCKSD} \"$@\"")
    assert "cannot serve: no such port" in replacements.run(image)[1]
    assert image_of(keeper.facts()["pid"]) == FAKE_FLOCKSD


def test_flocksd_that_greets_with_another_version_gives_way(keeper, replacements, tmp_path):
    other = copy(tmp_path, FAKE_FLOCKSD, "other", OTHER)
    image = pretender(tmp_path, "flocksd", f"exec {other} \"$@\"")
    assert f"says that it is version {OTHER}, not {VERSION}" in replacements.run(image, version=VERSION)[1]
    assert image_of(keeper.facts()["pid"]) == FAKE_FLOCKSD


def hello(protocol, lowest):
    """A packet of the link that says Hello."""
    def text(field, value):
        return bytes([field << 3 | 2, len(value)]) + value

    message = bytes([1 << 3, protocol, 2 << 3, lowest]) + text(3, b"9.9.9")
    body = text(1, b"flocks.keeper.v1.KeeperService") + text(2, b"Hello") + text(3, message)
    return struct.pack(">IIBB", len(body), 1, 1, 0) + body


def test_flocksd_without_a_common_number_gives_way(keeper, replacements, tmp_path):
    client = f"import socket, time; socket.socket(fileno=3).send({hello(9, 8)!r}); time.sleep(1000)"
    image = pretender(tmp_path, "flocksd", f"exec /usr/bin/python3 -c \"{client}\"")
    assert "speaks no number of the link's protocol" in replacements.run(image)[1]
    assert image_of(keeper.facts()["pid"]) == FAKE_FLOCKSD


def test_keeper_that_cannot_go_on_executes_the_one_before(keeper, replacements, tmp_path):
    keeper.register(1)
    _, pid, _ = keeper.spawn(1, 1, "sleep", "1000")
    image = script(tmp_path, "keeper",
                   f'[ "$1" = --check ] && exec {KEEPER} --check\nexec {KEEPER} --flocksd-fd 999 "$@"')
    version, failure = replacements.run(FAKE_FLOCKSD, image)
    assert version == VERSION
    assert "the new one could not go on: " in failure
    assert is_alive(int(pid)) and keeper.facts()["keeper"] == keeper.pid
    keeper.ok("signal", 1, 1, signal.SIGKILL, "leader")
    wait_for("exit", lambda: any(exit[3] == int(pid) and exit[4] == 9 for exit in keeper.exits()))
    assert replacements.run(FAKE_FLOCKSD)[1] == ""


def test_keeper_that_dies_as_it_goes_on_is_succeeded_by_flocksd(keeper, replacements, tmp_path):
    keeper.register(1)
    _, pid, _ = keeper.spawn(1, 1, "sleep", "1000")
    image = script(tmp_path, "keeper", f'[ "$1" = --check ] && exec {KEEPER} --check\nexit 3')
    assert replacements.prepare(FAKE_FLOCKSD, image) == "ok"
    replacements.begin()
    keeper.process.wait(30)

    def other():
        with contextlib.suppress(OSError):
            return keeper.facts()["keeper"] not in (0, keeper.pid)
        return False
    wait_for("another keeper", other)
    keeper.pid = keeper.facts()["keeper"]
    assert is_alive(int(pid))
    assert [child[2] for child in keeper.children()] == [int(pid)]
    keeper.ok("signal", 1, 1, signal.SIGKILL, "leader")
    wait_for("exit", lambda: any(exit[3] == int(pid) for exit in keeper.exits()))


def test_deleted_images_run_on_and_again(keeper, replacements, tmp_path):
    keeper.register(1)
    _, pid, _ = keeper.spawn(1, 1, "sleep", "1000")
    release = tmp_path / "release"
    release.mkdir()
    flocksd, program = copy(release, FAKE_FLOCKSD, "flocksd"), copy(release, KEEPER, "keeper", OTHER)
    assert replacements.run(flocksd, program) == (OTHER, "")
    shutil.rmtree(release)
    keeper.kill_flocksd()
    assert image_of(keeper.facts()["pid"]) == flocksd + " (deleted)"
    # The release that is the way back has gone, too: what was running is returned to all the same.
    image = pretender(tmp_path, "flocksd", "exit 9")
    assert "runs again" in replacements.run(image)[1]
    assert image_of(keeper.facts()["pid"]) == flocksd + " (deleted)"
    assert is_alive(int(pid))


def test_flocksd_killed_before_it_gives_its_place_ends_the_replacement(keeper, replacements):
    assert replacements.prepare(FAKE_FLOCKSD) == "ok"
    keeper.kill_flocksd()
    assert "ended before it gave its place" in replacements.end()[1]
    assert replacements.run(FAKE_FLOCKSD)[1] == ""


def test_next_flocksd_hears_of_the_end_as_well(keeper, replacements, tmp_path):
    # One that was told may have been killed before it wrote it down.
    failure = replacements.run(pretender(tmp_path, "flocksd", "exit 9"))[1]
    keeper.kill_flocksd()
    assert replacements.end()[1] == failure
    assert replacements.run(FAKE_FLOCKSD)[1] == ""
    keeper.kill_flocksd()
    assert replacements.end()[1] == ""


def test_shutdown_in_the_middle_of_a_trial_ends(keeper, replacements, tmp_path):
    image = pretender(tmp_path, "flocksd", "exec sleep 1000")
    keeper.register(1)
    keeper.spawn(1, 1, "sleep", "1000")
    assert replacements.prepare(image) == "ok"
    replacements.begin()
    os.kill(keeper.pid, signal.SIGTERM)
    assert "was not ready when the keeper was asked to end" in replacements.end()[1]
    wait_for("the old flocksd hears of it", lambda: keeper.facts()["shutdown"] == signal.SIGTERM)
    assert keeper.leave() == 0
