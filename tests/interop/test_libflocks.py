"""libflocks against the real daemon, with five hundred services."""

import os
import signal
import subprocess

from conftest import SERVICES, name_of
from instance import BUILD, wait_until
from peers import Facts, tell

NOT_FOUND = 5
SUCCEEDED = 3


def test_status_of_five_hundred_services_is_complete(flock, socket_path):
    facts, told = tell("flocks_client", socket_path, "status"), flock.status()
    assert facts["daemon"] == f"{told['daemon']['pid']} {told['daemon']['version']}"
    assert facts.all("service") == [f"{one['name']} {one['pid']}" for one in told["services"]]
    assert len(told["services"]) == SERVICES + 1


def test_configuration_comes_whole(socket_path):
    facts = tell("flocks_client", socket_path, "config")
    assert len(facts["digest"]) == 64
    assert int(facts["origins"]) > SERVICES


def test_restart_with_wait_makes_another_process(flock, socket_path):
    before = flock.pid(name_of(30))
    facts = tell("flocks_client", socket_path, "restart", name_of(30))
    assert facts["operation"].split()[1] == str(SUCCEEDED)
    assert flock.pid(name_of(30)) != before


def test_failure_brings_the_typed_detail(socket_path):
    facts = tell("flocks_client", socket_path, "status", "nobody")
    assert (int(facts["code"]), facts["from_daemon"]) == (NOT_FOUND, "1")
    assert facts["service"] == "nobody"
    assert facts["hint"]


def test_stream_of_events_begins_with_a_snapshot(flock, socket_path):
    facts = tell("flocks_client", socket_path, "watch")
    assert int(facts["snapshot"]) == len(flock.status()["services"])
    assert facts["token"]


def test_driven_client_outlives_daemons(flock, socket_path):
    """kill -9 of flocksd, twice, while eight calls are in flight at any time: each is answered."""
    program = [str(BUILD / "tests" / "flocks_client"), str(socket_path), "survive"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        told = client.stdout.readline()
        for _ in range(2):
            before = flock.status()["daemon"]["pid"]
            assert told.split() == ["daemon", str(before)]
            os.kill(before, signal.SIGKILL)
            told = client.stdout.readline()
            wait_until(lambda: flock.status()["daemon"]["pid"] != before, what="another flocksd")
        rest = Facts(client.communicate(timeout=60)[0])
    assert client.returncode == 0
    assert (rest["failed"], rest["daemons"]) == ("0", "3")
    assert int(rest["answered"]) > 3
