"""A disk that fills up in the middle of an upgrade: one version serves all the same, the text says what to do, and what
is unfinished ends by itself when there is room again."""

import os
import subprocess

import pytest
from instance import wait_until
from product import Product, Stopped

pytestmark = pytest.mark.no_chaos(reason="says what a full disk leads to, not a death")

ROOMY = "400m"


class Disk:
    """A file system of its own at the root of an instance."""

    def __init__(self, root):
        self.root = root
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOMY},mode=0700", "none", root], check=True)

    def _resize(self, size):
        return subprocess.run(["mount", "-o", f"remount,size={size}", self.root], capture_output=True).returncode == 0

    def fill(self):
        def shrink():
            told = os.statvfs(self.root)
            return self._resize((told.f_blocks - told.f_bfree) * told.f_frsize) and os.statvfs(self.root).f_bfree == 0

        wait_until(shrink, what="no room")

    def make_room(self):
        assert self._resize(ROOMY)

    def close(self):
        subprocess.run(["umount", "-l", self.root], check=True)


@pytest.fixture
def disk(instance):
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    disk = Disk(instance.root)
    yield disk
    instance.end()
    disk.close()


@pytest.fixture
def product(instance, publisher, free_port, disk):
    product = Product(instance, publisher, [publisher.server.url], (free_port(), free_port()))
    product.start()
    publisher.publish("1.1.0")
    return product


@pytest.mark.parametrize("step", ["leased", "switched"])
def test_disk_that_fills_up_before_the_commit(product, disk, step):
    with Stopped(product, step, "apply") as updater:
        disk.fill()
        outcome = updater.finish()
    assert outcome.code > 0 and outcome.is_over and "ENOSPC" in outcome.text, outcome.said
    assert "make room" in outcome.last["error"].get("hint", ""), outcome.last
    wait_until(lambda: product.is_serving("1.0.0"), 60, "the old version")
    disk.make_room()
    product.assert_whole("1.0.0")


def test_disk_that_fills_up_during_the_commit(product, disk):
    """The new version serves; that it stays is said when it is written. Meanwhile it is said why that takes so long."""

    def look():
        call = product.instance.flocks
        wait_until(lambda: "ENOSPC" in call("call", "GetUpgrade", "{}").stdout, 60, "a lease that cannot be recorded")
        wait_until(lambda: "serves; that it is" in call("status").stdout, 60, "why it takes so long")
        assert product.is_serving("1.1.0")
        disk.make_room()

    with Stopped(product, "committing", "apply") as updater:
        disk.fill()
        outcome = updater.finish(check=0, meanwhile=look)
    assert any("ENOSPC" in event["message"] for event in outcome.events), outcome.said
    product.assert_whole("1.1.0")
