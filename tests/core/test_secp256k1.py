"""secp256k1: published vectors, independent libraries, and what is refused."""

import hashlib

import coincurve
import pytest
from eth_account import Account
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadKey, BadSignature, InvalidInput
from alknet.keys import (
    Keyring,
    Secp256k1Key,
    ethereum_address,
    recover_public_key,
    verify_digest,
    verify_schnorr,
)

from .vectors import ORDER, load

RFC6979 = load("rfc6979.json")["vectors"]
BIP340 = load("bip340.json")["vectors"]
KEY = Secp256k1Key.from_private_key(bytes(31) + b"\x07")
DIGEST = hashlib.sha256(b"message").digest()

privates = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)


def flip(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("row", RFC6979, ids=lambda row: row["message"][:16])
def test_the_nonce_is_that_of_rfc6979_and_s_is_low(row):
    key = Secp256k1Key.from_private_key(bytes.fromhex(row["private_key"]))
    digest = hashlib.sha256(row["message"].encode()).digest()

    assert key.sign_digest(digest, recoverable=False).hex() == row["signature"]
    assert key.sign_digest(digest)[:64].hex() == row["signature"]


@pytest.mark.parametrize(
    "row", [row for row in BIP340 if row["secret_key"]], ids=lambda r: r["index"]
)
def test_a_published_schnorr_vector_is_signed(row):
    key = Secp256k1Key.from_private_key(bytes.fromhex(row["secret_key"]))
    message, aux_rand = bytes.fromhex(row["message"]), bytes.fromhex(row["aux_rand"])

    assert key.x_only_public_key.hex().upper() == row["public_key"]
    assert key.sign_schnorr(message, aux_rand=aux_rand).hex().upper() == row["signature"]


@pytest.mark.parametrize("row", BIP340, ids=lambda row: f"{row['index']} {row['comment']}")
def test_a_published_schnorr_vector_is_judged(row):
    arguments = [bytes.fromhex(row[name]) for name in ("public_key", "message", "signature")]

    if row["valid"]:
        verify_schnorr(*arguments)
    else:
        with pytest.raises((BadSignature, BadKey)):
            verify_schnorr(*arguments)


@settings(max_examples=1000, deadline=None)
@given(privates, digests)
def test_coincurve_signs_the_same_and_judges_ours(private, digest):
    ours, theirs = Secp256k1Key.from_private_key(private), coincurve.PrivateKey(private)

    signature = ours.sign_digest(digest)

    assert signature == theirs.sign_recoverable(digest, hasher=None)
    assert ours.public_key == theirs.public_key.format() == recover_public_key(digest, signature)
    verify_digest(ours.public_key, digest, signature)
    verify_digest(theirs.public_key.format(compressed=False), digest, signature[:64])
    schnorr = ours.sign_schnorr(digest)
    assert coincurve.PublicKeyXOnly(ours.x_only_public_key).verify(schnorr, digest)


@settings(max_examples=500, deadline=None)
@given(privates)
def test_eth_account_finds_the_same_address(private):
    key = Secp256k1Key.from_private_key(private)

    assert key.ethereum_address == Account.from_key(private).address
    assert ethereum_address(key.public_key) == to_checksum_address(key.ethereum_address.lower())


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=64, max_size=64), st.integers(0, 2**31 - 1))
def test_eth_account_derives_the_same(seed, index):
    from eth_account.hdaccount import key_from_seed

    path = f"m/44'/60'/0'/0/{index}"

    assert Keyring.from_seed(seed).secp256k1(path).reveal_private_key() == key_from_seed(seed, path)


def test_no_bit_of_an_ecdsa_signature_can_be_changed():
    signature = KEY.sign_digest(DIGEST)

    for bit in range(len(signature) * 8):
        with pytest.raises(BadSignature):
            verify_digest(KEY.public_key, DIGEST, flip(signature, bit))
    for bit in range(256):
        with pytest.raises(BadSignature):
            verify_digest(KEY.public_key, flip(DIGEST, bit), signature)


def test_no_bit_of_a_schnorr_signature_can_be_changed():
    signature = KEY.sign_schnorr(DIGEST)

    for bit in range(len(signature) * 8):
        with pytest.raises(BadSignature):
            verify_schnorr(KEY.x_only_public_key, DIGEST, flip(signature, bit))


def test_a_high_s_is_refused_though_the_equation_holds():
    signature = KEY.sign_digest(DIGEST, recoverable=False)
    high = ORDER - int.from_bytes(signature[32:], "big")

    with pytest.raises(BadSignature):
        verify_digest(KEY.public_key, DIGEST, signature[:32] + high.to_bytes(32, "big"))


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (0, 0), (ORDER, 1), (1, ORDER), (2**256 - 1, 2**256 - 1)]
)
def test_r_and_s_are_from_1_to_the_order(r, s):
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")

    for whole in (signature, *(signature + bytes([number]) for number in range(4))):
        with pytest.raises(BadSignature):
            verify_digest(KEY.public_key, DIGEST, whole)
    with pytest.raises(BadSignature):
        recover_public_key(DIGEST, signature + b"\0")


@pytest.mark.parametrize("length", [0, 63, 66, 72])
def test_a_signature_has_its_length(length):
    with pytest.raises(BadSignature):
        verify_digest(KEY.public_key, DIGEST, bytes(length))
    with pytest.raises(BadSignature):
        recover_public_key(DIGEST, bytes(length))
    with pytest.raises(BadSignature):
        verify_schnorr(KEY.x_only_public_key, DIGEST, bytes(length))


@pytest.mark.parametrize("number", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_a_private_key_is_a_number_below_the_order(number):
    with pytest.raises(BadKey, match="zero, or not below the curve's order"):
        Secp256k1Key.from_private_key(number.to_bytes(32, "big"))


@pytest.mark.parametrize(
    "public", [b"", bytes(33), b"\x02" + b"\xff" * 32, b"\x05" + bytes(32), bytes(65), bytes(32)]
)
def test_a_public_key_is_a_point_of_the_curve(public):
    with pytest.raises(BadKey, match="a point of the curve"):
        verify_digest(public, DIGEST, bytes(64))
    with pytest.raises(BadKey, match="a point of the curve"):
        ethereum_address(public)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_digest_is_32_bytes(length):
    for use in (
        lambda: KEY.sign_digest(bytes(length)),
        lambda: verify_digest(KEY.public_key, bytes(length), bytes(64)),
        lambda: recover_public_key(bytes(length), bytes(65)),
    ):
        with pytest.raises(InvalidInput, match=f"32 bytes; this one is {length}: hash the message"):
            use()
    with pytest.raises(InvalidInput, match=f"aux_rand is 32 bytes; this one is {length}"):
        KEY.sign_schnorr(DIGEST, aux_rand=bytes(length))


def test_a_generated_key_is_new():
    keys = [Secp256k1Key.generate() for _ in range(50)]

    assert len({key.public_key for key in keys}) == 50
    assert Secp256k1Key.from_private_key(keys[0].reveal_private_key()).public_key == (
        keys[0].public_key
    )


def test_schnorr_nonces_are_fresh_unless_asked_otherwise():
    assert KEY.sign_schnorr(DIGEST) != KEY.sign_schnorr(DIGEST)
    assert KEY.sign_schnorr(DIGEST, aux_rand=bytes(32)) == KEY.sign_schnorr(
        DIGEST, aux_rand=bytearray(32)
    )
