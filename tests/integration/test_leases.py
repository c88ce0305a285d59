"""Upgrade leases of the real daemon: every cell of the phase table in docs/leases.md, deaths of everybody included."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
from injection import Injection
from instance import PYTHON, is_alive, running_root, wait_until
from leased import Leased
from ports import free_port
from side_by_side import side_by_side
from wire import Failure

pytestmark = pytest.mark.no_chaos(reason="speaks over one connection, and kills flocksd itself in every phase")

ABORTED, ALREADY_EXISTS, FAILED_PRECONDITION, NOT_FOUND = 10, 6, 9, 5
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8


@pytest.fixture
def product(instance, stubs, free_port):
    product = Leased(instance, stubs, (free_port(), free_port()))
    instance.start()
    return product


@contextmanager
def running_product(stubs):
    with running_root() as instance:
        product = Leased(instance, stubs, (free_port(), free_port()))
        instance.start()
        yield product


# ---- HELD ----


def test_lease_leaves_what_runs_alone_and_is_shown(product):
    pids = {n: product.instance.pid(n) for n in ("backend", "webui")}
    lease = product.begin()
    assert len(lease.id) == 32 and lease.owner == "test" and lease.owner_pid == os.getpid()
    assert list(lease.services) == ["backend", "webui"]
    assert 0 < lease.remaining.ToMilliseconds() <= 30000
    status = product.instance.status()
    assert [entry["id"] for entry in status["leases"]] == [lease.id]
    for service in status["services"]:
        held = service["name"] in pids
        assert service.get("lease_id", "") == (lease.id if held else "")
        assert service["state"] == "SERVICE_STATE_HEALTHY"
    assert {n: product.instance.pid(n) for n in pids} == pids
    assert (product.instance.root / "run" / "lease.pb").stat().st_mode & 0o777 == 0o600
    assert "lease" in product.instance.flocks("status").stdout


def test_abort_before_anything_was_done_restarts_nothing(product):
    pids = {n: product.instance.pid(n) for n in ("backend", "webui")}
    lease = product.begin()
    operation = product.abort(lease, "changed my mind").operation
    assert operation.kind == product.types.OPERATION_KIND_ROLL_BACK
    product.wait_for_phase("ROLLED_BACK")
    assert {n: product.instance.pid(n) for n in pids} == pids
    assert product.get().lease.message == "aborted: changed my mind"
    # Idempotent.
    assert product.abort(lease).operation.id == operation.id
    assert "leases" not in product.instance.status() or product.instance.status()["leases"] == []


def test_what_dies_under_a_lease_is_paused_and_not_restarted(product):
    lease = product.begin()
    os.kill(product.instance.pid("backend"), signal.SIGKILL)
    product.wait_for_states(backend="PAUSED", webui="HEALTHY")
    status = product.instance.service("backend")
    assert (status["reason"], status["wanted"], status["pid"]) == ("STATE_REASON_LEASE_HELD", True, 0)
    assert status["lease_id"] == lease.id
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK")
    product.wait_for_states(backend="HEALTHY")


def test_holder_stops_services_and_they_stay_wanted(product):
    lease = product.begin()
    operation = product.stop_services(lease)
    assert sorted(o.service for o in operation.outcomes) == ["backend", "webui"]
    assert operation.state == product.types.OPERATION_STATE_SUCCEEDED
    product.wait_for_states(backend="PAUSED", webui="PAUSED", other="HEALTHY")
    assert all(product.instance.service(n)["wanted"] for n in ("backend", "webui"))
    assert product.phase() == "HELD"
    # Of services outside it: nothing is done.
    with pytest.raises(Failure) as failure:
        product.stop_services(lease, ["other"])
    assert failure.value.code == FAILED_PRECONDITION
    assert product.states()["other"] == "HEALTHY"


def test_updater_killed_shortens_the_lease_to_two_seconds(product, tmp_path):
    """The owner's process dies: a hint. A connection that is lost is none."""
    script = tmp_path / "updater.py"
    script.write_text(
        f"""
import sys
sys.path[:0] = {[os.path.dirname(__file__), os.path.dirname(product.pb.__file__) + "/../.."]!r}
import importlib, time
from wire import Wire
names = ("flocks.ttrpc.v1.ttrpc_pb2", "flocks.v1.supervisor_pb2", "flocks.v1.types_pb2")
stubs = tuple(importlib.import_module(n) for n in names)
pb = importlib.import_module("flocks.v1.upgrade_pb2")
request = pb.BeginUpgradeRequest(owner="updater", services=["backend"])
request.ttl.seconds = 600
with Wire("{product.instance.root}/run/flocksd.sock", stubs) as wire:
    stream, frame = wire.frame("BeginUpgrade", request, timeout=10.0, service="flocks.v1.UpgradeService")
    wire.socket.sendall(frame)
    wire.response()
print("held", flush=True)
time.sleep(60)
"""
    )
    updater = subprocess.Popen([PYTHON, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        assert updater.stdout.readline() == "held\n"
        # Its connection is closed already.
        assert product.get().lease.remaining.seconds > 100
        killed = time.monotonic()
        updater.kill()
        updater.wait()
        product.wait_for_phase("ROLLED_BACK")
        assert time.monotonic() - killed >= 2
        assert product.get().lease.message == "its holder died"
    finally:
        if updater.poll() is None:
            updater.kill()
            updater.wait()


# ---- who may have one ----


def test_no_mutex_between_upgrades_cannot_be(product):
    first = product.begin()
    with pytest.raises(Failure) as failure:
        product.begin(services=["webui"], undo=False)
    assert (failure.value.code, failure.value.detail.reason) == (ABORTED, product.types.ERROR_REASON_LEASE_HELD)
    assert failure.value.detail.lease.id == first.id and failure.value.detail.service == "webui"
    # Disjoint, but both put links back: one upgrade at a time.
    with pytest.raises(Failure) as failure:
        product.begin(services=["other"])
    assert (failure.value.code, failure.value.detail.reason) == (
        ALREADY_EXISTS,
        product.types.ERROR_REASON_UPGRADE_RUNNING,
    )
    assert failure.value.detail.lease.id == first.id
    second = product.begin(services=["other"], undo=False)
    assert len(product.instance.status()["leases"]) == 2
    product.abort(second)
    product.abort(first)
    product.wait_for_phase("ROLLED_BACK", first.id)
    product.begin()


def test_two_upgrades_at_the_same_moment_one_gets_it(product):
    outcomes = []

    def attempt():
        try:
            outcomes.append(product.begin().id)
        except Failure as failure:
            outcomes.append(failure.code)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [o for o in outcomes if isinstance(o, str)]
    assert len(held) == 1 and outcomes.count(ABORTED) == 7


def test_nine_leases_are_one_too_many(instance, stubs, free_port):
    extra = "".join(f'  x{i}: {{command: [/bin/sleep, "1000"], start: false}}\n' for i in range(9))
    product = Leased(instance, stubs, (free_port(), free_port()), extra)
    instance.start()
    for i in range(8):
        product.begin(services=[f"x{i}"], undo=False)
    with pytest.raises(Failure) as failure:
        product.begin(services=["x8"], undo=False)
    assert (failure.value.code, failure.value.detail.reason) == (
        RESOURCE_EXHAUSTED,
        product.types.ERROR_REASON_LIMIT_REACHED,
    )


@pytest.fixture(scope="module")
def unleased(stubs):
    """One product for all that is refused."""
    with running_product(stubs) as product:
        yield product


@pytest.mark.parametrize(
    "undo, code",
    [
        ([("relative", "releases/1")], INVALID_ARGUMENT),
        ([("{root}/../x", "releases/1")], INVALID_ARGUMENT),
        ([("{root}/current", "")], FAILED_PRECONDITION),
        ([("{root}/current", "releases/2")], FAILED_PRECONDITION),
        ([("{root}/missing", "releases/1")], FAILED_PRECONDITION),
        ([("{root}/flocks.yaml", "releases/1")], FAILED_PRECONDITION),
    ],
)
def test_links_that_are_not_what_was_said_are_refused(unleased, undo, code):
    undo = [(link.format(root=unleased.instance.root), target) for link, target in undo]
    with pytest.raises(Failure) as failure:
        unleased.begin(undo=undo)
    assert failure.value.code == code
    assert "leases" not in unleased.instance.status() or unleased.instance.status()["leases"] == []


def test_requests_beyond_their_bounds_are_refused(product):
    for ttl in (4, 601):
        with pytest.raises(Failure) as failure:
            product.begin(ttl=ttl)
        assert failure.value.code == INVALID_ARGUMENT
    with pytest.raises(Failure) as failure:
        product.begin(services=["nobody"])
    assert (failure.value.code, failure.value.detail.reason) == (
        NOT_FOUND,
        product.types.ERROR_REASON_UNKNOWN_SERVICE,
    )
    lease = product.begin()
    for start, observe in ((0, 0), (3601, 0), (60, 3601)):
        with pytest.raises(Failure) as failure:
            product.commit(lease, start=start, observe=observe)
        assert failure.value.code == INVALID_ARGUMENT
    assert product.phase() == "HELD"


def test_begin_is_idempotent_by_its_request_id(product):
    first = product.begin(request_id="once")
    assert product.begin(request_id="once").id == first.id
    assert len(product.instance.status()["leases"]) == 1


# ---- people ----


def test_person_is_told_who_holds_a_service(product):
    lease = product.begin()
    for method in ("Start", "Restart"):
        for lease_id in ("", lease.id):
            with pytest.raises(Failure) as failure:
                product.start_services(["backend"], lease_id, method)
            detail = failure.value.detail
            assert (failure.value.code, detail.reason) == (ABORTED, product.types.ERROR_REASON_LEASE_HELD)
            assert detail.lease.id == lease.id and detail.lease.owner == "test"
    assert product.instance.flocks("restart", "backend").returncode == 5
    # Services outside it as always.
    assert product.start_services(["other"], method="Restart").state == product.types.OPERATION_STATE_SUCCEEDED


def test_restart_of_everything_is_refused_under_a_lease(product, free_port):
    """It would start what only the lease's end may start; a stop is what ends a lease."""
    pids = {name: product.instance.pid(name) for name in ("backend", "webui", "other")}
    lease = product.begin()
    for arguments in (("restart", "--no-browser"), ("start", "--no-browser", "--webui-port", str(free_port()))):
        refused = product.instance.flocks(*arguments, check=5)
        assert "under the lease of test" in refused.stderr and "flocks update --abort" in refused.stderr
    assert json.loads(product.instance.flocks("--json", "restart", check=5).stdout)["error"]["code"] == ABORTED
    assert {name: product.instance.pid(name) for name in pids} == pids
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    product.instance.flocks("restart", "--no-browser", check=0)


def test_stop_wins_over_a_lease(product):
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    product.instance.flocks("stop", "webui", check=0)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.target() == "releases/1"
    product.wait_for_states(backend="HEALTHY", webui="STOPPED")
    assert product.instance.service("webui")["wanted"] is False
    assert product.serving() == "1"
    with pytest.raises(Failure) as failure:
        product.commit(lease)
    assert failure.value.detail.reason == product.types.ERROR_REASON_LEASE_ENDED


def test_stopped_stays_stopped_through_commit_and_roll_back(product):
    product.instance.flocks("stop", "webui", check=0)
    lease = product.begin()
    product.switch()
    answer = product.commit(lease, {"backend": "2"})
    assert answer.lease.phase == product.types.UPGRADE_PHASE_COMMITTED
    product.wait_for_states(backend="HEALTHY", webui="STOPPED")
    lease = product.begin(undo=[(str(product.link), "releases/2")])
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.states()["webui"] == "STOPPED"


def test_flocks_stop_during_an_upgrade_ends_everything_and_undoes_the_link(product):
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    product.instance.stop()
    assert product.instance.processes() == []
    assert product.target() == "releases/1"
    product.instance.start()
    assert product.phase(lease.id) == "ROLLED_BACK"
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    assert product.serving() == "1"


# ---- time ----


def paused_upgrade_never_resumed_cannot_be(product):
    """The old updater died between stop and start, and the product stayed down: here the TTL runs out."""
    began = time.monotonic()
    lease = product.begin(ttl=5)
    product.stop_services(lease)
    product.switch()
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert time.monotonic() - began >= 5
    # Rule 2: never a bare resume. The new version was not started without a gate.
    assert product.target() == "releases/1"
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    assert product.serving() == "1" and "serves 2" not in product.instance.log("backend")
    assert "did not renew" in product.get(lease.id).lease.message
    with pytest.raises(Failure) as failure:
        product.renew(lease)
    assert (failure.value.code, failure.value.detail.reason) == (
        ABORTED,
        product.types.ERROR_REASON_LEASE_ENDED,
    )
    assert failure.value.detail.lease.phase == product.types.UPGRADE_PHASE_ROLLED_BACK


def renewals_keep_it(product):
    lease = product.begin(ttl=5)
    until = time.monotonic() + 7
    while time.monotonic() < until:
        assert product.renew(lease).phase == product.types.UPGRADE_PHASE_HELD
        time.sleep(0.5)
    assert product.phase() == "HELD"


def expiry_while_a_stop_is_under_way(product):
    """A stop of a person and the end of the TTL at about the same time: the stop holds."""
    lease = product.begin(ttl=5)
    product.switch()
    wait_until(lambda: product.get().lease.remaining.ToMilliseconds() < 300, what="nearly over")
    product.instance.flocks("stop", "backend", "webui", check=0)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    product.wait_for_states(backend="STOPPED", webui="STOPPED", other="HEALTHY")
    assert product.target() == "releases/1"


# Five seconds is the shortest life of a lease.
LIVES = {
    life.__name__: life
    for life in (paused_upgrade_never_resumed_cannot_be, renewals_keep_it, expiry_while_a_stop_is_under_way)
}


@pytest.fixture(scope="module")
def lived(stubs):
    def run(life):
        with running_product(stubs) as product:
            LIVES[life](product)

    with side_by_side(run, LIVES) as result_of:
        yield result_of


@pytest.mark.parametrize("life", LIVES)
def test_life_of_a_lease(lived, life):
    lived(life)


# ---- COMMITTING, OBSERVING, COMMITTED ----


def test_commit_starts_new_generations_and_asks_for_their_version(product):
    before = {n: product.instance.service(n)["generation"] for n in ("backend", "webui")}
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    answer = product.commit(lease, {"backend": "2"}, observe=0.5)
    assert answer.operation.kind == product.types.OPERATION_KIND_COMMIT_UPGRADE
    assert answer.operation.state == product.types.OPERATION_STATE_SUCCEEDED
    assert answer.lease.phase == product.types.UPGRADE_PHASE_COMMITTED
    assert product.target() == "releases/2" and product.serving() == "2"
    for name, generation in before.items():
        assert product.instance.service(name)["generation"] == generation + 1
    # Idempotent; and it cannot be undone any more.
    again = product.commit(lease)
    assert again.operation.id == answer.operation.id
    with pytest.raises(Failure) as failure:
        product.abort(lease)
    assert failure.value.detail.lease.phase == product.types.UPGRADE_PHASE_COMMITTED
    progress = product.get().progress
    assert progress.upgrade_id == lease.id and progress.step == product.pb.UPGRADE_STEP_DONE


def test_commit_replaces_what_the_updater_did_not_stop(product):
    old = product.instance.pid("backend")
    lease = product.begin()
    product.switch()
    assert product.commit(lease, {"backend": "2"}).lease.phase == product.types.UPGRADE_PHASE_COMMITTED
    assert not is_alive(old) and product.serving() == "2"


def test_commit_answers_at_once_without_wait(product):
    lease = product.begin()
    answer = product.commit(lease, observe=600, wait=False)
    assert answer.operation.state == product.types.OPERATION_STATE_RUNNING
    assert answer.lease.phase == product.types.UPGRADE_PHASE_COMMITTING
    product.wait_for_phase("OBSERVING")
    # A person during it, and the holder: the server owns the outcome.
    with pytest.raises(Failure) as failure:
        product.start_services(["backend"], method="Restart")
    assert failure.value.detail.reason == product.types.ERROR_REASON_LEASE_HELD
    with pytest.raises(Failure):
        product.stop_services(lease)
    assert product.renew(lease).phase == product.types.UPGRADE_PHASE_OBSERVING
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK")


def test_wrong_version_rolls_back(product):
    lease = product.begin()
    product.stop_services(lease)
    # The switch was forgotten: the old version answers.
    answer = product.commit(lease, {"backend": "2"})
    assert answer.operation.state == product.types.OPERATION_STATE_FAILED
    outcomes = {o.service: o for o in answer.operation.outcomes}
    assert outcomes["backend"].state == product.types.OPERATION_STATE_FAILED
    assert 'expected "2"' in outcomes["backend"].message
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.get().progress.error.reason == product.types.ERROR_REASON_VERSION_MISMATCH
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    assert product.serving() == "1"


def test_version_of_a_service_that_cannot_tell_it_is_refused(product):
    lease = product.begin()
    for service in ("webui", "other"):
        with pytest.raises(Failure) as failure:
            product.commit(lease, {service: "2"})
        assert failure.value.code == FAILED_PRECONDITION and failure.value.detail.service == service
    assert product.phase() == "HELD"


@pytest.mark.parametrize("how", ["crash", "late_crash"])
def test_upgrade_half_finished_cannot_be(product, how):
    """A new version that ends at once, or while it is observed: the old one is back, whole."""
    (product.instance.root / "releases" / "2" / how).write_text("0.7")
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    answer = product.commit(lease, observe=30)
    assert answer.operation.state == product.types.OPERATION_STATE_FAILED
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.target() == "releases/1"
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    assert product.serving() == "1"
    assert product.get().progress.error.reason == product.types.ERROR_REASON_SERVICE_FAILED


def test_new_version_that_is_never_ready_rolls_back_in_time(product):
    release = product.instance.root / "releases" / "2" / "release.py"
    release.write_text("import time\ntime.sleep(1000)\n")
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    answer = product.commit(lease, start=2)
    assert answer.operation.state == product.types.OPERATION_STATE_FAILED
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.get().progress.error.reason == product.types.ERROR_REASON_START_TIMEOUT
    product.wait_for_states(backend="HEALTHY")
    assert product.serving() == "1"


def test_stop_during_a_commit_wins(product):
    (product.instance.root / "releases" / "2" / "release.py").write_text("import time\ntime.sleep(1000)\n")
    lease = product.begin()
    product.switch()
    product.commit(lease, wait=False)
    product.instance.flocks("stop", "backend", "webui", check=0)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    product.wait_for_states(backend="STOPPED", webui="STOPPED")
    assert product.target() == "releases/1"


# ---- flocksd dies ----


def test_flocksd_killed_while_held_keeps_the_lease(product):
    lease = product.begin(ttl=5)
    product.stop_services(lease)
    killed = time.monotonic()
    product.kill_flocksd()
    assert product.phase(lease.id) == "HELD"
    # At least five seconds for the holder to come back, from when there was another flocksd.
    remaining = product.get().lease.remaining.ToMilliseconds() / 1000
    assert remaining >= 5 - (time.monotonic() - killed)
    assert product.states()["backend"] == "PAUSED"
    product.renew(lease)
    product.switch()
    assert product.commit(lease, {"backend": "2"}).lease.phase == product.types.UPGRADE_PHASE_COMMITTED


def test_flocksd_killed_while_committing_resumes_the_gate(product):
    release = product.instance.root / "releases" / "2" / "release.py"
    text = release.read_text()
    release.write_text(
        "import pathlib, time\n"
        f"while not pathlib.Path('{product.instance.root}/go').exists(): time.sleep(0.02)\n" + text
    )
    lease = product.begin()
    product.switch()
    product.commit(lease, {"backend": "2"}, wait=False)
    product.wait_for_states(backend="STARTING")
    product.kill_flocksd()
    assert product.phase(lease.id) == "COMMITTING"
    (product.instance.root / "go").touch()
    product.wait_for_phase("COMMITTED", lease.id)
    assert product.serving() == "2"


def test_flocksd_killed_before_the_version_was_answered_asks_again(product):
    release = product.instance.root / "releases" / "2" / "release.py"
    text = release.read_text()
    asked, go = product.instance.root / "asked", product.instance.root / "go"
    held = f"""
        if "version" in self.path:
            Path({str(asked)!r}).touch()
            while not Path({str(go)!r}).exists():
                threading.Event().wait(0.02)
"""
    release.write_text(text.replace("def do_GET(self):", "def do_GET(self):" + held))
    lease = product.begin()
    product.switch()
    product.commit(lease, {"backend": "2"}, wait=False)
    wait_until(asked.exists, what="the question")
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    product.kill_flocksd()
    assert product.phase(lease.id) == "COMMITTING"
    go.touch()
    product.wait_for_phase("COMMITTED", lease.id)
    assert product.target() == "releases/2"


def test_flocksd_killed_while_observing_observes_again(product):
    lease = product.begin()
    product.switch()
    product.commit(lease, {"backend": "2"}, observe=4, wait=False)
    product.wait_for_phase("OBSERVING", lease.id)
    pid = product.instance.pid("backend")
    killed = time.monotonic()
    product.kill_flocksd()
    assert product.phase(lease.id) == "OBSERVING"
    product.wait_for_phase("COMMITTED", lease.id)
    assert time.monotonic() - killed >= 4
    assert product.instance.pid("backend") == pid


def test_flocksd_killed_while_rolling_back_goes_on(product):
    """At any moment of it, many times: the end is the same."""
    for round_ in range(6):
        lease = product.begin()
        product.stop_services(lease)
        product.switch()
        product.abort(lease)
        time.sleep(round_ * 0.01)
        product.kill_flocksd()
        product.wait_for_phase("ROLLED_BACK", lease.id)
        assert product.target() == "releases/1"
        product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
        assert product.serving() == "1"


def test_flocksd_killed_after_the_commit_remembers_it(product):
    lease = product.begin()
    product.switch()
    product.commit(lease, {"backend": "2"})
    product.kill_flocksd()
    assert product.phase(lease.id) == "COMMITTED"
    assert product.states()["backend"] == "HEALTHY" and product.target() == "releases/2"


def test_keeper_killed_while_held_keeps_the_lease(product):
    lease = product.begin()
    product.stop_services(lease)
    before = product.instance.status()["daemon"]
    os.kill(before["keeper_pid"], signal.SIGKILL)
    wait_until(
        lambda: product.instance.status()["daemon"]["keeper_pid"] not in (0, before["keeper_pid"]),
        what="another keeper",
    )
    assert product.phase(lease.id) == "HELD"
    assert product.states()["backend"] == "PAUSED"
    product.switch()
    assert product.commit(lease, {"backend": "2"}).lease.phase == product.types.UPGRADE_PHASE_COMMITTED
    assert product.serving() == "2"


# ---- both die ----


def test_started_half_replaced_tree_cannot_be(product):
    """Both daemons die between the switch and the commit: the next start undoes before it starts anything."""
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    product.kill_both()
    product.instance.start()
    assert product.target() == "releases/1"
    assert product.phase(lease.id) == "ROLLED_BACK"
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    assert product.serving() == "1" and "serves 2" not in product.instance.log("backend")


@pytest.mark.parametrize("phase", ["COMMITTING", "OBSERVING"])
def test_both_killed_before_it_is_committed_start_the_old_version(product, phase):
    lease = product.begin()
    if phase == "COMMITTING":
        (product.instance.root / "releases" / "2" / "release.py").write_text("import time\ntime.sleep(1000)\n")
    product.switch()
    product.commit(lease, observe=600, wait=False)
    product.wait_for_phase(phase, lease.id)
    product.kill_both()
    product.instance.start()
    assert product.target() == "releases/1"
    assert product.phase(lease.id) == "ROLLED_BACK"
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    assert product.serving() == "1"


def test_both_killed_after_the_commit_keep_the_result(product):
    lease = product.begin()
    product.switch()
    product.commit(lease, {"backend": "2"})
    product.kill_both()
    product.instance.start()
    assert product.target() == "releases/2"
    assert product.phase(lease.id) == "COMMITTED"
    product.wait_for_states(backend="HEALTHY")
    assert product.serving() == "2"


def test_service_outside_the_usual_start_is_resumed_too(instance, stubs, free_port):
    """`start: false`, but wanted when the lease began: rule 7 holds when both died."""
    product = Leased(instance, stubs, (free_port(), free_port()), '  spare: {command: [/bin/sleep, "9"], start: false}\n')
    instance.start()
    instance.flocks("start", "--no-browser", "spare", check=0)
    lease = product.begin(services=["spare"], undo=False)
    product.kill_both()
    instance.start()
    assert product.phase(lease.id) == "ROLLED_BACK"
    product.wait_for_states(spare="HEALTHY")


def test_torn_record_stops_the_start_once_and_is_kept(product):
    product.begin()
    product.kill_both()
    record = product.instance.root / "run" / "lease.pb"
    torn = record.read_bytes()[:-3]
    record.write_bytes(torn)
    failed = product.instance.flocks("start", "--no-browser")
    assert failed.returncode != 0
    assert "record of leases" in failed.stderr and "lease.pb.unreadable-" in failed.stderr
    assert product.target() == "releases/1"
    aside = list((product.instance.root / "run").glob("lease.pb.unreadable-*"))
    assert len(aside) == 1 and aside[0].read_bytes() == torn
    product.instance.start()
    product.wait_for_states(backend="HEALTHY")


# ---- disks ----


def test_lease_that_cannot_be_recorded_is_not_held(product):
    """A directory in the record's place: what the rename answers, nothing is held."""
    record = product.instance.root / "run" / "lease.pb"
    (record / "in the way").mkdir(parents=True)
    with pytest.raises(Failure) as failure:
        product.begin()
    assert failure.value.detail.system_error in ("EISDIR", "ENOTEMPTY", "EEXIST")
    assert product.instance.status().get("leases", []) == []
    assert product.states() == {"backend": "HEALTHY", "webui": "HEALTHY", "other": "HEALTHY"}
    shutil.rmtree(record)
    product.begin()


@pytest.fixture
def failing(product, tmp_path):
    """failing("fsync", "EIO"): these calls of flocksd fail while it lasts, those of its thread pool, too. The trace
    is kept outside the root, which flocksd watches: it would trace its own news of it for ever."""
    product.abort(product.begin())
    product.wait_for_phase("ROLLED_BACK")

    def inject(calls, error):
        pid = product.instance.status()["daemon"]["pid"]
        return Injection(pid, calls, error, "1+", tmp_path / "strace.log")

    return inject


@pytest.mark.no_chaos("flocksd is traced")
@pytest.mark.parametrize(
    "calls, error",
    [("fsync", "ENOSPC"), ("fsync", "EIO"), ("rename,renameat,renameat2", "EIO"), ("readlink,readlinkat", "EIO")],
)
def test_disk_that_fails_at_begin_holds_nothing(product, failing, calls, error):
    with failing(calls, error) as injection:
        with pytest.raises(Failure) as failure:
            product.begin()
        assert failure.value.detail.system_error == error
        assert product.instance.status().get("leases", []) == []
    assert injection.injected > 0
    lease = product.begin()
    assert product.phase(lease.id) == "HELD"


@pytest.mark.no_chaos("flocksd is traced")
def test_link_that_has_no_room_is_put_back_when_asked_again(product, failing):
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    with failing("symlink,symlinkat", "ENOSPC"):
        product.abort(lease)
        product.wait_for_phase("ROLLBACK_FAILED", lease.id)
        assert product.states()["backend"] == "PAUSED" and product.target() == "releases/2"
        assert "ENOSPC" in product.get(lease.id).lease.message
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.target() == "releases/1"
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")
    assert product.serving() == "1"


@pytest.mark.no_chaos("flocksd is traced")
def test_record_that_cannot_be_written_later_does_not_hold_a_roll_back_up(product, failing):
    lease = product.begin()
    product.stop_services(lease)
    product.switch()
    with failing("rename,renameat,renameat2", "EIO"):
        # The same call puts links back.
        product.abort(lease)
        product.wait_for_phase("ROLLBACK_FAILED", lease.id)
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    product.kill_both()
    product.instance.start()
    assert product.phase(lease.id) == "ROLLED_BACK"


def test_commit_that_cannot_be_recorded_waits_and_says_so(product):
    lease = product.begin()
    record = product.instance.root / "run" / "lease.pb"
    product.switch()
    record.unlink()
    (record / "in the way").mkdir(parents=True)
    product.commit(lease, {"backend": "2"}, wait=False)
    wait_until(lambda: "cannot be recorded yet" in product.get().lease.message, what="the message")
    assert product.phase() == "OBSERVING"
    shutil.rmtree(record)
    product.wait_for_phase("COMMITTED", lease.id)
    assert product.serving() == "2"


def test_link_that_cannot_be_put_back_leaves_services_paused_for_a_person(product):
    lease = product.begin()
    product.stop_services(lease)
    # A directory where the link was: nothing but a link is ever replaced.
    product.link.unlink()
    (product.link / "mine").mkdir(parents=True)
    operation = product.abort(lease).operation
    product.wait_for_phase("ROLLBACK_FAILED", lease.id)
    product.wait_for_states(backend="PAUSED", webui="PAUSED", other="HEALTHY")
    assert (product.link / "mine").is_dir()
    assert "is not a symbolic link" in product.get().lease.message
    assert operation.id
    assert product.instance.flocks("status").returncode == 1
    # `flocks start` of everything does not decide it, also after flocksd's death.
    product.kill_flocksd()
    product.instance.flocks("start", "--no-browser")
    assert product.states()["backend"] == "PAUSED"
    # One way out: make room and ask again.
    shutil.rmtree(product.link)
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.target() == "releases/1"
    product.wait_for_states(backend="HEALTHY", webui="HEALTHY")


def test_person_who_names_a_paused_service_decides_about_it(product):
    lease = product.begin()
    product.stop_services(lease)
    product.link.unlink()
    product.link.mkdir()
    for name in ("release.py", "version"):
        shutil.copy(product.instance.root / "releases" / "2" / name, product.link / name)
    product.abort(lease)
    product.wait_for_phase("ROLLBACK_FAILED", lease.id)
    assert product.start_services(["backend"]).state == product.types.OPERATION_STATE_SUCCEEDED
    product.wait_for_states(backend="HEALTHY", webui="PAUSED")
    assert product.start_services(["webui"]).state == product.types.OPERATION_STATE_SUCCEEDED
    assert product.instance.status().get("leases", []) == []
    # What a person has decided is not undone by the next start.
    product.instance.stop()
    product.instance.start()
    assert product.link.is_dir() and not product.link.is_symlink()
    product.begin(undo=False)


def test_unlink_after_begin_is_repaired(product):
    lease = product.begin()
    product.link.unlink()
    product.abort(lease)
    product.wait_for_phase("ROLLED_BACK", lease.id)
    assert product.target() == "releases/1"
