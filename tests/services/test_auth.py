"""AuthService: whose credential it is, and what its owner may do."""

import hashlib
import time

import pytest

from alknet import connect, open_node
from alknet.errors import (
    CallError,
    Disconnected,
    Forbidden,
    InvalidInput,
    NotFound,
    Refused,
    Unauthenticated,
)
from alknet.identity import Identity
from alknet.keys import ssh_fingerprint
from alknet.protocol.auth import (
    CheckAccess,
    Denied,
    Granted,
    KeyCount,
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

    assert verdict == Granted(Identity("alice", frozenset({"*"})))


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
    assert await client.call(VerifyToken(API_KEY)) == Granted(Identity("ci", frozenset({"a"})))


async def test_a_signed_token_is_granted_to_the_owner_of_the_key_once(client):
    key_id = hashlib.sha256(ALICE_KEY.public_key).digest()
    token = sign_token(ALICE_KEY, key_id, time.time())

    assert await client.call(VerifyToken(token)) == Granted(Identity("alice", frozenset({"*"})))
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
