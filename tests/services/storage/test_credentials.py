"""API keys are shown once and kept as hashes; what is revoked or has expired is nobody's."""

import re
import time
from contextlib import closing

import apsw
import pytest

from alknet.errors import BadKey, Conflict, NotFound
from alknet.keys import Ed25519Key, ssh_fingerprint, ssh_public_line
from alknet.protocol.storage import (
    AddCredential,
    CreateAccount,
    IssueApiKey,
    ListApiKeys,
    ListAudit,
    ListCredentials,
    RevokeApiKey,
    RevokeCredential,
    RotateApiKey,
    UpdateAccount,
    WatchIdentities,
)
from alknet.store.api_keys import find_api_key
from alknet.store.credentials import find_credential, note_use
from alknet.store.database import open_database

from .test_news import take

SCOPES = frozenset({"storage:read"})


@pytest.fixture
async def ann(client):
    """The client, with the account ann."""
    await client.call(CreateAccount("Ann", id="ann"))
    return client


@pytest.fixture
def found(tmp_path):
    """Return what another reader of the file finds for a token or a fingerprint, in force then."""

    def find(what, after=0.0):
        search = find_credential if what.startswith("SHA256:") else find_api_key
        with closing(apsw.Connection(str(tmp_path / "test.db"))) as connection:
            return search(connection, what, time.time() + after)

    return find


async def test_a_key_is_found_by_the_whole_token_and_kept_as_its_hash(ann, found, tmp_path):
    issued = await ann.call(IssueApiKey("ann", "laptop", SCOPES))

    assert re.fullmatch(r"alk_[a-z2-7]{48}", issued.token)
    assert issued.key.prefix == issued.token[:12]
    assert found(issued.token) == issued.key
    assert (issued.key.owner, issued.key.scopes, issued.key.expires_at) == ("ann", SCOPES, None)
    assert found(issued.token[:-1] + "!") is None
    assert found(issued.token[:12]) is None
    assert (await ann.call(ListApiKeys())).keys == (issued.key,)
    assert issued.token not in repr(issued)
    for file in tmp_path.iterdir():
        assert issued.token.encode() not in file.read_bytes()


async def test_a_key_is_nobodys_once_revoked_or_over(ann, found):
    short = await ann.call(IssueApiKey("ann", "short", SCOPES, lifetime=60))
    assert found(short.token, after=59) is not None
    assert found(short.token, after=61) is None
    gone = await ann.call(RevokeApiKey(short.key.prefix))
    assert gone.revoked_at is not None
    assert found(short.token) is None
    assert await ann.call(RevokeApiKey(short.key.prefix)) == gone


async def test_the_keys_of_an_account_that_is_not_active_are_nobodys(ann, found):
    issued = await ann.call(IssueApiKey("ann", "laptop", SCOPES))
    line = ssh_public_line(Ed25519Key.generate().public_key)
    credential = await ann.call(AddCredential("ann", line))
    for status, is_found in (("suspended", False), ("active", True), ("deactivated", False)):
        await ann.call(UpdateAccount("ann", status=status))
        assert (found(issued.token) is not None) is is_found
        assert (found(credential.fingerprint) is not None) is is_found


async def test_a_rotated_key_is_good_for_its_grace_and_names_the_one_after_it(ann, found):
    old = await ann.call(IssueApiKey("ann", "ci", SCOPES))
    new = await ann.call(RotateApiKey(old.key.prefix, grace=100, lifetime=1000))
    assert (new.key.owner, new.key.name, new.key.scopes) == ("ann", "ci", SCOPES)
    assert found(old.token, after=99).rotated_to == new.key.prefix
    assert found(old.token, after=101) is None
    assert found(new.token, after=999) == new.key
    assert found(new.token, after=1001) is None
    with pytest.raises(Conflict, match=f"has been rotated already, to '{new.key.prefix}'"):
        await ann.call(RotateApiKey(old.key.prefix))
    await ann.call(RevokeApiKey(new.key.prefix))
    with pytest.raises(Conflict, match="is revoked or has expired"):
        await ann.call(RotateApiKey(new.key.prefix))


async def test_a_rotation_never_prolongs_a_key(ann, found):
    old = await ann.call(IssueApiKey("ann", "ci", SCOPES, lifetime=10))
    await ann.call(RotateApiKey(old.key.prefix, grace=100))
    assert found(old.token, after=11) is None


async def test_an_ssh_key_is_found_by_its_fingerprint(ann, found):
    key = Ed25519Key.generate()
    line = ssh_public_line(key.public_key)
    made = await ann.call(AddCredential("ann", f"{line} ann@laptop", name="laptop", lifetime=60))
    assert made.fingerprint == ssh_fingerprint(key.public_key)
    assert found(made.fingerprint) == made
    assert made.public_key == line
    assert found(made.fingerprint, after=61) is None
    with pytest.raises(Conflict, match="is known already, and 'ann' has it"):
        await ann.call(AddCredential("ann", line))
    await ann.call(RevokeCredential(made.fingerprint))
    assert found(made.fingerprint) is None
    with pytest.raises(Conflict, match="is revoked already"):
        await ann.call(AddCredential("ann", line))


async def test_authorities_and_keys_are_listed_by_owner(ann):
    await ann.call(CreateAccount("Bob", id="bob"))
    kinds = {}
    for owner, kind in (("ann", "ssh-key"), ("ann", "cert-authority"), ("bob", "ssh-key")):
        line = ssh_public_line(Ed25519Key.generate().public_key)
        made = await ann.call(AddCredential(owner, line, kind=kind))
        kinds[made.fingerprint] = (owner, kind)
    listed = (await ann.call(ListCredentials(owner="ann"))).credentials
    assert {each.fingerprint: (each.owner, each.kind) for each in listed} == {
        fingerprint: value for fingerprint, value in kinds.items() if value[0] == "ann"
    }
    page = await ann.call(ListCredentials(limit=2))
    rest = await ann.call(ListCredentials(after=page.next))
    assert [*page.credentials, *rest.credentials] == sorted(
        (await ann.call(ListCredentials())).credentials, key=lambda each: each.fingerprint
    )


# An RSA key: no kind is foreign here, what it is good for is for others to say.
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQAB"


async def test_a_key_of_any_kind_is_kept(ann, found):
    made = await ann.call(AddCredential("ann", RSA))
    assert found(made.fingerprint).public_key == RSA


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 !!!",
        "ssh-ed25519 AAAA",
        f"no-pty {RSA}",
        RSA.replace("ssh-rsa ", "ssh-ed25519 "),
    ],
)
async def test_what_is_no_public_key_is_refused(ann, line):
    with pytest.raises(BadKey, match="that is no OpenSSH public key"):
        await ann.call(AddCredential("ann", line))


@pytest.mark.parametrize(
    "request_",
    [
        IssueApiKey("eve", "n", SCOPES),
        AddCredential("eve", RSA),
        RevokeApiKey("alk_nope"),
        RotateApiKey("alk_nope"),
        RevokeCredential("SHA256:nope"),
    ],
)
async def test_what_is_not_there_is_said(ann, request_):
    with pytest.raises(NotFound, match="there is no"):
        await ann.call(request_)


async def test_changes_are_told_of_and_noted_without_the_key(ann):
    issued = await ann.call(IssueApiKey("ann", "ci", SCOPES))
    new = await ann.call(RotateApiKey(issued.key.prefix))
    await ann.call(RevokeApiKey(issued.key.prefix))
    made = await ann.call(AddCredential("ann", RSA))
    await ann.call(RevokeCredential(made.fingerprint))
    async with ann.stream(WatchIdentities("identities", after=0)) as events:
        found = [(event.kind, event.key) for event in (await take(events, 7))[1:]]
    assert found == [
        ("created", issued.key.prefix),
        ("updated", issued.key.prefix),
        ("created", new.key.prefix),
        ("updated", issued.key.prefix),
        ("created", made.fingerprint),
        ("updated", made.fingerprint),
    ]
    entries = (await ann.call(ListAudit())).entries[2:]
    assert [entry.action for entry in entries] == [
        "issue-api-key",
        "rotate-api-key",
        "revoke-api-key",
        "add-credential",
        "revoke-credential",
    ]
    assert issued.token not in repr(entries)


async def test_use_is_noted_for_many_at_once(tmp_path):
    async with open_database(tmp_path / "other.db") as database:
        await database.write(
            lambda c: c.execute(
                "insert into principals values ('a', 'role', '[]', '[]', 1, '', '', 1, 1, 1);"
                "insert into api_keys values ('alk_1', x'01', 'a', '', '[]', 1, null, null, null, null);"
                "insert into peer_credentials values ('SHA256:x', 'ssh-key', 'a', '', '', 1, null, null, null)"
            ).fetchall()
        )
        await database.write(lambda c: note_use(c, ["alk_1", "alk_9"], ["SHA256:x"], 77.0))
        assert database.rows("select last_used_at from api_keys") == [(77.0,)]
        assert database.rows("select last_used_at from peer_credentials") == [(77.0,)]
