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
AskPassphrase = Annotated[
    bool,
    typer.Option(
        "--ask-passphrase", metavar="", help="Ask for the BIP-39 passphrase too, at the terminal."
    ),
]


class PhraseSource:
    """Where the phrase comes from: a file, a descriptor, or the terminal if neither is named.

    Raises:
        Misuse: both are named.
    """

    def __init__(
        self, file: Path | None, descriptor: int | None, *, ask_passphrase: bool = False
    ) -> None:
        if file is not None and descriptor is not None:
            raise Misuse("--phrase-file and --phrase-fd are two sources: name one")
        self._file = file
        self._descriptor = descriptor
        self._asks_passphrase = ask_passphrase
        self.is_terminal = file is None and descriptor is None

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
                check_private(descriptor, name, "a recovery phrase")
                return _read_all(descriptor, buffer, name)
            finally:
                os.close(descriptor)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise Failure(f"cannot read the recovery phrase from {name}: {why}") from None


def _read_all(descriptor: int, buffer: bytearray, name: Path) -> int:
    length = 0
    with memoryview(buffer) as view:
        while count := os.readv(descriptor, [view[length:]]):
            length += count
            if length == len(buffer):
                raise Failure(f"{name} is too long to hold a recovery phrase alone")
    return length
