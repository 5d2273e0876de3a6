"""Shares of the recovery phrase: typed one after another, or read from files and descriptors.

Each may be typed by another person, who sees nothing of the others'. They are wiped after use.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from alknet.cli import terminal
from alknet.cli.failure import Failure, Misuse
from alknet.cli.phrase import PhraseSource
from alknet.errors import BadShare, InvalidInput
from alknet.keys import Keyring, ShareSet, nearest_share_word

AskShares = Annotated[
    bool,
    typer.Option(
        "--shares", metavar="", help="Ask for shares of the phrase, one after another, instead."
    ),
]
ShareFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--share-file",
        metavar="FILE",
        help="Read one share from FILE (mode 600, or a pipe); may be repeated.",
    ),
]
ShareDescriptors = Annotated[
    list[int] | None,
    typer.Option(
        "--share-fd",
        metavar="N",
        min=0,
        help="Read one share from the open descriptor N; may be repeated.",
    ),
]


class ShareSource:
    """Where shares come from: the files and descriptors named, then the terminal if it *asks*."""

    def __init__(
        self,
        files: list[Path] | None,
        descriptors: list[int] | None,
        *,
        asks: bool,
        ask_passphrase: bool = False,
    ) -> None:
        self._sources = [PhraseSource(file, None) for file in files or ()]
        self._sources += [PhraseSource(None, number) for number in descriptors or ()]
        self._asks = asks
        # The passphrase is that of the phrase (BIP-39); the shares we make have none of their own.
        self._passphrase = PhraseSource(None, None, ask_passphrase=ask_passphrase)
        self.passphrase = self._passphrase.passphrase
        self.is_named = asks or bool(self._sources)

    def require(self, *_: str) -> None:
        """Refuse to go on where shares are to be typed and nobody is there to type them.

        Raises:
            Misuse: nobody sits at the terminal.
        """
        if self._asks and not terminal.is_there():
            raise Misuse(
                "nobody sits at a terminal to type shares: use --share-file FILE or --share-fd N"
            )

    def shares(self) -> Generator["OfferedShare", None, None]:
        """Yield one share after another, each wiped when the next is asked for.

        It ends when the files and descriptors do, or, at the terminal, with Enter alone.

        Raises:
            Failure: one cannot be read.
        """
        for source in self._sources:
            with source.phrase() as text:
                yield OfferedShare(text, is_typed=False)
        number = len(self._sources) + 1
        while self._asks:
            with terminal.hidden(f"Share {number}: ") as text:
                if not text:
                    return
                offered = OfferedShare(text, is_typed=True)
                yield offered
            # Whoever mistypes his share may try for ever: others have typed theirs before him.
            number += not offered.is_refused

    def keyring(self) -> Keyring:
        """Return the keyring of the phrase that enough shares give.

        Raises:
            BadShare: one that was read is none, or they do not fit together.
            Failure: one cannot be read, or there are not enough.
        """
        gathered = self.gathered()
        with self.passphrase() as passphrase:
            return gathered.keyring(passphrase)

    def gathered(self) -> ShareSet:
        """Return enough shares.

        Raises:
            BadShare: one that was read is none, or does not fit the others.
            Failure: one cannot be read, or there are not enough.
        """
        gathered = ShareSet()
        with closing(self.shares()) as shares:
            for offered in shares:
                try:
                    gathered.add(offered.text)
                except BadShare as error:
                    offered.refuse(error, of_others="those given before are kept, ")
                    continue
                if gathered.missing == 0:
                    return gathered
                offered.take(gathered.missing)
        raise not_enough(gathered.missing)


class OfferedShare:
    """A share that somebody gives, and what he is told of it."""

    def __init__(self, text: memoryview, *, is_typed: bool) -> None:
        self.text = text
        self.is_refused = False
        self._is_typed = is_typed

    def refuse(self, error: InvalidInput, *, of_others: str = "") -> None:
        """Tell whoever typed it why it does not do, and what becomes *of_others*.

        Raises:
            InvalidInput: nobody typed it.
        """
        if not self._is_typed:
            raise error
        self.is_refused = True
        word = (error.details or {}).get("word")
        # He has just typed it, and nobody else is told.
        near = None if word is None else nearest_share_word(self.text, word)
        hint = f" ({near!r} is the nearest there)" if near else ""
        terminal.say(f"{error}{hint}; {of_others}try again")

    def take(self, missing: int | None) -> None:
        """Tell whoever typed it how many are needed still."""
        if self._is_typed:
            terminal.say(f"taken: {_so_many(missing)} needed")


def not_enough(missing: int | None) -> Failure:
    """Return the error for shares that have come to an end, with *missing* still needed."""
    return Failure(
        f"{_so_many(missing)} needed: name more with --share-file or --share-fd, or --shares"
    )


def source_of(phrase: PhraseSource, shares: ShareSource) -> PhraseSource | ShareSource:
    """Return that of the two which the command line names; the phrase, if it names neither.

    Raises:
        Misuse: it names both.
    """
    if not shares.is_named:
        return phrase
    if not phrase.is_terminal:
        raise Misuse("a phrase and shares of one are two sources: name one")
    return shares


def _so_many(missing: int | None) -> str:
    return "1 more share is" if missing in (None, 1) else f"{missing} more shares are"
