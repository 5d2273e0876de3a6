"""Handlers for API keys, SSH keys and certificate authorities."""

from alknet.call.context import Context
from alknet.protocol.storage import (
    AddCredential,
    ApiKey,
    ApiKeyPage,
    Credential,
    CredentialPage,
    IssueApiKey,
    IssuedKey,
    ListApiKeys,
    ListCredentials,
    RevokeApiKey,
    RevokeCredential,
    RotateApiKey,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import api_keys, credentials


class CredentialHandlers(Storage):
    """By what somebody shows who they are."""

    @handler(concurrent=True)
    async def issue_api_key(self, request: IssueApiKey, context: Context) -> IssuedKey:
        return await self._change(
            context,
            lambda change: api_keys.issue(
                change, request.owner, request.name, request.scopes, request.lifetime
            ),
        )

    @handler(concurrent=True)
    async def rotate_api_key(self, request: RotateApiKey, context: Context) -> IssuedKey:
        return await self._change(
            context,
            lambda change: api_keys.rotate(change, request.prefix, request.grace, request.lifetime),
        )

    @handler(concurrent=True)
    async def revoke_api_key(self, request: RevokeApiKey, context: Context) -> ApiKey:
        return await self._change(context, lambda change: api_keys.revoke(change, request.prefix))

    @handler(concurrent=True)
    def list_api_keys(self, request: ListApiKeys) -> ApiKeyPage:
        return self._database.look(
            lambda connection: api_keys.page(
                connection, request.owner, request.after, request.limit
            )
        )

    @handler(concurrent=True)
    async def add_credential(self, request: AddCredential, context: Context) -> Credential:
        return await self._change(
            context,
            lambda change: credentials.add(
                change,
                request.owner,
                request.public_key,
                request.kind,
                request.name,
                request.lifetime,
            ),
        )

    @handler(concurrent=True)
    async def revoke_credential(self, request: RevokeCredential, context: Context) -> Credential:
        return await self._change(
            context,
            lambda change: credentials.revoke(change, request.fingerprint),
        )

    @handler(concurrent=True)
    def list_credentials(self, request: ListCredentials) -> CredentialPage:
        return self._database.look(
            lambda connection: credentials.page(
                connection, request.owner, request.after, request.limit
            )
        )
