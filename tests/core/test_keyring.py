"""The keyring: published derivations, the paths of the project, and what locking means."""

import copy
import pickle

import pytest

from alknet.errors import BadPath, DecryptionFailed, InvalidInput, Locked
from alknet.keys import Keyring, verify_ed25519

from .vectors import load

ABANDON = "abandon " * 11 + "about"
SLIP10 = {vector["curve"]: vector for vector in load("slip10.json")["vectors"]}


@pytest.fixture
def keyring():
    return Keyring.from_mnemonic(ABANDON)


@pytest.mark.parametrize("chain", SLIP10["ed25519"]["chains"], ids=lambda chain: chain["path"])
def test_ed25519_follows_slip10(chain):
    keyring = Keyring.from_seed(bytes.fromhex(SLIP10["ed25519"]["seed"]))

    key = keyring.ed25519(chain["path"])

    assert key.reveal_private_key().hex() == chain["private"]
    assert "00" + key.public_key.hex() == chain["public"]


@pytest.mark.parametrize("chain", SLIP10["secp256k1"]["chains"], ids=lambda chain: chain["path"])
def test_secp256k1_follows_bip32(chain):
    keyring = Keyring.from_seed(bytes.fromhex(SLIP10["secp256k1"]["seed"]))

    key = keyring.secp256k1(chain["path"])

    assert key.reveal_private_key().hex() == chain["private"]
    assert key.public_key.hex() == chain["public"]


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("m/74'/0'/0'/0'", "e78c2766a792f09bfccb51493968ac322283e8d021a30063784d806929762ecc"),
        ("m/74'/0'/0'/1'", "733961f7573657324f22e91f06ea4f0b359e2efa0ccffc954616dadee7444daa"),
        ("m/74'/0'/1'/0'", "6a9dd5c41915fba6cc22b8760263aba45b068cae7bead1d069c7b8eeb0118134"),
    ],
)
def test_the_paths_of_a_node_lead_where_they_always_did(keyring, path, public):
    assert keyring.ed25519(path).public_key.hex() == public


def test_the_ethereum_path_leads_to_the_known_account(keyring):
    key = keyring.secp256k1("m/44'/60'/0'/0/0")

    assert key.ethereum_address == "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
    assert (
        key.reveal_private_key().hex()
        == "1ab42cc412b618bdea3a599e3c9bae199ebf030895b039e9db1e30dafb12b727"
    )


def test_ed25519_refuses_a_step_that_is_not_hardened(keyring):
    with pytest.raises(BadPath, match="not hardened"):
        keyring.ed25519("m/74'/0")


def test_a_signature_verifies(keyring):
    key = keyring.ed25519("m/74'/0'/0'/0'")

    verify_ed25519(key.public_key, b"hello", key.sign(b"hello"))


@pytest.mark.parametrize("plaintext", ["", "text with ünicode", b"\x00" * 1000, bytearray(b"x")])
def test_what_is_sealed_opens_again(keyring, plaintext):
    sealed = keyring.seal(plaintext, associated_data=b"record 1")

    opened = keyring.open(sealed, associated_data=b"record 1")

    assert opened == (plaintext.encode() if isinstance(plaintext, str) else bytes(plaintext))
    with pytest.raises(DecryptionFailed):
        keyring.open(sealed, associated_data=b"record 2")


def test_a_locked_keyring_and_every_key_taken_from_it_are_dead(keyring):
    key = keyring.ed25519("m/74'/0'/0'/0'")
    wallet = keyring.secp256k1("m/44'/60'/0'/0/0")
    sealed = keyring.seal("secret")

    keyring.lock()
    keyring.lock()

    assert keyring.is_locked
    for use in [
        lambda: key.sign(b"m"),
        key.reveal_private_key,
        lambda: wallet.sign_digest(bytes(32)),
        lambda: keyring.ed25519("m/0'"),
        lambda: keyring.secp256k1("m/0"),
        lambda: keyring.seal("x"),
        lambda: keyring.open(sealed),
        lambda: keyring.password("m/0'", 20),
    ]:
        with pytest.raises(Locked, match="unlock it"):
            use()


def test_secrets_are_neither_printed_nor_pickled_nor_copied(keyring):
    for secret in [keyring, keyring.ed25519("m/0'"), keyring.secp256k1("m/0")]:
        assert "<" in repr(secret)
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)
        with pytest.raises(TypeError, match="not pickled"):
            copy.copy(secret)


@pytest.mark.parametrize("length", [0, 15, 65])
def test_a_seed_has_16_to_64_bytes(length):
    with pytest.raises(InvalidInput, match=f"this one is {length}"):
        Keyring.from_seed(bytes(length))
