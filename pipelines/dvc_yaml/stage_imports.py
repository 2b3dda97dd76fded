"""Which of our files a module needs: its imports, followed through our own rooms, without importing anything."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Parts of a task are imported by name at run time: whoever imports such a loader needs the part.
_LOADERS: Final = {f"load_{part}": part for part in ("schema", "cleaning", "windows")}


def closure(checkout: Path, module: str, task: str, skip: frozenset[str]) -> set[str]:
    """Files that the module imports, directly or not, itself included, as paths below `checkout`.

    A package's `__init__.py` is among them where something is imported from it, not where it only lies on the way.

    Args:
        module: dotted name.
        task: whose parts the loaders of tasks/__init__.py import.
        skip: paths that are left out, with what only they import.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        path = _path(checkout, waiting.pop())
        if path is None or path in skip | found:
            continue
        found.add(path)
        waiting += _imported(checkout, ast.parse((checkout / path).read_text(encoding="utf-8")), task)
    return found


def _imported(checkout: Path, tree: ast.AST, task: str) -> Iterator[str]:
    """Dotted names of modules; a name that is no file of ours leads nowhere."""
    for node in _run(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _path(checkout, inner) else node.module
                if node.module == "tasks" and alias.name in _LOADERS:
                    yield f"tasks.{task}.{_LOADERS[alias.name]}"


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that are run: what is imported for type checkers alone is left out."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from _run(node)


def _path(checkout: Path, module: str) -> str | None:
    stem = module.replace(".", "/")
    return next((path for path in (f"{stem}.py", f"{stem}/__init__.py") if (checkout / path).is_file()), None)
