"""`flocks selftest`: every promise holds here, nothing stays behind, and a broken one would be told."""

import json
import os
import signal
import subprocess
import time

import pytest

from instance import is_alive, wait_until

TICKER = "services: {ticker: {command: [/bin/sleep, '1000']}}\n"


@pytest.fixture
def place(tmp_path):
    """TMPDIR of a selftest: what it makes is in there, and nowhere else."""
    directory = tmp_path / "t"
    directory.mkdir()
    return directory


def environment_of(instance, place):
    return dict(instance.environment, TMPDIR=str(place))


def processes_below(place):
    """Pids whose environment names a root below `place`."""
    wanted = f"FLOCKS_ROOT={place}/".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                entries = file.read().split(b"\0")
        except OSError:
            continue
        if any(entry.startswith(wanted) for entry in entries) and is_alive(int(name)):
            found.append(int(name))
    return found


def expect_nothing_left(place):
    assert processes_below(place) == []
    assert os.listdir(place) == []


def test_selftest_holds_here_and_touches_no_other_instance(instance, place):
    instance.write(TICKER)
    instance.start()
    before = instance.status()
    result = instance.flocks("selftest", "--json", env=environment_of(instance, place), timeout=150)
    report = json.loads(result.stdout)
    broken = [one for one in report["results"] if one["verdict"] != "SELFTEST_VERDICT_HELD"]
    assert (result.returncode, broken, report["processes_left"]) == (0, [], 0), report
    assert len(report["results"]) >= 9
    after = instance.status()
    for part in ("pid", "keeper_pid"):
        assert after["daemon"][part] == before["daemon"][part]
    assert after["services"][0]["pid"] == before["services"][0]["pid"]
    expect_nothing_left(place)


def test_selftest_shows_a_table_of_the_drills_that_were_named(instance, place):
    told = instance.flocks("selftest", "service killed", env=environment_of(instance, place), check=0).stdout
    lines = told.splitlines()
    assert lines[0].split() == ["DRILL", "RESULT", "TIME", "PROMISE"]
    assert lines[1].startswith("service killed    held")
    assert lines[2].startswith("service hangs     not tried")
    expect_nothing_left(place)
    told = instance.flocks("selftest", "no such", env=environment_of(instance, place), check=2).stderr
    assert 'no drill "no such"' in told
    expect_nothing_left(place)


@pytest.mark.parametrize("after_s", [0.0, 0.2, 1.0, 3.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_selftest_interrupted_at_any_moment_leaves_nothing(instance, place, number, after_s):
    process = subprocess.Popen(
        instance.command("selftest"), env=environment_of(instance, place),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    if after_s > 0:
        wait_until(lambda: os.listdir(place) or process.poll() is not None, what="its directory")
    time.sleep(after_s)
    process.send_signal(number)
    code = process.wait(timeout=60)
    assert code in (130, 143, -number)
    expect_nothing_left(place)


def test_selftest_that_cannot_start_says_so_and_keeps_its_logs_on_request(instance, place):
    program = instance.bin / "flocks-selftest"
    command = [str(program), "--flocks", "/bin/false"]
    result = subprocess.run(command, env=environment_of(instance, place), capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "`flocks start` exited with 1" in result.stderr and "--keep" in result.stderr
    expect_nothing_left(place)
    subprocess.run([*command, "--keep"], env=environment_of(instance, place), capture_output=True, timeout=60)
    assert len(os.listdir(place)) == 1


ONCE = """#!/bin/sh
# flocks, for a selftest whose web service serves once: what replaces it never gets anywhere.
sed -i 's|command: \\["\\(.*\\)", --serve, web, \\(.*\\)\\]|'\\
'command: [/bin/sh, -c, "mkdir $1 2>/dev/null \\&\\& exec $0 --serve web $2; exec sleep 1000", "\\1", "'"$2"'/once", \\2]|' "$2/flocks.yaml"
exec {flocks} "$@"
"""


def test_selftest_tells_a_broken_promise(instance, place, tmp_path):
    program = tmp_path / "once"
    program.write_text(ONCE.format(flocks=instance.bin / "flocks"))
    program.chmod(0o755)
    result = subprocess.run(
        [str(instance.bin / "flocks-selftest"), "--flocks", str(program), "--json", "service killed"],
        env=environment_of(instance, place), capture_output=True, text=True, timeout=120,
    )
    report = json.loads(result.stdout)
    assert result.returncode == 1, (report, result.stderr)
    assert report["results"][0]["verdict"] == "SELFTEST_VERDICT_BROKEN"
    expect_nothing_left(place)
