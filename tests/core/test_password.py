"""Passwords that need no memory."""

import string
from collections import Counter

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadPath, InvalidInput
from alknet.keys import DEFAULT_ALPHABET, Keyring, site_path

from .vectors import ABANDON

KEYRING = Keyring.from_mnemonic(ABANDON)
PATH = site_path("example.com")


def stream(path, info, length):
    key = KEYRING.ed25519(path).reveal_private_key()
    return HKDF(hashes.SHA512(), length, salt=None, info=info).derive(key)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 255))
def test_bytes_are_hkdf_of_the_key(index, length):
    path = f"m/74'/1'/0'/{index}'"

    assert KEYRING.password(path, length) == stream(path, b"alknet password bytes v1", length)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**31 - 1),
    st.integers(1, 255),
    st.lists(st.characters(exclude_categories=["Cs"]), min_size=2, max_size=256, unique=True).map(
        "".join
    ),
)
def test_text_takes_the_fair_bytes_of_hkdf_in_order(index, length, alphabet):
    path = f"m/74'/1'/0'/{index}'"
    fair = 256 - 256 % len(alphabet)
    usable = [n for n in stream(path, b"alknet password text v1", 255 * 64) if n < fair]

    password = KEYRING.password_text(path, length, alphabet)

    assert password == "".join(alphabet[n % len(alphabet)] for n in usable[:length])


def test_no_character_is_likelier_than_another():
    alphabet = string.ascii_lowercase + string.digits + "!#%+"  # 40: 256 is no multiple of it
    counts = Counter()
    for site in range(400):
        counts.update(KEYRING.password_text(f"m/74'/1'/0'/{site}'", 255, alphabet))

    expected = 400 * 255 / len(alphabet)
    chi_squared = sum((counts[letter] - expected) ** 2 / expected for letter in alphabet)
    assert chi_squared < 90  # 39 degrees of freedom: the keys are fixed, so this never flickers


def test_a_password_is_the_same_every_time_and_another_elsewhere():
    again = Keyring.from_mnemonic(ABANDON)
    text = KEYRING.password_text(PATH, 20)

    assert text == again.password_text(PATH, 20) == "fSo2AfdF_Fu5zRpUcVmV"
    assert set(text) <= set(DEFAULT_ALPHABET)
    assert text != KEYRING.password_text(site_path("example.org"), 20)
    assert KEYRING.password(PATH, 255).startswith(KEYRING.password(PATH, 10))


@pytest.mark.parametrize("length", [0, 256, 10**15])
def test_a_password_is_1_to_255_long(length):
    for make in (KEYRING.password, KEYRING.password_text):
        with pytest.raises(InvalidInput, match="1 to 255 long"):
            make(PATH, length)


@pytest.mark.parametrize(
    ("alphabet", "message"),
    [
        ("", "has 2 to 256 characters; this one has 0"),
        ("a", "has 2 to 256 characters; this one has 1"),
        ("".join(map(chr, range(257))), "has 2 to 256 characters; this one has 257"),
        ("abca", "has a character twice"),
    ],
)
def test_an_alphabet_is_2_to_256_different_characters(alphabet, message):
    with pytest.raises(InvalidInput, match=message):
        KEYRING.password_text(PATH, 8, alphabet)


def test_the_path_of_a_password_is_hardened():
    with pytest.raises(BadPath, match="not hardened"):
        KEYRING.password("m/74'/1'/0'/5", 8)
