"""The nano client against the real daemon. The program is linked with an allocator that aborts."""

import os
import time

from conftest import SERVICES, name_of
from peers import tell

INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 3, 4, 5
SUCCEEDED, KIND_STOP, KIND_RESTART = 3, 2, 3
STATES = {"SERVICE_STATE_STOPPED": 1, "SERVICE_STATE_HEALTHY": 5}


def test_status_of_five_hundred_services_is_complete(flock, socket_path):
    facts, told = tell("nano_client", socket_path, "status"), flock.status()
    assert facts["daemon"] == f"{told['daemon']['pid']} {told['daemon']['version']}"
    seen = facts.all("service")
    assert len(seen) == SERVICES + 1
    for ours, theirs in zip(told["services"], seen):
        name, state, pid, generation, since = theirs.split()
        assert name == ours["name"]
        assert (int(state), int(pid), int(generation)) == (
            STATES[ours["state"]],
            ours["pid"],
            ours["generation"],
        )
        assert abs(int(since) - time.time()) < 600


def test_status_of_named_services(flock, socket_path):
    names = [name_of(n) for n in range(16)]
    seen = tell("nano_client", socket_path, "status", *names).all("service")
    assert [line.split()[0] for line in seen] == names


def test_more_names_than_there_is_room_for_are_refused(socket_path):
    facts = tell("nano_client", socket_path, "status", *[name_of(n) for n in range(17)])
    assert int(facts["code"]) == INVALID_ARGUMENT


def test_restart_with_wait_answers_the_outcomes(flock, socket_path):
    names = [name_of(20), name_of(21)]
    before = {name: flock.pid(name) for name in names}
    facts = tell("nano_client", socket_path, "restart", *names)
    assert facts["operation"].split()[1:] == [str(KIND_RESTART), str(SUCCEEDED)]
    assert sorted(facts.all("outcome")) == [f"{name} {SUCCEEDED} 1 2" for name in names]
    for name in names:
        assert flock.pid(name) != before[name]


def test_stop_ends_the_service(flock, socket_path):
    facts = tell("nano_client", socket_path, "stop", name_of(22))
    assert facts["operation"].split()[1:] == [str(KIND_STOP), str(SUCCEEDED)]
    assert flock.service(name_of(22))["state"] == "SERVICE_STATE_STOPPED"


def test_paths_of_any_length_do_not_matter(make_root):
    with make_root("d" * 150, "e" * 150) as instance:
        instance.write("services: {one: {command: [/bin/sleep, '1000']}}\n")
        instance.start()
        assert len(instance.service("one")["log_path"]) > 255
        # Too long for a socket address: the socket is elsewhere, and this is a link to it.
        seen = tell("nano_client", os.readlink(instance.root / "run" / "flocksd.sock"), "status")
        assert seen.all("service")[0].split()[0] == "one"


def test_failure_brings_the_typed_detail(socket_path):
    facts = tell("nano_client", socket_path, "stop", "nobody")
    assert int(facts["code"]) == NOT_FOUND
    assert facts["reason"] == "1"
    assert facts["service"] == "nobody"
    assert "nobody" in facts["message"]
    assert facts["hint"]


def test_deadline_names_the_operation_that_goes_on(flock, socket_path):
    facts = tell("nano_client", socket_path, "hurried-restart", "unready")
    assert int(facts["code"]) == DEADLINE_EXCEEDED
    assert facts["operation"]
    assert flock.service("unready")["operation_id"] == facts["operation"]
