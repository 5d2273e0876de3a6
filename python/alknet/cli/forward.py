"""`alknet forward` and `alknet socks`: ports of this machine that lead to where a node can go."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Final

import msgspec
import trio
import typer

from alknet import logs
from alknet.call.client import HERE, Client
from alknet.cli.connection import talks_to_a_node
from alknet.cli.interrupt import cancel_when_asked
from alknet.cli.output import AsJson, emit, emit_line
from alknet.cli.target import Target
from alknet.forwarding.local import LOOPBACK, open_forward
from alknet.forwarding.socks import open_socks
from alknet.transport.address import bracket

_HOST: Final = r"\[[^\]]+\]|[^:\[\]]+"
_PORT: Final = rf"(?:(?P<bind>{_HOST}):)?(?P<bind_port>\d{{1,5}})"
_LISTEN: Final = re.compile(rf"^{_PORT}$")
_FORWARD: Final = re.compile(rf"^{_PORT}:(?P<host>{_HOST}):(?P<port>\d{{1,5}})$")
_LAST_PORT: Final = 65535


class _Listen(msgspec.Struct, frozen=True):
    """Where to listen; port 0 is any that is free."""

    bind: str
    bind_port: int


class _Forward(_Listen, frozen=True):
    """Where to listen, and where connections there are to lead."""

    host: str
    port: int


def _read_listen(text: str) -> _Listen:
    found = _LISTEN.match(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} should read PORT, 127.0.0.1:PORT or [::1]:PORT")
    return _Listen(_bare(found["bind"] or LOOPBACK), _port(found["bind_port"]))


def _read_forward(text: str) -> _Forward:
    found = _FORWARD.match(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} should read PORT:HOST:PORT or BIND:PORT:HOST:PORT, with IPv6 addresses in "
            f"brackets, as in 8080:[2001:db8::1]:80"
        )
    port = _port(found["port"])
    if port == 0:
        raise typer.BadParameter(f"{text!r} leads to port 0, which is none: 1 to {_LAST_PORT} are")
    bind = _bare(found["bind"] or LOOPBACK)
    return _Forward(bind, _port(found["bind_port"]), _bare(found["host"]), port)


def _port(text: str) -> int:
    port = int(text)
    if port > _LAST_PORT:
        raise typer.BadParameter(f"{port} is no port: 0 to {_LAST_PORT} are")
    return port


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")


Via = Annotated[
    str,
    typer.Option(
        metavar="PEER", help="The peer of the node that is to connect.  (default: the node itself)"
    ),
]


@talks_to_a_node
async def forward(
    target: Target,
    forwards: Annotated[
        list[_Forward],
        typer.Argument(
            metavar="[BIND:]PORT:HOST:PORT...",
            parser=_read_forward,
            help="Where to listen, and where that leads as seen from the node.",
        ),
    ],
    via: Via = HERE,
    as_json: AsJson = False,
) -> None:
    """Lead ports of this machine to where a node can connect, until interrupted.

    Prints one line, `ready HOST:PORT...`, when it listens; port 0 takes any that is free. Names are
    resolved by the node, and its forwarding policy says what it connects to. A link to the node
    that is lost is opened again; connections that are made meanwhile are reset.
    """
    async with _until_interrupted(target) as client, AsyncExitStack() as stack:
        ready = []
        for each in forwards:
            where = await stack.enter_async_context(
                open_forward(
                    client,
                    each.host,
                    each.port,
                    bind=each.bind,
                    bind_port=each.bind_port,
                    node=via,
                )
            )
            ready.append({"listen": where, "target": f"{bracket(each.host)}:{each.port}"})
        if as_json:
            emit_line({"ready": ready[0]["listen"], "forwards": ready})
        else:
            emit(f"ready {' '.join(each['listen'] for each in ready)}")
        await trio.sleep_forever()


@talks_to_a_node
async def socks(
    target: Target,
    listen: Annotated[
        _Listen,
        typer.Argument(metavar="[BIND:]PORT", parser=_read_listen, help="Where to listen."),
    ],
    via: Via = HERE,
    as_json: AsJson = False,
) -> None:
    """Run a SOCKS 5 proxy on this machine whose connections a node opens, until interrupted.

    Prints one line, `ready socks5h://HOST:PORT`, when it listens; port 0 takes any that is free.
    Names are resolved by the node, and its forwarding policy says what it connects to.
    """
    async with (
        _until_interrupted(target) as client,
        open_socks(client, bind=listen.bind, bind_port=listen.bind_port, node=via) as where,
    ):
        url = f"socks5h://{where}"
        if as_json:
            emit_line({"ready": url, "listen": where})
        else:
            emit(f"ready {url}")
        await trio.sleep_forever()


@asynccontextmanager
async def _until_interrupted(target: Target) -> AsyncIterator[Client]:
    """Yield a client whose link is opened again when it is lost; Ctrl-C and SIGTERM end the block.

    What becomes of single connections goes to stderr, as warnings.
    """
    if logging.root.level > logging.WARNING:
        logs.configure(level="warning")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_when_asked, nursery.cancel_scope)
        async with target.open(reconnects=True, format="msgpack") as client:
            yield client
