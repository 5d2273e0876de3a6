"""Handlers for accounts, organizations and members."""

from alknet.call.context import Context
from alknet.protocol.storage import (
    Account,
    AccountPage,
    CreateAccount,
    CreateOrganization,
    GetAccount,
    GetOrganization,
    ListAccounts,
    ListMembers,
    ListOrganizations,
    Member,
    MemberPage,
    Organization,
    OrganizationPage,
    PutMember,
    RemoveMember,
    UpdateAccount,
)
from alknet.runtime.service import handler
from alknet.services.storage.base import Storage
from alknet.store import accounts


class AccountHandlers(Storage):
    """Who there is."""

    @handler(concurrent=True)
    async def create_account(self, request: CreateAccount, context: Context) -> Account:
        return await self._change(
            context,
            lambda change: accounts.create(
                change,
                request.display_name,
                email=request.email,
                access_level=request.access_level,
                id=request.id,
                tenant=request.tenant,
            ),
        )

    @handler(concurrent=True)
    def get_account(self, request: GetAccount) -> Account:
        return self._database.look(lambda connection: accounts.get(connection, request.id))

    @handler(concurrent=True)
    def list_accounts(self, request: ListAccounts) -> AccountPage:
        return self._database.look(
            lambda connection: accounts.page(
                connection, request.status, request.after, request.limit
            )
        )

    @handler(concurrent=True)
    async def update_account(self, request: UpdateAccount, context: Context) -> Account:
        return await self._change(
            context,
            lambda change: accounts.update(
                change,
                request.id,
                display_name=request.display_name,
                email=request.email,
                access_level=request.access_level,
                status=request.status,
                expected=request.expected_version,
            ),
        )

    @handler(concurrent=True)
    async def create_organization(
        self, request: CreateOrganization, context: Context
    ) -> Organization:
        return await self._change(
            context,
            lambda change: accounts.create_organization(
                change, request.slug, request.name, request.owner, id=request.id
            ),
        )

    @handler(concurrent=True)
    def get_organization(self, request: GetOrganization) -> Organization:
        return self._database.look(
            lambda connection: accounts.get_organization(connection, request.id)
        )

    @handler(concurrent=True)
    def list_organizations(self, request: ListOrganizations) -> OrganizationPage:
        return self._database.look(
            lambda connection: accounts.organization_page(
                connection, request.account, request.after, request.limit
            )
        )

    @handler(concurrent=True)
    async def put_member(self, request: PutMember, context: Context) -> Member:
        return await self._change(
            context,
            lambda change: accounts.put_member(
                change, request.organization, request.account, request.level
            ),
        )

    @handler(concurrent=True)
    async def remove_member(self, request: RemoveMember, context: Context) -> None:
        await self._change(
            context,
            lambda change: accounts.remove_member(change, request.organization, request.account),
        )

    @handler(concurrent=True)
    def list_members(self, request: ListMembers) -> MemberPage:
        return self._database.look(
            lambda connection: accounts.member_page(
                connection, request.organization, request.after, request.limit
            )
        )
