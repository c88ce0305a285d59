"""sd_notify: what services say, who may say it, and what follows, on real services."""

import json
import os
import re
import shutil
import signal
import socket
import time

import pytest

from instance import PYTHON, SERVICES, descriptors_of, is_alive, wait_until


@pytest.fixture
def instance(make_instance):
    return make_instance()


def speaking(more="", environment="", name="app"):
    return f"""
  {name}:
    command: [{PYTHON}, {SERVICES}/speaker.py]
    notify: true
    environment: {{SPEAKER_PIPE: {name}.pipe{environment}}}
{more}
"""


class Speaker:
    """Tells the service what to say."""

    def __init__(self, instance, name="app"):
        self.instance = instance
        self.name = name
        self.n = 0

    def order(self, is_last=False, **order):
        """Done when this returns, unless it is the last one, which ends the service."""
        self.n += 1
        pipe = self.instance.root / f"{self.name}.pipe"
        wait_until(pipe.exists, what="the service's pipe")
        with open(os.open(pipe, os.O_RDWR), "w") as file:
            file.write(json.dumps({"n": f"{id(self)}.{self.n}", **order}) + "\n")
            file.flush()
            if not is_last:
                wait_until(lambda: f"done {id(self)}.{self.n} " in self.instance.log(self.name), what=f"{order} done")

    def say(self, text, **order):
        self.order(say=text, **order)


@pytest.fixture
def app(instance):
    """A service that has not said READY=1 yet."""

    def make(more="", environment=""):
        instance.write("services:" + speaking(more, environment))
        instance.flocks("start", "--no-browser", "--timeout", "1s", timeout=60)
        speaker = Speaker(instance)
        wait_until(lambda: "speaking" in instance.log("app"), what="the service")
        return speaker

    return make


READY = ', SPEAKER_AT_START: "say(\'READY=1\')"'


def test_service_is_not_ready_before_it_says_so(instance, app):
    speaker = app()
    status = instance.service("app")
    assert status["state"] == "SERVICE_STATE_STARTING"
    wait_until(lambda: "READY=1" in instance.service("app")["last_error"], what="what it waits for")
    speaker.say("STATUS=warming up")
    wait_until(lambda: instance.service("app")["notified_status"] == "warming up", what="its words")
    assert instance.service("app")["state"] == "SERVICE_STATE_STARTING"
    speaker.say("READY=1\nSTATUS=serving \xc3\xa9\x1b[31m")
    status = instance.wait_for_state("app", "HEALTHY")
    wait_until(lambda: instance.service("app")["notified_status"] == "serving é?[31m", what="its words, made safe")
    assert status["generation"] == 1


def test_ready_by_word_needs_port_and_probe_as_well(instance, free_port):
    port = free_port()
    instance.write(
        "services:"
        + speaking(
            f"    port: {port}\n"
            "    probes: {ready: {exec: {command: [/usr/bin/test, -e, '${root}/well']}, period: 50ms}}\n",
            READY,
        )
    )
    instance.flocks("start", "--no-browser", "--timeout", "500ms", timeout=60)
    speaker = Speaker(instance)
    assert instance.service("app")["state"] == "SERVICE_STATE_STARTING"
    speaker.order(do=f"listener = socket.create_server(('127.0.0.1', {port}))")
    wait_until(lambda: "ready probe" in instance.service("app")["last_error"], what="the probe's turn")
    (instance.root / "well").touch()
    assert instance.wait_for_state("app", "HEALTHY")["generation"] == 1


def test_environment_of_the_watchdog(instance, app):
    app("    watchdog: 1500ms\n", READY)
    pid = instance.wait_for_state("app", "HEALTHY")["pid"]
    assert f"speaking pid={pid} watchdog_pid={pid} watchdog_usec=1500000" in instance.log("app")
    environment = open(f"/proc/{pid}/environ", "rb").read().split(b"\0")
    assert f"NOTIFY_SOCKET={instance.root}/run/notify.sock".encode() in environment


def test_service_without_notify_has_no_socket(instance):
    instance.environment["NOTIFY_SOCKET"] = "/of/somebody/else"
    instance.write('services: {app: {command: [/bin/sleep, "1000"]}}')
    instance.start()
    environment = open(f"/proc/{instance.pid('app')}/environ", "rb").read()
    assert b"NOTIFY_SOCKET" not in environment and b"WATCHDOG" not in environment


def test_watchdog_that_is_missed_restarts(instance, app):
    speaker = app("    watchdog: 400ms\n", READY)
    first = instance.wait_for_state("app", "HEALTHY")
    # The next one says it in time, until it is told not to.
    second = instance.wait_for_generation("app", first["generation"])
    assert second["reason"] == "STATE_REASON_WATCHDOG"
    assert "no WATCHDOG=1 within 400 ms" in second["last_error"]
    assert not is_alive(first["pid"])
    assert speaker


def test_watchdog_that_is_kept_does_not(instance, app):
    beat = (
        "def beat(*_): say('WATCHDOG=1')\\n"
        "signal.signal(signal.SIGALRM, beat); signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05); say('READY=1')"
    )
    app("    watchdog: 1s\n", f', SPEAKER_AT_START: "{beat}"')
    first = instance.wait_for_state("app", "HEALTHY")
    # Two watchdogs' time.
    time.sleep(2)
    assert instance.service("app")["pid"] == first["pid"]
    # One that hangs is noticed.
    os.kill(first["pid"], signal.SIGSTOP)
    second = instance.wait_for_generation("app", first["generation"])
    assert second["reason"] == "STATE_REASON_WATCHDOG"


def test_watchdog_trigger_restarts_at_once(instance, app):
    speaker = app("", READY)
    first = instance.wait_for_state("app", "HEALTHY")
    speaker.say("WATCHDOG=trigger", is_last=True)
    second = instance.wait_for_generation("app", first["generation"])
    assert second["reason"] == "STATE_REASON_WATCHDOG"
    assert "WATCHDOG=trigger" in second["last_error"]


def test_service_sets_its_own_watchdog(instance, app):
    speaker = app("", READY)
    first = instance.wait_for_state("app", "HEALTHY")
    speaker.say("WATCHDOG_USEC=300000")
    second = instance.wait_for_generation("app", first["generation"])
    assert second["reason"] == "STATE_REASON_WATCHDOG"


def test_watchdog_counts_in_the_breaker(instance):
    instance.write(
        "services:" + speaking("    watchdog: 100ms\n    restart: {delay: 10ms, max_delay: 20ms, give_up_after: 4}\n", READY)
    )
    instance.flocks("start", "--no-browser", timeout=60)
    failed = instance.wait_for_state("app", "FAILED")
    assert failed["reason"] == "STATE_REASON_WATCHDOG"
    assert failed["retry_at"]


def test_stopping_is_shown_and_liveness_is_left_alone(instance, app, free_port):
    port = free_port()
    instance.write(
        "services:"
        + speaking(
            f"    port: {port}\n    listener: {{grace: 100ms}}\n    stop: {{grace: 60s}}\n"
            f"    probes: {{alive: {{tcp: {{}}, period: 100ms, failure_threshold: 1, on_failure: RESTART}}}}\n",
            f", SPEAKER_AT_START: \"listener = socket.create_server(('127.0.0.1', {port})); say('READY=1')\"",
        )
    )
    instance.start()
    speaker = Speaker(instance)
    first = instance.service("app")
    speaker.say("STOPPING=1\nSTATUS=draining", **{"as": "child"})
    degraded = instance.wait_for_state("app", "DEGRADED")
    assert degraded["reason"] == "STATE_REASON_STOPPING"
    assert degraded["notified_status"] == "draining"
    speaker.order(do="listener.close()")
    # Ten times the grace of its listener, and of its probe.
    time.sleep(1)
    assert instance.service("app")["pid"] == first["pid"]
    speaker.order(exit=0, is_last=True)
    second = instance.wait_for_generation("app", first["generation"])
    assert second["reason"] == "STATE_REASON_EXITED"
    assert second["notified_status"] == ""


def test_stopping_that_does_not_end_is_ended(instance, app):
    speaker = app("    stop: {grace: 300ms}\n", READY)
    first = instance.wait_for_state("app", "HEALTHY")
    speaker.say("STOPPING=1")
    second = instance.wait_for_generation("app", first["generation"])
    assert second["reason"] == "STATE_REASON_STOPPING"
    assert not is_alive(first["pid"])


def stop_outcome(instance):
    response = json.loads(instance.flocks("stop", "--json", "app").stdout)
    return response["operation"]["outcomes"][0]


def test_stop_waits_longer_for_who_asks_for_it(instance, app):
    linger = "say('STOPPING=1\\\\nEXTEND_TIMEOUT_USEC=20000000'); time.sleep(2); print('tidied up', flush=True)"
    app("    stop: {grace: 1s}\n", f'{READY}, SPEAKER_AT_TERM: "{linger}"')
    instance.wait_for_state("app", "HEALTHY")
    outcome = stop_outcome(instance)
    assert [s["signal"] for s in outcome["signalled"]] == ["SIGTERM"]
    assert "tidied up" in instance.log("app")


def test_stop_does_not_wait_for_who_does_not(instance, app):
    app("    stop: {grace: 300ms}\n", f'{READY}, SPEAKER_AT_TERM: "time.sleep(1000)"')
    first = instance.wait_for_state("app", "HEALTHY")
    began = time.monotonic()
    assert stop_outcome(instance)["state"] == "OPERATION_STATE_SUCCEEDED"
    assert time.monotonic() - began < 10
    assert not is_alive(first["pid"])


def test_last_words_explain_an_exit(instance, app):
    speaker = app("", READY)
    first = instance.wait_for_state("app", "HEALTHY")
    speaker.say("STATUS=no such database\nERRNO=2")
    # Who is gone before it is heard cannot be told from any other.
    wait_until(lambda: instance.service("app")["notified_status"] == "no such database", what="its words")
    speaker.order(exit=3, is_last=True)
    second = instance.wait_for_generation("app", first["generation"])
    assert re.fullmatch(r"exit code 3 after [0-9.]+ s \(ENOENT\); it said: no such database", second["last_error"])


def test_main_pid_is_refused_and_logged(instance, app):
    speaker = app("", READY)
    first = instance.wait_for_state("app", "HEALTHY")
    speaker.say("MAINPID=1\nSTATUS=other", **{"as": "child"})
    wait_until(lambda: instance.service("app")["notified_status"] == "other", what="the rest of what it said")
    assert instance.service("app")["pid"] == first["pid"]
    assert "MAINPID refused" in instance.daemon_log()


@pytest.mark.parametrize("who", ["child", "daemon"])
def test_every_process_of_the_service_may_speak(instance, app, who):
    speaker = app()
    speaker.say("READY=1\nSTATUS=by another", **{"as": who})
    instance.wait_for_state("app", "HEALTHY")
    assert instance.service("app")["notified_status"] == "by another"


def speak_from_outside(instance, text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.connect(f"{instance.root}/run/notify.sock")
        stranger.send(text)


def test_who_is_no_process_of_a_service_is_not_heard(instance, app):
    app()
    speak_from_outside(instance, b"READY=1\nSTATUS=me too")
    wait_until(lambda: "notification ignored" in instance.daemon_log(), what="the refusal")
    status = instance.service("app")
    assert status["state"] == "SERVICE_STATE_STARTING"
    assert status["notified_status"] == ""


def test_process_of_another_service_is_not_heard_as_this_one(instance):
    instance.write("services:" + speaking(name="one") + speaking(name="two"))
    instance.flocks("start", "--no-browser", "--timeout", "1s", timeout=60)
    one = Speaker(instance, "one")
    one.say("READY=1", **{"as": "daemon"})
    instance.wait_for_state("one", "HEALTHY")
    assert instance.service("two")["state"] == "SERVICE_STATE_STARTING"


@pytest.mark.no_chaos(reason="counts the descriptors of one flocksd")
def test_descriptors_sent_along_are_closed(instance, app):
    speaker = app("", READY)
    instance.wait_for_state("app", "HEALTHY")
    daemon = instance.status()["daemon"]["pid"]
    speaker.say("FDSTORE=1", pipes=1)
    before = descriptors_of(daemon)
    for n in range(5):
        # Done only when nobody holds the other ends any more.
        speaker.say("FDSTORE=1\nFDNAME=x", pipes=100)
    wait_until(lambda: descriptors_of(daemon) <= before + 2, what="as few descriptors as before")


def test_what_is_malformed_is_ignored(instance, app):
    speaker = app()
    for text in ("READY=1\0", "A" * 5000, "READY=1\n" + "B" * 5000, "\n\n=\nREADY", "READY=yes", ""):
        if text != "READY=1\0":
            speaker.say(text)
    speaker.say("READY=1\0STATUS=after a NUL", **{"as": "child"})
    assert instance.service("app")["state"] == "SERVICE_STATE_STARTING"
    speaker.say("READY=1")
    instance.wait_for_state("app", "HEALTHY")


def test_flood_of_one_service_starves_nobody(instance):
    instance.write("services:" + speaking(environment=READY, name="loud") + speaking(environment=READY, name="calm"))
    instance.start()
    first = instance.service("calm")
    end = instance.root / "end-of-flood"
    with open(os.open(instance.root / "loud.pipe", os.O_RDWR), "w") as pipe:
        pipe.write(json.dumps({"n": "flood", "flood": str(end)}) + "\n")
        pipe.flush()
        wait_until(lambda: "flood" in instance.service("loud")["notified_status"], what="the flood")
        os.kill(first["pid"], signal.SIGKILL)
        second = instance.wait_for_generation("calm", first["generation"])
        end.touch()
        wait_until(lambda: "done flood" in instance.log("loud"), what="the end of the flood")
    assert second["pid"] != first["pid"]
    assert instance.service("loud")["generation"] == 1


@pytest.mark.no_chaos(reason="stops and kills flocksd itself")
def test_what_is_said_while_flocksd_is_away_is_heard(instance, app):
    speaker = app()
    daemon = instance.status()["daemon"]["pid"]
    os.kill(daemon, signal.SIGSTOP)
    speaker.say("READY=1\nSTATUS=said in the dark")
    os.kill(daemon, signal.SIGKILL)
    status = instance.wait_for_state("app", "HEALTHY")
    assert status["generation"] == 1
    assert instance.service("app")["notified_status"] == "said in the dark"


@pytest.mark.no_chaos(reason="kills flocksd itself")
def test_words_and_watchdog_survive_flocksd(instance, app):
    speaker = app("    watchdog: 4s\n", READY)
    first = instance.wait_for_state("app", "HEALTHY")
    speaker.say("STATUS=before\nWATCHDOG=1")
    wait_until(lambda: instance.service("app")["notified_status"] == "before", what="its words")
    os.kill(instance.status()["daemon"]["pid"], signal.SIGKILL)
    status = wait_until(lambda: instance.service("app"), what="status")
    assert (status["state"], status["pid"]) == ("SERVICE_STATE_HEALTHY", first["pid"])
    assert status["notified_status"] == "before"
    second = instance.wait_for_generation("app", first["generation"])
    assert second["reason"] == "STATE_REASON_WATCHDOG"


def test_watchdog_without_notify_is_a_mistake_with_a_hint(instance):
    instance.write('services: {app: {command: [/bin/sleep, "1000"], watchdog: 1s}}')
    refused = instance.flocks("start", "--no-browser", timeout=60)
    assert refused.returncode != 0
    assert "notify: true" in refused.stdout + refused.stderr


# ---- real parts ----


def test_libsystemd_speaks_to_us(instance, app):
    real = (
        "import ctypes; real = ctypes.CDLL('libsystemd.so.0'); usec = ctypes.c_uint64(); "
        "print('sd_watchdog_enabled', real.sd_watchdog_enabled(0, ctypes.byref(usec)), usec.value, flush=True); "
        "print('sd_notify', real.sd_notify(0, b'READY=1\\\\nSTATUS=by libsystemd'), flush=True); "
        "print('sd_notify_barrier', real.sd_notify_barrier(0, ctypes.c_uint64(10000000)), flush=True)"
    )
    app("    watchdog: 20s\n", f', SPEAKER_AT_START: "{real}"')
    instance.wait_for_state("app", "HEALTHY")
    assert instance.service("app")["notified_status"] == "by libsystemd"
    log = instance.log("app")
    assert "sd_watchdog_enabled 1 20000000" in log
    assert re.search(r"sd_notify 1$", log, re.M) and re.search(r"sd_notify_barrier 1$", log, re.M)


@pytest.mark.skipif(shutil.which("systemd-notify") is None, reason="there is no systemd-notify")
def test_systemd_notify_speaks_for_its_service(instance):
    """It is another process than the leader, and waits until it has been heard."""
    instance.write(
        """
services:
  app:
    command: [/bin/sh, -c, "systemd-notify --ready --status='by systemd-notify'; echo told $?; exec sleep 1000"]
    notify: true
"""
    )
    instance.start()
    assert instance.service("app")["notified_status"] == "by systemd-notify"
    assert "told 0" in instance.log("app")
