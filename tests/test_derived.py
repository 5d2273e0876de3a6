"""What a node elsewhere has derived is kept for a while, and dropped when it should be."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from alknet import NodeSettings, Settings, connect, open_node
from alknet.errors import CallError, Forbidden, Locked, Unavailable
from alknet.keys import Keyring, ssh_fingerprint
from alknet.protocol.auth import ReloadKeys
from alknet.protocol.secret import (
    DeriveEd25519,
    DeriveEncryptionKey,
    DeriveEthereumKey,
    DerivePassword,
    SignEd25519,
)
from alknet.runtime.vault import IDENTITY_PATH
from alknet.services.auth.keyset import AuthSettings
from alknet.settings import RemoteSecretsSettings, load
from alknet.stack import shapes

from .people import ALICE_KEY, PHRASE, WORKER_KEY, node_key, peer

PATH = "m/74'/0'/0'/7'"
IDENTITY = ssh_fingerprint(node_key(Keyring.from_mnemonic(PHRASE)))
MAY = ("identity:forward", "secrets:*")


class World:
    """A secret node and a worker that has its secrets there."""

    def __init__(self, far, near):
        self.far = far
        self.near = near

    @property
    def asked(self):
        """How often the secret node was asked to derive an Ed25519 key."""
        return self.far.dispatcher.registry.find("secrets/derive").measure.remote

    @property
    def kept(self):
        [service] = [
            each.service
            for each in self.near._supervisor.actors
            if each.service.namespace == "secrets"
        ]
        return service._derived

    async def derive(self, client=None):
        return await (client or self.near.client).call(DeriveEd25519(PATH))

    async def comes_back(self, clock):
        """Return when calls are answered again, which were not for a moment."""
        with trio.fail_after(600):
            while True:
                try:
                    return await self.near.client.call(SignEd25519(PATH, b""))
                except CallError:
                    clock.jump(1)
                    await trio.testing.wait_all_tasks_blocked(0.01)

    async def until(self, claim):
        with trio.fail_after(5):
            while not claim():
                await trio.testing.wait_all_tasks_blocked(0.001)


@asynccontextmanager
async def world(*scopes, **table):
    own = Keyring.from_mnemonic(PHRASE, "worker")
    head = peer("worker", own.ed25519(IDENTITY_PATH), *(scopes or MAY))
    services = {"secrets": None, "auth": AuthSettings(peers=(head,))}
    listen = ("tls://127.0.0.1:0",)
    far_settings = Settings(node=NodeSettings(name="vault", listen=listen), services=services)
    async with open_node(far_settings, keyring=Keyring.from_mnemonic(PHRASE)) as far:
        auth = AuthSettings(
            peers=(peer("alice", ALICE_KEY, "secrets:derive"), peer("bob", WORKER_KEY, "echo:*"))
        )
        secrets = RemoteSecretsSettings(far.url, expect=IDENTITY, **table)
        settings = Settings(
            node=NodeSettings(listen=("ws://127.0.0.1:0",)),
            services={"secrets": secrets, "auth": auth},
        )
        async with open_node(settings, keyring=own) as near:
            made = World(far, near)
            # Nothing is kept before the other node tells of its locks.
            if made.kept is not None and not scopes:
                await made.until(lambda: made.kept._until > 1e300)
            yield made


async def test_what_was_derived_is_told_again_without_asking():
    async with world() as it:
        first = await it.derive()
        for request in (DeriveEthereumKey(), DeriveEncryptionKey(3)):
            answer = await it.near.client.call(request)
            assert await it.near.client.call(request) is answer
        assert await it.derive() == first
        assert it.asked == 1
        assert len(it.kept) == 3


async def test_nothing_secret_is_kept_and_nothing_that_is_not_derived():
    async with world() as it:
        await it.near.client.call(DerivePassword("example.org"))
        await it.near.client.call(SignEd25519(PATH, b""))
        assert len(it.kept) == 0


async def test_each_caller_asks_for_himself_and_may_not_more_than_without():
    async with world() as it:
        await it.derive()
        async with connect(it.near.url, identity=ALICE_KEY) as alice:
            await it.derive(alice)
            assert it.asked == 2
            await it.derive(alice)
            assert it.asked == 2
        async with connect(it.near.url, identity=WORKER_KEY) as bob:
            with pytest.raises(Forbidden):
                await it.derive(bob)


async def test_a_lock_over_there_is_in_force_here_at_once():
    async with world() as it:
        await it.derive()
        it.far.vault.lock()
        await it.until(lambda: len(it.kept) == 0)
        with pytest.raises(Locked):
            await it.derive()
        it.far.vault.unlock(Keyring.from_mnemonic(PHRASE, "another"))
        await it.until(lambda: it.kept._until > 1e300)
        assert (await it.derive()).public_key != Keyring.from_mnemonic(PHRASE).ed25519(
            PATH
        ).public_key


async def test_an_answer_that_was_on_its_way_when_something_was_locked_is_not_kept():
    async with world() as it:
        answer = await it.derive()
        generation, caller = it.kept.generation, it.near.dispatcher.itself
        it.kept.wipe("a lock")
        it.kept.put(DeriveEd25519(PATH), caller, answer, generation)
        assert len(it.kept) == 0


async def test_what_is_kept_dies_in_time(mock_clock):
    async with world(cache_seconds=3600.0) as it:
        await it.derive()
        mock_clock.jump(3599)
        # The link's own clock-watchers see that long silence too; what is kept outlives the link.
        assert it.kept.get(DeriveEd25519(PATH), it.near.dispatcher.itself) is not None
        mock_clock.jump(2)
        assert it.kept.get(DeriveEd25519(PATH), it.near.dispatcher.itself) is None
        await trio.testing.wait_all_tasks_blocked()
        assert len(it.kept) == 0


async def test_no_more_are_kept_than_there_is_room_for():
    async with world(cache_entries=2) as it:
        for index in (1, 2, 3):
            await it.near.client.call(DeriveEd25519(f"m/74'/0'/0'/{index}'"))
        assert len(it.kept) == 2
        await it.near.client.call(DeriveEd25519("m/74'/0'/0'/3'"))
        assert it.asked == 3
        await it.near.client.call(DeriveEd25519("m/74'/0'/0'/1'"))
        assert it.asked == 4


async def test_a_link_that_is_lost_is_waited_for_a_moment_and_no_longer(mock_clock):
    async with world(cache_away=10.0) as it:
        first = await it.derive()
        # Nobody listens any more, so that the link stays lost.
        it.far._listening.cancel()
        for session in list(it.far.sessions):
            session.cancel("cut")
        await it.until(lambda: it.kept._until < 1e300)
        assert await it.derive() == first
        with pytest.raises(Unavailable):
            await it.near.client.call(SignEd25519(PATH, b""))
        mock_clock.jump(9)
        assert await it.derive() == first
        mock_clock.jump(2)
        await it.until(lambda: len(it.kept) == 0)
        with pytest.raises(Unavailable):
            await it.derive()


async def test_a_link_that_is_back_in_time_costs_nothing_unless_there_was_a_lock(mock_clock):
    async with world() as it:
        await it.derive()
        for session in list(it.far.sessions):
            session.cancel("cut")
        await it.until(lambda: it.kept._until < 1e300)
        await it.comes_back(mock_clock)
        await it.until(lambda: it.kept._until > 1e300)
        await it.derive()
        assert it.asked == 1

        for session in list(it.far.sessions):
            session.cancel("cut")
        await it.until(lambda: it.kept._until < 1e300)
        it.far.vault.lock()
        it.far.vault.unlock(Keyring.from_mnemonic(PHRASE))
        await it.comes_back(mock_clock)
        await it.until(lambda: it.kept._until > 1e300)
        assert len(it.kept) == 0


async def test_who_is_not_let_in_there_any_more_keeps_nothing():
    async with world(cache_away=600.0) as it:
        await it.derive()
        it.far.settings.services["auth"] = AuthSettings()
        await it.far.client.call(ReloadKeys())
        await it.until(lambda: len(it.kept) == 0)
        with pytest.raises(Unavailable):
            await it.derive()


async def test_who_has_fewer_rights_there_than_before_keeps_nothing(mock_clock):
    async with world() as it:
        await it.derive()
        fewer = peer(
            "worker",
            Keyring.from_mnemonic(PHRASE, "worker").ed25519(IDENTITY_PATH),
            *("identity:forward", "secrets:sign", "secrets:status"),
        )
        it.far.settings.services["auth"] = AuthSettings(peers=(fewer,))
        await it.far.client.call(ReloadKeys())
        await it.comes_back(mock_clock)
        await it.until(lambda: it.kept._until > 1e300)
        with pytest.raises(Forbidden):
            await it.derive()


async def test_who_listens_for_locks_no_more_keeps_nothing():
    async with world() as it:
        await it.derive()
    assert (len(it.kept), it.kept.get(DeriveEd25519(PATH), it.near.dispatcher.itself)) == (0, None)


async def test_without_the_other_nodes_word_on_locks_nothing_is_kept():
    async with world("identity:forward", "secrets:sign") as it:
        await it.near.client.call(SignEd25519(PATH, b""))
        with pytest.raises(Forbidden):
            await it.derive()
        assert len(it.kept) == 0


@pytest.mark.parametrize("table", [{"cache_entries": 0}])
async def test_where_nothing_is_to_be_kept_each_call_is_asked(table):
    async with world(**table) as it:
        await it.derive()
        await it.derive()
        assert it.asked == 2


def test_an_hour_is_what_the_settings_say_if_they_say_nothing(tmp_path):
    path = tmp_path / "stack.toml"
    path.write_text('[secrets]\nremote = "tls://a:1"\n')
    table = load(path, shapes(), {}).services["secrets"]
    assert (table.cache_seconds, table.cache_entries, table.cache_away) == (3600.0, 1024, 10.0)
