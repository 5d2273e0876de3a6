"""Accounts and organizations are made, changed, told of and noted, and never lost."""

import re

import pytest

from alknet import open_node
from alknet.errors import Conflict, Forbidden, InvalidInput, NotFound
from alknet.identity import Identity
from alknet.protocol.storage import (
    CreateAccount,
    CreateOrganization,
    GetAccount,
    GetOrganization,
    GetPrincipal,
    ListAccounts,
    ListAudit,
    ListMembers,
    ListOrganizations,
    PutMember,
    RemoveMember,
    Subscribe,
    UpdateAccount,
    VerifyAudit,
    Watch,
    WatchIdentities,
)

from .conftest import settings
from .test_news import take


@pytest.fixture
async def acme(client):
    """The client, with the accounts ann and bob, and ann's organization acme."""
    for id in ("ann", "bob"):
        await client.call(CreateAccount(id.title(), email=f"{id}@example.org", id=id))
    await client.call(CreateOrganization("acme", "Acme", "ann", id="acme"))
    return client


async def test_an_account_is_kept_as_made_and_is_a_principal(client):
    made = await client.call(CreateAccount("Ann", email="ann@example.org", access_level="admin"))
    assert await client.call(GetAccount(made.id)) == made
    assert (made.display_name, made.status, made.version) == ("Ann", "active", 1)
    principal = await client.call(GetPrincipal(made.id))
    assert (principal.kind, principal.enabled, principal.scopes) == ("account", True, frozenset())


async def test_accounts_are_listed_by_id_and_by_status(acme):
    await acme.call(UpdateAccount("bob", status="suspended"))
    page = await acme.call(ListAccounts(limit=1))
    assert ([each.id for each in page.accounts], page.next) == (["ann"], "ann")
    page = await acme.call(ListAccounts(after="ann"))
    assert ([each.id for each in page.accounts], page.next) == (["bob"], None)
    page = await acme.call(ListAccounts(status="suspended"))
    assert [each.id for each in page.accounts] == ["bob"]


@pytest.mark.parametrize("status", ["suspended", "deactivated"])
async def test_an_account_that_is_not_active_is_not_enabled(acme, status):
    changed = await acme.call(UpdateAccount("bob", status=status, expected_version=1))
    assert (changed.status, changed.version, changed.email) == (status, 2, "bob@example.org")
    assert not (await acme.call(GetPrincipal("bob"))).enabled
    await acme.call(UpdateAccount("bob", status="active"))
    assert (await acme.call(GetPrincipal("bob"))).enabled


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (CreateAccount("Ann", id="ann"), Conflict, "there is a principal 'ann' already"),
        (CreateAccount("Ann", email="ann@example.org"), Conflict, "an account with the email"),
        (UpdateAccount("bob", email="ann@example.org"), Conflict, "an account with the email"),
        (
            UpdateAccount("bob", status="active", expected_version=7),
            Conflict,
            "at version 1, not 7",
        ),
        (UpdateAccount("eve"), NotFound, "there is no account 'eve'"),
        (CreateOrganization("acme", "Acme", "bob"), Conflict, "there is an organization 'acme'"),
        (CreateOrganization("new", "New", "eve"), NotFound, "there is no account 'eve'"),
        (GetOrganization("ann"), NotFound, "there is no organization 'ann'"),
        (PutMember("acme", "ann", "member"), Conflict, "'ann' owns the organization 'acme'"),
        (PutMember("acme", "eve"), NotFound, "there is no account 'eve'"),
        (RemoveMember("acme", "ann"), Conflict, "stays its member"),
        (RemoveMember("acme", "bob"), NotFound, "'bob' is no member of the organization 'acme'"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(acme, request_, error, message):
    before = (await acme.call(VerifyAudit())).head
    with pytest.raises(error, match=re.escape(message)):
        await acme.call(request_)
    assert (await acme.call(VerifyAudit())).head == before
    assert len((await acme.call(ListAccounts())).accounts) == 2


async def test_members_come_and_go_and_the_owner_is_the_first(acme):
    await acme.call(PutMember("acme", "bob"))
    await acme.call(PutMember("acme", "bob", "admin"))
    members = (await acme.call(ListMembers("acme"))).members
    assert [(each.account, each.level) for each in members] == [("ann", "owner"), ("bob", "admin")]
    organizations = (await acme.call(ListOrganizations(account="bob"))).organizations
    assert [each.slug for each in organizations] == ["acme"]
    await acme.call(RemoveMember("acme", "bob"))
    assert (await acme.call(ListOrganizations(account="bob"))).organizations == ()
    assert len((await acme.call(ListOrganizations())).organizations) == 1


async def test_every_change_is_told_of_and_noted(acme):
    await acme.call(UpdateAccount("bob", status="suspended"))
    async with acme.stream(WatchIdentities("identities", after=0)) as events:
        found = await take(events, 4)
    assert [(event.kind, event.key, event.type, event.version) for event in found] == [
        ("created", "ann", "account", 1),
        ("created", "bob", "account", 1),
        ("created", "acme", "organization", 1),
        ("updated", "bob", "account", 2),
    ]
    entries = (await acme.call(ListAudit())).entries
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("create-principal", "ann"),
        ("create-account", "ann"),
        ("create-principal", "bob"),
        ("create-account", "bob"),
        ("create-principal", "acme"),
        ("create-organization", "acme"),
        ("put-member", "acme"),
        ("update-account", "bob"),
    ]
    assert entries[-1].details["status"] == "suspended"
    assert (await acme.call(VerifyAudit())).is_intact


@pytest.mark.parametrize("request_", [Watch("identities"), Subscribe("rights", "c")])
async def test_what_is_told_of_people_is_not_for_all_who_may_read_graphs(acme, request_):
    with pytest.raises(InvalidInput, match="there are types, graphs, nodes, edges"):
        async with acme.stream(request_) as events:
            await take(events, 1)


async def test_it_takes_scopes_of_their_own(tmp_path):
    async with open_node(settings(tmp_path / "test.db")) as node:
        reader = node.dispatcher.client(Identity("r", frozenset({"storage:*", "identity:read"})))
        with pytest.raises(Forbidden, match="identity:admin"):
            await reader.call(CreateAccount("Eve"))
        assert (await reader.call(ListAccounts())).accounts == ()
        nobody = node.dispatcher.client(Identity("n", frozenset({"storage:*"})))
        with pytest.raises(Forbidden, match="identity:read"):
            await nobody.call(ListAccounts())
