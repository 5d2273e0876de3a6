"""Recovery phrases: the published vectors of BIP-39, and phrases that are none."""

import pytest

from alknet.errors import BadMnemonic
from alknet.keys import Keyring, check_mnemonic, generate_mnemonic

from .vectors import load

ABANDON = "abandon " * 11 + "about"
BIP39 = load("bip39.json")["english"]


@pytest.mark.parametrize(("phrase", "xprv"), [(row[1], row[3]) for row in BIP39])
def test_a_published_phrase_is_good(phrase, xprv):
    check_mnemonic(phrase)


@pytest.mark.parametrize("words", [12, 15, 18, 21, 24])
def test_a_new_phrase_is_good_and_like_no_other(words):
    phrase = generate_mnemonic(words)

    check_mnemonic(phrase)
    assert len(phrase.split()) == words
    assert phrase != generate_mnemonic(words)


@pytest.mark.parametrize(
    "phrase",
    [
        ABANDON.upper(),
        "  " + ABANDON.replace(" ", "\n\t ") + "\n",
        ABANDON.encode(),
        bytearray(ABANDON.encode()),
        memoryview(ABANDON.encode()),
    ],
)
def test_a_phrase_is_read_as_people_type_it(phrase):
    identity = Keyring.from_mnemonic(phrase).ed25519("m/74'/0'/0'/0'")

    assert (
        identity.public_key == Keyring.from_mnemonic(ABANDON).ed25519("m/74'/0'/0'/0'").public_key
    )


@pytest.mark.parametrize(
    ("phrase", "message", "details"),
    [
        ("", "12, 15, 18, 21 or 24 words; this one has 0", None),
        ("abandon " * 13, "this one has 13", None),
        (ABANDON.replace("about", "abuot"), "word 12 of the recovery phrase is not", {"word": 12}),
        ("zzzz " + ABANDON[8:], "word 1 of the recovery phrase is not", {"word": 1}),
        ("abandon " * 12, "checksum is wrong", None),
        (b"\xff" * 20, "not UTF-8", None),
    ],
)
def test_a_bad_phrase_says_where_but_never_quotes_a_word(phrase, message, details):
    with pytest.raises(BadMnemonic, match=message) as caught:
        check_mnemonic(phrase)

    assert caught.value.details == details
    assert "aban" not in str(caught.value)
    assert "abuot" not in str(caught.value)
