"""Recovery phrases: the published vectors of BIP-39, and phrases that are none."""

import unicodedata

import pytest
from bip_utils import Bip39MnemonicValidator, Bip39SeedGenerator
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadMnemonic, InvalidInput
from alknet.keys import Keyring, check_mnemonic, generate_mnemonic

from .vectors import ABANDON, FOLDER, load

BIP39 = load("bip39.json")["english"]


@pytest.mark.parametrize(("phrase", "xprv"), [(row[1], row[3]) for row in BIP39])
def test_a_published_phrase_grows_into_its_key(phrase, xprv):
    assert Keyring.from_mnemonic(phrase, "TREZOR").extended("m").reveal() == xprv


@pytest.mark.parametrize("words", [12, 15, 18, 21, 24])
def test_a_new_phrase_is_good_and_like_no_other(words):
    phrase = generate_mnemonic(words)

    check_mnemonic(phrase)
    assert Bip39MnemonicValidator().IsValid(phrase)
    assert len(phrase.split()) == words
    assert phrase != generate_mnemonic(words)


@pytest.mark.parametrize("words", [0, 11, 13, 25])
def test_a_new_phrase_has_one_of_five_lengths(words):
    with pytest.raises(InvalidInput, match=f"12, 15, 18, 21 or 24 words; {words} were asked for"):
        generate_mnemonic(words)


@pytest.mark.parametrize(
    "phrase",
    [
        ABANDON.upper(),
        "  " + ABANDON.replace(" ", "\n\t\u3000 ") + "\n",
        "\uff41" + ABANDON[1:],  # a full-width a, which NFKD makes a plain one
        ABANDON.encode(),
        bytearray(ABANDON.encode()),
        memoryview(ABANDON.encode()),
    ],
)
def test_a_phrase_is_read_as_people_type_it(phrase):
    expected = Keyring.from_mnemonic(ABANDON).ed25519("m/74'/0'/0'/0'").public_key

    assert Keyring.from_mnemonic(phrase).ed25519("m/74'/0'/0'/0'").public_key == expected


@pytest.mark.parametrize(
    ("phrase", "message", "details"),
    [
        ("", "12, 15, 18, 21 or 24 words; this one has 0", None),
        ("abandon " * 13, "this one has 13", None),
        (ABANDON.replace("about", "abuot"), "word 12 of the recovery phrase", {"word": 12}),
        ("zzzz " + ABANDON[8:], "word 1 of the recovery phrase", {"word": 1}),
        ("aban " + ABANDON[8:], "word 1 of the recovery phrase", {"word": 1}),
        ("abandonedly " + ABANDON[8:], "word 1 of the recovery phrase", {"word": 1}),
        ("abandon " * 12, "checksum is wrong", None),
        (b"\xff" * 20, "not UTF-8", None),
    ],
)
def test_a_bad_phrase_says_where_but_never_quotes_a_word(phrase, message, details):
    with pytest.raises(BadMnemonic, match=message) as caught:
        check_mnemonic(phrase)

    assert caught.value.details == details
    assert not {"aban", "abuot", "zzzz"} & set(str(caught.value).split())


def test_one_word_in_sixteen_ends_a_phrase_of_twelve():
    words = (FOLDER.parents[1] / "rust/core/src/vault/english.txt").read_text().split()

    good = 0
    for word in words:
        try:
            check_mnemonic("abandon " * 11 + word)
            good += 1
        except BadMnemonic:
            pass

    assert good == 2048 // 16


# Characters that the reference's tables know: newer ones may have gained a decomposition since.
@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([row[1] for row in BIP39]),
    st.text(st.characters(exclude_categories=["Cs", "Cn"])),
)
def test_a_passphrase_is_normalised_as_the_standard_says(phrase, passphrase):
    seed = Bip39SeedGenerator(phrase).Generate(unicodedata.normalize("NFC", passphrase))

    assert (
        Keyring.from_mnemonic(phrase, passphrase).extended("m").reveal()
        == Keyring.from_seed(seed).extended("m").reveal()
        == Keyring.from_mnemonic(phrase, passphrase.encode()).extended("m").reveal()
    )


def test_a_passphrase_of_bytes_is_text_in_utf8():
    with pytest.raises(InvalidInput, match="passphrase is not UTF-8"):
        Keyring.from_mnemonic(ABANDON, b"\xff")
