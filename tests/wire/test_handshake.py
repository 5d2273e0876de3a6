"""The handshake: each side proves who it is, and no byte of it can be changed."""

import base64
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from alknet.errors import AlknetError, Locked, Refused, RemoteProtocolError
from alknet.keys import ssh_fingerprint
from alknet.wire import handshake
from alknet.wire.handshake import Accepted, Challenge, RefusedMessage, Response

from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY

NODE_KEY = WORKER_KEY


def shake(node_key=NODE_KEY, key=ALICE_KEY, expect=None):
    """Return all three messages of a handshake that succeeds."""
    offered = handshake.challenge("head", node_key)
    response = handshake.respond(offered, key, expect)
    handshake.prove(offered, response)
    accepted = handshake.accept(offered, response, node_key, "alice", ["b", "a"])
    handshake.confirm(offered, response, accepted)
    return offered, response, accepted


def test_both_sides_prove_themselves():
    offered, response, accepted = shake(expect=NODE_KEY.public_key)

    assert offered.public_key == NODE_KEY.public_key
    assert handshake.prove(offered, response) == ALICE_KEY.public_key
    assert accepted.peer_id == "alice"
    assert accepted.scopes == ("a", "b")


def test_what_is_signed_is_what_the_module_says():
    """Spelt out with another library, as a client in another language would."""
    offered, response, accepted = shake()

    def transcript(role):
        return b"".join(
            (
                b"alknet handshake 1 ",
                role,
                b"\0",
                hashlib.sha256(b"head").digest(),
                offered.nonce,
                response.nonce,
                NODE_KEY.public_key,
                ALICE_KEY.public_key,
            )
        )

    Ed25519PublicKey.from_public_bytes(ALICE_KEY.public_key).verify(
        response.signature, transcript(b"client")
    )
    Ed25519PublicKey.from_public_bytes(NODE_KEY.public_key).verify(
        accepted.signature, transcript(b"server")
    )
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(NODE_KEY.public_key).verify(
            accepted.signature, transcript(b"client")
        )


def test_nonces_are_fresh():
    nonces = {message.nonce for _ in range(50) for message in shake()[:2]}

    assert len(nonces) == 100
    assert {len(nonce) for nonce in nonces} == {32}


# Changed bytes.


def flipped(value, index, bit):
    return value[:index] + bytes([value[index] ^ (1 << bit)]) + value[index + 1 :]


FIELDS = [
    (0, "nonce", 32),
    (0, "public_key", 32),
    (1, "nonce", 32),
    (1, "public_key", 32),
    (1, "signature", 64),
    (2, "signature", 64),
]


@pytest.mark.parametrize(("message", "field", "size"), FIELDS)
def test_every_flipped_byte_is_noticed(message, field, size):
    original = shake()
    for index in range(size):
        messages = list(original)
        changed = flipped(getattr(messages[message], field), index, index % 8)
        messages[message] = _with(messages[message], **{field: changed})
        offered, response, accepted = messages

        with pytest.raises(Refused):
            handshake.prove(offered, response)
            handshake.confirm(offered, response, accepted)


@given(st.integers(0, 2), st.data())
def test_every_flipped_bit_on_the_wire_is_noticed_or_changes_nothing(which, data):
    """The text of a message may be spelt in another way; what it says may not change."""
    original = shake()
    raw = handshake.encode(original[which])
    changed = flipped(raw, data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7)))
    messages = list(original)
    try:
        messages[which] = handshake.decode(changed, type(original[which]))
        handshake.prove(messages[0], messages[1])
        handshake.confirm(*messages)
    except (Refused, RemoteProtocolError):
        return
    unsigned = {"peer_id", "scopes", "protocol", "format", "token", "pings", "certificate"}
    for before, after in zip(original, messages, strict=True):
        for field in before.__struct_fields__:
            assert field in unsigned or getattr(before, field) == getattr(after, field)


def _with(message, **fields):
    return type(message)(
        **{name: getattr(message, name) for name in message.__struct_fields__} | fields
    )


# Replay and reflection.


def test_a_proof_is_good_for_its_own_challenge_only():
    offered, response, _ = shake()
    again = handshake.challenge("head", NODE_KEY)

    handshake.prove(offered, response)
    with pytest.raises(Refused, match="signature is not by the key"):
        handshake.prove(again, response)


@pytest.mark.parametrize("changes", [{"node": "other"}, {"public_key": STRANGER_KEY.public_key}])
def test_a_proof_made_for_one_node_is_of_no_use_to_another(changes):
    """A node in the middle shows a key or a name of its own, and passes the answer on."""
    offered = handshake.challenge("head", NODE_KEY)
    response = handshake.respond(_with(offered, **changes), ALICE_KEY)

    with pytest.raises(Refused):
        handshake.prove(offered, response)


def test_a_servers_proof_cannot_be_reflected_as_a_clients():
    offered, response, accepted = shake(key=NODE_KEY)

    with pytest.raises(Refused):
        handshake.prove(offered, _with(response, signature=accepted.signature))
    with pytest.raises(Refused):
        handshake.confirm(offered, response, _with(accepted, signature=response.signature))


def test_nobody_can_show_a_key_that_he_does_not_hold():
    offered = handshake.challenge("head", NODE_KEY)
    response = _with(handshake.respond(offered, ALICE_KEY), public_key=STRANGER_KEY.public_key)

    with pytest.raises(Refused):
        handshake.prove(offered, response)


# What a server and a client refuse.


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"signature": None}, "neither a token nor a key and a signature"),
        ({"public_key": None}, "neither a token nor a key and a signature"),
        ({"signature": b""}, "the signature is not by the key"),
        ({"signature": bytes(63)}, "the signature is not by the key"),
        ({"signature": bytes(65)}, "the signature is not by the key"),
        ({"public_key": b""}, "the signature is not by the key"),
        ({"public_key": bytes(31)}, "the signature is not by the key"),
        ({"public_key": bytes(33)}, "the signature is not by the key"),
        ({"public_key": bytes(32)}, "the signature is not by the key"),
        ({"nonce": b""}, "the nonce in the answer to the challenge is not 32 bytes"),
        ({"nonce": bytes(33)}, "the nonce in the answer to the challenge is not 32 bytes"),
    ],
)
def test_an_answer_that_proves_nothing_is_refused(fields, words):
    offered = handshake.challenge("head", NODE_KEY)

    with pytest.raises(Refused, match=words):
        handshake.prove(offered, _with(handshake.respond(offered, ALICE_KEY), **fields))


def test_small_order_keys_prove_nothing():
    """Keys of small order (RFC 8032, section 5.1.7) sign everything with one signature."""
    offered = handshake.challenge("head", NODE_KEY)
    identity_point = b"\x01" + bytes(31)
    forged = _with(
        handshake.respond(offered, ALICE_KEY),
        public_key=identity_point,
        signature=identity_point + bytes(32),
    )

    with pytest.raises(Refused):
        handshake.prove(offered, forged)


@pytest.mark.parametrize(("shown", "error"), [(None, Locked), (STRANGER_KEY, Refused)])
@pytest.mark.parametrize("form", [lambda key: key, ssh_fingerprint], ids=["key", "fingerprint"])
def test_a_client_that_expects_a_key_accepts_no_other_and_not_none(shown, error, form):
    offered = handshake.challenge("head", shown)

    with pytest.raises(error):
        handshake.respond(offered, ALICE_KEY, form(NODE_KEY.public_key))
    assert shake(expect=form(NODE_KEY.public_key))


@pytest.mark.parametrize("signature", [None, b"", bytes(64)])
def test_a_node_that_shows_a_key_must_prove_it(signature):
    offered, response, accepted = shake()

    with pytest.raises(Refused, match="does not hold the key that it shows"):
        handshake.confirm(offered, response, _with(accepted, signature=signature))


def test_a_locked_node_shows_no_key_and_signs_nothing():
    offered, _, accepted = shake(node_key=None)

    assert offered.public_key is None
    assert accepted.signature is None


def test_another_version_is_refused_by_name():
    offered = _with(handshake.challenge("head", NODE_KEY), protocol=2)

    with pytest.raises(Refused, match="speaks version 2 of the handshake and this one 1"):
        handshake.respond(offered, ALICE_KEY)


@pytest.mark.parametrize("nonce", [b"", bytes(31), bytes(33)])
def test_a_challenge_with_a_nonce_of_another_length_is_a_fault(nonce):
    offered = _with(handshake.challenge("head", NODE_KEY), nonce=nonce)

    with pytest.raises(RemoteProtocolError, match="nonce is not 32 bytes"):
        handshake.respond(offered, ALICE_KEY)


# Messages.


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (Challenge("head", bytes(32)), "auth.challenge"),
        (Response(bytes(32), token="t"), "auth.response"),
        (Accepted("alice"), "auth.accepted"),
    ],
)
def test_a_message_is_one_json_envelope(message, name):
    raw = handshake.encode(message)
    envelope = json.loads(raw)

    assert list(envelope) == ["type", "id", "payload"]
    assert envelope["type"] == name
    assert envelope["id"] == ""
    assert handshake.decode(raw, type(message)) == message


def test_bytes_travel_as_base64():
    envelope = json.loads(handshake.encode(shake()[1]))

    assert base64.b64decode(envelope["payload"]["public_key"]) == ALICE_KEY.public_key


def test_a_refusal_is_raised_in_the_peers_own_words():
    with pytest.raises(Refused, match="the key is not listed here"):
        handshake.decode(handshake.encode(RefusedMessage("the key is not listed here")), Accepted)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "does not shake hands"),
        (b"GET / HTTP/1.1\r\n\r\n", "does not shake hands"),
        (b"[]", "does not shake hands"),
        (b"null", "does not shake hands"),
        (b'{"type": "auth.response"}', "does not shake hands"),
        (b'{"type": 7, "payload": {}}', "does not shake hands"),
        (b'{"type": "auth.response", "payload": []}', "does not shake hands"),
        (b'{"type": "auth.response", "payload": {"nonce": "!"}}', "does not shake hands"),
        (b'{"type": "auth.response", "payload": {"nonce": 1}}', "does not shake hands"),
        (b'{"type": "\xff", "payload": {}}', "does not shake hands"),
        (b'{"type": "auth.response", "payload": ' + b"[" * 3000, "does not shake hands"),
        (b"[" * 200_000, "does not shake hands"),
        (b" " * 200_000, "does not shake hands"),
        (
            b'{"type": "call.requested", "payload": {}}',
            "auth.response was due and 'call.requested'",
        ),
        (
            b'{"type": "auth.challenge", "payload": {"node": "x", "nonce": ""}}',
            "auth.response was due and 'auth.challenge' came",
        ),
    ],
)
def test_what_is_no_message_or_not_the_one_that_was_due_is_a_fault_of_the_peer(raw, words):
    with pytest.raises(RemoteProtocolError) as caught:
        handshake.decode(raw, Response)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_refused(raw):
    for expected in (Challenge, Response, Accepted):
        with pytest.raises(AlknetError):
            handshake.decode(raw, expected)


def test_an_answer_prints_neither_its_token_nor_its_signature():
    assert "hunter2" not in repr(Response(bytes(32), token="hunter2"))


def test_a_key_of_another_library_shakes_hands():
    private = Ed25519PrivateKey.generate()

    class Foreign:
        public_key = private.public_key().public_bytes_raw()
        sign = staticmethod(private.sign)

    offered = handshake.challenge("head", NODE_KEY)
    assert handshake.prove(offered, handshake.respond(offered, Foreign)) == Foreign.public_key
