"""Sets of rows of a table: what their settings share, and rows as a dataset."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import TableDataset
from w2s_groups.data.columns import Missing, typed
from w2s_groups.data.files.table import Table
from w2s_groups.data.ondisk import OnDisk
from w2s_groups.data.rows import Codes
from w2s_groups.design.groups import Groups

log = logging.getLogger("w2s_groups")


@dataclass
class Rows(OnDisk):
    """Rows of a table.

    columns: the inputs; empty: all columns but those of y, a and the split. drop: columns to leave
    out of them. categories: inputs of numbers that are names, such as codes. missing: what to do
    about a missing value. minority: (y, a) pairs; empty means a != y.
    """

    columns: list[str] = MISSING
    drop: list[str] = MISSING
    categories: list[str] = MISSING
    missing: Missing = MISSING
    minority: list[list[int]] = MISSING

    def whole(
        self,
        table: Table,
        inputs: Sequence[str],
        labels: tuple[Codes, Codes, Codes],
        groups: Groups,
    ) -> tuple[TableDataset, NDArray[np.bool_]]:
        """All rows of a table in its order, named by line or row, and which `missing` keeps (N,).

        inputs: its columns to learn from. labels: (N,) y, a and split. Raises InputError for
        columns as `typed` does.
        """
        names = tuple(f"{table.unit} {line}" for line in table.lines)
        kinds, numbers, codes, keep = typed(table, inputs, self.categories, self.missing)
        dataset = TableDataset(
            self.name,
            *labels,
            groups,
            files=names,
            columns=kinds,
            numbers=numbers,
            categories=codes,
            **self.shown.names(table),
        )
        return dataset, keep


def kept(dataset: TableDataset, keep: NDArray[np.bool_]) -> TableDataset:
    """The rows of a mask (N,), and a line in the log on the others; InputError if it is empty."""
    if keep.all():
        return dataset
    if not keep.any():
        raise InputError(
            f"data.missing=drop leaves no row of {dataset.name}: each lacks a value; list columns "
            "with many missing values in data.drop"
        )
    n = len(keep)
    log.info("data.missing=drop: %d of %d rows lack a value: left out", n - keep.sum(), n)
    return dataset.only(keep)
