"""The registry: which operations this node answers, and who answers each."""

from collections.abc import Iterable, Iterator

from alknet.call.access import unknown
from alknet.call.invocation import Entry
from alknet.protocol.request import AnyRequest


class Registry:
    """Operations by name and by request type.

    Registration is all or nothing, and a name is registered once: two services that claim the same
    name are a mistake at start, not a race at run time.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Entry] = {}
        self._by_type: dict[type[AnyRequest], Entry] = {}

    def add(self, entries: Iterable[Entry]) -> None:
        """Register all of *entries*, or none.

        Raises:
            ValueError: a name is taken, or stands twice in *entries*.
        """
        added: dict[str, Entry] = {}
        for entry in entries:
            name = entry.spec.name
            if name in self._by_name or name in added:
                raise ValueError(f"operation {name!r} is registered already")
            added[name] = entry
        self._by_name.update(added)
        self._by_type.update(
            {entry.request_type: entry for entry in added.values() if entry.request_type}
        )

    def remove(self, names: Iterable[str]) -> None:
        """Forget the operations called *names*; a name that is not registered is ignored."""
        for name in names:
            entry = self._by_name.pop(name, None)
            if entry is not None and entry.request_type is not None:
                self._by_type.pop(entry.request_type, None)

    def find(self, name: str) -> Entry:
        """Return the operation called *name* (`namespace/verb`).

        Raises:
            NotFound: there is none.
        """
        entry = self._by_name.get(name)
        if entry is None:
            raise unknown(name)
        return entry

    def find_type(self, request_type: type[AnyRequest]) -> Entry:
        """Return the operation that answers requests of *request_type*.

        One that was made by hand, under that type's name, will do; its `request_type` is None.

        Raises:
            NotFound: no service of this node answers it.
        """
        entry = self._by_type.get(request_type)
        if entry is not None:
            return entry
        declared = getattr(request_type, "__operation__", None)
        if declared is None:
            raise unknown(request_type.__name__)
        entry = self._by_name.get(declared.name)
        if entry is None or entry.request_type is not None:
            raise unknown(declared.name)
        return entry

    def get(self, name: str) -> Entry | None:
        """Return the operation called *name*, or None."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._by_name.values(), key=lambda entry: entry.spec.name))

    def __len__(self) -> int:
        return len(self._by_name)
