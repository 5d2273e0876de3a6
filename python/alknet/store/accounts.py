"""Accounts, organizations and members in the database, each told of and noted in the audit log."""

from typing import Any, Final

import apsw

from alknet.errors import Conflict, NotFound
from alknet.protocol.storage.accounts import (
    AccessLevel,
    Account,
    AccountPage,
    AccountStatus,
    Member,
    MemberLevel,
    MemberPage,
    Organization,
    OrganizationPage,
)
from alknet.store import principals
from alknet.store.catalogue import MAX_PAGE, missing
from alknet.store.change import Change, expect

_ACCOUNT: Final = "id, email, display_name, access_level, status, version, created_at, updated_at"
_ORGANIZATION: Final = "id, slug, name, owner, version, created_at, updated_at"
_MEMBER: Final = "organization, account, level, created_at"


def create(
    change: Change,
    display_name: str,
    *,
    email: str | None,
    access_level: AccessLevel,
    id: str | None,
    tenant: str,
) -> Account:
    """Make an account, and the principal that it is.

    Raises:
        Conflict: there is one of that id, or with that email.
    """
    id = change.new_key() if id is None else id
    principals.create(change, id, "account", tenant=tenant)
    try:
        change.connection.execute(
            f"insert into accounts ({_ACCOUNT}) values (?, ?, ?, ?, 'active', 1, ?, ?)",
            (id, email, display_name, access_level, change.now, change.now),
        )
    except apsw.ConstraintError:
        raise _email_is_taken(email) from None
    change.created("identities", id, "account")
    change.audit("create-account", id, email=email, access_level=access_level)
    return get(change.connection, id)


def get(connection: apsw.Connection, id: str) -> Account:
    """Return the account of that id.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(f"select {_ACCOUNT} from accounts where id = ?", (id,)).fetchone()
    if row is None:
        raise missing("account", id)
    return Account(*row)


def page(
    connection: apsw.Connection, status: AccountStatus | None, after: str, limit: int
) -> AccountPage:
    """Return at most *limit* accounts whose ids follow *after*, with *status* if it is not None."""
    limit = min(limit, MAX_PAGE)
    rows: list[Any] = connection.execute(
        f"select {_ACCOUNT} from accounts where id > ?1 and (?2 is null or status = ?2) "
        f"order by id limit ?3",
        (after, status, limit),
    ).fetchall()
    found = tuple(Account(*row) for row in rows)
    return AccountPage(found, found[-1].id if len(found) == limit else None)


def update(
    change: Change,
    id: str,
    *,
    display_name: str | None = None,
    email: str | None = None,
    access_level: AccessLevel | None = None,
    status: AccountStatus | None = None,
    expected: int | None = None,
) -> Account:
    """Change what is not None of the account of that id.

    Raises:
        NotFound: there is none.
        Conflict: it is not at the version *expected*, or the email is another's.
    """
    kept = get(change.connection, id)
    expect("account", id, kept.version, expected)
    try:
        change.connection.execute(
            "update accounts set display_name = coalesce(?, display_name), "
            "email = coalesce(?, email), access_level = coalesce(?, access_level), "
            "status = coalesce(?, status), version = version + 1, updated_at = ? where id = ?",
            (display_name, email, access_level, status, change.now, id),
        )
    except apsw.ConstraintError:
        raise _email_is_taken(email) from None
    account = get(change.connection, id)
    principals.enable(change, id, enabled=account.status == "active")
    change.updated("identities", id, "account", account.version)
    change.audit(
        "update-account",
        id,
        email=account.email,
        access_level=account.access_level,
        status=account.status,
    )
    return account


def create_organization(
    change: Change, slug: str, name: str, owner: str, *, id: str | None
) -> Organization:
    """Make an organization, the principal that it is, and its first member.

    Raises:
        NotFound: there is no account *owner*.
        Conflict: there is one of that id or slug.
    """
    get(change.connection, owner)
    id = change.new_key() if id is None else id
    principals.create(change, id, "organization")
    try:
        change.connection.execute(
            f"insert into organizations ({_ORGANIZATION}) values (?, ?, ?, ?, 1, ?, ?)",
            (id, slug, name, owner, change.now, change.now),
        )
    except apsw.ConstraintError:
        raise Conflict(f"there is an organization {slug!r} already") from None
    change.created("identities", id, "organization")
    change.audit("create-organization", id, slug=slug, owner=owner)
    put_member(change, id, owner, "owner")
    return get_organization(change.connection, id)


def get_organization(connection: apsw.Connection, id: str) -> Organization:
    """Return the organization of that id.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(
        f"select {_ORGANIZATION} from organizations where id = ?", (id,)
    ).fetchone()
    if row is None:
        raise missing("organization", id)
    return Organization(*row)


def organization_page(
    connection: apsw.Connection, account: str | None, after: str, limit: int
) -> OrganizationPage:
    """Return at most *limit* organizations whose ids follow *after*; those *account* belongs to."""
    limit = min(limit, MAX_PAGE)
    of_account = "and id in (select organization from members where account = ?2)"
    rows: list[Any] = connection.execute(
        f"select {_ORGANIZATION} from organizations where id > ?1 "
        f"{'and ?2 is null' if account is None else of_account} order by id limit ?3",
        (after, account, limit),
    ).fetchall()
    found = tuple(Organization(*row) for row in rows)
    return OrganizationPage(found, found[-1].id if len(found) == limit else None)


def put_member(change: Change, organization: str, account: str, level: MemberLevel) -> Member:
    """Have *account* belong to *organization* at *level*.

    Raises:
        NotFound: there is no such account or organization.
        Conflict: it owns the organization, and *level* is another.
    """
    get(change.connection, account)
    owner = get_organization(change.connection, organization).owner
    if owner == account and level != "owner":
        raise Conflict(f"{account!r} owns the organization {organization!r}, and stays its owner")
    change.connection.execute(
        "insert into members values (?, ?, ?, ?) on conflict do update set level = excluded.level",
        (organization, account, level, change.now),
    )
    change.created("rights", account, "member")
    change.audit("put-member", organization, account=account, level=level)
    row: Any = change.connection.execute(
        f"select {_MEMBER} from members where organization = ? and account = ?",
        (organization, account),
    ).fetchone()
    return Member(*row)


def remove_member(change: Change, organization: str, account: str) -> None:
    """Have *account* belong to *organization* no longer.

    Raises:
        NotFound: it does not.
        Conflict: it owns the organization.
    """
    if get_organization(change.connection, organization).owner == account:
        raise Conflict(f"{account!r} owns the organization {organization!r}, and stays its member")
    change.connection.execute(
        "delete from members where organization = ? and account = ?", (organization, account)
    )
    if not change.connection.changes():
        raise NotFound(f"{account!r} is no member of the organization {organization!r}")
    change.deleted("rights", account, "member", 1)
    change.audit("remove-member", organization, account=account)


def member_page(
    connection: apsw.Connection, organization: str, after: str, limit: int
) -> MemberPage:
    """Return at most *limit* members of *organization* whose accounts follow *after*.

    Raises:
        NotFound: there is no such organization.
    """
    get_organization(connection, organization)
    limit = min(limit, MAX_PAGE)
    rows: list[Any] = connection.execute(
        f"select {_MEMBER} from members where organization = ? and account > ? "
        f"order by account limit ?",
        (organization, after, limit),
    ).fetchall()
    found = tuple(Member(*row) for row in rows)
    return MemberPage(found, found[-1].account if len(found) == limit else None)


def _email_is_taken(email: str | None) -> Conflict:
    return Conflict(f"there is an account with the email {email!r} already")
