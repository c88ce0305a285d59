"""Upgrades with the real programs: from version to version and back under clients that never stop asking, two at once,
against starts and stops, while a service crash-loops, many in a row."""

import pytest
from instance import start_ticks, wait_until
from product import Row, Traffic

pytestmark = pytest.mark.no_chaos(reason="says what an upgrade does while nobody is killed; test_update_kills.py kills")

# An install step that lasts until the test says go.
WAITING = {
    "release": {"install": [{"name": "wait for go", "command": ["./wait.sh"], "timeout": "2m"}]},
    "files": {"wait.sh": '#!/bin/sh\ntouch "$FLOCKS_ROOT/waits"\nwhile [ ! -e "$FLOCKS_ROOT/go" ]; do sleep 0.05; done\n'},
}


def wait_for_install(product):
    wait_until((product.root / "waits").exists, 60, "the install step")


def let_go(product):
    (product.root / "go").touch()


def forget(product):
    for name in ("go", "waits"):
        (product.root / name).unlink(missing_ok=True)


def identities(product):
    """Pid and start time of each service."""
    return {s["name"]: (s["pid"], start_ticks(s["pid"])) for s in product.instance.status()["services"] if s["pid"]}


# ---- from version to version ----


def test_three_versions_and_back_under_clients_that_never_stop_asking(product, publisher):
    for version, kind in (("1.1.0", "tar.zst"), ("1.2.0", "zip")):
        publisher.publish(version, kind=kind, release={"keep_running": ["other"]})
    other = product.instance.pid("other")
    with Traffic(product.ports) as traffic:
        for words, version in (
            (("--to", "1.1.0"), "1.1.0"),
            ((), "1.2.0"),
            (("--rollback",), "1.1.0"),
        ):
            outcome = product.apply(*words)
            assert outcome.is_over and outcome.last["to_version"] == version, outcome.said
            product.assert_whole(version)
    for name in product.ports:
        assert traffic.versions(name) == ["1.0.0", "1.1.0", "1.2.0", "1.1.0"]
        # One after the other: three gaps, and nothing was away at any other time.
        assert len(traffic.gaps(name)) == 3, traffic.gaps(name)
    assert product.instance.pid("other") == other


def test_what_a_release_keeps_running_is_restarted_where_it_is_another(product, publisher):
    """keep_running was true of the release before: who skipped one, or goes back, has another version running."""
    publisher.publish("1.1.0", release={"keep_running": ["*"], "versions": {"backend": "1.1.0", "webui": "1.1.0"}})
    publisher.publish("1.2.0", release={"keep_running": ["*"]})
    publisher.publish("1.3.0", release={"keep_running": ["other"]})
    other = product.instance.pid("other")
    product.apply("--to", "1.1.0")
    product.assert_whole("1.1.0")
    product.apply("--to", "1.2.0")
    assert product.versions() == {"backend": "1.1.0", "webui": "1.1.0"} and product.current() == "1.2.0"
    product.apply("--to", "1.3.0")
    product.assert_whole("1.3.0")
    product.apply("--rollback")
    product.assert_whole("1.2.0")
    assert product.instance.pid("other") == other


def test_release_of_every_kind_is_installed(product, publisher):
    for number, kind in enumerate(("tar", "tar.gz", "tar.xz"), 1):
        publisher.publish(f"1.{number}.0", kind=kind)
        product.apply()
        product.assert_whole(f"1.{number}.0")


def test_newest_is_current_already_nothing_is_done(product):
    before = identities(product)
    product.publisher.publish("1.0.0")
    outcome = product.apply()
    assert outcome.is_over and "error" not in outcome.last, outcome.said
    assert identities(product) == before
    product.assert_whole("1.0.0")


def test_progress_steps_are_in_order_and_numbered(product, publisher):
    """Those of the old updater were labels that did not match the work."""
    publisher.publish("1.1.0", release={"install": [{"command": ["/bin/true"]}]})
    events = product.apply().events
    steps = [event["step"][len("UPGRADE_STEP_") :] for event in events]
    in_order = [step for i, step in enumerate(steps) if i == 0 or steps[i - 1] != step]
    wanted = ["CHECKING", "DOWNLOADING", "VERIFYING", "UNPACKING", "INSTALLING", "STOPPING", "SWITCHING", "COMMITTING", "DONE"]
    assert [step for step in in_order if step in wanted] == wanted
    assert len(in_order) == len(set(in_order))
    numbers = [event["step_number"] for event in events if event["step_number"]]
    assert numbers == sorted(numbers) and numbers[0] == 1 and numbers[-1] <= events[-1]["steps"]
    assert all(int(event["bytes_done"]) <= int(event["bytes_total"]) for event in events)


# ---- what was stopped, what is sick ----


def test_stopped_services_stay_stopped(product, publisher):
    publisher.publish("1.1.0")
    product.instance.stop("webui")
    product.apply()
    assert product.states() == {"backend": "HEALTHY", "webui": "STOPPED", "other": "HEALTHY"}
    product.instance.start("webui")
    product.assert_whole("1.1.0")


def test_nothing_runs_and_nothing_is_started(make_product, publisher):
    """Without a daemon: switched, and said that nobody saw it serve."""
    publisher.publish("1.1.0")
    product = make_product(start=False)
    outcome = product.apply()
    assert outcome.last["not_verified"] and product.current() == "1.1.0", outcome.said
    assert product.instance.flocks("status").returncode == 3
    assert product.versions() == {"backend": None, "webui": None}
    product.before = {"flocks.yaml", "releases", "current"}
    product.instance.start()
    product.before |= product.names()
    product.assert_whole("1.1.0")


# It crashes as quickly as it is told to, and is FAILED soon.
FLAPPING = "\n    restart: {delay: 10ms, max_delay: 20ms, give_up_after: 3}"


def test_update_heals_a_service_that_crash_loops(make_product, publisher):
    """The present version cannot run at all; the new one can. No restart of it falls into the upgrade."""
    publisher.publish("1.1.0")
    product = make_product(start=False, options=FLAPPING)
    (product.root / "current" / "behaviour.json").write_text('{"backend": {"exit": 3}}')
    product.instance.start(check=1)
    product.before = product.names()
    product.apply()
    product.assert_whole("1.1.0")


def test_update_to_a_bad_release_while_a_service_crash_loops_leaves_it_looping(make_product, publisher):
    """Both versions are bad: the old one is put back, and supervised as before."""
    publisher.publish("1.1.0", behaviour={"backend": {"exit": 5}})
    product = make_product(start=False, options=FLAPPING)
    (product.root / "current" / "behaviour.json").write_text('{"backend": {"exit": 3}}')
    product.instance.start(check=1)
    outcome = product.apply(check=1)
    assert product.current() == "1.0.0" and outcome.is_over
    assert product.journal() is None
    service = product.instance.service("backend")
    assert service["state"] in ("SERVICE_STATE_BACKOFF", "SERVICE_STATE_STARTING", "SERVICE_STATE_FAILED"), service
    (product.root / "current" / "behaviour.json").unlink()
    product.instance.flocks("restart", "--no-browser", "backend", check=0)
    product.instance.wait_for_state("webui", "HEALTHY", 60)
    product.before = product.names()
    product.assert_whole("1.0.0")


# ---- at once ----


def test_eight_updates_at_the_same_moment_one_is_done(product, publisher):
    publisher.publish("1.1.0", **WAITING)
    updaters = [product.begin("apply") for _ in range(8)]
    wait_until(lambda: sum(u.poll() is None for u in updaters) == 1, 90, "seven refusals")
    wait_for_install(product)
    let_go(product)
    codes = sorted(product.finish(updater).code for updater in updaters)
    assert codes == [0] + [5] * 7
    forget(product)
    product.assert_whole("1.1.0")


def test_start_during_the_preparation_goes_on(make_product, publisher):
    """Nothing has been changed yet: who starts need not wait for a download."""
    publisher.publish("1.1.0", **WAITING)
    product = make_product(start=False)
    updater = product.begin("apply")
    wait_for_install(product)
    product.instance.start()
    assert product.is_serving("1.0.0")
    # The daemon that came meanwhile is upgraded as if it had been there from the beginning.
    let_go(product)
    outcome = product.finish(updater, check=0)
    assert not outcome.last["not_verified"], outcome.said
    forget(product)
    product.before = product.names()
    product.assert_whole("1.1.0")


def test_starts_and_restarts_while_an_update_runs_change_nothing(product, publisher):
    """A person who types meanwhile gets an answer, by the rules of the lease; one version serves in the end."""
    publisher.publish("1.1.0", **WAITING)
    updater = product.begin("apply")
    wait_for_install(product)
    let_go(product)
    while updater.poll() is None:
        assert product.instance.flocks("start", "--no-browser").returncode in (0, 1, 5)
        assert product.instance.flocks("restart", "--no-browser", "backend").returncode in (0, 1, 5)
    product.finish(updater, check=0)
    forget(product)
    product.assert_whole("1.1.0")


def test_stop_during_an_update_wins_and_stays(product, publisher):
    """The old version's link is back, and what was stopped stays stopped."""
    publisher.publish("1.1.0", behaviour={"backend": {"deaf": True}})
    updater = product.begin("apply")
    wait_until(lambda: product.journal() == "committing", 60, "the commit")
    product.instance.stop("backend", "webui")
    outcome = product.finish(updater)
    assert outcome.code in (1, 5) and outcome.is_over, outcome.said
    assert product.current() == "1.0.0"
    states = product.states()
    assert (states["backend"], states["webui"]) == ("STOPPED", "STOPPED")
    product.instance.start()
    product.assert_whole("1.0.0")


# ---- many ----


def test_fifteen_upgrades_in_a_row_leave_nothing(product, publisher):
    """No file, no process, no descriptor, no lease more than after the third. 200: tools/upgrades."""
    row = Row(product, publisher)
    for _ in range(3):
        row.upgrade()
    before = row.usage()
    for _ in range(12):
        row.upgrade()
    row.assert_no_more_than(before)
