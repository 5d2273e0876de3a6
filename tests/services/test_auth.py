"""AuthService: whose credential it is, and what its owner may do."""

import hashlib
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
import trio

from alknet import connect, open_node
from alknet.errors import (
    CallError,
    Disconnected,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    Refused,
    Unauthenticated,
)
from alknet.identity import Identity
from alknet.keys import ssh_fingerprint
from alknet.protocol.auth import (
    CheckAccess,
    CloseSessions,
    Credential,
    Denied,
    Granted,
    KeyCount,
    OpenSession,
    ReloadKeys,
    VerifyPubkey,
    VerifyToken,
)
from alknet.protocol.directory import Ping
from alknet.services.auth.keyset import Token
from alknet.services.auth.tokens import sign_token

from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_settings
from .keys import line_of

API_KEY = "hunter2-hunter2-hunter2"
ROOT_ALICE = Identity("alice", frozenset({"*"}))
TOKEN = Token("ci", f"sha256:{hashlib.sha256(API_KEY.encode()).hexdigest()}", frozenset({"a"}))


@pytest.fixture
async def node(keyring):
    async with open_node(node_settings(tokens=(TOKEN,)), keyring=keyring) as node:
        yield node


@pytest.fixture
def client(node):
    return node.client


# Keys.


async def test_a_listed_key_is_granted_to_its_peer(client):
    verdict = await client.call(VerifyPubkey(ALICE_KEY.public_key))

    fingerprint = ssh_fingerprint(ALICE_KEY.public_key)
    assert verdict == Granted(ROOT_ALICE, Credential("key", fingerprint))


async def test_an_unlisted_key_is_denied_by_its_fingerprint(client):
    verdict = await client.call(VerifyPubkey(STRANGER_KEY.public_key))

    fingerprint = ssh_fingerprint(STRANGER_KEY.public_key)
    assert verdict == Denied(f"the key {fingerprint} is not listed here")


@pytest.mark.parametrize("size", [0, 31, 33])
async def test_what_is_no_key_is_invalid(client, size):
    with pytest.raises(InvalidInput, match=f"has 32 bytes, not {size}") as caught:
        await client.call(VerifyPubkey(bytes(size)))
    assert caught.value.details == {"field": "public_key"}


# Tokens.


async def test_an_api_key_is_granted_to_its_holder(client):
    verdict = await client.call(VerifyToken(API_KEY))

    digest = TOKEN.hash.removeprefix("sha256:")
    assert verdict == Granted(Identity("ci", frozenset({"a"})), Credential("token", digest))


async def test_a_signed_token_is_granted_to_the_owner_of_the_key_once(client):
    key_id = hashlib.sha256(ALICE_KEY.public_key).digest()
    token = sign_token(ALICE_KEY, key_id, time.time())

    assert (await client.call(VerifyToken(token))).identity == ROOT_ALICE
    assert await client.call(VerifyToken(token)) == Denied(
        "the token has been used already: make a new one"
    )


@pytest.mark.parametrize("token", ["", "nonsense", API_KEY + "x"])
async def test_any_other_token_is_denied_and_not_repeated(client, token):
    verdict = await client.call(VerifyToken(token))

    assert isinstance(verdict, Denied)
    assert API_KEY not in verdict.reason


# Both, over a link.


async def test_who_is_listed_gets_in_and_who_is_not_does_not(node):
    async with connect(node.url, identity=ALICE_KEY) as client:
        assert (await client.call(Ping())).node == "head"
    with pytest.raises(Refused, match="is not listed here"):
        async with connect(node.url, identity=STRANGER_KEY):
            pass


async def test_a_token_gets_in_too_as_whom_it_names(node):
    async with connect(node.url, identity=API_KEY) as client:
        with pytest.raises(Forbidden, match="'ci' may not call"):
            await client.invoke("/head/services/peers")
    with pytest.raises(Refused, match="neither an API key nor"):
        async with connect(node.url, identity="nonsense"):
            pass


async def test_verifying_needs_a_scope(node):
    for asker in (None, Identity("ann")):
        with pytest.raises(CallError) as caught:
            await node.dispatcher.client(asker).call(VerifyPubkey(ALICE_KEY.public_key))
        assert isinstance(caught.value, Unauthenticated | Forbidden)


# Reloading.

STACK = """
[node]
listen = ["ws://127.0.0.1:0"]
[auth]
[[auth.peers]]
name = "alice"
keys = ["{alice}"]
scopes = ["*"]
"""


@pytest.fixture
def stack(tmp_path):
    path = tmp_path / "stack.toml"
    path.write_text(STACK.format(alice=line_of(ALICE_KEY)))
    return path


async def test_a_reload_lets_in_who_has_been_added_and_no_more_who_is_gone(stack, keyring):
    async with open_node(stack, keyring=keyring) as node:
        with pytest.raises(Refused):
            async with connect(node.url, identity=WORKER_KEY):
                pass
        stack.write_text(STACK.format(alice=line_of(WORKER_KEY)))
        assert await node.client.call(ReloadKeys()) == KeyCount(peers=1, tokens=0)

        async with connect(node.url, identity=WORKER_KEY) as client:
            assert await client.call(Ping())
        with pytest.raises(Refused):
            async with connect(node.url, identity=ALICE_KEY):
                pass


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STACK.format(alice="nonsense"), "stack.toml:5: auth.peers[0]: "),
        (STACK.format(alice=line_of(ALICE_KEY)) + "\n[limits]\ndepth = 0\n", "limits.depth"),
        ("[auth", "stack.toml:1: expected ']'"),
        (None, "no such file"),
    ],
)
async def test_a_reload_of_a_file_with_a_fault_changes_nothing_and_says_where(
    stack, keyring, text, words
):
    async with open_node(stack, keyring=keyring) as node:
        if text is None:
            stack.unlink()
        else:
            stack.write_text(text)
        async with connect(node.url, identity=ALICE_KEY) as client:
            with pytest.raises(InvalidInput) as caught:
                await client.call(ReloadKeys())
        assert words in str(caught.value)

        async with connect(node.url, identity=ALICE_KEY) as client:
            assert await client.call(Ping())


async def test_a_node_without_a_file_reloads_what_it_was_given(client):
    assert await client.call(ReloadKeys()) == KeyCount(peers=2, tokens=1)


# Questions about access.


async def test_a_question_about_access_is_answered_with_the_reason(client):
    ann = Identity("ann", frozenset({"config:read"}))

    assert (await client.call(CheckAccess(ann, "config/forwarding"))).allowed
    decision = await client.call(CheckAccess(ann, "secrets/derive"))
    assert not decision.allowed
    assert decision.why == (
        "'ann' may not call secrets/derive: the scope 'secrets:derive' is missing"
    )


async def test_a_question_about_nothing_is_not_found(client):
    with pytest.raises(NotFound, match="there is no operation 'secrets/nope' here"):
        await client.call(CheckAccess(Identity("ann"), "secrets/nope"))


async def test_an_identity_in_a_question_gives_nobody_any_right(node):
    """The one who asks is still who the link says."""
    async with connect(node.url, identity=API_KEY) as client:
        with pytest.raises(Forbidden, match="'ci' may not call auth/check"):
            await client.call(CheckAccess(Identity("root", frozenset({"*"})), "secrets/lock"))


async def test_a_refused_peer_has_no_call_read(node):
    """Calls that come with the answer to the challenge go nowhere."""
    with pytest.raises((Refused, Disconnected)):
        async with connect(node.url, identity=STRANGER_KEY) as client:
            await client.call(Ping())


# Credentials that end.


async def ended(client):
    """Wait until the link of *client* is closed by the node."""
    with trio.fail_after(5):
        await client.session.closed()


async def test_a_link_ends_with_the_credential_that_it_came_by(stack, keyring):
    two = STACK + '[[auth.peers]]\nname = "bob"\nkeys = ["{bob}"]\nscopes = ["{scope}"]\n'

    def write(alice, bob, scope="a"):
        stack.write_text(two.format(alice=line_of(alice), bob=line_of(bob), scope=scope))

    write(ALICE_KEY, WORKER_KEY)
    async with open_node(stack, keyring=keyring) as node:
        async with (
            connect(node.url, identity=ALICE_KEY) as alice,
            connect(node.url, identity=WORKER_KEY) as bob,
        ):
            assert (await node.client.call(ReloadKeys())).ended == 0
            write(ALICE_KEY, STRANGER_KEY)
            assert (await node.client.call(ReloadKeys())).ended == 1
            await ended(bob)
            with pytest.raises(Disconnected):
                await bob.call(Ping())
            assert await alice.call(Ping())


async def test_a_link_ends_when_its_credential_is_good_for_something_else(stack, keyring):
    async with open_node(stack, keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as alice:
            text = STACK.format(alice=line_of(ALICE_KEY))
            stack.write_text(text.replace('scopes = ["*"]', 'scopes = ["config:read"]'))
            assert (await node.client.call(ReloadKeys())).ended == 1
            await ended(alice)


async def test_a_link_ends_when_its_key_is_revoked(stack, keyring):
    async with open_node(stack, keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as alice:
            text = STACK.format(alice=line_of(ALICE_KEY))
            fingerprint = ssh_fingerprint(ALICE_KEY.public_key)
            stack.write_text(text.replace("[auth]\n", f'[auth]\nrevoked = ["{fingerprint}"]\n'))
            await node.reload()
            await ended(alice)
        with pytest.raises(Refused, match=f"{re.escape(fingerprint)} was revoked"):
            async with connect(node.url, identity=ALICE_KEY):
                pass


async def test_a_link_ends_when_its_credential_expires(keyring):
    soon = datetime.now(UTC) + timedelta(seconds=1)
    token = Token("ci", TOKEN.hash, expires=soon)
    async with open_node(node_settings(tokens=(token,)), keyring=keyring) as node:
        async with connect(node.url, identity=API_KEY) as client:
            assert await client.call(Ping())
            await ended(client)
        assert datetime.now(UTC) >= soon
        with pytest.raises(Refused):
            async with connect(node.url, identity=API_KEY):
                pass


# Session tokens.


async def test_a_session_token_lets_its_holder_in_again_for_a_while(node):
    async with connect(node.url, identity=ALICE_KEY) as alice:
        session = await alice.call(OpenSession(seconds=60, scopes=frozenset({"services:peers"})))
        assert session.token.startswith("als_")
        assert time.time() < session.expires <= time.time() + 60
        assert session.token not in repr(session)

        async with connect(node.url, identity=session.token) as again:
            peers = await again.invoke("/head/services/peers")
            assert [each["peer_id"] for each in peers["peers"]] == ["alice"]
            with pytest.raises(Forbidden, match="'alice' may not call secrets/status"):
                await again.invoke("/head/secrets/status")


async def test_a_session_token_gives_no_other(node):
    async with connect(node.url, identity=ALICE_KEY) as alice:
        token = (await alice.call(OpenSession())).token
        async with connect(node.url, identity=token) as again:
            with pytest.raises(Forbidden, match="cannot be used to get another"):
                await again.call(OpenSession())
    with pytest.raises(InvalidInput, match="for who asks for it over a link of their own"):
        await node.client.call(OpenSession())


async def test_session_tokens_can_be_taken_back(node):
    async with connect(node.url, identity=ALICE_KEY) as alice:
        tokens = [(await alice.call(OpenSession())).token for _ in range(2)]
        async with connect(node.url, identity=tokens[0]) as again:
            assert await alice.call(CloseSessions()) == 2
            await ended(again)
        for token in tokens:
            with pytest.raises(Refused):
                async with connect(node.url, identity=token):
                    pass
        assert await alice.call(Ping())


async def test_a_session_ends_with_the_key_that_it_was_opened_with(stack, keyring):
    async with open_node(stack, keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as alice:
            token = (await alice.call(OpenSession())).token
        async with connect(node.url, identity=token) as again:
            stack.write_text(STACK.format(alice=line_of(WORKER_KEY)))
            assert (await node.client.call(ReloadKeys())).ended == 1
            await ended(again)
        with pytest.raises(Refused):
            async with connect(node.url, identity=token):
                pass


async def test_nobody_has_more_session_tokens_than_they_can_use(node):
    async with connect(node.url, identity=ALICE_KEY) as alice:
        for _ in range(64):
            await alice.call(OpenSession(seconds=50))
        with pytest.raises(
            RateLimited, match="has 64 session tokens and 64 are the most"
        ) as caught:
            await alice.call(OpenSession())
        assert 1 <= caught.value.details["retry_after"] <= 50
        await alice.call(CloseSessions())
        await alice.call(OpenSession())
