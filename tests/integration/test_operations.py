"""Operations: watched, cancelled, pre-empted, joined, late; and whoever asked may vanish at any moment.

Faults of others that are tests here: Supervisor#746, #1121, #1254 (an update hangs on a program in back-off, Ctrl-C
leaves a stop half done, named stops run one by one), circus#776, #1154 (one lock for everything: a stop waits for a
start), process-compose#347, #530 (two restarts at once start it twice)."""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from instance import is_alive, wait_until
from wire import Failure, Wire

NOT_FOUND, FAILED_PRECONDITION = 5, 9

# `stubborn` stops when there is a file that says so; `unready` never listens; `prepared` has a step that takes long;
# `crash` ends at once; `late` waits for `unready`; `staged` stops and is ready when there are files that say so.
SERVICES = """
services:
  plain: {{command: [/bin/sleep, "1001"]}}
  stubborn:
    command: [/bin/sh, -c, "{stubborn}"]
    stop: {{grace: 60s}}
    start: false
  unready: {{command: [/bin/sleep, "1002"], port: {port}, start: false}}
  prepared:
    command: [/bin/sleep, "1003"]
    prepare: {{command: [/bin/sleep, "1004"], timeout: 5m}}
    start: false
  crash: {{command: [/bin/false], restart: {{delay: 60s, max_delay: 60s, give_up_after: 0}}, start: false}}
  late: {{command: [/bin/sleep, "1005"], after: [unready], start: false}}
  staged:
    command: [/bin/sh, -c, "{stubborn}"]
    probes: {{ready: {{exec: {{command: [/usr/bin/test, -e, {root}/may-start]}}, period: 50ms}}}}
    stop: {{grace: 60s}}
    start: false
"""


@pytest.fixture
def running(instance, free_port):
    stubborn = until(f"[ -e {instance.root}/may-stop ]")
    instance.write(SERVICES.format(port=free_port(), root=instance.root, stubborn=stubborn))
    instance.start()
    yield instance
    let_stop(instance)


def until(condition, first="true"):
    """A program of sh that says when it is ready to be told to end: then it does `first`, and waits for the condition."""
    return f"trap '{first}; until {condition}; do sleep 0.05; done; exit 0' TERM; echo armed; while :; do sleep 0.05; done"


def start_stubborn(instance, name="stubborn"):
    instance.start(name)
    wait_until(lambda: "armed" in instance.log(name), what=f"{name} waits for its end")


def let_stop(instance):
    """What stops when it may."""
    (instance.root / "may-stop").touch()


def connect(instance, stubs, **options):
    return Wire(instance.root / "run" / "flocksd.sock", stubs, **options)


def begin(instance, stubs, method, names, **options):
    """Begins and answers the operation, whether or not flocksd is being killed."""
    request = getattr(stubs[1], f"{method}ServicesRequest")(
        services=names, request_id=f"{method}-{random.random()}", **options
    )
    return repeat(instance, stubs, f"{method}Services", request).operation


def repeat(instance, stubs, method, request):
    """The answer of a call that may be made again until flocksd lives long enough."""

    def attempt():
        try:
            with connect(instance, stubs) as wire:
                return wire.call(method, request)
        except (ConnectionError, OSError):
            return None

    return wait_until(attempt, what=method)


def operation(instance, stubs, number):
    return repeat(instance, stubs, "GetOperation", stubs[1].GetOperationRequest(operation_id=number)).operation


def wait_for_end(instance, stubs, number, seconds=30.0):
    def ended():
        now = operation(instance, stubs, number)
        return now if now.state not in (stubs[2].OPERATION_STATE_QUEUED, stubs[2].OPERATION_STATE_RUNNING) else None

    return wait_until(ended, seconds, f"the end of {number}")


def cancel(instance, stubs, number):
    return repeat(instance, stubs, "CancelOperation", stubs[1].CancelOperationRequest(operation_id=number)).operation


def sleepers(instance, seconds):
    """Living processes of the instance that run `sleep seconds`."""
    found = []
    for pid in instance.processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                if line.read().split(b"\0")[:2] == [b"/bin/sleep", seconds.encode()]:
                    found.append(pid)
        except OSError:
            continue
    return found


# ---- WatchOperation ----


def watch(instance, stubs, number, seen):
    """All messages until the end, resumed as a client has to when flocksd is killed; each is appended to `seen`."""
    while not seen or seen[-1].operation.state < stubs[2].OPERATION_STATE_SUCCEEDED:
        try:
            with connect(instance, stubs) as wire:
                for item in wire.items("WatchOperation", stubs[1].WatchOperationRequest(operation_id=number)):
                    seen.append(item)
        except (ConnectionError, OSError):
            time.sleep(0.01)


@contextlib.contextmanager
def watched(instance, stubs, number):
    """The messages that have come; all of them afterwards."""
    seen = []
    watcher = threading.Thread(target=watch, args=(instance, stubs, number, seen), daemon=True)
    watcher.start()
    yield seen
    watcher.join(30)
    assert not watcher.is_alive(), seen


def test_watch_operation_tells_now_each_change_and_the_end(running, stubs):
    """What comes faster than it is told may be told as one: here nothing goes on before the last thing was told."""
    types, may_start = stubs[2], running.root / "may-start"
    may_start.touch()
    start_stubborn(running, "staged")
    may_start.unlink()
    begun = begin(running, stubs, "Restart", ["staged"])
    with watched(running, stubs, begun.id) as seen:
        wait_until(lambda: seen, what="how it is now")
        let_stop(running)
        wait_until(lambda: len(seen) >= 2, what="that it starts again")
        may_start.touch()
    assert seen[0].operation.state == types.OPERATION_STATE_RUNNING
    assert seen[-1].operation.state == types.OPERATION_STATE_SUCCEEDED
    assert seen[-1].operation.outcomes[0].to_generation == 2
    revisions = [item.revision for item in seen]
    assert running.chaos is not None or revisions == sorted(set(revisions))
    assert len(seen) >= 3


@pytest.mark.no_chaos("one call on one connection")
def test_watch_operation_that_has_ended_tells_its_outcome_and_ends(running, stubs):
    begun = begin(running, stubs, "Stop", ["plain"])
    wait_for_end(running, stubs, begun.id)
    with connect(running, stubs) as wire:
        seen = list(wire.items("WatchOperation", stubs[1].WatchOperationRequest(operation_id=begun.id)))
    assert [item.operation.state for item in seen] == [stubs[2].OPERATION_STATE_SUCCEEDED]


@pytest.mark.no_chaos("one call on one connection")
def test_watch_operation_unknown(running, stubs):
    with connect(running, stubs) as wire:
        with pytest.raises(Failure) as failure:
            next(wire.items("WatchOperation", stubs[1].WatchOperationRequest(operation_id="nobody's")))
    assert failure.value.code == NOT_FOUND
    assert failure.value.detail.reason == stubs[2].ERROR_REASON_UNKNOWN_OPERATION


def test_watch_operation_across_a_take_over_ends_with_the_outcome(running, stubs):
    begun = begin(running, stubs, "Start", ["prepared"])
    with watched(running, stubs, begun.id) as seen:
        wait_until(lambda: seen and sleepers(running, "1004"), what="the prepare step")
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.status()["daemon"]["pid"], signal.SIGKILL)
        for pid in wait_until(lambda: sleepers(running, "1004"), what="the prepare step"):
            assert is_alive(pid), "the work goes on"
        cancel(running, stubs, begun.id)
    assert seen[-1].operation.state == stubs[2].OPERATION_STATE_CANCELLED


# ---- CancelOperation ----


def test_cancel_of_a_start_in_its_prepare_step_ends_that_and_stops_it_again(running, stubs):
    _, _, types = stubs
    begun = begin(running, stubs, "Start", ["prepared"])
    step = wait_until(lambda: sleepers(running, "1004"), what="the prepare step")
    ended = cancel(running, stubs, begun.id)
    assert ended.state == types.OPERATION_STATE_CANCELLED
    assert ended.outcomes[0].message == "cancelled"
    status = running.wait_for_state("prepared", "STOPPED")
    assert not status["wanted"] and status["generation"] == 0
    assert not any(is_alive(pid) for pid in step)
    assert cancel(running, stubs, begun.id).state == types.OPERATION_STATE_CANCELLED, "it may be repeated"


def test_cancel_of_a_start_that_waits_for_another_stops_it_again(running, stubs):
    begun = begin(running, stubs, "Start", ["late"])
    running.wait_for_state("late", "WAITING")
    assert cancel(running, stubs, begun.id).state == stubs[2].OPERATION_STATE_CANCELLED
    running.wait_for_state("late", "STOPPED")


def test_cancel_of_a_start_after_the_launch_leaves_it_running(running, stubs):
    begun = begin(running, stubs, "Start", ["unready"])
    running.wait_for_state("unready", "STARTING")
    ended = cancel(running, stubs, begun.id)
    assert ended.state == stubs[2].OPERATION_STATE_CANCELLED
    assert "goes on" in ended.outcomes[0].message
    status = running.service("unready")
    assert status["state"] == "SERVICE_STATE_STARTING" and status["wanted"] and status["operation_id"] == ""


def test_cancel_of_a_restart_does_not_leave_it_down(running, stubs):
    start_stubborn(running)
    begun = begin(running, stubs, "Restart", ["stubborn"])
    assert cancel(running, stubs, begun.id).state == stubs[2].OPERATION_STATE_CANCELLED
    let_stop(running)
    assert running.wait_for_generation("stubborn", 1)["generation"] == 2


def test_cancel_of_a_stop_does_not_undo_it(running, stubs):
    start_stubborn(running)
    begun = begin(running, stubs, "Stop", ["stubborn"])
    assert cancel(running, stubs, begun.id).state == stubs[2].OPERATION_STATE_CANCELLED
    let_stop(running)
    running.wait_for_state("stubborn", "STOPPED")


def test_cancel_of_an_ended_one_answers_how_it_ended(running, stubs):
    begun = begin(running, stubs, "Stop", ["plain"])
    wait_for_end(running, stubs, begun.id)
    assert cancel(running, stubs, begun.id).state == stubs[2].OPERATION_STATE_SUCCEEDED


@pytest.mark.no_chaos("one call on one connection")
def test_cancel_of_an_unknown_one_and_of_a_shutdown_is_refused(running, stubs):
    _, supervisor, types = stubs
    start_stubborn(running)
    with connect(running, stubs) as wire:
        with pytest.raises(Failure) as failure:
            wire.call("CancelOperation", supervisor.CancelOperationRequest(operation_id="nobody's"))
        assert failure.value.code == NOT_FOUND
        begun = wire.call("Shutdown", supervisor.ShutdownRequest()).operation
        with pytest.raises(Failure) as failure:
            wire.call("CancelOperation", supervisor.CancelOperationRequest(operation_id=begun.id))
        assert failure.value.code == FAILED_PRECONDITION
        assert failure.value.detail.reason == types.ERROR_REASON_SHUTTING_DOWN
        assert failure.value.detail.hint


# ---- a stop comes first ----


@pytest.mark.parametrize(
    "name, state",
    [("unready", "STARTING"), ("prepared", "PREPARING"), ("crash", "BACKOFF"), ("late", "WAITING")],
)
def test_circus_1154_stop_takes_effect_at_once_in_every_state(running, stubs, name, state):
    _, _, types = stubs
    begun = begin(running, stubs, "Start", [name])
    running.wait_for_state(name, state)
    began = time.monotonic()
    stop = begin(running, stubs, "Stop", [name])
    assert wait_for_end(running, stubs, stop.id).state == types.OPERATION_STATE_SUCCEEDED
    assert time.monotonic() - began < 10
    assert running.service(name)["state"] == "SERVICE_STATE_STOPPED"
    start = wait_for_end(running, stubs, begun.id)
    if state == "BACKOFF":
        assert start.state == types.OPERATION_STATE_FAILED
        assert start.error.reason == types.ERROR_REASON_SERVICE_FAILED
    else:
        assert start.state == types.OPERATION_STATE_CANCELLED
        assert start.error.reason == types.ERROR_REASON_PREEMPTED
        assert start.error.service == name and start.error.hint
        assert stop.id in start.outcomes[0].message


def test_stop_during_a_restart_takes_effect_at_once(running, stubs):
    _, _, types = stubs
    start_stubborn(running)
    restart = begin(running, stubs, "Restart", ["stubborn"])
    stop = begin(running, stubs, "Stop", ["stubborn"])
    let_stop(running)
    assert wait_for_end(running, stubs, stop.id).state == types.OPERATION_STATE_SUCCEEDED
    ended = wait_for_end(running, stubs, restart.id)
    assert ended.state == types.OPERATION_STATE_CANCELLED and ended.error.reason == types.ERROR_REASON_PREEMPTED
    status = running.service("stubborn")
    assert status["state"] == "SERVICE_STATE_STOPPED" and status["generation"] == 1


def test_supervisor_746_update_of_a_service_in_back_off_does_not_hang(running, stubs):
    begin(running, stubs, "Start", ["crash"])
    running.wait_for_state("crash", "BACKOFF")
    restart = begin(running, stubs, "Restart", ["crash"])
    assert wait_for_end(running, stubs, restart.id, 10).state == stubs[2].OPERATION_STATE_FAILED


def test_preempted_start_exits_5(running, stubs):
    start = subprocess.Popen(
        running.command("start", "--no-browser", "unready"),
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.wait_for_state("unready", "STARTING")
    running.stop("unready")
    _, said = start.communicate(timeout=30)
    assert start.returncode == 5, said
    assert "pre-empted" in said


# ---- many at once ----


@pytest.mark.no_chaos("connections made before")
def test_process_compose_347_fifty_restarts_at_once_start_it_once_more(running, stubs):
    _, supervisor, types = stubs
    start_stubborn(running)
    wires = [connect(running, stubs, timeout=30) for _ in range(50)]
    request = supervisor.RestartServicesRequest(services=["stubborn"], wait=True)
    frames = [wire.frame("RestartServices", request)[1] for wire in wires]
    for wire, frame in zip(wires, frames):
        wire.socket.sendall(frame)
    number = wait_until(lambda: running.service("stubborn")["operation_id"], what="the restart")
    wait_until(lambda: operation(running, stubs, number).joined == 49, what="fifty who wait for it")
    let_stop(running)
    answers = [wire.decode(wire.response()[1], supervisor.RestartServicesResponse).operation for wire in wires]
    assert {answer.state for answer in answers} == {types.OPERATION_STATE_SUCCEEDED}
    assert len({answer.id for answer in answers}) == 1
    assert answers[-1].joined == 49
    assert running.service("stubborn")["generation"] == 2
    for wire in wires:
        wire.socket.close()


def test_restarts_that_follow_one_another_all_exit_0(running):
    """Each did what it was asked, though the next one has begun when it looks at the result."""
    commands = [
        subprocess.Popen(
            running.command("restart", "plain"),
            env=running.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(20)
    ]
    said = [command.communicate(timeout=90)[0] for command in commands]
    assert [command.returncode for command in commands] == [0] * 20, said
    running.wait_for_state("plain", "HEALTHY")
    assert len(sleepers(running, "1001")) == 1


def test_caller_that_joined_and_asks_again_does_not_restart_it_twice(running, stubs):
    _, supervisor, _ = stubs
    start_stubborn(running)
    first = supervisor.RestartServicesRequest(services=["stubborn"], request_id="first")
    second = supervisor.RestartServicesRequest(services=["stubborn"], request_id="second")
    one = repeat(running, stubs, "RestartServices", first).operation
    two = repeat(running, stubs, "RestartServices", second).operation
    assert one.id == two.id
    let_stop(running)
    wait_for_end(running, stubs, one.id)
    assert repeat(running, stubs, "RestartServices", second).operation.id == one.id
    assert running.service("stubborn")["generation"] == 2


# ---- who asked is gone, or waits no longer ----


def test_supervisor_1121_client_killed_at_any_moment_leaves_nothing_half_done(running):
    moment = random.Random(1121)
    for number in range(20):
        command = running.command(random.choice(["restart", "stop", "start"]), "plain")
        client = subprocess.Popen(
            command, env=running.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moment.random() * 0.1)
        client.kill()
        client.wait()

        def settled():
            service = running.service("plain")
            return service["operation_id"] == "" and service["state"] in (
                "SERVICE_STATE_HEALTHY",
                "SERVICE_STATE_STOPPED",
            )

        wait_until(settled, what=f"rest after client {number}")
        service = running.service("plain")
        assert len(sleepers(running, "1001")) == (1 if service["state"] == "SERVICE_STATE_HEALTHY" else 0)
        assert service["wanted"] == (service["state"] == "SERVICE_STATE_HEALTHY")


def test_deadline_of_an_operation_ends_it_and_not_the_work(running, stubs):
    _, _, types = stubs
    from google.protobuf.duration_pb2 import Duration

    begun = begin(running, stubs, "Start", ["unready"], timeout=Duration(nanos=300_000_000))
    ended = wait_for_end(running, stubs, begun.id)
    assert ended.state == types.OPERATION_STATE_DEADLINE_EXCEEDED
    assert ended.error.hint
    assert running.service("unready")["state"] == "SERVICE_STATE_STARTING"


def test_supervisor_1254_named_stops_run_side_by_side(make_instance):
    """None ends before all have been told to."""
    instance = make_instance()
    told = instance.root / "told"
    told.mkdir()
    program = until(f"[ -e {instance.root}/may-stop ]", f"mktemp -p {told}")
    names = [f"s{i}" for i in range(8)]
    instance.write(
        "services:\n"
        + "".join(f'  {name}: {{command: [/bin/sh, -c, "{program}"], stop: {{grace: 60s}}}}\n' for name in names)
    )
    for name in names:
        start_stubborn(instance, name)
    command = instance.command("stop", *names)
    with subprocess.Popen(command, env=instance.environment, stderr=subprocess.DEVNULL) as stop:
        wait_until(lambda: len(os.listdir(told)) == 8, what="that all have been told")
        let_stop(instance)
        assert stop.wait(60) == 0
    assert {s["state"] for s in instance.status()["services"]} == {"SERVICE_STATE_STOPPED"}
