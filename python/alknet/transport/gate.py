"""Gate: what a listener shows to whoever knocks, and what it asks before it opens."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from alknet._core.tls import Certificate, Server
from alknet.errors import Refused
from alknet.identity import Identity
from alknet.keys import Ed25519Key
from alknet.protocol.auth import Denied, Granted
from alknet.wire.handshake import Certified

# What somebody shows to be let in: a proven key, a certificate and its key, a token, or what a
# token was found to grant.
Shown = bytes | Certified | str | Granted
# Answers whose that is, or why it is nobody's.
Verify = Callable[[Shown], Awaitable[Identity | str]]
# The same for a token and the address that it came from.
VerifyBearer = Callable[[str, str], Awaitable[Granted | Denied]]


class Gate:
    """What the listeners of a node share.

    *key* returns the node's identity, or None while its vault is locked. *certificates* returns
    those of a public authority that stand in files. Both are asked for each connection anew, so
    what has changed holds for the next link and disturbs none that is open. *origins* are those of
    web pages that may call (RFC 6454); `*` lets any. *verify* is asked about the token of who
    brings one in the first request.
    """

    def __init__(
        self,
        *,
        key: Callable[[], Ed25519Key | None] = lambda: None,
        certificates: Callable[[], list[Certificate]] = list,
        origins: Iterable[str] = (),
        verify: VerifyBearer | None = None,
    ) -> None:
        self._key = key
        self._certificates = certificates
        self._origins = frozenset(origins)
        self._verify = verify

    def server(self, protocols: list[bytes]) -> Server:
        """Return the server's end of TLS as it should be for a link that begins now."""
        key = self._key()
        own = None if key is None else Certificate.of_key(key)
        return Server(own, self._certificates(), protocols)

    def check_origin(self, origin: str | None) -> None:
        """Let in a web page of *origin*; None is who is no page.

        Raises:
            Refused: pages of that origin may not call.
        """
        if origin is not None and not self._origins & {origin, "*"}:
            raise Refused(
                f"pages of {origin} may not call this node: its operator can list them as "
                f"`origins` under [node]"
            )

    async def check_token(self, token: str, remote: str) -> Granted:
        """Return what *token* grants, which came from *remote*.

        A signed token is good for one such question.

        Raises:
            Refused: it is nobody's, or nobody here can tell.
        """
        if self._verify is None:
            raise Refused("no token is taken here in the first request")
        verdict = await self._verify(token, remote)
        if isinstance(verdict, Denied):
            raise Refused(verdict.reason)
        return verdict


OPEN: Final = Gate()
