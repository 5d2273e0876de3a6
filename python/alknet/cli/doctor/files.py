"""Files: who else can read or change them, whether they can be used, and the room on the disk."""

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alknet.cli.doctor.finding import Finding, State
from alknet.cli.identity import KEY_FILE
from alknet.errors import SettingsError
from alknet.services.auth.keyset import AuthSettings
from alknet.services.storage.base import StorageSettings
from alknet.settings import RemoteSettings, Settings
from alknet.transport.certificates import CertificateFiles

_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH
_READABLE: Final = stat.S_IRWXG | stat.S_IRWXO
_MIB: Final = 1024 * 1024
# SQLite needs room for the log beside the database, and a full disk refuses every write.
_LITTLE_MIB: Final = 1024
_TOO_LITTLE_MIB: Final = 64
_DAY: Final = 86_400.0
_SOON_DAYS: Final = 21


def database(config: Path, settings: Settings) -> Path | None:
    """Return the node's database, None if it keeps nothing."""
    table = settings.services.get("storage")
    return table.located(config.parent) if isinstance(table, StorageSettings) else None


def permissions(config: Path, settings: Settings) -> Iterator[Finding]:
    """Yield what others can do with the files of a node."""
    # Whoever can write the settings can let anybody in; whoever can read a secret has it.
    yield _guarded(config, _WRITABLE, "the settings", "change")
    if _is_sticky_free(config.parent):
        yield Finding(
            "files",
            State.WARNING,
            f"others on this machine can replace files in {config.parent.resolve()}",
            f"chmod go-w {config.parent.resolve()}",
        )
    secrets = [config.parent / KEY_FILE]
    secrets += [config.parent / pair.key for pair in settings.tls.certificates]
    for table in settings.services.values():
        if isinstance(table, RemoteSettings | AuthSettings) and table.key is not None:
            secrets.append(config.parent / table.key)
    secrets += [config.parent / each.key for each in settings.node.joins if each.key is not None]
    path = database(config, settings)
    if path is not None:
        secrets.append(path)
    for secret in secrets:
        if secret.exists():
            yield _guarded(secret, _READABLE, "what only the node should know", "read")
    if path is not None:
        yield _usable(path)


def certificates(folder: Path, settings: Settings) -> Iterator[Finding]:
    """Yield how the certificates of public authorities are, if there are any."""
    for pair in settings.tls.certificates:
        chain, key = folder / pair.chain, folder / pair.key
        try:
            CertificateFiles([(chain, key)])
            yield judge_certificate(chain, *_valid(chain), now=time.time())
        except SettingsError as error:
            yield Finding(
                "tls", State.BAD, str(error), "renew it, or name the right files in [tls]"
            )


def judge_certificate(path: Path, begins: float, ends: float, *, now: float) -> Finding:
    """Return what it means that the certificate in *path* is good between two times."""
    renew = "renew it; the node takes the new files without a restart"
    if now < begins:
        mend = "compare the clock, or wait"
        return Finding("tls", State.BAD, f"{path} is not valid yet", mend)
    days = (ends - now) / _DAY
    if days <= 0:
        return Finding("tls", State.BAD, f"{path} expired {-days:.0f} days ago", renew)
    state = State.WARNING if days < _SOON_DAYS else State.FINE
    mend = renew if state is State.WARNING else ""
    return Finding("tls", state, f"{path} is valid for {days:.0f} days", mend)


def disk(folder: Path) -> Finding:
    """Say how much room there is where the node's data lie."""
    try:
        free = shutil.disk_usage(folder).free // _MIB
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Finding("disk", State.BAD, f"cannot look at {folder}: {why}", "make the folder")
    return judge_disk(folder, free)


def judge_disk(folder: Path, free: int) -> Finding:
    """Return what it means that *free* MiB are left where *folder* is."""
    what = f"{free} MiB are free for {folder.resolve()}"
    if free >= _LITTLE_MIB:
        return Finding("disk", State.FINE, what)
    state = State.WARNING if free >= _TOO_LITTLE_MIB else State.BAD
    return Finding("disk", state, what, "make room: on a full disk every write is refused")


def _guarded(path: Path, forbidden: int, what: str, verb: str) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & forbidden:
        return Finding("files", State.FINE, f"only its owner can {verb} {path}")
    # What it holds cannot be taken back from who has read it, but from who will.
    return Finding(
        "files",
        State.BAD,
        f"others on this machine can {verb} {path}, {what} (mode {mode:04o})",
        f"chmod go-{'w' if forbidden == _WRITABLE else 'rwx'} {path}",
    )


def _is_sticky_free(folder: Path) -> bool:
    """Whether others can replace files in *folder*, where no sticky bit keeps them from it."""
    mode = folder.resolve().stat().st_mode
    return bool(mode & _WRITABLE) and not mode & stat.S_ISVTX


def _usable(path: Path) -> Finding:
    target = path if path.exists() else path.parent
    if target.exists() and os.access(target, os.R_OK | os.W_OK):
        return Finding("files", State.FINE, f"{path} can be written")
    return Finding(
        "files",
        State.BAD,
        f"{path} cannot be written, or its folder is missing",
        f"run this as the node's user; mkdir -p {path.parent}, and chown it to that user",
    )


def _valid(chain: Path) -> tuple[float, float]:
    """Return from when until when the first certificate in *chain* is good."""
    from cryptography import x509

    try:
        first = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except (OSError, ValueError) as error:
        raise SettingsError(f"{chain}: {error}") from None
    return first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp()
