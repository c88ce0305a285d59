"""flocks-update as whoever runs it sees it: lines, exit codes, signals, and what it leaves. What upgrades do to services
is test_update*.py's."""

import json
import os
import signal
import subprocess
import threading

import pytest
import releases
from instance import is_alive, wait_until
from product import Stopped, ask, is_locked

pytestmark = pytest.mark.no_chaos(reason="looks at one upgrade's steps; upgrade_kills.py has the deaths")

# An install step that says when it runs, and ends when it is allowed to.
WAITING = {
    "install": [
        {"name": "wait", "command": ["./wait.sh"], "timeout": "60s"},
    ]
}
WAIT_SH = "#!/bin/sh\necho ready > ../../step-runs\nwhile [ ! -e ../../go-on ]; do sleep 0.02; done\n"


@pytest.fixture
def product(make_product):
    """Version 1.0.0; nothing runs."""
    return make_product(start=False)


def publish_waiting(product, version):
    product.publisher.publish(version, release=WAITING, files={"wait.sh": WAIT_SH})


def begin_and_wait_for_step(product, *arguments, **options):
    updater = product.begin("apply", *arguments, **options)
    wait_until(
        lambda: (product.root / "step-runs").exists() or updater.poll() is not None, 60, "the install step"
    )
    assert updater.poll() is None, updater.communicate()
    return updater


def result(product):
    return json.loads((product.root / "run" / "upgrade-result.json").read_text())


def clean(product):
    for name in ("step-runs", "go-on"):
        (product.root / name).unlink(missing_ok=True)


def test_apply_tells_each_step_and_the_end(product):
    product.start()
    product.publisher.publish("1.1.0")
    outcome = product.apply()
    product.assert_whole("1.1.0")
    steps = [event["step"][len("UPGRADE_STEP_") :] for event in outcome.events]
    seen = [step for i, step in enumerate(steps) if steps[:i].count(step) == 0]
    assert seen[-4:] == ["STOPPING", "SWITCHING", "COMMITTING", "DONE"]
    numbers = [event["step_number"] for event in outcome.events if event["step_number"]]
    assert numbers == sorted(numbers) and numbers[-1] == outcome.last["steps"]
    assert len({event["upgrade_id"] for event in outcome.events}) == 1
    assert outcome.last["phase"] == "UPGRADE_PHASE_COMMITTED"
    assert (outcome.last["from_version"], outcome.last["to_version"]) == ("1.0.0", "1.1.0")
    told = result(product)
    for member in ("upgrade_id", "step", "from_version", "to_version", "phase", "lease_id", "source", "code"):
        assert told[member] == outcome.last[member], member
    # The same result is the answer of a tool that knows the schema.
    again = product.apply()
    assert again.code == 0 and again.last["to_version"] == "" and "nothing newer" in again.last["message"]
    assert product.update("recover").events == []
    back = product.apply("--rollback")
    assert back.last["to_version"] == "1.0.0"
    product.assert_whole("1.0.0")
    there_again = product.apply("--rollback")
    assert there_again.last["to_version"] == "1.1.0"
    product.assert_whole("1.1.0")


def test_programs_that_did_not_take_over_do_with_the_next_update(product):
    """1.1.0 brings a flocksd that cannot be executed; then somebody mends that."""
    product.start()
    before = product.instance.status()["daemon"]
    flocksd = (product.instance.bin / "flocksd").read_bytes() + b"another"
    programs = {"programs": {"flocksd": "libexec/flocksd"}}
    product.publisher.publish("1.1.0", kind="tar", release=programs, files={"libexec/flocksd": flocksd})
    outcome = product.apply(check=None)
    assert outcome.code != 0 and outcome.last["phase"] == "UPGRADE_PHASE_COMMITTED", outcome.said
    again = product.apply(check=None)
    assert again.code != 0 and "1.1.0 is current, but its flocksd did not take over" in again.text
    assert product.instance.status()["daemon"]["pid"] == before["pid"]
    image = product.root / "releases" / "1.1.0" / "libexec" / "flocksd"
    image.chmod(0o755)
    mended = product.apply()
    assert mended.last["message"] == "1.1.0 is current, and its flocksd took over"
    daemon = product.instance.status()["daemon"]
    assert os.path.samefile(f"/proc/{daemon['pid']}/exe", image) and daemon["keeper_pid"] == before["keeper_pid"]
    assert "nothing newer" in product.apply().last["message"]
    product.assert_whole("1.1.0")


def test_check_says_what_would_be_done_and_changes_nothing(product):
    before = product.names()
    product.publisher.publish("1.1.0")
    check = product.update("check", "--list").last
    assert (check["current_version"], check["version"], check["is_newer"]) == ("1.0.0", "1.1.0", True)
    assert [(r["version"], r["is_current"], r["is_available"]) for r in check["releases"]] == [
        ("1.1.0", False, True),
        ("1.0.0", True, False),
    ]
    assert product.names() == before
    missing = product.update("check", "--to", "9.9.9", check=None)
    assert missing.code == 2 and missing.last["error"]["code"] == 5


def test_usage_is_refused(product):
    for arguments in (
        (),
        ("apply", "--list"),
        ("apply", "--rollback", "--to", "1.0.0"),
        ("apply", "--upgrade-id", "a b"),
        ("apply", "--to"),
        ("sing",),
        ("check", "--owner", "me"),
    ):
        outcome = product.update(*arguments, check=2)
        assert outcome.last["error"]["code"] == 3 and "hint:" in outcome.said, arguments
    product.instance.write("services: {backend: {comand: [x]}}\n")
    assert "flocks.yaml" in product.update("check", check=2).said


def test_second_is_refused_at_once_and_named(product):
    product.start()
    publish_waiting(product, "1.1.0")
    first = begin_and_wait_for_step(product, "--owner", "the first")
    second = product.apply(check=5)
    assert "the first" in second.text and f"pid {first.pid}" in second.text
    assert second.last["error"]["reason"] == "ERROR_REASON_UPGRADE_RUNNING"
    assert second.last["step"] == "UPGRADE_STEP_DONE"
    (product.root / "go-on").touch()
    product.finish(first, 0)
    clean(product)
    product.assert_whole("1.1.0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_preparing_leaves_everything(product, number):
    product.start()
    publish_waiting(product, "1.1.0")
    updater = begin_and_wait_for_step(product)
    updater.send_signal(number)
    outcome = product.finish(updater, 1)
    assert outcome.last["code"] == 1 and outcome.last["phase"] == "UPGRADE_PHASE_UNSPECIFIED"
    clean(product)
    product.assert_whole("1.0.0")
    assert product.journal() is None and not is_locked(product.root / "run" / "upgrade.lock")
    assert os.listdir(product.root / "releases") == ["1.0.0"]


def test_signal_after_the_commit_began_goes_back(product):
    product.instance.write(
        releases.configuration(
            list(product.ports.values()), [product.publisher.server.url], [product.publisher.key.public], observe="60s"
        )
    )
    product.start()
    product.publisher.publish("1.1.0")
    updater = product.begin("apply")
    wait_until(lambda: ask(product.ports["webui"], "/api/version") and product.is_serving("1.1.0"), 60, "1.1.0")
    updater.send_signal(signal.SIGTERM)
    outcome = product.finish(updater, 1)
    assert outcome.last["phase"] == "UPGRADE_PHASE_ROLLED_BACK" and "aborted" in outcome.text
    product.assert_whole("1.0.0")
    assert result(product)["phase"] == "UPGRADE_PHASE_ROLLED_BACK"


def test_starter_that_goes_away_changes_nothing(product):
    """Its reader closes the pipe, its session gets SIGHUP."""
    product.start()
    publish_waiting(product, "1.1.0")
    updater = begin_and_wait_for_step(product)
    assert os.getsid(updater.pid) == updater.pid
    updater.stdout.close()
    updater.send_signal(signal.SIGHUP)
    (product.root / "go-on").touch()
    assert updater.wait(timeout=60) == 0
    updater.stderr.close()
    clean(product)
    product.assert_whole("1.1.0")


def test_leader_of_a_process_group_stays_behind_and_passes_signals_on(product):
    """As a shell starts it: it cannot begin a session itself."""
    product.start()
    publish_waiting(product, "1.1.0")
    updater = begin_and_wait_for_step(product, preexec_fn=os.setpgrp)
    holder = int((product.root / "run" / "upgrade.lock").read_text().split()[0])
    assert holder != updater.pid and os.getsid(holder) == holder
    updater.send_signal(signal.SIGTERM)
    assert product.finish(updater, 1).last["code"] == 1
    clean(product)
    product.assert_whole("1.0.0")


def test_reader_that_does_not_read_holds_nothing_up(product):
    product.start()
    product.publisher.publish("1.1.0")
    read, write = os.pipe()
    # A pipe that is full from the beginning.
    os.set_blocking(write, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write, b"x" * 4096)
    os.set_blocking(write, True)
    updater = subprocess.Popen(
        product.command("apply"), stdin=subprocess.DEVNULL, stdout=write, env=product.instance.environment
    )
    os.close(write)
    assert updater.wait(timeout=120) == 0
    os.close(read)
    product.assert_whole("1.1.0")


def test_without_daemon_it_switches_and_says_not_verified(product):
    product.publisher.publish("1.1.0")
    outcome = product.apply()
    assert outcome.last["not_verified"] and result(product)["not_verified"]
    assert product.current() == "1.1.0" and not product.instance.processes()
    product.start()
    product.assert_whole("1.1.0")


def test_start_meanwhile_and_an_update_agree_on_one_version(product):
    """Whoever comes first; the start may lose its services to the upgrade, which starts them."""
    product.publisher.publish("1.1.0")
    updater = product.begin("apply")
    starter = threading.Thread(target=product.instance.start, kwargs={"check": None})
    starter.start()
    outcome = product.finish(updater, 0)
    starter.join()
    product.before = product.names()
    assert outcome.is_over and product.journal() is None
    product.assert_whole("1.1.0")


def test_killed_at_committed_is_completed_by_recover(product):
    product.start()
    product.publisher.publish("1.1.0")
    with Stopped(product, "committed", "apply") as stopped:
        stopped.kill()
    outcome = product.update("recover")
    # flocksd notices as well, and may have been quicker.
    if outcome.last:
        assert outcome.last["step"] == "UPGRADE_STEP_DONE" and outcome.last["phase"] == "UPGRADE_PHASE_COMMITTED"
    wait_until(lambda: product.journal() is None, what="the end of the journal")
    product.assert_whole("1.1.0")


def test_retention_keeps_what_processes_stand_in(product):
    ports = list(product.ports.values())
    product.instance.write(
        releases.configuration(ports, [product.publisher.server.url], [product.publisher.key.public], update="  keep: 1\n")
    )
    product.start()
    squatter = subprocess.Popen(["/bin/sleep", "1000"], cwd=product.root / "releases" / "1.0.0" / "backend")
    try:
        product.publisher.publish("1.1.0")
        product.apply()
        product.publisher.publish("1.2.0")
        product.apply()
        assert sorted(os.listdir(product.root / "releases")) == ["1.0.0", "1.2.0"]
    finally:
        squatter.kill()
        squatter.wait()
    assert not is_alive(squatter.pid)
    product.publisher.publish("1.3.0")
    product.apply()
    assert os.listdir(product.root / "releases") == ["1.3.0"]


def test_new_version_of_the_same_number_is_taken_by_force(product):
    product.start()
    product.publisher.publish("1.0.0", files={"mark": "again"})
    outcome = product.apply("--force")
    assert outcome.last["to_version"] == "1.0.0+reinstall.1"
    assert (product.root / "current" / "mark").read_text() == "again"
    assert product.is_serving("1.0.0")


def test_installation_in_place_is_adopted_under_the_version_it_tells(product):
    """The first upgrade of what lies in its root: nobody notices it becoming a release, and it can be gone back to."""
    ports = list(product.ports.values())
    (product.root / "current").unlink()
    for name in ("backend", "webui", "version"):
        os.rename(product.root / "releases" / "1.0.0" / name, product.root / name)
    (product.root / "releases" / "1.0.0").rmdir()
    product.instance.write(
        releases.configuration(
            ports,
            [product.publisher.server.url],
            [product.publisher.key.public],
            update="  adopt: [backend, webui, version]\n",
        ).replace("directory: current/", "directory: ")
    )
    product.start()
    pids = {name: product.instance.pid(name) for name in product.ports}
    product.publisher.publish("1.1.0")
    outcome = product.apply()
    assert outcome.last["from_version"] == "1.0.0" and product.is_serving("1.1.0")
    assert (product.root / "releases" / "1.0.0" / "version").read_text() == "1.0.0\n"
    assert os.readlink(product.root / "backend") == "current/backend"
    assert {name: product.instance.pid(name) for name in product.ports} != pids
    assert product.apply("--rollback").last["to_version"] == "1.0.0"
    assert product.is_serving("1.0.0")


def test_first_release_of_a_root_that_had_none(product):
    """Nothing to go back to but nothing: with a daemon that runs what is of no release, then again well."""
    (product.root / "current").unlink()
    (product.root / "releases").rename(product.root / "before")
    ports = list(product.ports.values())
    whole = releases.configuration(ports, [product.publisher.server.url], [product.publisher.key.public])
    only_other = "services:\n" + whole[whole.index("  other:") :]
    product.instance.write(only_other)
    product.start()
    product.publisher.publish("1.0.0", release={"install": [{"command": ["/bin/false"]}]})
    assert product.apply(check=None).code != 0
    assert not (product.root / "current").exists() and product.journal() is None
    product.publisher.publish("1.1.0")
    outcome = product.apply()
    assert outcome.last["from_version"] == "" and outcome.last["to_version"] == "1.1.0"
    assert not outcome.last["not_verified"] and product.current() == "1.1.0"
    assert product.states() == {"other": "HEALTHY"}
    assert product.apply("--rollback", check=2).last["step"] == "UPGRADE_STEP_DONE"
