"""`w2s-groups results show|export|verify|compact`: what is stored, checked, as one file."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import write_atomic
from w2s_groups.core.text import count, wrapped
from w2s_groups.results import compaction, failures, parquet, store
from w2s_groups.results.method_facts import method_order
from w2s_groups.schema.fields import NO_EXPERIMENTS
from w2s_groups.similarity import table

_OTHERS = {"pairs", "theory"}  # what a run may leave without a cell
_EXPORTS = (".csv", ".csv.gz", ".parquet")


def main(arguments: list[str]) -> int:
    """0: done; 1: `verify` found a fault, or `compact` left a damaged file; 2: a mistake."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="w2s-groups results", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="show|export|verify|compact")
    for name, run, text in (
        ("show", _show, "cells of each experiment: how many, of which grid, which code"),
        ("export", _export, "the long table of an experiment, one row a record, as one file"),
        ("verify", _verify, "check checksums, names, schema and duplicates"),
        ("compact", _compact, "fold an experiment's cell files into one Parquet file"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("experiment", nargs="*", help="experiments; all if none is named")
        command.add_argument(
            "--results-dir", type=Path, default=Path("results"), help="default: results"
        )
        if name == "export":
            command.add_argument(
                "--to", type=Path, required=True, help="a file: " + ", ".join(_EXPORTS)
            )
        command.set_defaults(run=run)
    return parser


def _folders(options: argparse.Namespace) -> list[Path]:
    """The experiments' folders that hold cells; InputError for one that is not there."""
    root: Path = options.results_dir
    there = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    present = {
        path.name: path
        for path in there
        if path.name not in NO_EXPERIMENTS and (store.keys(path) or failures.load(path))
    }
    if not present and not options.experiment and {path.name for path in there} & _OTHERS:
        print(f"{root}: no cells of an experiment")
    elif not present:
        raise InputError(f"--results-dir={root} holds no results; run an experiment, or name it")
    for name in options.experiment:
        if name not in present:
            raise unknown_name(f"experiment in {root}", name, present)
    return [present[name] for name in options.experiment or present]


def _show(options: argparse.Namespace) -> int:
    for folder in _folders(options):
        loose, folded = store.loose(folder), parquet.keys(folder)
        cells = {*loose, *folded}
        versions = Counter(key.rpartition("-")[2] for key in cells)
        code = ", ".join(f"{n} by code {v}" for v, n in sorted(versions.items()))
        print(
            f"{folder.name}: {len(cells)} cells ({code}), {len(loose)} of them files of their own"
        )
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
        failed = failures.load(folder)
        for failure in failed:
            print(f"  failed: {failures.sentence(failure)}")
    return 0


def _range(values: pd.Series) -> str:
    found = sorted(values.unique())
    if len(found) <= 5:
        return "/".join(f"{value:g}" for value in found)
    return f"{found[0]:g}..{found[-1]:g} ({len(found)} values)"


def _export(options: argparse.Namespace) -> int:
    to: Path = options.to
    if not to.name.endswith(_EXPORTS):
        raise InputError(f"--to={to} must end in {', '.join(_EXPORTS)}")
    folders = _folders(options)
    if len(folders) > 1:
        names = ", ".join(folder.name for folder in folders)
        raise InputError(f"export takes one experiment: name one of {names}")
    (folder,) = folders
    table = store.load(folder, store.keys(folder)).sort_values(
        ["cell", "method", "split", "metric", "y", "a"], kind="stable"
    )
    if to.name.endswith(".parquet"):
        data = table.to_parquet(index=False)
        assert data is not None
    else:
        data = table.to_csv(index=False, lineterminator="\n").encode()
        if to.name.endswith(".gz"):
            import gzip

            data = gzip.compress(data, mtime=0)
    write_atomic(to, data)
    print(f"{to}: {len(table)} records of {table['cell'].nunique()} cells")
    return 0


def _verify(options: argparse.Namespace) -> int:
    faults = 0
    for folder in _folders(options):
        found = compaction.verify(folder)
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
            except (OSError, ValueError) as error:
                lost += 1
                print(f"{path} is damaged: {error}; delete it and it is measured again")
        faults += lost
        state = f"{lost} faults" if lost else "all whole"
        print(f"pairs: dimensions of {count(len(pairs), 'pair')} of networks, {state}")
    return 1 if faults else 0


def _compact(options: argparse.Namespace) -> int:
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
