"""Who may unlock: whoever has the scope, on the machine itself; from elsewhere a good deal less.

What unlocks a node is worth more than anything that it answers, so a call from another machine is
let in only where `remote_unlock` says so, by its own key, over its own link, in its own name, and
with the scope by its name: a star that was granted covers it on the machine only.
"""

import ipaddress
from typing import Final

import trio

from alknet.call.context import Context
from alknet.errors import Forbidden, RateLimited
from alknet.quota.bucket import Buckets
from alknet.runtime.host import Host

SCOPE: Final = "secrets:unlock"
# Of one peer: a share a person, typed by hand, comes more slowly than this.
_PER_SECOND: Final = 0.2
_AT_ONCE_SECONDS: Final = 50.0  # ten of them


class Door:
    """Lets callers in to unlock the node that *host* is; from afar only if that *is_open*."""

    def __init__(self, host: Host, *, is_open: bool) -> None:
        self._host = host
        self._is_open = is_open
        self._attempts = Buckets(_PER_SECOND, _AT_ONCE_SECONDS)

    def check(self, context: Context) -> None:
        """Count the call, and return if it may go on.

        Raises:
            Forbidden: it comes from afar, and may not; the message says what is missing.
            RateLimited: it comes from afar, and too often.
        """
        if is_near(context):
            return
        name = context.spec.name
        if not self._is_open:
            raise Forbidden(
                f"{name} is not answered from other machines here: call from the machine itself, "
                f"or set remote_unlock = true under [secrets]"
            )
        session, caller = context.session, context.identity
        assert session is not None
        if caller is None or caller is not session.identity:
            raise Forbidden(
                f"{name} from another machine is for a peer to call itself, over its own link: not "
                f"through another node, and not by a token of its own"
            )
        if SCOPE not in caller.scopes or not caller.has(SCOPE):
            raise Forbidden(
                f"{caller.id!r} may not call {name} from another machine: the scope {SCOPE!r} must "
                f"be granted by its name",
                details={"missing": f"the scope {SCOPE!r}, by its name"},
            )
        granted = self._host.granted.get(session)
        credential = None if granted is None else granted.credential
        if credential is None or credential.kind not in ("key", "certificate"):
            raise Forbidden(
                f"{name} from another machine is for who has proven a key: a token may be anybody's"
            )
        wait = self._attempts.take(caller.id, trio.current_time())
        if wait:
            raise RateLimited(
                f"{caller.id!r} calls {name} too often: wait {wait:.1f} s",
                details={"retry_after": round(wait, 3)},
            )


def is_near(context: Context) -> bool:
    """Whether the call comes from this machine, and from nobody who speaks for another."""
    session = context.session
    if session is None:
        return True
    if context.identity is not session.identity:
        return False
    address = session.link.peer_address
    host = address.rpartition(":")[0].strip("[]")
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host == "memory"
    # A socket for both versions of IP, such as systemd opens, shows IPv4 in this way.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
