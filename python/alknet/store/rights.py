"""Rights of a principal, read from the database and remembered until something about them changes.

Read is only what paths lead to, level by level, so that how many principals there are does not
matter. What was found is kept until there is a newer event about identities or rights: these are
written with the change, so nothing outdated is given once a change has been acknowledged.
"""

from collections import OrderedDict
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from alknet.identity import Identity
from alknet.protocol.storage.rights import Rights
from alknet.store.catalogue import missing
from alknet.store.database import Database
from alknet.store.freshness import Freshness
from alknet.store.resolution import MAX_DEPTH, Delegation, Node, narrowed, resolve

_REMEMBERED: Final = 65_536
_ALL: Final = frozenset({"*"})

_names: Final = msgspec.json.Decoder(frozenset[str]).decode
_encode: Final = msgspec.json.Encoder().encode

_OF: Final = "in (select value from json_each(?))"
_PRINCIPALS: Final = f"select id, scopes, denied from principals where enabled and id {_OF}"
_GROUPINGS: Final = (
    f"select member, grouping from belongs_to where member {_OF} union all "
    f"select account, organization from members where account {_OF}"
)
_DELEGATIONS: Final = (
    f"select delegate, delegator, scopes, narrowable from delegations where delegate {_OF}"
)
_GRANTS: Final = f"select principal, resource, action, deny from grants where principal {_OF}"


class Held(NamedTuple):
    """What a principal has: its rights, and whose vault it uses."""

    rights: Rights
    tenant: str


class RightsOf:
    """Finds the rights of principals in *database*, and remembers them; used in Trio's thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._freshness = Freshness(database)
        self._known: OrderedDict[str, Held] = OrderedDict()
        self._identities: OrderedDict[tuple[str, frozenset[str]], Identity] = OrderedDict()

    def find(self, principal: str) -> Held:
        """Return what *principal* has.

        Raises:
            NotFound: there is none of that id.
        """
        if self._freshness.is_lost():
            self._known.clear()
            self._identities.clear()
        held = self._known.get(principal)
        if held is None:
            held = self._database.look(lambda connection: read(connection, principal))
            self._known[principal] = held
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return held

    def identity(self, principal: str, scopes: frozenset[str] = _ALL) -> Identity:
        """Return who *principal* is to those it calls, able to do only what *scopes* cover too.

        Raises:
            NotFound: there is none of that id.
        """
        rights, tenant = self.find(principal)
        key = principal, scopes
        known = self._identities.get(key)
        if known is None:
            known = self._identities[key] = Identity(
                principal,
                narrowed(rights.scopes, scopes),
                dict(rights.resources),
                tenant,
                rights.denied,
            )
            if len(self._identities) > _REMEMBERED:
                self._identities.popitem(last=False)
        return known


def read(connection: apsw.Connection, principal: str) -> Held:
    """Return what *principal* has, worked out anew.

    Raises:
        NotFound: there is none of that id.
    """
    found: Any = connection.execute(
        "select tenant from principals where id = ?", (principal,)
    ).fetchone()
    if found is None:
        raise missing("principal", principal)
    graph: dict[str, Node] = {}
    level = [principal]
    # Twice as far as paths lead: at the end of one, what is denied there counts.
    for _ in range(2 * MAX_DEPTH + 1):
        nodes = _level(connection, level)
        graph.update(nodes)
        steps = [
            name
            for node in nodes.values()
            for name in (*node.groupings, *(each.delegator for each in node.delegations))
        ]
        level = [name for name in dict.fromkeys(steps) if name not in graph]
        if not level:
            break
    return Held(resolve(graph, principal), found[0])


def _level(connection: apsw.Connection, names: list[str]) -> dict[str, Node]:
    """Return those of *names* that are enabled, each with the steps that lead on from it."""
    listed = _encode(names).decode()
    own = {
        id: (_names(scopes), _names(denied))
        for id, scopes, denied in connection.execute(_PRINCIPALS, (listed,))
    }
    groupings: dict[str, list[str]] = {}
    for member, grouping in connection.execute(_GROUPINGS, (listed, listed)):
        groupings.setdefault(member, []).append(grouping)
    delegations: dict[str, list[Delegation]] = {}
    for delegate, delegator, scopes, narrowable in connection.execute(_DELEGATIONS, (listed,)):
        lent = Delegation(delegator, _names(scopes), bool(narrowable))
        delegations.setdefault(delegate, []).append(lent)
    granted: dict[str, set[tuple[str, str]]] = {}
    refused: dict[str, set[tuple[str, str]]] = {}
    for holder, resource, action, deny in connection.execute(_GRANTS, (listed,)):
        side = refused if deny else granted
        side.setdefault(holder, set()).add((resource, action))
    return {
        id: Node(
            scopes,
            denied,
            tuple(groupings.get(id, ())),
            tuple(delegations.get(id, ())),
            frozenset(granted.get(id, ())),
            frozenset(refused.get(id, ())),
        )
        for id, (scopes, denied) in own.items()
    }
