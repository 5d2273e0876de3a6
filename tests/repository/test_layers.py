"""Imports run one way: what stands below knows nothing of what stands above."""

from functools import cache

import pytest

from .sources import imports, modules

# Each layer may import itself and what is named here; everybody may import FOR_ALL.
FOR_ALL = {"protocol", "errors", "identity", "keys"}
MAY_IMPORT = {
    "__init__": {"*"},
    "__main__": {"cli"},
    "cli": {"*"},
    "testing": {"*"},
    "node": {
        "acceptor",
        "elsewhere",
        "forwarding",
        "peering",
        "stack",
        "services",
        "runtime",
        "call",
        "transport",
        "wire",
        "settings",
        "quota",
        "worker",
    },
    "acceptor": {"runtime", "call", "transport", "wire", "settings", "quota"},
    "elsewhere": {"runtime", "call"},
    "peering": {"dialer", "runtime", "call", "transport", "wire"},
    "stack": {"services", "settings"},
    "worker": {"runtime", "call", "_core"},
    "connect": {"dialer", "runtime", "call", "transport", "wire"},
    "dialer": {"runtime", "call", "transport", "wire"},
    "forwarding": {"call", "transport", "quota", "wire"},
    "services": {"runtime", "call", "store", "wire", "quota", "forwarding"},
    "store": {"_core"},
    "runtime": {"_core", "call", "wire", "quota", "forwarding"},
    "quota": set(),
    "call": {"wire", "turnstile", "_core"},
    "transport": {"wire", "turnstile", "_core", "quota"},
    "turnstile": set(),
    "settings": {"wire"},
    "logs": set(),
    "tracing": {"call", "_core"},
    "wire": {"_core"},
    "keys": {"_core", "errors"},
    "protocol": set(),
    "identity": set(),
    "errors": set(),
}
MODULES = dict(modules())


def layer(module):
    """Return the layer that *module* belongs to: what follows `alknet.`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@cache
def arrows():
    """Return what imports what, within alknet, as (importer, line, imported module)."""
    return list(_arrows())


def _arrows():
    for module, path in MODULES.items():
        for name, line in imports(path):
            if name.split(".")[0] == "alknet":
                imported = name
                while imported not in MODULES and not imported.startswith("alknet._core"):
                    imported = imported.rpartition(".")[0]
                yield module, line, imported


def test_every_module_belongs_to_a_layer_that_is_known():
    assert {layer(module) for module in MODULES} <= set(MAY_IMPORT)


@pytest.mark.parametrize("importer", sorted({module for module, _, _ in arrows()}))
def test_imports_run_one_way(importer):
    own = layer(importer)
    allowed = {own} | MAY_IMPORT[own] | (FOR_ALL if own not in FOR_ALL else set())
    if own == "protocol":
        allowed |= {"errors", "identity"}
    wrong = [
        f"{importer}:{line} imports {imported}"
        for module, line, imported in arrows()
        if module == importer and not {layer(imported), "*"} & allowed
    ]

    assert not wrong


def test_services_never_import_each_other():
    for module, line, imported in arrows():
        if layer(module) == layer(imported) == "services" and module != "alknet.services":
            own, other = module.split(".")[2], imported.split(".")[2:3]
            assert [own] == other, (
                f"{module}:{line} imports {imported}: call it through the context"
            )


def test_no_module_needs_one_that_needs_it():
    """Not even for types: a knot is untied by saying what is needed, in a file of its own."""
    needs = {}
    for module, _, imported in arrows():
        if imported in MODULES and imported != module:
            needs.setdefault(module, set()).add(imported)

    def rings(module, path):
        if module in path:
            yield [*path[path.index(module) :], module]
            return
        if module in done:
            return
        for imported in sorted(needs.get(module, ())):
            yield from rings(imported, [*path, module])
        done.add(module)

    done = set()
    found = [ring for module in sorted(needs) for ring in rings(module, [])]
    assert not found


def test_only_transports_open_sockets():
    openers = {"socket", "ssl", "websockets", "asyncssh"}
    makers = {"open_tcp_listeners", "open_tcp_stream", "serve_tcp", "open_ssl_over_tcp_stream"}
    for module, path in MODULES.items():
        if layer(module) == "transport":
            continue
        for name, line in imports(path):
            assert name.split(".")[0] not in openers, f"{module}:{line} imports {name}"
        text = path.read_text(encoding="utf-8")
        assert not [maker for maker in makers if maker in text], module


@pytest.mark.parametrize("layer_", ["wire", "protocol", "errors", "identity"])
def test_what_never_waits_knows_no_trio(layer_):
    for module, path in MODULES.items():
        if layer(module) == layer_:
            assert not [name for name, _ in imports(path) if name.split(".")[0] == "trio"], module
