"""The key set: the credentials of stack.toml, and whose they are."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from alknet.errors import BadKey, InvalidInput
from alknet.identity import Identity
from alknet.services.auth.keyset import AuthSettings, KeySet, Peer, Token

from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, peer
from .keys import line_of

ALICE = ALICE_KEY.public_key


def token(name="ci", text="hunter2", **fields):
    return Token(name, f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", **fields)


@pytest.mark.parametrize(
    "text",
    [
        line_of(ALICE_KEY),
        line_of(ALICE_KEY, ""),
        line_of(ALICE_KEY, "a comment of several words"),
        f"ed25519:{ALICE.hex()}",
        f"ed25519:{ALICE.hex().upper()}",
    ],
)
def test_a_key_may_be_an_openssh_line_or_raw_hex(text):
    keys = KeySet(AuthSettings(peers=(Peer("alice", (text,), frozenset({"a"})),)))

    assert keys.keys == {ALICE: Identity("alice", frozenset({"a"}))}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "ed25519:00",
        f"ed25519:{ALICE.hex()}00",
        f"ed25519: {ALICE.hex()}",
        f"ed448:{ALICE.hex()}",
        "ssh-ed25519",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB",
        line_of(ALICE_KEY)[:-30],
        line_of(ALICE_KEY).replace("ssh-ed25519 ", "ssh-rsa "),
    ],
)
def test_what_is_no_key_is_refused_where_it_is_written(text):
    with pytest.raises(BadKey):
        Peer("alice", (text,))


def test_a_peer_may_have_several_keys_and_is_one_identity():
    keys = KeySet(AuthSettings(peers=(Peer("alice", (line_of(ALICE_KEY), line_of(WORKER_KEY))),)))

    assert keys.keys[ALICE] is keys.keys[WORKER_KEY.public_key]
    assert len(keys.keys) == 2


def test_a_peer_that_is_not_enabled_is_not_there():
    keys = KeySet(AuthSettings(peers=(peer("alice", ALICE_KEY, enabled=False),)))

    assert not keys.keys
    assert not keys.key_ids


def test_rights_and_tenant_go_with_the_name():
    resources = {"disk:1": frozenset({"read"})}
    keys = KeySet(
        AuthSettings(
            peers=(peer("alice", ALICE_KEY, "a", resources=resources, tenant="t"),),
            tokens=(token(scopes=frozenset({"b"}), resources=resources, tenant="u"),),
        )
    )

    assert keys.keys[ALICE] == Identity("alice", frozenset({"a"}), resources, "t")
    assert keys.find_token("hunter2") == Identity("ci", frozenset({"b"}), resources, "u")


def test_either_hash_of_a_key_is_its_id():
    keys = KeySet(AuthSettings(peers=(peer("alice", ALICE_KEY),)))
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + ALICE

    assert keys.key_ids == {
        hashlib.sha256(ALICE).digest(): ALICE,
        hashlib.sha256(blob).digest(): ALICE,
    }


# Tokens.


def test_a_token_is_found_by_all_of_it_and_by_nothing_else():
    keys = KeySet(AuthSettings(tokens=(token(),)))

    assert keys.find_token("hunter2") == Identity("ci")
    assert keys.token_count == 1
    for other in ("", "hunter", "hunter22", "HUNTER2", "hunter2\0", token().hash, "\udcff"):
        assert keys.find_token(other) is None


@pytest.mark.parametrize(("days", "is_good"), [(1, True), (-1, False)])
def test_a_token_is_good_until_it_expires(days, is_good):
    expires = datetime.now(UTC) + timedelta(days=days)
    keys = KeySet(AuthSettings(tokens=(token(expires=expires),)))

    assert (keys.find_token("hunter2") is not None) is is_good


def test_a_token_that_is_not_enabled_is_not_there():
    keys = KeySet(AuthSettings(tokens=(token(enabled=False),)))

    assert keys.find_token("hunter2") is None
    assert keys.token_count == 0


# What belongs to two.


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"peers": (peer("a", ALICE_KEY), peer("a", WORKER_KEY))},
            "'a' is named twice: give every one its own name",
        ),
        (
            {"peers": (peer("a", ALICE_KEY),), "tokens": (token("a"),)},
            "'a' is named twice: give every one its own name",
        ),
        (
            {"peers": (peer("a", ALICE_KEY), peer("b", ALICE_KEY))},
            "'b' lists a key that is also 'a''s: give every one its own",
        ),
        (
            {"peers": (peer("a", ALICE_KEY, enabled=False), peer("b", ALICE_KEY))},
            "'b' lists a key that is also 'a''s: give every one its own",
        ),
        (
            {"tokens": (token("a"), token("b"))},
            "'b' lists a token that is also 'a''s: give every one its own",
        ),
    ],
)
def test_a_name_a_key_and_a_token_belong_to_one(settings, words):
    with pytest.raises(InvalidInput) as caught:
        AuthSettings(**settings)
    assert str(caught.value) == words


def test_a_key_may_stand_twice_with_one_peer():
    both = (line_of(STRANGER_KEY), f"ed25519:{STRANGER_KEY.public_key.hex()}")
    keys = KeySet(AuthSettings(peers=(Peer("a", both),)))

    assert len(keys.keys) == 1
