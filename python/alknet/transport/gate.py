"""Gate: what a listener shows to whoever knocks, and what it asks before it opens."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from alknet._core.tls import Certificate, Server
from alknet.errors import Forbidden, Refused
from alknet.identity import Identity
from alknet.keys import Ed25519Key
from alknet.protocol.auth import Denied, Granted
from alknet.transport.splice import ByteStream
from alknet.wire.credential import Certified

# What somebody shows to be let in: a proven key, a certificate and its key, a token, or what a
# token was found to grant.
Shown = bytes | Certified | str | Granted
# Answers whose that is, or why it is nobody's.
Verify = Callable[[Shown], Awaitable[Identity | str]]
# The same for a credential and the address that it came from, with all that it grants.
Judge = Callable[[bytes | Certified | str, str], Awaitable[Granted | Denied]]


class Hold(Protocol):
    """Runs what is granted to somebody, for as long as it is."""

    async def __call__(
        self, granted: Granted, remote: str, run: Callable[[], Awaitable[None]], /
    ) -> None:
        """Await `run()`, which serves who came from *remote*; cancel it when the right ends."""
        ...


class Open(Protocol):
    """Opens connections for others, as the forwarding policy lets them."""

    def __call__(
        self, host: str, port: int, *, identity: Identity | None, transport: str, remote: str
    ) -> AbstractAsyncContextManager[ByteStream]:
        """Connect *identity*, who came from *remote* by *transport*, to *host* at *port*.

        Raises:
            CallError: there is no connection; why.
        """
        ...


class Gate:
    """What the listeners of a node share.

    *key* returns the node's identity, or None while its vault is locked. *certificates* returns
    those of a public authority that stand in files. Both are asked for each connection anew, so
    what has changed holds for the next link and disturbs none that is open. *origins* are those of
    web pages that may call (RFC 6454); `*` lets any. *judge* is asked about the token of who
    brings one in the first request, and about the key that SSH has seen; *hold* runs what is
    granted to such a key, and *forward* connects it to elsewhere. *host_key* is what SSH shows,
    the identity itself where it is left out.
    """

    def __init__(
        self,
        *,
        key: Callable[[], Ed25519Key | None] = lambda: None,
        host_key: Callable[[], Ed25519Key | None] | None = None,
        certificates: Callable[[], list[Certificate]] = list,
        origins: Iterable[str] = (),
        judge: Judge | None = None,
        hold: Hold | None = None,
        forward: Open | None = None,
    ) -> None:
        self._key = key
        self._host_key = host_key or key
        self._certificates = certificates
        self._origins = frozenset(origins)
        self._judge = judge
        self._hold = hold
        self._forward = forward

    def server(self, protocols: list[bytes]) -> Server:
        """Return the server's end of TLS as it should be for a link that begins now."""
        key = self._key()
        own = None if key is None else Certificate.of_key(key)
        return Server(own, self._certificates(), protocols)

    def host_keys(self) -> tuple[Ed25519Key, Ed25519Key] | None:
        """Return the host key for SSH and the identity that certifies it; None while locked."""
        host_key, identity = self._host_key(), self._key()
        return None if host_key is None or identity is None else (host_key, identity)

    async def judge(self, credential: bytes | Certified, remote: str) -> Granted | Denied | None:
        """Return what *credential*, proven by who came from *remote*, grants; None if nobody knows.

        Then it is for whoever serves the link to find out.

        Raises:
            CallError: nobody can tell now.
        """
        return None if self._judge is None else await self._judge(credential, remote)

    async def hold(
        self, granted: Granted | None, remote: str, run: Callable[[], Awaitable[None]]
    ) -> None:
        """Await `run()`, which serves who came from *remote*, while *granted* is in force."""
        if self._hold is None or granted is None:
            await run()
        else:
            await self._hold(granted, remote, run)

    def forward(
        self, host: str, port: int, *, identity: Identity | None, transport: str, remote: str
    ) -> AbstractAsyncContextManager[ByteStream]:
        """Connect *identity* to *host* at *port*, as far as the forwarding policy lets it.

        Raises:
            CallError: there is no connection; why.
        """
        if self._forward is None or identity is None:
            raise Forbidden("this node forwards no connections")
        return self._forward(host, port, identity=identity, transport=transport, remote=remote)

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
        if self._judge is None:
            raise Refused("no token is taken here in the first request")
        verdict = await self._judge(token, remote)
        if isinstance(verdict, Denied):
            raise Refused(verdict.reason)
        return verdict


OPEN: Final = Gate()
