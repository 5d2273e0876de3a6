"""The sqlite backend: who is let in by what the database has, and for how long."""

import base64
import hashlib
import json
import time
from pathlib import Path
from statistics import median

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import connect, open_node
from alknet.errors import InvalidInput, Refused, SettingsError
from alknet.identity import Identity
from alknet.keys import ssh_fingerprint, ssh_public_line
from alknet.protocol.auth import (
    Credential,
    Denied,
    Granted,
    OpenSession,
    ReloadKeys,
    VerifyCertificate,
    VerifyPubkey,
    VerifyToken,
)
from alknet.protocol.directory import Ping
from alknet.protocol.storage import (
    AddCredential,
    CreatePrincipal,
    IssueApiKey,
    RevokeApiKey,
    RevokeCredential,
    RotateApiKey,
    UpdatePrincipal,
)
from alknet.services.auth.authorized_keys import AuthorizedKey
from alknet.services.auth.keyset import AuthSettings
from alknet.services.auth.recent import Recent
from alknet.services.auth.stored import _MISSES, StoredKeys
from alknet.services.auth.tokens import sign_token
from alknet.services.storage.base import StorageSettings
from alknet.settings import Settings
from alknet.store import api_keys, credentials, principals
from alknet.store.catalogue import Catalogue
from alknet.store.change import Change
from alknet.store.database import open_database

from ..faults import processes
from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_settings, peer

SCOPES = frozenset({"services:*", "auth:session"})
BOB = Identity("bob", SCOPES)
BOB_FINGERPRINT = ssh_fingerprint(WORKER_KEY.public_key)
VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "ssh_certificates.json").read_text()
)
BEGIN, END = VECTORS["valid"]


def settings(path, **auth):
    """Return the settings of a node that lists alice, and has a database for everybody else."""
    made = node_settings()
    peers = (peer("alice", ALICE_KEY, "*"),)
    services = {
        **made.services,
        "auth": AuthSettings(peers=peers, backend="sqlite", **auth),
        "storage": StorageSettings(path=str(path)),
    }
    return Settings(node=made.node, services=services)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "test.db"


@pytest.fixture
async def node(path, keyring):
    async with open_node(settings(path), keyring=keyring) as node:
        await node.client.call(CreatePrincipal("bob", "service", scopes=SCOPES))
        yield node


@pytest.fixture
def client(node):
    return node.client


async def issue(client, scopes=("*",), **fields):
    return await client.call(IssueApiKey("bob", "a key", frozenset(scopes), **fields))


async def add_key(client, key=WORKER_KEY, **fields):
    return await client.call(AddCredential("bob", ssh_public_line(key.public_key), **fields))


async def verified(client, token):
    """Return who comes with *token*, or None."""
    verdict = await client.call(VerifyToken(token))
    return verdict.identity if isinstance(verdict, Granted) else None


async def ended(client):
    """Wait until the link of *client* is closed by the node."""
    with trio.fail_after(5):
        await client.session.closed()


# Who is let in.


async def test_an_api_key_is_its_owner_with_what_both_may_do(client):
    issued = await issue(client, ("services:peers", "secrets:*"))

    assert await client.call(VerifyToken(issued.token)) == Granted(
        Identity("bob", frozenset({"services:peers"})), Credential("token", issued.key.prefix)
    )


async def test_a_key_is_its_owner_with_all_its_rights(client):
    assert await client.call(VerifyPubkey(WORKER_KEY.public_key)) == Denied(
        f"the key {BOB_FINGERPRINT} is not listed here"
    )
    await add_key(client)

    granted = Granted(BOB, Credential("key", BOB_FINGERPRINT))
    for _ in range(2):
        assert await client.call(VerifyPubkey(WORKER_KEY.public_key)) == granted


async def test_who_is_listed_goes_first(client):
    await add_key(client, ALICE_KEY)

    assert (await client.call(VerifyPubkey(ALICE_KEY.public_key))).identity.id == "alice"


async def test_a_signed_token_names_its_key_by_the_hash_that_a_fingerprint_is(client):
    await add_key(client)
    blob = AuthorizedKey.parse(ssh_public_line(WORKER_KEY.public_key)).blob
    token = sign_token(WORKER_KEY, hashlib.sha256(blob).digest(), time.time())

    assert await verified(client, token) == BOB
    assert await verified(client, token) is None


@pytest.mark.parametrize(
    ("owner", "reason"),
    [
        ("alice", None),
        # The authority's line names no principals, so it speaks for its owner's name alone.
        ("dan", "the certificate names no principal that its authority may speak for here"),
    ],
)
async def test_a_certificate_is_its_authoritys_owners(client, monkeypatch, owner, reason):
    monkeypatch.setattr("alknet.services.auth.base.time.time", lambda: BEGIN + 1.0)
    blob = base64.b64decode(VECTORS["certificates"]["plain"].split()[1])
    request = VerifyCertificate(blob, AuthorizedKey.parse(VECTORS["user"]).public_key)
    await client.call(CreatePrincipal(owner, "service", scopes=SCOPES))
    assert "is not listed here" in (await client.call(request)).reason
    authority = VECTORS["authorities"]["ca"]
    added = await client.call(AddCredential(owner, authority, kind="cert-authority"))
    verdict = await client.call(request)

    if reason:
        assert verdict == Denied(reason)
    else:
        assert verdict.identity == Identity(owner, SCOPES)
        assert verdict.credential.authority == added.fingerprint
        await client.call(RevokeCredential(added.fingerprint))
        assert await client.call(request) == Denied(f"the key {added.fingerprint} was revoked")


@pytest.mark.parametrize(
    "token", ["alk_", "alk_aaaaaaaa", "alk_" + "a" * 48, "alk_\ud800", "als_x", "", "nonsense"]
)
async def test_what_nobody_has_is_nobodys(client, token):
    for _ in range(2):
        assert await verified(client, token) is None


async def test_a_known_prefix_is_not_enough(client):
    issued = await issue(client)
    wrong = issued.token[:-1] + ("a" if issued.token[-1] != "a" else "b")

    assert await verified(client, issued.token) == BOB
    assert await verified(client, wrong) is None
    assert await verified(client, issued.token) == BOB


# What changes is in force at once, also for what is remembered.


async def revoke_key(client, issued):
    await client.call(RevokeApiKey(issued.key.prefix))


async def rotate_without_grace(client, issued):
    await client.call(RotateApiKey(issued.key.prefix, grace=0))


async def disable_owner(client, _):
    await client.call(UpdatePrincipal("bob", enabled=False))


@pytest.mark.parametrize("take_back", [revoke_key, rotate_without_grace, disable_owner])
async def test_what_is_taken_back_is_good_for_nothing_at_once(client, take_back):
    issued = await issue(client)
    assert await verified(client, issued.token) == BOB
    await take_back(client, issued)

    assert await verified(client, issued.token) is None


async def test_who_was_unknown_is_known_once_added(client):
    assert isinstance(await client.call(VerifyPubkey(WORKER_KEY.public_key)), Denied)
    await add_key(client)

    assert (await client.call(VerifyPubkey(WORKER_KEY.public_key))).identity == BOB


async def test_a_key_that_was_rotated_overlaps_with_the_new_one(client):
    issued = await issue(client)
    other = await client.call(RotateApiKey(issued.key.prefix, grace=60))

    assert await verified(client, issued.token) == await verified(client, other.token) == BOB
    assert (await client.call(VerifyToken(issued.token))).expires <= time.time() + 60


async def test_what_was_revoked_there_is_good_for_nothing_here(path, keyring):
    async with open_node(settings(path), keyring=keyring) as node:
        await node.client.call(CreatePrincipal("bob", "service", scopes=SCOPES))
        await add_key(node.client, ALICE_KEY)
        await node.client.call(RevokeCredential(ssh_fingerprint(ALICE_KEY.public_key)))

        assert await node.client.call(VerifyPubkey(ALICE_KEY.public_key)) == Denied(
            f"the key {ssh_fingerprint(ALICE_KEY.public_key)} was revoked"
        )


async def test_what_was_revoked_here_is_good_for_nothing_there(path, keyring):
    async with open_node(settings(path, revoked=(BOB_FINGERPRINT,)), keyring=keyring) as node:
        await node.client.call(CreatePrincipal("bob", "service", scopes=SCOPES))
        await add_key(node.client)

        assert isinstance(await node.client.call(VerifyPubkey(WORKER_KEY.public_key)), Denied)


# Links.


async def test_a_link_ends_with_the_credential_that_it_came_by(node):
    issued, _ = await issue(node.client), await add_key(node.client)
    async with (
        connect(node.url, identity=issued.token) as by_token,
        connect(node.url, identity=WORKER_KEY) as by_key,
        connect(node.url, identity=ALICE_KEY) as alice,
    ):
        await node.client.call(RevokeApiKey(issued.key.prefix))
        await ended(by_token)
        assert await by_key.call(Ping())
        await node.client.call(RevokeCredential(BOB_FINGERPRINT))
        await ended(by_key)
        assert await alice.call(Ping())
    for credential in (issued.token, WORKER_KEY):
        with pytest.raises(Refused):
            async with connect(node.url, identity=credential):
                pass


async def test_a_session_ends_with_the_key_that_it_was_opened_with(node):
    issued = await issue(node.client)
    async with connect(node.url, identity=issued.token) as bob:
        token = (await bob.call(OpenSession())).token
    async with connect(node.url, identity=token) as again:
        await node.client.call(RevokeApiKey(issued.key.prefix))
        await ended(again)


async def test_a_link_ends_when_its_credential_expires(node):
    issued = await issue(node.client, lifetime=0.5)
    async with connect(node.url, identity=issued.token) as client:
        await ended(client)
    assert await verified(node.client, issued.token) is None


@pytest.mark.parametrize("manner", ["by-hand", "in-order"])
async def test_what_another_process_revokes_ends_within_100_ms(node, path, manner):
    """The median, and none later than a second: the machine may be busy."""
    late = []
    async with processes.running("revoker", str(path), manner) as revoker:
        assert await revoker.line() == "ready"
        for _ in range(5):
            issued = await issue(node.client)
            async with connect(node.url, identity=issued.token) as client:
                await revoker.tell(issued.key.prefix)
                await ended(client)
            # The link may have ended before all that is remembered was forgotten.
            with trio.fail_after(5):
                while await verified(node.client, issued.token) is not None:
                    await wait_all_tasks_blocked(0.001)
            over = time.time()
            late.append(over - float(await revoker.line()))
    assert median(late) < 0.1
    assert max(late) < 1.0


# Settings.


async def test_it_wants_a_database(keyring):
    without = settings("unused.db")
    services = {name: each for name, each in without.services.items() if name != "storage"}
    with pytest.raises(SettingsError, match="'auth' requires 'storage', which is not set up"):
        async with open_node(Settings(node=without.node, services=services), keyring=keyring):
            pass


async def test_a_reload_reads_the_listed_ones_and_keeps_the_others(node):
    await add_key(node.client)
    assert (await node.client.call(ReloadKeys())).ended == 0

    assert (await node.client.call(VerifyPubkey(WORKER_KEY.public_key))).identity == BOB


async def test_the_backend_of_a_node_that_runs_stays(path, keyring):
    made = settings(path)
    services = dict(made.services)
    async with open_node(Settings(node=made.node, services=services), keyring=keyring) as node:
        services["auth"] = AuthSettings()
        with pytest.raises(InvalidInput, match="the node runs with 'sqlite': restart it"):
            await node.client.call(ReloadKeys())


# What is remembered.


@pytest.fixture
async def keys(path):
    """Return the backend alone, and an API key that is good there."""
    async with open_database(path) as database:

        def fill(connection):
            change = Change(connection, Catalogue(), "test")
            principals.create(change, "bob", "service", scopes=SCOPES)
            line = ssh_public_line(WORKER_KEY.public_key)
            credentials.add(change, "bob", line, "ssh-key", "", None)
            return api_keys.issue(change, "bob", "a key", ("*",), None)

        issued = await database.write(fill)
        yield StoredKeys(AuthSettings(), path.parent, database), database, issued


async def test_made_up_credentials_push_out_none_that_are_good(keys, monkeypatch):
    stored, database, issued = keys
    now = time.time()
    assert stored.token(issued.token, now)
    assert isinstance(stored.key(WORKER_KEY.public_key, None, now), Granted)
    for number in range(2 * _MISSES):
        assert stored.token(f"alk_{number:048}", now) is None
        assert isinstance(stored.key(number.to_bytes(32), None, now), Denied)
    assert len(stored._misses) == _MISSES
    monkeypatch.setattr(database, "look", None)

    # From memory: the database could not be asked.
    assert stored.token(issued.token, now).identity == BOB
    assert stored.key(WORKER_KEY.public_key, None, now).identity == BOB
    assert isinstance(stored.key((2 * _MISSES - 1).to_bytes(32), None, now), Denied)


async def test_what_is_used_is_told_once(keys):
    stored, _, issued = keys
    stored.token(issued.token, time.time())
    stored.key(WORKER_KEY.public_key, None, time.time())
    stored.key(STRANGER_KEY.public_key, None, time.time())

    assert stored.take_used() == ([issued.key.prefix], [BOB_FINGERPRINT])
    assert stored.take_used() == ([], [])


def test_what_was_not_asked_for_the_longest_is_forgotten_first():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)

    assert [recent.get(each) for each in "abc"] == [1, None, 3]
    assert len(recent) == 2
