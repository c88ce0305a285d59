"""`flocks stop` ends the instance that it found, also where its request is repeated, and no other."""

import os
import socket
import threading

import pytest
from instance import wait_until
from wire import HEADER, Failure, Wire

pytestmark = pytest.mark.no_chaos(reason="kills the keeper itself, and speaks over one connection")

ABORTED, UNIMPLEMENTED = 10, 12
CONFIG = 'services: {one: {command: [/bin/sleep, "1000"]}}\n'


class Between:
    """A socket that hands requests on to the real one, except for those that `refuse` answers itself."""

    def __init__(self, instance, stubs, refuse):
        self.stubs, self.refuse = stubs, refuse
        self.real = str(instance.root / "run" / "flocksd.sock")
        self.path = str(instance.root / "between.sock")
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer, peer.makefile("rb") as bytes_in:
            while header := bytes_in.read(HEADER.size):
                length, stream, _, _ = HEADER.unpack(header)
                envelope = bytes_in.read(length)
                response = self._answer(header, self.stubs[0].Request.FromString(envelope), envelope)
                payload = response.SerializeToString()
                peer.sendall(HEADER.pack(len(payload), stream, 2, 0) + payload)

    def _answer(self, header, request, envelope):
        self.requests.append(request)
        response = self.refuse(request)
        if response is not None:
            return response
        real = socket.socket(socket.AF_UNIX)
        real.settimeout(30)
        real.connect(self.real)
        with real:
            real.sendall(header + envelope)
            data = b""
            while len(data) < HEADER.size or len(data) < HEADER.size + HEADER.unpack(data[: HEADER.size])[0]:
                more = real.recv(65536)
                if not more:
                    raise ConnectionError("the daemon closed the connection")
                data += more
        return self.stubs[0].Response.FromString(data[HEADER.size :])

    def shutdowns(self):
        """keeper_pid of every Shutdown that was seen."""
        request = self.stubs[1].ShutdownRequest
        return [request.FromString(r.payload).keeper_pid for r in self.requests if r.method == "Shutdown"]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def refusal(stubs, code, reason):
    response = stubs[0].Response()
    response.status.code, response.status.message = code, "refused"
    detail = response.status.details.add()
    detail.type_url = "type.googleapis.com/flocks.v1.ErrorDetail"
    detail.value = stubs[2].ErrorDetail(reason=reason).SerializeToString()
    return response


def test_a_shutdown_of_another_keeper_is_refused(instance, stubs):
    instance.write(CONFIG)
    instance.start("--quiet")
    with Wire(instance.root / "run" / "flocksd.sock", stubs) as wire, pytest.raises(Failure) as failure:
        wire.call("Shutdown", stubs[1].ShutdownRequest(keeper_pid=os.getpid(), wait=True))
    assert (failure.value.code, failure.value.detail.reason) == (ABORTED, stubs[2].ERROR_REASON_OTHER_INSTANCE)
    assert instance.service("one")["state"] == "SERVICE_STATE_HEALTHY"


def test_stop_says_which_one_it_means(instance, stubs):
    """And ends the same instance where its keeper is another by now; one that will not say which is no trap."""
    instance.write(CONFIG)
    instance.start("--quiet")
    keeper = instance.status()["daemon"]["keeper_pid"]
    others = iter([True])

    def refuse(request):
        if request.method == "Shutdown" and next(others, False):
            return refusal(stubs, ABORTED, stubs[2].ERROR_REASON_OTHER_INSTANCE)
        return None

    between = Between(instance, stubs, refuse)
    instance.flocks("--socket", between.path, "stop", check=0)
    assert between.shutdowns() == [keeper, keeper]
    between.close()
    assert instance.status()["daemon"]["state"] == "DAEMON_STATE_NOT_RUNNING"


def test_stop_of_a_daemon_that_has_never_heard_of_it(instance, stubs):
    instance.write(CONFIG)
    instance.start("--quiet")
    keeper = instance.status()["daemon"]["keeper_pid"]

    def refuse(request):
        if request.method != "Shutdown" or stubs[1].ShutdownRequest.FromString(request.payload).keeper_pid == 0:
            return None
        return refusal(stubs, UNIMPLEMENTED, stubs[2].ERROR_REASON_UNKNOWN_FIELD)

    between = Between(instance, stubs, refuse)
    instance.flocks("--socket", between.path, "stop", check=0)
    assert between.shutdowns() == [keeper, 0]
    between.close()
    assert instance.status()["daemon"]["state"] == "DAEMON_STATE_NOT_RUNNING"


def test_stop_of_an_instance_whose_keeper_was_killed(instance):
    instance.write(CONFIG)
    instance.start("--quiet")
    keeper = instance.status()["daemon"]["keeper_pid"]
    os.kill(keeper, 9)
    instance.stop()
    wait_until(lambda: instance.status()["daemon"]["state"] == "DAEMON_STATE_NOT_RUNNING", what="its end")
    assert instance.processes() == []
