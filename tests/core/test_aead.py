"""AES-256-GCM: published vectors, an independent library, and every altered bit."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadKey, DecryptionFailed, InvalidInput
from alknet.keys import aes_gcm_open, aes_gcm_seal

from .vectors import load

VECTORS = [
    pytest.param(*(bytes.fromhex(row[field]) for field in row if field != "case"), id=row["case"])
    for row in load("aes256gcm.json")["vectors"]
]
KEY, NONCE = bytes(range(32)), bytes(range(12))


@pytest.mark.parametrize(("key", "nonce", "plaintext", "aad", "ciphertext", "tag"), VECTORS)
def test_a_published_vector_is_sealed_and_opened(key, nonce, plaintext, aad, ciphertext, tag):
    assert aes_gcm_seal(key, nonce, plaintext, aad) == ciphertext + tag
    assert aes_gcm_open(key, nonce, ciphertext + tag, aad) == plaintext


@settings(max_examples=2000, deadline=None)
@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=5000),
    st.binary(max_size=100),
)
def test_an_independent_library_agrees(key, nonce, plaintext, aad):
    sealed = aes_gcm_seal(key, nonce, plaintext, aad)

    assert sealed == AESGCM(key).encrypt(nonce, plaintext, aad)
    assert aes_gcm_open(bytearray(key), memoryview(nonce), bytearray(sealed), aad) == plaintext


@pytest.mark.parametrize("size", [512 * 1024 - 1, 512 * 1024, 3_000_000])
def test_long_messages_take_the_same_road(size):
    plaintext = bytes(size)

    sealed = aes_gcm_seal(KEY, NONCE, plaintext)

    assert sealed == AESGCM(KEY).encrypt(NONCE, plaintext, None)
    assert aes_gcm_open(KEY, NONCE, sealed) == plaintext


def test_no_bit_can_be_changed_anywhere():
    sealed = aes_gcm_seal(KEY, NONCE, b"attack at dawn", b"general")

    def refused(key=KEY, nonce=NONCE, sealed=sealed, aad=b"general"):
        try:
            aes_gcm_open(key, nonce, sealed, aad)
        except DecryptionFailed:
            return True
        return False

    assert not refused()
    for name, value in {"key": KEY, "nonce": NONCE, "sealed": sealed, "aad": b"general"}.items():
        for bit in range(len(value) * 8):
            changed = bytearray(value)
            changed[bit // 8] ^= 1 << bit % 8
            assert refused(**{name: bytes(changed)}), (name, bit)


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 29])
def test_no_byte_can_be_cut_off_or_added(cut):
    sealed = aes_gcm_seal(KEY, NONCE, b"attack at dawn")

    for altered in (sealed[:cut], sealed[30 - cut :] if cut else b"", sealed + bytes(cut + 1)):
        with pytest.raises(DecryptionFailed, match="does not open"):
            aes_gcm_open(KEY, NONCE, altered)


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_a_key_is_32_bytes(length):
    with pytest.raises(BadKey, match=f"32 bytes; this one is {length}"):
        aes_gcm_seal(bytes(length), NONCE, b"")


@pytest.mark.parametrize("length", [0, 11, 13, 16])
def test_a_nonce_is_12_bytes(length):
    with pytest.raises(InvalidInput, match=f"12 bytes; this one is {length}"):
        aes_gcm_open(KEY, bytes(length), bytes(16))


@pytest.mark.parametrize("wrong", ["text", 7, None, ["bytes"]])
def test_bytes_are_bytes(wrong):
    with pytest.raises(TypeError, match="expected a bytes-like object, not"):
        aes_gcm_seal(KEY, NONCE, wrong)
