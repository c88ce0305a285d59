"""Measurements of one running system. Each answers plain numbers; judging and printing is report.py."""

import os
import subprocess
import time

import procfs

# Before a kill every service has lived this long: runit holds back one that lived less than a second.
STABLE_S = 1.3
LOST_LIMIT_MS = 8000
IDLE_S = 10
SETTLE_S = 2
REAP_PERIOD_S = 0.02


def percentile(values, share):
    """Nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def command_times(tools, commands, rounds):
    """Whole-process times of several commands run in turn: a list of nanoseconds for each."""
    words = [str(tools["bench-spawner"]), str(rounds)]
    for command in commands:
        words += ["--", *command]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    times = [[] for _ in commands]
    for line in output.splitlines():
        index, took = line.split()
        times[int(index)].append(int(took))
    return times


def respawn_times(system, rounds, kills):
    """Nanoseconds from each kill to the replacement's first instruction; (times, lost)."""
    if system.kills is not None:
        rounds, kills = 1, system.kills
    times, lost = [], 0
    for _ in range(rounds):
        time.sleep(STABLE_S)
        words = [system.tools["bench-killer"], system.slots, system.count, kills, LOST_LIMIT_MS]
        output = _run_killer([str(word) for word in words], system.orphans_services)
        for line in output.split():
            if line == "lost":
                lost += 1
            else:
                times.append(int(line))
    return times, lost


def _run_killer(words, reaps_orphans):
    killer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    while reaps_orphans and killer.poll() is None:
        procfs.reap_named("bench-service")
        time.sleep(REAP_PERIOD_S)
    output = killer.communicate()[0]
    if killer.returncode != 0:
        raise RuntimeError(f"bench-killer: exit {killer.returncode}")
    return output


def idle_wakeups(system):
    """Voluntary context switches of the supervisor's processes in IDLE_S seconds."""
    time.sleep(SETTLE_S)
    pids = system.processes()
    before = procfs.wakeups(pids)
    time.sleep(IDLE_S)
    return procfs.wakeups(pids) - before


def memory_kib(system):
    return procfs.pss_kib(system.processes())


def _spawn_and_wait(command):
    null = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0) for descriptor in (1, 2)]
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=null)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def takeover_times(system, rounds):
    """kill -9 of flocksd, then `flocks status` at once: (answered after ns, the same on a living one
    ns, exit codes that were not 0, services that changed their pid)."""
    # The last killed service is to be HEALTHY again, or status would rightly exit 1.
    time.sleep(STABLE_S)
    services = system.services()
    command = system.status_command()
    after_kill, living, failed = [], [], []
    for _ in range(rounds):
        began = time.monotonic_ns()
        failed += filter(None, [_spawn_and_wait(command)])
        living.append(time.monotonic_ns() - began)
        pid = system.daemon_pid()
        began = time.monotonic_ns()
        os.kill(pid, 9)
        failed += filter(None, [_spawn_and_wait(command)])
        after_kill.append(time.monotonic_ns() - began)
    return after_kill, living, failed, len(services ^ system.services())
