"""`alknet shares`: a recovery phrase shared out among several people, and put together again."""

import os
import re
from pathlib import Path
from typing import Annotated, Final

import typer

from alknet.cli import terminal
from alknet.cli.failure import Debug, Misuse
from alknet.cli.output import emit
from alknet.cli.phrase import PhraseDescriptor, PhraseFile, PhraseSource
from alknet.cli.publish import publish
from alknet.cli.share_source import ShareDescriptors, ShareFiles, ShareSource
from alknet.errors import BadMnemonic, InvalidInput
from alknet.keys import split_mnemonic

COLUMNS: Final = 4
_SCHEME: Final = re.compile(r"(\d{1,2})-of-(\d{1,2})")

SharePrefix = Annotated[
    Path | None,
    typer.Option(
        "--share-files",
        metavar="PREFIX",
        help="Write the shares to PREFIX-1, PREFIX-2 ... (mode 600), and show them not.",
    ),
]

shares_app = typer.Typer(
    help="Share a recovery phrase out among several people, and put it together again.",
    no_args_is_help=True,
)


@shares_app.command()
def split(
    scheme: Annotated[str, typer.Argument(metavar="K-of-N", help="Such as 2-of-3.")],
    share_files: SharePrefix = None,
    phrase_file: PhraseFile = None,
    phrase_fd: PhraseDescriptor = None,
    _debug: Debug = False,
) -> None:
    """Share a recovery phrase out to N people (SLIP-0039), any K of whom can give it back.

    Fewer than K shares say nothing about it. Destroy the phrase afterwards, or it needs no shares.
    """
    source = PhraseSource(phrase_file, phrase_fd)
    source.require()
    parsed = parse_scheme(scheme)
    require_place(share_files)
    with source.phrase() as phrase:
        made = shares_of(phrase, parsed)
    files = files_of(made, share_files)
    if files:
        publish({}, overwrites=False, alone=files)
        emit(f"made {', '.join(map(str, files))}")
    else:
        show(made, parsed[0])


@shares_app.command()
def combine(
    phrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the phrase to FILE (mode 600), and show it not."),
    ] = None,
    share_files: ShareFiles = None,
    share_fds: ShareDescriptors = None,
    _debug: Debug = False,
) -> None:
    """Put the shares of a recovery phrase together, and show the phrase.

    `alknet unlock`, `serve` and `restore --seed` take the shares themselves: no phrase need be
    seen for those.
    """
    asks = not (share_files or share_fds)
    source = ShareSource(share_files, share_fds, asks=asks)
    source.require()
    if phrase_file is None and not os.isatty(1):
        raise Misuse(
            "the recovery phrase is shown on a terminal, and stdout is none: run this on one, "
            "or name a file for the phrase with --phrase-file FILE"
        )
    phrase = source.gathered().reveal_phrase()
    if phrase_file is None:
        emit(numbered(phrase))
    else:
        publish({}, overwrites=False, alone={phrase_file: phrase})
        emit(f"made {phrase_file}")


def parse_scheme(text: str) -> tuple[int, int]:
    """Return how many shares are to be enough, and how many are to be made.

    Raises:
        Misuse: *text* does not say so.
    """
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise Misuse(f"{text!r} should read K-of-N, such as 2-of-3")
    return int(found[1]), int(found[2])


def shares_of(phrase: str | memoryview, scheme: tuple[int, int]) -> list[str]:
    """Return shares of *phrase*.

    Raises:
        Misuse: there is no such scheme.
        BadMnemonic: it is no phrase.
    """
    try:
        return split_mnemonic(phrase, *scheme)
    except BadMnemonic:
        raise
    except InvalidInput as error:
        raise Misuse(str(error)) from None


def require_place(prefix: Path | None) -> None:
    """Refuse to go on where shares could be shown to nobody.

    Raises:
        Misuse: stdout is no terminal, or nobody is there to say that he has written his share down.
    """
    if prefix is None and not (os.isatty(1) and terminal.is_there()):
        raise Misuse(
            "shares are shown on a terminal, one after another, and there is none: run this on "
            "one, or have them written to files with --share-files PREFIX"
        )


def files_of(shares: list[str], prefix: Path | None) -> dict[Path, str]:
    """Return the files that *shares* are to be written to; none without a *prefix*."""
    if prefix is None:
        return {}
    return {
        prefix.with_name(f"{prefix.name}-{number}"): share for number, share in enumerate(shares, 1)
    }


def show(shares: list[str], threshold: int) -> None:
    """Show one share after another, each until whoever is to keep it has written it down."""
    for number, share in enumerate(shares, 1):
        emit(
            f"Share {number} of {len(shares)}. Any {threshold} of them give the phrase back, and "
            f"fewer nothing.\nWhoever shall keep it writes it down now; nobody else looks.\n"
        )
        emit(numbered(share))
        terminal.wait(f"Written down? Press Enter, and share {number} is gone. ")
        terminal.clear()


def numbered(words: str) -> str:
    """Return *words* with their numbers, in columns that are read downwards."""
    each = words.split()
    rows = -(-len(each) // COLUMNS)
    lines = (
        "  ".join(f"{n + 1:>4} {each[n]:<8}" for n in range(row, len(each), rows)).rstrip()
        for row in range(rows)
    )
    return "\n".join(lines)
