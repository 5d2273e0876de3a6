"""Resources: what a request is about, read where its declaration says it stands."""

import msgspec
import pytest

from alknet.call.resource import ListedResources, Ownerships, resource_of
from alknet.errors import InvalidInput
from alknet.identity import Identity


class Disk(msgspec.Struct):
    id: str


class Read(msgspec.Struct):
    disk: Disk
    many: tuple[Disk, ...] = ()
    number: int = 7
    flag: bool = True
    nothing: str | None = None
    odd: dict[str, str] = {}


REQUEST = Read(Disk("d1"), (Disk("d2"), Disk("d3")), odd={"a/b": "x", "c~d": "y"})


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        (None, None),
        ("/disk/id", "d1"),
        ("/many/1/id", "d3"),
        ("/number", "7"),
        ("/odd/a~1b", "x"),
        ("/odd/c~0d", "y"),
    ],
)
def test_the_id_is_found_where_the_pointer_leads(pointer, found):
    assert resource_of(pointer, REQUEST) == found


@pytest.mark.parametrize(
    "pointer", ["/disk", "/many", "/many/2/id", "/many/x/id", "/flag", "/nothing", "/none", "/"]
)
def test_where_there_is_no_id_the_input_is_at_fault(pointer):
    with pytest.raises(InvalidInput, match="the input names no resource") as caught:
        resource_of(pointer, REQUEST)
    assert caught.value.details == {"field": pointer.removeprefix("/").replace("/", ".")}


@pytest.mark.parametrize(
    ("kind", "resource", "action", "owns"),
    [
        ("disk", "1", "read", True),
        ("disk", "1", "write", False),
        ("disk", "2", "read", False),
        ("disk", "", "read", False),
        ("net", "1", "read", False),
    ],
)
def test_what_an_identity_lists_is_what_it_owns(kind, resource, action, owns):
    ann = Identity("ann", frozenset(), {"disk:1": frozenset({"read"})})

    assert ListedResources().owns(ann, kind, resource, action) is owns


def test_any_resource_of_the_kind_will_do_where_any_is_asked_for():
    ann = Identity("ann", frozenset(), {"disk:1": frozenset({"read"}), "diskette:1": frozenset()})
    listed = ListedResources()

    assert listed.owns_any(ann, "disk", "read")
    assert not listed.owns_any(ann, "disk", "write")
    assert not listed.owns_any(ann, "diskette", "read")
    assert not listed.owns_any(ann, "dis", "read")


class Made:
    """Who made a resource may do anything with it."""

    def __init__(self, **makers):
        self.makers = makers

    def owns(self, identity, kind, resource, action):
        return self.makers.get(resource) == identity.id

    def owns_any(self, identity, kind, action):
        return identity.id in self.makers.values()


def test_a_provider_knows_of_its_kind_beside_what_an_identity_lists():
    everything = Ownerships()
    everything.provide("box", Made(b1="ann"))
    ann = Identity("ann", resources={"box:b2": frozenset({"open"}), "disk:1": frozenset({"read"})})

    assert everything.owns(ann, "box", "b1", "open")
    assert everything.owns(ann, "box", "b2", "open")
    assert everything.owns(ann, "disk", "1", "read")
    assert not everything.owns(ann, "box", "b2", "shut")
    assert not everything.owns(ann, "disk", "b1", "read"), "of another kind it knows nothing"
    assert everything.owns_any(ann, "box", "shut")
    assert not everything.owns_any(Identity("bob"), "box", "shut")


def test_one_provider_is_asked_about_a_kind():
    everything, made = Ownerships(), Made(b1="ann")
    everything.provide("box", made)
    everything.provide("box", made)
    with pytest.raises(ValueError, match="by another service already"):
        everything.provide("box", Made())
    everything.withdraw("box")
    assert not everything.owns(Identity("ann"), "box", "b1", "open")
