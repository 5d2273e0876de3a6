"""Sealed attributes are never in the file in clear, open only in their place, and can be rotated."""

import re
import sqlite3

import msgspec
import pytest

from alknet import open_node
from alknet.errors import (
    Conflict,
    DecryptionFailed,
    Forbidden,
    InvalidInput,
    Locked,
    NotFound,
    Unavailable,
)
from alknet.identity import Identity
from alknet.keys import EncryptedData
from alknet.protocol.secret import Lock, Unlock
from alknet.protocol.storage import (
    AddBatch,
    AddEdge,
    AddNode,
    CreateGraph,
    DefineType,
    EdgeLine,
    EdgeType,
    Export,
    GetNode,
    GraphType,
    Import,
    ListAudit,
    ListNodes,
    NodeLine,
    NodeType,
    OpenNode,
    RotateGraph,
    UpdateGraph,
    UpdateNode,
    Watch,
)
from alknet.services.storage.base import StorageSettings
from alknet.settings import Settings

from ...people import PHRASE

LOGIN = {
    "type": "object",
    "properties": {"user": {"type": "string"}, "password": {"type": "string"}},
    "required": ["password"],
    "additionalProperties": False,
}
SAFE = GraphType(
    "safe", (NodeType("login", LOGIN, sealed=True), NodeType("site")), (EdgeType("at"),)
)
HUNTER = {"user": "ann", "password": "hunter2"}


def safe_settings(path):
    return Settings(services={"storage": StorageSettings(path=str(path)), "secrets": None})


@pytest.fixture
async def safe(keyring, tmp_path):
    """A client of a node whose vault is unlocked, with an empty graph `safe` of the type above."""
    async with open_node(safe_settings(tmp_path / "test.db"), keyring=keyring) as node:
        await node.client.call(DefineType(SAFE))
        await node.client.call(CreateGraph("safe", "safe"))
        yield node.client


async def rotated(client, graph="safe", to_version=None):
    async with client.stream(RotateGraph(graph, to_version)) as items:
        return [item async for item in items]


async def versions(client, graph="safe"):
    nodes = (await client.call(ListNodes(graph, type="login", limit=1000))).nodes
    return {node.key: node.sealed.key_version for node in nodes}


async def test_attributes_are_sealed_to_their_place_and_path_and_version_are_in_clear(
    safe, keyring, tmp_path
):
    made = await safe.call(AddNode("safe", "login", HUNTER, key="mail"))

    assert await safe.call(GetNode("safe", "mail")) == made
    assert (made.attributes, made.sealed.path, made.sealed.key_version) == ({}, "m/74'/2'/0'/0'", 2)
    fields = {key: getattr(made.sealed, key) for key in ("key_version", "salt", "iv", "data")}
    here = keyring.open(EncryptedData(**fields), associated_data=b'["alknet/node","safe","mail"]')
    assert msgspec.json.decode(here) == HUNTER
    opened = await safe.call(OpenNode("safe", "mail"))
    assert (opened.attributes, opened.sealed, opened.version) == (HUNTER, None, 1)
    for file in tmp_path.iterdir():
        assert b"hunter2" not in file.read_bytes()


async def test_an_update_seals_what_it_puts_in_the_place(safe):
    made = await safe.call(AddNode("safe", "login", HUNTER))
    changed = await safe.call(UpdateNode("safe", made.key, {"password": "x"}, expected_version=1))
    assert await safe.call(GetNode("safe", made.key)) == changed
    assert (changed.version, changed.sealed != made.sealed) == (2, True)
    assert (await safe.call(OpenNode("safe", made.key))).attributes == {"password": "x"}
    with pytest.raises(Conflict):
        await safe.call(UpdateNode("safe", made.key, {"password": "y"}, expected_version=1))


async def test_a_node_that_is_not_sealed_opens_as_it_is(safe):
    made = await safe.call(AddNode("safe", "site", {"url": "x"}, key="s"))
    assert await safe.call(OpenNode("safe", "s")) == made


@pytest.mark.parametrize(
    "request_",
    [AddNode("safe", "login", {"password": 7}), AddBatch("safe", (NodeLine("login"),))],
)
async def test_what_does_not_fit_is_refused_before_it_is_sealed(safe, request_):
    with pytest.raises(InvalidInput, match="do not fit the node type 'login'"):
        await safe.call(request_)


async def test_a_locked_vault_means_ciphertext_only(safe):
    made = await safe.call(AddNode("safe", "login", HUNTER, key="mail"))
    await safe.call(AddNode("safe", "site", key="s"))
    await safe.call(Lock())

    assert await safe.call(GetNode("safe", "mail")) == made
    await safe.call(AddEdge("safe", "at", "mail", "s"))
    for request in (
        OpenNode("safe", "mail"),
        AddNode("safe", "login", HUNTER),
        UpdateNode("safe", "mail", HUNTER),
        AddBatch("safe", (NodeLine("login", HUNTER),)),
    ):
        with pytest.raises(Locked):
            await safe.call(request)
    with pytest.raises(Locked):
        await rotated(safe)
    assert (await safe.call(ListNodes("safe"))).nodes[0] == made

    await safe.call(Unlock(PHRASE))
    assert (await safe.call(OpenNode("safe", "mail"))).attributes == HUNTER


async def test_a_sealing_that_was_moved_to_another_node_does_not_open(safe, tmp_path):
    await safe.call(AddNode("safe", "login", HUNTER, key="mail"))
    await safe.call(AddNode("safe", "login", {"password": "mine"}, key="mine"))
    # As somebody with the file in hands could do.
    with sqlite3.connect(tmp_path / "test.db") as file:
        file.execute(
            "update nodes set attributes = (select attributes from nodes where key = 'mail') "
            "where key = 'mine'"
        )
    file.close()
    with pytest.raises(DecryptionFailed, match="'mine' of the graph 'safe' does not open"):
        await safe.call(OpenNode("safe", "mine"))


async def test_opening_needs_a_scope_of_its_own(keyring, tmp_path):
    async with open_node(safe_settings(tmp_path / "test.db"), keyring=keyring) as node:
        await node.client.call(DefineType(SAFE))
        await node.client.call(CreateGraph("safe", "safe"))
        writer = node.dispatcher.client(Identity("w", frozenset({"storage:read", "storage:write"})))
        await writer.call(AddNode("safe", "login", HUNTER, key="mail"))
        with pytest.raises(Forbidden, match="storage:unseal"):
            await writer.call(OpenNode("safe", "mail"))


async def test_without_a_vault_nothing_is_sealed_and_the_error_says_how_to_have_one(client):
    await client.call(DefineType(SAFE))
    await client.call(CreateGraph("safe", "safe"))
    with pytest.raises(Unavailable, match=re.escape("turn it on with [secrets]")):
        await client.call(AddNode("safe", "login", HUNTER))


async def test_a_batch_seals_what_has_to_be_and_keeps_the_order(safe):
    records = (
        NodeLine("login", HUNTER, "a"),
        NodeLine("site", {"url": "x"}, "s"),
        EdgeLine("at", "a", "s"),
        NodeLine("login", {"password": "b"}),
    )
    counts = await safe.call(AddBatch("safe", records))
    assert (counts.nodes, counts.edges) == (3, 1)
    opened = [(await safe.call(OpenNode("safe", key))).attributes for key in await versions(safe)]
    assert opened == [{"password": "b"}, HUNTER]


async def test_an_export_is_sealed_and_imports_under_another_name(safe):
    lines = [NodeLine("login", {"password": str(n)}, f"n{n:03}") for n in range(250)]
    await safe.call(AddBatch("safe", (*lines, NodeLine("site", key="s"))))
    await rotated(safe, to_version=4)
    async with safe.stream(Export("safe")) as items:
        exported = [line async for line in items]
    assert "password" not in repr(exported[2:])

    counts = await safe.upload(Import(name="copy"), exported)

    assert counts.nodes == 251
    assert set((await versions(safe, "copy")).values()) == {4}
    for key in ("n000", "n249"):
        opened = await safe.call(OpenNode("copy", key))
        assert opened.attributes == {"password": str(int(key[1:]))}


async def test_a_sealed_line_never_becomes_a_node_in_clear(safe):
    await safe.call(AddNode("safe", "login", HUNTER, key="mail"))
    sealed = (await safe.call(GetNode("safe", "mail"))).sealed
    open_type = GraphType("open", (NodeType("login"),))
    await safe.call(DefineType(open_type))
    await safe.call(CreateGraph("open", "open"))
    with pytest.raises(DecryptionFailed):
        await safe.call(AddBatch("open", (NodeLine("login", {}, "mail", sealed),)))
    async with safe.stream(Export("safe")) as items:
        lines = [line async for line in items]
    forged = [msgspec.structs.replace(lines[1], type="open"), *lines[2:]]
    with pytest.raises(InvalidInput, match="would be kept in clear"):
        await safe.upload(Import(name="new"), forged)
    with pytest.raises(NotFound):
        await safe.call(GetNode("new", "mail"))


@pytest.mark.parametrize(
    "changed",
    [NodeType("login", {}, sealed=True), NodeType("login", LOGIN), NodeType("site", sealed=True)],
)
async def test_what_cannot_be_read_cannot_be_held_to_another_schema(safe, changed):
    kept = {each.name: each for each in SAFE.node_types}
    definition = msgspec.structs.replace(
        SAFE, node_types=tuple({**kept, changed.name: changed}.values())
    )
    await safe.call(AddNode("safe", "login", HUNTER))
    await safe.call(AddNode("safe", "site"))
    with pytest.raises(Conflict, match="change only while there is none"):
        await safe.call(DefineType(definition))
    described = msgspec.structs.replace(kept["login"], description="d")
    await safe.call(DefineType(msgspec.structs.replace(SAFE, node_types=(described, kept["site"]))))


async def test_a_rotation_seals_all_and_what_is_added_from_then_on(safe):
    for start in range(0, 450, 150):
        lines = [
            NodeLine("login", {"password": str(n)}, f"n{n:03}") for n in range(start, start + 150)
        ]
        await safe.call(AddBatch("safe", lines))
    await safe.call(AddNode("safe", "site", key="s"))

    steps = await rotated(safe)

    assert [(step.to_version, step.done, step.total) for step in steps] == [
        (3, 0, 450),
        (3, 200, 450),
        (3, 400, 450),
        (3, 450, 450),
    ]
    assert set((await versions(safe)).values()) == {3}
    node = await safe.call(OpenNode("safe", "n123"))
    assert (node.attributes, node.version) == ({"password": "123"}, 2)
    assert (await safe.call(GetNode("safe", "n000"))).sealed.path == "m/74'/2'/0'/1'"
    added = await safe.call(AddNode("safe", "login", HUNTER))
    assert added.sealed.key_version == 3
    async with safe.stream(Watch("nodes", after=0)) as events:
        kinds = [(await anext(events)).kind for _ in range(902)]
    assert kinds.count("updated") == 450
    entry = (await safe.call(ListAudit())).entries[-1]
    assert (entry.action, entry.subject, entry.details) == (
        "rotate-graph",
        "safe",
        {"to_version": 3},
    )


async def test_a_rotation_that_was_given_up_goes_on_with_the_rest(safe):
    lines = [NodeLine("login", HUNTER, f"n{n:03}") for n in range(500)]
    await safe.call(AddBatch("safe", lines))
    async with safe.stream(RotateGraph("safe", 7)) as items:
        await anext(items)
        assert (await anext(items)).done == 200
    half = await versions(safe)
    assert 0 < sum(version == 7 for version in half.values()) < 500

    steps = await rotated(safe)

    assert (steps[0].to_version, steps[-1].done) == (7, 500)
    assert steps[0].done >= 200
    assert set((await versions(safe)).values()) == {7}


async def test_what_changes_while_it_is_rotated_is_kept_as_changed(safe):
    lines = [NodeLine("login", HUNTER, f"n{n:03}") for n in range(400)]
    await safe.call(AddBatch("safe", lines))
    async with safe.stream(RotateGraph("safe"), window=1) as items:
        await anext(items)
        await safe.call(UpdateNode("safe", "n399", {"password": "new"}))
        async for _ in items:
            pass
    assert (await safe.call(OpenNode("safe", "n399"))).attributes == {"password": "new"}
    assert set((await versions(safe)).values()) == {3}


async def test_a_node_that_does_not_open_is_named_and_left_as_it_is(keyring, tmp_path):
    async with open_node(safe_settings(tmp_path / "test.db"), keyring=keyring) as node:
        client = node.client
        await client.call(DefineType(SAFE))
        await client.call(CreateGraph("safe", "safe"))
        await client.call(AddNode("safe", "login", HUNTER, key="mine"))
        await client.call(Unlock(PHRASE, "tenant", "guests"))
        guest = node.dispatcher.client(Identity("g", frozenset({"storage:*"}), tenant="guests"))
        theirs = await guest.call(AddNode("safe", "login", HUNTER, key="theirs"))
        assert (await guest.call(OpenNode("safe", "theirs"))).attributes == HUNTER

        last = (await rotated(client))[-1]

        assert (last.done, last.total, last.failed, last.failed_keys) == (1, 2, 1, ("theirs",))
        assert await client.call(GetNode("safe", "theirs")) == theirs
        again = (await rotated(guest))[-1]
        assert (again.done, again.failed, again.to_version) == (2, 0, 3)


async def test_a_rotation_never_goes_back_and_needs_a_graph_that_can_be_changed(safe):
    await rotated(safe, to_version=5)
    with pytest.raises(InvalidInput, match="under key version 5: a rotation goes to a later one"):
        await rotated(safe, to_version=4)
    await safe.call(UpdateGraph("safe", status="archived"))
    with pytest.raises(Conflict, match="archived"):
        await rotated(safe)
    with pytest.raises(NotFound):
        await rotated(safe, "nope")


async def test_a_later_rotation_ends_an_earlier_one(safe):
    await safe.call(AddBatch("safe", [NodeLine("login", HUNTER, f"n{n:03}") for n in range(600)]))
    async with safe.stream(RotateGraph("safe", 3), window=1) as items:
        await anext(items)
        await rotated(safe, to_version=4)
        with pytest.raises(Conflict, match="by a later rotation"):
            async for _ in items:
                pass
    assert set((await versions(safe)).values()) == {4}
