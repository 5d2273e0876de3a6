"""Who answers: one file or folder a service.

A module of this package that defines a Service is found by `available`, and a table of its
namespace in stack.toml turns it on. Nothing else has to be edited to add one.
"""

import importlib
import pkgutil

from alknet.runtime.service import Service


def available() -> dict[str, type[Service]]:
    """Return every service of this package by its namespace."""
    found: dict[str, type[Service]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Service) and value.handlers:
                found[value.namespace] = value
    return found
