"""AuthService: the memory and the sqlite backend, which answer without asking anybody."""

from alknet.call.context import Context
from alknet.protocol.auth import Denied, Granted, VerifyCertificate, VerifyPubkey, VerifyToken
from alknet.runtime.host import Host
from alknet.runtime.service import handler
from alknet.services.auth.base import Auth
from alknet.services.auth.keyset import AuthSettings
from alknet.services.auth.remote import RemoteAuth


class AuthService(Auth, namespace="auth"):
    """Says whose credential it is shown, and what its owner may do."""

    @classmethod
    def create(cls, host: Host) -> Auth:
        settings = host.section(cls.namespace)
        assert isinstance(settings, AuthSettings)
        return (cls if settings.remote is None else RemoteAuth)(settings, host)

    @handler(concurrent=True)
    def verify(self, request: VerifyPubkey, context: Context) -> Granted | Denied:
        verdict = self._key_here(request)
        self._answers.noted(request, verdict, context)
        return verdict

    @handler(concurrent=True)
    def verify_certificate(self, request: VerifyCertificate, context: Context) -> Granted | Denied:
        verdict = self._certificate_here(request)
        self._answers.noted(request, verdict, context)
        return verdict

    @handler(concurrent=True)
    def verify_token(self, request: VerifyToken, context: Context) -> Granted | Denied:
        verdict = self._token_here(request)
        self._answers.noted(request, verdict, context)
        return verdict
