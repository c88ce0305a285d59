"""PlanConfig and ApplyConfig on the real programs: what changes, what is started anew and what is left alone."""

import os
import random
import signal
import threading
import time

import pytest
from instance import is_alive, start_ticks, wait_until
from wire import Failure, Wire

pytestmark = pytest.mark.no_chaos(reason="speaks over one connection, and kills flocksd itself at every step")

NONE, RESTART, START, STOP = 1, 2, 3, 4
SUCCEEDED, FAILED, CANCELLED = 3, 4, 5
ABORTED, INVALID_ARGUMENT, NOT_FOUND, EXHAUSTED = 10, 3, 5, 8
INVALID_CONFIG, STALE_PLAN = 4, 5


def config(services, tail=""):
    """A file with services {name: "key: value, ..."}."""
    lines = [f"  {name}: {{{text}}}" for name, text in services.items()]
    return "services:\n" + "\n".join(lines) + "\n" + tail


SLEEP = 'command: [/bin/sleep, "1000"]'
OTHER = 'command: [/bin/sleep, "1001"]'


class Remote:
    """The RPCs of one instance."""

    def __init__(self, instance, stubs):
        self.instance, self.stubs = instance, stubs

    def call(self, method, request, timeout=60.0):
        with Wire(self.instance.root / "run" / "flocksd.sock", self.stubs, timeout=timeout) as wire:
            return wire.call(method, request)

    def request(self, name, **fields):
        return getattr(self.stubs[1], f"{name}Request")(**fields)

    def plan(self, text=None, file=""):
        return self.call(
            "PlanConfig", self.request("PlanConfig", text=(text or "").encode(), file=file)
        )

    def apply(self, plan, text=None, wait=True, **fields):
        request = self.request(
            "ApplyConfig", plan=plan, text=(text or "").encode(), wait=wait, **fields
        )
        return self.call("ApplyConfig", request).operation

    def change(self, text=None, **fields):
        """Plans and applies; the ended operation."""
        return self.apply(self.plan(text).plan, text, **fields)

    def operation(self, operation_id):
        return self.call(
            "GetOperation", self.request("GetOperation", operation_id=operation_id)
        ).operation

    def ended(self, operation):
        """It, once it has ended."""
        return wait_until(lambda: (now := self.operation(operation.id)).state > 2 and now, what=f"the end of {operation.id}")

    def status(self):
        return self.call("GetStatus", self.request("GetStatus"))

    def services(self):
        return {s.name: s for s in self.status().services}

    def digest(self):
        return self.status().daemon.config_digest


@pytest.fixture
def remote(instance, stubs):
    """A function that starts the instance with a configuration and answers its Remote."""

    def start(text, *arguments, check=0):
        instance.write(text)
        instance.start(*arguments, check=check)
        return Remote(instance, stubs)

    return start


def impacts(plan):
    return {impact.service: impact.impact for impact in plan.impacts}


def outcomes(operation):
    return {outcome.service: outcome.state for outcome in operation.outcomes}


# ---- plans ----


def test_plan_of_the_running_file_is_empty(remote):
    text = config({"a": SLEEP, "b": SLEEP})
    daemon = remote(text)
    plan = daemon.plan()
    assert not plan.changes and not plan.mistakes
    assert impacts(plan) == {"a": NONE, "b": NONE}
    assert len(plan.plan) == 64
    assert daemon.plan(text).plan == plan.plan


def test_plan_says_what_changes_and_changes_nothing(remote):
    daemon = remote(config({"a": SLEEP, "b": SLEEP, "c": SLEEP}))
    before = daemon.services()
    plan = daemon.plan(config({"a": OTHER, "b": SLEEP + ", stop: {grace: 3s}", "d": SLEEP}))
    assert impacts(plan) == {"a": RESTART, "b": NONE, "c": STOP, "d": START}
    changes = {c.path: (c.old_value, c.new_value, c.service) for c in plan.changes}
    assert changes["services.a.command"] == ("[/bin/sleep, 1000]", "[/bin/sleep, 1001]", "a")
    assert changes["services.b.stop.grace"] == ("10s", "3s", "b")
    assert changes["services.c"] == ("[/bin/sleep, 1000]", "", "c")
    assert changes["services.d"] == ("", "[/bin/sleep, 1000]", "d")
    because = {impact.service: list(impact.because) for impact in plan.impacts}
    assert because["a"] == ["services.a.command"] and because["c"] == ["services.c"]
    after = daemon.services()
    assert {n: (s.pid, s.generation) for n, s in before.items()} == {
        n: (s.pid, s.generation) for n, s in after.items()
    }


def test_plan_hides_secrets(remote):
    daemon = remote(config({"a": SLEEP + ", environment: {TOKEN: first}"}))
    plan = daemon.plan(config({"a": SLEEP + ", environment: {TOKEN: second}"}))
    [change] = plan.changes
    assert (change.path, change.old_value, change.new_value) == (
        "services.a.environment.TOKEN",
        "***",
        "***",
    )
    assert "second" not in str(plan) and impacts(plan) == {"a": RESTART}


def test_plan_tells_every_mistake_with_its_place(remote):
    daemon = remote(config({"a": SLEEP}))
    plan = daemon.plan("services:\n  a: {comand: [x], port: 99999}\n  b: {after: [c]}\n", "new.yaml")
    assert not plan.plan and not plan.changes
    assert len(plan.mistakes) >= 3
    first = plan.mistakes[0]
    assert (first.position.file, first.position.line) == ("new.yaml", 2)
    assert any("command" in mistake.hint for mistake in plan.mistakes)


def test_plan_shows_a_cycle_of_dependencies(remote):
    daemon = remote(config({"a": SLEEP, "b": SLEEP}))
    plan = daemon.plan(config({"a": SLEEP + ", after: [b]", "b": SLEEP + ", after: [a]"}))
    assert any("a after b after a" in m.message for m in plan.mistakes), plan.mistakes


def test_plan_without_options_keeps_the_running_daemon_s_command_line(remote, free_port):
    """`flocks start` without options moved a running daemon to defaults."""
    port, other = free_port(), free_port()
    text = config({"backend": SLEEP + f", port: {other}, start: false"})
    daemon = remote(text, "--server-port", str(port))
    plan = daemon.plan(text)
    assert not plan.changes, plan.changes
    assert daemon.services()["backend"].port == port


# ---- applying ----


def test_apply_leaves_alone_what_did_not_change(remote):
    """Supervisor#1411: an update of one program restarts the whole group."""
    daemon = remote(config({"a": SLEEP, "b": SLEEP + ", after: [a]", "c": SLEEP}))
    before = daemon.services()
    text = config({"a": OTHER, "b": SLEEP + ", after: [a]", "c": SLEEP})
    operation = daemon.change(text)
    assert operation.state == SUCCEEDED and outcomes(operation) == {"a": SUCCEEDED}
    after = daemon.services()
    assert after["a"].pid != before["a"].pid and after["a"].generation == 2
    for name in "bc":
        assert after[name].pid == before[name].pid and after[name].generation == 1
    assert not is_alive(before["a"].pid)
    assert daemon.digest() != "" and not daemon.plan(text).changes


def test_apply_without_restart_keeps_the_process(remote):
    daemon = remote(config({"a": SLEEP}))
    before = daemon.services()["a"]
    operation = daemon.change(
        config(
            {
                "a": SLEEP
                + ", restart: {policy: NEVER}, stop: {grace: 1s, signal: SIGINT}, logs: {keep: 2}"
                + ", probes: {alive: {exec: {command: [/bin/true]}, period: 100ms}}"
            }
        )
    )
    assert operation.state == SUCCEEDED and not operation.outcomes
    after = daemon.services()["a"]
    assert (after.pid, after.generation) == (before.pid, before.generation)
    # The policy is the new one: a killed service is not started again.
    os.kill(after.pid, signal.SIGKILL)
    daemon.instance.wait_for_state("a", "FAILED")


def test_apply_probe_of_a_running_service_takes_effect(remote):
    daemon = remote(config({"a": SLEEP}))
    pid = daemon.services()["a"].pid
    probe = "probes: {alive: {exec: {command: [%s]}, period: 50ms, failure_threshold: 2}}"
    daemon.change(config({"a": SLEEP + ", " + probe % "/bin/false"}))
    daemon.instance.wait_for_state("a", "DEGRADED")
    daemon.change(config({"a": SLEEP + ", " + probe % "/bin/true"}))
    daemon.instance.wait_for_state("a", "HEALTHY")
    daemon.change(config({"a": SLEEP + ", " + probe % "/bin/false"}))
    daemon.instance.wait_for_state("a", "DEGRADED")
    # Without the probe there is nothing that could be wrong.
    daemon.change(config({"a": SLEEP}))
    daemon.instance.wait_for_state("a", "HEALTHY")
    assert daemon.services()["a"].pid == pid


def test_apply_adds_and_removes_services(remote):
    echo = 'command: [/bin/sh, -c, "echo hello; exec sleep 1000"]'
    daemon = remote(config({"a": SLEEP, "b": echo}))
    b = daemon.services()["b"].pid
    operation = daemon.change(config({"a": SLEEP, "c": SLEEP, "d": SLEEP + ", start: false"}))
    assert operation.state == SUCCEEDED
    assert outcomes(operation) == {"b": SUCCEEDED, "c": SUCCEEDED}
    services = daemon.services()
    assert sorted(services) == ["a", "c", "d"]
    assert services["c"].pid and services["c"].generation == 1 and not services["d"].pid
    assert not is_alive(b)
    wait_until(lambda: daemon.instance.log("b") == "hello\n", what="its log, which is left")
    # The names are still those of then, whoever has the slots now.
    assert sorted(outcomes(daemon.operation(operation.id))) == ["b", "c"]
    with pytest.raises(Failure) as failure:
        daemon.call("StartServices", daemon.request("StartServices", services=["b"]))
    assert failure.value.code == NOT_FOUND


def test_apply_rename_ends_one_and_starts_the_other(remote):
    echo = 'command: [/bin/sh, -c, "echo I am $FLOCKS_SERVICE; exec sleep 1000"]'
    daemon = remote(config({"old": echo}))
    for old, new in (("old", "new"), ("new", "newer"), ("newer", "old")):
        pid = daemon.services()[old].pid
        operation = daemon.change(config({new: echo}))
        assert outcomes(operation) == {old: SUCCEEDED, new: SUCCEEDED}
        assert list(daemon.services()) == [new] and not is_alive(pid)
        wait_until(lambda n=new: f"I am {n}" in daemon.instance.log(n), what="its own log")
    assert "newer" not in daemon.instance.log("new")


def test_apply_a_slot_is_never_confused_with_its_former_owner(remote):
    """Slots are used again and again, exec probes and services in turn, across deaths of flocksd."""
    probe = ", probes: {alive: {exec: {command: [/bin/true]}, period: 50ms}}"
    daemon = remote(config({"keep": SLEEP, "s0": SLEEP + probe}))
    keep = daemon.services()["keep"].pid
    for i in range(1, 9):
        operation = daemon.change(config({"keep": SLEEP, f"s{i}": SLEEP + (probe if i % 2 else "")}))
        assert operation.state == SUCCEEDED, operation
        if i % 3 == 0:
            os.kill(daemon.status().daemon.pid, signal.SIGKILL)
            wait_until(lambda: reachable(daemon), what="flocksd back")
        status = daemon.services()
        assert sorted(status) == ["keep", f"s{i}"] and status["keep"].pid == keep
    assert daemon.services()["keep"].generation == 1


def reachable(daemon):
    try:
        return daemon.status().daemon.state == 3
    except (OSError, ConnectionError, Failure):
        return False


def test_apply_after_failed_start_starts_with_the_new_command(remote):
    daemon = remote(config({"a": "command: [/bin/false], restart: {policy: NEVER}"}), check=1)
    daemon.instance.wait_for_state("a", "FAILED")
    operation = daemon.change(config({"a": SLEEP + ", restart: {policy: NEVER}"}))
    assert operation.state == SUCCEEDED
    daemon.instance.wait_for_state("a", "HEALTHY")


def test_apply_a_stopped_service_stays_stopped(remote):
    """process-compose: a reload starts what a person had stopped."""
    daemon = remote(config({"a": SLEEP, "b": SLEEP}))
    daemon.instance.stop("a")
    text = config({"a": OTHER, "b": SLEEP})
    plan = daemon.plan(text)
    assert impacts(plan) == {"a": NONE, "b": NONE}
    daemon.apply(plan.plan, text)
    assert daemon.services()["a"].pid == 0
    daemon.instance.start("a")
    arguments = open(f"/proc/{daemon.services()['a'].pid}/cmdline", "rb").read()
    assert b"1001" in arguments


def test_apply_stops_in_reverse_and_starts_in_order(remote):
    def text(version):
        """Each is ready when it has said that it is up, which it does when it is prepared to say that it ends."""
        services = {}
        for name, after in (("a", ""), ("b", ", after: [a]"), ("c", ", after: [b]")):
            path = "${root}/" + name
            services[name] = (
                f"command: [/bin/sh, -c, \"trap 'date +%s%N >> {path}.down; exit' TERM; date +%s%N >> {path}.up;"
                f' while :; do sleep 0.05; done # {version}"]{after},'
                f' probes: {{ready: {{exec: {{command: [/bin/sh, -c, "test $(wc -l < {path}.up) = {version}"]}}, period: 50ms}}}}'
            )
        return config(services)

    daemon = remote(text(1))
    operation = daemon.change(text(2))
    assert outcomes(operation) == {"a": SUCCEEDED, "b": SUCCEEDED, "c": SUCCEEDED}

    def times(name, what):
        return [int(line) for line in (daemon.instance.root / f"{name}.{what}").read_text().split()]

    down = [times(n, "down")[0] for n in "cba"]
    up = [times(n, "up")[1] for n in "abc"]
    assert down == sorted(down) and up == sorted(up) and down[-1] < up[0]


def test_apply_a_service_that_does_not_become_healthy_fails_and_stays_applied(remote):
    daemon = remote(config({"a": SLEEP, "b": SLEEP}))
    text = config({"a": "command: [/bin/false], restart: {policy: NEVER}", "b": OTHER})
    operation = daemon.change(text)
    assert operation.state == FAILED
    assert outcomes(operation) == {"a": FAILED, "b": SUCCEEDED}
    assert not daemon.plan(text).changes


def test_apply_refuses_a_stale_plan(remote):
    daemon = remote(config({"a": SLEEP, "b": SLEEP}))
    first = config({"a": OTHER, "b": SLEEP})
    plan = daemon.plan(first).plan

    def refused(plan, text):
        with pytest.raises(Failure) as failure:
            daemon.apply(plan, text)
        assert failure.value.code == ABORTED and failure.value.detail.reason == STALE_PLAN

    refused("0" * 64, first)
    refused(plan, config({"a": OTHER}))
    # What runs has changed: `a` would not be restarted any more.
    daemon.instance.stop("a")
    refused(plan, first)
    daemon.instance.start("a")
    # So has the configuration.
    daemon.change(config({"a": SLEEP, "b": SLEEP, "c": SLEEP}))
    refused(plan, first)
    assert daemon.services()["a"].generation == 2


def test_apply_refuses_mistakes_and_changes_nothing(remote):
    daemon = remote(config({"a": SLEEP}))
    digest = daemon.digest()
    with pytest.raises(Failure) as failure:
        daemon.apply("0" * 64, "services: {a: {command: [no-such-program]}}\n")
    assert failure.value.code == INVALID_ARGUMENT
    assert failure.value.detail.reason == INVALID_CONFIG
    assert failure.value.detail.position.line == 1
    assert failure.value.detail.position.path.startswith("services.a.command")
    assert daemon.digest() == digest


def test_apply_the_same_request_id_is_the_same_operation(remote):
    daemon = remote(config({"a": SLEEP}))
    text = config({"a": OTHER})
    plan = daemon.plan(text).plan
    first = daemon.apply(plan, text, request_id="r1")
    again = daemon.apply(plan, text, request_id="r1")
    assert again.id == first.id and daemon.services()["a"].generation == 2


# Asked to end it does when there is `gate`, and it is ready when it knows that. A number for each version.
GATED = (
    "command: [/bin/sh, -c, \"trap 'until test -e ${root}/gate; do sleep 0.05; done; exit' TERM; touch ${root}/%d;"
    ' while :; do sleep 0.05; done"], stop: {grace: 60s},'
    " probes: {ready: {exec: {command: [/usr/bin/test, -e, '${root}/%d']}, period: 50ms}}"
)


def test_apply_a_stop_of_a_person_wins(remote):
    daemon = remote(config({"a": GATED % (1, 1)}))
    text = config({"a": GATED % (2, 2)})
    operation = daemon.apply(daemon.plan(text).plan, text, wait=False)
    daemon.call("StopServices", daemon.request("StopServices", services=["a"]))
    (daemon.instance.root / "gate").touch()
    assert daemon.ended(operation).state == CANCELLED
    daemon.instance.stop("a")
    assert daemon.services()["a"].pid == 0 and not daemon.plan(text).changes


def test_apply_removed_and_added_again_while_it_ends(remote):
    with_a, without = config({"a": GATED % (1, 1), "b": SLEEP}), config({"b": SLEEP})
    daemon = remote(with_a)
    pid = daemon.services()["a"].pid
    removal = daemon.apply(daemon.plan(without).plan, without, wait=False)
    assert daemon.services()["a"].state == 7
    plan = daemon.plan(with_a)
    assert impacts(plan)["a"] == START
    addition = daemon.apply(plan.plan, with_a, wait=False)
    (daemon.instance.root / "gate").touch()
    assert daemon.ended(addition).state == SUCCEEDED
    assert daemon.operation(removal.id).state == SUCCEEDED
    service = daemon.services()["a"]
    assert service.pid not in (0, pid) and service.generation == 2 and not is_alive(pid)


def test_apply_is_what_the_next_start_begins_with_only_if_it_is_the_file(remote):
    file = config({"a": SLEEP})
    daemon = remote(file)
    daemon.change(config({"a": OTHER}))
    daemon.instance.flocks("restart", "--no-browser", check=0)
    arguments = open(f"/proc/{daemon.services()['a'].pid}/cmdline", "rb").read()
    assert b"1000" in arguments


# ---- the file ----


def test_status_tells_that_the_file_has_changed(remote):
    file = config({"a": SLEEP})
    daemon = remote(file)

    def changed(expected):
        wait_until(
            lambda: daemon.status().daemon.config_changed == expected, what=f"changed {expected}"
        )

    changed(False)
    daemon.instance.write(config({"a": OTHER}))
    changed(True)
    daemon.instance.write(file + "# the same\n")
    changed(False)
    # As editors write: a new file under the old name.
    other = daemon.instance.root / "new.yaml"
    other.write_text(config({"a": SLEEP, "b": SLEEP}))
    os.rename(other, daemon.instance.config)
    changed(True)
    assert daemon.change().state == SUCCEEDED
    changed(False)
    assert sorted(daemon.services()) == ["a", "b"]
    daemon.change(file)
    changed(True)
    daemon.instance.config.unlink()
    changed(True)


def test_status_tells_that_the_file_changed_while_flocksd_was_away(remote):
    daemon = remote(config({"a": SLEEP}))
    os.kill(daemon.status().daemon.pid, signal.SIGKILL)
    daemon.instance.write(config({"a": OTHER}))
    wait_until(lambda: reachable(daemon), what="flocksd back")
    wait_until(lambda: daemon.status().daemon.config_changed, what="changed")
    assert not is_alive(0) and daemon.services()["a"].generation == 1


def test_whoever_writes_beside_the_file_wakes_nobody(remote):
    daemon = remote(config({"a": SLEEP}))
    pid = daemon.status().daemon.pid

    def wake_ups():
        lines = open(f"/proc/{pid}/status").read().splitlines()
        return sum(int(line.split()[1]) for line in lines if "_ctxt_switches" in line)

    before = wake_ups()
    until = time.monotonic() + 1
    n = 0
    with open(daemon.instance.root / "busy.txt", "wb", buffering=0) as busy:
        while time.monotonic() < until or n < 10000:
            busy.write(b"x")
            n += 1
    # A look in a tenth of a second, each with a thread or two that wakes; one per write were thousands.
    assert wake_ups() - before < n / 20


# ---- killed in the middle ----


@pytest.mark.parametrize("seed", range(20))
def test_apply_goes_on_when_flocksd_is_killed_in_the_middle(remote, seed):
    chance = random.Random(seed)
    probe = ", probes: {ready: {exec: {command: [/bin/true]}, period: 50ms}}"

    def text(version):
        other = SLEEP if version == 1 else OTHER
        services = {"same": SLEEP, "base": other, "mid": other + ", after: [base]" + probe}
        services["top"] = other + ", after: [mid, same]"
        services[f"only{version}"] = SLEEP + probe
        return config(services)

    daemon = remote(text(1))
    same = daemon.services()["same"]
    ticks = start_ticks(same.pid)
    plan = daemon.plan(text(2)).plan
    pid = daemon.status().daemon.pid
    answer = []

    def ask():
        try:
            answer.append(daemon.apply(plan, text(2), request_id="apply"))
        except (OSError, ConnectionError, Failure):
            pass

    asking = threading.Thread(target=ask)
    asking.start()
    # Somewhere between the first byte and the end of it all.
    time.sleep(chance.uniform(0, 0.6))
    os.kill(pid, signal.SIGKILL)
    asking.join()
    wait_until(lambda: reachable(daemon), what="flocksd back")
    # The same request: what was begun is answered, what was not begins now.
    operation = daemon.apply(plan, text(2), request_id="apply")
    assert operation.state == SUCCEEDED, operation
    services = daemon.services()
    assert sorted(services) == ["base", "mid", "only2", "same", "top"]
    assert services["same"].pid == same.pid and start_ticks(same.pid) == ticks
    for name in ("base", "mid", "top"):
        assert services[name].state == 5
        assert b"1001" in open(f"/proc/{services[name].pid}/cmdline", "rb").read()
    left = [p for p in daemon.instance.processes() if b"sleep" in cmdline(p)]
    assert len(left) == 5, [cmdline(p) for p in left]


def cmdline(pid):
    try:
        return open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        return b""


# ---- many ----


def test_apply_of_500_services(remote):
    services = {f"s{i:03}": SLEEP for i in range(250)}
    daemon = remote(config(services))
    before = daemon.services()
    changed = {name: (OTHER if int(name[1:]) % 2 else SLEEP) for name in services}
    changed |= {f"t{i:03}": SLEEP for i in range(250)}
    text = config(changed)
    began = time.monotonic()
    plan = daemon.plan(text)
    planned = time.monotonic()
    assert sorted(impacts(plan).values()) == [NONE] * 125 + [RESTART] * 125 + [START] * 250
    operation = daemon.apply(plan.plan, text)
    print(f"plan {planned - began:.3f} s, apply {time.monotonic() - planned:.3f} s")
    assert operation.state == SUCCEEDED and len(operation.outcomes) == 375
    after = daemon.services()
    assert len(after) == 500 and all(s.state == 5 for s in after.values())
    assert all(after[n].pid == before[n].pid for n in before if int(n[1:]) % 2 == 0)


def test_apply_under_load_of_status_calls_and_plans(remote):
    daemon = remote(config({"a": SLEEP, "b": SLEEP}))
    texts = [config({"a": OTHER, "b": SLEEP}), config({"a": SLEEP, "b": SLEEP})]
    stop = threading.Event()
    slowest, refused = [0.0], [0]

    def look():
        while not stop.is_set():
            began = time.monotonic()
            daemon.status()
            slowest[0] = max(slowest[0], time.monotonic() - began)

    def plan():
        while not stop.is_set():
            try:
                daemon.plan(texts[0])
            except Failure as failure:
                assert failure.code == EXHAUSTED
                refused[0] += 1

    threads = [threading.Thread(target=look)] + [threading.Thread(target=plan) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for i in range(6):
            assert daemon.change(texts[i % 2]).state == SUCCEEDED
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert daemon.services()["a"].generation == 7 and daemon.services()["b"].generation == 1
    assert slowest[0] < 2.0


def test_apply_of_too_many_services_at_once_is_refused(remote):
    """Those being ended keep their slots until they are gone."""
    one = {f"s{i:04}": SLEEP + ", start: false" for i in range(1100)}
    other = {f"t{i:04}": SLEEP + ", start: false" for i in range(1100)}
    daemon = remote(config({"a": SLEEP}))
    assert daemon.change(config({"a": SLEEP} | one)).state == SUCCEEDED
    with pytest.raises(Failure) as failure:
        daemon.plan(config({"a": SLEEP} | other))
    assert failure.value.code == EXHAUSTED
    assert daemon.change(config({"a": SLEEP})).state == SUCCEEDED
    assert daemon.change(config({"a": SLEEP} | other)).state == SUCCEEDED
    assert len(daemon.services()) == 1101


def test_a_hangup_signal_changes_nothing(remote):
    daemon = remote(config({"a": SLEEP}))
    daemon.instance.write(config({"a": OTHER}))
    os.kill(daemon.status().daemon.pid, signal.SIGHUP)
    wait_until(lambda: "SIGHUP" in daemon.instance.daemon_log(), what="the signal in the log")
    assert daemon.services()["a"].generation == 1
