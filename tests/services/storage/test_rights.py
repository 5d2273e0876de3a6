"""Rights follow from the graph, at once: what has been taken away is gone when it is acknowledged."""

import re

import apsw
import pytest

from alknet import open_node
from alknet.errors import Conflict, InvalidInput, NotFound
from alknet.protocol.storage import (
    CreateAccount,
    CreateOrganization,
    CreatePrincipal,
    GetPrincipal,
    GetRights,
    ListAudit,
    ListPrincipals,
    PutBelonging,
    PutDelegation,
    PutGrant,
    PutMember,
    RemoveBelonging,
    RemoveDelegation,
    RemoveGrant,
    RemoveMember,
    Rights,
    UpdateAccount,
    UpdatePrincipal,
    WatchIdentities,
)
from alknet.store.database import open_database
from alknet.store.rights import RightsOf

from .conftest import settings
from .test_news import take


@pytest.fixture
async def acme(client):
    """The client; ann owns acme, which has the role dev, and bob is a member."""
    for id in ("ann", "bob"):
        await client.call(CreateAccount(id.title(), id=id, tenant="acme"))
    await client.call(CreateOrganization("acme", "Acme", "ann", id="acme"))
    await client.call(PutMember("acme", "bob"))
    await client.call(CreatePrincipal("dev", scopes=frozenset({"storage:*"})))
    await client.call(PutBelonging("acme", "dev"))
    return client


async def scopes(client, principal):
    return (await client.call(GetRights(principal))).scopes


async def test_members_have_what_their_organization_has_and_its_roles(acme):
    await acme.call(UpdatePrincipal("acme", scopes=frozenset({"auth:verify"})))
    await acme.call(PutGrant("dev", "doc:1", "read"))
    expected = Rights(
        frozenset({"storage:*", "auth:verify"}), resources={"doc:1": frozenset({"read"})}
    )
    assert await acme.call(GetRights("bob")) == expected
    await acme.call(PutGrant("bob", "doc:1", "read", deny=True))
    assert (await acme.call(GetRights("bob"))).resources == {}
    assert (await acme.call(GetRights("ann"))).resources == {"doc:1": {"read"}}


CHANGES = {
    "a member leaves": RemoveMember("acme", "bob"),
    "its account is suspended": UpdateAccount("bob", status="suspended"),
    "the organization is disabled": UpdatePrincipal("acme", enabled=False),
    "the role is disabled": UpdatePrincipal("dev", enabled=False),
    "the role is emptied": UpdatePrincipal("dev", scopes=frozenset()),
    "the organization leaves the role": RemoveBelonging("acme", "dev"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_was_found_before_is_forgotten_when_it_changes(acme, change):
    assert await scopes(acme, "bob") == {"storage:*"}
    await acme.call(change)
    assert await scopes(acme, "bob") == frozenset()


async def test_a_delegation_lends_what_is_said_of_what_there_is(acme):
    await acme.call(CreatePrincipal("bot", "service"))
    await acme.call(PutDelegation("bob", "bot", frozenset({"storage:read", "secrets:*"})))
    assert await scopes(acme, "bot") == {"storage:read"}
    await acme.call(PutDelegation("bob", "bot", frozenset({"storage:r*"})))
    assert await scopes(acme, "bot") == {"storage:r*"}
    await acme.call(UpdateAccount("bob", status="suspended"))
    assert await scopes(acme, "bot") == frozenset()
    await acme.call(UpdateAccount("bob", status="active"))
    await acme.call(RemoveDelegation("bob", "bot"))
    assert await scopes(acme, "bot") == frozenset()


async def test_an_identity_can_do_what_its_rights_and_its_key_cover(acme, tmp_path):
    await acme.call(UpdatePrincipal("dev", denied=frozenset({"storage:admin"})))
    await acme.call(PutGrant("dev", "doc:1", "write"))
    # Another reader of the same file, as the keeper of identities has.
    copy = tmp_path / "copy.db"
    source = apsw.Connection(str(tmp_path / "test.db"))
    source.execute("vacuum into ?", (str(copy),))
    source.close()
    async with open_database(copy) as database:
        identity = RightsOf(database).identity("bob", frozenset({"storage:*", "secrets:*"}))
    assert (identity.id, identity.tenant) == ("bob", "acme")
    assert identity.resources == {"doc:1": {"write"}}
    held = {scope: identity.has(scope) for scope in ("storage:read", "storage:admin", "secrets:x")}
    assert held == {"storage:read": True, "storage:admin": False, "secrets:x": False}


async def test_principals_are_listed_and_changed_from_the_version_that_was_read(acme):
    page = await acme.call(ListPrincipals(kind="account", limit=1))
    assert ([each.id for each in page.principals], page.next) == (["ann"], "ann")
    page = await acme.call(ListPrincipals(after="ann"))
    assert [each.id for each in page.principals] == ["bob", "dev"]
    changed = await acme.call(UpdatePrincipal("dev", description="d", expected_version=1))
    assert await acme.call(GetPrincipal("dev")) == changed
    assert (changed.scopes, changed.description, changed.version) == ({"storage:*"}, "d", 2)
    with pytest.raises(Conflict, match="at version 2, not 1"):
        await acme.call(UpdatePrincipal("dev", description="e", expected_version=1))


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (CreatePrincipal("ann"), Conflict, "there is a principal 'ann' already"),
        (UpdatePrincipal("ann", enabled=False), InvalidInput, "'ann' is an account, which is"),
        (PutBelonging("dev", "bob"), InvalidInput, "what others belong to is another role"),
        (PutBelonging("dev", "dev"), InvalidInput, "'dev' cannot belong to 'dev'"),
        (PutBelonging("ann", "acme"), InvalidInput, "make it a member of the organization"),
        (PutBelonging("eve", "dev"), NotFound, "there is no principal 'eve'"),
        (RemoveBelonging("bob", "dev"), NotFound, "'bob' does not belong to 'dev'"),
        (PutDelegation("bob", "bob", frozenset()), InvalidInput, "cannot delegate to itself"),
        (PutDelegation("bob", "eve", frozenset()), NotFound, "there is no principal 'eve'"),
        (RemoveDelegation("ann", "bob"), NotFound, "'ann' delegates nothing to 'bob'"),
        (PutGrant("eve", "doc:1", "read"), NotFound, "there is no principal 'eve'"),
        (RemoveGrant("ann", "doc:1", "read"), NotFound, "neither granted nor denied to read"),
        (GetRights("eve"), NotFound, "there is no principal 'eve'"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_reason(acme, request_, error, message):
    with pytest.raises(error, match=re.escape(message)):
        await acme.call(request_)


async def test_every_edge_is_told_of_and_noted(acme):
    await acme.call(PutBelonging("acme", "dev"))  # which changes nothing
    await acme.call(PutGrant("dev", "doc:1", "read"))
    await acme.call(RemoveGrant("dev", "doc:1", "read"))
    await acme.call(RemoveBelonging("acme", "dev"))
    async with acme.stream(WatchIdentities("rights", after=0)) as events:
        found = await take(events, 10)
    assert [(event.kind, event.key, event.type) for event in found][3:] == [
        ("created", "ann", "member"),
        ("created", "bob", "member"),
        ("created", "dev", "role"),
        ("created", "acme", "belongs-to"),
        ("created", "dev", "can-read"),
        ("deleted", "dev", "can-read"),
        ("deleted", "acme", "belongs-to"),
    ]
    entries = (await acme.call(ListAudit())).entries[-4:]
    assert [(entry.action, entry.details) for entry in entries] == [
        ("put-belongs-to", {"to": "dev"}),
        ("put-can-read", {"on": "doc:1", "deny": False}),
        ("remove-can-read", {"on": "doc:1"}),
        ("remove-belongs-to", {"to": "dev"}),
    ]


async def test_rings_and_rights_outlive_a_restart(tmp_path):
    path = tmp_path / "test.db"
    async with open_node(settings(path)) as node:
        for id in "abc":
            await node.client.call(CreatePrincipal(id, scopes=frozenset({f"{id}:x"})))
        for member, grouping in ("ab", "bc", "ca"):
            await node.client.call(PutBelonging(member, grouping))
    async with open_node(settings(path)) as node:
        for id in "abc":
            assert await scopes(node.client, id) == {"a:x", "b:x", "c:x"}
