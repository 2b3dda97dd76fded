"""A contract type for import-linter that lists what is allowed; pyproject.toml holds the lists.

Import-linter's own contracts list what is forbidden, so whatever nobody thought of passes. Here an import between
rooms that is not listed is refused, and so is a module or a package that belongs to no listed room.
"""

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class TableField(fields.Field[dict[str, list[str]]]):
    """A table of lists: room -> packages."""

    def parse(self, raw_data: Any) -> dict[str, list[str]]:
        if not isinstance(raw_data, dict) or not all(isinstance(names, list) for names in raw_data.values()):
            raise fields.ValidationError("must be a table of lists")
        return raw_data


class AllowContract(Contract):
    """Every import between rooms, also one inside a function or for type checking only, must be listed.

    A room is a package with an entry in `rooms`; of nested entries the longest counts. A module is free to import its
    own room. A package whose sub-packages have entries of their own imports nothing of ours.

    Options:
        rooms: room -> rooms or packages that it may import.
        third_party: room -> packages of others that it may import, beside the standard library; no entry is all.
        plugins: rooms whose packages are imported by nobody but themselves, nor by each other.
        not_rooms: packages beside the rooms that import-linter does not look at.
    """

    rooms = TableField()
    third_party = TableField(default={})
    plugins = fields.ListField(subfield=fields.StringField(), default=[])
    not_rooms = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - import-linter's signature
        roots: list[str] = self.session_options["root_packages"]
        allowed: Mapping[str, list[str]] = vars(self)["rooms"]
        faults = [*_unlisted(roots, vars(self)["not_rooms"]), *_vanished(graph, allowed)]
        for module in sorted(module for module in graph.modules if module.partition(".")[0] in roots):
            room = _room(module, allowed)
            if room is None:
                faults.append(f"{module} belongs to no room: add one to pyproject.toml, or move it into one")
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                if (rule := self._broken(graph, module, room, imported)) is not None:
                    faults.append(
                        f"{module} (line {_lines(graph, module, imported)}) must not import {imported}; {rule}"
                    )
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def _broken(self, graph: ImportGraph, module: str, room: str, imported: str) -> str | None:
        """The rule that this import breaks; None: it breaks none."""
        name, allowed = imported.partition(".")[0], vars(self)["rooms"].get(room, [])
        if name not in self.session_options["root_packages"]:
            free = vars(self)["third_party"].get(room)
            fine = free is None or name in free or name in sys.stdlib_module_names
            return None if fine else f"allowed: {', '.join(free)}"
        for plugin in (child for one in vars(self)["plugins"] for child in graph.find_children(one)):
            inside = _within(imported, plugin) and not _within(module, plugin)
            if inside and graph.find_children(plugin):
                return f"{plugin} is loaded by its name"
        own = (room,) if room in vars(self)["rooms"] else ()
        fine = any(_within(imported, one) for one in (*allowed, *own))
        return None if fine else f"allowed: {', '.join(allowed) or 'nothing of ours'}"

    def render_broken_contract(self, check: ContractCheck) -> None:
        for fault in check.metadata["faults"]:
            output.print_error(fault, bold=False)


def _unlisted(roots: list[str], not_rooms: list[str]) -> Iterator[str]:
    """Packages and modules beside the root packages that nothing speaks of."""
    spec = importlib.util.find_spec(roots[0])
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parents[1]
    found = {
        path.relative_to(folder).parts[0].removesuffix(".py")
        for path in (*folder.glob("*.py"), *folder.glob("[!.]*/*.py"))
    }
    for name in sorted(found - {*roots, *not_rooms}):
        yield f"{name} is a new room: list it in pyproject.toml, with what it may import"


def _vanished(graph: ImportGraph, rooms: Mapping[str, list[str]]) -> Iterator[str]:
    """Entries that allow nothing, since what they name was moved or misspelt."""
    for name in sorted({*rooms, *(name for names in rooms.values() for name in names)} - graph.modules):
        yield f"`{name}` is listed and does not exist: correct pyproject.toml"


def _room(module: str, rooms: Mapping[str, list[str]]) -> str | None:
    """The longest entry that holds the module; a package above entries is a room of its own that imports nothing."""
    holding = [room for room in rooms if _within(module, room)]
    if not holding:
        return module if any(_within(room, module) for room in rooms) else None
    return max(holding, key=len)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _lines(graph: ImportGraph, module: str, imported: str) -> str:
    found = {detail["line_number"] for detail in graph.get_import_details(importer=module, imported=imported)}
    return ", ".join(map(str, sorted(found)))
