"""`alknet init`: a new node's settings, its operator's key, and its recovery phrase, shown once."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from alknet.cli import terminal
from alknet.cli.failure import Debug, Failure, Misuse
from alknet.cli.identity import KEY_FILE
from alknet.cli.output import emit
from alknet.cli.phrase import AskPassphrase
from alknet.cli.publish import publish
from alknet.cli.shares import (
    SharePrefix,
    files_of,
    numbered,
    parse_scheme,
    require_place,
    shares_of,
    show,
)
from alknet.cli.stack_toml import PROFILES, Profile, ProfileName, stack_toml
from alknet.cli.systemd_unit import SOCKET_FILE, UNIT_FILE, socket_unit, systemd_unit
from alknet.cli.target import CONFIG, DEFAULT_URL
from alknet.errors import InvalidInput
from alknet.keys import Ed25519Key, Keyring, generate_mnemonic, ssh_fingerprint, ssh_public_line
from alknet.runtime.vault import IDENTITY_PATH
from alknet.settings import Name, load_node


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where its files shall be.")
    ] = Path(),
    name: Annotated[
        str | None, typer.Option(help="What paths call the node.  (default: by its profile)")
    ] = None,
    profile: Annotated[
        ProfileName, typer.Option("--profile", help="What kind of node it shall be.")
    ] = ProfileName.HEAD,
    words: Annotated[
        int, typer.Option(metavar="N", help="Words of the phrase: 12, 15, 18, 21 or 24.")
    ] = 24,
    phrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the phrase to FILE (mode 600), and show it not."),
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="K-of-N",
            help="Show the phrase in N shares, any K of which give it back, and not itself.",
        ),
    ] = None,
    share_files: SharePrefix = None,
    ask_passphrase: AskPassphrase = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", metavar="", help="Overwrite the settings and the key that are there."
        ),
    ] = False,
    systemd: Annotated[
        bool,
        typer.Option(
            "--systemd",
            metavar="",
            help=f"Write a systemd unit, {UNIT_FILE}, too; for a node that is there, only that.",
        ),
    ] = False,
    socket: Annotated[
        bool,
        typer.Option(
            "--socket",
            metavar="",
            help=f"With --systemd: write {SOCKET_FILE} too, so that systemd does the listening.",
        ),
    ] = False,
    _debug: Debug = False,
) -> None:
    """Make a new node: its stack.toml, the key of its operator, and a recovery phrase.

    The phrase is shown once, on the terminal: write it down. Every key of the node grows out of it,
    and it is kept nowhere. With --shares nobody sees it: it is given out in shares.
    """
    if socket and not systemd:
        raise Misuse("--socket goes with --systemd: a socket unit starts the unit of its name")
    is_there = (directory / CONFIG).exists() and not force
    listen = load_node(directory / CONFIG).listen if is_there and socket else (DEFAULT_URL,)
    unit = {directory / UNIT_FILE: systemd_unit(directory / CONFIG)} if systemd else {}
    if socket:
        unit[directory / SOCKET_FILE] = socket_unit(directory / CONFIG, listen)
    if systemd and is_there:
        publish(unit, overwrites=False)
        emit(f"made {' and '.join(map(str, unit))}: its first lines say how to install it")
        return
    kind = PROFILES[profile]
    name = kind.name if name is None else name
    checked_name(name)
    scheme = _checked_scheme(shares, phrase_file, share_files)
    if scheme is None:
        _require_place(phrase_file)
    phrase = _generate(words)
    parts = [] if scheme is None else shares_of(phrase, scheme)
    with _new_passphrase(asked=ask_passphrase) as passphrase:
        files = new_stack(phrase, passphrase, name=name, profile=kind)
    made = {**{directory / file: content for file, content in files.items()}, **unit}
    alone = {} if phrase_file is None else {phrase_file: phrase}
    alone |= files_of(parts, share_files)
    publish(made, overwrites=force, alone=alone)
    if scheme is None and phrase_file is None:
        _show(phrase)
    elif scheme is not None and share_files is None:
        show(parts, scheme[0])
    _say_next(directory, "" if scheme is None else " --shares", phrase_file)
    if systemd:
        emit(f"or: {directory / UNIT_FILE}, whose first lines say how to install it")


def new_stack(
    phrase: str,
    passphrase: memoryview | str = "",
    *,
    name: str,
    listen: str = DEFAULT_URL,
    profile: Profile = PROFILES[ProfileName.HEAD],
) -> dict[str, str]:
    """Return the files of a new node with that *phrase*, as `stack_of` does."""
    keyring = Keyring.from_mnemonic(phrase, passphrase)
    try:
        return stack_of(keyring, name=name, listen=listen, profile=profile)
    finally:
        keyring.lock()


def stack_of(
    keyring: Keyring,
    *,
    name: str,
    listen: str = DEFAULT_URL,
    profile: Profile = PROFILES[ProfileName.HEAD],
) -> dict[str, str]:
    """Return the files of a new node with that *keyring*, by name: its settings, a fresh key.

    The key is its operator's, whom the settings let do everything.
    """
    identity = ssh_fingerprint(keyring.ed25519(IDENTITY_PATH).public_key)
    operator = Ed25519Key.generate()
    return {
        str(CONFIG): stack_toml(
            profile=profile,
            name=name,
            listen=listen,
            identity=identity,
            operator=ssh_public_line(operator.public_key, "operator"),
        ),
        KEY_FILE: operator.to_openssh("operator"),
    }


def checked_name(name: str) -> str:
    """Return *name*, which is one that a node can have.

    Raises:
        Misuse: it is not.
    """
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise Misuse(
            f"--name {name!r}: a name has letters, digits, dots, dashes and underscores, "
            f"begins with a letter or a digit, and is no longer than 63"
        ) from None


def _checked_scheme(
    shares: str | None, phrase_file: Path | None, share_files: Path | None
) -> tuple[int, int] | None:
    if shares is None:
        if share_files is not None:
            raise Misuse("--share-files needs --shares K-of-N, which says how many they are")
        return None
    if phrase_file is not None:
        raise Misuse("--phrase-file and --shares: whoever has the phrase needs no shares of it")
    scheme = parse_scheme(shares)
    require_place(share_files)
    return scheme


def _require_place(phrase_file: Path | None) -> None:
    if phrase_file is None and not os.isatty(1):
        raise Misuse(
            "the recovery phrase is shown on a terminal, and stdout is none: run this on one, "
            "or name a file for the phrase with --phrase-file FILE"
        )


def _generate(words: int) -> str:
    try:
        return generate_mnemonic(words)
    except InvalidInput as error:
        raise Misuse(f"--words: {error}") from None


@contextmanager
def _new_passphrase(*, asked: bool) -> Iterator[memoryview | str]:
    if not asked:
        yield ""
        return
    with terminal.hidden("New passphrase: ") as first, terminal.hidden("Once more: ") as second:
        if first != second:
            raise Failure("the two passphrases differ; nothing was made")
        yield first


def _show(phrase: str) -> None:
    emit("Recovery phrase. Write it down now: it is shown once and kept nowhere.\n")
    emit(numbered(phrase))
    emit(f"\n{phrase}\n")


def _say_next(directory: Path, source: str, phrase_file: Path | None) -> None:
    config = directory / CONFIG
    named = "" if config == CONFIG else f" --config {shlex.quote(str(config))}"
    if phrase_file is not None:
        source = f" --phrase-file {shlex.quote(str(phrase_file))}"
    emit(f"made {config} and {directory / KEY_FILE}")
    emit(f"next: alknet serve{named}{source}")
    emit(f"then: alknet status{named}")
