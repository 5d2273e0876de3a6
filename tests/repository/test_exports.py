"""The public surface: what `__all__` says is what there is, and each name says what it is."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import alknet

from .sources import modules

MODULES = dict(modules())
# To import alknet.__main__ is to run it.
IMPORTABLE = [name for name in MODULES if name != "alknet.__main__"]
PUBLIC = [name for name in IMPORTABLE if hasattr(importlib.import_module(name), "__all__")]


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_sorted_and_bound(name):
    module = importlib.import_module(name)

    assert list(module.__all__) == sorted(module.__all__, key=_constants_classes_functions)
    assert len(set(module.__all__)) == len(module.__all__)
    for each in module.__all__:
        assert hasattr(module, each), each


def _constants_classes_functions(name):
    return not name.isupper(), not name[0].isupper(), name


def test_what_the_package_binds_is_what_it_exports():
    bound = {
        name
        for name, value in vars(alknet).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }

    assert bound | {"__version__"} == set(alknet.__all__)


@pytest.mark.parametrize("name", alknet.__all__)
def test_every_public_name_says_what_it_is(name):
    value = getattr(alknet, name)
    if inspect.isclass(value) or callable(value):
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_begins_by_saying_what_it_is(name):
    docstring = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))

    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", "?", "!")), docstring.splitlines()[0]


@pytest.mark.parametrize("name", IMPORTABLE)
def test_every_public_class_and_method_of_the_surface_is_documented(name):
    module = importlib.import_module(name)
    for each, value in vars(module).items():
        is_own = getattr(value, "__module__", None) == name
        if is_own and not each.startswith("_") and (inspect.isclass(value) or callable(value)):
            assert inspect.getdoc(value), f"{name}.{each}"


def test_importing_alknet_is_enough_to_use_it_and_needs_no_command_line():
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import sys, alknet; print([m for m in ('typer', 'click') if m in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")
