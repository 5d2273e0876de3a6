"""Derivation paths: read strictly, printed one way."""

import re

import pytest

from alknet.errors import BadPath
from alknet.keys import DerivationPath


@pytest.mark.parametrize(
    ("text", "indices", "printed"),
    [
        ("m", (), "m"),
        ("m/0", (0,), "m/0"),
        ("m/74'/0h/2147483647H", (2**31 + 74, 2**31, 2**32 - 1), "m/74'/0'/2147483647'"),
        ("m/44'/60'/0'/0/0", (2**31 + 44, 2**31 + 60, 2**31, 0, 0), "m/44'/60'/0'/0/0"),
        ("m/007", (7,), "m/7"),
    ],
)
def test_a_path_is_read_and_printed_with_apostrophes(text, indices, printed):
    path = DerivationPath.parse(text)

    assert path.indices == indices
    assert str(path) == printed
    assert len(path) == len(indices)
    assert path == DerivationPath.parse(printed)
    assert hash(path) == hash(DerivationPath.parse(printed))


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "must start with 'm'"),
        ("74'/0'", 0, "must start with 'm'"),
        ("M/0", 0, "must start with 'm'"),
        ("m/", 2, "step 1 is empty"),
        ("m/74'//0'", 6, "step 2 is empty"),
        ("m/'", 2, "step 1 is empty"),
        ("m/0/", 4, "step 2 is empty"),
        ("m/2147483648", 2, "index of step 1 is above 2147483647"),
        ("m/99999999999999999999", 2, "index of step 1 is above 2147483647"),
        ("m/0'/1x", 6, "'x' is neither a digit"),
        ("m/-1", 2, "'-' is neither a digit"),
        ("m/+1", 2, "'+' is neither a digit"),
        ("m/1''", 3, "'\\'' is neither a digit"),
        ("m/ 1", 2, "' ' is neither a digit"),
        ("m/٣", 2, "neither a digit"),
        ("m" + "/0" * 256, 512, "256 steps"),
    ],
)
def test_a_bad_path_says_where_and_what(text, position, message):
    with pytest.raises(BadPath, match=re.escape(message)) as caught:
        DerivationPath.parse(text)

    assert caught.value.details == {"position": position}


def test_a_path_may_be_as_deep_as_an_extended_key_can_count():
    assert len(DerivationPath.parse("m" + "/0" * 255)) == 255


@pytest.mark.parametrize(("text", "hardened"), [("m", True), ("m/0'/1'", True), ("m/0'/1", False)])
def test_a_path_is_hardened_when_every_step_is(text, hardened):
    assert DerivationPath.parse(text).is_hardened is hardened
