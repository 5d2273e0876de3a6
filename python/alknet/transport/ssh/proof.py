"""ServerConnection: an SSH connection whose keys are judged by the node, whole."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncssh
from asyncssh.constants import DISC_NO_MORE_AUTH_METHODS_AVAILABLE

from alknet.errors import BadSignature
from alknet.keys import verify_ed25519
from alknet.transport.ssh.keys import shown, signature_in
from alknet.transport.ssh.paced import Paced
from alknet.wire.credential import Certified

# A client with an agent tries its keys in turn; sshd allows six.
_MOST_TRIES: Final = 8

IsLetIn = Callable[[bytes | Certified], Awaitable[bool]]


class ServerConnection(Paced, asyncssh.SSHServerConnection):
    """The server's end of a connection; *is_let_in* is asked about what the peer has proven.

    asyncssh would judge certificates itself, by the user name and by one key of an authority; here
    the auth service does, as for every road.
    """

    _session_id: bytes

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        is_let_in: IsLetIn,
    ) -> None:
        super().__init__(loop, options)
        self._is_let_in = is_let_in
        self._tries = 0

    def create_server_channel(
        self, *args: Any, **kwargs: Any
    ) -> "asyncssh.SSHServerChannel[bytes]":
        """Return a channel that keeps nothing of the environment which a client would have set.

        There is no program that it could be for, and no end to how much may be sent of it.
        """
        channel = super().create_server_channel(*args, **kwargs)
        vars(channel)["_process_env_request"] = lambda _: False
        return channel

    async def validate_public_key(
        self, username: str, key_data: bytes, msg: bytes, signature: bytes
    ) -> bool:
        """Whether *signature*, over *msg* in this very connection, is by a key that is let in.

        Who only asks whether a key would do is told that it would if it is an Ed25519 key: that a
        key is listed here is nobody's business who does not hold it.
        """
        credential = shown(key_data)
        if credential is None:
            return False
        if not msg:
            return True
        self._tries += 1
        if self._tries > _MOST_TRIES:
            raise asyncssh.DisconnectError(
                DISC_NO_MORE_AUTH_METHODS_AVAILABLE,
                f"you have tried {_MOST_TRIES} keys, the most that one connection may: name the "
                f"right one (ssh -o IdentitiesOnly=yes -i FILE)",
            )
        public_key = credential if isinstance(credential, bytes) else credential.public_key
        signed = len(self._session_id).to_bytes(4, "big") + self._session_id + msg
        try:
            verify_ed25519(public_key, signed, signature_in(signature) or b"")
        except (BadSignature, ValueError):
            return False
        return await self._is_let_in(credential)
