"""The recovery phrase: typed without echo, or read from a file or descriptor; wiped after use."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from alknet.cli import terminal
from alknet.cli.failure import Failure, Misuse
from alknet.cli.identity import check_private
from alknet.errors import BadMnemonic
from alknet.keys import Keyring, check_mnemonic

# 24 words of 8 letters are 215 bytes.
_LONGEST: Final = 4096
_TRIES: Final = 3

PhraseFile = Annotated[
    Path | None,
    typer.Option(
        "--phrase-file", metavar="FILE", help="Read the phrase from FILE (mode 600, or a pipe)."
    ),
]
PhraseDescriptor = Annotated[
    int | None,
    typer.Option(
        "--phrase-fd", metavar="N", min=0, help="Read the phrase from the open descriptor N."
    ),
]
PhraseCredential = Annotated[
    str | None,
    typer.Option(
        "--phrase-credential",
        metavar="NAME",
        help="Read the phrase from the systemd credential NAME.",
    ),
]
AskPassphrase = Annotated[
    bool,
    typer.Option(
        "--ask-passphrase", metavar="", help="Ask for the BIP-39 passphrase too, at the terminal."
    ),
]


class PhraseSource:
    """Where the phrase comes from: a file, a descriptor, a systemd credential, or the terminal.

    Raises:
        Misuse: two are named, or a credential where systemd gives none.
    """

    def __init__(
        self,
        file: Path | None,
        descriptor: int | None,
        *,
        credential: str | None = None,
        ask_passphrase: bool = False,
    ) -> None:
        named = {
            "--phrase-file": file,
            "--phrase-fd": descriptor,
            "--phrase-credential": credential,
        }
        chosen = [option for option, value in named.items() if value is not None]
        if len(chosen) > 1:
            raise Misuse(f"{chosen[0]} and {chosen[1]} are two sources: name one")
        # systemd shows its credentials to the service alone, whatever their modes say.
        self._is_guarded = credential is not None
        self._file = file if credential is None else _credential(credential)
        self._descriptor = descriptor
        self._asks_passphrase = ask_passphrase
        self.is_terminal = not chosen

    def require(self, *others: str) -> None:
        """Refuse to go on where there is nothing to read a phrase from.

        *others* are further options that would help.

        Raises:
            Misuse: no source is named, and nobody sits at the terminal.
        """
        if self.is_terminal and not terminal.is_there():
            *options, last = "--phrase-file FILE", "--phrase-fd N", *others
            raise Misuse(
                f"nobody sits at a terminal to type the recovery phrase: "
                f"use {', '.join(options)} or {last}"
            )

    @contextmanager
    def phrase(self) -> Iterator[memoryview]:
        """Yield the phrase as it was given; wipe it when the block is left.

        Raises:
            Failure: it cannot be read.
        """
        if self.is_terminal:
            with terminal.hidden("Recovery phrase: ") as typed:
                yield typed
            return
        buffer = bytearray(_LONGEST)
        try:
            yield memoryview(buffer)[: self._read(buffer)]
        finally:
            terminal.wipe(buffer)

    @contextmanager
    def passphrase(self) -> Iterator[memoryview]:
        """Yield the passphrase, empty unless it is to be asked for; wipe it afterwards."""
        if self._asks_passphrase:
            with terminal.hidden("Passphrase: ") as typed:
                yield typed
        else:
            yield memoryview(b"")

    def keyring(self) -> Keyring:
        """Return the keyring of the phrase; who mistypes it at the terminal may try again.

        Raises:
            BadMnemonic: it is no phrase; the message says which word is wrong.
            Failure: it cannot be read.
        """
        for _ in range(_TRIES - 1):
            try:
                return self._keyring()
            except BadMnemonic as error:
                if not self.is_terminal:
                    raise
                terminal.say(f"{error}; try again")
        return self._keyring()

    def _keyring(self) -> Keyring:
        with self.phrase() as phrase:
            # Before the passphrase is asked for: a slip in the phrase should be told at once.
            check_mnemonic(phrase)
            with self.passphrase() as passphrase:
                return Keyring.from_mnemonic(phrase, passphrase)

    def _read(self, buffer: bytearray) -> int:
        """Fill *buffer* from the source, and return how many bytes there are."""
        name = self._file or Path(f"/dev/fd/{self._descriptor}")
        try:
            if self._descriptor is not None:
                return _read_all(self._descriptor, buffer, name)
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if not self._is_guarded:
                    check_private(descriptor, name, "a recovery phrase")
                return _read_all(descriptor, buffer, name)
            finally:
                os.close(descriptor)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise Failure(f"cannot read the recovery phrase from {name}: {why}") from None


def _credential(name: str) -> Path:
    """Return where systemd has put the credential *name* (systemd.exec(5)).

    Raises:
        Misuse: it has given us none, or the name is no file's.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise Misuse(
            "--phrase-credential: systemd gives this process no credentials; it does so for a unit "
            "with LoadCredential= or LoadCredentialEncrypted="
        )
    if name in ("", ".", "..") or "/" in name:
        raise Misuse(f"--phrase-credential: {name!r} cannot be the name of a credential")
    return Path(folder) / name


def _read_all(descriptor: int, buffer: bytearray, name: Path) -> int:
    length = 0
    with memoryview(buffer) as view:
        while count := os.readv(descriptor, [view[length:]]):
            length += count
            if length == len(buffer):
                raise Failure(f"{name} is too long to hold a recovery phrase alone")
    return length
