"""Numeric targets of tables, and classes that are bins of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.data.files.table import Table

BINS = "bin of the target"  # the column that stands for y where data have no classes


def check_target(column: str | None, edges: Sequence[float] | None, y_column: str | None) -> None:
    """InputError unless y is a column or bins of the target, and not both.

    column: data.target_column; edges: data.target_edges.
    """
    if edges is None:
        if y_column is None:
            raise InputError(
                "data.y_column=null leaves no classes; name the column, or set data.target_column "
                "and data.target_edges, between which the target is cut into classes"
            )
        return
    given = f"data.target_edges={list(edges)}"
    if column is None:
        raise InputError(f"{given} cuts the target into classes; set data.target_column too")
    if y_column is not None:
        raise InputError(
            f"{given} makes classes, and data.y_column={y_column} has some; set "
            "data.y_column=null, or leave data.target_edges out"
        )
    rising = all(low < high for low, high in pairwise(edges))
    if not edges or not rising or not all(map(math.isfinite, edges)):
        raise InputError(f"{given} must list one finite number or more, rising; correct it")


def target_of(table: Table, column: str | None) -> NDArray[np.float64] | None:
    """(N,) numbers of a table's column; None for no column."""
    return None if column is None else table.numbers(column)


def binned(
    table: Table, column: str | None, edges: Sequence[float] | None, given: Sequence[str] | None
) -> tuple[Sequence[str] | None, Table]:
    """Names of the classes, and the table with the column BINS of their codes.

    As they are without edges. Class k holds targets from edge k - 1 to below edge k. given: the
    names, from the lowest class on; None: of their ends.
    """
    if column is None or edges is None:
        return given, table
    names = given or _names(edges)
    if len(names) != len(edges) + 1:
        raise InputError(
            f"data.class_names={list(names)}: {len(edges)} target_edges make {len(edges) + 1} "
            "classes; name each of them"
        )
    codes = np.searchsorted(np.asarray(edges), table.numbers(column), side="right")
    return names, replace(table, columns={**table.columns, BINS: tuple(map(str, codes.tolist()))})


def _names(edges: Sequence[float]) -> list[str]:
    """`below 140`, `140 to 200`, `200 or more`."""
    ends = [f"{edge:g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    return [f"below {ends[0]}", *between, f"{ends[-1]} or more"]
