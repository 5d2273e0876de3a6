"""The key set: the credentials of stack.toml, and whose they are."""

import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest

from alknet.errors import BadKey, InvalidInput
from alknet.identity import Identity
from alknet.keys import ssh_fingerprint
from alknet.protocol.auth import Denied, Granted
from alknet.services.auth.keyset import AuthSettings, KeySet, Peer, Token

from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, peer
from .keys import line_of

ALICE = ALICE_KEY.public_key


def token(name="ci", text="hunter2", **fields):
    return Token(name, f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", **fields)


def whose(keys, public_key, source=None):
    """Return whose *public_key* is, or None."""
    verdict = keys.key(public_key, source, time.time())
    return verdict.identity if isinstance(verdict, Granted) else None


def token_owner(keys, text):
    """Return whose API key *text* is, or None."""
    granted = keys.token(text, time.time())
    return None if granted is None else granted.identity


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

    assert whose(keys, ALICE) == Identity("alice", frozenset({"a"}))


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

    assert whose(keys, ALICE) == whose(keys, WORKER_KEY.public_key) == Identity("alice")
    assert len(keys) == 2


def test_a_peer_that_is_not_enabled_is_not_there():
    keys = KeySet(AuthSettings(peers=(peer("alice", ALICE_KEY, enabled=False),)))

    assert len(keys) == 0
    assert not keys.key_ids


def test_rights_and_tenant_go_with_the_name():
    resources = {"disk:1": frozenset({"read"})}
    keys = KeySet(
        AuthSettings(
            peers=(peer("alice", ALICE_KEY, "a", resources=resources, tenant="t"),),
            tokens=(token(scopes=frozenset({"b"}), resources=resources, tenant="u"),),
        )
    )

    assert whose(keys, ALICE) == Identity("alice", frozenset({"a"}), resources, "t")
    assert token_owner(keys, "hunter2") == Identity("ci", frozenset({"b"}), resources, "u")


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

    assert token_owner(keys, "hunter2") == Identity("ci")
    assert keys.token_count == 1
    for other in ("", "hunter", "hunter22", "HUNTER2", "hunter2\0", token().hash, "\udcff"):
        assert token_owner(keys, other) is None


@pytest.mark.parametrize(("days", "is_good"), [(1, True), (-1, False)])
def test_a_token_is_good_until_it_expires(days, is_good):
    expires = datetime.now(UTC) + timedelta(days=days)
    keys = KeySet(AuthSettings(tokens=(token(expires=expires),)))

    assert (token_owner(keys, "hunter2") is not None) is is_good


def test_a_token_that_is_not_enabled_is_not_there():
    keys = KeySet(AuthSettings(tokens=(token(enabled=False),)))

    assert token_owner(keys, "hunter2") is None
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

    assert len(keys) == 1


# Options, files and revocation.


def options(text, key=ALICE_KEY):
    return KeySet(AuthSettings(peers=(Peer("alice", (f"{text} {line_of(key)}",)),)))


def test_a_key_is_good_from_where_its_line_says():
    keys = options('from="10.0.0.0/8,!10.1.0.0/16"')

    assert whose(keys, ALICE, "10.0.0.1") == Identity("alice")
    for source in ("10.1.0.1", "192.0.2.1", None):
        verdict = keys.key(ALICE, source, 0.0)
        assert isinstance(verdict, Denied)
        assert verdict.reason.endswith("is not good from this address")


def test_a_key_is_good_until_its_line_says():
    keys = options('expiry-time="20300101Z"')
    at = datetime(2030, 1, 1, tzinfo=UTC).timestamp()

    assert keys.key(ALICE, None, at - 1).expires == at
    assert isinstance(keys.key(ALICE, None, at), Denied)


def test_a_key_may_be_held_to_one_operation():
    keys = options('command="/head/secrets/derive"')

    assert whose(keys, ALICE).only == {"secrets/derive"}


def test_of_two_lines_with_a_key_one_that_is_good_is_enough():
    lines = (f'from="10.0.0.1" {line_of(ALICE_KEY)}', f'from="10.0.0.2" {line_of(ALICE_KEY)}')
    keys = KeySet(AuthSettings(peers=(Peer("alice", lines),)))

    assert [whose(keys, ALICE, f"10.0.0.{n}") is not None for n in (1, 2, 3)] == [True, True, False]


def test_keys_may_stand_in_a_file_beside_the_settings(tmp_path):
    (tmp_path / "keys").write_text(f"# ann\n\n{line_of(ALICE_KEY)}\n")
    settings = AuthSettings(peers=(Peer("alice", authorized_keys="keys"),))

    assert whose(KeySet(settings, tmp_path), ALICE) == Identity("alice")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ok\nnonsense\n", "keys:2: this is no line of authorized_keys"),
        ("tunnel ok", "keys:1: the option 'tunnel' cannot be honoured here"),
        (None, "cannot read"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_its_line(tmp_path, text, words):
    if text is not None:
        (tmp_path / "keys").write_text(text.replace("ok", line_of(ALICE_KEY)))
    with pytest.raises(BadKey) as caught:
        KeySet(AuthSettings(peers=(Peer("alice", authorized_keys="keys"),)), tmp_path)
    assert words in str(caught.value)


def test_a_key_in_a_file_belongs_to_one_peer_too(tmp_path):
    (tmp_path / "keys").write_text(line_of(ALICE_KEY))
    settings = AuthSettings(peers=(peer("a", ALICE_KEY), Peer("b", authorized_keys="keys")))
    with pytest.raises(InvalidInput, match="'b' lists a key that is also 'a''s"):
        KeySet(settings, tmp_path)


def test_a_key_may_be_pinned_by_its_fingerprint_and_signs_no_tokens_then():
    keys = KeySet(AuthSettings(peers=(Peer("alice", (ssh_fingerprint(ALICE),)),)))

    assert whose(keys, ALICE) == Identity("alice")
    assert whose(keys, STRANGER_KEY.public_key) is None
    assert not keys.key_ids
    with pytest.raises(InvalidInput, match="'b' lists a key that is also 'a''s"):
        AuthSettings(peers=(Peer("a", (ssh_fingerprint(ALICE),)), peer("b", ALICE_KEY)))


def test_a_key_that_was_revoked_is_good_for_nothing():
    fingerprint = ssh_fingerprint(ALICE)
    keys = KeySet(AuthSettings(peers=(peer("alice", ALICE_KEY),), revoked=(fingerprint,)))

    assert keys.key(ALICE, None, 0.0) == Denied(f"the key {fingerprint} was revoked")
