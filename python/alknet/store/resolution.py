"""How rights follow from the graph of rights. A value machine: no database, no clock.

*Paths.* From a principal lead steps to whatever it belongs to, and to whoever delegates to it. A
path is at most MAX_DEPTH steps long and meets no principal twice, so a cycle adds nothing. A
principal that is not enabled has nothing, gives nothing and denies nothing: every path through it
is cut.

*Scopes.* A principal has the union, over its paths, of the scopes that the principal at their end
has of its own, narrowed by every delegation on the path: what is left is what both the scope and
one of the delegation's scopes cover. So a delegation never widens. Who has been lent something may
lend it on only if that is said to be narrowable: on a path, all delegations but the first one must
be.

*Denials.* A scope is denied to a principal if it, or anything it belongs to over at most MAX_DEPTH
steps, denies it. Deny wins: it counts whatever the paths give. Denials do not travel over
delegations, or whoever lends a little could take all away; but what overlaps with a denial of the
lender's is not lent.

*Resources.* A principal may do on a resource what it, or anything it belongs to over at most
MAX_DEPTH steps, is granted, unless one of these is denied it. Delegations lend none.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from alknet.protocol.storage.rights import Rights

MAX_DEPTH: Final = 16


class Delegation(NamedTuple):
    """What `delegator` lends."""

    delegator: str
    scopes: frozenset[str]
    narrowable: bool


class Node(NamedTuple):
    """An enabled principal, and the steps that lead on from it.

    A grant or a refusal is of an action on a resource, as (resource, action).
    """

    scopes: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    groupings: tuple[str, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    granted: frozenset[tuple[str, str]] = frozenset()
    refused: frozenset[tuple[str, str]] = frozenset()


# Every enabled principal that a path leads to, at least; who is missing is not enabled.
Graph = Mapping[str, Node]


def resolve(graph: Graph, principal: str) -> Rights:
    """Return the rights of *principal*, by the rules above."""
    if principal not in graph:
        return Rights()
    granted: set[tuple[str, str]] = set()
    refused: set[tuple[str, str]] = set()
    for name in _belongings(graph, principal):
        granted |= graph[name].granted
        refused |= graph[name].refused
    resources: dict[str, set[str]] = {}
    for resource, action in granted - refused:
        resources.setdefault(resource, set()).add(action)
    return Rights(
        scopes=essence(_scopes(graph, principal)),
        denied=essence(_denied(graph, principal)),
        resources={name: frozenset(actions) for name, actions in sorted(resources.items())},
    )


def covers(pattern: str, scope: str) -> bool:
    """Tell whether whatever *scope* stands for, *pattern* does too."""
    return pattern == scope or (pattern.endswith("*") and scope.startswith(pattern[:-1]))


def narrowed(scopes: Iterable[str], by: Iterable[str]) -> frozenset[str]:
    """Return what is covered by one of *scopes* and by one of *by*."""
    by = tuple(by)
    found: set[str] = set()
    for scope in scopes:
        for other in by:
            # Two patterns are prefixes: they share nothing, or one has all that the other has.
            if covers(other, scope):
                found.add(scope)
            elif covers(scope, other):
                found.add(other)
    return frozenset(found)


def essence(scopes: Iterable[str]) -> frozenset[str]:
    """Return *scopes* without those that another one covers."""
    every = frozenset(scopes)
    return frozenset(
        scope
        for scope in every
        if not any(other != scope and covers(other, scope) for other in every)
    )


def _scopes(graph: Graph, principal: str) -> frozenset[str]:
    """Return what the paths of *principal* give.

    In rounds: after the nth, each principal has what its paths of n steps give. Walks that meet a
    principal twice are among these paths, and give nothing that the same walk without the detour
    does not: it is narrowed by fewer delegations. `lendable` is what each may lend on.
    """
    reach = _reached(graph, principal, lambda node: (*node.groupings, *_delegators(node)))
    held = {name: graph[name].scopes for name in reach}
    lendable = dict(held)
    denied = {
        each.delegator: _denied(graph, each.delegator)
        for name in reach
        for each in graph[name].delegations
        if each.delegator in graph
    }
    for _ in range(MAX_DEPTH):
        before, before_lendable = held, lendable
        held, lendable = {}, {}
        for name in reach:
            node = graph[name]
            own, to_lend = set(node.scopes), set(node.scopes)
            for grouping in node.groupings:
                own |= before.get(grouping, frozenset())
                to_lend |= before_lendable.get(grouping, frozenset())
            for each in node.delegations:
                if each.delegator not in before_lendable:
                    continue
                lent = {
                    scope
                    for scope in narrowed(before_lendable[each.delegator], each.scopes)
                    if not _overlaps(scope, denied[each.delegator])
                }
                own |= lent
                if each.narrowable:
                    to_lend |= lent
            held[name], lendable[name] = frozenset(own), frozenset(to_lend)
        if (held, lendable) == (before, before_lendable):
            break
    return held[principal]


def _delegators(node: Node) -> tuple[str, ...]:
    return tuple(each.delegator for each in node.delegations)


def _denied(graph: Graph, principal: str) -> frozenset[str]:
    return frozenset().union(*(graph[name].denied for name in _belongings(graph, principal)))


def _overlaps(scope: str, denied: Iterable[str]) -> bool:
    return any(covers(each, scope) or covers(scope, each) for each in denied)


def _belongings(graph: Graph, principal: str) -> list[str]:
    return _reached(graph, principal, lambda node: node.groupings)


def _reached(graph: Graph, principal: str, steps: Callable[[Node], tuple[str, ...]]) -> list[str]:
    """Return *principal* and all that it reaches over at most MAX_DEPTH *steps*."""
    # Only the keys count: a set would forget in which order they were found.
    found = {principal: None}
    level = [principal]
    for _ in range(MAX_DEPTH):
        further = {name: None for at in level for name in steps(graph[at]) if name in graph}
        level = [name for name in further if name not in found]
        if not level:
            break
        found.update(dict.fromkeys(level))
    return list(found)
