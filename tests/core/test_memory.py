"""What the memory of a process gives away: looked for from outside, as an attacker would."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bip_utils import Bip32Slip10Ed25519, Bip32Slip10Secp256k1, Bip39SeedGenerator

from alknet.keys import Keyring, generate_mnemonic, memory_status

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

WALLET = "m/44'/60'/0'/0/0"
IDENTITY = "m/74'/0'/0'/0'"
ENCRYPTION = "m/74'/2'/0'/0'"
SHOWN = (WALLET, "m/44'/60'/0'")  # an extended public key has the chain code in it

CHILD = f"""
import sys
from alknet.keys import Keyring, verify_ed25519
keyring = Keyring.from_mnemonic(sys.stdin.readline())
identity = keyring.ed25519("{IDENTITY}")
verify_ed25519(identity.public_key, b"m", identity.sign(b"m"))
wallet = keyring.secp256k1("{WALLET}")
wallet.sign_digest(bytes(32)), wallet.sign_schnorr(bytes(32)), wallet.ethereum_address
account = keyring.extended("m/44'/60'/0'").derive("m/0/0")
batch = keyring.ed25519_batch("m/74'/0'/0'", 0, 3)
keyring.open(keyring.rotate(keyring.seal("x"), 3))
keyring.password_text("m/74'/1'/0'/1'", 20)
print("unlocked", flush=True)
sys.stdin.readline()
keyring.lock()
print("locked", flush=True)
sys.stdin.readline()
"""


@contextmanager
def process(script: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def tell(child: subprocess.Popen[str], line: str, expected: str) -> None:
    child.stdin.write(line + "\n")
    child.stdin.flush()
    assert child.stdout.readline().strip() == expected


def memory_of(pid: int) -> list[bytes]:
    """Everything that the process can read, region by region."""
    regions = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            start, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if "r" in rights and "[v" not in line:  # [vvar], [vdso], [vsyscall] cannot be read
                memory.seek(int(start, 16))
                regions.append(memory.read(int(end, 16) - int(start, 16)))
    return regions


def forms(secret: bytes) -> list[bytes]:
    """The secret as it stands, and as 64-bit words and as one number on this machine."""
    words = b"".join(secret[at : at + 8][::-1] for at in range(0, len(secret), 8))
    return [secret, words, secret[::-1]]


def times_found(regions: list[bytes], secret: bytes) -> int:
    return sum(region.count(form) for form in forms(secret) for region in regions)


def secrets_of(phrase: str) -> dict[str, bytes]:
    seed = Bip39SeedGenerator(phrase).Generate()
    secrets = {"seed, first half": seed[:32], "seed, second half": seed[32:]}
    for curve, paths in [
        (Bip32Slip10Ed25519, ["m", "m/74'", "m/74'/0'/0'", IDENTITY, ENCRYPTION]),
        (Bip32Slip10Secp256k1, ["m", "m/44'", "m/44'/60'/0'", "m/44'/60'/0'/0", WALLET]),
    ]:
        for path in paths:
            node = curve.FromSeedAndPath(seed, path)
            secrets[f"{curve.__name__} {path} key"] = node.PrivateKey().Raw().ToBytes()
            if path not in SHOWN:
                secrets[f"{curve.__name__} {path} chain"] = node.ChainCode().ToBytes()
    return secrets


# Wiped as soon as the step below them is taken; the others live in the cache or in a handle.
ON_THE_WAY = ("m key", "m chain", "m/74' key", "m/74' chain")


def test_a_locked_process_holds_no_secret_any_more():
    phrase = generate_mnemonic()
    secrets = secrets_of(phrase)

    with process(CHILD) as child:
        tell(child, phrase, "unlocked")
        before = memory_of(child.pid)
        tell(child, "", "locked")
        after = memory_of(child.pid)

    # The search itself works: it finds what must be there, and each of it once or twice
    # (a key in the cache and in the pair that signs), not strewn about.
    found = {name: times_found(before, secret) for name, secret in secrets.items()}
    assert found["seed, first half"] == found["seed, second half"] == 1
    assert found[f"Bip32Slip10Ed25519 {IDENTITY} key"] >= 1
    assert found[f"Bip32Slip10Ed25519 {ENCRYPTION} key"] >= 1
    assert found[f"Bip32Slip10Secp256k1 {WALLET} key"] >= 1
    assert {name: n for name, n in found.items() if name.endswith(ON_THE_WAY) and n} == {}
    left = {name: n for name, secret in secrets.items() if (n := times_found(after, secret))}
    assert left == {}


def test_secrets_are_locked_into_memory_where_the_system_allows():
    script = """
import resource
from alknet.keys import Keyring, memory_status
print(memory_status())
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
keyrings = [Keyring.from_seed(bytes(64)) for _ in range(1000)]
print(memory_status().reason, keyrings[-1].ed25519("m").public_key.hex())
"""

    with process(script) as child:
        first, second = child.communicate()[0].splitlines()

    assert re.fullmatch(
        r"MemoryStatus\(total_bytes=16384, "
        r"(locked_bytes=16384, reason=None|locked_bytes=0, reason=\".+\"), dumpable=True\)",
        first,
    )
    # root may lock whatever it likes; for others the limit holds, and the vault works on.
    assert second.startswith(("None ", "Cannot allocate memory", "Operation not permitted"))
    assert second.endswith(Keyring.from_seed(bytes(64)).ed25519("m").public_key.hex())


def test_the_status_adds_up():
    keys = Keyring.from_seed(bytes(32)).ed25519_batch("m", 0, 1000)

    status = memory_status()

    assert status.total_bytes >= 64 * len(keys)
    assert status.locked == (status.locked_bytes == status.total_bytes)
    assert (status.reason is None) == status.locked


def test_memory_of_keys_that_are_gone_is_given_back():
    keyring = Keyring.from_seed(bytes(32))
    before = memory_status().total_bytes
    keys = keyring.ed25519_batch("m", 0, 5000)
    during = memory_status().total_bytes

    del keys

    assert during >= before + 64 * 4000
    assert memory_status().total_bytes <= before + 16384


def test_core_dumps_can_be_turned_off():
    script = """
from alknet.keys import disable_core_dumps, memory_status
before = memory_status().dumpable
disable_core_dumps()
print(before, memory_status().dumpable)
"""

    with process(script) as child:
        assert child.communicate()[0] == "True False\n"


def test_a_forked_child_inherits_no_secret_and_is_told_so():
    script = """
import os
from alknet.errors import Locked
from alknet.keys import Ed25519Key, Keyring
keyring = Keyring.from_seed(bytes(32))
key, own = keyring.ed25519("m"), Ed25519Key.generate()
child = os.fork()
if child == 0:
    said = [keyring.is_locked]
    for use in (lambda: key.sign(b""), lambda: own.sign(b""), lambda: keyring.seal("x"),
                lambda: keyring.ed25519("m"), lambda: keyring.secp256k1("m")):
        try:
            use()
        except Locked:
            said.append(True)
    new = Keyring.from_seed(bytes(32))
    said.append(new.ed25519("m").sign(b"") is not None)
    os._exit(0 if said == [True] * 7 else 1)
_, status = os.waitpid(child, 0)
print(status, keyring.is_locked, len(key.sign(b"")), len(own.sign(b"")))
"""

    with process(script) as child:
        assert child.communicate()[0] == "0 False 64 64\n"
