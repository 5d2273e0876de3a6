"""Sealing and opening: the keys of the vault, rotation, the older format, and wear."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import DecryptionFailed, InvalidInput
from alknet.keys import EncryptedData, Keyring

from .vectors import ABANDON

KEYRING = Keyring.from_mnemonic(ABANDON)
KEYS = {  # m/74'/2'/0'/{key_version - 2}'
    2: "fbed5fa9110df4214baa259a4cd6bd3902373231472d317b8f3686b1d63df17a",
    3: "3ddaf7a4485d755c959c883347420fdc9fa2a64fb1edae8a5f312e82c210f0f0",
}


@pytest.mark.parametrize("plaintext", ["", "text with \u00fcnicode", b"\0" * 1000, bytearray(b"x")])
def test_what_is_sealed_opens_again(plaintext):
    sealed = KEYRING.seal(plaintext, associated_data=b"record 1")

    opened = KEYRING.open(sealed, associated_data=b"record 1")

    assert opened == (plaintext.encode() if isinstance(plaintext, str) else bytes(plaintext))
    for other in (b"record 2", b"record", b""):
        with pytest.raises(DecryptionFailed):
            KEYRING.open(sealed, associated_data=other)


@pytest.mark.parametrize("key_version", KEYS)
def test_any_aes_gcm_opens_it_with_the_key(key_version):
    sealed = KEYRING.seal("hello", key_version=key_version, associated_data=b"aad")

    cipher = AESGCM(bytes.fromhex(KEYS[key_version]))
    iv, data = base64.b64decode(sealed.iv), base64.b64decode(sealed.data)
    assert cipher.decrypt(iv, data, b"aad") == b"hello"
    assert len(base64.b64decode(sealed.salt)) == 32


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=3000), st.binary(max_size=50), st.integers(2, 5))
def test_what_any_aes_gcm_sealed_is_opened(plaintext, aad, key_version):
    key = KEYRING.ed25519(f"m/74'/2'/0'/{key_version - 2}'").reveal_private_key()
    data = AESGCM(key).encrypt(bytes(12), plaintext, aad)

    encrypted = EncryptedData(
        key_version=key_version,
        salt=base64.b64encode(bytes(32)).decode(),
        iv=base64.b64encode(bytes(12)).decode(),
        data=base64.b64encode(data).decode(),
    )

    assert KEYRING.open(encrypted, associated_data=aad) == plaintext


def test_no_salt_and_no_nonce_comes_twice():
    sealed = [KEYRING.seal("same") for _ in range(500)] + KEYRING.seal_many(["same"] * 500)

    assert len({value.iv for value in sealed}) == 1000
    assert len({value.salt for value in sealed}) == 1000


def test_the_fields_of_two_values_cannot_be_mixed():
    one, two = KEYRING.seal("one").to_dict(), KEYRING.seal("two", key_version=3).to_dict()

    for field in ("key_version", "iv", "data"):
        with pytest.raises(DecryptionFailed):
            KEYRING.open(EncryptedData.from_dict(one | {field: two[field]}))


@pytest.mark.parametrize("size", [0, 64, 512 * 1024 - 1, 512 * 1024, 2_000_000])
def test_long_values_take_the_same_road(size):
    plaintext = bytes(size)

    assert KEYRING.open(KEYRING.seal(plaintext)) == plaintext


@pytest.mark.parametrize("items", [0, 1, 200])
def test_a_batch_is_the_values_one_by_one(items):
    plaintexts = [f"value {n}" * n for n in range(items)]

    sealed = KEYRING.seal_many(plaintexts, key_version=3, associated_data=b"batch")

    assert [
        KEYRING.open(value, associated_data=b"batch").decode() for value in sealed
    ] == plaintexts
    opened = KEYRING.open_many(sealed, associated_data=b"batch")
    assert [value.decode() for value in opened] == plaintexts


def test_a_batch_says_which_value_does_not_open():
    sealed = KEYRING.seal_many(["a", "b", "c"])
    sealed[1] = Keyring.from_seed(bytes(32)).seal("b")

    with pytest.raises(DecryptionFailed) as caught:
        KEYRING.open_many(sealed)

    assert caught.value.details == {"index": 1}


def test_rotation_seals_the_same_under_another_key():
    sealed = KEYRING.seal("secret", associated_data=b"aad")

    rotated = KEYRING.rotate(sealed, 3, associated_data=b"aad")

    assert rotated.key_version == 3
    assert rotated.iv != sealed.iv
    assert KEYRING.open(rotated, associated_data=b"aad") == b"secret"
    with pytest.raises(DecryptionFailed):
        KEYRING.rotate(sealed, 3, associated_data=b"other")


@pytest.mark.parametrize("key_version", [0, 1, 2**31 + 2, 2**32 - 1])
def test_a_key_version_that_the_vault_does_not_have_is_refused(key_version):
    with pytest.raises(InvalidInput, match=f"key_version {key_version} is not one of the vault's"):
        KEYRING.seal("x", key_version=key_version)


def legacy(password, *, key_version, salt_bytes=16, rounds):
    key = hashlib.pbkdf2_hmac("sha256", password, bytes(salt_bytes), rounds, 32)
    return EncryptedData(
        key_version=key_version,
        salt=base64.b64encode(bytes(salt_bytes)).decode(),
        iv=base64.b64encode(bytes(12)).decode(),
        data=base64.b64encode(AESGCM(key).encrypt(bytes(12), b"old secret", None)).decode(),
    )


@pytest.mark.parametrize(("key_version", "rounds"), [(1, 100_000), (2, 200_000)])
def test_the_older_format_opens_with_its_password_and_migrates(key_version, rounds):
    encrypted = legacy(b"pass\xc3\xa9", key_version=key_version, rounds=rounds)

    opened = Keyring.open_legacy(encrypted, "pass\u00e9")

    assert opened == KEYRING.open_legacy(encrypted, bytearray(b"pass\xc3\xa9")) == b"old secret"
    assert KEYRING.open(KEYRING.seal(opened)) == b"old secret"
    with pytest.raises(DecryptionFailed):
        Keyring.open_legacy(encrypted, "pass")
    with pytest.raises(InvalidInput, match="use open_legacy"):
        KEYRING.open(encrypted)


def test_a_value_of_the_vault_does_not_open_with_a_password():
    with pytest.raises(InvalidInput, match="use open, without a password"):
        Keyring.open_legacy(KEYRING.seal("x"), "password")


def test_seals_are_counted_for_each_key():
    keyring = Keyring.from_seed(bytes(32), seal_counts={7: 5})

    keyring.seal("a")
    keyring.seal_many(["b", "c"], key_version=3)
    keyring.rotate(keyring.seal("d"), 3)

    assert keyring.seal_counts == {2: 2, 3: 3, 7: 5}


def test_a_worn_key_warns_once_and_a_spent_one_refuses():
    keyring = Keyring.from_seed(bytes(32), seal_counts={2: 2**31 - 2, 3: 2**32 - 1})

    keyring.seal("still fresh")
    with pytest.warns(RuntimeWarning, match="key_version 2 has sealed 2\\^31 values") as caught:
        keyring.seal("worn")
    keyring.seal("told already")
    keyring.seal("the last", key_version=3)

    assert len(caught) == 1
    with pytest.raises(InvalidInput, match="seal under key_version 4"):
        keyring.seal("one too many", key_version=3)
    with pytest.raises(InvalidInput, match="has sealed 4294967296 values"):
        keyring.seal_many(["x"], key_version=3)
    assert keyring.seal_counts == {2: 2**31 + 1, 3: 2**32}
