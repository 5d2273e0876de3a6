"""The network: whether the node's addresses are free, and who could listen to them."""

from typing import Final

from alknet.cli.doctor.finding import Finding, State
from alknet.transport.address import Address, is_loopback
from alknet.transport.probe import why_not_listen

_CLEAR: Final = ("ws", "tcp")


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
