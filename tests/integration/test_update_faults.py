"""Faults that the updater before this one had (docs/faults.md), each in a name of its own. Those that are about bad
releases are in test_update_refusals.py, about deaths in test_update_kills.py, about ways to call it in test_update.py."""

import json
import os
import signal
import socket

import pytest
from instance import processes_with, wait_until
from product import Traffic, ask, command_of

pytestmark = pytest.mark.no_chaos(reason="says what an upgrade does while nobody else is killed")

WAIT = '#!/bin/sh\ntouch "$FLOCKS_ROOT/waits"\nwhile [ ! -e "$FLOCKS_ROOT/go" ]; do sleep 0.05; done\n'
WAITING = {"release": {"install": [{"command": ["./wait.sh"], "timeout": "2m"}]}, "files": {"wait.sh": WAIT}}


def updaters(product):
    """Processes that apply something: one, and the one that passes signals on to it."""
    pids = processes_with("FLOCKS_ROOT", str(product.root))
    return [pid for pid in pids if "flocks-update" in (words := command_of(pid).split(" "))[0] and "apply" in words]


def steps_of(outcome):
    return [event["step"][len("UPGRADE_STEP_") :] for event in outcome.events]


def forget(product):
    for name in ("go", "waits"):
        (product.root / name).unlink(missing_ok=True)


# ---- what it must not do without being sure ----


def test_update_goes_on_with_default_ports_when_nobody_answers_cannot_be(product, publisher):
    """flocksd holds its lock and does not answer: refused in time, nothing is changed, nobody is started beside it."""
    publisher.publish("1.1.0")
    daemon = product.instance.status()["daemon"]
    # Both: a keeper would replace a flocksd that is stopped for long.
    for pid in (daemon["keeper_pid"], daemon["pid"]):
        os.kill(pid, signal.SIGSTOP)
    try:
        updater = product.begin("apply")
        wait_until(lambda: product.journal() == "leasing" or updater.poll() is not None, 60, "the lease's request")
        if updater.poll() is None:
            updater.send_signal(signal.SIGTERM)
        outcome = product.finish(updater)
        assert outcome.code != 0, outcome.said
        assert product.current() == "1.0.0" and product.is_serving("1.0.0")
    finally:
        for pid in (daemon["pid"], daemon["keeper_pid"]):
            os.kill(pid, signal.SIGCONT)
    product.update("recover")
    product.assert_whole("1.0.0")


def test_service_returns_on_the_ports_of_the_command_line(make_product, publisher, free_port):
    """The old one restarted with what the file said, not with what had been asked for."""
    publisher.publish("1.1.0")
    product = make_product(start=False)
    port = free_port()
    product.instance.start("--server-port", str(port))
    product.ports["backend"] = port
    product.before = product.names()
    product.apply()
    product.assert_whole("1.1.0")


def test_waiting_for_a_port_that_was_never_ours_cannot_be(product, publisher):
    """Somebody listens on the port that the first releases of the product had."""
    publisher.publish("1.1.0")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stranger.bind(("127.0.0.1", 8000))
            stranger.listen()
        except OSError:
            pass
        product.apply()
    product.assert_whole("1.1.0")


# ---- in which order ----


def test_download_that_fails_after_the_stop_cannot_be(product, publisher):
    """Everything that may fail without touching a service is over before the first one is stopped."""
    publisher.publish("1.1.0", release={"install": [{"command": ["/bin/true"]}]})
    steps = steps_of(product.apply())
    stopping = steps.index("STOPPING")
    for step in ("DOWNLOADING", "VERIFYING", "UNPACKING", "INSTALLING"):
        assert steps.index(step) < stopping and step not in steps[stopping:]


def test_backup_that_is_optional_cannot_be(product, publisher):
    """There is none to fail: the old release stays as it is, and the way back is a link."""
    publisher.publish("1.1.0")
    product.apply()
    old = product.root / "releases" / "1.0.0"
    before = sorted((str(path), path.stat().st_mtime_ns) for path in old.rglob("*"))
    product.apply("--rollback")
    product.assert_whole("1.0.0")
    assert sorted((str(path), path.stat().st_mtime_ns) for path in old.rglob("*")) == before


def test_install_step_that_fails_once_on_a_mirror_is_tried_again(product, publisher):
    script = '#!/bin/sh\n[ -e "$FLOCKS_ROOT/run/tried" ] && exec rm "$FLOCKS_ROOT/run/tried"\ntouch "$FLOCKS_ROOT/run/tried"\nexit 1\n'
    publisher.publish(
        "1.1.0", release={"install": [{"command": ["./sync.sh"], "retries": 1}]}, files={"sync.sh": script}
    )
    product.apply()
    product.assert_whole("1.1.0")


def test_dependencies_changed_under_the_running_service_cannot_be(product, publisher):
    """The step that would do it runs in the new release's own directory, while the old one serves."""
    publisher.publish("1.1.0", **WAITING)
    updater = product.begin("apply")
    wait_until((product.root / "waits").exists, 60, "the install step")
    assert product.current() == "1.0.0" and product.is_serving("1.0.0")
    assert os.path.isdir(product.root / "releases" / "1.1.0.partial")
    (product.root / "go").touch()
    product.finish(updater, check=0)
    forget(product)
    product.assert_whole("1.1.0")


# ---- trees ----


def test_overlay_that_deletes_the_built_webui_cannot_be(product, publisher):
    """What an install step has built belongs to its release, and is there again after the way back."""
    build = '#!/bin/sh\nmkdir -p webui/dist && echo "built $FLOCKS_VERSION" > webui/dist/index.html\n'
    publisher.publish("1.1.0", release={"install": [{"command": ["./build.sh"]}]}, files={"build.sh": build})
    publisher.publish("1.2.0")
    product.apply("--to", "1.1.0")
    product.apply("--to", "1.2.0")
    assert not (product.root / "current" / "webui" / "dist").exists()
    product.apply("--rollback")
    product.assert_whole("1.1.0")
    assert (product.root / "current" / "webui" / "dist" / "index.html").read_text() == "built 1.1.0\n"


def test_names_kept_at_any_depth_that_never_get_updates_cannot_be(product, publisher):
    """`logs`, `data`, `run` and `.env` of a release are the release's."""
    names = ("logs", "data/x", "run/y", "backend/logs/z", ".env")
    for version in ("1.1.0", "1.2.0"):
        publisher.publish(version, files={name: version for name in names})
        product.apply()
        for name in names:
            assert (product.root / "current" / name).read_text() == version
    product.assert_whole("1.2.0")


def test_half_a_backup_that_counts_cannot_be(product, publisher):
    """A release that was not finished is none: it does not push a good one out, and nothing goes back to it."""
    for number in range(1, 4):
        half = product.root / "releases" / f"1.0.{number}.partial" / "backend"
        half.mkdir(parents=True)
    publisher.publish("1.1.0")
    product.apply()
    product.assert_whole("1.1.0")
    assert sorted(entry.name for entry in (product.root / "releases").iterdir()) == ["1.0.0", "1.1.0"]
    product.apply("--rollback")
    product.assert_whole("1.0.0")


# ---- from inside ----


@pytest.fixture
def self_updating(make_product, publisher):
    """Whose backend upgrades itself when it is asked to: /api/update."""
    publisher.publish("1.1.0", **WAITING)
    product = make_product(start=False, options="\n    environment: {PRODUCT_UPDATE: '@'}")
    line = f"exec {product.instance.bin}/flocks --root {product.root} update --yes > {product.root}/said 2>&1"
    product.instance.write(product.instance.config.read_text().replace("'@'", json.dumps(line)))
    product.start()
    return product


def begin_from_inside(product):
    assert ask(product.ports["backend"], "/api/update")["version"] == "1.0.0"
    wait_until((product.root / "waits").exists, 60, "the install step")


def end_from_inside(product):
    (product.root / "go").touch()
    wait_until(lambda: product.current() == "1.1.0" and not updaters(product), 90, "the end of the upgrade")
    forget(product)
    (product.root / "said").unlink()
    product.assert_whole("1.1.0")


def test_updater_stops_the_process_it_runs_in_cannot_be(self_updating):
    """The backend starts its own upgrade, and is stopped by it; the upgrade is not."""
    with Traffic(self_updating.ports) as traffic:
        begin_from_inside(self_updating)
        end_from_inside(self_updating)
    assert traffic.versions("backend") == ["1.0.0", "1.1.0"]


def test_helper_killed_with_the_service_cannot_be(self_updating):
    """Everything of the backend dies while it upgrades itself: not the updater, and no second one runs beside it."""
    begin_from_inside(self_updating)
    before = updaters(self_updating)
    service = self_updating.instance.service("backend")
    os.kill(service["pid"], signal.SIGKILL)
    self_updating.instance.wait_for_generation("backend", service["generation"], 60)
    assert before and updaters(self_updating) == before
    end_from_inside(self_updating)


def test_helper_below_the_backend_dies_with_the_daemons_tree_cannot_be(self_updating):
    """flocksd and keeper are killed: the updater that flocksd started goes on with those who come after them."""
    begin_from_inside(self_updating)
    before = updaters(self_updating)
    self_updating.kill("flocksd", "keeper")
    self_updating.instance.start()
    assert before and updaters(self_updating) == before
    end_from_inside(self_updating)


# ---- afterwards ----


def test_page_of_an_old_upgrade_that_keeps_the_port_cannot_be(product, publisher):
    """flocksd dies while its page is on the WebUI's port: the next one closes it before the WebUI starts."""
    publisher.publish("1.1.0")
    updater = product.begin("apply")
    wait_until(lambda: product.journal() in ("stopping", "switching", "switched", "committing"), 60, "the stop")
    product.kill("flocksd")
    product.finish(updater, check=0)
    product.assert_whole("1.1.0")
