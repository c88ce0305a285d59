"""One flocks with five hundred services, for clients in other languages."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from instance import running_root  # noqa: E402
from ports import free_port  # noqa: E402

SERVICES = 500
# Never ready: nobody listens there. Starting it takes longer than any call waits.
UNREADY = """
  unready: {{command: [/bin/sleep, "1000"], port: {port}, start: false}}
"""


def name_of(number):
    return f"sleeper-{number:03}"


@pytest.fixture
def make_root():
    return running_root


SLOW_STOPS = {10: 1, 11: 3}


def sleeper(stop_s):
    if stop_s is None:
        return "[/bin/sleep, '1000']"
    return f"[/bin/sh, -c, \"trap 'sleep {stop_s}; exit 0' TERM; while :; do sleep 1000 & wait; done\"]"


@pytest.fixture(scope="module")
def flock():
    """An Instance that runs: sleeper-000 to sleeper-499, and unready, which nobody has started. The seconds that two of
    them take to stop make whoever restarts them see progress on the way, however late it asks."""
    sleepers = "".join(f"  {name_of(n)}: {{command: {sleeper(SLOW_STOPS.get(n))}}}\n" for n in range(SERVICES))
    unready = UNREADY.format(port=free_port())
    with running_root() as instance:
        instance.write(f"services:\n{sleepers}{unready}")
        instance.start()
        yield instance


@pytest.fixture
def socket_path(flock):
    return flock.root / "run" / "flocksd.sock"
