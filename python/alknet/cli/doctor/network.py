"""The network: whether the node's addresses are free, and whether those it needs answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from alknet.cli.doctor.finding import Finding, State
from alknet.errors import AlknetError, Unreachable
from alknet.services.auth.keyset import AuthSettings
from alknet.settings import RemoteSettings, Settings
from alknet.transport.address import Address, is_loopback
from alknet.transport.probe import who_answers, why_not_listen
from alknet.transport.trust import Trust

_CLEAR: Final = ("ws", "tcp")
_ANSWER_SECONDS: Final = 5.0


async def ports(listen: tuple[str, ...]) -> list[Finding]:
    """Return what would become of listening at the URLs *listen*."""
    if not listen:
        what = "the node listens at nothing"
        return [Finding("ports", State.WARNING, what, 'listen = ["ws://127.0.0.1:8480"] in [node]')]
    return [await _port(url) for url in listen]


async def _port(url: str) -> Finding:
    address = Address.parse(url)
    why = await why_not_listen(address)
    if why is not None and "in use" in why:
        return Finding(
            "ports",
            State.WARNING,
            f"{url} is in use already",
            "that is as it should be while the node runs; else find who has it with ss -ltnp",
        )
    if why is not None:
        mend = "name an address of this machine; ports below 1024 need CAP_NET_BIND_SERVICE"
        return Finding("ports", State.BAD, f"cannot listen at {url}: {why}", mend)
    if address.scheme in _CLEAR and not is_loopback(f"{address.host}:0"):
        return Finding(
            "ports",
            State.WARNING,
            f"{url} is free, and others on the network can read what is said there",
            "use wss:// or tls://, or listen at 127.0.0.1 behind what encrypts",
        )
    return Finding("ports", State.FINE, f"{url} is free")


async def nodes(folder: Path, settings: Settings) -> list[Finding]:
    """Return whether the other nodes that *settings* name answer, and are those they should be.

    A relative path in them begins at *folder*. Nothing is proven to them, so that whether they let
    this node in is not known after that.
    """
    return [await _node(folder, *each) for each in _named(settings)]


def _named(settings: Settings) -> Iterator[tuple[str, str, str | None, Path | None]]:
    """Yield what each node is wanted for, its URL, its fingerprint and the file of authorities."""
    for join in settings.node.joins:
        for url in join.urls:
            yield "a head of this node", url, join.expect, join.ca
    for name, table in settings.services.items():
        if isinstance(table, RemoteSettings | AuthSettings) and table.remote is not None:
            yield f"which [{name}] asks", table.remote, table.expect, table.ca


async def _node(
    folder: Path, wanted: str, url: str, expect: str | None, ca: Path | None
) -> Finding:
    try:
        trust = Trust.of("", expect, None if ca is None else folder / ca)
        found = await who_answers(url, trust, timeout=_ANSWER_SECONDS)
    except Unreachable as error:
        mend = "start it, or let this machine through to it; it is dialled again all the time"
        return Finding("nodes", State.WARNING, f"{error} ({wanted})", mend)
    except AlknetError as error:
        mend = "name the right URL, and as `expect` what `alknet status` calls its identity there"
        return Finding("nodes", State.BAD, f"{url}, {wanted}: {error}", mend)
    who = "a node that wants a certificate" if found is None else repr(found)
    return Finding("nodes", State.FINE, f"{who} answers at {url} ({wanted})")
