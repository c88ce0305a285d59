import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from keeper_process import Keeper, children_of, is_alive, wait_for


@pytest.fixture
def keeper():
    with Keeper() as running:
        yield running


def exit_of(keeper, slot, generation):
    return wait_for("exit", lambda: [e for e in keeper.exits() if e[1:3] == (slot, generation)])[0]


def descriptors_of(keeper):
    """How many the keeper has between two requests: what came with one (a spawn's memory) is closed
    after its answer, and before the next is read."""
    keeper.children()
    return len(os.listdir(f"/proc/{keeper.pid}/fd"))


def output_of(log, end):
    """The whole text of a log, once it ends in `end`."""
    def read():
        with contextlib.suppress(FileNotFoundError):
            with open(log) as file:
                text = file.read()
            return text if text.rstrip().endswith(end) else None
        return None
    return wait_for(f"output ending in {end!r}", read)


def test_spawn_runs_program_in_its_own_session(keeper):
    log = keeper.register(0)
    answer = keeper.spawn(0, 1, "sh", "-c", "echo out; echo err >&2; pwd; exec sleep 1000")
    assert answer[0] == "ok"
    pid, ticks = int(answer[1]), int(answer[2])
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    assert (int(fields[1]), int(fields[2]), int(fields[3])) == (keeper.pid, pid, pid)
    assert int(fields[19]) == ticks
    assert output_of(log, "/") == "out\nerr\n/\n"
    assert keeper.children() == [(0, 1, pid, ticks, 0, 0)]


def test_spawn_gives_child_only_what_it_was_meant_to_have(keeper):
    log = keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c",
                 "ls -l /proc/self/fd | grep -c '^l'; cat /proc/self/fd/3; grep Sig[BI] /proc/self/status;"
                 "ulimit -n; umask; nice; cat /proc/self/oom_score_adj; ulimit -t; tr '\\0' ' ' </proc/self/environ",
                 memory="secret", umask="027", nice=3, oom=100, cpu=77)
    lines = output_of(log, "/bin").splitlines()
    soft = subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True, text=True).stdout.strip()
    assert lines[0] == "5", "0, 1, 2, 3 and the directory itself"
    assert lines[1].startswith("secretSigBlk:\t0000000000000000")
    assert lines[2].split()[1] == "0" * 16
    assert lines[3:7] == [soft, "0027", "3", "100"]
    assert lines[7] == "77"
    assert lines[8].split() == ["PATH=/usr/bin:/bin"]


def test_spawn_sets_the_mark_for_all_descendants(keeper):
    log = keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c", "(setsid cat /proc/self/limits); echo end", mark=1152921504606846999)
    line = next(line for line in output_of(log, "end").splitlines() if "realtime timeout" in line)
    assert line.split()[3] == "1152921504606846999"


@pytest.mark.parametrize("settings, command, errno, step", [
    ({}, ["/no/such/program"], 2, "execute it"),
    ({}, ["no-such-program"], 2, "execute it"),
    ({}, ["/etc/passwd"], 13, "execute it"),
    ({"directory": "/no/such/directory"}, ["true"], 2, "enter its directory"),
    ({"nice": 0, "oom": -5000}, ["true"], 22, "set its priority"),
])
def test_spawn_tells_the_step_that_failed_and_no_exit(keeper, settings, command, errno, step):
    keeper.register(0)
    answer = keeper.spawn(0, 1, *command, **settings)
    assert answer[0] == "failed" and int(answer[1]) == errno and " ".join(answer[2:]) == step
    assert keeper.spawn(0, 2, "true")[0] == "ok"
    exit_of(keeper, 0, 2)
    assert [e[2] for e in keeper.exits()] == [2]


def test_spawn_changes_user_when_root(keeper):
    if os.getuid() != 0:
        pytest.skip("only root may")
    log = keeper.register(0)
    keeper.spawn(0, 1, "id", uid=65534)
    assert output_of(log, ")").startswith("uid=65534")


def test_spawn_takes_long_environment(keeper):
    log = keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c", "echo ${#BIG}", big=100000)
    assert output_of(log, "99996") == "99996\n"
    answer = keeper.spawn(0, 2, "true", big=5000000)
    assert answer[0] == "failed" and int(answer[1]) == 7, "the kernel's bound, told as E2BIG"


def test_spawn_refuses_a_slot_that_lives_and_old_generations(keeper):
    keeper.register(0)
    keeper.spawn(0, 5, "sleep", "1000")
    assert keeper.spawn(0, 6, "true")[:2] == ["error", "ALREADY_EXISTS"]
    keeper.ok("signal", 0, 5, 9, "leader")
    exit_of(keeper, 0, 5)
    assert keeper.spawn(0, 5, "true")[:2] == ["error", "ALREADY_EXISTS"]
    assert keeper.spawn(0, 6, "true")[0] == "ok"
    assert keeper.spawn(1, 1, "true")[:2] == ["error", "FAILED_PRECONDITION"], "no output"
    assert keeper.spawn(2047, 1, "true")[:2] == ["error", "INVALID_ARGUMENT"]


def test_signal_reaches_group_after_leader_has_gone(keeper):
    keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c", "sleep 1000 & echo $! >&2; exit 3")
    assert exit_of(keeper, 0, 1)[4] == 3 << 8
    stray = wait_for("stray", lambda: [
        pid for pid, words in children_of(keeper.pid) if words == ["sleep", "1000"]])[0]
    keeper.ok("acknowledge-all")
    assert keeper.last("signal", 0, 1, 9, "leader")[1] == "NOT_FOUND"
    keeper.ok("signal", 0, 1, 9, "group")
    wait_for("stray has gone", lambda: not is_alive(stray))
    wait_for("stray was counted", lambda: keeper.facts()["strays"] == 1)
    wait_for("stray was told", lambda: [e for e in keeper.exits() if e[5] == 1 and e[3] == stray])
    assert keeper.last("signal", 0, 1, 9, "group")[1] == "NOT_FOUND"
    assert keeper.last("signal", 0, 7, 9, "group")[1] == "NOT_FOUND"


def test_strays_beyond_the_bound_are_counted(keeper):
    keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c", "i=0; while [ $i -lt 400 ]; do (true &) ; i=$((i+1)); done")
    exit_of(keeper, 0, 1)
    wait_for("strays", lambda: keeper.facts()["strays"] == 400)
    assert len(keeper.exits()) <= 257


def test_strays_are_counted_by_their_generation(keeper):
    marks = [(1 << 60) + 7, (1 << 60) + 8]
    orphan = "(sleep 1000 &) ; exit 0"
    for slot, mark in enumerate(marks):
        keeper.register(slot)
        keeper.spawn(slot, 1, "sh", "-c", orphan, mark=mark)
        exit_of(keeper, slot, 1)
    keeper.ok("signal", 0, 1, 9, "group")
    wait_for("its stray was counted", lambda: keeper.ok("strays", marks[0]) == ["1"])
    assert keeper.ok("strays", marks[1]) == ["0"], "another generation's are not its own"
    keeper.ok("signal", 1, 1, 9, "group")
    wait_for("the other's, too", lambda: keeper.ok("strays", marks[1]) == ["1"])
    assert keeper.ok("strays", 0) == ["2"]


def test_strays_without_a_mark_may_be_anybodys(keeper):
    keeper.register(0)
    keeper.spawn(0, 1, "sh", "-c", "(true &) ; exit 0")
    wait_for("counted", lambda: keeper.ok("strays", (1 << 60) + 7) == ["1"])


def test_flocksd_killed_children_state_and_exits_stay(keeper):
    keeper.register(0)
    keeper.register(1)
    keeper.spawn(0, 1, "sleep", "1000")
    keeper.spawn(1, 1, "sh", "-c", "exit 7")
    exit_of(keeper, 1, 1)
    keeper.ok("put", "remembered")
    before = keeper.children()
    keeper.kill_flocksd()
    facts = keeper.facts()
    assert (facts["earlier_starts"], facts["was_ready"]) == (1, 1)
    assert keeper.ask("get")[0] == "remembered"
    assert keeper.children() == before
    assert exit_of(keeper, 1, 1)[4] == 7 << 8, "not acknowledged, so told again"
    keeper.ok("acknowledge-all")
    keeper.kill_flocksd()
    assert keeper.exits() == []
    assert [child[0] for child in keeper.children()] == [0]


def test_flocksd_killed_200_times_children_stay(keeper):
    for slot in range(20):
        keeper.register(slot)
        keeper.spawn(slot, 1, "sleep", "1000")
    before = keeper.children()
    for _ in range(200):
        keeper.kill_flocksd()
    assert keeper.children() == before
    assert keeper.facts()["earlier_starts"] == 200


def kill_keeper(keeper):
    """The flocksd of before becomes the next keeper: its pid."""
    facts = keeper.facts()
    os.kill(facts["keeper"], signal.SIGKILL)

    def other():
        with contextlib.suppress(OSError):
            return keeper.facts()["keeper"] == facts["pid"]
        return False
    wait_for("flocksd is the keeper", other)
    return facts["pid"]


def test_pipes_that_flocksd_did_not_hold_yet_are_found_again(keeper):
    """It registers what it finds in the state, and may lose its keeper before. What is in the pipes then, too."""
    log = keeper.register(0)
    pid = int(keeper.spawn(0, 1, "sh", "-c", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i % 10)) = 0 ] && sleep 0.005;"
                                             " done; echo end; sleep 1000")[1])
    heir = None
    try:
        for round in range(4):
            heir = kill_keeper(keeper)
            if round == 2:
                os.kill(wait_for("capture", lambda: capture_of(heir)), signal.SIGKILL)
        # The last one is told nothing of the slot either.
        heir = kill_keeper(keeper)
        keeper.register(0)
        assert output_of(log, "end").split() == [str(i) for i in range(1, 3001)] + ["end"]
    finally:
        end_heir(heir, pid)


def capture_of(keeper_pid):
    return next((pid for pid, words in children_of(keeper_pid) if "--capture" in words), None)


def kill_both(keeper):
    flocksd = keeper.facts()["pid"]
    os.kill(flocksd, signal.SIGSTOP)
    keeper.process.kill()
    keeper.process.wait()
    os.kill(flocksd, signal.SIGKILL)
    wait_for("flocksd has gone", lambda: not is_alive(flocksd))


def end_heir(heir, *others):
    """The fixture knows the first keeper only. flocksd first: it would be the next heir; and so would one that is run meanwhile."""
    with contextlib.suppress(OSError, TypeError):
        os.kill(heir, signal.SIGSTOP)
    for left in [*(child[0] for child in (children_of(heir) if heir else [])), heir, *others]:
        with contextlib.suppress(OSError, TypeError):
            os.kill(left, signal.SIGKILL)


def test_keeper_killed_flocksd_becomes_it_and_nothing_is_lost(keeper):
    """Children, exits nobody had acknowledged, state, output; and the heir needs no heap either."""
    log = keeper.register(0)
    keeper.register(1)
    keeper.ok("put", "remembered")
    pid = int(keeper.spawn(
        0, 1, "sh", "-c", "trap 'echo heard; exit 5' TERM; echo up; while :; do sleep 0.02; done")[1])
    keeper.spawn(1, 3, "sh", "-c", "exit 4")
    sequence = exit_of(keeper, 1, 3)[0]
    output_of(log, "up")
    heir = None
    try:
        for _ in range(5):
            heir = kill_keeper(keeper)
            assert is_alive(pid)
            assert keeper.ask("get")[0] == "remembered"
            told = exit_of(keeper, 1, 3)
            assert told[4] == 4 << 8, "not acknowledged, so told again"
            assert told[0] > sequence, "numbers go on"
            sequence = told[0]
            keeper.register(0)
        keeper.ok("acknowledge-all")
        # Answered behind it: the keeper has heard.
        keeper.children()
        heir = kill_keeper(keeper)
        assert keeper.exits() == []
        assert keeper.last("spawn", 0, 1, 0, "--", "true")[0] == "error", "the slot lives"
        keeper.ok("signal", 0, 1, signal.SIGTERM, "group")
        assert exit_of(keeper, 0, 1)[4] == 5 << 8
        keeper.register(0)
        assert keeper.last("spawn", 0, 1, 0, "--", "true")[0] == "error", "that generation has been"
        assert keeper.spawn(0, 2, "echo", "again")[0] == "ok"
        assert output_of(log, "again").replace("Terminated\n", "") == "up\nheard\nagain\n"
        keeper.ok("leave")
        with contextlib.suppress(OSError):
            keeper.ask("exit", 0)
        wait_for("the heir's end", lambda: not is_alive(heir))
        assert os.listdir(keeper.path("run")) == ["flocksd.lock"]
        heir = None
    finally:
        end_heir(heir, pid)


def stopped_flocksd(keeper_pid):
    """The one that was asked to stop before it opens its link, once it has."""
    def find():
        for pid, words in children_of(keeper_pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
                if "--keeper-fd" in words and file.read().rsplit(")", 1)[1].split()[0] == "T":
                    return pid
        return None
    return wait_for("flocksd stops", find)


def become_early(keeper, keeper_pid):
    """flocksd is killed, the keeper too before the next one has said Hello; that one is let go on."""
    facts = keeper.facts()
    open(keeper.path("stop-early"), "w").close()
    os.kill(facts["pid"], signal.SIGKILL)
    heir = stopped_flocksd(keeper_pid)
    os.kill(keeper_pid, signal.SIGKILL)
    wait_for("the keeper's end", lambda: not is_alive(keeper_pid))
    os.kill(heir, signal.SIGCONT)

    def serves():
        with contextlib.suppress(OSError):
            return keeper.facts()["keeper"] == heir
        return False
    wait_for("flocksd is the keeper", serves)
    return heir


def test_keeper_killed_before_the_hello_of_flocksd_is_succeeded_all_the_same(keeper):
    log = keeper.register(0)
    keeper.register(1)
    keeper.ok("put", "remembered")
    pid = int(keeper.spawn(
        0, 1, "sh", "-c", "trap 'echo heard; exit 5' TERM; echo up; while :; do sleep 0.02; done")[1])
    output_of(log, "up")
    keeper.spawn(1, 3, "sh", "-c", "exit 4")
    exit_of(keeper, 1, 3)
    heir = keeper.pid
    try:
        for _ in range(3):
            heir = become_early(keeper, heir)
            assert is_alive(pid)
            assert keeper.ask("get")[0] == "remembered"
            assert exit_of(keeper, 1, 3)[4] == 4 << 8
        keeper.register(0)
        keeper.ok("signal", 0, 1, signal.SIGTERM, "group")
        assert exit_of(keeper, 0, 1)[4] == 5 << 8
        assert output_of(log, "heard").replace("Terminated\n", "") == "up\nheard\n"
        keeper.ok("leave")
        with contextlib.suppress(OSError):
            keeper.ask("exit", 0)
        wait_for("the heir's end", lambda: not is_alive(heir))
        assert os.listdir(keeper.path("run")) == ["flocksd.lock"]
        heir = None
    finally:
        end_heir(heir, pid)


@pytest.mark.parametrize("mode", ["", "fail"])
def test_keeper_killed_before_the_first_hello_is_succeeded_or_the_end_is_told(mode, tmp_path):
    """One that cannot serve ends the instance, as under the first keeper: nobody was ever ready."""
    (tmp_path / "stop-early").touch()
    command = [os.environ["FLOCKS_KEEPER"], "--root", str(tmp_path), "--flocksd", os.environ["FLOCKS_FAKE_FLOCKSD"]]
    first = subprocess.Popen(command, env={**os.environ, "FAKE_FLOCKSD": mode}, stdin=subprocess.DEVNULL)
    heir = None
    try:
        heir = stopped_flocksd(first.pid)
        first.kill()
        first.wait()
        os.kill(heir, signal.SIGCONT)
        if mode == "fail":
            wait_for("the end", lambda: not is_alive(heir))
            assert os.listdir(tmp_path / "run") == ["flocksd.lock"]
        else:
            wait_for("a flocksd", lambda: any("--keeper-fd" in words for _, words in children_of(heir)))
    finally:
        first.kill()
        end_heir(heir)


def test_forgotten_slot_begins_again_for_the_next_keeper_too(keeper):
    keeper.register(0)
    keeper.spawn(0, 9, "true")
    exit_of(keeper, 0, 9)
    keeper.ok("acknowledge-all")
    keeper.ok("forget", 0)
    keeper.register(0)
    pid = int(keeper.spawn(0, 1, "sleep", "1000")[1])
    heir = kill_keeper(keeper)
    try:
        assert [child[:3] for child in keeper.children()] == [(0, 1, pid)]
        keeper.ok("signal", 0, 1, signal.SIGKILL, "leader")
        assert exit_of(keeper, 0, 1)[4] == signal.SIGKILL
    finally:
        end_heir(heir, pid)


def test_exits_while_no_flocksd_listens_are_all_told(keeper):
    count = 300
    for slot in range(count):
        keeper.register(slot)
        keeper.spawn(slot, 1, "sleep", "1000")
    pids = {child[2] for child in keeper.children()}
    assert len(pids) == count
    flocksd = keeper.facts()["pid"]
    os.kill(flocksd, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for("children are gone", lambda: not any(is_alive(pid) for pid in pids))
    os.kill(flocksd, signal.SIGKILL)
    wait_for("exits", lambda: _quietly(keeper.exits) and len(keeper.exits()) == count)
    exits = keeper.exits()
    assert {e[3] for e in exits} == pids
    assert [e[0] for e in exits] == list(range(1, count + 1))
    assert keeper.spawn(0, 2, "true")[0] == "ok", "a slot need not wait for the acknowledgement"


def _quietly(function):
    with contextlib.suppress(OSError):
        return function()
    return None


def test_flocksd_that_dies_before_ready_is_an_error():
    with Keeper(mode="die", ready=False) as keeper:
        assert keeper.word.startswith("error flocksd ended before it was ready (exit code 9)")
        assert keeper.process.wait(10) == 1
        assert not os.path.exists(keeper.path("run/flocksd.sock"))
        assert "exit_code=9" in keeper.log()


def test_flocksd_that_cannot_serve_says_why():
    with Keeper(mode="fail", ready=False) as keeper:
        assert keeper.word == "error no such port\n"
        assert keeper.process.wait(10) == 1


def test_missing_flocksd_is_an_error():
    with tempfile.TemporaryDirectory() as root:
        with Keeper(root=root, ready=False, options=["--flocksd", "/no/flocksd"]) as keeper:
            assert keeper.word.startswith("error find /no/flocksd")
            assert keeper.process.wait(10) == 1


def test_ten_at_once_one_wins():
    with tempfile.TemporaryDirectory() as root, contextlib.ExitStack() as stack:
        import threading
        keepers = []

        def start():
            keepers.append(Keeper(root=root, ready=False))
        threads = [threading.Thread(target=start) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for running in keepers:
            stack.enter_context(running)
        assert sorted(k.word for k in keepers) == ["busy\n"] * 9 + ["ready\n"]
        winner = next(k for k in keepers if k.word == "ready\n")
        assert all(k.process.wait(10) == 5 for k in keepers if k is not winner)
        with open(os.path.join(root, "run/flocksd.lock")) as file:
            assert int(file.read()) == winner.pid
        assert winner.leave() == 0


def test_socket_is_private_and_a_dead_one_is_replaced():
    with tempfile.TemporaryDirectory() as root:
        with Keeper(root=root) as first:
            assert os.stat(first.path("run/flocksd.sock")).st_mode & 0o777 == 0o600
            kill_both(first)
        assert os.path.exists(os.path.join(root, "run/flocksd.sock"))
        with Keeper(root=root) as second:
            assert second.facts()["earlier_starts"] == 0
            assert second.leave() == 0
            assert not os.path.exists(second.path("run/flocksd.sock"))
            assert not os.path.exists(second.path("run/inventory"))


def test_long_root_is_served_through_the_fallback():
    with tempfile.TemporaryDirectory() as directory:
        root = os.path.join(directory, "r" * 120)
        with Keeper(root=root) as keeper:
            link = keeper.path("run/flocksd.sock")
            target = os.readlink(link)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(target)
                sock.sendall(b"leave\n")
                assert sock.recv(100) == b"ok\n"
                sock.sendall(b"exit\t0\n")
            assert keeper.process.wait(10) == 0
            assert not os.path.lexists(link) and not os.path.exists(target)


def test_inventory_of_a_killed_keeper_is_kept_for_the_next():
    with tempfile.TemporaryDirectory() as root:
        with Keeper(root=root) as first:
            first.register(0)
            pid = int(first.spawn(0, 1, "sleep", "1000")[1])
            kill_both(first)
            assert is_alive(pid)
        try:
            with Keeper(root=root) as second:
                earlier = [n for n in os.listdir(second.path("run")) if n.startswith("inventory.")]
                assert len(earlier) == 1
                with open(second.path("run", earlier[0]), "rb") as file:
                    assert pid.to_bytes(4, "little") in file.read()
        finally:
            os.kill(pid, signal.SIGKILL)


def test_sigterm_asks_flocksd_and_ends_with_it(keeper):
    keeper.register(0)
    keeper.spawn(0, 1, "sleep", "1000")
    keeper.process.send_signal(signal.SIGTERM)
    wait_for("flocksd was told", lambda: keeper.facts()["shutdown"] == signal.SIGTERM)
    keeper.kill_flocksd()
    wait_for("the next one too", lambda: keeper.facts()["shutdown"] == signal.SIGTERM)
    pid = keeper.children()[0][2]
    assert keeper.leave() == 0
    assert not is_alive(pid), "what is left at the end is killed"


def test_sigterm_replaces_a_flocksd_that_hangs(keeper):
    hung = keeper.facts()["pid"]
    os.kill(hung, signal.SIGSTOP)
    keeper.process.send_signal(signal.SIGTERM)
    wait_for("the hung one is gone", lambda: not is_alive(hung))
    wait_for("the next one was told", lambda: keeper.facts()["shutdown"] == signal.SIGTERM)
    assert keeper.leave() == 0


def test_hangup_without_terminal_is_no_shutdown(keeper):
    keeper.process.send_signal(signal.SIGHUP)
    keeper.kill_flocksd()
    assert keeper.facts()["shutdown"] == 0


def test_foreground_stays_in_its_session():
    with Keeper(options=["--foreground"]) as keeper:
        assert os.getsid(keeper.pid) == os.getsid(0)
        for pid, _words in children_of(keeper.pid):
            wait_for("own session", lambda pid=pid: os.getsid(pid) == pid)
        keeper.process.send_signal(signal.SIGINT)
        wait_for("flocksd was told", lambda: keeper.facts()["shutdown"] == signal.SIGINT)


def test_replace_takes_only_what_was_prepared(keeper):
    before = keeper.facts()
    assert keeper.last("replace", "op-1")[:2] == ["error", "FAILED_PRECONDITION"]
    assert keeper.facts() == before


def test_forget_frees_the_slot(keeper):
    keeper.register(0)
    keeper.spawn(0, 9, "sleep", "1000")
    assert keeper.last("forget", 0)[:2] == ["error", "FAILED_PRECONDITION"]
    keeper.ok("signal", 0, 9, 9, "group")
    exit_of(keeper, 0, 9)
    before = descriptors_of(keeper)
    keeper.ok("forget", 0)
    wait_for("pipes are closed", lambda: descriptors_of(keeper) == before - 2)
    keeper.register(0)
    assert keeper.spawn(0, 1, "true")[0] == "ok"


def test_descriptors_do_not_leak(keeper):
    keeper.register(0)
    keeper.ok("acknowledge-all")
    for generation in range(1, 30):
        keeper.spawn(0, generation, "true", memory="x")
        exit_of(keeper, 0, generation)
        keeper.spawn(1 + generation, 1, "/none")
        if generation == 5:
            before = descriptors_of(keeper)
    assert descriptors_of(keeper) == before


def test_works_as_pid_1():
    if os.getuid() != 0:
        pytest.skip("only root may make a namespace of pids")
    root = tempfile.mkdtemp(prefix="flocks-keeper-")
    from keeper_process import FAKE_FLOCKSD, KEEPER
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--mount-proc", KEEPER, "--root", root, "--flocksd",
         FAKE_FLOCKSD, "--ready-fd", "1", "--foreground"], stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "ready\n":
        pytest.skip("no namespaces here")
    pid = children_of(process.pid)[0][0]
    os.kill(pid, signal.SIGTERM)
    probe = Keeper.__new__(Keeper)
    probe.root = root
    wait_for("flocksd was told", lambda: probe.facts()["shutdown"] == signal.SIGTERM)
    assert probe.facts()["keeper"] == 1
    probe.ok("leave")
    with contextlib.suppress(OSError):
        probe.ask("exit", 0)
    assert process.wait(10) == 0
    process.stdout.close()
    subprocess.run(["rm", "-r", root], check=True)
