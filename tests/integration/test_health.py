"""grpc.health.v1 of flocksd: the whole, each service, each part of the API; told when it changes, and through the end."""

import os
import signal
import threading

import pytest

from doors import DOORS, Messages
from instance import wait_until
from wire import Failure

NOT_FOUND, UNAVAILABLE = 5, 14
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
HEALTH = "grpc.health.v1.Health"
API = (
    "flocks.v1.SupervisorService",
    "flocks.v1.UpgradeService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
SERVICES = """
services:
  one: {{command: [/bin/sleep, "1001"]}}
  two: {{command: [/bin/sleep, "1002"], start: false}}
  done: {{command: [/bin/true], restart: {{policy: NEVER}}}}
  {more}
"""

pytestmark = pytest.mark.no_chaos(reason="a call that breaks is not made again here, as a gRPC client would")


class Health:
    def __init__(self, door, messages):
        self.door = door
        self.request = messages["grpc.health.v1.HealthCheckRequest"]
        self.answer = messages["grpc.health.v1.HealthCheckResponse"]

    def check(self, name):
        return self.door.unary(HEALTH, "Check", self.request(service=name), self.answer).status

    def watch(self, name):
        """Statuses as they come."""
        return (item.status for item in self.door.stream(HEALTH, "Watch", self.request(service=name), self.answer))


@pytest.fixture(scope="module")
def messages():
    return Messages()


@pytest.fixture(params=DOORS)
def door(request, instance, stubs):
    return lambda: DOORS[request.param](instance.root / "run" / "flocksd.sock", stubs)


@pytest.fixture
def health(instance, door, messages):
    instance.write(SERVICES.format(more=""))
    instance.start()
    return Health(door(), messages)


def test_check_tells_the_whole_the_services_and_the_api(instance, health):
    assert [health.check(name) for name in ("", "one", "two", *API)] == [SERVING, SERVING, NOT_SERVING, *[SERVING] * 5]
    wait_until(lambda: instance.service("done")["state"] == "SERVICE_STATE_COMPLETED", what="the end of `done`")
    # It has done what it was for: not up, and nothing is wrong.
    assert (health.check("done"), health.check("")) == (NOT_SERVING, SERVING)
    for name in ("three", "on", "one.", "flocks.v1", "ONE"):
        with pytest.raises(Failure) as failure:
            health.check(name)
        assert failure.value.code == NOT_FOUND
    instance.flocks("stop", "one", check=0)
    assert (health.check("one"), health.check("")) == (NOT_SERVING, SERVING)


def test_end_of_what_has_done_its_work_is_nothing_wrong(instance, door, messages):
    """It ends well and leaves a child behind: until that one is gone, too, it is STOPPING."""
    instance.write(
        "services:\n  done: {restart: {policy: ON_FAILURE}, command: "
        '[/bin/sh, -c, "sleep 1000 & until test -e ${root}/go; do sleep 0.05; done"]}\n'
    )
    instance.start()
    health = Health(door(), messages)
    whole, done = health.watch(""), health.watch("done")
    assert (next(whole), next(done)) == (SERVING, SERVING)
    (instance.root / "go").touch()
    assert next(done) == NOT_SERVING
    instance.wait_for_state("done", "COMPLETED")
    instance.stop()
    # Nothing was told of the whole before the shutdown.
    told = []
    with pytest.raises(Failure):
        told.extend(whole)
    assert told == [NOT_SERVING]


def test_watch_tells_at_once_and_then_what_changes(instance, health):
    one, whole, later = health.watch("one"), health.watch(""), health.watch("three")
    assert (next(one), next(whole), next(later)) == (SERVING, SERVING, SERVICE_UNKNOWN)
    # What does not come back in time is missed by the whole, too.
    instance.flocks("stop", "one", check=0)
    assert next(one) == NOT_SERVING
    instance.flocks("start", "one", check=0)
    # Coming up it was wanted and not yet well.
    assert (next(one), next(whole), next(whole)) == (SERVING, NOT_SERVING, SERVING)
    # A configuration brings the name, another one takes it away; whoever watches sees both.
    instance.write(SERVICES.format(more='three: {command: [/bin/sleep, "1003"]}'))
    instance.flocks("config", "apply", "--yes", check=0)
    statuses = [next(later)]
    while statuses[-1] != SERVING:
        statuses.append(next(later))
    assert statuses in ([SERVING], [NOT_SERVING, SERVING])
    instance.write(SERVICES.format(more=""))
    instance.flocks("config", "apply", "--yes", check=0)
    statuses = [next(later)]
    while statuses[-1] != SERVICE_UNKNOWN:
        statuses.append(next(later))
    assert statuses in ([SERVICE_UNKNOWN], [NOT_SERVING, SERVICE_UNKNOWN])


def test_shutdown_is_told_before_the_end(instance, health):
    watches = [health.watch(name) for name in ("", "one", API[0], "three")]
    for watch in watches:
        next(watch)
    ends = []

    def follow(watch):
        statuses = []
        try:
            statuses.extend(watch)
        except Failure as failure:
            ends.append((statuses, failure.code))

    threads = [threading.Thread(target=follow, args=(watch,)) for watch in watches]
    for thread in threads:
        thread.start()
    instance.stop()
    for thread in threads:
        thread.join(20)
    assert sorted(ends) == [([], UNAVAILABLE), *[([NOT_SERVING], UNAVAILABLE)] * 3]


def test_hand_over_ends_watches_and_tells_nothing_bad(instance, door, messages, health):
    one, nobody = health.watch("one"), health.watch("nobody")
    assert (next(one), next(nobody)) == (SERVING, SERVICE_UNKNOWN)
    before = instance.status()["daemon"]["pid"]
    os.kill(before, signal.SIGUSR1)
    for watch in (one, nobody):
        with pytest.raises(Failure) as failure:
            next(watch)
        assert failure.value.code == UNAVAILABLE
    again = Health(door(), messages)
    assert (again.check("one"), next(again.watch("one")), again.check("")) == (SERVING, SERVING, SERVING)
    assert instance.status()["daemon"]["pid"] != before


def test_take_over_changes_no_health(instance, door, messages, health):
    wait_until(lambda: instance.service("done")["state"] == "SERVICE_STATE_COMPLETED", what="the end of `done`")
    for _ in range(5):
        before = instance.status()["daemon"]["pid"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: instance.status()["daemon"]["pid"] not in (0, before), what="the next flocksd")
        again = Health(door(), messages)
        assert [again.check(name) for name in ("", "one", "two", "done")] == [
            SERVING, SERVING, NOT_SERVING, NOT_SERVING]  # fmt: skip


def test_hundreds_of_services_are_told_one_by_one(instance, door, messages):
    count = 500
    instance.write("services:\n" + "".join(f"  s{n}: {{command: [/bin/sleep, '1000']}}\n" for n in range(count)))
    instance.start()
    health = Health(door(), messages)
    assert all(health.check(f"s{n}") == SERVING for n in range(0, count, 7))
    watch, whole = health.watch("s250"), health.watch("")
    assert (next(watch), next(whole)) == (SERVING, SERVING)
    os.kill(instance.pid("s250"), signal.SIGKILL)
    assert (next(watch), next(watch)) == (NOT_SERVING, SERVING)
    assert (next(whole), next(whole)) == (NOT_SERVING, SERVING)
