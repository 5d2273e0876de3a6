"""What the tests share: no orphans, plain logs, a seed, and a node with a worker connected."""

import inspect
import logging

import pytest
import structlog

from alknet import connect, open_node
from alknet.keys import Keyring

from . import orphans
from .echo import Echo
from .people import ALICE_KEY, PHRASE, WORKER_KEY, node_settings


def pytest_collection_modifyitems(items):
    """Have every test that runs in Trio fail if it leaves a task behind."""
    for item in items:
        if inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.trio(run=orphans.run))


@pytest.fixture(autouse=True)
def _plain_logs():
    """Log in plain lines: pytest shows them when a test fails."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ],
        # A line for each call would be most of what a stress test does.
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def keyring():
    """The keyring of the phrase that every document of BIP-39 begins with."""
    keyring = Keyring.from_mnemonic(PHRASE)
    yield keyring
    keyring.lock()


@pytest.fixture
async def node(keyring):
    """A node with an unlocked vault that listens on loopback."""
    async with open_node(node_settings(), keyring=keyring, services=[Echo()]) as node:
        yield node


@pytest.fixture
async def alice(node):
    """A client of the node that may do everything."""
    async with connect(node.url, identity=ALICE_KEY) as client:
        yield client


@pytest.fixture
async def worker(node):
    """A worker that is connected to the node as worker-1: its Echo service."""
    echo = Echo()
    async with connect(node.url, identity=WORKER_KEY, services=[echo]):
        yield echo
