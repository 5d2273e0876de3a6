"""Rights follow from the graph as the rules say: held against every path, one by one."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alknet.store import resolution
from alknet.store.resolution import Delegation, Node, covers, essence, narrowed, resolve

# A small world, so that paths meet, circle and end; and scopes that cover one another or do not.
NAMES = "abcdef"
SCOPES = ("*", "s:*", "s:r", "s:rw", "s:r*", "t:*", "t:x", "u")
PROBES = ("s:r", "s:rw", "s:rx", "s:w", "t:x", "t:y", "u", "v")

scopes = st.frozensets(st.sampled_from(SCOPES), max_size=3)
names = st.sampled_from(NAMES)
acts = st.frozensets(
    st.tuples(st.sampled_from(("doc:1", "doc:2")), st.sampled_from(("read", "write"))), max_size=2
)
nodes = st.builds(
    Node,
    scopes=scopes,
    denied=st.frozensets(st.sampled_from(SCOPES[1:]), max_size=1),
    groupings=st.lists(names, max_size=2, unique=True).map(tuple),
    delegations=st.lists(
        st.builds(Delegation, names, scopes, st.booleans()),
        max_size=2,
        unique_by=lambda each: each.delegator,
    ).map(tuple),
    granted=acts,
    refused=acts,
)
# Who is not in it is not enabled.
graphs = st.dictionaries(names, nodes)


def paths(graph, at, depth, seen=()):
    """Yield every path from *at*: the steps as (principal, the delegation it was reached by)."""
    if at not in graph:
        return
    yield []
    if depth == 0:
        return
    for grouping in graph[at].groupings:
        if grouping not in (at, *seen):
            for rest in paths(graph, grouping, depth - 1, (at, *seen)):
                yield [(grouping, None), *rest]
    for each in graph[at].delegations:
        if each.delegator not in (at, *seen):
            for rest in paths(graph, each.delegator, depth - 1, (at, *seen)):
                yield [(each.delegator, each), *rest]


def memberships(graph, who, depth):
    """Return *who* and all that it belongs to."""
    return {
        path[-1][0] if path else who
        for path in paths(graph, who, depth)
        if all(delegation is None for _, delegation in path)
    }


def may(graph, who, scope, depth):
    """The oracle: tell whether *who* may *scope*, a plain one, by looking at every path."""
    if any(
        covers(each, scope)
        for name in memberships(graph, who, depth)
        for each in graph[name].denied
    ):
        return False
    return any(_gives(graph, who, path, scope, depth) for path in paths(graph, who, depth))


def _gives(graph, who, path, scope, depth):
    end = path[-1][0] if path else who
    delegations = [step for step in path if step[1] is not None]
    if any(not each.narrowable for _, each in delegations[1:]):
        return False
    # What is lent is whole patterns: follow one from the end of the path to its beginning.
    return any(
        _arrives(graph, pattern, list(reversed(delegations)), scope, depth)
        for pattern in graph[end].scopes
    )


def _arrives(graph, pattern, delegations, scope, depth):
    if not covers(pattern, scope):
        return False
    if not delegations:
        return True
    (lender, delegation), *rest = delegations
    denied = {each for name in memberships(graph, lender, depth) for each in graph[name].denied}
    for narrower in delegation.scopes:
        met = (
            narrower
            if covers(pattern, narrower)
            else pattern
            if covers(narrower, pattern)
            else None
        )
        if met is None or any(covers(each, met) or covers(met, each) for each in denied):
            continue
        if _arrives(graph, met, rest, scope, depth):
            return True
    return False


def allows(rights, scope):
    return any(covers(each, scope) for each in rights.scopes) and not any(
        covers(each, scope) for each in rights.denied
    )


@settings(max_examples=400, deadline=None)
@given(graph=graphs, who=names, depth=st.integers(0, 6))
def test_a_scope_is_held_just_if_a_path_gives_it_and_nothing_denies_it(graph, who, depth):
    before, resolution.MAX_DEPTH = resolution.MAX_DEPTH, depth
    try:
        rights = resolve(graph, who)
    finally:
        resolution.MAX_DEPTH = before
    for scope in PROBES:
        assert allows(rights, scope) == (who in graph and may(graph, who, scope, depth)), scope
    belongings = memberships(graph, who, depth)
    granted = {each for name in belongings for each in graph[name].granted}
    refused = {each for name in belongings for each in graph[name].refused}
    assert {
        (name, act) for name, acts in rights.resources.items() for act in acts
    } == granted - refused


@settings(deadline=None)
@given(graph=graphs, who=names)
def test_disabling_a_principal_cuts_every_path_through_it(graph, who):
    for other in NAMES:
        without = {name: node for name, node in graph.items() if name != other}
        if who == other:
            assert resolve(without, who) == resolution.Rights()
        elif who in graph:
            # As if nobody had ever belonged to it, or been lent anything by it.
            severed = {
                name: node._replace(
                    groupings=tuple(each for each in node.groupings if each != other),
                    delegations=tuple(each for each in node.delegations if each.delegator != other),
                )
                for name, node in graph.items()
            }
            assert resolve(without, who) == resolve(severed, who)


@settings(deadline=None)
@given(graph=graphs, delegator=names, lent=scopes)
def test_a_delegation_never_widens(graph, delegator, lent):
    """Who has nothing else has only what the delegation says, and only what the lender has."""
    rights = resolve(
        {**graph, "new": Node(delegations=(Delegation(delegator, lent, True),))}, "new"
    )
    lender = resolve(graph, delegator)
    for scope in PROBES:
        if allows(rights, scope):
            assert any(covers(each, scope) for each in lent)
            assert allows(lender, scope)
    assert rights.resources == {}


@given(first=scopes, second=scopes)
@example(frozenset({"s:*"}), frozenset({"s:r*"}))
def test_narrowing_leaves_what_both_cover(first, second):
    both = narrowed(first, second)
    for probe in PROBES:
        expected = all(any(covers(each, probe) for each in side) for side in (first, second))
        assert any(covers(each, probe) for each in both) == expected
        assert any(covers(each, probe) for each in essence(first)) == any(
            covers(each, probe) for each in first
        )


TEAM = {
    "ann": Node(groupings=("dev",), delegations=(Delegation("root", frozenset({"s:*"}), False),)),
    "bob": Node(delegations=(Delegation("ann", frozenset({"*"}), True),)),
    "dev": Node(frozenset({"t:*"}), groupings=("staff",), granted=frozenset({("doc:1", "read")})),
    "staff": Node(frozenset({"u"}), frozenset({"t:drop"}), ("dev",)),
    "root": Node(frozenset({"*"}), refused=frozenset({("doc:1", "read")})),
}


@pytest.mark.parametrize(
    ("who", "scopes", "denied"),
    [
        ("ann", {"t:*", "u", "s:*"}, {"t:drop"}),
        # Not s:*, which ann was not allowed to lend; and not t:*, of which ann is denied a part.
        ("bob", {"u"}, set()),
        ("dev", {"t:*", "u"}, {"t:drop"}),
        ("staff", {"t:*", "u"}, {"t:drop"}),
        ("root", {"*"}, set()),
        ("nobody", set(), set()),
    ],
)
def test_an_example(who, scopes, denied):
    rights = resolve(TEAM, who)
    assert (rights.scopes, rights.denied) == (scopes, denied)
    assert rights.resources == ({"doc:1": {"read"}} if who in ("ann", "dev", "staff") else {})


@pytest.mark.parametrize(("length", "reaches"), [(16, True), (17, False)])
def test_a_path_is_followed_so_far_and_no_further(length, reaches):
    graph = {str(n): Node(groupings=(str(n + 1),)) for n in range(length)}
    graph[str(length)] = Node(frozenset({"u"}), granted=frozenset({("doc:1", "read")}))
    rights = resolve(graph, "0")
    assert (bool(rights.scopes), bool(rights.resources)) == (reaches, reaches)
