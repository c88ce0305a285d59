"""One API, two doors: the same call ends with the same code, message and packed details through ttrpc and gRPC.

Cases of the table CASES say what ends how; more are made for every method from its descriptor. What no case can show is
listed in docs/protocol.md, section Parity, with the reason; the last test holds table, schema and that list together.
"""

import dataclasses
import importlib
import os
import re
import signal

import grpc
import pytest

from instance import REPOSITORY, running_root, wait_until
from parity import Grpc, Outcome, Ttrpc, detail, run
from tcp import bearer, configuration, wait_until_served

pytestmark = pytest.mark.no_chaos(reason="compares two calls of one flocksd")

SUPERVISOR, UPGRADE = "flocks.v1.SupervisorService", "flocks.v1.UpgradeService"
CODE = {status.name: status.value[0] for status in grpc.StatusCode}
MESSAGE_BYTES_MAX = 4 << 20

CONFIG = """
services:
  one: {command: [/bin/sleep, "1000"]}
  two: {command: [/bin/sleep, "1000"]}
  three: {command: [/bin/sleep, "1000"]}
  talker: {command: [/bin/sh, -c, "echo first; echo second; exec sleep 1000"]}
  never: {start: false, command: [/bin/sleep, "1000"], probes: {ready: {exec: {command: [/bin/false]}}}}
"""


@dataclasses.dataclass
class Case:
    """`request`: bytes, a message, or a function of the World that makes one. `same`: the answers are the same bytes."""

    service: str
    method: str
    code: str
    reason: str | None
    request: object
    same: bool = False
    code_only: bool = False  # an exemption of docs/protocol.md
    items: int | None = None
    timeout: float | None = None
    about: str = ""

    @property
    def name(self):
        words = (self.method, self.code, self.reason, self.about)
        return "-".join(word for word in words if word)


class World:
    """One daemon, with what the cases are about."""

    def __init__(self, instance, stubs):
        self.instance, self.stubs = instance, stubs
        self.sup, self.types = stubs[1], stubs[2]
        self.up = importlib.import_module("flocks.v1.upgrade_pb2")
        path = instance.root / "run" / "flocksd.sock"
        self.doors = (Ttrpc(path, stubs), Grpc(f"unix:{path}"))

    def call(self, service, method, request, **options):
        """Something that goes well, through the first door."""
        outcome = run(self.doors[0], service, method, request, **options)
        assert outcome.code == 0, outcome
        module = self.sup if service == SUPERVISOR else self.up
        return getattr(module, f"{method}Response").FromString(outcome.payloads[0])

    def begin(self, **fields):
        return self.call(UPGRADE, "BeginUpgrade", self.up.BeginUpgradeRequest(owner="parity", **fields)).lease

    def plan(self, text):
        return self.call(SUPERVISOR, "PlanConfig", self.sup.PlanConfigRequest(text=text)).plan

    def furnish(self):
        """An operation that has ended, a lease that has, and one that is held."""
        restart = self.sup.RestartServicesRequest(services=["one"], wait=True, request_id="a restart")
        self.operation = self.call(SUPERVISOR, "RestartServices", restart).operation.id
        self.link = self.instance.root / "current"
        self.link.symlink_to("elsewhere")
        self.undo = self.up.LinkUndo(link=str(self.link), target="elsewhere")
        self.ended = self.begin(services=["one"]).id
        self.call(UPGRADE, "AbortUpgrade", self.up.AbortUpgradeRequest(lease_id=self.ended))
        self.is_over(self.ended)
        self.lease = self.begin(services=["two"], undo=[self.undo], request_id="the lease", ttl={"seconds": 600}).id

    def told(self, upgrade_id):
        """One that is under way, as its updater says: we."""
        progress = self.up.UpgradeProgress(upgrade_id=upgrade_id, step=self.up.UPGRADE_STEP_INSTALLING)
        self.call(UPGRADE, "ReportUpgrade", self.up.ReportUpgradeRequest(progress=progress))
        return upgrade_id

    def is_over(self, lease):
        def ended():
            answer = self.call(UPGRADE, "GetUpgrade", self.up.GetUpgradeRequest(upgrade_id=lease))
            return answer.lease.phase in (self.types.UPGRADE_PHASE_ROLLED_BACK, self.types.UPGRADE_PHASE_COMMITTED)

        wait_until(ended, 30, "the end of the lease")


def sup(method, code, reason=None, make=None, **options):
    """A case of SupervisorService; `make(sup)` or its fields."""
    return case(SUPERVISOR, method, code, reason, make, options)


def up(method, code, reason=None, make=None, **options):
    return case(UPGRADE, method, code, reason, make, options)


OPTIONS = {"same", "items", "about"}


def case(service, method, code, reason, make, options):
    own = {key: options.pop(key) for key in list(options) if key in OPTIONS}

    def request(world):
        module = world.sup if service == SUPERVISOR else world.up
        fields = dict(options)
        if make is not None:
            fields.update(make(world))
        return getattr(module, f"{method}Request")(**fields)

    return Case(service, method, code, reason, request, **own)


NOBODY = {"services": ["nosuch"]}
CASES = [
    sup("Shutdown", "ABORTED", "OTHER_INSTANCE", keeper_pid=1),
    sup("GetStatus", "OK"),
    sup("GetStatus", "NOT_FOUND", "UNKNOWN_SERVICE", **NOBODY),
    sup("WatchEvents", "OK", items=1),
    sup("WatchEvents", "NOT_FOUND", "UNKNOWN_SERVICE", **NOBODY),
    sup("WatchEvents", "INVALID_ARGUMENT", after="yesterday"),
    sup("StartServices", "OK", services=["one"], wait=True, request_id="a start"),
    sup("StartServices", "NOT_FOUND", "UNKNOWN_SERVICE", **NOBODY),
    sup("StartServices", "INVALID_ARGUMENT", timeout={"seconds": -1}, about="negative"),
    sup("StartServices", "INVALID_ARGUMENT", **{"services": ["one"]}, make=lambda w: {"timeout": {"seconds": 90000}}),
    sup("StartServices", "ABORTED", "LEASE_HELD", services=["two"]),
    sup("StartServices", "ALREADY_EXISTS", services=["one"], request_id="a restart"),
    Case(SUPERVISOR, "StartServices", "DEADLINE_EXCEEDED", None, timeout=1.0, request=lambda w: (
        w.sup.StartServicesRequest(services=["never"], wait=True, request_id="never"))),
    sup("StopServices", "OK", services=["never"], request_id="a stop", wait=True),
    sup("StopServices", "NOT_FOUND", "UNKNOWN_SERVICE", **NOBODY),
    sup("StopServices", "ABORTED", "LEASE_ENDED", make=lambda w: {"lease_id": w.ended}),
    sup("RestartServices", "OK", services=["three"], request_id="another restart", wait=True),
    sup("RestartServices", "NOT_FOUND", "UNKNOWN_SERVICE", **NOBODY),
    sup("RestartServices", "ABORTED", "LEASE_HELD", services=["two"]),
    sup("GetOperation", "OK", make=lambda w: {"operation_id": w.operation}, same=True),
    sup("GetOperation", "NOT_FOUND", "UNKNOWN_OPERATION", operation_id="0" * 32),
    sup("WatchOperation", "OK", make=lambda w: {"operation_id": w.operation}, same=True),
    sup("WatchOperation", "NOT_FOUND", "UNKNOWN_OPERATION", operation_id="0" * 32),
    sup("CancelOperation", "OK", make=lambda w: {"operation_id": w.operation}, same=True),
    sup("CancelOperation", "NOT_FOUND", "UNKNOWN_OPERATION", operation_id="0" * 32),
    sup("ExplainService", "OK", service="three"),
    sup("ExplainService", "NOT_FOUND", "UNKNOWN_SERVICE", service="nosuch"),
    sup("ReadLogs", "OK", services=["talker"], tail=2, same=True),
    sup("ReadLogs", "NOT_FOUND", "UNKNOWN_SERVICE", **NOBODY),
    sup("ReadLogs", "INVALID_ARGUMENT", after="yesterday"),
    sup("ReadLogs", "UNIMPLEMENTED", "NOT_IMPLEMENTED", since={"seconds": 1}),
    sup("GetConfig", "OK", same=True),
    sup("PlanConfig", "OK", text=CONFIG.encode(), same=True),
    sup("PlanConfig", "OK", text=b"services: {Bad: {}}", same=True, about="mistakes"),
    sup("ApplyConfig", "OK", text=CONFIG.encode(), request_id="an apply", wait=True,
        make=lambda w: {"plan": w.plan(CONFIG.encode())}),
    sup("ApplyConfig", "ABORTED", "STALE_PLAN", text=CONFIG.encode(), plan="0" * 64),
    sup("ApplyConfig", "INVALID_ARGUMENT", "INVALID_CONFIG", text=b"services: {Bad: {}}",
        make=lambda w: {"plan": w.plan(b"services: {Bad: {}}")}),
    up("BeginUpgrade", "OK", make=lambda w: dict(
        owner="parity", services=["two"], undo=[w.undo], request_id="the lease", ttl={"seconds": 600})),
    up("BeginUpgrade", "NOT_FOUND", "UNKNOWN_SERVICE", owner="parity", **NOBODY),
    up("BeginUpgrade", "INVALID_ARGUMENT", owner="parity", services=["one"], ttl={"seconds": 1}),
    up("BeginUpgrade", "ABORTED", "LEASE_HELD", owner="parity", services=["two"]),
    up("BeginUpgrade", "ALREADY_EXISTS", "UPGRADE_RUNNING", make=lambda w: dict(
        owner="parity", services=["one"], undo=[w.undo])),
    up("RenewUpgrade", "OK", make=lambda w: {"lease_id": w.lease}),
    up("RenewUpgrade", "ABORTED", "LEASE_ENDED", make=lambda w: {"lease_id": w.ended}),
    up("CommitUpgrade", "FAILED_PRECONDITION", make=lambda w: (
        {"lease_id": w.lease, "expected_versions": {"two": "2"}})),
    up("CommitUpgrade", "ABORTED", "LEASE_ENDED", make=lambda w: {"lease_id": w.ended}),
    up("AbortUpgrade", "OK", make=lambda w: {"lease_id": w.ended}, same=True),
    up("GetUpgrade", "OK", make=lambda w: {"upgrade_id": w.ended}, same=True),
    up("GetUpgrade", "NOT_FOUND", "LEASE_ENDED", upgrade_id="0" * 32),
    up("StartUpdate", "OK", request_id="an update", same=True),
    up("StartUpdate", "INVALID_ARGUMENT", roll_back=True, force=True),
    up("StartUpdate", "ALREADY_EXISTS", "UPGRADE_RUNNING", make=lambda w: {"request_id": f"not {w.told('running')}"}),
    up("ReportUpgrade", "OK", progress={"upgrade_id": "u1", "step": 10, "message": "over"}, same=True),
    up("ReportUpgrade", "INVALID_ARGUMENT", progress={"upgrade_id": "not an id"}),
    up("GetUpgrade", "OK", upgrade_id="u1", same=True, about="told"),
    up("WatchUpgrade", "OK", upgrade_id="u1", same=True, items=1, about="told"),
    up("WatchUpgrade", "OK", make=lambda w: {"upgrade_id": w.ended}, same=True, items=1),
    up("WatchUpgrade", "NOT_FOUND", "LEASE_ENDED", upgrade_id="0" * 32),
    up("WatchUpgrade", "INVALID_ARGUMENT", upgrade_id="u1", after="no token"),
    up("AbortUpgrade", "OK", upgrade_id="u1", same=True, about="told"),
    up("AbortUpgrade", "ABORTED", "LEASE_ENDED", upgrade_id="nobody"),
    up("ReplaceDaemon", "INVALID_ARGUMENT", flocksd_path="no/absolute/path", keeper_path="/bin/true"),
    Case(SUPERVISOR, "NoMethod", "UNIMPLEMENTED", "NOT_IMPLEMENTED", b""),
    Case("flocks.v1.NoService", "GetStatus", "UNIMPLEMENTED", "NOT_IMPLEMENTED", b"", about="service"),
    Case(SUPERVISOR, "GetStatus", "RESOURCE_EXHAUSTED", "LIMIT_REACHED", b"\xfa\x3e\x80\x80\x80\x02" + bytes(
        MESSAGE_BYTES_MAX), about="too large", code_only=True),
    Case(SUPERVISOR, "GetStatus", "OK", None, b"\xca\x3e\x03new", about="unknown field"),
]


def methods(stubs):
    """(service, method descriptor) of everything there is."""
    up_module = importlib.import_module("flocks.v1.upgrade_pb2")
    for module in (stubs[1], up_module):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield service.full_name, method


def packed_text(field, text):
    """A message with only this field, whatever bytes it is."""
    length, size = len(text), b""
    while length >= 0x80:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    tag = field.number << 3 | 2
    assert tag < 0x80
    return bytes([tag]) + size + bytes([length]) + text


def made_cases(stubs):
    """What every method must refuse, of its request's own fields."""
    options = importlib.import_module("flocks.v1.options_pb2")
    for service, method in methods(stubs):
        fields = method.input_type.fields
        mutates = method.GetOptions().Extensions[options.method].mutates
        text = next((field for field in fields if field.type == field.TYPE_STRING), None)
        number = next((field for field in fields if field.type == field.TYPE_ENUM), None)
        rows = [("INVALID_ARGUMENT", None, b"\x0a\xff", "malformed")]
        if text is not None:
            rows.append(("INVALID_ARGUMENT", "BAD_TEXT", packed_text(text, b"\xff\xfe"), "not UTF-8"))
            rows.append(("INVALID_ARGUMENT", "BAD_TEXT", packed_text(text, b"a\0b"), "NUL"))
            rows.append(("INVALID_ARGUMENT", "LIMIT_REACHED", packed_text(text, b"x" * 200_000), "long"))
        if number is not None:
            rows.append(("INVALID_ARGUMENT", None, bytes([number.number << 3, 0x7F]), "unknown value"))
        if mutates:
            rows.append(("UNIMPLEMENTED", "UNKNOWN_FIELD", b"\xca\x3e\x03web", ""))
        for code, reason, request, about in rows:
            yield Case(service, method.name, code, reason, request, about=about)


def without_clocks(outcome, world):
    """The packed status; of a lease that runs on, without how long."""
    found = detail(outcome, world.types) if outcome.status else None
    if found is None or not found.HasField("lease"):
        return outcome.status
    found.lease.ClearField("remaining")
    found.lease.ClearField("expires_at")
    status = world.stubs[0].Status.FromString(outcome.status)
    status.details[0].value = found.SerializeToString()
    return status.SerializeToString()


def check(world, one, outcomes):
    """Both outcomes are what the case says, and the same."""
    for outcome in outcomes:
        assert outcome.code == CODE[one.code], (one.name, outcome)
        if one.code == "OK" or one.code_only:
            continue
        found = detail(outcome, world.types)
        assert found is not None, one.name
        reason = world.types.ErrorReason.Name(found.reason).removeprefix("ERROR_REASON_")
        assert reason == (one.reason or "UNSPECIFIED"), (one.name, outcome)
    if one.code_only:
        return
    ttrpc, grpc_ = outcomes
    assert ttrpc.message == grpc_.message, one.name
    assert without_clocks(ttrpc, world) == without_clocks(grpc_, world), one.name
    if one.same:
        assert ttrpc.payloads == grpc_.payloads, one.name


@pytest.fixture(scope="module")
def world(stubs):
    with running_root() as instance:
        instance.write(CONFIG)
        # An updater that ends at once.
        program = instance.root / "libexec" / "flocks-update"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        instance.environment["FLOCKS_LIBEXEC"] = str(program.parent)
        instance.start()
        world = World(instance, stubs)
        world.furnish()
        yield world


def stream_methods(stubs):
    return {method.name for _, method in methods(stubs) if method.server_streaming}


def run_case(world, one):
    request = one.request(world) if callable(one.request) else one.request
    options = {"items": one.items, "timeout": one.timeout, "stream": one.method in stream_methods(world.stubs)}
    return [run(door, one.service, one.method, request, **options) for door in world.doors]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_case_ends_the_same_through_both_doors(world, one):
    check(world, one, run_case(world, one))


def test_every_method_refuses_the_same_through_both_doors(world):
    for one in made_cases(world.stubs):
        check(world, one, run_case(world, one))


# ---- an end that concerns everybody ----


def follow_everything(world):
    """Streams that live on, through each door; each has had its first message."""
    requests = {
        "WatchEvents": world.sup.WatchEventsRequest(),
        "ReadLogs": world.sup.ReadLogsRequest(services=["talker"], tail=1, follow=True),
    }
    opened = []
    for method, request in requests.items():
        calls = []
        for door in world.doors:
            call, outcome = door.open(SUPERVISOR, method, request, stream=True), Outcome()
            assert door.take(call, outcome)
            calls.append((door, call, outcome))
        opened.append((method, calls))
    return opened


def ends(world, opened, reason):
    """How they all end."""
    for method, calls in opened:
        for door, call, outcome in calls:
            while door.take(call, outcome):
                pass
            door.close(call)
        one = Case(SUPERVISOR, method, "UNAVAILABLE", reason, b"")
        check(world, one, [outcome for _, _, outcome in calls])


@pytest.fixture
def talking(instance, stubs):
    """Its last service ends when it may."""
    ending = f"until [ -e {instance.root}/may-end ]; do sleep 0.05; done; exit 0"
    stubborn = f"trap '{ending}' TERM; echo armed; while :; do sleep 0.05; done"
    instance.write(CONFIG + f'  stubborn: {{command: [/bin/sh, -c, "{stubborn}"], stop: {{grace: 60s}}}}\n')
    instance.start()
    wait_until(lambda: "armed" in instance.log("stubborn"), what="the stubborn service")
    yield World(instance, stubs)
    (instance.root / "may-end").touch()


def test_streams_end_the_same_when_another_flocksd_takes_over(talking):
    opened = follow_everything(talking)
    # An operation that does not end is waited for, too.
    waiting = talking.sup.StartServicesRequest(services=["never"], wait=True, request_id="waits")
    opened.append(("StartServices", [
        (door, door.open(SUPERVISOR, "StartServices", waiting), Outcome()) for door in talking.doors]))
    # What is answered on a connection says that what was asked before on it has been taken.
    status = talking.sup.GetStatusRequest()
    for door, call, _ in opened[-1][1]:
        if door.name == "ttrpc":
            call.socket.sendall(call.frame("GetStatus", status)[1])
            call.response()
        else:
            assert run(door, SUPERVISOR, "GetStatus", status).code == 0
    os.kill(talking.instance.status()["daemon"]["pid"], signal.SIGUSR1)
    ends(talking, opened, "REPLACING")


def test_shutdown_ends_and_refuses_the_same(talking):
    opened = follow_everything(talking)
    shutdown = [run(door, SUPERVISOR, "Shutdown", b"") for door in talking.doors]
    check(talking, Case(SUPERVISOR, "Shutdown", "OK", None, b""), shutdown)
    operation = talking.sup.ShutdownResponse.FromString(shutdown[0].payloads[0]).operation.id
    refused = [
        Case(SUPERVISOR, "StartServices", "FAILED_PRECONDITION", "SHUTTING_DOWN", b""),
        sup("CancelOperation", "FAILED_PRECONDITION", "SHUTTING_DOWN", operation_id=operation),
    ]
    for one in refused:
        check(talking, one, run_case(talking, one))
    (talking.instance.root / "may-end").touch()
    ends(talking, opened, "SHUTTING_DOWN")


def test_tcp_without_the_token_is_refused_the_same(instance, stubs, free_port):
    port = free_port()
    instance.write(configuration(port))
    instance.start()
    wait_until_served(instance, port)
    world = World(instance, stubs)
    for metadata, code, reason in (((), "UNAUTHENTICATED", "TOKEN"), ((("authorization", "Bearer x"),),
                                   "UNAUTHENTICATED", "TOKEN"), ((bearer(instance),), "OK", None)):
        world.doors = (Ttrpc(("127.0.0.1", port), stubs, metadata), Grpc(f"127.0.0.1:{port}", metadata))
        for method in ("GetStatus", "NoMethod") if code != "OK" else ("GetStatus",):
            one = Case(SUPERVISOR, method, code, reason, b"")
            check(world, one, run_case(world, one))


# ---- the table against the schema ----

# Shown by the tests above that are no cases of the table.
ELSEWHERE = {
    ("UNAVAILABLE", "SHUTTING_DOWN"), ("UNAVAILABLE", "REPLACING"), ("FAILED_PRECONDITION", "SHUTTING_DOWN"),
    ("UNAUTHENTICATED", "TOKEN"),
}  # fmt: skip


def exemptions():
    """Names in the first column of the table of docs/protocol.md, section Parity."""
    text = (REPOSITORY / "docs" / "protocol.md").read_text()
    section = text.partition("\n## Parity\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([A-Z_, ]+) \| .+ \|$", section, flags=re.M)
    return {name for row in rows for name in row.split(", ")}


def test_table_covers_every_method_code_and_reason(stubs):
    every = CASES + list(made_cases(stubs))
    for _, method in methods(stubs):
        own = {(one.code, one.about) for one in every if one.method == method.name}
        ends_well = {"OK", "UNIMPLEMENTED"} & {code for code, _ in own}
        # Shutdown is the world's end, CommitUpgrade the lease's, and of ReplaceDaemon there may be one at a time.
        assert ends_well or method.name in ("Shutdown", "CommitUpgrade", "ReplaceDaemon"), method.name
        assert any(about == "malformed" for _, about in own), method.name
    exempt = exemptions()
    codes = {one.code for one in every} | {code for code, _ in ELSEWHERE}
    reasons = {one.reason for one in every if one.reason} | {reason for _, reason in ELSEWHERE}
    known = {name.removeprefix("ERROR_REASON_") for name in stubs[2].ErrorReason.keys()} - {"UNSPECIFIED"}
    assert codes | reasons <= set(CODE) | known
    assert set(CODE) - codes - exempt == set(), "codes that no case shows"
    assert known - reasons - exempt == set(), "reasons that no case shows"
    assert exempt & (codes | reasons) == set(), "exempt, although a case shows it"
    assert exempt <= set(CODE) | known, "exempt, and nobody knows it"
