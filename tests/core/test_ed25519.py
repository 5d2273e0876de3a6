"""Ed25519: published vectors, independent libraries, and what a strict verifier refuses."""

import hashlib

import pytest
from bip_utils import Bip32Slip10Ed25519
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadKey, BadSignature
from alknet.keys import Ed25519Key, Keyring, verify_ed25519

from .vectors import load

VECTORS = load("rfc8032.json")["vectors"]
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
SMALL_ORDER = [  # the y of the points whose order is 1, 2, 4, 8 and 8
    1,
    P - 1,
    0,
    int.from_bytes(ORDER_8, "little"),
    P - int.from_bytes(ORDER_8, "little"),
]


def flip(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row["message"][:8] or "empty")
def test_a_published_vector_is_signed_and_verified(row):
    vector = {name: bytes.fromhex(value) for name, value in row.items()}

    key = Ed25519Key.from_private_key(vector["private_key"])

    assert key.public_key == vector["public_key"]
    assert key.reveal_private_key() == vector["private_key"]
    assert key.sign(vector["message"]) == vector["signature"]
    verify_ed25519(vector["public_key"], vector["message"], vector["signature"])


@settings(max_examples=1500, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_an_independent_library_signs_the_same(private, message):
    ours = Ed25519Key.from_private_key(bytearray(private))
    theirs = Ed25519PrivateKey.from_private_bytes(private)

    assert ours.public_key == theirs.public_key().public_bytes_raw()
    assert ours.sign(message) == theirs.sign(message)
    verify_ed25519(ours.public_key, message, theirs.sign(message))


@settings(max_examples=400, deadline=None)
@given(st.binary(min_size=16, max_size=64), st.lists(st.integers(0, 2**31 - 1), max_size=5))
def test_bip_utils_derives_the_same(seed, steps):
    path = "m" + "".join(f"/{n}'" for n in steps)

    key = Keyring.from_seed(seed).ed25519(path)

    theirs = Bip32Slip10Ed25519.FromSeedAndPath(seed, path)
    assert key.reveal_private_key() == theirs.PrivateKey().Raw().ToBytes()
    assert b"\0" + key.public_key == theirs.PublicKey().RawCompressed().ToBytes()


def test_no_bit_of_a_signature_a_key_or_a_message_can_be_changed():
    key = Ed25519Key.from_private_key(bytes(range(32)))
    signature = key.sign(b"message")

    cases = [(key.public_key, b"message", flip(signature, bit)) for bit in range(512)]
    cases += [(flip(key.public_key, bit), b"message", signature) for bit in range(256)]
    cases += [(key.public_key, flip(b"message", bit), signature) for bit in range(56)]
    for public, message, forged in cases:
        with pytest.raises(BadSignature, match="not by that key over that message"):
            verify_ed25519(public, message, forged)


def test_s_is_below_the_group_order():
    key = Ed25519Key.from_private_key(bytes(32))
    signature = key.sign(b"m")
    s = int.from_bytes(signature[32:], "little")

    for multiple in range(1, 15):
        forged = signature[:32] + (s + multiple * L).to_bytes(32, "little")
        with pytest.raises(BadSignature):
            verify_ed25519(key.public_key, b"m", forged)


def encodings(y):
    """Every 32 bytes that stand for a point with this y: two signs, and y + p where it fits."""
    for value in (y, y + P):
        if value < 2**255:
            for sign in (0, 1):
                yield (value | sign << 255).to_bytes(32, "little")


@pytest.mark.parametrize("y", SMALL_ORDER)
def test_a_key_of_small_order_signs_nothing(y):
    # With s = 0 and the neutral R, the equation of RFC 8032 holds for one message in 1, 2, 4 or 8,
    # and a verifier that is not strict takes it: nobody signed, and somebody "signed" everything.
    signature = (1).to_bytes(32, "little") + bytes(32)
    for public in encodings(y):
        for n in range(64):
            with pytest.raises(BadSignature):
                verify_ed25519(public, b"%d" % n, signature)

    canonical = Ed25519PublicKey.from_public_bytes(y.to_bytes(32, "little"))
    assert any(accepts(canonical, signature, b"%d" % n) for n in range(64))


def accepts(public, signature, message):
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_a_commitment_of_small_order_is_refused():
    # s = k * a with R the neutral point: true for the equation, and made by who has the key.
    seed = bytes(range(32))
    digest = bytearray(hashlib.sha512(seed).digest()[:32])
    digest[0] &= 248
    digest[31] = digest[31] & 127 | 64
    a = int.from_bytes(digest, "little")
    key = Ed25519Key.from_private_key(seed)
    for commitment in encodings(1):
        k = int.from_bytes(hashlib.sha512(commitment + key.public_key + b"m").digest(), "little")
        signature = commitment + (k * a % L).to_bytes(32, "little")
        with pytest.raises(BadSignature):
            verify_ed25519(key.public_key, b"m", signature)


@pytest.mark.parametrize("y", range(19))
def test_a_point_is_encoded_one_way_only(y):
    signature = Ed25519Key.generate().sign(b"m")
    for value in list(encodings(y))[2:]:
        with pytest.raises(BadSignature):
            verify_ed25519(value, b"m", signature)
        with pytest.raises(BadSignature):
            verify_ed25519(Ed25519Key.generate().public_key, b"m", value + signature[32:])


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_is_64_bytes(length):
    with pytest.raises(BadSignature):
        verify_ed25519(Ed25519Key.generate().public_key, b"m", bytes(length))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_is_32_bytes(length):
    with pytest.raises(BadKey, match=f"public key is 32 bytes; this one is {length}"):
        verify_ed25519(bytes(length), b"m", bytes(64))
    with pytest.raises(BadKey, match=f"private key is 32 bytes; this one is {length}"):
        Ed25519Key.from_private_key(bytes(length))


def test_a_generated_key_is_new_and_works():
    keys = [Ed25519Key.generate() for _ in range(100)]

    assert len({key.public_key for key in keys}) == 100
    for key in keys:
        verify_ed25519(key.public_key, b"m", key.sign(b"m"))
        assert Ed25519Key.from_private_key(key.reveal_private_key()).public_key == key.public_key


@pytest.mark.parametrize("size", [64 * 1024 - 1, 64 * 1024, 1_000_000])
def test_a_long_message_takes_the_same_road(size):
    key, message = Ed25519Key.from_private_key(bytes(32)), bytes(size)

    signature = key.sign(message)

    assert signature == Ed25519PrivateKey.from_private_bytes(bytes(32)).sign(message)
    verify_ed25519(key.public_key, bytearray(message), signature)
