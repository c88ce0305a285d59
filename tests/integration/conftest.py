"""The real programs, each test in a root of its own. Cleans up by pid, whatever the test left."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from instance import Instance  # noqa: E402
from ports import free_port as pick_port  # noqa: E402
from product import Product  # noqa: E402
from releases import Publisher  # noqa: E402
from wire import compile_stubs  # noqa: E402

# In the background of a script it is ignored, and would be in every program that is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--chaos", metavar="SEED", help="kill every instance's flocksd at random moments, all through the tests"
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "no_chaos(reason): says something that is not so while flocksd is killed")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--chaos") is None:
        return
    kept = [item for item in items if item.get_closest_marker("no_chaos") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture
def make_instance(request):
    """A function that makes an Instance with its own root; all are ended after the test."""
    made = []

    def make(**options):
        options.setdefault("chaos", request.config.getoption("--chaos"))
        root = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
        instance = Instance(root, **options)
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.end()
        shutil.rmtree(instance.root, ignore_errors=True)


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """Python's own stubs of our protos."""
    return compile_stubs(tmp_path_factory.mktemp("stubs"))


@pytest.fixture
def instance(make_instance):
    """One Instance."""
    return make_instance()


@pytest.fixture
def free_port():
    """ports.free_port."""
    return pick_port


@pytest.fixture
def foreigners():
    """Processes of the test's own, killed after it by pid: foreigners.append(Popen(...))."""
    started = []
    yield started
    for process in started:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def publisher(tmp_path):
    """Makes releases; publisher.server has them."""
    publisher = Publisher(tmp_path)
    with publisher.serve() as publisher.server:
        yield publisher


@pytest.fixture
def make_product(make_instance, publisher, free_port):
    """A function that makes a Product that runs: make_product(version="1.0.0", ...)."""

    def make(start=True, **options):
        options.setdefault("sources", [publisher.server.url])
        product = Product(make_instance(), publisher, ports=(free_port(), free_port()), **options)
        if start:
            product.start()
        return product

    return make


@pytest.fixture
def product(make_product):
    """Version 1.0.0, which runs."""
    return make_product()
