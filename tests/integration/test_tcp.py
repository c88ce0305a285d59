"""TCP on the loopback addresses: what the token opens, what is refused before it is heard, and that nothing else
of the daemon depends on it."""

import os
import signal
import socket
import subprocess
import time

import grpc
import h2.config
import h2.connection
import h2.events
import pytest

from instance import BUILD, PYTHON, wait_until
from tcp import (
    addresses,
    bearer,
    channel_of,
    configuration,
    grpc_detail,
    grpc_method,
    grpc_stream,
    listens,
    problem,
    token_file,
    wait_until_served,
)
from wire import Failure, Wire

PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAUTHENTICATED = 7, 8, 16

connection_lasts = pytest.mark.no_chaos(reason="its connections end with flocksd")

# Port, then the loopback host; tells when it listens.
HOLDER = """
import socket, sys, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
print("listening", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def port(free_port):
    return free_port()


@pytest.fixture
def served(instance, port):
    """An instance that serves TCP at `port`."""
    instance.write(configuration(port))
    instance.start()
    wait_until_served(instance, port)
    return instance


def hold(port, foreigners):
    """Another process that has the port."""
    holder = subprocess.Popen([PYTHON, "-c", HOLDER, str(port)], stdout=subprocess.PIPE, text=True)
    foreigners.append(holder)
    assert holder.stdout.readline() == "listening\n"
    return holder


def refusal(wire, stubs, method="GetStatus", **options):
    """The Failure of a call that must not be let in."""
    with pytest.raises(Failure) as failed:
        wire.call(method, getattr(stubs[1], f"{method}Request")(), **options)
    return failed.value


def reason(failure, stubs):
    return stubs[2].ErrorReason.Name(failure.detail.reason)


# ---- the token ----


@connection_lasts
def test_token_opens_a_connection_and_nothing_else_does(served, port, stubs):
    assert addresses(served)[0] == f"127.0.0.1:{port}"
    status = token_file(served).stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_size) == (0o600, os.geteuid(), 65)
    right = bearer(served)
    digits = right[1].removeprefix("Bearer ")
    wrong = [
        (),
        (("authorization", "Bearer " + "0" * 64),),
        (("authorization", digits),),
        (("authorization", "Basic " + digits),),
        (("authorization", "Bearer " + digits[:-1]),),
        (("authorization", "Bearer " + digits + digits),),
        (("authorization", ""),),
        (("token", digits),),
        (("authorization-bin", "Bearer " + digits),),
        # The first one counts.
        (("authorization", "Bearer " + "0" * 64), right),
    ]
    for metadata in wrong:
        with Wire(("127.0.0.1", port), stubs, metadata=metadata) as wire:
            failure = refusal(wire, stubs)
            assert failure.code == UNAUTHENTICATED, metadata
            assert reason(failure, stubs) == "ERROR_REASON_TOKEN"
            assert "control.token" in failure.detail.hint
            assert digits not in str(failure)
    with Wire(("127.0.0.1", port), stubs, metadata=[right]) as wire:
        assert wire.call("GetStatus", stubs[1].GetStatusRequest()).daemon.tcp_addresses
        # From now on it is let in.
        wire.metadata = []
        assert wire.call("GetStatus", stubs[1].GetStatusRequest()).services
        items = wire.items("WatchEvents", stubs[1].WatchEventsRequest())
        assert next(items).snapshot.services[0].name == "idle"
    log = (served.root / "logs" / "daemon.log").read_text()
    assert "without the token" in log
    assert digits not in log


@connection_lasts
def test_nothing_is_told_before_the_token_is_seen(served, port, stubs):
    """Neither which methods there are, nor what is wrong with a request; a long token is a bound's business."""
    with Wire(("127.0.0.1", port), stubs) as wire:
        answers = set()
        for service, method, payload in [
            ("flocks.v1.SupervisorService", "GetStatus", b""),
            ("flocks.v1.SupervisorService", "NoSuchMethod", b""),
            ("no.such.Service", "GetStatus", b""),
            ("flocks.v1.SupervisorService", "StopServices", b"\xff\xff\xff"),
            ("flocks.v1.SupervisorService", "GetOperation", b"\x0a\x02\xff\xff"),
        ]:
            _, frame = wire.frame(method, payload, service=service)
            wire.socket.sendall(frame)
            _, response = wire.response()
            answers.add((response.status.code, response.status.message))
        assert answers == {(UNAUTHENTICATED, "a call over TCP without the token")}
        wire.metadata = [("authorization", "Bearer " + "0" * 100_000)]
        assert refusal(wire, stubs).code in (RESOURCE_EXHAUSTED, UNAUTHENTICATED)
    assert [s["state"] for s in served.status()["services"]] == ["SERVICE_STATE_HEALTHY"]


@connection_lasts
def test_strangers_are_shown_out(served, port, stubs):
    """A browser, garbage, and who says nothing at all: closed, the last after ten seconds."""
    began = time.monotonic()
    silent = socket.create_connection(("127.0.0.1", port))
    for text in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST /x HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(text.ljust(64, b" "))
            try:
                # Nothing of HTTP/1.1 is answered.
                assert not client.recv(4096).startswith(b"HTTP/1.1")
            except ConnectionResetError:
                pass
    # More of them than there may be cost nobody at the unix socket anything.
    crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    with Wire(served.root / "run" / "flocksd.sock", stubs) as wire:
        assert wire.call("GetStatus", stubs[1].GetStatusRequest()).services
    for client in crowd:
        client.close()
    silent.settimeout(20)
    with silent:
        try:
            assert silent.recv(1) == b""
        except ConnectionResetError:
            pass
    assert time.monotonic() - began < 20


@connection_lasts
def test_only_loopback_is_bound(served, port):
    wanted = f":{port:04X}"
    bound = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    bound.add(fields[1].removesuffix(wanted))
    assert bound <= {"0100007F", "00000000000000000000000001000000"}
    assert "0100007F" in bound


# ---- over HTTP/2 ----


def grpc_failure(call, stubs):
    """(code's name, reason's name, message) of a call that must fail."""
    with pytest.raises(grpc.RpcError) as failed:
        call()
    code, detail = grpc_detail(failed.value, stubs)
    reason_name = detail and stubs[2].ErrorReason.Name(detail.reason)
    return code.name, reason_name, failed.value.details()


@connection_lasts
def test_grpc_calls_each_need_the_token(served, port, stubs):
    """The same words as over ttrpc, whatever is called; and one call's token lets in no other call."""
    supervisor = stubs[1]
    right = bearer(served)
    digits = right[1].removeprefix("Bearer ")
    refused = ("UNAUTHENTICATED", "ERROR_REASON_TOKEN")
    with channel_of(f"127.0.0.1:{port}") as channel:
        get_status = grpc_method(channel, stubs, "GetStatus")
        status = supervisor.GetStatusRequest()
        for metadata in [
            (),
            (("authorization", "Bearer " + "0" * 64),),
            (("authorization", digits),),
            (("authorization-bin", right[1].encode()),),
            (("token", digits),),
            (("authorization", "Bearer " + "0" * 64), right),
        ]:
            assert grpc_failure(lambda m=metadata: get_status(status, metadata=m, timeout=20), stubs)[:2] == refused
        assert get_status(status, metadata=[right], timeout=20).daemon.tcp_addresses
        assert grpc_failure(lambda: get_status(status, timeout=20), stubs)[:2] == refused
        for path, payload in [
            ("/flocks.v1.SupervisorService/NoSuchMethod", b""),
            ("/no.such.Service/Method", b""),
            ("/flocks.v1.SupervisorService/StopServices", b"\xff\xff\xff"),
            ("/grpc.health.v1.Health/Check", b""),
        ]:
            answer = grpc_failure(lambda p=path, b=payload: channel.unary_unary(p)(b, timeout=20), stubs)
            assert answer == (*refused, "a call over TCP without the token")
        watch = grpc_stream(channel, stubs, "WatchEvents")
        assert grpc_failure(lambda: next(watch(supervisor.WatchEventsRequest(), timeout=20)), stubs)[:2] == refused
        items = watch(supervisor.WatchEventsRequest(), metadata=[right], timeout=20)
        assert next(items).HasField("snapshot")
        items.cancel()
        # A longer one than metadata may be is refused by a bound or the gate, and opens nothing.
        long = [("authorization", right[1] + "0" * 6000)]
        assert grpc_failure(lambda: get_status(status, metadata=long, timeout=20), stubs)[0] in (
            "UNAUTHENTICATED",
            "RESOURCE_EXHAUSTED",
        )
    assert served.service("idle")["state"] == "SERVICE_STATE_HEALTHY"


@connection_lasts
def test_authority_must_be_loopback_over_tcp_alone(served, port, stubs):
    status = stubs[1].GetStatusRequest()
    right = [bearer(served)]
    ours = [None, "localhost", f"localhost:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:48765", "LOCALHOST"]
    foreign = ["evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example:80",
               "10.0.0.1", "[::2]:80", "%2Frun%2Fflocksd.sock"]
    for authority in ours + foreign:
        with channel_of(f"127.0.0.1:{port}", authority) as channel:
            get_status = grpc_method(channel, stubs, "GetStatus")
            if authority in ours:
                assert get_status(status, metadata=right, timeout=20).services
                continue
            for metadata in (right, []):
                code, why, _ = grpc_failure(lambda m=metadata: get_status(status, metadata=m, timeout=20), stubs)
                assert (code, why) == ("PERMISSION_DENIED", "ERROR_REASON_AUTHORITY"), authority
        with channel_of(f"unix:{served.root}/run/flocksd.sock", authority) as channel:
            assert grpc_method(channel, stubs, "GetStatus")(status, timeout=20).services
    if f"[::1]:{port}" in addresses(served):
        with channel_of(f"[::1]:{port}") as channel:
            assert grpc_method(channel, stubs, "GetStatus")(status, metadata=right, timeout=20).services


def http2_answer(port, headers):
    """Headers of the answer to one empty gRPC message, as a hand-made client sees them; None: it was reset."""
    wire = h2.connection.H2Connection(
        h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    answer = {}
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        wire.initiate_connection()
        wire.send_headers(1, headers)
        wire.send_data(1, b"\0\0\0\0\0", end_stream=True)
        client.sendall(wire.data_to_send())
        while True:
            data = client.recv(65536)
            assert data, "closed without an answer"
            for event in wire.receive_data(data):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    answer |= {str(k, "ascii") if isinstance(k, bytes) else k: v for k, v in event.headers}
                if isinstance(event, h2.events.StreamEnded):
                    return answer
                if isinstance(event, h2.events.StreamReset):
                    return None
                assert not isinstance(event, h2.events.ConnectionTerminated), event


@connection_lasts
def test_authority_that_is_missing_or_hidden_is_foreign(served, port):
    """Old clients leave it out or send it empty: fine on the unix socket, not here. `host` counts when it is alone."""
    common = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/flocks.v1.SupervisorService/GetStatus"),
    ]
    rest = [("content-type", "application/grpc"), ("te", "trailers"), bearer(served)]

    def code(*pairs, more=()):
        answer = http2_answer(port, common + list(pairs) + list(more) + rest)
        if answer is None:
            return None
        status = answer[":status"]
        assert (status.decode() if isinstance(status, bytes) else status) == "200"
        value = answer["grpc-status"]
        return int(value)

    assert code((":authority", f"127.0.0.1:{port}")) == 0
    assert code(more=[("host", "localhost")]) == 0
    assert code() == PERMISSION_DENIED
    assert code((":authority", "")) == PERMISSION_DENIED
    assert code(more=[("host", "evil.example")]) == PERMISSION_DENIED
    # Two that differ are malformed.
    assert code((":authority", "evil.example"), more=[("host", "localhost")]) is None
    assert code((":authority", "localhost"), more=[("host", "evil.example")]) is None


# ---- our own clients ----


def test_cli_and_library_come_over_tcp(served, port, tmp_path):
    def flocks(*arguments, **environment):
        return subprocess.run(
            served.command(*arguments),
            env=served.environment | {"FLOCKS_SOCKET": f"tcp:127.0.0.1:{port}"} | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    status = flocks("status")
    assert status.returncode == 0
    assert f"tcp 127.0.0.1:{port}" in status.stdout
    assert flocks("restart", "idle").returncode == 0
    assert flocks("status", "--socket", f"tcp:localhost:{port}", FLOCKS_SOCKET="").returncode == 0
    elsewhere = tmp_path / "token"
    elsewhere.write_text(token_file(served).read_text())
    elsewhere.chmod(0o600)
    somewhere = {"FLOCKS_ROOT": str(tmp_path), "FLOCKS_TOKEN_FILE": str(elsewhere)}
    assert flocks("status", **somewhere).returncode == 0
    elsewhere.chmod(0o644)
    refused = flocks("status", **somewhere)
    assert refused.returncode != 0
    assert "0644" in refused.stderr
    elsewhere.chmod(0o600)
    elsewhere.write_text("0" * 64 + "\n")
    refused = flocks("status", **somewhere)
    assert refused.returncode != 0
    assert "another token" in refused.stderr
    assert "FLOCKS_TOKEN_FILE" in refused.stderr
    for address in ("tcp:10.0.0.1:80", "tcp:example.org:80", "tcp:127.0.0.1", "tcp:127.0.0.1:0", "tcp:127.0.0.1:99999",
                    "tcp:[::2]:80", "tcp::80", "tcp:"):
        refused = flocks("status", FLOCKS_SOCKET=address)
        assert refused.returncode != 0
        assert "tcp:127.0.0.1:PORT" in refused.stderr
    told = subprocess.run(
        [str(BUILD / "tests" / "flocks_client"), f"tcp:127.0.0.1:{port}", "watch"],
        env=served.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "snapshot 1" in told.stdout


# ---- it comes and goes ----


@pytest.mark.no_chaos(reason="kills flocksd itself")
def test_door_is_back_when_flocksd_was_killed(served, port, stubs):
    token = token_file(served).read_text()
    program = [str(BUILD / "tests" / "flocks_client"), f"tcp:127.0.0.1:{port}", "survive"]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=served.environment
    ) as client:
        for _ in range(5):
            pid = int(client.stdout.readline().split()[1])
            with Wire(("127.0.0.1", port), stubs, metadata=[bearer(served)]) as wire:
                assert wire.call("GetStatus", stubs[1].GetStatusRequest()).daemon.pid == pid
                os.kill(pid, signal.SIGKILL)
        client.stdout.readline()
        told = dict(line.split(" ", 1) for line in client.communicate(timeout=60)[0].splitlines())
    assert (told["failed"], told["daemons"]) == ("0", "6")
    assert token_file(served).read_text() == token
    assert addresses(served)


def test_held_port_is_named_and_served_when_it_is_free(instance, port, foreigners, stubs):
    """The daemon starts, serves its socket and its services, and says who is in the way."""
    holder = hold(port, foreigners)
    instance.write(configuration(port))
    instance.start()
    said = wait_until(lambda: (p := problem(instance)) and f"pid {holder.pid}" in p and p, what="the holder's name")
    assert f"127.0.0.1:{port} is held by" in said
    assert f"127.0.0.1:{port}" not in addresses(instance)
    text = wait_until(
        lambda: (t := instance.flocks("status", check=0).stdout) and f"pid {holder.pid}" in t and t, what="the same"
    )
    assert "tcp is not served as configured" in text
    assert instance.service("idle")["state"] == "SERVICE_STATE_HEALTHY"
    holder.kill()
    holder.wait()
    wait_until_served(instance, port)
    assert problem(instance) == ""
    assert "TCP is not served as configured" in (instance.root / "logs" / "daemon.log").read_text()
    with Wire(("127.0.0.1", port), stubs, metadata=[bearer(instance)]) as wire:
        assert wire.call("GetStatus", stubs[1].GetStatusRequest()).services


def test_token_that_others_may_read_is_not_used(instance, port):
    run = instance.root / "run"
    run.mkdir(mode=0o700)
    token_file(instance).write_text("0" * 64)
    token_file(instance).chmod(0o640)
    instance.write(configuration(port))
    instance.start()
    wait_until(lambda: "0640" in problem(instance), what="the complaint")
    assert "control.token" in problem(instance)
    assert not listens(port)
    assert instance.service("idle")["state"] == "SERVICE_STATE_HEALTHY"
    token_file(instance).chmod(0o600)
    wait_until_served(instance, port)
    assert bearer(instance)[1] == "Bearer " + "0" * 64


@connection_lasts
def test_applied_configuration_opens_moves_and_closes_the_door(instance, free_port, stubs):
    first, second = free_port(), free_port()
    pid = None
    instance.write(configuration(first, tcp="false"))
    instance.start()
    pid = instance.pid("idle")
    assert addresses(instance) == []
    assert not listens(first)
    assert not token_file(instance).exists()

    def apply(text):
        instance.write(text)
        instance.flocks("config", "apply", "--yes", check=0)

    apply(configuration(first))
    wait_until_served(instance, first)
    with Wire(("127.0.0.1", first), stubs, metadata=[bearer(instance)]) as wire:
        assert wire.call("GetStatus", stubs[1].GetStatusRequest()).services
        apply(configuration(second))
        wait_until_served(instance, second)
        assert not listens(first)
        with pytest.raises(ConnectionError):
            wire.exactly(1)
    # Over the door that the change closes: its caller is answered.
    text = configuration(second, tcp="false").encode()
    with Wire(("127.0.0.1", second), stubs, metadata=[bearer(instance)]) as wire:
        plan = wire.call("PlanConfig", stubs[1].PlanConfigRequest(text=text)).plan
        answer = wire.call("ApplyConfig", stubs[1].ApplyConfigRequest(plan=plan, text=text, wait=True))
        assert stubs[2].OperationState.Name(answer.operation.state) == "OPERATION_STATE_SUCCEEDED"
        with pytest.raises(ConnectionError):
            wire.exactly(1)
    assert addresses(instance) == []
    assert not listens(second)
    assert instance.pid("idle") == pid


def test_service_cannot_have_the_door(instance, port):
    """A service on the port of the door is a mistake of the configuration, which is told before anything runs."""
    instance.write(configuration(port, services=f'{{web: {{command: [/bin/true], port: {port}}}}}'))
    refused = instance.flocks("start")
    assert refused.returncode != 0
    assert "flocksd itself" in refused.stderr
