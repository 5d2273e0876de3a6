"""The memory backend: the whole key set in memory, swapped at once when it is read anew."""

import time
from typing import Self

from alknet.call.access import refusal
from alknet.errors import InvalidInput
from alknet.keys import ssh_fingerprint
from alknet.protocol.auth import (
    AccessDecision,
    CheckAccess,
    Denied,
    Granted,
    KeyCount,
    ReloadKeys,
    VerifyPubkey,
    VerifyToken,
)
from alknet.runtime.host import Host
from alknet.runtime.service import Service, handler
from alknet.services.auth.keyset import AuthSettings, KeySet
from alknet.services.auth.tokens import SignedTokens

_KEY_BYTES = 32


class AuthService(Service, namespace="auth"):
    """Says whose credential it is shown, and what its owner may do."""

    settings_type = AuthSettings

    def __init__(self, settings: AuthSettings, host: Host) -> None:
        self._host = host
        self._keys = KeySet(settings)
        self._signed = SignedTokens(settings.token_window)

    @classmethod
    def create(cls, host: Host) -> Self:
        return cls(host.section(cls.namespace), host)

    @handler(concurrent=True)
    def verify(self, request: VerifyPubkey) -> Granted | Denied:
        if len(request.public_key) != _KEY_BYTES:
            raise InvalidInput(
                f"an Ed25519 public key has {_KEY_BYTES} bytes, not {len(request.public_key)}",
                details={"field": "public_key"},
            )
        return self._owner(request.public_key)

    @handler(concurrent=True)
    def verify_token(self, request: VerifyToken) -> Granted | Denied:
        identity = self._keys.find_token(request.token)
        if identity is not None:
            return Granted(identity)
        checked = self._signed.check(request.token, self._keys.key_ids, time.time())
        return Denied(checked) if isinstance(checked, str) else self._owner(checked)

    @handler
    async def reload(self, _: ReloadKeys) -> KeyCount:
        self._keys = KeySet(self._host.reread(self.namespace))
        return KeyCount(peers=len(self._keys.keys), tokens=self._keys.token_count)

    @handler(concurrent=True)
    def check(self, request: CheckAccess) -> AccessDecision:
        home = self._host.home
        error = refusal(
            home.registry.find(request.operation).spec,
            request.identity,
            resource=request.resource,
            some_resource=request.resource is None,
            ownership=home.ownership,
        )
        return AccessDecision(allowed=error is None, why=None if error is None else str(error))

    def _owner(self, public_key: bytes) -> Granted | Denied:
        identity = self._keys.keys.get(public_key)
        if identity is None:
            return Denied(f"the key {ssh_fingerprint(public_key)} is not listed here")
        return Granted(identity)
