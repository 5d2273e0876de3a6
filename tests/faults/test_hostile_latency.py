"""While a peer does its worst, what the others wait for: an attack runs in a process of its own."""

import os
import resource
import subprocess
import sys
from contextlib import asynccontextmanager
from statistics import median
from time import thread_time

import pytest
import structlog
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import wait_all_tasks_blocked

from alknet import connect, open_node
from alknet._core.envelope import Decoder
from alknet.services.auth.keyset import Peer
from alknet.wire.limits import Limits

from ..echo import Echo
from ..people import ALICE_KEY, node_settings, peer
from .attacks import ATTACKS, gigantic
from .caller import Clock, waited_for, within

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
CALLERS = (1, 16)
# What has begun when the question comes, or between it and the answer, is not broken off: a turn of
# `alknet.turnstile`, 0.1 ms and what the last thing in it takes, or the longest step of somebody who
# is not let in yet, which is 0.3 to 0.4 ms: the start of the session, and the end of a connection. A
# call that takes 0.06 ms by itself is not to be held to the double of that.
SLACK_MS = 0.5
MOST_BYTES = 50_000_000


def _process(module, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def _line(process):
    return await trio.to_thread.run_sync(process.stdout.readline)


@asynccontextmanager
async def attacked_by(name, url):
    """Attack the node at *url* from another process; yield once that has begun."""
    with _process("attacks", name, url, PRIVATE.private_bytes_raw().hex()) as process:
        assert await _line(process) == "begun\n"
        yield
        process.stdin.close()
        with trio.fail_after(20):
            assert int(await trio.to_thread.run_sync(process.stdout.read)) > 0


class Callers:
    """Callers in this process, where every step of a call is the node's, and in another one."""

    def __init__(self, client, outside):
        self.client = client
        self.outside = outside

    async def wait(self):
        """Return what each kind of caller waits for, in milliseconds."""
        found = {}
        for callers in CALLERS:
            found[f"{callers} within"] = 1e3 * await waited_for(self.client, callers, within)
            self.outside.stdin.write(f"{callers}\n")
            self.outside.stdin.flush()
            found[f"{callers} outside"] = 1e3 * float(await _line(self.outside))
        return found


@asynccontextmanager
async def called(url):
    with _process("caller", url, str(os.getpid())) as outside:
        async with connect(url, identity=ALICE_KEY) as client:
            yield Callers(client, outside)
        outside.stdin.close()


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
            open_node(settings, keyring=keyring, services=[Echo(), Clock()]) as node,
            called(node.url) as callers,
        ):
            await callers.wait()
            before = high_water()
            for _ in range(ROUNDS):
                quiet.append(await callers.wait())
                async with attacked_by(name, node.url):
                    await trio.sleep(0.2)
                    attacked.append(await callers.wait())
                with trio.fail_after(10):
                    while len(node.sessions) > 2:
                        await wait_all_tasks_blocked(0.01)
            grown = high_water() - before

    late = []
    for kind in quiet[0]:
        # What else the machine does only ever adds.
        alone, then = (min(found[kind] for found in each) for each in (quiet, attacked))
        if then > 2 * alone + SLACK_MS:
            late.append(f"{kind}: {alone:.2f} -> {then:.2f} ms")
    assert not late
    assert grown < MOST_BYTES, f"{grown / 1e6:.1f} MB more"
    assert [line for line in logs if line["log_level"] == "error"] == []


def time_to_look_at(frame):
    """Return how long it takes to see that *frame* is an envelope, in seconds of work."""
    then = thread_time()
    Decoder("json", framed=False).feed(frame)
    return thread_time() - then


async def test_nobody_waits_until_a_frame_of_16_mebibytes_is_taken(keyring):
    settings = node_settings(
        peer("alice", ALICE_KEY, "*"), Peer("mallory", (LISTED,), frozenset({"*"}))
    )
    async with (
        open_node(settings, keyring=keyring, services=[Clock()]) as node,
        connect(node.url, identity=ALICE_KEY) as alice,
    ):
        async with attacked_by("gigantic_frames", node.url):
            mallory = next(each for each in node.sessions if each.peer == "mallory")
            refused, waited = 0, []
            while refused < 3:
                waited.append(await within(alice))
                # She is sent nothing else: there is no such operation.
                refused += mallory.outbox.has_sent
                mallory.outbox.has_sent = False

    assert max(waited) < median(time_to_look_at(gigantic()) for _ in range(3)) / 2
