"""`alknet unlock`, `alknet lock` and `alknet status`: the vault of a running node."""

import time
from contextlib import closing, suppress
from typing import TypeVar

import msgspec
from rich.table import Table
from rich.text import Text

from alknet.call.client import Client
from alknet.cli.connection import talks_to_a_node
from alknet.cli.failure import Failure
from alknet.cli.output import AsJson, emit, emit_json, emit_table, printable
from alknet.cli.phrase import AskPassphrase, PhraseDescriptor, PhraseFile, PhraseSource
from alknet.cli.pulse import link_of, pulse_of
from alknet.cli.share_source import (
    AskShares,
    ShareDescriptors,
    ShareFiles,
    ShareSource,
    source_of,
)
from alknet.cli.target import Target
from alknet.errors import AlreadyUnlocked, Forbidden, InvalidInput, NotFound
from alknet.keys import Keyring, check_mnemonic, check_share, ssh_fingerprint
from alknet.protocol.directory import ListPeers, Ping
from alknet.protocol.request import Request
from alknet.protocol.secret import (
    GiveShare,
    Lock,
    SharesGiven,
    Status,
    Unlock,
    VaultStatus,
)
from alknet.runtime.vault import IDENTITY_PATH

Reply = TypeVar("Reply")


@talks_to_a_node
async def unlock(
    target: Target,
    phrase_file: PhraseFile = None,
    phrase_fd: PhraseDescriptor = None,
    ask_shares: AskShares = False,
    share_files: ShareFiles = None,
    share_fds: ShareDescriptors = None,
    ask_passphrase: AskPassphrase = False,
    as_json: AsJson = False,
) -> None:
    """Give a running node its recovery phrase, typed without echo, or shares of it.

    The phrase is checked here first, against the node's identity too where that is known. A locked
    node cannot prove who it is: on its own machine the phrase goes to whoever answers there, from
    another machine, where `remote_unlock` under [secrets] allows it, to the node that an authority
    vouches for.

    Each share is sent as it is given. The node keeps it until there are enough; those that are
    missing may be given by others, from elsewhere. Enter alone leaves it to them.
    """
    shares = ShareSource(share_files, share_fds, asks=ask_shares, ask_passphrase=ask_passphrase)
    phrase_source = PhraseSource(phrase_file, phrase_fd, ask_passphrase=ask_passphrase)
    source = source_of(phrase_source, shares)
    source.require()
    # Two dozen words are long to type: find out first what could go wrong without them.
    async with target.open_even_if_locked() as client:
        await client.call(Ping())
        with suppress(Forbidden):
            if not (await client.call(Status())).locked:
                raise AlreadyUnlocked("the vault is unlocked already: `alknet lock` locks it")
    if isinstance(source, ShareSource):
        await _give_shares(target, source, as_json=as_json)
        return
    with source.phrase() as phrase:
        check_mnemonic(phrase)
        with source.passphrase() as passphrase:
            _check_identity(target, Keyring.from_mnemonic(phrase, passphrase))
            request = Unlock(str(phrase, "utf-8"), str(passphrase, "utf-8"))
            async with target.open(is_pinned=False) as client:
                status = await client.call(request)
    _show(status, as_json)


async def _give_shares(target: Target, source: ShareSource, *, as_json: bool) -> None:
    """Send one share after another, each over a link of its own: typing them takes minutes."""
    taken: SharesGiven | None = None
    with source.passphrase() as passphrase, closing(source.shares()) as shares:
        for offered in shares:
            try:
                check_share(offered.text)
                request = GiveShare(str(offered.text, "utf-8"), str(passphrase, "utf-8"))
                async with target.open(is_pinned=False) as client:
                    taken = await client.call(request)
            except InvalidInput as error:
                offered.refuse(error)
                continue
            if not taken.missing:
                _show(taken.status, as_json)
                return
            offered.take(taken.missing)
    if taken is None:
        raise Failure("no share was given")
    if as_json:
        emit_json(msgspec.to_builtins(taken))
    else:
        more = "1 more share is" if taken.missing == 1 else f"{taken.missing} more shares are"
        emit(f"locked: {taken.given} given, {more} needed")


def _in_words(vault: VaultStatus) -> str:
    if not vault.locked:
        return "unlocked"
    if not vault.shares_given:
        return "locked: alknet unlock"
    return (
        f"locked, {vault.shares_given} shares given, {vault.shares_missing} missing: "
        f"alknet unlock --shares"
    )


def _check_identity(target: Target, keyring: Keyring) -> None:
    """Refuse a phrase that gives another identity than the node should have."""
    key = keyring.ed25519(IDENTITY_PATH).public_key
    keyring.lock()
    found = ssh_fingerprint(key)
    if target.expect not in (None, key, found):
        raise Failure(
            f"the recovery phrase, or its passphrase, is another node's: it gives the identity "
            f"{found}; nothing was sent"
        )


@talks_to_a_node
async def lock(target: Target, as_json: AsJson = False) -> None:
    """Wipe the seed of a running node; until it is unlocked it can derive nothing."""
    async with target.open_even_if_locked() as client:
        status = await client.call(Lock())
    _show(status, as_json)


def _show(status: VaultStatus, as_json: bool) -> None:
    if as_json:
        emit_json(msgspec.to_builtins(status))
    else:
        emit("locked" if status.locked else f"unlocked {status.identity}")


@talks_to_a_node
async def status(target: Target, as_json: AsJson = False) -> None:
    """Say whether a node answers, whether its vault is locked, and how those connected fare.

    As far as you may know: a row is missing where the node would not tell you.
    """
    async with target.open_even_if_locked() as client:
        begun = time.perf_counter()
        pong = await client.call(Ping())
        milliseconds = (time.perf_counter() - begun) * 1000
        vault = await _if_allowed(client, Status())
        peers = await _if_allowed(client, ListPeers())
    heads = () if peers is None else peers.heads
    names = None if peers is None else [each.peer_id for each in peers.peers]
    workers = [] if peers is None else [each for each in peers.peers if each.heartbeat is not None]
    if as_json:
        emit_json({
            "node": pong.node,
            "url": target.url,
            "vault": msgspec.to_builtins(vault),
            "peers": names,
            "heads": msgspec.to_builtins(heads),
            "workers": {
                each.peer_id: {**msgspec.to_builtins(each.heartbeat), "heard_at": each.heard_at}
                for each in workers
            },
            "milliseconds": round(milliseconds, 3),
        })  # fmt: skip
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="cyan")
    table.add_row("node", Text(printable(pong.node)))
    table.add_row("url", f"{target.url} ({milliseconds:.1f} ms)")
    if vault is not None:
        table.add_row("vault", _in_words(vault))
        table.add_row("identity", vault.identity or "none while it is locked")
        swap = "kept out of swap" if vault.memory_locked else "may be written to swap"
        table.add_row("memory", swap)
    if names is not None:
        table.add_row("peers", Text(printable(", ".join(names))))
    for head in heads:
        table.add_row("head", Text(printable(link_of(head))))
    for each in workers:
        table.add_row(Text(printable(each.peer_id)), Text(pulse_of(each)))
    emit_table(table)


async def _if_allowed(client: Client, request: Request[Reply]) -> Reply | None:
    """Return the answer, or None where the node runs no such service or we may not ask it."""
    try:
        return await client.call(request)
    except (Forbidden, NotFound):
        return None
