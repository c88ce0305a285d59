"""`flocks update` with the real flocks-update, a daemon and services that come from releases: at a terminal, for a
program, interrupted, left alone, aborted by somebody else, from inside a service, and as it is installed."""

import json
import os
import signal
import subprocess

import pytest

import releases
from instance import BUILD, is_alive, wait_until
from ports import free_port
from product import Product
from terminal import Terminal

pytestmark = pytest.mark.no_chaos(reason="holds downloads of one updater, and waits for what it tells")

VERSIONS = ("1.1.0", "1.2.0", "1.3.0")
# A service that upgrades what it belongs to, once, when it is told so.
INSIDE = """  inside:
    command: [/bin/sh, -c, "while ! rm {root}/go 2>/dev/null; do sleep 0.05; done; {flocks} update --yes >{root}/said 2>&1; sleep 1000"]
    stop: {{grace: 2s}}
    start: false
"""


class Shop:
    """A product at 1.0.0, a server with newer releases, and `flocks` for them."""

    def __init__(self, instance, publisher, server):
        self.instance, self.server = instance, server
        self.product = Product(instance, publisher, [server.url], (free_port(), free_port()), extra=INSIDE.format(
            flocks=instance.bin / "flocks", root=instance.root))
        self.open = []

    def hold(self, version):
        """The download of this release waits for the event that this answers."""
        return self.server.hold(f"{releases.NAME}-{version}.tar.gz")

    def run(self, *arguments, check=None):
        return self.instance.flocks("update", *arguments, check=check, stdin=subprocess.DEVNULL)

    def begin(self, *arguments):
        self.open.append(subprocess.Popen(self.instance.command("update", *arguments), env=self.instance.environment,
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          text=True))
        return self.open[-1]

    def terminal(self, *arguments):
        self.open.append(Terminal(self.instance.command("update", *arguments), self.instance.environment))
        return self.open[-1]

    def updater(self):
        """The pid that has the lock; 0: nobody says so."""
        path = self.product.root / "run" / "upgrade.lock"
        words = path.read_text().split() if path.exists() else []
        return int(words[0]) if words and is_alive(int(words[0])) else 0

    def assert_untouched(self):
        """1.0.0 serves, and nobody is at work; a piece of a download may wait for the next try."""
        wait_until(lambda: not self.updater(), what="the updater has ended")
        assert self.product.current() == "1.0.0" and self.product.journal() is None
        assert self.product.is_serving("1.0.0")
        assert not list((self.product.root / "releases").glob("*.partial"))

    def close(self):
        for one in self.open:
            if isinstance(one, Terminal):
                one.close()
            elif one.poll() is None:
                one.kill()
                one.communicate()


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    made = releases.Publisher(tmp_path_factory.mktemp("publisher"))
    for version in VERSIONS:
        made.publish(version, entry={"notes": f"News of {version}.\n\x1b[2J", "prerelease": version != "1.1.0"})
    return made


@pytest.fixture
def shop(instance, publisher):
    with publisher.serve() as server:
        made = Shop(instance, publisher, server)
        yield made
        made.close()


def test_a_person_upgrades_looks_and_goes_back(shop):
    shop.product.start()
    gate = shop.hold("1.1.0")
    assert shop.run("--check", "--exit-code", check=1).stdout.startswith("1.0.0 -> 1.1.0\n")
    terminal = shop.terminal()
    terminal.wait_for(b"upgrade? [y/N] ")
    assert "| News of 1.1.0." in terminal.text() and b"\x1b[2J" not in terminal.seen
    terminal.type("y\n")
    terminal.wait_for(b"Downloading product-1.1.0")
    wait_until(lambda: "upgrade 1.0.0 -> 1.1.0: [1/7]" in shop.instance.flocks("status", check=0).stdout,
               what="the status shows it")
    watched = Terminal(shop.instance.command("status", "--watch"), shop.instance.environment)
    shop.open.append(watched)
    watched.wait_for(b"upgrade 1.0.0 -> 1.1.0: ")
    gate.set()
    assert terminal.wait(120) == 0
    assert "1.1.0 serves (" in terminal.text()
    wait_until(lambda: watched.read(0) is not None and b"upgrade" not in watched.seen.rpartition(b"\x1b[H")[2],
               what="the watched status has no upgrade any more")
    watched.interrupt()
    assert watched.wait() == 0
    shop.product.assert_whole("1.1.0")
    assert shop.run("--check", "--exit-code", check=0).stdout == "nothing newer than 1.1.0\n"
    assert shop.run("--check", "--rollback", check=0).stdout.startswith("1.1.0 -> 1.0.0 (not newer)\n")
    terminal = shop.terminal("--rollback")
    terminal.wait_for(b"roll back? [y/N] ")
    terminal.type("y\n")
    assert terminal.wait(120) == 0
    shop.product.assert_whole("1.0.0")
    shown = shop.run("--list", check=0).stdout
    assert [line.split() for line in shown.splitlines()] == [
        ["VERSION", "STATE"], ["1.3.0", "available", "pre-release"], ["1.2.0", "available", "pre-release"],
        ["1.1.0", "on", "the", "disk"], ["1.0.0", "current"]]


def test_a_program_reads_every_step(shop):
    shop.product.start()
    lines = [json.loads(line) for line in shop.run("--yes", "--json", check=0).stdout.splitlines()]
    steps = [line["step"][len("UPGRADE_STEP_"):] for line in lines]
    wanted = ["CHECKING", "DOWNLOADING", "VERIFYING", "UNPACKING", "INSTALLING", "STOPPING", "SWITCHING",
              "COMMITTING", "DONE"]
    assert [step for step in dict.fromkeys(steps) if step in wanted] == wanted
    numbers = dict.fromkeys(line["step_number"] for line in lines if line["step_number"])
    assert list(numbers) == list(range(1, lines[-1]["steps"] + 1))
    assert lines[-1]["phase"] == "UPGRADE_PHASE_COMMITTED" and lines[-1]["code"] == 0
    told = shop.run("--yes", "--to", "7.7.7", "--json", check=2)
    assert json.loads(told.stdout.splitlines()[-1])["code"] == 5
    shop.instance.write("services: 7\n")
    answer = json.loads(shop.run("--yes", "--json", check=2).stdout)
    assert answer["error"]["details"][0]["reason"] == "ERROR_REASON_INVALID_CONFIG"
    assert "flocks.yaml" in shop.run("--check", check=2).stderr


def test_ctrl_c_and_abort_undo_and_a_second_upgrade_is_refused(shop):
    shop.product.start()
    shop.hold("1.1.0")
    terminal = shop.terminal("--yes")
    terminal.wait_for(b"Downloading product-1.1.0")
    told = shop.run("--yes", check=5)
    assert f"another upgrade is running: pid {shop.updater()}" in told.stderr and "flocks update --abort" in told.stderr
    terminal.interrupt()
    assert terminal.wait(60) == 1
    assert "undoing the upgrade" in terminal.text() and "interrupted\n" in terminal.text()
    shop.assert_untouched()
    process = shop.begin("--yes")
    wait_until(lambda: "[1/7]" in shop.instance.flocks("status").stdout, what="the next one downloads")
    aborted = shop.run("--abort", check=0)
    assert "flocks: undone: " in aborted.stderr
    assert process.wait(timeout=60) == 1
    shop.assert_untouched()
    assert "no upgrade is going on" in shop.run("--abort", check=0).stderr


def test_a_closed_terminal_does_not_end_the_upgrade(shop):
    shop.product.start()
    gate = shop.hold("1.1.0")
    terminal = shop.terminal("--yes")
    terminal.wait_for(b"Downloading product-1.1.0")
    os.close(terminal.leader)
    terminal.leader = os.open("/dev/null", os.O_RDONLY)
    wait_until(lambda: not is_alive(terminal.process.pid), what="the command goes with its terminal")
    assert shop.updater() > 0
    gate.set()
    shop.product.assert_whole("1.1.0")


def test_a_stopped_command_does_not_stop_the_upgrade(shop):
    shop.product.start()
    gate = shop.hold("1.1.0")
    process = shop.begin("--yes", "--json")
    while json.loads(process.stdout.readline())["step"] != "UPGRADE_STEP_DOWNLOADING":
        pass
    os.kill(process.pid, signal.SIGSTOP)
    gate.set()
    wait_until(lambda: not shop.updater(), 90, what="the updater goes to its end")
    assert shop.product.current() == "1.1.0" and shop.product.journal() is None
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out.splitlines()[-1])["step"] == "UPGRADE_STEP_DONE"


def test_without_a_daemon_it_says_so_and_abort_asks_the_updater(shop):
    gate = shop.hold("1.1.0")
    process = shop.begin("--yes")
    wait_until(lambda: shop.updater() and shop.product.journal() == "preparing", what="it downloads")
    told = shop.run("--abort", check=0).stderr
    assert "has been asked to undo its upgrade" in told and "no upgrade is unfinished" in told
    assert process.wait(timeout=60) == 1
    assert shop.product.current() == "1.0.0" and shop.product.journal() is None
    gate.set()
    told = shop.run("--yes", check=0).stderr
    assert shop.product.current() == "1.1.0"
    assert "not verified: no daemon runs" in told
    shop.product.start()
    shop.product.assert_whole("1.1.0")


def test_abort_ends_what_a_killed_updater_left(shop):
    shop.hold("1.1.0")
    process = shop.begin("--yes")
    updater = wait_until(lambda: shop.product.journal() == "preparing" and shop.updater(), what="it downloads")
    os.kill(updater, signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "ended by signal 9" in told
    shop.run("--abort")
    assert shop.product.journal() is None and shop.product.current() == "1.0.0"
    assert not list((shop.product.root / "releases").glob("*.partial"))


def test_from_inside_a_service_the_daemon_upgrades_it(shop):
    shop.product.start()
    shop.instance.flocks("start", "--no-browser", "inside", check=0)
    gate = shop.hold("1.1.0")
    said = shop.product.root / "said"
    (shop.product.root / "go").touch()
    wait_until(lambda: said.exists() and "Downloading product-1.1.0" in said.read_text(), 60, what="it is being watched")
    generation = shop.instance.service("inside")["generation"]
    gate.set()
    wait_until(lambda: shop.instance.service("inside")["generation"] > generation, 90, what="it is started again")
    said.unlink()
    shop.product.assert_whole("1.1.0")


def test_installed_programs_find_each_other(shop, tmp_path):
    for component in ("flocks-tools", "flocks-daemon"):
        subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path, "--component", component], check=True,
                       timeout=120, stdout=subprocess.DEVNULL)
    told = subprocess.run([tmp_path / "bin" / "flocks", "--root", shop.product.root, "update", "--check"],
                          env=shop.instance.environment, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0 and told.stdout.startswith("1.0.0 -> 1.1.0\n"), told
    assert (tmp_path / "libexec" / "flocks" / "flocks-update").exists()
    assert list(tmp_path.glob("**/man8/flocks-update.8"))
