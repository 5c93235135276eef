"""What `w2s-groups results` does: each function takes the options of its command."""

from __future__ import annotations

import argparse
import gzip
from collections import Counter
from pathlib import Path

from w2s_groups.cli import merge as merging
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.spreadsheet import to_csv
from w2s_groups.core.text import count, wrapped
from w2s_groups.results import compaction, failures, outputs, parquet, store, submitted
from w2s_groups.results.method_facts import method_order
from w2s_groups.results.scores.of_cells import scored
from w2s_groups.schema.fields import NO_EXPERIMENTS
from w2s_groups.similarity import table

EXPORTS = (".csv", ".csv.gz", ".parquet")
_OTHERS = {"pairs", "theory"}  # what a run may leave without a cell


def _folders(options: argparse.Namespace) -> list[Path]:
    """The experiments' folders that hold cells; InputError for one that is not there."""
    root: Path = options.results_dir
    there = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    present = {
        path.name: path
        for path in there
        if path.name not in NO_EXPERIMENTS
        and (store.holds_cells(path) or failures.load(path) or submitted.paths(path))
    }
    if not present and not options.experiment and {path.name for path in there} & _OTHERS:
        print(f"{root}: no cells of an experiment")
    elif not present:
        raise InputError(f"--results-dir={root} holds no results; run an experiment, or name it")
    for name in options.experiment:
        if name not in present:
            raise unknown_name(f"experiment in {root}", name, present)
    return [present[name] for name in options.experiment or present]


def show(options: argparse.Namespace) -> int:
    """Print the cells of each experiment: how many, of which grid, by which code."""
    for folder in _folders(options):
        loose, folded = store.loose(folder), parquet.keys(folder)
        cells = {*loose, *folded}
        versions = Counter(key.rpartition("-")[2] for key in cells)
        code = ", ".join(f"{n} by code {v}" for v, n in sorted(versions.items()))
        single = f"{len(loose)} of them in files of their own"
        print(wrapped(f"{folder.name}: {count(len(cells), 'cell')} ({code}), {single}", "  "))
        table = store.load(folder, cells)
        for (data, teacher, student), rows in table.groupby(["data", "teacher", "student"]):
            grid = rows.drop_duplicates("cell")
            axes = ", ".join(
                f"{name} {_range(grid[name])}" for name in ("n_l", "n_u", "eta_l", "eta_u", "seed")
            )
            methods = ", ".join(method_order(rows["method"].unique()))
            print(f"  {data}, {teacher} -> {student}:")
            print(wrapped(f"    {len(grid)} cells, {axes}", "      "))
            print(wrapped(f"    methods: {methods}", "      "))
        for _, one in submitted.whole(folder):
            authors = ", ".join(one.card["authors"])
            line = f"  submitted: {one.name} by {authors}, {count(len(one.cells), 'cell')}"
            print(wrapped(f"{line} of {one.data}", "    "))
        if files := outputs.files(folder):
            size = sum(path.stat().st_size for path in files) / 2**20
            kept = len(cells & outputs.held(folder).keys())
            print(f"  outputs on the test rows: {count(kept, 'cell')}, {size:.1f} MiB")
        failed = failures.load(folder)
        for failure in failed:
            print(f"  failed: {failures.sentence(failure)}")
    return 0


def _range(values: pd.Series) -> str:
    found = sorted(values.unique())
    if len(found) <= 5:
        return "/".join(f"{value:g}" for value in found)
    return f"{found[0]:g}..{found[-1]:g} ({len(found)} values)"


def export(options: argparse.Namespace) -> int:
    """Write the long table of one experiment, or the measures of its outputs, to options.to."""
    to: Path = options.to
    if not to.name.endswith(EXPORTS):
        raise InputError(f"--to={to} must end in {', '.join(EXPORTS)}")
    folders = _folders(options)
    if len(folders) > 1:
        names = ", ".join(folder.name for folder in folders)
        raise InputError(f"export takes one experiment: name one of {names}")
    (folder,) = folders
    table, what = _measured(folder) if options.outputs else _records(folder)
    if to.name.endswith(".parquet"):
        data = table.to_parquet(index=False)
        assert data is not None
    else:
        remedy = "write a .parquet file, which spreadsheets do not open, or remove its cells"
        data = to_csv(table, remedy).encode()
        if to.name.endswith(".gz"):
            data = gzip.compress(data, mtime=0)
    write_atomic(to, data)
    print(f"{to}: {what}")
    return 0


def _records(folder: Path) -> tuple[pd.DataFrame, str]:
    """The long table, and how much it is."""
    own = store.load(folder, store.keys(folder))
    handed_in = submitted.table_of(one for _, one in submitted.whole(folder))
    table = pd.concat([t for t in (own, handed_in) if len(t)] or [own]).sort_values(
        ["cell", "method", "split", "metric", "y", "a"], kind="stable"
    )
    return table, f"{len(table)} records of {table['cell'].nunique()} cells"


def _measured(folder: Path) -> tuple[pd.DataFrame, str]:
    """The measures of stored outputs, and how many; InputError without outputs."""
    scores = scored(outputs.cells(folder, store.keys(folder)))
    if scores is None:
        raise InputError(
            f"{folder} holds no outputs; run the experiment again with store_outputs=true"
        )
    return scores.table, f"{len(scores.table)} rows of {outputs.files(folder)[0].parent}"


def verify(options: argparse.Namespace) -> int:
    """Check stored cells and pairs of networks; 1 if there is a fault."""
    faults = 0
    for folder in _folders(options):
        found = compaction.verify(folder)
        found.faults += [*submitted.faults(folder), *outputs.faults(folder)]
        faults += len(found.faults)
        for fault in found.faults:
            print(fault)
        state = f"{len(found.faults)} faults" if found.faults else "all whole"
        print(f"{folder.name}: {found.cells} cells, {found.records} records, {state}")
    pairs = sorted((options.results_dir / "pairs").glob("*.json"))
    if pairs and not options.experiment:
        lost = 0
        for path in pairs:
            try:
                table.read(path)
            except InputError as error:
                lost += 1
                print(error)
            except (OSError, ValueError) as error:
                lost += 1
                print(f"{path} is damaged: {error}; delete it and it is measured again")
        faults += lost
        state = f"{lost} faults" if lost else "all whole"
        print(f"pairs: dimensions of {count(len(pairs), 'pair')} of networks, {state}")
    return 1 if faults else 0


def compact(options: argparse.Namespace) -> int:
    """Join the cell files of each experiment; 1 if a damaged file was left."""
    left = 0
    for folder in _folders(options):
        cells, damaged = compaction.compact(folder)
        left += len(damaged)
        for line in damaged:
            print(f"{line}; left as it is")
        files = parquet.paths(folder)
        size = sum(path.stat().st_size for path in files) / 2**20
        print(f"{folder.name}: {cells} cells in {len(files)} Parquet file, {size:.1f} MiB")
    return 1 if left else 0


def merge(options: argparse.Namespace) -> int:
    """Add the results of other folders; 1 if a damaged file was left out."""
    plan = merging.planned(options.folders, options.results_dir)
    merging.write(plan)
    for line in plan.damaged:
        print(f"{line}; left out")
    print(
        f"{options.results_dir}: {count(len(plan.new), 'file')} added, {plan.there} there already"
    )
    return 1 if plan.damaged else 0
