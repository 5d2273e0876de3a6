"""EncryptedData: what is read and written, and what is none."""

import base64
import copy
import json
import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadCiphertext
from alknet.keys import EncryptedData

FIELDS = {
    "key_version": 2,
    "salt": base64.b64encode(bytes(range(32))).decode(),
    "iv": base64.b64encode(bytes(range(12))).decode(),
    "data": base64.b64encode(bytes(range(40))).decode(),
}


def test_what_is_read_is_written_again():
    value = EncryptedData(**FIELDS)

    assert value.to_dict() == FIELDS
    assert json.loads(value.to_json()) == FIELDS
    for same in [
        EncryptedData.from_dict(FIELDS),
        EncryptedData.from_json(json.dumps(FIELDS)),
        EncryptedData.from_json(value.to_json().encode()),
        pickle.loads(pickle.dumps(value)),
        copy.copy(value),
        copy.deepcopy(value),
    ]:
        assert same == value
        assert hash(same) == hash(value)
    assert value != EncryptedData(**FIELDS | {"key_version": 3})
    assert value != FIELDS


def test_it_is_short_when_printed_and_does_not_change():
    value = EncryptedData(**FIELDS)

    assert repr(value) == "EncryptedData(key_version=2, <24 bytes sealed>)"
    with pytest.raises(AttributeError):
        value.data = ""


def test_the_older_spelling_of_the_version_is_read():
    renamed = {"keyVersion" if name == "key_version" else name: FIELDS[name] for name in FIELDS}

    assert EncryptedData.from_dict(renamed).to_dict() == FIELDS
    assert EncryptedData.from_dict(renamed | FIELDS | {"note": "passed over"}).key_version == 2
    with pytest.raises(BadCiphertext, match="key_version and keyVersion differ"):
        EncryptedData.from_dict(FIELDS | {"keyVersion": 3})


@pytest.mark.parametrize(
    ("key_version", "salt_bytes", "legacy"),
    [(1, 16, True), (1, 32, True), (2, 16, True), (2, 32, False), (3, 32, False)],
)
def test_the_salt_tells_the_older_format_from_ours(key_version, salt_bytes, legacy):
    salt = base64.b64encode(bytes(salt_bytes)).decode()

    value = EncryptedData(**FIELDS | {"key_version": key_version, "salt": salt})

    assert value.is_legacy is legacy
    assert value.salt == salt


def encode(size):
    return base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key_version": 0}, "key_version of the encrypted data is 0; the first is 1"),
        ({"key_version": -1}, "key_version is a whole number from 1"),
        ({"key_version": 2**32}, "key_version is a whole number from 1"),
        ({"key_version": "2"}, "key_version is a whole number from 1"),
        ({"key_version": True}, "key_version is a whole number from 1"),
        ({"key_version": None}, "key_version is a whole number from 1"),
        ({"salt": encode(31)}, "salt of the encrypted data is 31 bytes long and must be 32, or 16"),
        ({"salt": encode(16), "key_version": 3}, "salt of the encrypted data is 16 bytes long"),
        ({"salt": ""}, "salt of the encrypted data is 0 bytes long"),
        ({"iv": encode(16)}, "iv of the encrypted data is 16 bytes long and must be 12"),
        ({"iv": "AAAA_AAAAAAAAAAA"}, "iv of the encrypted data is not base64"),
        ({"iv": None}, "iv: expected text, not NoneType"),
        ({"data": ""}, "data of the encrypted data is 0 bytes long and must be 16 or more"),
        ({"data": encode(15)}, "data of the encrypted data is 15 bytes long"),
        ({"data": encode(16)[:-1]}, "data of the encrypted data is not base64"),
        ({"data": encode(16)[:-2]}, "data of the encrypted data is not base64"),
        ({"data": encode(16) + "\n"}, "data of the encrypted data is not base64"),
        ({"data": " " + encode(16)}, "data of the encrypted data is not base64"),
        ({"data": encode(16)[:-3] + "B=="}, "data of the encrypted data is not base64"),
        ({"data": "é" + encode(16)}, "data of the encrypted data is not base64"),
        ({"data": b"AAAA"}, "data: expected text, not bytes"),
    ],
)
def test_what_is_none_says_which_field_and_why(change, message):
    with pytest.raises(BadCiphertext, match=re.escape(message)):
        EncryptedData.from_dict(FIELDS | change)


@pytest.mark.parametrize("missing", FIELDS)
def test_every_field_is_needed(missing):
    with pytest.raises(BadCiphertext, match=f"{missing} is missing"):
        EncryptedData.from_dict({name: FIELDS[name] for name in FIELDS if name != missing})


@pytest.mark.parametrize("text", ["", "{", "[]", "2", '"x"', b"\xff\xfe\xfd", "null"])
def test_json_that_is_no_object_is_refused(text):
    with pytest.raises(BadCiphertext, match="not a JSON object"):
        EncryptedData.from_json(text)


@settings(max_examples=1500, deadline=None)
@given(st.binary(min_size=16, max_size=400))
def test_base64_is_read_as_python_reads_it(sealed):
    text = base64.b64encode(sealed).decode()

    value = EncryptedData(**FIELDS | {"data": text})

    assert value.data == text
    assert repr(value) == f"EncryptedData(key_version=2, <{len(sealed) - 16} bytes sealed>)"


@settings(max_examples=3000, deadline=None)
@given(st.binary(min_size=16, max_size=200), st.data())
def test_one_changed_letter_is_another_value_or_none(sealed, data):
    text = base64.b64encode(sealed).decode()
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(max_codepoint=0x17F).filter(lambda c: c != text[at]))
    changed = text[:at] + letter + text[at + 1 :]

    try:
        value = EncryptedData(**FIELDS | {"data": changed})
    except BadCiphertext:
        strict = changed.isascii() and base64.b64encode(_decode(changed)) == changed.encode()
        assert not strict
    else:
        assert base64.b64encode(base64.b64decode(changed, validate=True)).decode() == changed
        assert value.data == changed


def _decode(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
