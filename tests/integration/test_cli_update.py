"""`flocks update` with a stand-in for flocks-update (tests/fixtures/update): what it shows, what it makes of lines that
are no good, of silence and of sudden death, and what Ctrl-C, a closed terminal and the lack of one mean."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from instance import REPOSITORY, is_alive, wait_until
from terminal import Terminal
from test_upgrades import CONFIG, Upgrades

STAND_IN = REPOSITORY / "tests" / "fixtures" / "update"
NAMES = ["", "CHECKING", "DOWNLOADING", "VERIFYING", "UNPACKING", "INSTALLING", "STOPPING", "SWITCHING", "COMMITTING",
         "ROLLING_BACK", "DONE"]
CHECK = {
    "current_version": "1.0.0",
    "version": "1.2.0",
    "is_newer": True,
    "source": "https://example.com/index.json",
    "asset": "demo-1.2.0.tar.xz",
    "size": "10485760",
    "notes": "Faster.\n\tSafer, too: \x1b[2J\n",
    "page": "https://example.com/1.2.0",
    "failures": ["github:o/r: no answer"],
}


def progress(step, number=0, message="", **more):
    """A step that says so."""
    return {"say": {"upgrade_id": "0" * 32, "step": f"UPGRADE_STEP_{step}", "step_number": number,
                    "steps": 8 if number else 0, "message": message, **more}}


def done(message="1.2.0 serves", code=0, **more):
    return progress("DONE", message=message, code=code, from_version="1.0.0", to_version="1.2.0", **more)


FAILED = done("installing 1.2.0: npm ci exited with 1", 9,
              error={"reason": "ERROR_REASON_UNSPECIFIED", "hint": "logs/update.log says more"})


def timeless(text):
    """Without how long it took."""
    return re.sub(r" \((\d+m )?\d+s\)", "", text)


class Updates:
    """Runs `flocks update` with a stand-in that follows a script."""

    def __init__(self, instance):
        self.instance = instance
        self.script = instance.root / "script.json"
        self.environment = dict(instance.environment, FLOCKS_LIBEXEC=str(STAND_IN), FLOCKS_TEST_UPDATE=str(self.script))
        self.gate = instance.root / "gate"
        self.open = []

    def say(self, *steps):
        self.script.write_text(json.dumps(steps))
        for name in ("arguments", "signals"):
            Path(f"{self.script}.{name}").unlink(missing_ok=True)

    def run(self, *arguments, check=None, **options):
        return self.instance.flocks("update", *arguments, check=check, env=self.environment,
                                    stdin=subprocess.DEVNULL, **options)

    def begin(self, *arguments):
        """In the background, its output piped."""
        self.open.append(subprocess.Popen(self.instance.command("update", *arguments), env=self.environment,
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                          text=True))
        return self.open[-1]

    def terminal(self, *arguments, **options):
        self.open.append(Terminal(self.instance.command("update", *arguments), self.environment, **options))
        return self.open[-1]

    def arguments(self):
        return json.loads(Path(f"{self.script}.arguments").read_text())

    def signals(self):
        path = Path(f"{self.script}.signals")
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def close(self):
        self.gate.touch()
        for one in self.open:
            if isinstance(one, Terminal):
                one.close()
            elif one.poll() is None:
                one.kill()
                one.communicate()


@pytest.fixture
def updates(instance):
    made = Updates(instance)
    yield made
    made.close()


# ---- looking ----


def test_check_tells_what_there_is(updates):
    updates.say({"say": CHECK})
    told = updates.run("--check", check=0).stdout
    assert told == ("not reached: github:o/r: no answer\n"
                    "1.0.0 -> 1.2.0\n"
                    "  from     https://example.com/index.json\n"
                    "  file     demo-1.2.0.tar.xz, 10.0 MiB\n"
                    "  | Faster.\n"
                    "  |  Safer, too: \\x1b[2J\n"
                    "  page     https://example.com/1.2.0\n")
    assert updates.arguments() == ["--root", str(updates.instance.root), "check"]
    answer = json.loads(updates.run("--check", "--json", "--exit-code", check=1).stdout)
    assert answer["version"] == "1.2.0" and answer["notes"] == CHECK["notes"] and answer["releases"] == []
    updates.say({"say": {"current_version": "1.2.0"}})
    assert updates.run("--check", "--exit-code", check=0).stdout == "nothing newer than 1.2.0\n"


def test_options_are_passed_on_and_paths_made_whole(updates, tmp_path):
    (tmp_path / "releases").mkdir()
    updates.say({"say": CHECK})
    updates.run("--check", "--to", "1.2.0", "--from", "releases", "--region", "cn", "--force", cwd=tmp_path, check=0)
    assert updates.arguments()[2:] == ["check", "--to", "1.2.0", "--from", str(tmp_path / "releases"), "--region", "cn",
                                       "--force"]
    updates.say(done())
    updates.run("--rollback", "--yes", check=0)
    arguments = updates.arguments()
    assert arguments[2:4] == ["apply", "--rollback"]
    assert arguments[4] == "--upgrade-id" and len(arguments[5]) == 32
    updates.run("--yes", "--from", "https://example.com/", check=0)
    assert "https://example.com/" in updates.arguments()


def test_list_shows_a_table(updates):
    releases = [{"version": "2.0.0-rc.1", "is_available": True, "is_prerelease": True},
                {"version": "1.2.0", "is_available": True, "is_withdrawn": True},
                {"version": "1.1.0", "is_installed": True}, {"version": "1.0.0", "is_current": True}]
    updates.say({"say": {"current_version": "1.0.0", "releases": releases}})
    assert updates.run("--list", check=0).stdout == ("VERSION     STATE\n"
                                                     "2.0.0-rc.1  available    pre-release\n"
                                                     "1.2.0       available    withdrawn\n"
                                                     "1.1.0       on the disk\n"
                                                     "1.0.0       current\n")
    assert updates.arguments()[2:] == ["check", "--list"]


def test_a_check_that_fails_says_why(updates):
    updates.say(done("no source answers", 14, error={"hint": "look at update.sources"}), {"exit": 4})
    told = updates.run("--check", check=4)
    assert told.stdout == "" and told.stderr == "flocks: no source answers\n  hint: look at update.sources\n"
    answer = json.loads(updates.run("--check", "--json", check=4).stdout)
    assert answer["error"]["code"] == 14 and answer["error"]["details"][0]["hint"] == "look at update.sources"


@pytest.mark.parametrize("steps, text", [
    ([{"exit": 3}], "flocks-update exited with 3"),
    ([{"word": "no memory"}, {"kill": 9}], "flocks-update was ended by signal 9: no memory"),
    ([{"say": {"error": {"code": 3, "message": "no such option"}}}, {"exit": 2}], "flocks: no such option\n"),
    ([{"raw": "{\"current_version\": 7}\n"}], "a line of flocks-update is left out"),
    ([{"raw": "{\"version\": \"1"}, {"leave": 30}, {"kill": 9}], "flocks-update was ended by signal 9"),
])
def test_a_check_without_an_answer_fails(updates, steps, text):
    updates.say(*steps)
    told = updates.run("--check")
    assert told.returncode in (1, 2) and text in told.stderr


def test_a_silent_check_ends_with_its_deadline(updates):
    updates.say({"wait": str(updates.gate)})
    told = updates.run("--check", "--timeout", "300ms", check=4)
    assert "no answer within the deadline" in told.stderr


def test_ctrl_c_ends_a_check_and_its_updater(updates):
    started = updates.instance.root / "started"
    updates.say({"touch": str(started)}, {"wait": str(updates.gate)})
    terminal = updates.terminal("--check")
    wait_until(started.exists, what="it looks")
    (updater,) = [pid for pid in updates.instance.processes() if pid != terminal.process.pid]
    terminal.interrupt()
    assert terminal.wait() == 130
    wait_until(lambda: not is_alive(updater), what="nobody looks any more")


# ---- asking ----


def test_without_a_terminal_nothing_is_begun(updates):
    updates.say(done())
    told = updates.run(check=2)
    assert "there is no terminal" in told.stderr and "--yes" in told.stderr
    answer = json.loads(updates.run("--json", check=2).stdout)
    assert answer["error"]["code"] == 3
    assert not Path(f"{updates.script}.arguments").exists()


def test_options_that_do_not_go_together_are_refused(updates):
    for arguments in (["--check", "--list"], ["--rollback", "--to", "1"], ["--exit-code"], ["--abort", "--yes"],
                      ["--check", "--yes"], ["--rollback", "--from", "x"], ["--list", "--rollback"], ["1.2.0"]):
        updates.run(*arguments, check=2)


def test_a_person_is_asked_and_gets_what_was_shown(updates):
    updates.say({"say": CHECK})
    terminal = updates.terminal()
    terminal.wait_for(b"upgrade? [y/N] ")
    assert "1.0.0 -> 1.2.0" in terminal.text() and "\\x1b[2J" in terminal.text()
    assert b"\x1b[2J" not in terminal.seen
    updates.say(done())
    terminal.type("y\n")
    assert terminal.wait() == 0
    assert updates.arguments()[2:5] == ["apply", "--to", "1.2.0"]
    assert "flocks: 1.2.0 serves (" in terminal.text()


def test_a_person_who_says_no_changes_nothing(updates):
    updates.say({"say": CHECK})
    terminal = updates.terminal("--rollback")
    terminal.wait_for(b"roll back? [y/N] ")
    assert updates.arguments()[2:] == ["check", "--rollback"]
    terminal.type("\n")
    assert terminal.wait() == 1
    assert "nothing was changed" in terminal.text()
    assert updates.arguments()[2] == "check"


# ---- progress ----


def test_steps_are_lines_where_nothing_can_be_drawn(updates):
    updates.say(progress("CHECKING", 1, "looking at https://example.com"), progress("DOWNLOADING", 2, "demo.tar.xz"),
                progress("DOWNLOADING", 2, "demo.tar.xz", bytes_done="5", bytes_total="10"),
                progress("UNPACKING", 3), progress("COMMITTING", 4, "\x1b[31mx"), done())
    told = updates.run("--yes", check=0)
    assert told.stdout == ""
    assert timeless(told.stderr) == ("flocks: [1/8] looking at https://example.com\n"
                           "flocks: [2/8] demo.tar.xz\n"
                           "flocks: [3/8] Unpacking\n"
                           "flocks: [4/8] \\x1b[31mx\n"
                           "flocks: 1.2.0 serves\n")
    assert updates.run("--yes", "--quiet", check=0).stderr == ""


def test_json_is_one_progress_a_line(updates):
    updates.say(progress("CHECKING", 1), FAILED, {"exit": 5})
    told = updates.run("--yes", "--json", check=5)
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["step"] for line in lines] == ["UPGRADE_STEP_CHECKING", "UPGRADE_STEP_DONE"]
    assert lines[1]["code"] == 9 and lines[1]["error"]["hint"] == "logs/update.log says more"
    assert told.stderr == ""


def test_a_failure_says_which_step_why_and_what_to_do(updates):
    updates.say(progress("INSTALLING", 5), FAILED, {"exit": 5})
    told = updates.run("--yes", "--quiet", check=5)
    assert told.stderr == "flocks: installing 1.2.0: npm ci exited with 1\n  hint: logs/update.log says more\n"


def test_lines_that_are_no_good_are_left_out(updates):
    updates.say({"raw": "not JSON\n"}, {"raw": "\n\n"}, {"raw": "{\"step\": \"UPGRADE_STEP_DONE\", \"new\": 1}\n"},
                {"raw": "\x00\xff[[[[\n"}, {"fill": 2 * 1024 * 1024}, {"raw": "\n"}, {"say": CHECK},
                {"repeat": 1000, "of": [{"raw": "[" * 100 + "\n"}]}, progress("CHECKING", 1, "y" * 5000), done())
    told = updates.run("--yes", check=0)
    assert told.stderr.count("a line of flocks-update is left out") == 5
    assert "flocks: 1.2.0 serves\n" in timeless(told.stderr)
    assert max(map(len, told.stderr.splitlines())) < 1200
    lines = updates.run("--yes", "--json", check=0).stdout.splitlines()
    assert json.loads(lines[-1])["step"] == "UPGRADE_STEP_DONE" and len(lines) == 2


@pytest.mark.parametrize("steps, text", [
    ([{"kill": 9}], "flocks-update was ended by signal 9"),
    ([{"raw": "{\"step\": \"UPGRADE_STEP_DONE\"}"}, {"leave": 30}, {"exit": 0}], "flocks-update exited with 0"),
    ([{"word": "\x1b[2Jout of memory"}, {"exit": 1}], "exited with 1: \\x1b[2Jout of memory"),
    ([{"repeat": 9999, "of": [{"word": "noise"}]}, {"exit": 1}], "exited with 1: noise; noise"),
])
def test_a_sudden_death_is_told(updates, steps, text):
    updates.say(progress("DOWNLOADING", 2), *steps)
    told = updates.run("--yes", check=1)
    assert "how the upgrade went is not known" in told.stderr and text in told.stderr
    assert told.stderr.count("noise") <= 20
    lines = updates.run("--yes", "--json", check=1).stdout.splitlines()
    assert json.loads(lines[-1])["error"]["code"] == 13


def test_a_failure_before_the_first_step_is_told(updates):
    detail = {"@type": "type.googleapis.com/flocks.v1.ErrorDetail", "reason": "ERROR_REASON_UPGRADE_RUNNING",
              "hint": "wait"}
    updates.say({"say": {"error": {"code": 6, "message": "another upgrade is running", "details": [detail]}}},
                {"word": "flocks-update: another upgrade is running"}, {"exit": 5})
    assert updates.run("--yes", check=5).stderr == "flocks: another upgrade is running\n  hint: wait\n"
    answer = json.loads(updates.run("--yes", "--json", check=5).stdout)
    assert answer["error"]["details"][0]["reason"] == "ERROR_REASON_UPGRADE_RUNNING"


def test_an_end_that_contradicts_its_word_is_told(updates):
    updates.say(done(), {"exit": 23})
    assert "flocks-update exited with 23" in updates.run("--yes", check=1).stderr


def test_one_that_cannot_be_run_is_told(updates, tmp_path):
    (tmp_path / "flocks-update").write_text("#!/nowhere/at/all\n")
    (tmp_path / "flocks-update").chmod(0o755)
    updates.environment["FLOCKS_LIBEXEC"] = str(tmp_path)
    told = updates.run("--yes", check=1)
    assert "ENOENT" in told.stderr and f"run {tmp_path}/flocks-update" in told.stderr


def test_a_terminal_has_a_bar_and_steps_that_stay(updates):
    updates.say(progress("CHECKING", 1, "looking"),
                progress("DOWNLOADING", 2, "demo.tar.xz", bytes_done="5242880", bytes_total="10485760"),
                {"wait": str(updates.gate)}, progress("ROLLING_BACK", message="back"), FAILED, {"exit": 5})
    terminal = updates.terminal("--yes")
    terminal.wait_for(b" 50%, 5.0 MiB of 10.0 MiB")
    assert "[============>           ]" in terminal.text()
    updates.gate.touch()
    assert terminal.wait() == 5
    assert "[2/8] demo.tar.xz  did not succeed" in terminal.text()
    assert "Rolling back: back" in terminal.text() and "back  did not succeed" not in terminal.text()
    assert "hint: logs/update.log says more" in terminal.text()


# ---- leaving ----


def test_ctrl_c_undoes_the_upgrade_in_order(updates):
    updates.say(progress("DOWNLOADING", 2), {"signal": 2}, progress("ROLLING_BACK", 3),
                done("interrupted by a person", 1), {"exit": 1})
    terminal = updates.terminal("--yes")
    terminal.wait_for(b"[2/8]")
    terminal.interrupt()
    assert terminal.wait() == 1
    assert "undoing the upgrade" in terminal.text() and "interrupted by a person" in terminal.text()
    assert updates.signals() == [2]


def test_a_second_ctrl_c_leaves_it_to_itself(updates):
    over = updates.instance.root / "over"
    updates.say(progress("DOWNLOADING", 2), {"signal": 2}, {"wait": str(updates.gate)}, done(), {"touch": str(over)})
    terminal = updates.terminal("--yes")
    terminal.wait_for(b"[2/8]")
    terminal.interrupt()
    terminal.wait_for(b"undoing the upgrade")
    terminal.interrupt()
    assert terminal.wait() == 130
    assert "is being undone by itself" in terminal.text() and "--abort" in terminal.text()
    assert updates.signals() == [2]
    updates.gate.touch()
    wait_until(over.exists, what="it goes on to its end")


def test_a_closed_terminal_changes_nothing(updates):
    over = updates.instance.root / "over"
    updates.say(progress("DOWNLOADING", 2), {"wait": str(updates.gate)}, {"repeat": 2000, "of": [progress("UNPACKING")]},
                done(), {"touch": str(over)})
    terminal = updates.terminal("--yes")
    terminal.wait_for(b"[2/8]")
    os.close(terminal.leader)
    terminal.leader = os.open("/dev/null", os.O_RDONLY)
    wait_until(lambda: not is_alive(terminal.process.pid), what="the command goes with its terminal")
    updates.gate.touch()
    wait_until(over.exists, what="the upgrade goes on to its end")
    assert updates.signals() == []


def test_sigterm_leaves_it_and_names_it(updates):
    updates.say(progress("DOWNLOADING", 2), {"wait": str(updates.gate)}, done())
    process = updates.begin("--yes", "--json")
    assert json.loads(process.stdout.readline())["step"] == "UPGRADE_STEP_DOWNLOADING"
    os.kill(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    identity = updates.arguments()[updates.arguments().index("--upgrade-id") + 1]
    assert identity in json.loads(out)["error"]["message"]


def test_a_deadline_leaves_it(updates):
    updates.say(progress("DOWNLOADING", 2), {"wait": str(updates.gate)}, done())
    told = updates.run("--yes", "--timeout", "500ms", check=4)
    assert "the deadline passed" in told.stderr and "goes on by itself" in told.stderr
    assert updates.signals() == []


def test_ctrl_c_gets_through_a_flood(updates):
    updates.say({"repeat": 1000000, "of": [{"raw": ("x" * 199 + "\n") * 200}]})
    process = updates.begin("--yes", "--quiet")
    wait_until(Path(f"{updates.script}.arguments").exists, what="the stand-in runs")
    os.kill(process.pid, signal.SIGINT)
    wait_until(lambda: updates.signals() == [2], what="it is told to undo")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130


# ---- aborting ----

# Holds the lock of upgrades, as flocks-update does, until SIGTERM.
HOLDER = """
import fcntl, os, signal, struct, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
os.write(fd, b"%d flocks-update apply 7 for a test\\n" % os.getpid())
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def holder(updates, foreigners):
    """A function that runs HOLDER under this name."""

    def hold(name):
        (updates.instance.root / "run").mkdir(mode=0o700, exist_ok=True)
        program = shutil.copy("/usr/bin/python3", updates.instance.root / name)
        foreigners.append(subprocess.Popen([program, "-c", HOLDER, updates.instance.root / "run" / "upgrade.lock"],
                                           stdout=subprocess.PIPE, text=True))
        assert foreigners[-1].stdout.readline() == "held\n"
        return foreigners[-1]

    return hold


def test_abort_without_an_upgrade_has_nothing_to_do(updates):
    assert updates.run("--abort", check=0).stderr == "flocks: no upgrade is going on\n"
    assert json.loads(updates.run("--abort", "--json", check=0).stdout) == {}
    updates.instance.write(CONFIG)
    updates.instance.start()
    assert updates.run("--abort", check=0).stderr == "flocks: no upgrade is going on\n"


def test_abort_without_a_daemon_asks_the_updater(updates, holder):
    process = holder("flocks-update")
    told = updates.run("--abort", check=0)
    assert f"pid {process.pid} has been asked to undo its upgrade" in told.stderr
    assert "it has ended, and no upgrade is unfinished" in told.stderr
    assert process.wait(timeout=30) == 0


def test_abort_signals_nobody_but_an_updater(updates, holder):
    process = holder("somebody")
    told = updates.run("--abort", check=5)
    assert f"pid {process.pid}" in told.stderr and "which is no flocks-update" in told.stderr
    assert process.poll() is None


def test_abort_ends_what_a_dead_updater_left(updates):
    (updates.instance.root / "run").mkdir(mode=0o700)
    (updates.instance.root / "run" / "upgrade.journal").write_text("flocks-upgrade ...")
    updates.say(progress("ROLLING_BACK", message="links are put back"), done("rolled back", 1), {"exit": 1})
    told = updates.run("--abort", check=1)
    assert updates.arguments()[2:] == ["recover"] and "flocks: rolled back" in told.stderr
    updates.say({"exit": 0})
    assert updates.run("--abort", check=0).stderr == ""


@pytest.mark.no_chaos(reason="reports over one connection")
def test_abort_of_an_upgrade_that_reports_waits_for_its_end(updates, stubs):
    updates.instance.write(CONFIG)
    updates.instance.start()
    upgrades = Upgrades(updates.instance, stubs)
    for code, exit_code, text in ((1, 0, "flocks: undone: aborted"), (0, 0, "flocks: it had ended: aborted")):
        upgrades.report(f"u{code}", "DOWNLOADING", "demo", step_number=2, steps=8)
        process = updates.begin("--abort")
        wait_until(lambda: upgrades.report(f"u{code}", "DOWNLOADING", "demo").abort, what="it is asked to end")
        upgrades.report(f"u{code}", "DONE", "aborted", code=code)
        _, told = process.communicate(timeout=60)
        assert process.returncode == exit_code, told
        assert text in told


@pytest.mark.no_chaos(reason="reports over one connection")
def test_status_and_why_show_an_upgrade(updates, stubs, holder):
    updates.instance.write(CONFIG)
    updates.instance.start()
    upgrades = Upgrades(updates.instance, stubs)
    updater = holder("flocks-update")
    assert "upgrade" not in updates.instance.flocks("status", check=0).stdout
    upgrades.report("u1", "DOWNLOADING", "demo\x1b[2J", step_number=2, steps=8, from_version="1.0.0",
                    to_version="1.2.0", bytes_done=5 << 20, bytes_total=10 << 20)
    line = "upgrade 1.0.0 -> 1.2.0: [2/8] demo\\x1b[2J, 50%, 5.0 MiB of 10.0 MiB, for "
    assert line in updates.instance.flocks("status", check=0).stdout
    assert updates.instance.flocks("why", check=0).stdout.startswith(line)
    lease = upgrades.call("BeginUpgrade", owner="test", services=["one"]).lease.id
    upgrades.report("u1", "STOPPING", "one", lease_id=lease, from_version="1.0.0", to_version="1.2.0")
    told = updates.instance.flocks("why", "one", check=0).stdout
    assert "  lease         test" in told and "upgrade 1.0.0 -> 1.2.0: one, for " in told
    assert "upgrade" not in updates.instance.flocks("why", "two", check=0).stdout
    upgrades.call("AbortUpgrade", lease_id=lease)
    upgrades.report("u1", "DONE", "aborted", code=1)
    wait_until(lambda: "upgrade" not in updates.instance.flocks("status").stdout, what="it is over")
    assert updater.poll() is None


# ---- from inside ----


def test_from_inside_a_service_without_a_daemon_it_is_a_child(updates):
    updates.environment["FLOCKS_SERVICE"] = "one"
    updates.say(done())
    updates.run("--yes", check=0)
    assert updates.arguments()[2] == "apply"
