"""Who the command line is: a key file, or a token file, that only its owner can read."""

import os
import stat
from pathlib import Path
from typing import Final

from alknet.cli import terminal
from alknet.cli.failure import Failure
from alknet.errors import BadKey, DecryptionFailed
from alknet.keys import CertifiedKey, Ed25519Key

KEY_FILE: Final = "operator.key"
VARIABLE: Final = "ALKNET_IDENTITY"
_LARGEST: Final = 64 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_key(path: Path) -> Ed25519Key:
    """Return the Ed25519 key in the OpenSSH private key file *path*.

    If the file is encrypted, its passphrase is asked for at the terminal.

    Raises:
        Failure: others can read the file, or it holds no such key.
    """
    data = read_private(path, "a private key")
    try:
        return Ed25519Key.from_openssh(data)
    except BadKey as error:
        if not (terminal.is_there() and "passphrase" in str(error)):
            raise Failure(f"{path}: {error}") from None
    try:
        with terminal.hidden(f"Passphrase of {path}: ") as passphrase:
            return Ed25519Key.from_openssh(data, passphrase)
    except (BadKey, DecryptionFailed) as error:
        raise Failure(f"{path}: {error}") from None


def with_certificate(key: Ed25519Key, path: Path) -> Ed25519Key | CertifiedKey:
    """Return *key*, which *path* holds, with the SSH certificate that lies beside it, if one does.

    It is found as `ssh` finds it: `operator.key` has it in `operator.key-cert.pub`.

    Raises:
        Failure: the certificate cannot be read.
    """
    beside = path.with_name(f"{path.name}-cert.pub")
    try:
        return CertifiedKey(key, beside.read_text())
    except FileNotFoundError:
        return key
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read {beside}: {error}") from None
    except BadKey as error:
        raise Failure(f"{beside}: {error}") from None


def read_token(path: Path) -> str:
    """Return the token that *path* holds.

    Raises:
        Failure: others can read the file, or it holds no token.
    """
    token = read_private(path, "a token").strip()
    if not token or not token.isascii() or len(token.split()) != 1:
        raise Failure(f"{path} holds no token: one word is expected")
    return token.decode()


def read_private(path: Path, what: str) -> bytes:
    """Return the contents of *path*, which holds *what*.

    Raises:
        Failure: it cannot be read, or others can read it too.
    """
    try:
        with path.open("rb") as file:
            check_private(file.fileno(), path, what)
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise Failure(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if len(data) > _LARGEST:
        raise Failure(f"{path} is too large to hold {what}")
    return data


def check_private(descriptor: int, path: Path, what: str) -> None:
    """Refuse a file on disk that others could have read *what* from.

    Raises:
        Failure: and says what to do.
    """
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_mode & _OTHERS:
        raise Failure(
            f"{path} holds {what} and others on this machine can read it "
            f"(mode {stat.S_IMODE(status.st_mode):04o}): chmod 600 {path}"
        )
