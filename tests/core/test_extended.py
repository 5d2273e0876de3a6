"""Extended keys: the published vectors of BIP-32, and keys that are none."""

import pytest
from bip_utils import Bip32Slip10Secp256k1
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadKey, BadPath
from alknet.keys import ExtendedPrivateKey, ExtendedPublicKey, Keyring

from .vectors import ABANDON, load

BIP32 = load("bip32.json")
CHAINS = [
    pytest.param(vector["seed"], chain, id=f"{vector['vector']} {chain['path']}")
    for vector in BIP32["valid"]
    for chain in vector["chains"]
]
XPRV = BIP32["valid"][0]["chains"][0]["xprv"]
XPUB = BIP32["valid"][0]["chains"][0]["xpub"]


@pytest.mark.parametrize(("seed", "chain"), CHAINS)
def test_a_published_chain_is_found(seed, chain):
    key = Keyring.from_seed(bytes.fromhex(seed)).extended(chain["path"])

    assert key.reveal() == chain["xprv"]
    assert str(key.public) == chain["xpub"]


@pytest.mark.parametrize("chain", [case.values[1] for case in CHAINS], ids=lambda c: c["xpub"][-6:])
def test_what_is_written_is_read_again(chain):
    private = ExtendedPrivateKey.parse(chain["xprv"])
    public = ExtendedPublicKey.parse(chain["xpub"])

    assert private.reveal() == chain["xprv"]
    assert private.public == public
    assert hash(private.public) == hash(public)
    assert eval(repr(public), {"ExtendedPublicKey": ExtendedPublicKey}) == public
    assert private.key().public_key == public.public_key


@pytest.mark.parametrize(
    "row", BIP32["invalid_extended_keys"], ids=lambda row: f"{row['key'][:4]} {row['reason']}"
)
def test_an_invalid_key_of_the_standard_is_refused(row):
    for parse in (ExtendedPrivateKey.parse, ExtendedPublicKey.parse):
        with pytest.raises(BadKey) as caught:
            parse(row["key"])
        assert row["key"][20:40] not in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (ExtendedPublicKey.parse, XPRV, "an extended private key, and the public one was asked"),
        (ExtendedPrivateKey.parse, XPUB, "an extended public key, and the private one was asked"),
        (ExtendedPublicKey.parse, "", "another length"),
        (ExtendedPublicKey.parse, XPUB[:-1], "another length"),
        (ExtendedPublicKey.parse, XPUB + "1", "too long|another length"),
        (ExtendedPublicKey.parse, XPUB.replace("x", "0", 1), "not base58"),
        (ExtendedPublicKey.parse, "x" * 10_000, "too long"),
        (ExtendedPublicKey.parse, XPUB[:50] + "z" + XPUB[51:], "checksum is wrong"),
    ],
)
def test_a_bad_key_says_why(parse, text, message):
    with pytest.raises(BadKey, match=message):
        parse(text)


def test_a_key_for_the_test_network_says_so():
    key = Keyring.from_mnemonic(ABANDON).extended("m/84'/1'/0'", testnet=True)

    assert key.reveal().startswith("tprv")
    assert str(key.public).startswith("tpub")
    assert ExtendedPrivateKey.parse(key.reveal()).public == key.public


def test_a_public_key_knows_its_place():
    account = Keyring.from_mnemonic(ABANDON).extended("m/44'/60'/0'")

    public = account.derive("m/0").public

    assert public.depth == 4
    assert public.child_number == 0
    assert public.parent_fingerprint == account.public.fingerprint
    assert len(public.chain_code) == 32
    assert account.derive("m/0/0").public.ethereum_address.startswith("0x9858EfFD")


def test_a_public_key_does_not_go_through_a_hardened_step():
    with pytest.raises(BadPath, match="needs the private key"):
        ExtendedPublicKey.parse(XPUB).derive("m/0'")


def test_the_tree_ends_at_255_steps():
    deep = ExtendedPublicKey.parse(XPUB).derive("m" + "/1" * 255)

    assert deep.depth == 255
    with pytest.raises(BadPath, match="256 steps"):
        deep.derive("m/0")
    with pytest.raises(BadPath, match="256 steps"):
        ExtendedPrivateKey.parse(XPRV).derive("m" + "/1" * 255).derive("m/0")


steps = st.lists(st.integers(0, 2**31 - 1), max_size=4)


@settings(max_examples=400, deadline=None)
@given(st.binary(min_size=16, max_size=64), steps, steps)
def test_the_public_side_finds_the_keys_of_the_private_side(seed, hardened, plain):
    account = Keyring.from_seed(seed).extended("m" + "".join(f"/{n}'" for n in hardened))
    path = "m" + "".join(f"/{n}" for n in plain)

    assert account.public.derive(path) == account.derive(path).public


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=16, max_size=64), st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_bip_utils_finds_the_same_keys(seed, indices):
    text = "m" + "".join(f"/{n & (2**31 - 1)}" + ("'" if n >> 31 else "") for n in indices)

    ours = Keyring.from_seed(seed).extended(text)

    theirs = Bip32Slip10Secp256k1.FromSeedAndPath(seed, text)
    assert ours.reveal() == theirs.PrivateKey().ToExtended()
    assert str(ours.public) == theirs.PublicKey().ToExtended()


@settings(max_examples=2000, deadline=None)
@given(st.text(st.sampled_from("xprvtub123456789ABCDEFGHJKLMNPQRSTUVWXYZ 0"), max_size=120))
def test_no_text_does_worse_than_being_refused(text):
    for parse in (ExtendedPrivateKey.parse, ExtendedPublicKey.parse):
        with pytest.raises(BadKey):
            parse(text)
