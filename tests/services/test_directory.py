"""DirectoryService: what there is for a caller, and who is connected."""

import time

import pytest

from alknet import connect, open_node
from alknet.errors import Forbidden, InvalidInput, NotFound
from alknet.identity import Identity
from alknet.protocol.directory import (
    ListOperations,
    ListPeers,
    OperationSummary,
    PeerSummary,
    Ping,
    Register,
    Schema,
)

from ..echo import Echo
from ..people import ALICE_KEY, WORKER_KEY, node_settings, peer


async def names_for(client):
    return [each.name for each in (await client.call(ListOperations())).operations]


async def test_a_list_holds_what_the_caller_may_call_in_order_of_name(node):
    nobody = await names_for(node.dispatcher.client(None))
    ann = await names_for(node.dispatcher.client(Identity("ann", frozenset({"secrets:derive"}))))
    everything = await names_for(node.client)

    assert set(nobody) < set(ann) < set(everything)
    assert set(ann) - set(nobody) == {
        "secrets/derive",
        "secrets/encryption-key",
        "secrets/ethereum",
        "secrets/watch",
    }
    assert everything == sorted(everything)


async def test_internal_operations_are_listed_within_the_process_alone(node, alice):
    assert "echo/secret" in await names_for(node.client)
    assert "echo/secret" not in await names_for(alice)
    with pytest.raises(NotFound):
        await alice.call(Schema("echo/secret"))


async def test_a_line_of_the_list_is_the_first_of_the_description(alice):
    listed = (await alice.call(ListOperations())).operations
    (derive,) = [each for each in listed if each.name == "secrets/derive"]

    assert derive == OperationSummary(
        "secrets/derive",
        "secrets",
        "mutation",
        "Derive the Ed25519 key at `path` (SLIP-0010, hardened steps only); return its public half.",
    )


async def test_a_schema_says_what_a_caller_needs(alice):
    schema = await alice.call(Schema("secrets/decrypt"))

    assert schema.kind == "mutation"
    assert schema.idempotent
    assert schema.access.all_of == ("secrets:decrypt",)
    assert schema.input_schema["$defs"]["Decrypt"]["required"] == ["sealed"]
    assert schema.output_schema["$defs"]["Plaintext"]["required"] == ["data"]


@pytest.mark.parametrize("name", ["secrets/nope", "", "echo/secret"])
async def test_what_is_not_there_and_what_one_may_not_know_have_one_answer(alice, name):
    with pytest.raises(NotFound) as caught:
        await alice.call(Schema(name))
    assert str(caught.value) == (
        f"there is no operation {name!r} here; services/list names those you may call"
    )


async def test_a_ping_is_answered_with_name_and_time(alice):
    pong = await alice.call(Ping())

    assert pong.node == "head"
    assert pong.time == pytest.approx(time.time(), abs=5)


async def test_peers_are_listed_with_what_they_have_registered(node, alice):
    async with connect(node.url, identity=WORKER_KEY, services=[Echo()]):
        peers = (await alice.call(ListPeers())).peers
        (worker,) = [each for each in peers if each.peer_id == "worker-1"]
        assert "echo/say" in worker.operations
        assert "echo/secret" not in worker.operations
        assert PeerSummary("alice", ()) in peers
    peers = (await alice.call(ListPeers())).peers
    assert [each.peer_id for each in peers] == ["alice"]


CALLS = {
    "echo/say": {"text": "hi"},
    "echo/shout": {"text": "hi"},
    "echo/count": {"to": 1},
    "echo/whisper": {"text": "hi"},
}


@pytest.mark.parametrize("only", [None, {"echo/say", "services/peers"}], ids=["any", "held"])
@pytest.mark.parametrize(
    "scopes", [(), ("echo:shout",), ("echo:*",), ("*",)], ids=["none", "one", "echo", "all"]
)
async def test_of_a_peer_is_listed_what_could_be_called_and_nothing_else(
    node, worker, scopes, only
):
    identity = Identity(
        "carol",
        frozenset({"services:peers", *scopes}),
        only=None if only is None else frozenset(only),
    )
    carol = node.dispatcher.client(identity)
    listed = {
        name
        for each in (await carol.call(ListPeers())).peers
        for name in each.operations
        if each.peer_id == "worker-1"
    }

    for name, given in CALLS.items():
        try:
            if name == "echo/count":
                async with carol.invoke_stream(f"/worker-1/{name}", given) as items:
                    await anext(items)
            else:
                await carol.invoke(f"/worker-1/{name}", given)
        except Forbidden:
            assert name not in listed
        else:
            assert name in listed


async def test_what_could_be_overheard_is_listed_to_nobody_who_would_be(node, worker, alice):
    assert "echo/whisper" in {
        name for each in (await alice.call(ListPeers())).peers for name in each.operations
    }
    [session] = [each for each in node.sessions if each.peer == "alice"]
    session.link.is_confidential = False
    assert "echo/whisper" not in {
        name for each in (await alice.call(ListPeers())).peers for name in each.operations
    }
    with pytest.raises(Forbidden, match="could be listened to"):
        await alice.invoke("/worker-1/echo/whisper", {"text": "hi"})


async def test_listing_peers_and_registering_need_scopes(keyring):
    settings = node_settings(peer("alice", ALICE_KEY))
    async with open_node(settings, keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as client:
            with pytest.raises(Forbidden, match="services:peers"):
                await client.call(ListPeers())
            with pytest.raises(Forbidden, match="services:register"):
                await client.call(Register(()))


async def test_only_a_peer_can_register(node):
    with pytest.raises(InvalidInput, match=r"open_node\(services=\.\.\.\)"):
        await node.client.call(Register(()))


@pytest.mark.parametrize("name", ["head", "home", "any"])
async def test_a_peer_whose_name_means_something_else_can_register_nothing(keyring, name):
    """Its operations could never be called: the path leads elsewhere."""
    settings = node_settings(peer(name, WORKER_KEY, "services:register"), name="home")
    async with open_node(settings, keyring=keyring) as node:
        with pytest.raises(InvalidInput, match=rf"{name!r} cannot be called, .* something else"):
            async with connect(node.url, identity=WORKER_KEY, services=[Echo()]):
                pass
