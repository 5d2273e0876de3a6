"""Principals in the database, and the edges of the graph of rights between them.

Every change is told of in the stream `rights` and noted in the audit log.
"""

from collections.abc import Iterable
from typing import Any, Final

import apsw
import msgspec

from alknet.errors import Conflict, InvalidInput, NotFound
from alknet.protocol.storage.rights import Action, Principal, PrincipalKind, PrincipalPage
from alknet.store.catalogue import MAX_PAGE, checked_key, missing
from alknet.store.change import Change, expect

_COLUMNS: Final = (
    "id, kind, scopes, denied, enabled, tenant, description, version, created_at, updated_at"
)
_encode: Final = msgspec.json.Encoder().encode
_names: Final = msgspec.json.Decoder(frozenset[str]).decode


def create(
    change: Change,
    id: str,
    kind: PrincipalKind,
    *,
    scopes: Iterable[str] = (),
    denied: Iterable[str] = (),
    tenant: str = "",
    description: str = "",
) -> Principal:
    """Make a principal.

    Raises:
        Conflict: there is one of that id.
    """
    checked_key("a principal's id", id)
    try:
        change.connection.execute(
            f"insert into principals ({_COLUMNS}) values (?, ?, ?, ?, 1, ?, ?, 1, ?, ?)",
            (
                *(id, kind, names_text(scopes), names_text(denied)),
                *(tenant, description, change.now, change.now),
            ),
        )
    except apsw.ConstraintError:
        raise Conflict(f"there is a principal {id!r} already") from None
    change.created("rights", id, kind)
    change.audit("create-principal", id, kind=kind, scopes=sorted(scopes), denied=sorted(denied))
    return get(change.connection, id)


def get(connection: apsw.Connection, id: str) -> Principal:
    """Return the principal of that id.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(f"select {_COLUMNS} from principals where id = ?", (id,)).fetchone()
    if row is None:
        raise missing("principal", id)
    return _principal(row)


def page(
    connection: apsw.Connection, kind: PrincipalKind | None, after: str, limit: int
) -> PrincipalPage:
    """Return at most *limit* principals whose ids follow *after*, of *kind* if it is not None."""
    limit = min(limit, MAX_PAGE)
    rows = connection.execute(
        f"select {_COLUMNS} from principals where id > ?1 and (?2 is null or kind = ?2) "
        f"order by id limit ?3",
        (after, kind, limit),
    ).fetchall()
    found = tuple(map(_principal, rows))
    return PrincipalPage(found, found[-1].id if len(found) == limit else None)


def update(
    change: Change,
    id: str,
    *,
    scopes: Iterable[str] | None = None,
    denied: Iterable[str] | None = None,
    enabled: bool | None = None,
    description: str | None = None,
    expected: int | None = None,
) -> Principal:
    """Change what is not None of the principal of that id.

    Raises:
        NotFound: there is none.
        InvalidInput: it is an account's, and *enabled* is given.
        Conflict: it is not at the version *expected*.
    """
    kept = get(change.connection, id)
    if enabled is not None and kept.kind == "account":
        raise InvalidInput(
            f"{id!r} is an account, which is enabled while its status is active: change that",
            details={"field": "enabled"},
        )
    expect("principal", id, kept.version, expected)
    changed = {
        "scopes": None if scopes is None else sorted(scopes),
        "denied": None if denied is None else sorted(denied),
        "enabled": enabled,
        "description": description,
    }
    change.connection.execute(
        "update principals set scopes = coalesce(?, scopes), denied = coalesce(?, denied), "
        "enabled = coalesce(?, enabled), description = coalesce(?, description), "
        "version = version + 1, updated_at = ? where id = ?",
        (
            None if scopes is None else names_text(scopes),
            None if denied is None else names_text(denied),
            *(enabled, description, change.now, id),
        ),
    )
    change.updated("rights", id, kept.kind, kept.version + 1)
    change.audit("update-principal", id, **{k: v for k, v in changed.items() if v is not None})
    return get(change.connection, id)


def enable(change: Change, id: str, *, enabled: bool) -> None:
    """Let the principal of an account be *enabled* or not; it is there."""
    kept = get(change.connection, id)
    if kept.enabled != enabled:
        change.connection.execute(
            "update principals set enabled = ?, version = version + 1, updated_at = ? where id = ?",
            (enabled, change.now, id),
        )
        change.updated("rights", id, kept.kind, kept.version + 1)


def put_belonging(change: Change, member: str, grouping: str) -> None:
    """Have *member* belong to *grouping*; if it does already, nothing changes.

    Raises:
        NotFound: there is no such principal.
        InvalidInput: *grouping* is no role or organization, or an account is to belong to an
            organization, which `put-member` says.
    """
    kinds = [get(change.connection, each).kind for each in (member, grouping)]
    if kinds[1] not in ("role", "organization") or member == grouping:
        raise InvalidInput(
            f"{member!r} cannot belong to {grouping!r}: what others belong to is another role or "
            f"organization",
            details={"field": "grouping"},
        )
    if kinds == ["account", "organization"]:
        raise InvalidInput(
            f"{member!r} is an account: make it a member of the organization {grouping!r}, with "
            f"`storage/put-member`",
            details={"field": "member"},
        )
    change.connection.execute(
        "insert or ignore into belongs_to values (?, ?, ?)", (member, grouping, change.now)
    )
    if change.connection.changes():
        _told(change, "created", member, "belongs-to", to=grouping)


def remove_belonging(change: Change, member: str, grouping: str) -> None:
    """Have *member* belong to *grouping* no longer.

    Raises:
        NotFound: it does not.
    """
    change.connection.execute(
        "delete from belongs_to where member = ? and grouping = ?", (member, grouping)
    )
    _refuse_nothing(change, f"{member!r} does not belong to {grouping!r}")
    _told(change, "deleted", member, "belongs-to", to=grouping)


def put_delegation(
    change: Change, delegator: str, delegate: str, scopes: Iterable[str], *, narrowable: bool
) -> None:
    """Have *delegator* lend *scopes* to *delegate*, in the place of what it has lent so far.

    Raises:
        NotFound: there is no such principal.
        InvalidInput: they are one.
    """
    for each in (delegator, delegate):
        get(change.connection, each)
    if delegator == delegate:
        raise InvalidInput(
            f"{delegator!r} cannot delegate to itself", details={"field": "delegate"}
        )
    change.connection.execute(
        "insert or replace into delegations values (?, ?, ?, ?, ?)",
        (delegate, delegator, names_text(scopes), narrowable, change.now),
    )
    told = {"by": delegator, "scopes": sorted(scopes), "narrowable": narrowable}
    _told(change, "created", delegate, "delegates", **told)


def remove_delegation(change: Change, delegator: str, delegate: str) -> None:
    """Have *delegator* lend nothing to *delegate* any more.

    Raises:
        NotFound: it lends nothing.
    """
    change.connection.execute(
        "delete from delegations where delegate = ? and delegator = ?", (delegate, delegator)
    )
    _refuse_nothing(change, f"{delegator!r} delegates nothing to {delegate!r}")
    _told(change, "deleted", delegate, "delegates", by=delegator)


def put_grant(change: Change, principal: str, resource: str, action: Action, *, deny: bool) -> None:
    """Let *principal* do *action* on *resource*, or with *deny* have it never do it.

    Raises:
        NotFound: there is no such principal.
    """
    get(change.connection, principal)
    checked_key("a resource", resource)
    change.connection.execute(
        "insert or replace into grants values (?, ?, ?, ?, ?)",
        (principal, resource, action, deny, change.now),
    )
    _told(change, "created", principal, f"can-{action}", on=resource, deny=deny)


def remove_grant(change: Change, principal: str, resource: str, action: Action) -> None:
    """Take back what *principal* itself was granted or denied.

    Raises:
        NotFound: it was neither.
    """
    change.connection.execute(
        "delete from grants where principal = ? and resource = ? and action = ?",
        (principal, resource, action),
    )
    _refuse_nothing(
        change, f"{principal!r} was neither granted nor denied to {action} {resource!r}"
    )
    _told(change, "deleted", principal, f"can-{action}", on=resource)


def names_text(names: Iterable[str]) -> str:
    """Return *names* as they are kept: a JSON array, in order."""
    return _encode(sorted(names)).decode()


def _told(change: Change, kind: str, principal: str, edge: str, **details: Any) -> None:
    """Tell of an edge of *principal* that was put or removed, and note it."""
    if kind == "created":
        change.created("rights", principal, edge)
    else:
        change.deleted("rights", principal, edge, 1)
    verb = "put" if kind == "created" else "remove"
    change.audit(f"{verb}-{edge}", principal, **details)


def _refuse_nothing(change: Change, what: str) -> None:
    if not change.connection.changes():
        raise NotFound(what)


def _principal(row: tuple[Any, ...]) -> Principal:
    id, kind, scopes, denied, enabled, *rest = row
    return Principal(id, kind, _names(scopes), _names(denied), bool(enabled), *rest)
