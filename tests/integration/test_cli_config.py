"""`flocks config plan` and `flocks config apply`: what differs, what that does, and doing it."""

import json
import subprocess

import pytest

from terminal import Terminal

TWO = """
services:
  one: {command: [/bin/sleep, '1000']}
  two: {command: [/bin/sleep, '1000'], after: [one]}
"""


@pytest.fixture
def terminal(instance):
    """A function that runs a command in a terminal; all are closed after the test."""
    made = []

    def make(*arguments):
        made.append(Terminal(instance.command(*arguments), instance.environment))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_config_plan_and_apply_without_a_daemon_are_3(instance):
    instance.write(TWO)
    for command in (("plan",), ("apply", "--yes")):
        assert "nothing runs in" in instance.flocks("config", *command, check=3).stderr
        failure = json.loads(instance.flocks("config", *command, "--json", check=3).stdout)
        assert failure["error"]["code"] == 14, command


def test_config_plan_shows_and_apply_does_it(instance):
    instance.write(TWO)
    instance.start()
    instance.flocks("config", "plan", "--exit-code", check=0)
    before = {name: instance.pid(name) for name in ("one", "two")}
    instance.write(TWO.replace("two: {command: [/bin/sleep, '1000']", "two: {command: [/bin/sleep, '2000']"))
    told = instance.flocks("config", "plan", check=0).stdout
    assert "services.two.command" in told and "two  restart" in told
    instance.flocks("config", "plan", "--exit-code", check=1)
    plan = json.loads(instance.flocks("config", "plan", "--json", check=0).stdout)
    assert {i["service"]: i["impact"] for i in plan["impacts"]}["two"] == "CONFIG_IMPACT_RESTART"
    assert "there is no terminal" in instance.flocks("config", "apply", check=2, stdin=subprocess.DEVNULL).stderr
    instance.flocks("config", "apply", "--plan", plan["plan"], check=0)
    assert instance.pid("one") == before["one"] and instance.pid("two") != before["two"]
    assert "nothing differs" in instance.flocks("config", "apply", "--yes", check=0).stderr


def test_config_apply_refuses_a_stale_plan(instance):
    instance.write(TWO)
    instance.start()
    instance.write(TWO.replace("'1000'", "'2000'"))
    plan = json.loads(instance.flocks("config", "plan", "--json", check=0).stdout)["plan"]
    instance.write(TWO.replace("'1000'", "'3000'").replace("two:", "three:"))
    told = instance.flocks("config", "apply", "--plan", plan, check=5)
    assert "`flocks config plan`" in told.stderr
    failure = json.loads(instance.flocks("config", "apply", "--plan", plan, "--json", check=5).stdout)
    assert failure["error"]["details"][0]["reason"] == "ERROR_REASON_STALE_PLAN"


def test_config_apply_asks_in_a_terminal(instance, terminal):
    instance.write(TWO)
    instance.start()
    pid = instance.pid("one")
    instance.write(TWO.replace("one: {command: [/bin/sleep, '1000']}", "one: {command: [/bin/sleep, '2000']}"))
    for answer, code in (("n", 1), ("", 1), ("y", 0)):
        screen = terminal("config", "apply")
        screen.wait_for(b"apply this? [y/N]")
        screen.type(answer + "\n")
        assert screen.wait() == code
        assert (instance.pid("one") == pid) == (code != 0)


def test_config_plan_names_every_mistake(instance):
    instance.write(TWO)
    instance.start()
    other = instance.root / "other.yaml"
    other.write_text("services:\n  one: {comand: [x]}\n  two: {command: [/bin/sleep], port: 99999}\n")
    for command in (("plan",), ("apply", "--yes")):
        told = instance.flocks("config", *command, str(other), check=2).stderr
        assert f"{other}:2:" in told and "command" in told and f"{other}:3:" in told, command
    assert json.loads(instance.flocks("config", "plan", str(other), "--json", check=2).stdout)["mistakes"]
    instance.flocks("config", "plan", str(instance.root / "none.yaml"), check=2)
