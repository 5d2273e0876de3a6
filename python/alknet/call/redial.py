"""Redial: a link that is lost is opened again, and soon enough.

A node that is back is to be answered within two seconds, so no pause is longer than one, and the
handshake has the other. Pauses grow to that and are never equal: a thousand workers of a head that
was away for a while are spread over half a second when it is back, and not one of them asks it more
than twice in any second meanwhile. Who answers and says that we may not come in is there already,
and counts how often we try: that one is asked less often.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from alknet.call.backoff import LONGEST_PAUSE, backoff
from alknet.call.session import Session
from alknet.errors import AlknetError, Forbidden, Refused, RefusedForNow

LONGEST_AWAY: Final = 1.0
LINK_LOST: Final = "the link was lost"


async def redial(
    dial: Callable[[], Awaitable[Session]],
    *,
    opened: Callable[[Session], None],
    away: Callable[[str], None],
    session: Session | None = None,
) -> None:
    """Hold a link, and open another whenever it is lost or cannot be had, until cancelled.

    *opened* is told of each that *dial* returns; *session* is one that is open already. *away* is
    told why there is none, after each loss and each attempt.
    """
    failures = 0
    of_kind: type | None = None
    while True:
        failed: Exception | None = None
        if session is None:
            try:
                session = await dial()
            except (AlknetError, OSError) as error:
                failed = error
            else:
                opened(session)
        if session is not None:
            since = trio.current_time()
            await session.closed()
            session = None
            # A node that takes links and drops them is no better than one that takes none.
            if trio.current_time() - since > LONGEST_AWAY:
                failures = 0
        elif type(failed) is not of_kind:
            failures, of_kind = failures if of_kind is None else 0, type(failed)
        failures += 1
        away(LINK_LOST if failed is None else str(failed))
        await trio.sleep(backoff(failures, longest=_longest(failed)))


def _longest(failed: Exception | None) -> float:
    is_unwanted = isinstance(failed, Refused | Forbidden) and not isinstance(failed, RefusedForNow)
    return LONGEST_PAUSE if is_unwanted else LONGEST_AWAY
