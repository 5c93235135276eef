"""Methods that were trained elsewhere: a file each, joined to the cells that have the same draw.

A file holds the card, the test samples that are right by cell and group, and a checksum. It belongs
to draws and not to cells, whose keys depend on the settings of other methods.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import read_file, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.text import count
from w2s_groups.results import store
from w2s_groups.results.card import OF_DATA
from w2s_groups.results.columns import ACCURACY, COLUMNS, DEFAULTS, POINT, RUN, SETUP
from w2s_groups.results.store import Damaged
from w2s_groups.results.tested import Counts

FOLDER = "submitted"
_FIELDS = [*SETUP, *POINT, *RUN]
_ENTRIES = ("card", "data", "samples", "groups", "cells", "shown", "made_with")

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Submission:
    """A method on the draws of one dataset.

    card: as card.read gives it. samples: digest of the dataset. groups: of each group, its columns
    of the long table. cells: of each its `cell` (key of the draw), `draw` (digest of its rows),
    `fields`, and `right` and `n` by group; where intervals need counts by identity also `seen`,
    those that are right, in the order of shown[fold], which has their names and n.
    """

    card: dict[str, Any]
    data: str
    samples: str
    groups: list[dict[str, Any]]
    cells: list[dict[str, Any]]
    shown: dict[str, dict[str, Any]]
    made_with: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the method."""
        return str(self.card["name"])

    @property
    def file(self) -> str:
        """Name of its file: the same for the same method, dataset and draws."""
        of = [self.name, self.data, self.samples, sorted(cell["cell"] for cell in self.cells)]
        return f"{self.name}-{store.digest(of)[:16]}.json"


def encoded(one: Submission) -> bytes:
    """The file: JSON in one spelling, whose last entry is the checksum of all the others."""
    content = {name: getattr(one, name) for name in _ENTRIES}
    payload = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return payload[:-1] + b',"sha256":"%s"}' % hashlib.sha256(payload).hexdigest().encode()


def read(path: Path) -> Submission:
    """The submission in a file. Raises FileNotFoundError, InputError or Damaged, as store.read."""
    data = read_file(path)
    try:
        content = json.loads(data)
        one = Submission(**{name: content[name] for name in _ENTRIES})
        if encoded(one) != data:
            raise Damaged("its checksum differs")
        if one.file != path.name:
            raise Damaged("its name is not that of the method and draws inside")
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"it is not a file of a submitted method: {error}") from error
    return one


def paths(folder: Path) -> list[Path]:
    """Files of the submitted methods of an experiment's folder."""
    return sorted((folder / FOLDER).glob("[!.]*.json"))


def whole(folder: Path) -> Iterator[tuple[Path, Submission]]:
    """The submissions of a folder; a warning names each damaged file."""
    for path in paths(folder):
        try:
            yield path, read(path)
        except FileNotFoundError:
            continue
        except Damaged as error:
            log.warning("%s is damaged (%s) and left out: hand it in again", path, error)


def faults(folder: Path) -> list[str]:
    """A line for each damaged file of an experiment's folder, and for numbers in two versions."""
    lines: list[str] = []
    seen: list[tuple[Path, Submission]] = []
    for path in paths(folder):
        try:
            one = read(path)
            check(one, seen)
            seen.append((path, one))
        except Damaged as error:
            lines.append(f"{path} is damaged: {error}; hand it in again")
        except InputError as error:
            lines.append(f"{path}: {error}")
    return lines


def everywhere(root: Path) -> Iterator[tuple[Path, Submission]]:
    """The submissions of all experiments below a results_dir."""
    for below in sorted(root.glob(f"*/{FOLDER}")):
        yield from whole(below.parent)


def check(one: Submission, others: Iterable[tuple[Path, Submission]]) -> bool:
    """Whether it is there already; InputError where another file stands against it.

    That is a method of the same name by other authors, or with another card, or with other numbers
    for one of the draws.
    """
    mine = {cell["cell"]: _numbers(cell) for cell in one.cells}
    for path, other in others:
        if other.name.lower() != one.name.lower():
            continue
        for field in one.card:
            if field not in OF_DATA and other.card[field] != one.card[field]:
                raise InputError(
                    f"name={one.name} is the submitted method in {path}, which has "
                    f"{field}={other.card[field]}, not {one.card[field]}; choose another name, or "
                    "give both the same card"
                )
        shared = [cell for cell in other.cells if cell["cell"] in mine]
        differ = sum(_numbers(cell) != mine[cell["cell"]] for cell in shared)
        if differ:
            raise InputError(
                f"name={one.name} has other predictions for {count(differ, 'cell')} of {path}; "
                "choose another name for another training, or delete that file"
            )
        if len(shared) == len(mine):
            if other.card == one.card:
                return True
            if other.file == one.file:
                raise InputError(
                    f"name={one.name} has these predictions in {path} with other "
                    f"{' and '.join(f for f in OF_DATA if other.card[f] != one.card[f])}; delete "
                    "that file to correct its card"
                )
    return False


def _numbers(cell: Mapping[str, Any]) -> list[Any]:
    return [cell["draw"], cell["right"], cell["n"], cell.get("seen")]


def save(folder: Path, one: Submission) -> Path:
    """Write it below an experiment's folder; returns the path."""
    path = folder / FOLDER / one.file
    write_atomic(path, encoded(one))
    return path


def records(one: Submission, cell: Mapping[str, Any], key: str = "") -> list[dict[str, Any]]:
    """Rows of the long table. key: of the cell that they stand with; the draw's where empty."""
    return [
        {
            **DEFAULTS,
            "cell": key or cell["cell"],
            **cell["fields"],
            "method": one.name,
            "split": "test",
            "metric": ACCURACY,
            **group,
            "value": right / n if n else np.nan,
            "n": n,
            "submitted": True,
        }
        for group, right, n in zip(one.groups, cell["right"], cell["n"], strict=True)
    ]


def table_of(submissions: Iterable[Submission]) -> pd.DataFrame:
    """The long table of submissions by themselves, by the keys of their draws."""
    rows = [row for one in submissions for cell in one.cells for row in records(one, cell)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _counts(one: Submission, cell: Mapping[str, Any]) -> Counts | None:
    if "seen" not in cell:
        return None
    shown = one.shown[str(cell["fields"].get("fold", DEFAULTS["fold"]))]
    return Counts.of_json({**shown, "right": {one.name: cell["seen"]}})


@dataclass(frozen=True, eq=False)
class Attached:
    """A long table with the submitted methods of its cells.

    settings: what a report has to know about them, {} without any. counts: values of `_FIELDS` of a
    cell -> counts by identity of each.
    """

    table: pd.DataFrame
    settings: dict[str, Any]
    counts: Mapping[tuple[Any, ...], list[Counts]]

    def joined(
        self, cells: Iterable[tuple[Mapping[str, Any], Counts]]
    ) -> Iterator[tuple[Mapping[str, Any], Counts]]:
        """Fields and counts of cells, with those of the submitted methods."""
        for fields, counts in cells:
            for more in self.counts.get(_values(fields), []):
                if more.shown != counts.shown or not np.array_equal(more.n, counts.n):
                    raise InputError(
                        f"the submitted method {next(iter(more.right))} counts other samples than "
                        "the cells do; delete its file and score it again"
                    )
                counts = replace(counts, right={**counts.right, **more.right})
            yield fields, counts


def _values(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple({**DEFAULTS, **fields}[name] for name in _FIELDS)


def attached(folder: Path, table: pd.DataFrame, draws: Mapping[str, str]) -> Attached:
    """The table of cells with the submitted methods that have all draws of a setup.

    draws: key of a cell -> key of its draw. A method that lacks draws of a setup is left out of it,
    with a warning: means compare methods on the cells that all of them have.
    """
    here = _of_draws(folder, draws, set(table["data"]))
    rows: list[dict[str, Any]] = []
    counts: dict[tuple[Any, ...], list[Counts]] = {}
    shown: list[Submission] = []
    setups = table.drop_duplicates("cell").groupby(SETUP, sort=False)["cell"]
    for (setup, keys), (name, cells) in (
        (one, own) for one in setups for own in sorted(here.items())
    ):
        there = [key for key in keys if draws.get(key) in cells]
        if len(there) < len(keys):
            if there:
                log.warning("%s", _lacking(name, setup, len(there), len(keys)))
            continue
        for key in keys:
            one, cell = cells[draws[key]]
            shown.append(one)
            rows += records(one, cell, key)
            if (more := _counts(one, cell)) is not None:
                counts.setdefault(_values(cell["fields"]), []).append(more)
    if not rows:
        return Attached(table, {}, {})
    joined = pd.concat([table, pd.DataFrame(rows)[list(table.columns)]], ignore_index=True)
    return Attached(joined, {FOLDER: _facts(shown)}, counts)


def _of_draws(
    folder: Path, draws: Mapping[str, str], data: set[str]
) -> dict[str, dict[str, tuple[Submission, dict[str, Any]]]]:
    """Name of a method -> key of a draw -> its submission and cell."""
    wanted = set(draws.values())
    here: dict[str, dict[str, tuple[Submission, dict[str, Any]]]] = {}
    for path, one in whole(folder) if draws else ():
        own = {cell["cell"]: (one, cell) for cell in one.cells if cell["cell"] in wanted}
        if own:
            here.setdefault(one.name, {}).update(own)
        elif one.data in data:
            log.info("%s: %s was trained on other draws, and is not shown", path, one.name)
    return here


def _lacking(name: str, setup: tuple[Any, ...], there: int, total: int) -> str:
    data, teacher, student, *_ = setup
    return (
        f"the submitted method {name} has {there} of {total} cells of {data}, {teacher} -> "
        f"{student}, and is left out there; score its predictions on the draws of this run"
    )


def _facts(submissions: Iterable[Submission]) -> dict[str, Any]:
    """Name -> its card, with compute and networks of each dataset."""
    facts: dict[str, Any] = {}
    for one in sorted(dict.fromkeys(submissions), key=lambda one: (one.name, one.file)):
        card = facts.setdefault(one.name, {**one.card, **{field: {} for field in OF_DATA}})
        for field in OF_DATA:
            card[field][one.data] = one.card[field]
    return facts
