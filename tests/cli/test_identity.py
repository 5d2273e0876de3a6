"""Who the command line is: keys and tokens that others can read are not used."""

import json
from pathlib import Path

import pytest

from alknet.cli.failure import Failure
from alknet.cli.identity import read_key, read_token, with_certificate
from alknet.keys import CertifiedKey, Ed25519Key

from ..people import ALICE_KEY
from .command import alknet
from .typist import typist


@pytest.fixture
def write(tmp_path):
    """Write a file that only its owner can read."""

    def private(content, mode=0o600):
        path = tmp_path / "identity"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    return private


def test_a_key_is_read(write):
    key = Ed25519Key.generate()

    assert read_key(write(key.to_openssh("me"))).public_key == key.public_key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777], ids=oct)
def test_what_others_can_read_is_refused(write, mode):
    path = write(Ed25519Key.generate().to_openssh(), mode)

    with pytest.raises(Failure, match=rf"\(mode {mode:04o}\): chmod 600 {path}"):
        read_key(path)
    with pytest.raises(Failure, match="a token and others on this machine can read it"):
        read_token(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "this is no OpenSSH private key"),
        ("ssh-ed25519 AAAA me", "this is no OpenSSH private key"),
        (b"\xff\x00" * 70_000, "is too large to hold a private key"),
    ],
    ids=["empty", "public", "large"],
)
def test_what_is_no_key_is_said(write, content, sentence):
    with pytest.raises(Failure, match=sentence):
        read_key(write(content))


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_cannot_be_read_is_said(tmp_path, name):
    with pytest.raises(Failure, match="cannot read"):
        read_key(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "token"), [("ab12", "ab12"), ("  ab12\n", "ab12")], ids=["bare", "spaced"]
)
def test_a_token_is_one_word(write, content, token):
    assert read_token(write(content)) == token


@pytest.mark.parametrize("content", ["", "\n", "two words", "grüße"])
def test_what_is_no_token_is_said(write, content):
    with pytest.raises(Failure, match="holds no token: one word is expected"):
        read_token(write(content))


async def test_an_encrypted_key_asks_for_its_passphrase_at_the_terminal(node, alice_key):
    alice_key.write_text(ALICE_KEY.to_openssh("alice", "correct horse"))
    arguments = ("call", "echo/whoami", "--node", node.url, "--identity", alice_key)

    async with typist(*arguments) as person:
        await person.sees(f"Passphrase of {alice_key}: ")
        await person.types("correct horse\n")
        right = await person.leaves()
    async with typist(*arguments) as person:
        await person.sees("Passphrase")
        await person.types("correct house\n")
        wrong = await person.leaves()
    unasked = await alknet(*arguments)

    assert (right.code, right.stdout) == (0, '\r\n"alice"\r\n')
    assert wrong.code == 1
    assert "the passphrase does not open this OpenSSH private key" in wrong.stdout
    assert unasked.code == 1
    assert "is encrypted: give its passphrase" in unasked.stderr


def test_a_certificate_beside_the_key_is_shown_with_it(tmp_path):
    vectors = Path(__file__).parent.parent / "vectors" / "ssh_certificates.json"
    line = json.loads(vectors.read_text())["certificates"]["plain"]
    path = tmp_path / "operator.key"
    key = Ed25519Key.generate()
    assert with_certificate(key, path) is key

    beside = tmp_path / "operator.key-cert.pub"
    beside.write_text(line)
    certified = with_certificate(key, path)
    assert isinstance(certified, CertifiedKey)
    assert certified.public_key == key.public_key

    beside.write_text("nonsense")
    with pytest.raises(Failure, match=r"operator\.key-cert\.pub: this is no line with"):
        with_certificate(key, path)
