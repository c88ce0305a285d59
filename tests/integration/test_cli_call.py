"""`flocks call` and `flocks describe`: the whole API from the shell, by the generated tables alone."""

import base64
import json
import re
import signal
import socket
import struct
import subprocess
import threading

import pytest
from google.protobuf import descriptor_pb2

from instance import REPOSITORY, wait_until
from terminal import Terminal

CONFIG = "services: {ticker: {command: [sh, -c, 'echo hello; exec sleep 1000'], stop: {grace: 1s}}}\n"
TEXT = base64.b64encode(CONFIG.encode()).decode()
GRPC_PROTO = "/usr/share/grpc-proto"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Our protos as protoc sees them."""
    path = tmp_path_factory.mktemp("protos") / "flocks.set"
    folder = REPOSITORY / "proto"
    names = [str(proto) for proto in sorted((folder / "flocks" / "v1").glob("*.proto"))]
    # What a daemon serves besides, and takes one request a call.
    names.append("grpc/health/v1/health.proto")
    subprocess.run(["protoc", f"--proto_path={folder}", f"--proto_path={GRPC_PROTO}", f"--descriptor_set_out={path}",
                    *names], check=True, timeout=60)
    return descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file


def methods_of(files):
    return {f"{file.package}.{service.name}/{method.name}": method for file in files for service in file.service
            for method in service.method}


# ---- every call ----


class Calls:
    """Makes each call once, in an order in which it makes sense."""

    def __init__(self, instance):
        self.instance = instance
        self.made = {}

    def call(self, name, request=None, check=0):
        words = ["call", name] if request is None else ["call", name, json.dumps(request)]
        out = self.instance.flocks("--json", *words, check=check).stdout
        answers = [json.loads(line) for line in out.splitlines()]
        assert answers, name
        self.made[name.rpartition("/")[2]] = answers
        return answers[0]

    def first(self, name, request=None):
        """The first answer of a stream that does not end."""
        words = [name] if request is None else [name, json.dumps(request)]
        with subprocess.Popen(
            self.instance.command("--json", "call", *words), env=self.instance.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            answer = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
        assert process.returncode == 128 + signal.SIGINT, name
        self.made[name.rpartition("/")[2]] = [answer]
        return answer

    def read(self):
        call = self.call
        assert call("GetStatus")["services"][0]["name"] == "ticker"
        assert self.first("WatchEvents")["snapshot"]["services"]
        wait_until(lambda: self.instance.log("ticker"), what="its first line")
        call("ReadLogs", {"services": ["ticker"], "tail": 1})
        assert call("ExplainService", {"service": "ticker"})["status"]["name"] == "ticker"
        assert call("GetConfig")["config"]["services"]["ticker"]
        assert call("Health/Check", {"service": "ticker"}) == {"status": "SERVING"}
        assert self.first("Health/Watch", {"service": "none"}) == {"status": "SERVICE_UNKNOWN"}

    def work(self):
        call = self.call
        operation = call("RestartServices", {"services": ["ticker"], "wait": True})["operation"]
        assert operation["state"] == "OPERATION_STATE_SUCCEEDED"
        by_id = {"operation_id": operation["id"]}
        for name in ("GetOperation", "WatchOperation", "CancelOperation"):
            assert call(name, by_id)["operation"]["id"] == operation["id"]
        plan = call("PlanConfig", {"text": TEXT})["plan"]
        call("ApplyConfig", {"plan": plan, "text": TEXT, "wait": True})
        call("StopServices", {"services": ["ticker"], "wait": True, "timeout": "30s"})
        call("StartServices", {"services": ["ticker"], "wait": True})

    def upgrade(self):
        call = self.call
        by_id = {"lease_id": call("BeginUpgrade", {"owner": "test", "reason": "a test", "ttl": "60s"})["lease"]["id"]}
        call("RenewUpgrade", by_id)
        call("GetUpgrade")
        call("CommitUpgrade", by_id | {"wait": True, "observe": "0.100s"})
        by_id = {"lease_id": call("BeginUpgrade", {"owner": "test", "reason": "again"})["lease"]["id"]}
        call("AbortUpgrade", by_id | {"reason": "enough"})
        told = {"upgrade_id": "u1", "step": "UPGRADE_STEP_DONE", "message": "told"}
        call("ReportUpgrade", {"progress": told})
        assert call("WatchUpgrade", {"upgrade_id": "u1"})["progress"]["message"] == "told"
        call("StartUpdate", {"roll_back": True, "force": True}, check=2)
        assert call("ReplaceDaemon", {"flocksd_path": "/no/such/program"})["operation"]["kind"].endswith("REPLACE_DAEMON")


def test_every_method_is_callable(instance, files):
    instance.write(CONFIG)
    instance.start("--quiet")
    calls = Calls(instance)
    calls.read()
    calls.work()
    calls.upgrade()
    calls.call("Shutdown", {"wait": True})
    assert {name.rpartition("/")[2] for name in methods_of(files)} == set(calls.made)
    # Nobody is there any more.
    assert instance.flocks("call", "GetStatus", check=3).stderr.startswith("flocks: nothing runs in ")


def test_stream_ends_with_the_deadline(instance):
    instance.write(CONFIG)
    instance.start("--quiet")
    instance.flocks("call", "WatchEvents", "--timeout=300ms", check=4)


def test_names_and_requests_that_are_wrong_are_told_before_anything_is_sent(instance):
    instance.write(CONFIG)
    (instance.root / "request.json").write_text('{\n  "servces": []\n}\n')
    for words, said in (
        (("getstatus",), 'there is no method "getstatus"\n  hint: did you mean GetStatus?'),
        (("UpgradeServce/GetUpgrade",), "did you mean UpgradeService?"),
        (("SupervisorService/GetUpgrade",), 'there is no method "GetUpgrade"'),
        (("GetStatus", "{}", "{}"), "call takes a method and one JSON text"),
        ((), "call wants a method"),
        (("GetStatus", "{"), "argument:1:1: not valid JSON"),
        (("GetStatus", '{"services": "ticker"}'), 'argument:1:14: services: must be a list, not "ticker"'),
        (("GetStatus", f"@{instance.root}/request.json"), f"{instance.root}/request.json:2:3: flocks.v1.GetStatusRequest "
         'has no field "servces"\n  hint: did you mean "services"?'),
        (("GetStatus", f"@{instance.root}/nothing"), "nothing: No such file or directory"),
    ):
        assert said in instance.flocks("call", *words, check=2).stderr
    failure = json.loads(instance.flocks("--json", "call", "GetStatus", '{"services":[1]}', check=2).stdout)["error"]
    assert failure["details"][0]["position"] == {"file": "argument", "line": 1, "column": 14, "path": "services[0]"}


def test_requests_come_from_files_and_standard_input(instance):
    instance.write(CONFIG)
    instance.start("--quiet")
    (instance.root / "request.json").write_text('{"service": "ticker"}')
    of_file = json.loads(instance.flocks("call", "ExplainService", f"@{instance.root}/request.json", check=0).stdout)
    of_input = json.loads(instance.flocks("call", "ExplainService", "-", input='{"service":"ticker"}', check=0).stdout)
    assert of_file["status"]["pid"] == of_input["status"]["pid"] == instance.pid("ticker")
    assert instance.flocks("--quiet", "call", "GetStatus", check=0).stdout == ""
    # What the daemon refuses keeps its code, its reason and its hint.
    failure = json.loads(instance.flocks("call", "--json", "ExplainService", '{"service":"tickr"}', check=2).stdout)
    assert failure["error"]["details"][0]["reason"] == "ERROR_REASON_UNKNOWN_SERVICE"
    assert "tickr" in instance.flocks("call", "ExplainService", '{"service":"tickr"}', check=2).stderr


@pytest.mark.no_chaos("what a terminal shows meanwhile")
def test_a_person_sees_indented_answers_and_ends_a_stream(instance):
    instance.write(CONFIG)
    instance.start("--quiet")
    terminal = Terminal(instance.command("call", "WatchEvents"), instance.environment)
    terminal.wait_for(b'\n  "snapshot": {')
    instance.flocks("restart", "ticker", check=0)
    terminal.wait_for(b'"service": "ticker"')
    terminal.interrupt()
    assert terminal.wait() == 128 + signal.SIGINT
    terminal.close()
    # A program sees one object a line, and may leave.
    reader = subprocess.run(["bash", "-c", 'set -o pipefail; "$@" | head -n 1', "-", *instance.command("call", "WatchEvents")],
                            env=instance.environment, capture_output=True, text=True, timeout=30)
    assert reader.returncode == 0
    assert json.loads(reader.stdout)["snapshot"]


# ---- an older daemon ----


class OlderDaemon:
    """Knows GetStatus, and has never heard of anything else."""

    def __init__(self, path, stubs):
        self.ttrpc, self.supervisor, _ = stubs
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, peer.makefile("rb") as bytes_in:
            while header := bytes_in.read(10):
                length, stream, *_ = struct.unpack(">IIBB", header)
                answer = self._answer(self.ttrpc.Request.FromString(bytes_in.read(length))).SerializeToString()
                peer.sendall(struct.pack(">IIBB", len(answer), stream, 2, 0) + answer)

    def _answer(self, request):
        response = self.ttrpc.Response()
        if request.method == "GetStatus":
            status = self.supervisor.GetStatusResponse()
            status.daemon.version, status.daemon.api_revision = "0.0.1", 1
            response.payload = status.SerializeToString()
        else:
            response.status.code, response.status.message = 12, f"method {request.method}"
        return response

    def close(self):
        # Wakes accept(2), which close(2) does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.listener.close()


def test_a_method_that_an_older_daemon_lacks_is_exit_7(instance, stubs):
    path = instance.root / "older.sock"
    older = OlderDaemon(path, stubs)
    for method in ("GetUpgrade", "WatchUpgrade"):
        result = instance.flocks("--socket", str(path), "call", method, check=7)
        assert re.search(r"method \w+\n  hint: daemon 0.0.1 has API revision 1, this command \d+: `flocks restart`",
                         result.stderr)
        failure = json.loads(instance.flocks("--json", "--socket", str(path), "call", method, check=7).stdout)["error"]
        assert failure["code"] == 12
    older.close()


# ---- describe ----


def test_describe_has_everything_that_the_protos_have(instance, files):
    described = json.loads(instance.flocks("describe", "--json", check=0).stdout)
    methods = {f"{service['name']}/{method['name']}": method for service in described["services"]
               for method in service["methods"]}
    wanted = methods_of(files)
    assert set(methods) == set(wanted)
    for name, method in methods.items():
        assert "." + method["input_type"] == wanted[name].input_type
        assert "." + method["output_type"] == wanted[name].output_type
        assert method["server_streaming"] == wanted[name].server_streaming
        assert method["client_streaming"] == wanted[name].client_streaming
    types = {message["name"]: message for message in described["messages"]}
    enums = {enumeration["name"]: enumeration for enumeration in described["enums"]}
    for file in files:
        # What only generators read is no part of the API.
        if file.name.endswith("options.proto"):
            continue
        for message in file.message_type:
            fields = types[f"{file.package}.{message.name}"]["fields"]
            assert [(f["name"], f["number"]) for f in fields] == sorted(
                ((f.name, f.number) for f in message.field), key=lambda field: field[1])
            for enumeration in message.enum_type:
                assert f"{file.package}.{message.name}.{enumeration.name}" in enums
        for enumeration in file.enum_type:
            values = enums[f"{file.package}.{enumeration.name}"]["values"]
            assert [(v["name"], v["number"]) for v in values] == [(v.name, v.number) for v in enumeration.value]


def test_describe_is_for_people_too(instance):
    overview = instance.flocks("describe", check=0).stdout
    assert "\n  WatchEvents      server stream  A snapshot, then numbered events; `after` resumes.\n" in overview
    text = instance.flocks("describe", "StopServices", check=0).stdout
    assert "\nrpc StopServices(StopServicesRequest) returns (StopServicesResponse) [mutates, idempotent, " in text
    assert "\nmessage StopServicesRequest {\n" in text
    assert '  "secret"' not in instance.flocks("describe", "HttpCheck", check=0).stdout
    assert "secret];" in instance.flocks("describe", "HttpCheck.headers", check=0).stdout
    assert "did you mean ServiceStatus?" in instance.flocks("describe", "ServiceStatsu", check=2).stderr
    assert "describe takes one symbol, not 2" in instance.flocks("describe", "a", "b", check=2).stderr
