"""Resources: what a request is about, read where its declaration says it stands."""

import msgspec
import pytest

from alknet.call.resource import ListedResources, resource_of
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
