"""The supervisors that are compared, each told to keep N copies of bench-service alive.

Every one gets its fastest honest set-up: no shell between it and the service, no delays we could
configure away, a root of its own."""

import shutil
import signal
import subprocess
from pathlib import Path

import procfs

START_LIMIT_MS = 30000
STOP_LIMIT_S = 10


class System:
    """One supervisor in one root. `with` starts and ends it."""

    name = ""
    # Fewer kills than the others get, where each takes about a second; None: as many.
    kills = None
    # Its services are nobody's children: here we stand in for pid 1, which reaps them.
    orphans_services = False
    # Services it is tried with.
    sizes = (20, 200)

    def __init__(self, tools, root, count):
        self.tools = tools
        self.root = Path(root)
        self.count = count
        self.slots = self.root / "slots"
        self.service = str(tools["bench-service"])
        self.process = None

    @classmethod
    def missing(cls):
        """Name of a program that is not installed, or None."""
        return None

    def __enter__(self):
        self.root.mkdir(parents=True)
        self.prepare()
        self.launch()
        self.wait_until_running()
        return self

    def __exit__(self, *unused):
        try:
            self.end()
        finally:
            procfs.end_descendants()
            shutil.rmtree(self.root, ignore_errors=True)

    def prepare(self):
        """Writes what it reads."""

    def launch(self):
        """Sets self.process, or leaves a daemon behind."""
        self.process = self.run_background(self.command())

    def command(self):
        raise NotImplementedError

    def status_command(self):
        """What a person types to see one service or all of them; None: nothing of the kind."""
        return None

    def end(self):
        """Asks it to stop; what stays is killed afterwards."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.wait_for_end()

    def run_background(self, command):
        return subprocess.Popen(
            command,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(self.root / "stderr", "wb"),
        )

    def wait_for_end(self):
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def wait_until_running(self):
        """Until every service has said that it runs."""
        killer = [self.tools["bench-killer"], self.slots, self.count, 0, START_LIMIT_MS]
        result = subprocess.run([str(word) for word in killer], capture_output=True, text=True)
        if result.returncode != 0:
            errors = (self.root / "stderr").read_text(errors="replace")[-500:]
            raise RuntimeError(f"{self.name}: {result.stderr.strip()} {errors.strip()}")

    def services(self):
        """Pids of the services."""
        return {pid for pid in procfs.descendants() if procfs.executable(pid) == self.service}

    def processes(self):
        """Pids of the supervisor's own processes."""
        return set(procfs.descendants()) - self.services()


class Floor(System):
    name = "floor: fork + exec on SIGCHLD"

    def command(self):
        return [str(self.tools["bench-floor"]), self.service, str(self.slots), str(self.count)]


class Flocks(System):
    name = "flocks"
    # More of each service's configuration, as YAML's flow style.
    options = ""

    def prepare(self):
        lines = ["services:"]
        for index in range(self.count):
            command = f'command: ["{self.service}", "{self.slots}", "{index}"]'
            lines.append(f"  s{index:04}: {{{command}{self.options}}}")
        (self.root / "flocks.yaml").write_text("\n".join(lines) + "\n")
        self.root.chmod(0o700)

    def cli(self, *words):
        return [str(self.tools["flocks"]), "--root", str(self.root), *words]

    def launch(self):
        result = subprocess.run(
            self.cli("start", "--no-browser"), capture_output=True, text=True, timeout=60
        )
        (self.root / "stderr").write_text(result.stderr)
        if result.returncode != 0:
            raise RuntimeError(f"flocks start: exit {result.returncode}: {result.stderr.strip()}")

    def status_command(self):
        return self.cli("status")

    def end(self):
        subprocess.run(self.cli("stop"), capture_output=True, timeout=60)

    def socket(self):
        return self.root / "run" / "flocksd.sock"

    def daemon_pid(self):
        """The living flocksd, which is another one after each kill."""
        pids = [pid for pid, name in procfs.descendants().items() if name == "flocksd"]
        return pids[0] if pids else None

    def daemon_pss_kib(self):
        return procfs.pss_kib([self.daemon_pid()])


class ServiceDirectories(System):
    """s6 and runit: a directory a service, whose ./run is the service itself."""

    def directory(self, index):
        return self.root / "services" / f"s{index:04}"

    def prepare(self):
        for index in range(self.count):
            directory = self.directory(index)
            directory.mkdir(parents=True)
            (directory / "slot").write_text(f"{index} {self.slots}\n")
            (directory / "run").symlink_to(self.service)


class S6(ServiceDirectories):
    name = "s6"
    kills = 10

    @classmethod
    def missing(cls):
        return None if shutil.which("s6-svscan") else "s6-svscan"

    def command(self):
        return ["s6-svscan", str(self.root / "services")]

    def status_command(self):
        return ["s6-svstat", str(self.directory(0))]


class Runit(ServiceDirectories):
    name = "runit"

    @classmethod
    def missing(cls):
        return None if shutil.which("runsvdir") else "runsvdir"

    def command(self):
        return ["runsvdir", str(self.root / "services")]

    def status_command(self):
        return ["sv", "status", *(str(self.directory(i)) for i in range(self.count))]

    def end(self):
        # HUP: it passes TERM on to its runsv.
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_end()


class Supervisor(System):
    name = "supervisor"
    kills = 10

    @classmethod
    def missing(cls):
        return None if shutil.which("supervisord") else "supervisord"

    def prepare(self):
        socket = self.root / "socket"
        parts = [
            f"[unix_http_server]\nfile={socket}",
            f"[supervisord]\nnodaemon=true\nlogfile={self.root}/log\npidfile={self.root}/pid\n"
            f"childlogdir={self.root}",
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory="
            "supervisor.rpcinterface:make_main_rpcinterface",
            f"[supervisorctl]\nserverurl=unix://{socket}",
        ]
        for index in range(self.count):
            parts.append(
                f"[program:s{index:04}]\ncommand={self.service} {self.slots} {index}\n"
                f"autorestart=true\nstartsecs=0\nredirect_stderr=true\n"
                f"stdout_logfile={self.root}/s{index:04}.log"
            )
        (self.root / "conf").write_text("\n\n".join(parts) + "\n")

    def command(self):
        return ["supervisord", "-c", str(self.root / "conf")]

    def status_command(self):
        return ["supervisorctl", "-c", str(self.root / "conf"), "status"]


class Monit(System):
    name = "monit (1 s poll)"
    kills = 5
    orphans_services = True
    sizes = (20,)

    @classmethod
    def missing(cls):
        return None if shutil.which("monit") else "monit"

    def prepare(self):
        parts = [
            "set daemon 1",
            f"set logfile {self.root}/log",
            f"set pidfile {self.root}/pid",
            f"set idfile {self.root}/id",
            f"set statefile {self.root}/state",
            f"set httpd unixsocket {self.root}/socket allow bench:bench",
        ]
        for index in range(self.count):
            pidfile = f"{self.root}/s{index:04}.pid"
            parts.append(
                f"check process s{index:04} with pidfile {pidfile}\n"
                f'  start program = "{self.service} --detach {pidfile} {self.slots} {index}"'
            )
        rc = self.root / "monitrc"
        rc.write_text("\n".join(parts) + "\n")
        rc.chmod(0o600)

    def command(self):
        return ["monit", "-I", "-c", str(self.root / "monitrc")]

    def status_command(self):
        return ["monit", "-c", str(self.root / "monitrc"), "summary"]


ALL = (Floor, Flocks, S6, Runit, Supervisor, Monit)
