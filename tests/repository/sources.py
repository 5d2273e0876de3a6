"""The source files of alknet, and what they import."""

import ast
from pathlib import Path

import alknet

ROOT = Path(alknet.__file__).parent


def modules():
    """Yield the dotted name and the path of every module."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("alknet", *path.relative_to(ROOT).with_suffix("").parts)
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path):
    """Yield the dotted name and the line of everything that *path* imports, also for types."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write imports in full"
            for name in node.names:
                yield f"{node.module}.{name.name}", node.lineno
