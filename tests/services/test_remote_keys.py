"""The remote backend: an auth node says who it is, and nobody is let in while it cannot be asked."""

import hashlib
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec
import pytest
import trio

from alknet import connect, open_node
from alknet.errors import InvalidInput, Refused, SettingsError, Unavailable
from alknet.identity import Identity
from alknet.keys import Keyring, ssh_fingerprint
from alknet.protocol.auth import (
    Credential,
    Denied,
    Granted,
    ReloadKeys,
    VerifyPubkey,
    VerifyToken,
)
from alknet.protocol.directory import Ping
from alknet.services.auth.keyset import AuthSettings
from alknet.services.auth.tokens import sign_token
from alknet.settings import Settings

from ..faults import processes
from ..people import (
    ALICE_KEY,
    AUTHORITY_SEED,
    CI,
    CI_TOKEN,
    STRANGER_KEY,
    WORKER_KEY,
    auth_node_settings,
    node_key,
    node_settings,
    peer,
)

BOB = Identity("bob", frozenset({"services:*", "auth:session"}))
BOB_FINGERPRINT = ssh_fingerprint(WORKER_KEY.public_key)
# From where a link to the node comes too: what is remembered is good for the same question.
ASK_BOB = VerifyPubkey(WORKER_KEY.public_key, "127.0.0.1")


@pytest.fixture
def authority():
    """The keyring of the auth node."""
    keyring = Keyring.from_mnemonic(*AUTHORITY_SEED)
    yield keyring
    keyring.lock()


@pytest.fixture
def expect(authority):
    return ssh_fingerprint(node_key(authority))


def settings(url, expect, **auth):
    """Return the settings of a node that lists alice, and asks *url* about everybody else."""
    made = node_settings()
    peers = (peer("alice", ALICE_KEY, "*"),)
    table = AuthSettings(peers=peers, remote=url, expect=expect, **{"remember": 0.1, **auth})
    return Settings(node=made.node, services={**made.services, "auth": table})


async def linked(node):
    """Return when *node* can ask the auth node."""
    with trio.fail_after(10):
        while True:
            try:
                return await node.client.call(VerifyPubkey(STRANGER_KEY.public_key))
            except Unavailable:
                await trio.sleep(0.01)


@asynccontextmanager
async def auth_node_at(url, *peers, tokens=(CI,)):
    made = auth_node_settings(url, *peers)
    auth = msgspec.structs.replace(made.services["auth"], tokens=tokens)
    made = Settings(node=made.node, services={**made.services, "auth": auth})
    async with open_node(made, keyring=Keyring.from_mnemonic(*AUTHORITY_SEED)) as node:
        yield node


@pytest.fixture
async def auth_node():
    async with auth_node_at("ws://127.0.0.1:0") as node:
        yield node


@pytest.fixture
async def node(auth_node, expect, keyring):
    async with open_node(settings(auth_node.url, expect), keyring=keyring) as node:
        await linked(node)
        yield node


async def knows(auth_node, *peers):
    """Have the auth node know *peers* in place of those that it knew."""
    auth_node.settings.services.update(auth_node_settings("ws://127.0.0.1:0", *peers).services)
    await auth_node.client.call(ReloadKeys())


async def ended(client):
    with trio.fail_after(5):
        await client.session.closed()


async def test_the_auth_node_says_who_is_not_listed_here(node):
    granted = Granted(BOB, Credential("key", BOB_FINGERPRINT))
    for _ in range(2):
        assert await node.client.call(ASK_BOB) == granted
    assert (await node.client.call(VerifyPubkey(ALICE_KEY.public_key))).identity.id == "alice"
    assert (await node.client.call(VerifyToken(CI_TOKEN))).identity.id == "ci"
    assert await node.client.call(VerifyPubkey(STRANGER_KEY.public_key)) == Denied(
        f"the key {ssh_fingerprint(STRANGER_KEY.public_key)} is not listed here"
    )


async def test_a_signed_token_is_good_once_here_too(node):
    token = sign_token(WORKER_KEY, hashlib.sha256(WORKER_KEY.public_key).digest(), time.time())

    assert (await node.client.call(VerifyToken(token))).identity == BOB
    assert "used already" in (await node.client.call(VerifyToken(token))).reason


async def test_a_link_ends_when_the_auth_node_revokes(node, auth_node):
    async with (
        connect(node.url, identity=WORKER_KEY) as bob,
        connect(node.url, identity=ALICE_KEY) as alice,
    ):
        assert await bob.call(Ping())
        await knows(auth_node, peer("carol", STRANGER_KEY))
        await ended(bob)
        assert await alice.call(Ping())
    with pytest.raises(Refused):
        async with connect(node.url, identity=WORKER_KEY):
            pass


async def test_a_reload_forgets_what_was_said(auth_node, expect, keyring):
    made = settings(auth_node.url, expect, remember=60)
    async with open_node(made, keyring=keyring) as node:
        await linked(node)
        assert isinstance(await node.client.call(ASK_BOB), Granted)
        await knows(auth_node, peer("carol", STRANGER_KEY))
        assert isinstance(await node.client.call(ASK_BOB), Granted)
        await node.client.call(ReloadKeys())

        assert isinstance(await node.client.call(ASK_BOB), Denied)


async def test_what_is_revoked_here_is_good_for_nothing_there(auth_node, expect, keyring):
    made = settings(auth_node.url, expect, revoked=(BOB_FINGERPRINT,))
    async with open_node(made, keyring=keyring) as node:
        await linked(node)

        assert await node.client.call(ASK_BOB) == Denied(f"the key {BOB_FINGERPRINT} was revoked")


async def test_an_auth_node_of_another_key_is_not_believed(auth_node, keyring):
    made = settings(auth_node.url, ssh_fingerprint(STRANGER_KEY.public_key))
    async with open_node(made, keyring=keyring) as node:
        with pytest.raises(Unavailable, match="cannot be asked who this is"):
            await node.client.call(ASK_BOB)


async def test_nobody_is_let_in_while_it_is_dead_and_all_are_when_it_is_back(expect, keyring):
    async with processes.running("auth_node", "ws://127.0.0.1:0") as first:
        url = await first.line()
        async with open_node(settings(url, expect), keyring=keyring) as node:
            await linked(node)
            async with connect(node.url, identity=WORKER_KEY) as bob:
                await first.kill()
                with trio.fail_after(10), pytest.raises(Unavailable, match="try again when it is"):
                    while True:
                        await node.client.call(ASK_BOB)
                        await trio.sleep(0.01)
                with pytest.raises(Refused):
                    async with connect(node.url, identity=WORKER_KEY):
                        pass
                # Who is listed here, and who is in already, needs nobody's word.
                assert await bob.call(Ping())
                async with connect(node.url, identity=ALICE_KEY) as alice:
                    assert await alice.call(Ping())

                async with processes.running("auth_node", url) as second:
                    assert await second.line() == url
                    back = trio.current_time()
                    await linked(node)
                    assert trio.current_time() - back < 2.0
                    async with connect(node.url, identity=WORKER_KEY) as again:
                        assert await again.call(Ping())
                    assert await bob.call(Ping())


class Leaving:
    """An auth node that goes when it is told to, while the test goes on."""

    def __init__(self, nursery):
        self._nursery = nursery
        self._leaves, self._is_gone = trio.Event(), trio.Event()

    async def come(self, url, *peers, **fields):
        """Start it; return its URL."""
        return await self._nursery.start(partial(self._run, url, *peers, **fields))

    async def go(self):
        self._leaves.set()
        await self._is_gone.wait()

    async def _run(self, url, *peers, task_status, **fields):
        async with auth_node_at(url, *peers, **fields) as node:
            task_status.started(node.url)
            await self._leaves.wait()
        self._is_gone.set()


async def test_what_was_revoked_while_it_was_away_ends_a_link_when_it_is_back(expect, keyring):
    """Whatever the link was opened with: a key, an API key, or a token that is good only once."""
    carol = peer("carol", STRANGER_KEY, "services:*")
    token = sign_token(WORKER_KEY, hashlib.sha256(WORKER_KEY.public_key).digest(), time.time())
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        first, second = Leaving(nursery), Leaving(nursery)
        url = await first.come("ws://127.0.0.1:0", peer("bob", WORKER_KEY), carol)
        # So long that nobody asks by the clock while the test runs.
        made = settings(url, expect, remember=60)
        head = await stack.enter_async_context(open_node(made, keyring=keyring))
        await linked(head)
        ends = [
            await stack.enter_async_context(connect(head.url, identity=identity))
            for identity in (WORKER_KEY, token, CI_TOKEN)
        ]
        stays = await stack.enter_async_context(connect(head.url, identity=STRANGER_KEY))
        await first.go()
        assert all([await each.call(Ping()) for each in (*ends, stays)])
        await second.come(url, carol, tokens=())
        for each in ends:
            await ended(each)
        assert await stays.call(Ping())
        await second.go()


async def test_links_that_nobody_can_confirm_end_when_their_grace_is_over(expect, keyring):
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        auth_node = Leaving(nursery)
        made = settings(await auth_node.come("ws://127.0.0.1:0"), expect, grace=0.3)
        head = await stack.enter_async_context(open_node(made, keyring=keyring))
        await linked(head)
        bob = await stack.enter_async_context(connect(head.url, identity=WORKER_KEY))
        alice = await stack.enter_async_context(connect(head.url, identity=ALICE_KEY))
        with trio.move_on_after(0.5) as longer:
            await bob.session.closed()
        assert longer.cancelled_caught, "it is confirmed all the time"
        await auth_node.go()
        gone = trio.current_time()
        assert await bob.call(Ping())
        await ended(bob)
        assert 0.1 < trio.current_time() - gone < 1.0
        assert await alice.call(Ping()), "who is listed here needs nobody's word"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"remote": "ws://auth:1"}, "whoever answers at ws://auth:1 would say who is let in"),
        ({"remote": "wss://auth:1", "backend": "sqlite"}, "leave out one"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(fields, words):
    with pytest.raises(InvalidInput, match=words):
        AuthSettings(**fields)


STACK = """
[auth]
remote = "{url}"
expect = "{expect}"
key = "asker"
"""


async def test_a_node_with_a_locked_vault_asks_with_the_key_in_a_file(tmp_path, expect, authority):
    made = auth_node_settings(
        "ws://127.0.0.1:0",
        peer("asker", STRANGER_KEY, "auth:verify"),
        peer("bob", WORKER_KEY, *BOB.scopes),
    )
    key = tmp_path / "asker"
    key.touch(mode=0o600)
    key.write_text(STRANGER_KEY.to_openssh())
    async with open_node(made, keyring=authority) as auth_node:
        (tmp_path / "stack.toml").write_text(STACK.format(url=auth_node.url, expect=expect))
        async with open_node(tmp_path / "stack.toml") as node:
            await linked(node)
            assert (await node.client.call(ASK_BOB)).identity == BOB


async def test_a_key_that_cannot_be_read_is_named(tmp_path, keyring, expect):
    made = settings("ws://127.0.0.1:1", expect, key=tmp_path / "none")
    with pytest.raises(SettingsError, match=r"cannot read .*none: no such file"):
        async with open_node(made, keyring=keyring):
            pass
