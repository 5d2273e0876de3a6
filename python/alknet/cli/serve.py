"""`alknet serve`: run a node until it is told to stop."""

import gc
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import trio
import typer

from alknet import logs
from alknet.cli.failure import Debug, Failure, Misuse
from alknet.cli.output import AsJson, ReaderLeft, emit, emit_line
from alknet.cli.phrase import (
    AskPassphrase,
    PhraseCredential,
    PhraseDescriptor,
    PhraseFile,
    PhraseSource,
)
from alknet.cli.share_source import (
    AskShares,
    ShareDescriptors,
    ShareFiles,
    ShareSource,
    source_of,
)
from alknet.cli.target import CONFIG
from alknet.keys import Keyring, disable_core_dumps, ssh_fingerprint
from alknet.node import Node, open_node
from alknet.settings import Settings
from alknet.stack import load
from alknet.transport.inherited import HANDED
from alknet.transport.notify import Notifier

log = structlog.get_logger("alknet.serve")


def serve(
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The node's settings.")
    ] = CONFIG,
    phrase_file: PhraseFile = None,
    phrase_fd: PhraseDescriptor = None,
    phrase_credential: PhraseCredential = None,
    ask_shares: AskShares = False,
    share_files: ShareFiles = None,
    share_fds: ShareDescriptors = None,
    ask_passphrase: AskPassphrase = False,
    is_locked: Annotated[
        bool,
        typer.Option(
            "--locked", metavar="", help="Start without a phrase; `alknet unlock` gives it."
        ),
    ] = False,
    no_core_dumps: Annotated[
        bool,
        typer.Option(
            "--no-core-dumps", metavar="", help="Let nobody but root read or dump this process."
        ),
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the node that a stack.toml describes.

    Asks for the recovery phrase at the terminal, without echo, unless told where to read it. Prints
    one line, `ready URL...`, when the node answers; what it logs goes to stderr. Ctrl-C or SIGTERM
    let calls in flight finish, for as long as `drain` allows; a second one does not. SIGHUP reads
    the settings anew, those that can change while the node runs. Sockets that systemd has opened
    for its URLs are taken over.
    """
    settings = load(config)
    logs.configure(level="debug" if debug else settings.node.log, is_verbose=debug)
    if no_core_dumps:
        disable_core_dumps()
    if not (settings.node.listen or settings.node.joins):
        raise Failure(f'{config}: nothing to listen at: add listen = ["ws://..."] under [node]')
    shares = ShareSource(share_files, share_fds, asks=ask_shares, ask_passphrase=ask_passphrase)
    keyring = None
    if is_locked:
        if shares.is_named or (phrase_file, phrase_fd, phrase_credential) != (None, None, None):
            raise Misuse("--locked starts without a phrase: name no source of one")
    else:
        phrase = PhraseSource(
            phrase_file, phrase_fd, credential=phrase_credential, ask_passphrase=ask_passphrase
        )
        source = source_of(phrase, shares)
        source.require("--locked")
        keyring = source.keyring()
    trio.run(partial(_serve, settings, keyring, as_json=as_json))


async def _serve(settings: Settings, keyring: Keyring | None, *, as_json: bool) -> None:
    manager = Notifier()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            async with open_node(settings, keyring=keyring) as node:
                await nursery.start(_reload_on_hangup, node, manager)
                nursery.start_soon(manager.keep_alive)
                if unused := HANDED.unused():
                    log.warning("sockets of systemd's that no URL of `listen` has", unused=unused)
                # What there is now stays. To look for garbage among its 70,000 objects held all
                # calls up for 14 ms, each time that the collector looked at everything.
                gc.collect()
                gc.freeze()
                _say_ready(node, as_json=as_json)
                manager.ready(_status(node))
                number = await anext(signals)
                manager.stopping()
                log.info("stopping on a signal", signal=signal.Signals(number).name)
                hurried = trio.Event()
                nursery.start_soon(_hurry_on_another, signals, node, hurried)
            nursery.cancel_scope.cancel()
    if hurried.is_set():
        raise Failure("a second signal came: calls in flight were cancelled")


async def _reload_on_hangup(
    node: Node, manager: Notifier, *, task_status: trio.TaskStatus[None]
) -> None:
    """Reload on every SIGHUP; but one that tells of a terminal that is gone stops the node."""
    had_terminal = os.isatty(0)
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            if had_terminal and not os.isatty(0):
                signal.raise_signal(signal.SIGTERM)
            else:
                manager.reloading()
                await node.try_reload()
                manager.ready(_status(node))


async def _hurry_on_another(signals: AsyncIterator[int], node: Node, hurried: trio.Event) -> None:
    await anext(signals)
    hurried.set()
    node.hurry()


def _status(node: Node) -> str:
    """Return how the node is, for `systemctl status`."""
    key = node.vault.identity()
    state = "locked: alknet unlock" if key is None else ssh_fingerprint(key.public_key)
    where = node.url or "no address of its own"
    return f"{node.name} answers at {where} ({state})"


def _say_ready(node: Node, *, as_json: bool) -> None:
    key = node.vault.identity()
    facts = {
        "ready": node.url,
        "urls": node.urls,
        "node": node.name,
        "services": node.services,
        "identity": None if key is None else ssh_fingerprint(key.public_key),
    }
    try:
        if as_json:
            emit_line(facts)
        else:
            emit(" ".join(("ready", *node.urls)))
    except (ReaderLeft, OSError) as error:
        # Those who call the node need no line on our stdout.
        log.warning("nobody reads stdout", why=str(error))
