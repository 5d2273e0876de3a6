"""Certificates of a public authority, as they stand in files, read anew when these change."""

from collections.abc import Iterable
from pathlib import Path

import structlog

from alknet._core.tls import Certificate
from alknet.errors import SettingsError

log = structlog.get_logger("alknet.transport")

_Stamp = tuple[tuple[int, int, int], ...]


class CertificateFiles:
    """Pairs of PEM files: a chain, the own certificate first, and the private key of that.

    A tool that renews certificates replaces the files, and the next link gets the new ones: it
    must put both in place by a rename, so that nobody reads half a file. If what it puts there
    cannot be used, what was good stays in force and the log says why.

    Raises:
        SettingsError: a file cannot be read, or a key is another certificate's.
    """

    def __init__(self, pairs: Iterable[tuple[Path, Path]]) -> None:
        self._pairs = list(pairs)
        self._stamp = self._look()
        self._current = self._read()

    def current(self) -> list[Certificate]:
        """Return the certificates that the files hold now, or held when they were last good."""
        try:
            stamp = self._look()
            if stamp != self._stamp:
                # Not tried twice: a file that is bad stays bad until it is replaced.
                self._stamp = stamp
                self._current = self._read()
                log.info("certificates read anew", files=[str(chain) for chain, _ in self._pairs])
        except SettingsError as error:
            log.error("certificates not read", why=str(error))
        return self._current

    def _look(self) -> _Stamp:
        """Return what changes when a file does."""
        stamps = []
        for pair in self._pairs:
            for path in pair:
                try:
                    found = path.stat()
                except OSError as error:
                    raise _unreadable(path, error) from None
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)

    def _read(self) -> list[Certificate]:
        return [_certificate(chain, key) for chain, key in self._pairs]


def _certificate(chain: Path, key: Path) -> Certificate:
    read = []
    for path in (chain, key):
        try:
            read.append(path.read_bytes())
        except OSError as error:
            raise _unreadable(path, error) from None
    try:
        return Certificate.from_pem(*read)
    except SettingsError as error:
        raise SettingsError(f"{chain} and {key}: {error}") from None


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"cannot read {path}: {(error.strerror or str(error)).lower()}")
