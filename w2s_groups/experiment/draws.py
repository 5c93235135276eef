"""The draws of every cell of a configuration, by name, without any network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.roles import plain
from w2s_groups.data.base import Dataset
from w2s_groups.experiment import identity
from w2s_groups.experiment.block import draw_of
from w2s_groups.experiment.division import by_part, divided
from w2s_groups.experiment.inputs import Memory, load_dataset, question_of
from w2s_groups.experiment.pool import Pool, make_pool
from w2s_groups.experiment.prepare import check_cells, check_parts, original_of
from w2s_groups.schema.cells import OWN, Cell, cells
from w2s_groups.schema.config import Config

Rows = NDArray[np.int64]
SETS = ("labelled", "unlabelled", "validation", "test")


@dataclass(frozen=True, eq=False)
class Drawn:
    """The draw of one cell. fields: its columns of the long table. rows: SETS -> sorted rows.

    shown: (n_l,) classes of the labelled rows as a method sees them. digest: of all of these.
    """

    key: str
    fields: dict[str, Any]
    request: dict[str, Any]
    rows: dict[str, Rows]
    shown: Rows
    digest: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """The draws of all cells. ids: (N,) names of the samples; samples: digest of the dataset.

    pools: fold -> what its test samples show, where intervals need counts by identity; rows of
    such a pool: those of the dataset, by position.
    """

    dataset: Dataset
    ids: tuple[str, ...]
    samples: str
    cells: list[Drawn]
    pools: dict[int, tuple[Pool, Rows]]


def draws_of(cfg: Config, memory: Memory | None = None) -> Drawing:
    """Load the dataset, check that its pool serves every cell, and draw.

    memory: may hold the dataset.

    The rows are those of a run of the same configuration. It uses every sample, or ends at one that
    cannot be read, unless on_bad_image=skip, which is not known here.
    """
    memory = memory or Memory(1)
    whole: Dataset = memory.get(question_of(cfg), lambda: load_dataset(cfg))
    original = original_of(cfg, whole)
    division = divided(cfg, whole)
    own = cells(cfg, original)
    everything = np.ones(len(whole.y), dtype=bool)
    check_parts(cfg, check_cells, division, everything, own)
    samples = identity.samples(division.dataset)
    drawn: list[Drawn] = []
    pools: dict[int, tuple[Pool, Rows]] = {}
    for part, members in by_part(own):
        dataset, inside = division.rows(part)
        origin = division.origin if division.known else None
        pool = make_pool(dataset, {}, inside, cfg.class_balance.value, origin)
        rows, digest = np.flatnonzero(inside), pool.digest()
        if part.fold != OWN and part.half is None:
            pools[part.fold] = pool, rows
        for cell in members:
            drawn += _of_cell(cfg, cell, pool, rows, digest, samples)
    order = {pair: k for k, pair in enumerate(cfg.pairs)}
    drawn.sort(key=lambda one: order[one.fields["teacher"], one.fields["student"]])
    return Drawing(division.dataset, identity.ids(division.dataset), samples, drawn, pools)


def _of_cell(
    cfg: Config, cell: Cell, pool: Pool, rows: Rows, digest: str, samples: str
) -> Iterator[Drawn]:
    """The draw of one cell, for each pair of networks. rows: of the dataset, by row of the pool."""
    draw, shown = draw_of(cell, pool, cfg.permute_labels)
    # In the order of the dataset: a draw itself lists group after group, which would show them.
    order = np.argsort(draw.labelled)
    labels = shown.y_labelled[order].argmax(axis=1).astype(np.int64)
    sets = {
        "labelled": rows[draw.labelled[order]],
        "unlabelled": rows[np.sort(draw.unlabelled)],
        "validation": rows[np.sort(draw.validation)],
        "test": rows[pool.test],
    }
    made = _digest([*sets.values(), labels])
    for teacher, student in cfg.pairs:
        named = {"data": cfg.data.name, "teacher": teacher, "student": student}
        of = {
            **named,
            "rows": digest,
            "class_balance": cfg.class_balance.value,
            **({"permute_labels": True} if cfg.permute_labels else {}),
            "cell": identity.own(cell),
        }
        fields = {**named, **identity.fields_of(cell)}
        key = identity.draw_key(of, samples)
        yield Drawn(key, fields, plain(cell.request), sets, labels, made)


def _digest(parts: list[Rows]) -> str:
    """sha256 of whole numbers in lists, the same on every machine."""
    known = hashlib.sha256()
    for part in parts:
        known.update(f"{len(part)};".encode() + np.asarray(part, dtype="<i8").tobytes())
    return known.hexdigest()
