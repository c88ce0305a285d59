"""ExplainService: why a service is in its state, in every state that real programs bring it to, and what to do.

Faults of others that are tests here: gastownhall/gascity#3897 (a foreign process on the port for two days, and `start`
gave no diagnosis), Unitech/pm2#6084 (every later start fails on a held port whose holder nobody names)."""

import os
import signal
import socket
import time

import pytest

from instance import PYTHON, SERVICES, wait_until
from wire import Failure, Wire

NOT_FOUND = 5
# docs/protocol.md, Limits.
EXITS_MAX, LINES_MAX, LINE_BYTES_MAX = 16, 50, 1023


def call(instance, stubs, method, request, timeout=20.0):
    """The answer of a call that may be made again where flocksd is killed meanwhile."""

    def ask():
        try:
            with Wire(instance.root / "run" / "flocksd.sock", stubs, timeout=timeout) as wire:
                return wire.call(method, request)
        except OSError:
            if instance.chaos is None:
                raise
            return None

    return wait_until(ask, what=method)


def explain(instance, stubs, name, timeout=20.0):
    return call(instance, stubs, "ExplainService", stubs[1].ExplainServiceRequest(service=name), timeout)


def run(instance, text):
    instance.write("services:\n" + text)
    instance.flocks("start", "--no-browser")


def test_healthy_service_has_its_last_lines_and_no_hint(instance, stubs):
    run(instance, '  talker: {command: [/bin/sh, -c, "seq 1 60; exec sleep 1000"]}\n')
    instance.wait_for_state("talker", "HEALTHY")
    wait_until(lambda: instance.log("talker").endswith("60\n"), what="its output")
    why = explain(instance, stubs, "talker")
    assert list(why.output_tail) == [str(n) for n in range(11, 61)]
    assert len(why.output_tail) == LINES_MAX
    assert why.hint == ""
    assert why.status.state == stubs[2].SERVICE_STATE_HEALTHY
    assert why.last_operation.kind == stubs[2].OPERATION_KIND_START


def test_lines_are_text_and_bounded_whatever_was_written(instance, stubs):
    script = r"printf 'a\377b\000c\n'; head -c 3000 /dev/zero | tr '\0' x; echo; exec sleep 1000"
    instance.write(
        f"services:\n  odd:\n    command:\n      - /bin/sh\n      - -c\n      - |\n        {script}\n"
    )
    instance.flocks("start", "--no-browser")
    instance.wait_for_state("odd", "HEALTHY")
    why = wait_until(lambda: (w := explain(instance, stubs, "odd")) and len(w.output_tail) == 2 and w, what="its output")
    assert why.output_tail[0] == "a\ufffdb\ufffdc"
    assert len(why.output_tail[1]) == LINE_BYTES_MAX


def test_service_that_ends_at_once_shows_its_ends_and_how_close_the_breaker_is(instance, stubs):
    _, _, types = stubs
    run(
        instance,
        '  crash: {command: [/bin/sh, -c, "echo no database; exit 3"],\n'
        "    restart: {delay: 10ms, max_delay: 10ms, give_up_after: 20}}\n",
    )
    instance.wait_for_state("crash", "FAILED")
    why = explain(instance, stubs, "crash")
    assert len(why.exits) == EXITS_MAX
    generations = [end.generation for end in why.exits]
    assert generations == sorted(generations, reverse=True)
    assert all(end.exit_code == 3 and end.cause == types.STATE_REASON_EXITED for end in why.exits)
    assert "no database" in why.output_tail
    assert any(count.consecutive >= 20 and count.allowed == 20 for count in why.breaker)
    assert "flocks logs crash" in why.hint and "flocks restart crash" in why.hint
    assert why.status.HasField("retry_at")


def test_program_that_cannot_be_run(instance, stubs):
    program = instance.root / "program"
    program.write_text("#!/nonexistent/interpreter\n")
    program.chmod(0o755)
    run(instance, f"  gone: {{command: [{program}], restart: {{delay: 60s, max_delay: 60s}}}}\n")
    instance.wait_for_state("gone", "BACKOFF")
    why = explain(instance, stubs, "gone")
    assert why.exits[0].exec_error == "ENOENT"
    assert "cannot be run" in why.hint


def test_prepare_step_that_fails(instance, stubs):
    run(
        instance,
        '  webui: {command: [/bin/sleep, "1000"], prepare: {command: [/bin/sh, -c, "echo no node; exit 1"], timeout: 1m},\n'
        "    restart: {delay: 60s, max_delay: 60s}}\n",
    )
    instance.wait_for_state("webui", "BACKOFF")
    why = wait_until(lambda: (w := explain(instance, stubs, "webui")) and w.output_tail and w, what="its output")
    assert "prepare step" in why.hint and "no node" in why.output_tail


def test_gascity_3897_pm2_6084_holder_of_the_port_is_named(instance, stubs):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        run(instance, f'  held: {{command: [{PYTHON}, {SERVICES}/listener.py, "{port}"], port: {port}}}\n')
        wait_until(
            lambda: explain(instance, stubs, "held").status.reason == stubs[2].STATE_REASON_PORT_HELD, what="PORT_HELD"
        )
        why = wait_until(lambda: (w := explain(instance, stubs, "held")) and w.holder.pid and w, what="the holder")
        assert why.status.state == stubs[2].SERVICE_STATE_WAITING
        assert why.holder.pid == os.getpid() and why.holder.visible
        assert why.holder.executable == os.readlink("/proc/self/exe")
        assert f"Process {os.getpid()} holds its port {port}" in why.hint
        assert why.status.listener == stubs[2].LISTENER_STATE_FOREIGN


def test_what_it_waits_for_is_named(instance, stubs, free_port):
    instance.write(
        f'services:\n  first: {{command: [/bin/sleep, "1000"], port: {free_port()}, start: false}}\n'
        '  second: {command: [/bin/sleep, "1000"], after: [first], start: false}\n'
        '  other: {command: [/bin/sleep, "1000"]}\n'
    )
    instance.start()
    call(instance, stubs, "StartServices", stubs[1].StartServicesRequest(services=["first", "second"]))
    instance.wait_for_state("second", "WAITING")
    why = explain(instance, stubs, "second")
    assert list(why.waiting_for) == ["first"]
    assert "flocks why first" in why.hint


def test_unknown_service(instance, stubs):
    run(instance, '  one: {command: [/bin/sleep, "1000"]}\n')
    with pytest.raises(Failure) as failure:
        explain(instance, stubs, "three")
    assert failure.value.code == NOT_FOUND
    assert failure.value.detail.reason == stubs[2].ERROR_REASON_UNKNOWN_SERVICE


@pytest.mark.no_chaos("measures one flocksd")
def test_log_that_is_a_pipe_holds_nobody_up(instance, stubs):
    """Whatever lies where the log should be: the answer comes, and status meanwhile."""
    run(instance, '  one: {command: [/bin/sleep, "1000"]}\n')
    instance.wait_for_state("one", "HEALTHY")
    path = instance.root / "logs" / "one.log"
    if path.exists():
        path.unlink()
    os.mkfifo(path)
    began = time.monotonic()
    why = explain(instance, stubs, "one")
    assert time.monotonic() - began < 5
    assert not why.output_tail and why.status.name == "one"


@pytest.mark.no_chaos(reason="kills flocksd itself")
def test_what_is_known_outlives_flocksd(instance, stubs):
    run(
        instance,
        '  crash: {command: [/bin/sh, -c, "exit 3"], restart: {delay: 10ms, max_delay: 10ms, give_up_after: 6}}\n',
    )
    instance.wait_for_state("crash", "FAILED")
    before = explain(instance, stubs, "crash")
    pid = instance.status()["daemon"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: instance.status()["daemon"]["pid"] not in (0, pid), what="another flocksd")
    after = explain(instance, stubs, "crash")
    assert list(after.exits) == list(before.exits)
    assert list(after.breaker) == list(before.breaker)
    assert after.hint == before.hint
    assert after.last_operation.id == before.last_operation.id
