"""Private keys in files: read where nobody else can read them."""

import os
import stat
from pathlib import Path
from typing import Final

from alknet.errors import BadKey, SettingsError
from alknet.keys import Ed25519Key

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_private_key(path: Path) -> Ed25519Key:
    """Return the key in the OpenSSH private key file *path*.

    Raises:
        SettingsError: it cannot be read, others can read it too, or it holds no such key.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                raise SettingsError(
                    f"{path} holds a private key and others on this machine can read it "
                    f"(mode {mode:04o}): chmod 600 {path}"
                )
            return Ed25519Key.from_openssh(file.read())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {(error.strerror or '').lower()}") from None
    except BadKey as error:
        raise SettingsError(f"{path}: {error}") from None
