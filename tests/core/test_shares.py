"""Shares of a phrase: the published vectors of SLIP-0039, its reference library, and mistakes."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import combine_mnemonics, generate_mnemonics
from shamir_mnemonic.wordlist import WORDLIST

from alknet.errors import BadMnemonic, BadShare, InvalidInput
from alknet.keys import (
    Keyring,
    ShareSet,
    check_share,
    generate_mnemonic,
    nearest_share_word,
    split_mnemonic,
)

from .vectors import ABANDON, load

VECTORS = load("slip39.json")["vectors"]
PATH = "m/74'/0'/0'/0'"
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def set_of(*shares):
    gathered = ShareSet()
    for share in shares:
        gathered.add(share)
    return gathered


@pytest.mark.parametrize(("shares", "secret"), [row[1:3] for row in VECTORS], ids=lambda _: "")
def test_the_published_vectors_hold_those_that_must_fail_too(shares, secret):
    if secret:
        assert set_of(*shares).reveal_secret("TREZOR").hex() == secret
    else:
        with pytest.raises(BadShare):
            set_of(*shares).reveal_secret("TREZOR")


@pytest.mark.parametrize("words", [12, 15, 18, 21, 24])
@pytest.mark.parametrize("extendable", [True, False])
def test_the_reference_library_reads_our_shares(words, extendable):
    phrase = generate_mnemonic(words)
    shares = split_mnemonic(
        phrase, 3, 5, passphrase="horse", iteration_exponent=0, extendable=extendable
    )

    entropy = combine_mnemonics(shares[1:4], b"horse")
    ours = set_of(shares[4], shares[0], shares[2])
    assert entropy == ours.reveal_secret("horse")
    assert ours.reveal_phrase("horse") == phrase


@settings(max_examples=25, deadline=None)
@given(
    secret=st.binary(min_size=16, max_size=32).filter(lambda secret: len(secret) % 2 == 0),
    passphrase=PRINTABLE,
    extendable=st.booleans(),
    exponent=st.sampled_from([0, 1]),
)
def test_we_read_the_shares_of_the_reference_library(secret, passphrase, extendable, exponent):
    first, second, third = generate_mnemonics(
        2, [(1, 1), (2, 3), (3, 4)], secret, passphrase.encode(), extendable, exponent
    )

    assert (
        set_of(third[3], second[2], third[0], third[1], second[0]).reveal_secret(passphrase)
        == secret
    )
    assert set_of(second[0], second[1], first[0]).reveal_secret(passphrase) == secret


def test_shares_give_the_keyring_of_the_phrase_with_its_own_passphrase():
    one, _, three = split_mnemonic(ABANDON, 2, 3, passphrase="of the shares")
    keyring = set_of(one, three).keyring("of BIP-39", share_passphrase="of the shares")

    expected = Keyring.from_mnemonic(ABANDON, "of BIP-39").ed25519(PATH).public_key
    assert keyring.ed25519(PATH).public_key == expected
    assert len(one.split()) == 20


def test_it_is_known_how_many_are_needed_still():
    shares = split_mnemonic(ABANDON, 3, 3)
    gathered = ShareSet()
    assert (gathered.given, gathered.missing, gathered.iteration_exponent) == (0, None, None)
    with pytest.raises(BadShare, match="one more share is needed"):
        gathered.keyring()
    for given_now, share in enumerate(shares, 1):
        gathered.add(share)
        assert (gathered.given, gathered.missing) == (given_now, 3 - given_now)
    assert gathered.iteration_exponent == 1
    assert gathered.reveal_phrase() == ABANDON
    gathered.clear()
    assert (gathered.given, gathered.missing) == (0, None)


def test_a_share_that_is_refused_costs_none_of_those_before_it():
    one, two, three = split_mnemonic(ABANDON, 2, 3)
    other, _ = split_mnemonic(ABANDON, 2, 2)
    gathered = set_of(one)
    for share, words in [
        (one, "given already"),
        (other, "belongs to another set"),
        (two.split(" ", 1)[1], "this one has 19"),
        (two + " qqqq", "this one has 21"),
        (b"\xff", "not UTF-8"),
    ]:
        with pytest.raises(BadShare, match=words):
            gathered.add(share)
        assert gathered.missing == 1
    gathered.add(bytearray(two.upper().encode()))
    with pytest.raises(BadShare, match="it is not needed"):
        gathered.add(three)
    assert gathered.reveal_phrase() == ABANDON


def test_a_mistyped_word_is_pointed_at_and_never_quoted():
    [share] = split_mnemonic(ABANDON, 1, 1)
    words = share.split()
    typed = " ".join([*words[:6], words[6] + "q", *words[7:]])
    with pytest.raises(BadShare, match="word 7 of the share is not in the list") as caught:
        check_share(typed)
    assert caught.value.details == {"word": 7}
    assert not any(word in str(caught.value).split() for word in words[4:])
    assert nearest_share_word(typed, 7) == words[6]
    assert nearest_share_word("qqqqqq", 1) is nearest_share_word("", 3) is None

    words[8] = "acid" if words[8] != "acid" else "acne"
    with pytest.raises(BadShare, match="look at word 9 first") as caught:
        check_share(" ".join(words))
    assert caught.value.details == {"word": 9}


@settings(max_examples=200, deadline=None)
@given(
    places=st.sets(st.integers(0, 19), min_size=1, max_size=3),
    words=st.lists(st.sampled_from(WORDLIST), min_size=3, max_size=3),
)
def test_up_to_three_wrong_words_are_always_noticed(places, words):
    share = VECTORS[3][1][0].split()
    wrong = list(share)
    for place, word in zip(places, words, strict=False):
        wrong[place] = word
    if wrong != share:
        with pytest.raises(BadShare):
            check_share(" ".join(wrong))


def test_each_split_makes_another_set():
    assert not set(split_mnemonic(ABANDON, 2, 3)) & set(split_mnemonic(ABANDON, 2, 3))


@pytest.mark.parametrize(
    ("threshold", "count", "more", "words"),
    [
        (3, 2, {}, "3 of 2 shares cannot be asked for"),
        (1, 3, {}, "the same share 3 times"),
        (0, 3, {}, "0 of 3 shares"),
        (2, 17, {}, "2 of 17 shares"),
        (2, 3, {"passphrase": "schlüssel"}, "printable characters of ASCII"),
        (2, 3, {"iteration_exponent": 16}, "0 to 15, not 16"),
    ],
)
def test_shares_that_cannot_be_are_not_made(threshold, count, more, words):
    with pytest.raises(InvalidInput, match=words):
        split_mnemonic(ABANDON, threshold, count, **more)


def test_no_phrase_has_no_shares():
    with pytest.raises(BadMnemonic):
        split_mnemonic(ABANDON.replace("about", "above"), 2, 3)


def test_a_set_shows_nothing_and_goes_nowhere():
    gathered = set_of(*split_mnemonic(ABANDON, 1, 1))
    assert repr(gathered) == "ShareSet(<1 given>)"
    with pytest.raises(TypeError):
        pickle.dumps(gathered)
