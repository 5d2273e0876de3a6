"""Ed25519 keys as OpenSSH writes them."""

import base64
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet.errors import BadKey, DecryptionFailed, InvalidInput
from alknet.keys import Ed25519Key, parse_ssh_public_line, ssh_fingerprint, ssh_public_line

from .vectors import load

FILES = load("openssh.json")
ENCRYPTED = FILES["encrypted"]
KEY = Ed25519Key.from_private_key(bytes(range(32)))


def test_a_file_of_ssh_keygen_is_read_with_its_passphrase():
    key = Ed25519Key.from_openssh(ENCRYPTED["file"], ENCRYPTED["passphrase"])

    assert key.fingerprint == ssh_fingerprint(key.public_key) == ENCRYPTED["fingerprint"]
    assert ssh_public_line(key.public_key, "operator@desk") == ENCRYPTED["line"]
    assert parse_ssh_public_line(ENCRYPTED["line"]) == (key.public_key, "operator@desk")


def test_a_wrong_passphrase_is_told_from_none():
    with pytest.raises(DecryptionFailed, match="passphrase does not open"):
        Ed25519Key.from_openssh(ENCRYPTED["file"], "correct hose")
    with pytest.raises(BadKey, match="is encrypted: give its passphrase"):
        Ed25519Key.from_openssh(ENCRYPTED["file"])


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_an_independent_library_reads_and_writes_the_same_files(private):
    theirs = Ed25519PrivateKey.from_private_bytes(private)
    pem = theirs.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    ours = Ed25519Key.from_openssh(pem)

    assert ours.reveal_private_key() == private
    reread = load_ssh_private_key(ours.to_openssh("a comment").encode(), None)
    assert reread.private_bytes_raw() == private


@pytest.mark.parametrize("passphrase", [None, "", "correct horse", bytearray(b"bytes")])
def test_what_is_written_is_read_again(passphrase):
    text = KEY.to_openssh("node seven", passphrase)

    assert text.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert text.endswith("-----END OPENSSH PRIVATE KEY-----\n")
    for form in (text, text.encode(), bytearray(text.encode())):
        assert Ed25519Key.from_openssh(form, passphrase).public_key == KEY.public_key


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_ssh_keygen_reads_what_is_written(tmp_path):
    file = tmp_path / "id"
    file.touch(mode=0o600)
    file.write_text(KEY.to_openssh("node seven", "pass phrase"))

    printed = subprocess.run(
        ["ssh-keygen", "-y", "-P", "pass phrase", "-f", file],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert printed.strip() == ssh_public_line(KEY.public_key, "node seven")


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        ("", "this is no OpenSSH private key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", "older format"),
        (ENCRYPTED["line"], "this is no OpenSSH private key"),
        (FILES["ecdsa"]["file"], "not of the kind ssh-ed25519"),
        (b"\xff\xfe", "this is no OpenSSH private key"),
    ],
)
def test_another_file_is_refused_with_advice(pem, message):
    with pytest.raises(BadKey, match=message):
        Ed25519Key.from_openssh(pem)


def test_a_file_whose_halves_do_not_belong_together_is_refused():
    lines = KEY.to_openssh().splitlines()
    blob = base64.b64decode("".join(lines[1:-1]))
    other = Ed25519Key.generate().public_key
    assert blob.count(KEY.public_key) == 3
    forged = base64.b64encode(blob.replace(KEY.public_key, other)).decode()
    wrapped = [forged[at : at + 70] for at in range(0, len(forged), 70)]
    with pytest.raises(BadKey, match=r"no OpenSSH private key|not that of its private half"):
        Ed25519Key.from_openssh("\n".join([lines[0], *wrapped, lines[-1], ""]))


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "  "])
@pytest.mark.parametrize("comment", ["", "a", "two words", "\u00fcmlaut"])
def test_a_line_is_read_with_its_comment(comment, end):
    line = ssh_public_line(KEY.public_key, comment)

    assert parse_ssh_public_line(line + end) == (KEY.public_key, comment)
    assert line.startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI")
    assert line == line.strip()


LINE = ssh_public_line(KEY.public_key)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "begins with ssh-ed25519, without options"),
        ("no-pty " + LINE, "begins with ssh-ed25519, without options"),
        ('command="x" ' + LINE, "begins with ssh-ed25519, without options"),
        (FILES["ecdsa"]["line"], "of the kind ecdsa-sha2-nistp256, and only ssh-ed25519"),
        ("ssh-rsa AAAA x", "of the kind ssh-rsa, and only ssh-ed25519 is used here"),
        ("ssh-ed25519", "is damaged"),
        (LINE[:-1], "is damaged"),
        (LINE[:-4], "is damaged"),
        (LINE + "AAAA", "is damaged"),
        (LINE.replace("C3Nz", "C3Na"), "is damaged"),
        ("ssh-ed25519 !!!!", "is damaged"),
        ("x\n" + LINE, "is one line; these are several"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a private key file"),
    ],
)
def test_another_line_is_refused_with_advice(line, message):
    with pytest.raises(BadKey, match=message):
        parse_ssh_public_line(line)


@pytest.mark.parametrize("comment", ["two\nlines", "\0", "\x1b[2J", "tab\t"])
def test_a_comment_stays_on_its_line(comment):
    with pytest.raises(InvalidInput, match="without control characters"):
        ssh_public_line(KEY.public_key, comment)
    with pytest.raises(InvalidInput, match="without control characters"):
        KEY.to_openssh(comment)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_is_32_bytes(length):
    for use in (ssh_fingerprint, ssh_public_line):
        with pytest.raises(BadKey, match=f"32 bytes; this one is {length}"):
            use(bytes(length))
