"""One flocks with five hundred services, for clients in other languages."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from instance import Instance  # noqa: E402

SERVICES = 500
# Takes its time to end: SIGTERM is ignored until the grace is over.
STUBBORN = """
  stubborn:
    command: [/bin/sh, -c, "trap '' TERM; while :; do sleep 1; done"]
    stop: {grace: 4s}
"""


def name_of(number):
    return f"sleeper-{number:03}"


@pytest.fixture(scope="session")
def flock():
    """An Instance that runs: sleeper-000 to sleeper-499, and stubborn."""
    root = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    instance = Instance(root)
    sleepers = "".join(f"  {name_of(n)}: {{command: [/bin/sleep, '1000']}}\n" for n in range(SERVICES))
    instance.write(f"services:\n{sleepers}{STUBBORN}")
    try:
        instance.start()
        yield instance
    finally:
        instance.end()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def socket_path(flock):
    return flock.root / "run" / "flocksd.sock"
