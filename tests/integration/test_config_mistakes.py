"""Every mistake in flocks.yaml: file, line, column, remedy; and nothing that runs is changed."""

import re

import pytest

GOOD = 'services: {ticker: {command: [/bin/sleep, "1000"]}}\n'

MISTAKES = {
    "unknown_key": (
        "services:\n  a:\n    comand: [/bin/true]\n    command: [/bin/true]\n",
        3, 5, r"comand.*command",
    ),
    "wrong_type": ("services:\n  a:\n    command: [/bin/true]\n    port: eight\n", 4, 11, r"port"),
    "out_of_range": ("services:\n  a:\n    command: [/bin/true]\n    port: 70000\n", 4, 11, r"65535"),
    "duration": (
        "services:\n  a:\n    command: [/bin/true]\n    stop: {grace: 5 parsecs}\n", 4, 19, r"5 parsecs",
    ),
    "duplicate_port": (
        "services:\n  a: {command: [/bin/true], port: 7001}\n  b: {command: [/bin/true], port: 7001}\n",
        3, 35, r"7001.*\ba\b",
    ),
    "bad_yaml": ("services:\n  a: {command: [/bin/true\n", None, None, r""),
    "missing_command": ("services:\n  a: {port: 7001}\n", 2, None, r"command"),
    "no_such_program": (
        "services:\n  a: {command: [/nonexistent/program]}\n", 2, 7, r"/nonexistent/program",
    ),
    "not_executable": ("services:\n  a: {command: [./flocks.yaml]}\n", 2, 7, r"flocks\.yaml.*execut"),
    "missing_directory": (
        "services:\n  a: {command: [/bin/true], directory: nowhere}\n", 2, 40, r"nowhere",
    ),
    "unknown_dependency": (
        "services:\n  a: {command: [/bin/true], after: [bb]}\n  b: {command: [/bin/true]}\n", 2, 37, r"bb",
    ),
    "cycle": (
        "services:\n  a: {command: [/bin/true], after: [b]}\n  b: {command: [/bin/true], after: [a]}\n",
        None, None, r"a.*b.*a|b.*a.*b",
    ),
    "bad_name": ("services:\n  Bad_Name: {command: [/bin/true]}\n", 2, 3, r"Bad_Name"),
    "unknown_variable": (
        'services:\n  a: {command: [/bin/echo, "${nonesuch_xyz}"]}\n', 2, None, r"nonesuch_xyz",
    ),
    "duplicate_key": (
        "services:\n  a: {command: [/bin/true]}\n  a: {command: [/bin/true]}\n", 3, 3, r"\ba\b",
    ),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One instance that runs throughout; its file is exchanged under it."""
    import shutil
    import tempfile

    from instance import Instance

    root = tempfile.mkdtemp(prefix="fl-", dir="/tmp")
    instance = Instance(root)
    instance.write(GOOD)
    instance.start()
    yield instance
    instance.write(GOOD)
    instance.end()
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_located_and_changes_nothing(running, name):
    text, line, column, pattern = MISTAKES[name]
    before = running.status()
    running.write(text)
    for arguments in (["config", "validate"], ["restart", "--no-browser"]):
        result = running.flocks(*arguments, check=2)
        place = re.search(r"flocks\.yaml:(\d+):(\d+): (.*)", result.stderr)
        assert place, result.stderr
        if line is not None:
            assert int(place[1]) == line, result.stderr
        if column is not None:
            assert int(place[2]) == column, result.stderr
        assert re.search(pattern, result.stderr, re.S), result.stderr
    after = running.status()
    assert after["daemon"]["pid"] == before["daemon"]["pid"]
    assert after["services"] == before["services"]


def test_all_mistakes_are_told_at_once(running):
    running.write("services:\n  a:\n    port: x\n    colour: red\n  b: {command: [/nonexistent], port: 99999}\n")
    result = running.flocks("config", "validate", check=2)
    assert len(re.findall(r"flocks\.yaml:\d+:\d+: ", result.stderr)) >= 4, result.stderr
