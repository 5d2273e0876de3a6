"""Offer: what a node tells another that it answers, its peers' operations among them."""

from collections.abc import Iterator

from alknet.call.peers import Peers
from alknet.call.registry import Registry
from alknet.protocol.directory import Offer
from alknet.wire.limits import MOST_HOPS


def own(registry: Registry) -> Iterator[Offer]:
    """Yield the operations of *registry* that others may know of."""
    for entry in registry:
        spec = entry.spec
        if spec.visibility == "external":
            yield Offer(
                name=spec.name,
                namespace=spec.namespace,
                kind=spec.kind,
                description=spec.description.partition("\n")[0],
                confidential=spec.confidential,
                access=spec.access,
            )


def passed_on(peers: Peers, *, never: frozenset[str]) -> Iterator[Offer]:
    """Yield what *peers* answer, as `worker-1/echo/say`.

    What would lead through one of the nodes called *never* is left out, and what would lead through
    a node twice or through more nodes than may pass a call on: two nodes that offer each other what
    they have would else never be done.
    """
    for node, name, kind, is_confidential, rule in peers.offers():
        path = f"{node}/{name}"
        nodes = path.split("/")[:-2]
        if len(nodes) < MOST_HOPS and len(set(nodes)) == len(nodes) and not never & set(nodes):
            yield Offer(
                name=path,
                namespace=node,
                kind=kind,
                description=f"Passed on to {nodes[-1]}.",
                confidential=is_confidential,
                access=rule,
            )
