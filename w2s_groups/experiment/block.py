"""A block of cells -> their records: draws, heads solved level by level, results by group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.seeds import stream
from w2s_groups.design import sampling
from w2s_groups.experiment import labelled, records
from w2s_groups.experiment.answers import Answers
from w2s_groups.experiment.fit import Fit, Solver, logits_of
from w2s_groups.experiment.lockstep import BuiltOn, Ended, Failed, Solved, solve_methods
from w2s_groups.experiment.pool import Pool
from w2s_groups.experiment.records import Tested
from w2s_groups.heads.outputs import decisions, numbers, probabilities
from w2s_groups.heads.problem import (
    Predictor,
    Squared,
)
from w2s_groups.methods.base import Draws, Method
from w2s_groups.methods.neighbours import Neighbours
from w2s_groups.results import outputs
from w2s_groups.results.risks import accuracy_by_group, risk_by_group, risk_errors
from w2s_groups.results.tested import Counts
from w2s_groups.schema.cells import Cell

# Cells that are solved together: enough for shared products to pay, few enough to store often. Ten
# times as many take a GPU twice as long (docs/speed.md).
BLOCK, GPU_BLOCK = 128, 1024
METHODS_OF_BLOCK = 40  # methods of a cell that these sizes are for


def at_once(per_seed: int, device: str, methods: int = METHODS_OF_BLOCK) -> int:
    """Cells of a block: whole seeds of `per_seed` cells, at least one of them.

    Fewer cells where each has many methods, so that what a stop loses stays small.
    """
    cells = (BLOCK if device == "cpu" else GPU_BLOCK) * METHODS_OF_BLOCK
    return per_seed * max(1, cells // max(methods, METHODS_OF_BLOCK) // per_seed)


class Ran(NamedTuple):
    """A cell's records, and its counts by identity and place where the pool knows them.

    outputs: method -> (T, k) on the test rows, of methods whose outputs are kept. failed: methods
    without a head, whose test accuracies are missing, and why.
    """

    records: list[records.Record]
    tested: Counts | None
    outputs: Mapping[str, outputs.Half] = MappingProxyType({})
    failed: Mapping[str, Failed] = MappingProxyType({})


def run_block(
    cells: Sequence[Cell],
    pool: Pool,
    methods: Mapping[str, Method],
    solve: Solver,
    ridge: Squared | None = None,
    permute_labels: bool = False,
    seeded: bool = False,
    variants: BuiltOn | None = None,
    begins: Callable[[int, int], None] | None = None,
    kept: Collection[str] = (),
) -> list[Ran]:
    """What each cell gives. Cells that share a fit (a teacher, a ceiling) have it solved once.

    ridge: the loss that every cross-entropy head is fitted with in its place.
    permute_labels: methods are shown the labels of other images, drawn anew for each seed.
    seeded: the solver is one that draws, under the cell's seed, and that may have to know
        beforehand which rows will be asked about; fits of two seeds are never one.
    variants: the methods that are variants, and what each builds on where that is not what its
        method needs. Their accuracy on the labelled images is a record, for select=labelled.
    begins: called with (k, K) as step k of K begins, see lockstep.solve_methods.
    kept: methods whose outputs on the test rows are kept.
    Where the pool has a numeric target, heads learn it, and risks are recorded for accuracies.
    """
    drawn = [draw_of(cell, pool, permute_labels) for cell in cells]
    rows = [part for draw, _ in drawn for part in (draw.labelled, draw.unlabelled, draw.validation)]
    fit = Fit(pool, solve, np.unique(np.concatenate(rows)), ridge)
    seeds = [cell.seed for cell in cells] if seeded else None
    draws = [own for _, own in drawn]
    of_methods = partial(fit.of_methods, seeds=seeds)
    answers = Answers({side: X.shape[1] for side, X in pool.features.items()}, ridge)
    ended = solve_methods(methods, draws, of_methods, variants, begins, answers)
    _raise_where_all_is_lost(ended)
    solved = [own.solved for own in ended]
    tested = _tested(pool, solved, kept)
    upweighting = {name for name, method in methods.items() if method.upweights}
    judged = () if pool.target is not None else variants or ()  # no rule chooses by a risk
    on_labelled = labelled.accuracy(
        [(own, cell.seed) for own, cell in zip(draws, cells, strict=True)],
        [{name: own[name] for name in judged if name in own} for own in solved],
        lambda asked: [own.fitted for own in fit(asked)],
    )
    return [
        Ran(
            [
                *records.of_cell(pool, draw, own.solved, tested, upweighting),
                *records.of_failed(pool, own.failed),
                *records.of_labelled(accuracies, len(draw.labelled)),
            ],
            records.by_identity(
                pool,
                {name: tested[id(one.fitted.head)].decided for name, one in own.solved.items()},
            ),
            _outputs(own.solved, tested, kept),
            own.failed,
        )
        for (draw, _), own, accuracies in zip(drawn, ended, on_labelled, strict=True)
    ]


def _outputs(
    solved: Mapping[str, Solved], tested: Mapping[int, Tested], kept: Collection[str]
) -> dict[str, outputs.Half]:
    """Method -> its outputs on the test rows, of those that are kept and have a head."""
    answers = {name: tested[id(solved[name].fitted.head)].output for name in kept if name in solved}
    return {name: output for name, output in answers.items() if output is not None}


def _raise_where_all_is_lost(ended: Sequence[Ended]) -> None:
    """The error of a teacher that failed: everything is measured against it."""
    for own in ended:
        if "teacher" in own.failed and (error := own.failed["teacher"].error) is not None:
            raise error


def draw_of(cell: Cell, pool: Pool, permute_labels: bool) -> tuple[sampling.Draw, Draws]:
    """The cell's rows of the pool, and what its methods may be shown of them.

    permute_labels: labels are those of other images of the pool.
    """
    within = sampling.draw(
        pool.groups, pool.codes[pool.drawable], pool.priors, cell.request, cell.seed
    )
    draw = replace(
        within,
        labelled=pool.drawable[within.labelled],
        unlabelled=pool.drawable[within.unlabelled],
        validation=pool.drawable[within.validation],
    )
    order, codes = None, pool.codes
    if permute_labels:
        order = np.arange(len(codes))
        order[pool.drawable] = stream(cell.seed, "labels/permuted").permutation(pool.drawable)
        codes = pool.groups.codes(pool.y[order], codes % len(pool.groups.attribute_names))
    ranks = np.empty(len(codes), dtype=np.int64)
    ranks[pool.drawable] = stream(cell.seed, "draw/shuffle").permutation(len(pool.drawable))
    return draw, Draws(
        draw.labelled,
        pool.labels(draw.labelled, order),
        draw.unlabelled,
        ranks[draw.unlabelled],
        pool.labels(draw.unlabelled, order),
        codes[draw.labelled],
        codes[draw.unlabelled],
        cell.seed,
        Neighbours(pool.features.get("student"), draw.unlabelled, ranks[draw.unlabelled]),
        pool.prompted,
    )


def _tested(
    pool: Pool, solved: Sequence[Mapping[str, Solved]], kept: Collection[str]
) -> dict[int, Tested]:
    """Every distinct head (by id) on the test rows, one product per side.

    kept: methods whose outputs there are kept.
    """
    result = {}
    read = probabilities if pool.target is None else numbers
    whole = {id(own[name].fitted.head) for own in solved for name in kept if name in own}
    for side, features in pool.features.items():
        heads = {
            id(own.fitted.head): own.fitted.head
            for of_cell in solved
            for own in of_cell.values()
            if own.problem.side == side
        }
        logits = logits_of(list(heads.values()), features, pool.test)
        for (key, head), values in zip(heads.items(), logits, strict=True):
            result[key] = _on_test(pool, head, values)
            if key in whole:
                result[key] = result[key]._replace(output=outputs.as_half(read(head, values)))
    return result


def _on_test(pool: Pool, head: Predictor, logits: NDArray[np.float64]) -> Tested:
    """A head on the test rows, from its logits there (T, K)."""
    codes, n_groups = pool.codes[pool.test], pool.groups.n_groups
    if pool.target is not None:
        errors = logits[:, 0] - pool.target.values[pool.test]
        of = (errors, codes, n_groups, pool.target.variance)
        return Tested(None, *risk_by_group(*of), risk_errors(*of))
    predicted = decisions(head, logits)
    right = accuracy_by_group(predicted, pool.y[pool.test], codes, n_groups)
    return Tested(predicted.astype(np.int16), *right)
