"""While a peer does its worst, what the others wait for: an attack runs in a process of its own."""

import resource
import subprocess
import sys
from contextlib import asynccontextmanager
from statistics import median, quantiles
from time import perf_counter, thread_time

import pytest
import structlog
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import wait_all_tasks_blocked

from alknet import connect, open_node
from alknet.services.auth.keyset import Peer
from alknet.wire.limits import Limits

from ..echo import Echo, Shout
from ..people import ALICE_KEY, node_settings, peer
from .attacks import ATTACKS

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LISTED = f"ed25519:{PRIVATE.public_key().public_bytes_raw().hex()}"
LIMITS = Limits(
    frame_bytes=100_000,
    calls_in_flight=50,
    unsent_bytes=500_000,
    handshake_seconds=1.0,
    silence_seconds=1.0,
    stalled_seconds=1.0,
)
ROUNDS = 3
CALLS = 300
# What the figures of one and the same thing differ by from run to run: one connection that is being
# opened, or one collection of garbage.
SLACK_MS = 1.0
MOST_BYTES = 50_000_000


def _attack(name, url):
    key = PRIVATE.private_bytes_raw().hex()
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.attacks", name, url, key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@asynccontextmanager
async def attacked_by(name, url):
    """Attack the node at *url* from another process; yield once that has begun."""
    with _attack(name, url) as process:
        assert await trio.to_thread.run_sync(process.stdout.readline) == "begun\n"
        yield
        process.stdin.close()
        with trio.fail_after(20):
            assert int(await trio.to_thread.run_sync(process.stdout.read)) > 0


async def p99(client):
    """Return what one call in a hundred takes at least, in seconds of work and on the wall clock.

    The work is what this thread does between question and answer, for whomever. It is what the
    attack can add to; on a machine that others use too, the wall clock tells of them instead.
    """
    work, wall = [], []
    for _ in range(CALLS):
        worked, began = thread_time(), perf_counter()
        await client.call(Shout("x"))
        work.append(thread_time() - worked)
        wall.append(perf_counter() - began)
    return quantiles(work, n=100)[98], quantiles(wall, n=100)[98]


def high_water():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("name", ATTACKS)
async def test_others_are_served_as_before_while_it_goes_on(keyring, name):
    settings = node_settings(
        peer("alice", ALICE_KEY, "*"), Peer("mallory", (LISTED,), frozenset({"*"})), limits=LIMITS
    )
    quiet, attacked = [], []
    with structlog.testing.capture_logs() as logs:
        async with (
            open_node(settings, keyring=keyring, services=[Echo()]) as node,
            connect(node.url, identity=ALICE_KEY) as alice,
        ):
            await p99(alice)
            before = high_water()
            for _ in range(ROUNDS):
                quiet.append(await p99(alice))
                async with attacked_by(name, node.url):
                    await trio.sleep(0.2)
                    attacked.append(await p99(alice))
                with trio.fail_after(10):
                    while len(node.sessions) > 1:
                        await wait_all_tasks_blocked(0.01)
            grown = high_water() - before

    (work, wall), (work_then, wall_then) = (
        [median(each) * 1e3 for each in zip(*rounds, strict=True)] for rounds in (quiet, attacked)
    )
    found = f"work {work:.2f} -> {work_then:.2f} ms, wall clock {wall:.1f} -> {wall_then:.1f} ms"
    assert work_then <= 2 * work + SLACK_MS, found
    assert grown < MOST_BYTES, f"{grown / 1e6:.1f} MB more"
    assert [line for line in logs if line["log_level"] == "error"] == []
