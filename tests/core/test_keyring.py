"""The keyring: published derivations, the paths of the project, and what locking means."""

import copy
import hashlib
import pickle
import threading

import pytest

from alknet.errors import BadPath, InvalidInput, Locked
from alknet.keys import DerivationPath, Keyring, site_path, verify_ed25519

from .vectors import ABANDON, load

SLIP10 = [
    pytest.param(vector["curve"], vector["seed"], chain, id=f"{vector['title']}, {chain['path']}")
    for vector in load("slip10.json")["vectors"]
    for chain in vector["chains"]
]
IDENTITY = "m/74'/0'/0'/0'"


@pytest.fixture
def keyring():
    return Keyring.from_mnemonic(ABANDON)


@pytest.mark.parametrize(("curve", "seed", "chain"), SLIP10)
def test_keys_follow_slip10(curve, seed, chain):
    keyring = Keyring.from_seed(bytes.fromhex(seed))
    is_ed25519 = curve == "ed25519"

    key = (keyring.ed25519 if is_ed25519 else keyring.secp256k1)(chain["path"])

    assert key.reveal_private_key().hex() == chain["private"]
    # SLIP-0010 writes an Ed25519 public key with a leading zero byte.
    assert ("00" if is_ed25519 else "") + key.public_key.hex() == chain["public"]


@pytest.mark.parametrize(
    ("path", "public"),
    [
        (IDENTITY, "e78c2766a792f09bfccb51493968ac322283e8d021a30063784d806929762ecc"),
        ("m/74'/0'/0'/1'", "733961f7573657324f22e91f06ea4f0b359e2efa0ccffc954616dadee7444daa"),
        ("m/74'/0'/1'/0'", "6a9dd5c41915fba6cc22b8760263aba45b068cae7bead1d069c7b8eeb0118134"),
    ],
)
def test_the_paths_of_a_node_lead_where_they_always_did(keyring, path, public):
    assert keyring.ed25519(path).public_key.hex() == public
    assert keyring.ed25519(DerivationPath.parse(path)).public_key.hex() == public


@pytest.mark.parametrize(
    ("path", "private"),
    [
        (IDENTITY, "603aa5c626317fda4afd87b902e5c9de76c33f40834005245e1c5a675e92d700"),
        ("m/74'/2'/0'/0'", "fbed5fa9110df4214baa259a4cd6bd3902373231472d317b8f3686b1d63df17a"),
        ("m/74'/2'/0'/1'", "3ddaf7a4485d755c959c883347420fdc9fa2a64fb1edae8a5f312e82c210f0f0"),
    ],
)
def test_the_private_keys_of_a_node_are_true_slip10(keyring, path, private):
    assert keyring.ed25519(path).reveal_private_key().hex() == private


def test_the_ethereum_path_leads_to_the_known_account(keyring):
    key = keyring.secp256k1("m/44'/60'/0'/0/0")

    assert key.ethereum_address == "0x9858EfFD232B4033E47d90003D41EC34EcaEda94"
    assert (
        key.reveal_private_key().hex()
        == "1ab42cc412b618bdea3a599e3c9bae199ebf030895b039e9db1e30dafb12b727"
    )


@pytest.mark.parametrize(
    ("sites", "name"),
    [
        (["example.com", " Example.COM. ", "https://me@example.com/login?next=/"], "example.com"),
        (["https://example.com:8443/", "example.com:8443"], "example.com:8443"),
        (["My Bank", "my bank\n"], "my bank"),
        (["B\u00dcCHER.example", "bu\u0308cher.example"], "b\u00fccher.example"),
    ],
)
def test_the_path_of_a_site_is_found_again_however_its_name_is_typed(sites, name):
    hashed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1

    assert {str(site_path(site)) for site in sites} == {f"m/74'/1'/0'/{hashed}'"}


@pytest.mark.parametrize("site", ["", " . ", "https:///path"])
def test_a_site_without_a_name_has_no_path(site):
    with pytest.raises(InvalidInput, match="name of the site is empty"):
        site_path(site)


@pytest.mark.parametrize(("path", "position"), [("m/74'/0", 6), ("m/0/1'/2", 2), ("m/1h/22", 5)])
def test_ed25519_refuses_a_step_that_is_not_hardened_and_says_which(keyring, path, position):
    with pytest.raises(BadPath, match="has a step that is not hardened") as caught:
        keyring.ed25519(path)

    assert caught.value.details == {"position": position}


def test_a_path_is_text_or_a_path(keyring):
    with pytest.raises(TypeError, match="expected str or DerivationPath, not int"):
        keyring.ed25519(74)


@pytest.mark.parametrize(("start", "count"), [(0, 5), (1, 40), (2**31 - 3, 3), (7, 0)])
def test_a_batch_is_the_keys_one_by_one(keyring, start, count):
    batch = keyring.ed25519_batch("m/74'/0'/0'", start, count)

    one_by_one = [keyring.ed25519(f"m/74'/0'/0'/{start + n}'") for n in range(count)]
    assert [key.public_key for key in batch] == [key.public_key for key in one_by_one]
    for key in batch[:3]:
        verify_ed25519(key.public_key, b"m", key.sign(b"m"))


@pytest.mark.parametrize(
    ("start", "count", "message"),
    [
        (2**31 - 1, 2, "2 keys from index 2147483647 on would pass the last index, 2147483647"),
        (2**32 - 1, 1, "would pass the last index"),
        (0, 65537, "65536 keys at most; 65537 were asked for"),
    ],
)
def test_a_batch_has_its_limits(keyring, start, count, message):
    with pytest.raises(InvalidInput, match=message):
        keyring.ed25519_batch("m/74'", start, count)


@pytest.mark.parametrize("entries", [0, 1, 3, 64])
def test_what_is_cached_is_what_is_derived(entries):
    keyring = Keyring.from_mnemonic(ABANDON, cache_entries=entries)
    fresh = Keyring.from_mnemonic(ABANDON, cache_entries=0)
    paths = [f"m/{a}'/{b}'" for a in range(3) for b in range(3)] * 2

    for path in paths:
        assert keyring.ed25519(path).public_key == fresh.ed25519(path).public_key
        assert keyring.secp256k1(path).public_key == fresh.secp256k1(path).public_key


def test_one_path_on_two_curves_is_two_keys(keyring):
    for _ in range(2):
        assert len(keyring.ed25519("m/0'").public_key) == 32
        assert len(keyring.secp256k1("m/0'").public_key) == 33


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_cache_lives_for_a_time(seconds):
    with pytest.raises(InvalidInput, match="cache_seconds is a duration"):
        Keyring.from_seed(bytes(32), cache_seconds=seconds)


def test_a_locked_keyring_and_every_key_taken_from_it_are_dead(keyring):
    key = keyring.ed25519(IDENTITY)
    [sibling] = keyring.ed25519_batch("m/0'", 0, 1)
    wallet = keyring.secp256k1("m/44'/60'/0'/0/0")
    account = keyring.extended("m/44'/60'/0'")
    sealed = keyring.seal("secret")
    uses = [
        lambda: key.sign(b"m"),
        lambda: key.to_openssh(),
        key.reveal_private_key,
        lambda: sibling.sign(b"m"),
        lambda: wallet.sign_digest(bytes(32)),
        lambda: wallet.sign_schnorr(bytes(32)),
        wallet.reveal_private_key,
        lambda: account.derive("m/0"),
        account.key,
        account.reveal,
        lambda: keyring.ed25519(IDENTITY),
        lambda: keyring.ed25519("m"),
        lambda: keyring.ed25519_batch("m/0'", 0, 1),
        lambda: keyring.secp256k1("m/44'/60'/0'/0/0"),
        lambda: keyring.extended("m"),
        lambda: keyring.seal("x"),
        lambda: keyring.seal_many(["x"]),
        lambda: keyring.open(sealed),
        lambda: keyring.open_many([sealed]),
        lambda: keyring.rotate(sealed, 3),
        lambda: keyring.password("m/0'", 20),
        lambda: keyring.password_text("m/0'", 20),
    ]
    for use in uses:
        use()

    keyring.lock()
    keyring.lock()

    assert keyring.is_locked
    for use in uses:
        with pytest.raises(Locked, match="unlock it"):
            use()
    assert len(key.public_key) == 32
    assert account.public.depth == 3


def test_locking_one_keyring_leaves_another_alone(keyring):
    other = Keyring.from_mnemonic(ABANDON)
    key = other.ed25519(IDENTITY)

    keyring.lock()

    assert not other.is_locked
    verify_ed25519(key.public_key, b"m", key.sign(b"m"))


def test_locking_in_the_middle_of_other_threads_work_is_clean(keyring):
    path = DerivationPath.parse(IDENTITY)
    ready = threading.Barrier(5)
    outcomes = []

    def work():
        key = keyring.ed25519(path)
        ready.wait()
        try:
            while True:
                keyring.ed25519_batch("m/0'", 0, 20)
                sealed = keyring.seal("x")
                keyring.open(sealed)
                verify_ed25519(key.public_key, b"m", key.sign(b"m"))
        except Locked:
            outcomes.append("locked")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait()
    keyring.ed25519_batch("m/1'", 0, 500)
    keyring.lock()
    for thread in threads:
        thread.join()

    assert outcomes == ["locked"] * 4


def test_secrets_are_neither_printed_nor_pickled_nor_copied(keyring):
    account = keyring.extended("m/0")
    for secret in [keyring, keyring.ed25519("m/0'"), keyring.secp256k1("m/0"), account]:
        assert "<" in repr(secret)
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)
        for duplicate in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="not pickled"):
                duplicate(secret)


@pytest.mark.parametrize("length", [0, 15, 65])
def test_a_seed_has_16_to_64_bytes(length):
    with pytest.raises(InvalidInput, match=f"this one is {length}"):
        Keyring.from_seed(bytes(length))


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_a_seed_is_any_bytes(buffer):
    assert Keyring.from_seed(buffer(bytes(range(16)))).extended("m").public.depth == 0
