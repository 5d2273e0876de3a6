"""Keys as SSH writes them: read without fail, and signed for by what never leaves the vault."""

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.errors import Locked
from alknet.keys import Keyring, ssh_public_line, verify_ed25519
from alknet.runtime.vault import HOST_KEY_PATH, IDENTITY_PATH
from alknet.transport.ssh.keys import VaultKeyPair, blob, host_pairs, shown, signature_in
from alknet.wire.credential import Certified

from ..people import ALICE_KEY, STRANGER_KEY
from ..services.keys import certify


def test_a_key_is_written_as_openssh_writes_it():
    key = asyncssh.import_public_key(ssh_public_line(ALICE_KEY.public_key))

    assert blob(ALICE_KEY.public_key) == key.public_data
    assert shown(key.public_data) == ALICE_KEY.public_key


def test_a_certificate_is_shown_whole():
    certified, _ = certify(STRANGER_KEY, "alice")

    assert shown(certified.certificate) == Certified(STRANGER_KEY.public_key, certified.certificate)


@given(st.binary(max_size=200))
def test_what_is_no_key_is_none(data):
    assert shown(data) is None or isinstance(shown(data), Certified)
    signature_in(data)


@pytest.mark.parametrize("cut", range(len(blob(ALICE_KEY.public_key))))
def test_a_key_that_is_cut_off_is_none(cut):
    assert shown(blob(ALICE_KEY.public_key)[:cut]) is None


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256"])
def test_keys_of_other_kinds_are_none(kind):
    assert shown(asyncssh.generate_private_key(kind).public_data) is None


def test_a_pair_signs_as_the_key_and_dies_with_the_vault():
    keyring = Keyring.from_seed(bytes(32))
    pair = VaultKeyPair(keyring.ed25519(HOST_KEY_PATH))
    public = asyncssh.import_public_key(ssh_public_line(keyring.ed25519(HOST_KEY_PATH).public_key))

    signature = pair.sign(b"a message")

    assert public.verify(b"a message", signature)
    assert not public.verify(b"another", signature)
    raw = shown(pair.public_data)
    verify_ed25519(raw, b"a message", signature_in(signature))
    keyring.lock()
    with pytest.raises(Locked):
        pair.sign(b"a message")


def test_the_host_key_is_certified_by_the_identity_for_every_name():
    keyring = Keyring.from_seed(bytes(32))
    host_key, identity = keyring.ed25519(HOST_KEY_PATH), keyring.ed25519(IDENTITY_PATH)

    certified, alone = host_pairs(host_key, identity)

    assert shown(alone.public_data) == host_key.public_key
    certificate = certified._cert
    assert certificate.signing_key.public_data == blob(identity.public_key)
    assert certificate.key.public_data == blob(host_key.public_key)
    for name in ("head.example", "10.0.0.1"):
        certificate.validate(asyncssh.public_key.CERT_TYPE_HOST, name)
    with pytest.raises(ValueError, match="Invalid certificate type"):
        certificate.validate(asyncssh.public_key.CERT_TYPE_USER, "")


def test_a_node_whose_host_key_is_its_identity_needs_no_certificate():
    [pair] = host_pairs(ALICE_KEY, ALICE_KEY)

    assert shown(pair.public_data) == ALICE_KEY.public_key
