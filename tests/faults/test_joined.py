"""Nodes that join a head by their settings, each a process: called through it, killed, found again."""

from contextlib import AsyncExitStack

import pytest
import trio

from alknet import connect
from alknet.errors import NotFound, Unavailable
from alknet.keys import Keyring, ssh_fingerprint
from alknet.runtime.vault import IDENTITY_PATH

from ..cli.command import alknet
from ..people import ALICE_KEY, PHRASE
from .place import Place

RECOVERY_SECONDS = 2.0
PHRASES = {
    "head": "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "middle": "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
    "worker-1": PHRASE,
}
PINS = {
    name: ssh_fingerprint(Keyring.from_mnemonic(phrase).ed25519(IDENTITY_PATH).public_key)
    for name, phrase in PHRASES.items()
}
# So long that the pauses between attempts are as long as they get.
AWAY_SECONDS = 2.5


def place(folder, name, *, workers=(), head=None, listens=True):
    """Return a node that lets alice and *workers* in, and joins *head*, a pair of name and URL."""
    listen = 'listen = ["{url}"]' if listens else ""
    toml = f'[node]\nname = "{name}"\n{listen}\nidentity = "{PINS[name]}"\nlog = "error"\n'
    if head is not None:
        toml += f'[[node.joins]]\nurls = ["{head[1]}"]\nexpect = "{PINS[head[0]]}"\n'
    toml += "[worker]\ninterval = 0.2\n[auth]\n"
    for who, key, scopes in (
        ("alice", ssh_fingerprint(ALICE_KEY.public_key), ["*"]),
        *((each, PINS[each], ["services:register"]) for each in workers),
    ):
        toml += f'[[auth.peers]]\nname = "{who}"\nkeys = ["{key}"]\nscopes = {scopes}\n'
    return Place(folder / name, toml, PHRASES[name], url="wss://127.0.0.1:0")


async def answered(client, path):
    """Return how long it takes until *path* is answered."""
    began = trio.current_time()
    with trio.fail_after(10):
        while True:
            try:
                node = (await client.invoke(path, timeout=2))["node"]
            except (NotFound, Unavailable):
                await trio.sleep(0.005)
            else:
                assert node == path.split("/")[-3]
                return trio.current_time() - began


def entered(head):
    return connect(head.url, identity=ALICE_KEY, expect=PINS["head"], reconnect=True)


async def test_a_head_routes_calls_into_a_worker_and_into_the_worker_of_that(tmp_path):
    async with AsyncExitStack() as stack:
        head = place(tmp_path, "head", workers=["middle"])
        await stack.enter_async_context(head.serving())
        middle = place(tmp_path, "middle", workers=["worker-1"], head=("head", head.url))
        await stack.enter_async_context(middle.serving())
        # Behind a NAT, say: it listens at nothing, and only dials.
        worker = place(tmp_path, "worker-1", head=("middle", middle.url), listens=False)
        await stack.enter_async_context(worker.serving())
        async with entered(head) as alice:
            await answered(alice, "/middle/services/ping")
            await answered(alice, "/middle/worker-1/services/ping")
        key = tmp_path / "alice.key"
        key.touch(0o600)
        key.write_text(ALICE_KEY.to_openssh())
        seen = {}
        for name, node in {"head": head, "middle": middle}.items():
            told = ("--node", node.url, "--expect", PINS[name], "--identity", key)
            done = await alknet("status", "--json", *told)
            assert done.code == 0, done.stderr
            seen[name] = done.json
            table = await alknet("status", *told)
        assert set(seen["head"]["peers"]) == {"alice", "middle"}
        assert list(seen["head"]["workers"]) == ["middle"]
        assert seen["head"]["heads"] == []
        assert "worker-1" in seen["middle"]["peers"]
        (to_head,) = seen["middle"]["heads"]
        assert to_head == {"urls": [head.url], "node": "head", "why_away": None}
        assert f"head      head at {head.url}" in table.stdout


@pytest.mark.parametrize("killed", ["head", "worker-1"])
async def test_whoever_is_killed_is_found_again_within_two_seconds(
    killed, tmp_path, record_property
):
    async with AsyncExitStack() as stack:
        head = place(tmp_path, "head", workers=["worker-1"])
        async with head.serving():
            pass
        worker = place(tmp_path, "worker-1", head=("head", head.url), listens=False)
        stays, goes = (worker, head) if killed == "head" else (head, worker)
        await stack.enter_async_context(stays.serving())
        async with goes.serving():
            alice = await stack.enter_async_context(entered(head))
            await answered(alice, "/worker-1/services/ping")
        await trio.sleep(AWAY_SECONDS)
        async with goes.serving():
            took = await answered(alice, "/worker-1/services/ping")
    record_property("recovery_seconds", took)
    print(f"{killed} was found again after {took:.3f} s")
    assert took < RECOVERY_SECONDS
