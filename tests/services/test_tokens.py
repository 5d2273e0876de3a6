"""Signed tokens: good for a while, for one who holds the key, and once."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.services.auth.tokens import TOKEN_BYTES, SignedTokens, sign_token

from ..people import ALICE_KEY, STRANGER_KEY

NOW = 1_800_000_000
PUBLIC = ALICE_KEY.public_key
KEY_ID = hashlib.sha256(PUBLIC).digest()
KEY_IDS = {KEY_ID: PUBLIC}


@pytest.fixture
def tokens():
    return SignedTokens(window=300)


def token(at=NOW, key=ALICE_KEY, key_id=KEY_ID):
    return sign_token(key, key_id, at)


def raw(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_token_is_what_the_module_says():
    data = raw(token())

    assert len(data) == TOKEN_BYTES == 104
    assert data[:32] == KEY_ID
    assert int.from_bytes(data[32:40], "big") == NOW
    assert "=" not in token()


def test_a_fresh_token_is_its_keys_word(tokens):
    assert tokens.check(token(), KEY_IDS.get, NOW) == PUBLIC


@pytest.mark.parametrize(
    ("age", "is_good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_token_is_good_within_its_window(tokens, age, is_good):
    answer = tokens.check(token(NOW - age), KEY_IDS.get, NOW)

    if is_good:
        assert answer == PUBLIC
    else:
        assert answer == (
            f"the token was made {age} s ago and is good for 300 s: "
            f"make a new one, and compare the clocks"
        )


def test_a_token_is_good_once(tokens):
    assert tokens.check(token(), KEY_IDS.get, NOW) == PUBLIC
    for later in (0, 1, 299, 300):
        assert tokens.check(token(), KEY_IDS.get, NOW + later) == (
            "the token has been used already: make a new one"
        )


def test_spelling_a_used_token_in_another_way_makes_it_no_new_one(tokens):
    """The last letter of unpadded base64 has bits to spare."""
    first = token()
    spelt = [first[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef" + "0123456789-_"]
    same = [each for each in [*spelt, first + "="] if _raw_or_none(each) == raw(first)]
    assert len(same) > 1

    answers = [tokens.check(each, KEY_IDS.get, NOW) for each in same]
    assert answers.count(PUBLIC) == 1


def _raw_or_none(each):
    try:
        return raw(each.rstrip("="))
    except ValueError:
        return None


@given(st.lists(st.tuples(st.integers(-320, 320), st.integers(-320, 320)), max_size=40))
def test_no_token_is_ever_let_in_twice(moments):
    """Whatever the clocks of those who made and who check it say, in whatever order."""
    tokens, let_in = SignedTokens(window=300), set()
    now = NOW
    for made, passed in moments:
        now = max(now, NOW + passed)  # our own clock does not go back
        signed = token(NOW + made)
        if tokens.check(signed, KEY_IDS.get, now) == PUBLIC:
            assert signed not in let_in
            let_in.add(signed)


def test_when_more_come_than_can_be_remembered_the_surplus_is_refused():
    tokens = SignedTokens(window=300, remembered=5)
    answers = [tokens.check(token(NOW + n), KEY_IDS.get, NOW) for n in range(7)]

    assert answers == [PUBLIC] * 5 + ["too many tokens at once: try again in a while"] * 2
    assert tokens.check(token(NOW + 2000), KEY_IDS.get, NOW + 2000) == PUBLIC


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", "neither an API key nor 104 bytes"),
        ("hunter2", "neither an API key nor 104 bytes"),
        ("ü" * 139, "neither an API key nor 104 bytes"),
        ("\udcff", "neither an API key nor 104 bytes"),
        (text(bytes(103)), "neither an API key nor 104 bytes"),
        (text(bytes(105)), "neither an API key nor 104 bytes"),
        (token().replace("-", "+").replace("_", "/") + "==", "neither an API key nor 104 bytes"),
        (text(bytes(104)), "by a key that is not known here"),
        (token(key_id=bytes(32)), "by a key that is not known here"),
        (token(key=STRANGER_KEY), "the token's signature is not good"),
    ],
)
def test_what_is_no_good_token_says_what_is_wrong_with_it(tokens, bad, words):
    answer = tokens.check(bad, KEY_IDS.get, NOW)

    assert isinstance(answer, str)
    assert words in answer
    assert "hunter2" not in answer


@given(st.integers(0, TOKEN_BYTES - 1), st.integers(0, 7))
def test_every_flipped_bit_makes_it_nobodys(index, bit):
    data = bytearray(raw(token()))
    data[index] ^= 1 << bit

    assert SignedTokens(window=300).check(text(bytes(data)), KEY_IDS.get, NOW) != PUBLIC


@given(st.text())
def test_no_text_does_worse_than_being_refused(bad):
    assert isinstance(SignedTokens(window=300).check(bad, KEY_IDS.get, NOW), str)
