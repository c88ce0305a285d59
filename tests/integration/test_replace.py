"""ReplaceDaemon: other images of flocksd and flocks-keeper while the services run, and back when they are no good. The
images are copies of the real programs with another version, or with a fault of a release that should never have been."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import grpc
import pytest

from instance import BUILD, check_numbers, descriptors_of, is_alive, numbers, wait_until
from tcp import grpc_method

pytestmark = pytest.mark.no_chaos(reason="looks at what each flocksd says")

VERSION = subprocess.run(
    [BUILD / "bin" / "flocksd", "--version"], capture_output=True, text=True, check=True
).stdout.split()[1]
NEXT = VERSION[:-1] + ("9" if VERSION[-1] != "9" else "8")
REPLACEMENTS = 20
KILLS = 8

CONFIG = """
services:
  one: {command: [/bin/sleep, "1001"]}
  two: {command: [/bin/sleep, "1002"]}
"""


def write_program(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


class Release:
    """The programs in a directory of their own, with another version in their images where one is told."""

    def __init__(self, directory, version=VERSION):
        self.directory, self.version = directory, version
        directory.mkdir(parents=True)
        for name in ("flocksd", "flocks-keeper"):
            image = (BUILD / "bin" / name).read_bytes()
            for end in (b"\0", b"\n"):
                image = image.replace(VERSION.encode() + end, version.encode() + end)
            (directory / name).write_bytes(image)
            (directory / name).chmod(0o755)

    @property
    def flocksd(self):
        return self.directory / "flocksd"

    @property
    def keeper(self):
        return self.directory / "flocks-keeper"

    def request(self, **other):
        return {
            "flocksd_path": str(self.flocksd),
            "keeper_path": str(self.keeper),
            "expected_version": self.version,
        } | other


def call(instance, method, request, check=0):
    result = instance.flocks("call", method, json.dumps(request))
    assert result.returncode == check, (method, request, result.stdout, result.stderr, instance.daemon_log())
    return json.loads(result.stdout) if check == 0 else result.stderr


def begin(instance, request):
    return call(instance, "ReplaceDaemon", request)["operation"]["id"]


def ended(instance, operation_id, or_gone=False):
    """The operation, when it has ended; asked of whichever flocksd runs. None: nobody runs any more."""
    gone = object()

    def look():
        if or_gone and is_gone(instance):
            return gone
        result = instance.flocks("call", "GetOperation", json.dumps({"operation_id": operation_id}))
        if result.returncode != 0:
            return None
        operation = json.loads(result.stdout)["operation"]
        return operation if operation["state"] != "OPERATION_STATE_RUNNING" else None

    try:
        found = wait_until(look, 60, f"the end of {operation_id}")
    except AssertionError:
        print(instance.daemon_log())
        raise
    return found if found is not gone else None


def is_gone(instance):
    """Neither program is left: who was killed had nobody yet who held what it had."""
    names = []
    for pid in instance.processes():
        with contextlib.suppress(OSError):
            names.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return "flocksd" not in names and "flocks-keeper" not in names


def replace(instance, request):
    return ended(instance, begin(instance, request))


def daemon(instance):
    return instance.status()["daemon"]


def identities(instance):
    return {s["name"]: (s["pid"], s["generation"]) for s in instance.status()["services"]}


def told_last(text):
    """The operation in the last of the messages that WatchOperation told."""
    return json.loads(text.splitlines()[-1])["operation"]


def image_of(pid):
    return os.readlink(f"/proc/{pid}/exe")


def assert_failed(operation, *words):
    assert operation["state"] == "OPERATION_STATE_FAILED", operation
    for word in words:
        assert word in operation["error"]["attempted"], operation


@pytest.fixture
def running(instance):
    instance.write(CONFIG + numbers(instance))
    instance.start()
    return instance


@pytest.fixture
def release(tmp_path):
    return Release(tmp_path / "next", NEXT)


def test_both_programs_are_replaced_and_no_call_fails(running, release, stubs):
    before, services = daemon(running), identities(running)
    channel = grpc.insecure_channel(f"unix:{running.root}/run/flocksd.sock")
    get_status = grpc_method(channel, stubs, "GetStatus")
    failures, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            try:
                get_status(stubs[1].GetStatusRequest(), timeout=30)
            except grpc.RpcError as failure:
                failures.append(failure)

    caller = threading.Thread(target=ask)
    caller.start()
    try:
        operation_id = begin(running, release.request())
        watched = running.flocks("call", "WatchOperation", json.dumps({"operation_id": operation_id}))
        operation = ended(running, operation_id)
    finally:
        is_over.set()
        caller.join(60)
        channel.close()
    assert operation["state"] == "OPERATION_STATE_SUCCEEDED", (operation, running.daemon_log())
    assert operation["kind"] == "OPERATION_KIND_REPLACE_DAEMON"
    assert failures == [] and watched.returncode == 0, watched
    assert told_last(watched.stdout)["state"] == "OPERATION_STATE_SUCCEEDED", watched
    after = daemon(running)
    assert after["version"] == after["keeper_version"] == NEXT
    assert after["keeper_pid"] == before["keeper_pid"] and after["pid"] != before["pid"]
    assert image_of(after["pid"]) == str(release.flocksd)
    assert image_of(after["keeper_pid"]) == str(release.keeper)
    assert identities(running) == services
    # Whichever dies now, it is the new one that goes on.
    os.kill(after["pid"], signal.SIGKILL)
    wait_until(lambda: daemon(running)["pid"] != after["pid"], what="the next flocksd")
    assert daemon(running)["version"] == NEXT
    os.kill(after["keeper_pid"], signal.SIGKILL)
    wait_until(lambda: daemon(running)["keeper_pid"] != after["keeper_pid"], what="the next keeper")
    assert (daemon(running)["version"], daemon(running)["keeper_version"]) == (NEXT, NEXT)
    assert identities(running) == services
    check_numbers(running)
    running.stop()


def test_second_replacement_is_refused_and_who_watches_the_first_is_told_its_end_by_the_next_flocksd(running, release, tmp_path):
    before = daemon(running)
    may_go_on = tmp_path / "may-go-on"
    patient = write_program(
        release.directory / "patient",
        f'[ "$1" != --version ] || until [ -e {may_go_on} ]; do sleep 0.02; done\nexec {release.flocksd} "$@"\n',
    )
    operation_id = begin(running, release.request(flocksd_path=str(patient)))
    command = running.command("call", "WatchOperation", json.dumps({"operation_id": operation_id}))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=running.environment) as watcher:
        assert told_last(watcher.stdout.readline())["state"] == "OPERATION_STATE_RUNNING"
        assert "under way" in call(running, "ReplaceDaemon", release.request(), check=5)
        may_go_on.touch()
        told = watcher.stdout.read()
    assert watcher.returncode == 0 and told_last(told)["state"] == "OPERATION_STATE_SUCCEEDED", told
    assert daemon(running)["pid"] != before["pid"]


def test_what_is_no_good_is_refused_and_nothing_changes(running, release, tmp_path):
    before, services = daemon(running), identities(running)
    truncated = tmp_path / "truncated"
    truncated.write_bytes(release.flocksd.read_bytes()[:5000])
    truncated.chmod(0o755)
    unreadable = tmp_path / "unreadable"
    shutil.copy(release.keeper, unreadable)
    unreadable.chmod(0o600)
    faults = {
        "cannot be used": release.request(flocksd_path=str(truncated)),
        "Permission denied": release.request(keeper_path=str(unreadable)),
        "ENOENT": release.request(flocksd_path=str(tmp_path / "nothing")),
        f"is version {NEXT}, not 7.7.7": release.request(expected_version="7.7.7"),
        "it does not say what it is": release.request(flocksd_path="/bin/echo"),
        "no such library": release.request(
            keeper_path=str(write_program(tmp_path / "loud", "echo no such library; exit 127"))
        ),
    }
    for words, request in faults.items():
        assert_failed(replace(running, request), words)
    assert "absolute" in call(running, "ReplaceDaemon", {"flocksd_path": "flocksd"}, check=2)
    after = daemon(running)
    assert (after["pid"], after["keeper_pid"], after["version"]) == (before["pid"], before["keeper_pid"], VERSION)
    assert identities(running) == services


def pretend(release, text):
    """A flocksd that says the version and then does something else."""
    return str(
        write_program(
            release.directory / "pretender", f'[ "$1" = --version ] && exec {release.flocksd} --version\n{text}\n'
        )
    )


def test_flocksd_that_dies_or_is_another_gives_way_to_the_old_one(running, release, tmp_path):
    before, services = daemon(running), identities(running)
    other = Release(tmp_path / "other", NEXT[:-1] + "7")
    faults = {
        "ended 3 times before it was ready (exit code 9)": "exit 9",
        "(killed by signal 11)": "kill -SEGV $$",
        f"says that it is version {other.version}, not {NEXT}": f'exec {other.flocksd} "$@"',
    }
    for words, text in faults.items():
        operation = replace(running, release.request(flocksd_path=pretend(release, text)))
        assert_failed(operation, words, f"flocksd {VERSION} runs again")
        after = daemon(running)
        assert (after["version"], after["keeper_version"], after["keeper_pid"]) == (VERSION, VERSION, before["keeper_pid"])
    assert identities(running) == services
    check_numbers(running)


def test_flocksd_that_hangs_gives_way(running, release):
    services = identities(running)
    operation_id = begin(running, release.request(flocksd_path=pretend(release, "exec sleep 1000")))
    assert_failed(ended(running, operation_id), "was not ready in time")
    assert identities(running) == services


def test_deleted_release_runs_on_and_can_be_returned_to(running, release, tmp_path):
    services = identities(running)
    assert replace(running, release.request())["state"] == "OPERATION_STATE_SUCCEEDED"
    shutil.rmtree(release.directory)
    bad = Release(tmp_path / "bad")
    assert_failed(replace(running, bad.request(flocksd_path=pretend(bad, "exit 9"))), f"flocksd {NEXT} runs again")
    assert daemon(running)["version"] == NEXT
    keeper_pid = daemon(running)["keeper_pid"]
    os.kill(keeper_pid, signal.SIGKILL)
    wait_until(lambda: daemon(running)["keeper_pid"] != keeper_pid, what="the next keeper")
    assert (daemon(running)["version"], daemon(running)["keeper_version"]) == (NEXT, NEXT)
    assert identities(running) == services


def test_one_program_alone_is_replaced_and_the_other_need_not_be_that_version(running, release):
    request = release.request()
    del request["keeper_path"]
    assert replace(running, request)["state"] == "OPERATION_STATE_SUCCEEDED"
    assert (daemon(running)["version"], daemon(running)["keeper_version"]) == (NEXT, VERSION)


def test_twenty_replacements_leave_nothing_behind(running, release, tmp_path):
    releases = [release, Release(tmp_path / "first")]
    services = identities(running)

    def use():
        """Descriptors of both, and how many processes there are: more for a moment, while something ends."""
        now = daemon(running)
        pids = (now["pid"], now["keeper_pid"])
        return [descriptors_of(pid) for pid in pids] + [len(running.processes())]

    for which in releases:
        assert replace(running, which.request())["state"] == "OPERATION_STATE_SUCCEEDED"
    before = use()
    for i in range(REPLACEMENTS):
        operation = replace(running, releases[i % 2].request())
        assert operation["state"] == "OPERATION_STATE_SUCCEEDED", operation
    wait_until(lambda: all(n <= m for n, m in zip(use(), before)), what=f"no more than {before}, not {use()}")
    assert identities(running) == services
    check_numbers(running)
    running.stop()


def test_killed_at_any_moment_one_pair_of_programs_runs(running, release, tmp_path):
    """kill -9 of flocksd or of the keeper somewhere on the way: the services run on, the operation has an end, and
    what runs afterwards can be replaced again. A keeper that is killed while the new flocksd has not said Hello takes
    everything with it, as it does at any time; then the next start is a fresh one."""
    releases = [release, Release(tmp_path / "first")]
    services, moment, starts = identities(running), random.Random(6), 1
    for i in range(KILLS):
        now = daemon(running)
        which = releases[i % 2]
        operation_id = begin(running, which.request())
        time.sleep(moment.random() * 0.4)
        with contextlib.suppress(ProcessLookupError):
            os.kill(now["keeper_pid" if i % 3 == 0 else "pid"], signal.SIGKILL)
        operation = ended(running, operation_id, or_gone=True)
        if operation is None:
            running.start()
            services, starts = identities(running), starts + 1
            continue
        assert operation["state"] in (
            "OPERATION_STATE_SUCCEEDED", "OPERATION_STATE_FAILED", "OPERATION_STATE_INTERRUPTED",
        ), operation
        after = daemon(running)
        if operation["state"] == "OPERATION_STATE_SUCCEEDED":
            assert after["version"] == which.version, (operation, running.daemon_log())
        else:
            assert operation["error"]["attempted"] != ""
        assert after["version"] in (VERSION, NEXT) and after["keeper_version"] in (VERSION, NEXT)
        assert identities(running) == services
    assert replace(running, release.request())["state"] == "OPERATION_STATE_SUCCEEDED"
    if starts == 1:
        check_numbers(running)
    running.stop()
    assert running.processes() == []


def test_stop_ends_the_services_when_no_flocksd_can_run_any_more(make_instance, tmp_path):
    """What a keeper with a flocksd that cannot speak with it made of `flocks stop`: it hung."""
    programs = Release(tmp_path / "programs")
    shutil.copy(BUILD / "bin" / "flocks", programs.directory / "flocks")
    real = programs.flocksd.rename(programs.directory / "flocksd.real")
    broken = tmp_path / "broken"
    write_program(programs.flocksd, f'[ -e {broken} ] && exit 1\nexec {real} "$@"\n')
    instance = make_instance()
    instance.bin = programs.directory
    instance.write(CONFIG)
    instance.start()
    pids = [pid for pid, _ in identities(instance).values()]
    broken.touch()
    os.kill(daemon(instance)["pid"], signal.SIGKILL)
    instance.stop()
    assert not any(is_alive(pid) for pid in pids)
    assert instance.processes() == []


def test_stop_in_the_middle_of_a_replacement_stops(running, release):
    pids = [pid for pid, _ in identities(running).values()]
    begin(running, release.request(flocksd_path=pretend(release, "exec sleep 1000")))
    running.stop()
    assert not any(is_alive(pid) for pid in pids)
    assert running.processes() == []
