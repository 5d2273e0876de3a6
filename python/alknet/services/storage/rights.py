"""Handlers for the graph of rights, and for what follows from it."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from alknet.call.context import Context
from alknet.protocol.storage import (
    CreatePrincipal,
    GetPrincipal,
    GetRights,
    ListPrincipals,
    Principal,
    PrincipalPage,
    PutBelonging,
    PutDelegation,
    PutGrant,
    RemoveBelonging,
    RemoveDelegation,
    RemoveGrant,
    Rights,
    StorageEvent,
    UpdatePrincipal,
    WatchIdentities,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import principals
from alknet.store.rights import RightsOf


class RightsHandlers(Storage):
    """Who may do what."""

    _rights: RightsOf

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with super().running():
            self._rights = RightsOf(self._database)
            yield

    @handler(concurrent=True)
    async def create_principal(self, request: CreatePrincipal, context: Context) -> Principal:
        return await self._change(
            context,
            lambda change: principals.create(
                change,
                request.id,
                request.kind,
                scopes=request.scopes,
                denied=request.denied,
                tenant=request.tenant,
                description=request.description,
            ),
        )

    @handler(concurrent=True)
    async def update_principal(self, request: UpdatePrincipal, context: Context) -> Principal:
        return await self._change(
            context,
            lambda change: principals.update(
                change,
                request.id,
                scopes=request.scopes,
                denied=request.denied,
                enabled=request.enabled,
                description=request.description,
                expected=request.expected_version,
            ),
        )

    @handler(concurrent=True)
    def get_principal(self, request: GetPrincipal) -> Principal:
        return self._database.look(lambda connection: principals.get(connection, request.id))

    @handler(concurrent=True)
    def list_principals(self, request: ListPrincipals) -> PrincipalPage:
        return self._database.look(
            lambda connection: principals.page(
                connection, request.kind, request.after, request.limit
            )
        )

    @handler(concurrent=True)
    async def put_belonging(self, request: PutBelonging, context: Context) -> None:
        await self._change(
            context,
            lambda change: principals.put_belonging(change, request.member, request.grouping),
        )

    @handler(concurrent=True)
    async def remove_belonging(self, request: RemoveBelonging, context: Context) -> None:
        await self._change(
            context,
            lambda change: principals.remove_belonging(change, request.member, request.grouping),
        )

    @handler(concurrent=True)
    async def put_delegation(self, request: PutDelegation, context: Context) -> None:
        await self._change(
            context,
            lambda change: principals.put_delegation(
                change,
                request.delegator,
                request.delegate,
                request.scopes,
                narrowable=request.narrowable,
            ),
        )

    @handler(concurrent=True)
    async def remove_delegation(self, request: RemoveDelegation, context: Context) -> None:
        await self._change(
            context,
            lambda change: principals.remove_delegation(
                change, request.delegator, request.delegate
            ),
        )

    @handler(concurrent=True)
    async def put_grant(self, request: PutGrant, context: Context) -> None:
        await self._change(
            context,
            lambda change: principals.put_grant(
                change, request.principal, request.resource, request.action, deny=request.deny
            ),
        )

    @handler(concurrent=True)
    async def remove_grant(self, request: RemoveGrant, context: Context) -> None:
        await self._change(
            context,
            lambda change: principals.remove_grant(
                change, request.principal, request.resource, request.action
            ),
        )

    @handler(concurrent=True)
    def get_rights(self, request: GetRights) -> Rights:
        return self._rights.find(request.principal).rights

    @handler
    async def watch_identities(self, request: WatchIdentities) -> AsyncIterator[StorageEvent]:
        async with aclosing(self._feed.follow(request.stream, request.after)) as events:
            async for event in events:
                yield event
