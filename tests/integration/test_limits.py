"""Each resource limit, read from inside the process that has it."""

import grp
import json
import os
import pwd
import re
from pathlib import Path

import pytest

from families import as_ordinary_user
from instance import PYTHON, SERVICES, wait_until

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may")


def word_of(instance, name):
    """The last whole line of JSON in its log."""
    return json.loads(wait_until(lambda: re.findall(r"^{.*}\n", instance.log(name), re.M), what="its word")[-1])


def said_with(instance, limits, name="app", **options):
    """What a service with these limits says of itself."""
    instance.write(
        f'services: {{{name}: {{command: [{PYTHON}, {SERVICES}/limits.py], directory: /, limits: {{{limits}}}}}}}\n'
    )
    instance.start(**options)
    return word_of(instance, name)


@pytest.mark.parametrize(
    "limit, value, seen",
    [
        ("open_files", "123", [123, 123]),
        ("memory", "900MiB", [900 << 20, 900 << 20]),
        ("processes", "4321", [4321, 4321]),
        ("file_size", "7MiB", [7 << 20, 7 << 20]),
        ("stack", "3MiB", [3 << 20, 3 << 20]),
        ("core", "64KiB", [64 << 10, 64 << 10]),
        ("umask", "0077", 0o077),
        ("nice", "7", 7),
        ("oom_score_adj", "321", 321),
    ],
)
def test_limit_is_what_the_process_has(instance, limit, value, seen):
    assert said_with(instance, f"{limit}: {value}")[limit] == seen


def test_limits_that_are_not_configured_are_the_daemons(instance):
    instance.write(f"services: {{app: {{command: [{PYTHON}, {SERVICES}/limits.py]}}}}\n")
    instance.start()
    said = word_of(instance, "app")
    assert said["umask"] == 0o022
    assert said["nice"] == os.getpriority(os.PRIO_PROCESS, 0)
    assert said["uid"] == [os.getuid()] * 3


@needs_root
def test_user_brings_its_groups_and_environment(instance):
    user = pwd.getpwnam("nobody")
    said = said_with(instance, "user: nobody")
    groups = {user.pw_gid, *(g.gr_gid for g in grp.getgrall() if "nobody" in g.gr_mem)}
    assert said["uid"] == [user.pw_uid] * 3
    assert said["gid"] == [user.pw_gid] * 3
    assert set(said["groups"]) == groups
    assert said["environment"] == {
        "USER": "nobody", "LOGNAME": "nobody", "HOME": user.pw_dir, "SHELL": user.pw_shell}


@needs_root
def test_user_and_group_may_be_numbers(instance):
    said = said_with(instance, 'user: "64999", group: "64998"')
    assert said["uid"] == [64999] * 3
    assert said["gid"] == [64998] * 3
    assert said["groups"] == [64998]


@needs_root
def test_limits_hold_for_another_user(instance):
    said = said_with(instance, "user: nobody, open_files: 77, nice: 3, oom_score_adj: 5")
    assert (said["open_files"], said["nice"], said["oom_score_adj"]) == ([77, 77], 3, 5)


@needs_root
def test_unknown_user_is_a_mistake_of_the_configuration(instance):
    instance.write(f"services: {{app: {{command: [{PYTHON}], limits: {{user: no-such-user}}}}}}\n")
    result = instance.flocks("start", "--no-browser", check=2)
    assert "services.app.limits.user" in result.stderr and "no-such-user" in result.stderr


@needs_root
def test_user_without_root_is_a_mistake_of_the_configuration(instance):
    options = as_ordinary_user(instance.root)
    instance.write(f"services: {{app: {{command: [{PYTHON}], limits: {{user: nobody}}}}}}\n")
    result = instance.flocks("start", "--no-browser", check=2, **options)
    assert "services.app.limits.user" in result.stderr and "only root" in result.stderr


@needs_root
def test_limit_that_may_not_be_set_names_the_step(instance):
    options = as_ordinary_user(instance.root)
    instance.write(
        f'services: {{app: {{command: [{PYTHON}, {SERVICES}/limits.py], restart: {{policy: NEVER}},'
        " limits: {nice: -10}}}\n"
    )
    result = instance.flocks("start", "--no-browser", **options)
    assert result.returncode == 1
    service = instance.service("app")
    assert service["reason"] == "STATE_REASON_EXEC_FAILED"
    assert "set its priority" in service["last_error"] and "EACCES" in service["last_error"], service["last_error"]


def test_limits_of_a_group_that_are_not_in_force_are_said(instance):
    """Where the controllers are not there, as on most machines that are not systemd's."""
    instance.environment["FLOCKS_CGROUP"] = "off"
    said_with(instance, "cgroup: {memory: 64MiB, pids: 9}")
    why = json.loads(instance.flocks("why", "app", "--json").stdout)
    assert why["not_in_force"] == ["limits.cgroup: memory, pids (FLOCKS_CGROUP is off)"]
    assert "memory, pids" in instance.flocks("why", "app").stdout
    assert "limits not in force" in instance.daemon_log()


@needs_root
def test_run_is_in_a_control_group_of_its_own_where_delegated(instance):
    def group():
        lines = Path(f"/proc/{instance.pid('app')}/cgroup").read_text().splitlines()
        return next(line[3:] for line in lines if line.startswith("0::"))

    said = said_with(instance, "nice: 1")
    if "/flocks-" not in said["cgroup"]:
        pytest.skip("no control group was delegated to this test")
    first = group()
    assert first.endswith("/app-1")
    mount = next(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
                 if " - cgroup2 " in line)
    directory = Path(mount + first)
    assert directory.is_dir()
    instance.flocks("restart", "app", check=0)
    assert group().endswith("/app-2")
    wait_until(lambda: not directory.exists(), what="the first run's group to go")
    instance.stop()
    wait_until(lambda: not directory.parent.exists(), what="the instance's group to go")
