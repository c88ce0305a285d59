"""What the tests of leases and of all that goes with them upgrade: two services behind a link, and its clients."""

import importlib
import os
import shutil
import signal

from instance import PYTHON, SERVICES, is_alive, wait_until
from wire import Wire


class Leased:
    """An instance whose two services run what the link `current` points to, and a connection to it.

    `webui`: its entry in the configuration, as YAML of one line; None: as the backend's, after that.
    `extra`: more lines of the configuration, beginning with services."""

    def __init__(self, instance, stubs, ports, extra="", webui=None):
        self.instance, self.stubs = instance, stubs
        self.pb = importlib.import_module("flocks.v1.upgrade_pb2")
        self.types = stubs[2]
        self.link = instance.root / "current"
        for version in ("1", "2"):
            directory = instance.root / "releases" / version
            directory.mkdir(parents=True)
            shutil.copy(SERVICES / "release.py", directory / "release.py")
            (directory / "version").write_text(version)
        self.link.symlink_to("releases/1")
        command = f"[{PYTHON}, {self.link}/release.py"
        own = f'{{command: {command}, "{ports[1]}"], port: {ports[1]}, after: [backend], stop: {{grace: 2s}}}}'
        instance.write(
            f"""services:
  backend:
    command: {command}, "{ports[0]}"]
    port: {ports[0]}
    probes: {{ready: {{http: {{path: /health}}, period: 50ms, timeout: 2s}}}}
    version: {{http: {{path: /version.json}}, member: version}}
    stop: {{grace: 2s}}
  webui: {webui or own}
  other: {{command: [/bin/sleep, "1000"], stop: {{grace: 2s}}}}
{extra}"""
        )
        self.ports = ports

    # ---- calls ----

    def wire(self):
        return Wire(self.instance.root / "run" / "flocksd.sock", self.stubs)

    def call(self, method, request, timeout=20.0, wire=None):
        with wire or self.wire() as connection:
            stream, frame = connection.frame(
                method, request, timeout=timeout, service="flocks.v1.UpgradeService"
            )
            connection.socket.sendall(frame)
            answered, response = connection.response()
            assert answered == stream
            return connection.decode(response, getattr(self.pb, f"{method}Response"))

    def begin(self, services=("backend", "webui"), undo=True, ttl=30, wire=None, **fields):
        request = self.pb.BeginUpgradeRequest(owner="test", reason="2", services=services, **fields)
        request.ttl.seconds = ttl
        if undo is True:
            undo = [(str(self.link), "releases/1")]
        for link, target in undo or []:
            request.undo.add(link=link, target=target)
        return self.call("BeginUpgrade", request, wire=wire).lease

    def renew(self, lease):
        return self.call("RenewUpgrade", self.pb.RenewUpgradeRequest(lease_id=lease.id)).lease

    def commit(self, lease, versions=None, observe=0, start=60, wait=True, timeout=90.0):
        request = self.pb.CommitUpgradeRequest(lease_id=lease.id, expected_versions=versions or {}, wait=wait)
        request.start_timeout.seconds = start
        request.observe.FromMilliseconds(int(observe * 1000))
        return self.call("CommitUpgrade", request, timeout=timeout)

    def abort(self, lease, reason=""):
        return self.call("AbortUpgrade", self.pb.AbortUpgradeRequest(lease_id=lease.id, reason=reason))

    def get(self, upgrade_id=""):
        return self.call("GetUpgrade", self.pb.GetUpgradeRequest(upgrade_id=upgrade_id))

    def stop_services(self, lease, services=()):
        """As the updater: what it ends stays wanted."""
        supervisor = self.stubs[1]
        with self.wire() as connection:
            return connection.call(
                "StopServices",
                supervisor.StopServicesRequest(services=services, lease_id=lease.id, wait=True),
                timeout=20.0,
            ).operation

    def start_services(self, services, lease_id="", method="Start"):
        supervisor = self.stubs[1]
        request = getattr(supervisor, f"{method}ServicesRequest")(services=services, lease_id=lease_id, wait=True)
        with self.wire() as connection:
            return connection.call(f"{method}Services", request, timeout=60.0).operation

    # ---- looking ----

    def phase(self, lease_id=""):
        return self.types.UpgradePhase.Name(self.get(lease_id).lease.phase)[len("UPGRADE_PHASE_") :]

    def wait_for_phase(self, phase, lease_id="", seconds=30.0):
        def reached():
            try:
                return self.phase(lease_id) == phase
            except (ConnectionError, OSError):
                return False

        wait_until(reached, seconds, f"phase {phase}")

    def states(self):
        return {s["name"]: s["state"][len("SERVICE_STATE_") :] for s in self.instance.status()["services"]}

    def wait_for_states(self, seconds=30.0, **states):
        wait_until(
            lambda: {k: self.states().get(k) for k in states} == states, seconds, f"{states}, is {self.states()}"
        )

    def target(self):
        return os.readlink(self.link)

    def serving(self):
        """The release whose process runs as backend."""
        pid = self.instance.pid("backend")
        command = open(f"/proc/{pid}/cmdline", "rb").read() if pid else b""
        assert b"release.py" in command
        return self.instance.log("backend").rstrip().rpartition("serves ")[2]

    def switch(self):
        """What an updater does between Begin and Commit."""
        temporary = self.instance.root / "current.new"
        temporary.symlink_to("releases/2")
        os.rename(temporary, self.link)

    # ---- deaths ----

    def kill_flocksd(self):
        before = self.instance.status()["daemon"]["pid"]
        os.kill(before, signal.SIGKILL)
        return wait_until(
            lambda: (s := self.instance.status()["daemon"])["pid"] not in (0, before) and s, what="another flocksd"
        )

    def kill_both(self):
        """flocksd and its keeper, so that neither can save the other; the services live on."""
        daemon = self.instance.status()["daemon"]
        os.kill(daemon["keeper_pid"], signal.SIGSTOP)
        os.kill(daemon["pid"], signal.SIGKILL)
        os.kill(daemon["keeper_pid"], signal.SIGKILL)
        wait_until(lambda: not is_alive(daemon["pid"]) and not is_alive(daemon["keeper_pid"]), what="both dead")
