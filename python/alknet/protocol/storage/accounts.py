"""Accounts and organizations: who there is, and who belongs where.

An account or organization is a principal of the same id, to which rights are given; see
`protocol/storage/rights.py`. None is ever deleted, since the audit log speaks of it; what is not
active can do nothing.
"""

from typing import Annotated, Literal

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Key, Limit

Email = Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+$", max_length=255)]
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
AccessLevel = Literal["admin", "user", "service"]
AccountStatus = Literal["active", "suspended", "deactivated"]
MemberLevel = Literal["owner", "admin", "member"]


class Account(msgspec.Struct, frozen=True):
    """Somebody. `access_level` says what the account is for, and gives no right by itself."""

    id: str
    email: str | None
    display_name: str
    access_level: AccessLevel
    status: AccountStatus
    version: int
    created_at: float
    updated_at: float


class AccountPage(msgspec.Struct, frozen=True):
    """Some accounts in the order of their ids; `next` continues the list, None at its end."""

    accounts: tuple[Account, ...]
    next: str | None = None


class Organization(msgspec.Struct, frozen=True):
    """An organization, which `owner`, an account, answers for."""

    id: str
    slug: str
    name: str
    owner: str
    version: int
    created_at: float
    updated_at: float


class OrganizationPage(msgspec.Struct, frozen=True):
    """Some organizations in the order of their ids; `next` continues, None at the end."""

    organizations: tuple[Organization, ...]
    next: str | None = None


class Member(msgspec.Struct, frozen=True):
    """An account that belongs to an organization, and so has the rights that it has."""

    organization: str
    account: str
    level: MemberLevel
    created_at: float


class MemberPage(msgspec.Struct, frozen=True):
    """Some members in the order of their accounts; `next` continues, None at the end."""

    members: tuple[Member, ...]
    next: str | None = None


@operation(
    "storage/create-account", kind="mutation", scopes=("identity:admin",), errors=("CONFLICT",)
)
class CreateAccount(Request[Account], frozen=True):
    """Make an account; without an `id` it gets one that nobody has.

    `tenant` says whose vault it uses, and is left out for the node's own.
    """

    display_name: str
    email: Email | None = None
    access_level: AccessLevel = "user"
    id: Key | None = None
    tenant: str = ""


@operation("storage/get-account", scopes=("identity:read",))
class GetAccount(Request[Account], frozen=True):
    """Return the account of that id."""

    id: Key


@operation("storage/list-accounts", scopes=("identity:read",))
class ListAccounts(Request[AccountPage], frozen=True):
    """List the accounts whose ids follow `after`; with `status`, those that have it."""

    status: AccountStatus | None = None
    after: str = ""
    limit: Limit = 100


@operation(
    "storage/update-account", kind="mutation", scopes=("identity:admin",), errors=("CONFLICT",)
)
class UpdateAccount(Request[Account], frozen=True):
    """Change what is given of an account; one that is not active loses every right at once."""

    id: Key
    display_name: str | None = None
    email: Email | None = None
    access_level: AccessLevel | None = None
    status: AccountStatus | None = None
    expected_version: int | None = None


@operation(
    "storage/create-organization", kind="mutation", scopes=("identity:admin",), errors=("CONFLICT",)
)
class CreateOrganization(Request[Organization], frozen=True):
    """Make an organization, of which `owner` is the first member."""

    slug: Slug
    name: str
    owner: Key
    id: Key | None = None


@operation("storage/get-organization", scopes=("identity:read",))
class GetOrganization(Request[Organization], frozen=True):
    """Return the organization of that id."""

    id: Key


@operation("storage/list-organizations", scopes=("identity:read",))
class ListOrganizations(Request[OrganizationPage], frozen=True):
    """List the organizations whose ids follow `after`; with `account`, those it belongs to."""

    account: Key | None = None
    after: str = ""
    limit: Limit = 100


@operation("storage/put-member", kind="mutation", scopes=("identity:admin",), idempotent=True)
class PutMember(Request[Member], frozen=True):
    """Have `account` belong to `organization`, at `level`."""

    organization: Key
    account: Key
    level: MemberLevel = "member"


@operation("storage/remove-member", kind="mutation", scopes=("identity:admin",))
class RemoveMember(Request[None], frozen=True):
    """Have `account` belong to `organization` no longer; who owns it stays."""

    organization: Key
    account: Key


@operation("storage/list-members", scopes=("identity:read",))
class ListMembers(Request[MemberPage], frozen=True):
    """List the members of `organization` whose accounts follow `after`."""

    organization: Key
    after: str = ""
    limit: Limit = 100
