"""What the Python supervisor left in a root is ended once, by its own socket or by verified records."""

import json
import subprocess
import time

import pytest

from instance import PYTHON, REPOSITORY, is_alive, wait_until

SUPERVISOR = REPOSITORY / "tests" / "fixtures" / "old_supervisor.py"


@pytest.fixture
def old_supervisor(instance, foreigners):
    """A function that runs one on this root's old socket and answers the process."""
    (instance.root / "run").mkdir(mode=0o700)
    path = instance.root / "run" / "service-daemon.sock"

    def run(*arguments):
        process = subprocess.Popen(
            [PYTHON, str(SUPERVISOR), str(path), *arguments], stdout=subprocess.PIPE, text=True
        )
        foreigners.append(process)
        assert process.stdout.readline().startswith("listening")
        return process

    return run


def test_living_supervisor_is_asked_through_its_socket(instance, old_supervisor):
    process = old_supervisor()
    result = instance.stop()
    assert process.wait(timeout=10) == 0
    assert process.stdout.read() == "stopped\n"
    assert not (instance.root / "run" / "service-daemon.sock").exists()
    assert str(process.pid) in result.stderr


def test_supervisor_that_does_not_answer_is_ended(instance, old_supervisor):
    process = old_supervisor("deaf")
    instance.stop()
    assert process.wait(timeout=10) == -15
    assert not (instance.root / "run" / "service-daemon.sock").exists()


def test_stale_socket_is_removed(instance, old_supervisor):
    process = old_supervisor()
    process.kill()
    process.wait()
    instance.stop()
    assert not (instance.root / "run" / "service-daemon.sock").exists()


def write_record(instance, name, process, **changes):
    """As the old command line wrote it."""
    record = {
        "pid": process.pid,
        "pgid": process.pid,
        "host": "127.0.0.1",
        "port": 8000,
        "command": list(process.args),
        "started_at": time.time(),
    }
    record.update(changes)
    run = instance.root / "run"
    run.mkdir(mode=0o700, exist_ok=True)
    path = run / f"{name}.pid"
    path.write_text(json.dumps(record))
    return path


def run_sleeper(foreigners):
    process = subprocess.Popen(["/bin/sleep", "4711"], start_new_session=True)
    foreigners.append(process)
    return process


def test_recorded_process_is_ended_at_start_and_its_record_removed(instance, foreigners):
    instance.write("services: {ticker: {command: [/bin/sleep, '1000']}}\n")
    process = run_sleeper(foreigners)
    record = write_record(instance, "backend", process)
    instance.start()
    assert process.wait(timeout=10) == -15
    assert not record.exists()


@pytest.mark.parametrize(
    "changes",
    [{"started_at": 1000000000}, {"command": ["/usr/bin/flocks", "serve"]}],
    ids=["start time", "command line"],
)
def test_record_that_does_not_agree_ends_nobody(instance, foreigners, changes):
    process = run_sleeper(foreigners)
    record = write_record(instance, "webui", process, **changes)
    result = instance.stop()
    assert is_alive(process.pid)
    assert not record.exists()
    assert "left alone" in result.stderr


def test_mistaken_configuration_leaves_the_old_one_running(instance, foreigners):
    instance.write("services: {ticker: {comand: [/bin/sleep, '1000']}}\n")
    process = run_sleeper(foreigners)
    record = write_record(instance, "backend", process)
    instance.start(check=2)
    assert is_alive(process.pid)
    assert record.exists()
    wait_until(lambda: instance.processes() == [], what="nothing was started")
