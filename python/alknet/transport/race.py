"""Several ways to one node, tried in order of preference without waiting long for any."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

import trio

from alknet.errors import AlknetError

# RFC 8305, section 5: how long a way is tried alone before the next one is tried beside it.
HEAD_START: Final = 0.25


class Closable(Protocol):
    """What a way leads to: a link, or a bare connection."""

    async def aclose(self) -> None:
        """Close it."""
        ...


L = TypeVar("L", bound=Closable)


async def race(
    urls: Sequence[str],
    open_link: Callable[[str], Awaitable[L]],
    failures: dict[str, AlknetError],
) -> tuple[str, L] | None:
    """Return the first link that opens, and its URL; None if none does.

    An attempt begins when the one before it has failed, or has taken `HEAD_START` seconds. The
    others are cancelled when one succeeds, and a link that opens all the same is closed. Why a URL
    failed is put into *failures*.
    """
    won: list[tuple[str, L]] = []

    async def attempt(index: int, before: trio.Event | None) -> None:
        if before is not None:
            with trio.move_on_after(HEAD_START):
                await before.wait()
        failed = trio.Event()
        if index + 1 < len(urls):
            attempts.start_soon(attempt, index + 1, failed)
        try:
            link = await open_link(urls[index])
        except AlknetError as error:
            failures[urls[index]] = error
            failed.set()
            return
        if won:
            with trio.CancelScope(shield=True):
                await link.aclose()
            return
        won.append((urls[index], link))
        attempts.cancel_scope.cancel(reason="another way was faster")

    try:
        async with trio.open_nursery() as attempts:
            attempts.start_soon(attempt, 0, None)
    except BaseException:
        # Cancelled from outside, or a fault of ours, in the moment in which one had succeeded.
        for _, link in won:
            with trio.CancelScope(shield=True):
                await link.aclose()
        raise
    return won[0] if won else None
