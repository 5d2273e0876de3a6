"""asyncssh alone, beside which SSH is measured: both ends on asyncio, as it is meant to be used.

It has the cipher that ours has, no compression, and asks nobody who they are.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[], Awaitable[bytes]]
T = TypeVar("T")

_SAME: Final[dict[str, Any]] = {
    "config": None,
    "encryption_algs": ["aes128-gcm@openssh.com"],
    "compression_algs": ["none"],
}
_READ_BYTES: Final = 256 * 1024


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* in a loop of asyncio's own: who has SSH of ours loaded gets another by default."""
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(work)


def _ends(reader: Any, writer: Any) -> tuple[Send, Receive]:
    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def receive() -> bytes:
        return bytes(await reader.read(_READ_BYTES))

    return send, receive


async def serve(answer: Callable[[Send, Receive], Awaitable[None]]) -> None:
    """Serve `answer` to whoever connects; print the port; end when nothing can be read any more."""
    import asyncssh

    class Anybody(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    async def session(reader: Any, writer: Any, _: Any) -> None:
        await answer(*_ends(reader, writer))
        writer.close()

    server = await asyncssh.create_server(
        Anybody,
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        session_factory=session,
        encoding=None,
        line_editor=False,
        **_SAME,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[Send, Receive]]:
    """Yield the ends of a session."""
    import asyncssh

    async with asyncssh.connect(
        "127.0.0.1", port, username="bench", known_hosts=None, client_keys=None, **_SAME
    ) as connection:
        writer, reader, _ = await connection.open_session(encoding=None)
        yield _ends(reader, writer)


async def hold(port: int, links: int) -> None:
    """Open so many connections, say so, and hold them until told to end."""
    at_once = asyncio.Semaphore(32)
    left = links

    async def one() -> None:
        nonlocal left
        async with at_once:
            session = connected(port)
            await session.__aenter__()
        left -= 1
        if not left:
            print("ready", flush=True)
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(one()) for _ in range(links)]
    await asyncio.to_thread(sys.stdin.read)
    assert tasks
