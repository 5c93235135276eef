"""Accuracy on the labelled images: of heads that never saw them, else by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from reference_heads import fit, predict_proba

from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.experiment import labelled
from w2s_groups.experiment.block import run_block
from w2s_groups.experiment.lockstep import levels
from w2s_groups.experiment.pool import Pool, standardise
from w2s_groups.heads.problem import CrossEntropy, Problem, one_hot
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS
from w2s_groups.methods.base import Draws, Fitted
from w2s_groups.schema.cells import Cell

GROUPS = Groups(("mammal", "bird"), ("land", "water"))
RNG = stream(0, "test/labelled")
Y, A = RNG.integers(0, 2, (2, 300))
X = standardise(
    np.concatenate(
        [(2 * Y - 1)[:, None] + RNG.standard_normal((300, 1)), RNG.standard_normal((300, 9))],
        axis=1,
    ).astype(np.float32),
    np.arange(300),
)
ROWS = np.arange(40)
DRAWS = Draws(ROWS, one_hot(Y[ROWS], 2), np.arange(40, 140), np.arange(100))


def fitted(problems: Sequence[Problem]) -> list[Fitted]:
    heads = [fit(X, problem, 1e-8) for problem in problems]
    return [
        Fitted(head, lambda rows, head=head: predict_proba(head, X[rows]))  # type: ignore[misc]
        for head in heads
    ]


def one(problem: Problem) -> float:
    (head,) = fitted([problem])
    return labelled.accuracy([(DRAWS, 0)], [{"m": (problem, head)}], fitted)[0]["m"]


def test_a_head_that_never_saw_the_labelled_images_is_asked_about_all_of_them() -> None:
    rows = np.arange(40, 140)
    problem = Problem("student", rows, one_hot(Y[rows], 2), CrossEntropy(), 1e-2)
    predicted = predict_proba(fit(X, problem, 1e-8), X[ROWS]).argmax(axis=1)
    assert one(problem) == np.mean(predicted == Y[ROWS])


@pytest.mark.parametrize("weighted", [False, True])
def test_a_head_fitted_on_labelled_images_is_cross_validated(weighted: bool) -> None:
    rows = np.arange(140)  # as combined: labelled and others
    weights = np.linspace(1, 2, 140) if weighted else None
    problem = Problem("student", rows, one_hot(Y[rows], 2), CrossEntropy(), 1e-3, weights)
    fold = labelled.folds(DRAWS, 0)
    right = 0
    for k in range(5):
        out = ROWS[fold == k]
        stays = ~np.isin(rows, out)
        part = replace(
            problem,
            rows=rows[stays],
            targets=problem.targets[stays],
            weights=None if weights is None else weights[stays],
        )
        right += int((predict_proba(fit(X, part, 1e-8), X[out]).argmax(axis=1) == Y[out]).sum())
    assert one(problem) == right / 40
    # Its accuracy on what it was fitted on is another number.
    assert one(problem) < np.mean(
        predict_proba(fit(X, problem, 1e-8), X[ROWS]).argmax(1) == Y[ROWS]
    )


def test_folds_are_of_one_size_in_every_class_and_see_no_group() -> None:
    fold = labelled.folds(DRAWS, 3)
    assert np.ptp(np.bincount(fold)) <= 1
    for label in (0, 1):
        assert np.ptp(np.bincount(fold[Y[ROWS] == label], minlength=labelled.FOLDS)) <= 1
    grouped = replace(DRAWS, codes_labelled=GROUPS.codes(Y[ROWS], A[ROWS]))
    assert (labelled.folds(grouped, 3) == fold).all()
    assert (labelled.folds(DRAWS, 4) != fold).any()


def test_a_block_stores_it_for_variants_only_and_builds_them_on_each_other() -> None:
    pool = Pool(
        {"teacher": X[:, 3:], "student": X}, Y, GROUPS.codes(Y, A), np.arange(200),
        np.arange(200, 300), GROUPS, np.full(2, 0.5),
    )  # fmt: skip
    teacher, w2s, selection = (METHODS[n] for n in ("teacher", "w2s", "selection_only"))
    methods = {
        "teacher": teacher(1e-2), "w2s": w2s(1e-2), "w2s[l2=3]": w2s(3.0),
        "selection_only[l2=3]": selection(3.0, 0.5), "baseline[l2=3]": METHODS["baseline"](3.0),
    }  # fmt: skip
    variants = {"w2s[l2=3]": {}, "selection_only[l2=3]": {"w2s": "w2s[l2=3]"}, "baseline[l2=3]": {}}
    assert levels(methods, variants)[-1] == ["selection_only[l2=3]"]
    cell = Cell(Request(20, 40, 0.5, 0.5), 0)
    exact = partial(solve, tol=1e-8)
    (atoms,) = (ran.records for ran in run_block([cell], pool, methods, exact, variants=variants))
    of_none = [atom for atom in atoms if atom["group"] == "all"]
    assert {atom["method"] for atom in of_none} == set(variants)
    assert all((atom["split"], atom["n"], atom["y"]) == ("labelled", 20, -1) for atom in of_none)
    # Built on the plain W2S it keeps other rows.
    (other,) = (
        ran.records
        for ran in run_block([cell], pool, methods, exact, variants={name: {} for name in variants})
    )
    kept = [
        [a["value"] for a in of if a["split"] == "kept" and a["method"].startswith("selection")]
        for of in (atoms, other)
    ]
    assert kept[0] != kept[1]
