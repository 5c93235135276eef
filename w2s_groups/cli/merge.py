"""Stores of several people joined: everything is read and compared before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.results import compaction, failures, store, submitted
from w2s_groups.results.store import Damaged, Stored
from w2s_groups.schema.fields import NO_EXPERIMENTS
from w2s_groups.similarity import table

PAIRS = "pairs"


@dataclass
class Plan:
    """What a merge will write. new: path -> content; source: path -> the file it comes from.

    there: entries that the target has already. damaged: a line for each file that cannot be read
    and is left out. cells: path of a cell in the target -> the file that holds it, and a digest of
    its numbers.
    """

    target: Path
    new: dict[Path, bytes] = field(default_factory=dict)
    source: dict[Path, Path] = field(default_factory=dict)
    there: int = 0
    damaged: list[str] = field(default_factory=list)
    cells: dict[Path, tuple[Path, str]] = field(default_factory=dict)

    def add(self, to: Path, source: Path, data: bytes | None = None) -> None:
        """Take a file that the target lacks."""
        self.new[to], self.source[to] = source.read_bytes() if data is None else data, source


def planned(folders: Sequence[Path], target: Path) -> Plan:
    """What to write so that the target holds the results of all folders too.

    InputError that names both files where the same key has other numbers in two places.
    """
    plan = Plan(target)
    for folder in folders:
        _check(folder, target)
    own = [target / one.name for folder in folders for one in _experiments(folder)]
    for to in dict.fromkeys(own):
        for path, cell in compaction.every(to, plan.damaged):
            plan.cells[to / f"{cell.key}.json"] = path, _digest(cell)
    for folder in folders:
        for one in _experiments(folder):
            _cells(plan, one)
            _submissions(plan, one)
        _pairs(plan, folder / PAIRS)
    for folder in folders:
        for one in _experiments(folder):
            _failures(plan, one)
    return plan


def _check(folder: Path, target: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a directory; name a folder of results")
    if folder.resolve() == target.resolve():
        raise InputError(f"{folder} is --results-dir itself; name the folders to add to it")
    if not _experiments(folder) and not (folder / PAIRS).is_dir():
        raise InputError(f"{folder} holds no results; name a folder such as results")


def write(plan: Plan) -> None:
    """Write what was planned, each file whole or not at all; after a stop another run goes on."""
    for path, data in plan.new.items():
        write_atomic(path, data)
        if path in plan.cells:
            failures.forget(path.parent, [path.stem])


def _experiments(folder: Path) -> list[Path]:
    """The experiments' folders that hold results."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir()
        and path.name not in NO_EXPERIMENTS
        and (store.holds_cells(path) or submitted.paths(path) or failures.load(path))
    ]


def _digest(cell: Stored) -> str:
    """Of all but the versions and the machine: the same numbers made twice are no conflict."""
    counts = cell.tested and cell.tested.as_json()
    return store.digest([cell.identity, cell.fields, cell.records, counts])


def _cells(plan: Plan, folder: Path) -> None:
    for path, cell in compaction.every(folder, plan.damaged):
        to, mine = plan.target / folder.name / f"{cell.key}.json", _digest(cell)
        if to not in plan.cells and to.is_file():
            continue  # damaged there, and named
        where, other = plan.cells.setdefault(to, (path, mine))
        _refuse_other(path, where, mine == other, f"cell {cell.key}")
        if where == path:
            plan.add(to, path, store.encoded(cell))
        else:
            plan.there += 1


def _refuse_other(one: Path, other: Path, same: bool, what: str) -> None:
    if not same:
        raise InputError(
            f"{one} and {other} hold {what} with different numbers; nothing was merged: find out "
            "which is right and remove the other"
        )


def _submissions(plan: Plan, folder: Path) -> None:
    """Submitted methods, against those of every experiment: a name belongs to its authors."""
    known = [*submitted.everywhere(plan.target)]
    known += [
        (source, submitted.read(source))
        for to, source in plan.source.items()
        if to.parent.name == submitted.FOLDER
    ]
    for path in submitted.paths(folder):
        try:
            one = submitted.read(path)
        except Damaged as error:
            plan.damaged.append(f"{path} is damaged: {error}")
            continue
        try:
            there = submitted.check(one, known)
        except InputError as error:
            raise InputError(f"{path}: {error}; nothing was merged") from error
        if there:
            plan.there += 1
        else:
            plan.add(plan.target / folder.name / submitted.FOLDER / path.name, path)


def _pairs(plan: Plan, folder: Path) -> None:
    """Dimensions of pairs of networks, which machines round differently: the first are kept."""
    for path in sorted(folder.glob("[!.]*.json")):
        to = plan.target / PAIRS / path.name
        where = plan.source.get(to, to)
        try:
            mine = _measured(path)
        except InputError as error:
            plan.damaged.append(str(error))
            continue
        except (OSError, ValueError) as error:
            plan.damaged.append(f"{path} is damaged: {error}")
            continue
        if not where.is_file():
            plan.add(to, path)
            continue
        try:
            other = _measured(where)
        except (OSError, ValueError) as error:
            plan.damaged.append(f"{where} is damaged: {error}; delete it and merge again")
            continue
        same = mine.keys() == other.keys() and all(
            np.isclose(mine[key], other[key], rtol=1e-4, atol=1e-6, equal_nan=True) for key in mine
        )
        _refuse_other(path, where, same, "dimensions of one pair of networks")
        plan.there += 1


def _measured(path: Path) -> dict[str, float]:
    found: dict[str, Any] = {row["key"]: row["value"] for row in table.read(path)}
    return {key: np.nan if value is None else float(value) for key, value in found.items()}


def _failures(plan: Plan, folder: Path) -> None:
    """Rows of cells that failed and that nobody has made."""
    for row in failures.load(folder):
        of = plan.target / folder.name
        to = of / failures.FOLDER / f"{row['cell']}.json"
        if of / f"{row['cell']}.json" in plan.cells or to in plan.new:
            continue
        if to.is_file():
            plan.there += 1
            continue
        source = folder / failures.FOLDER / to.name
        log, of_log = source.with_suffix(".log"), to.with_suffix(".log")
        if log.is_file() and not of_log.is_file():  # first: a row without its log would stay so
            plan.add(of_log, log)
        plan.add(to, source)
