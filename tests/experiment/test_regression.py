"""Heads of a numeric target: by hand, by invariances, and against the exact limits of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from squares import make_folder, places

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data.gaussian import Gaussian
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.experiment.block import draw_of, run_block
from w2s_groups.experiment.pool import Pool, Target, make_pool, standardise
from w2s_groups.experiment.prepare import prepare
from w2s_groups.heads.problem import Squared
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS
from w2s_groups.results.risks import risk_by_group
from w2s_groups.schema.cells import Cell
from w2s_groups.schema.config import Config
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.exact import exact_limits
from w2s_groups.theory.model import GroupModel
from w2s_groups.theory.regime import Regime

Floats = NDArray[np.float64]
Load = Callable[..., Config]
GROUPS = Groups(("low", "high"), ("one", "two"), frozenset({(0, 1), (1, 1)}))
PLAIN = ("teacher", "w2s", "baseline", "ceiling", "dfr", "combined", "self_distilled")
METHODS_HERE = {name: METHODS[name](l2=1e-2) for name in PLAIN}
CELL = Cell(Request(60, 120, 0.25, 0.5, n_val=40), 3)


@pytest.fixture(scope="module")
def target() -> Floats:
    rng = stream(0, "test/regression")
    return np.asarray(40 + 12 * rng.standard_normal(900))


@pytest.fixture(scope="module")
def pool(target: Floats) -> Pool:
    """Features that see the target with noise, the teacher's with more of it in attribute 1."""
    rng = stream(1, "test/regression")
    z = (target - 40) / 12
    a = rng.integers(0, 2, 900)
    y = (z > 0).astype(np.int64)
    weak = np.outer(z, [1.0, 0.5, 0.0]) + (1 + a[:, None]) * rng.standard_normal((900, 3))
    strong = np.outer(z, [1.0, 1.0, 0.5, 0.0, 0.0]) + rng.standard_normal((900, 5))
    drawable = np.arange(600)
    features = {
        side: standardise(x.astype(np.float32), drawable)
        for side, x in {"teacher": weak, "student": strong}.items()
    }
    return Pool(
        features, y, GROUPS.codes(y, a), drawable, np.arange(600, 900), GROUPS, np.full(2, 0.5),
        target=Target.of(target, drawable),
    )  # fmt: skip


def records(pool: Pool, **more: Any) -> list[dict[str, Any]]:
    [ran] = run_block([CELL], pool, METHODS_HERE, _tight, Squared(), **more)
    assert ran.tested is None
    return ran.records


def _tight(features: Any, problems: Any) -> Any:
    return solve(features, problems, tol=1e-9)


def risks(of_cell: list[dict[str, Any]], split: str = "test") -> dict[str, Floats]:
    """Method -> (G,) risks of a split."""
    rows = [row for row in of_cell if row["split"] == split and row["metric"] == "risk"]
    names = dict.fromkeys(row["method"] for row in rows)
    return {
        name: np.array([row["value"] for row in rows if row["method"] == name]) for name in names
    }


def by_hand(X: Floats, y: Floats, l2: float) -> Callable[[Floats], Floats]:
    """Ridge with a free intercept by the normal equations, of mean squared error / 2."""
    centred, level = X - X.mean(axis=0), y.mean()
    moment = centred.T @ centred / len(X) + l2 * np.eye(X.shape[1])
    w = np.linalg.solve(moment, centred.T @ (y - level) / len(X))
    return lambda rows: np.asarray(level + (rows - X.mean(axis=0)) @ w)


def test_stored_risks_are_those_of_heads_fitted_by_hand(pool: Pool, target: Floats) -> None:
    draw, _ = draw_of(CELL, pool, False)
    weak, strong = (pool.features[side].astype(np.float64) for side in ("teacher", "student"))
    labelled, unlabelled = draw.labelled, draw.unlabelled
    teacher = by_hand(weak[labelled], target[labelled], 1e-2)
    pseudo = teacher(weak[unlabelled])
    both = np.concatenate([labelled, unlabelled])
    answers = {
        "teacher": teacher(weak),
        "w2s": by_hand(strong[unlabelled], pseudo, 1e-2)(strong),
        "self_distilled": by_hand(weak[unlabelled], pseudo, 1e-2)(weak),
        "baseline": by_hand(strong[labelled], target[labelled], 1e-2)(strong),
        "ceiling": by_hand(strong[unlabelled], target[unlabelled], 1e-2)(strong),
        "combined": by_hand(strong[both], np.concatenate([target[labelled], pseudo]), 1e-2)(strong),
    }
    of_cell = records(pool)
    for split, rows in (
        ("test", pool.test), ("validation", draw.validation), ("unlabelled", unlabelled)
    ):  # fmt: skip
        stored = risks(of_cell, split)
        for name, answer in answers.items():
            if name not in stored:
                assert split == "unlabelled"
                continue
            error = np.square(answer - target)[rows]
            expected = [error[pool.codes[rows] == g].mean() for g in range(4)]
            np.testing.assert_allclose(stored[name], expected, rtol=1e-7)


def test_a_shifted_and_scaled_target_scales_the_risks_by_the_square(
    pool: Pool, target: Floats
) -> None:
    other = replace(pool, target=Target.of(1e-6 * target - 5, pool.drawable))
    for name, own in risks(records(pool)).items():
        np.testing.assert_allclose(risks(records(other))[name], 1e-12 * own, rtol=1e-6)


def test_the_error_of_a_risk_over_test_rows_by_hand(pool: Pool, target: Floats) -> None:
    draw, _ = draw_of(CELL, pool, False)
    weak = pool.features["teacher"].astype(np.float64)
    teacher = by_hand(weak[draw.labelled], target[draw.labelled], 1e-2)
    square = np.square(teacher(weak) - target)[pool.test]
    expected = [stats.sem(square[pool.codes[pool.test] == g]) for g in range(4)]
    rows = [row for row in records(pool) if row["metric"] == "risk_error"]
    found = [row["value"] for row in rows if row["method"] == "teacher"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_nothing_is_recorded_of_classes(pool: Pool) -> None:
    of_cell = records(pool, variants={"w2s[l2=0.1]": {}})
    assert {row["metric"] for row in of_cell} == {"risk", "risk_error", "count"}
    assert {row["split"] for row in of_cell} == {"test", "validation", "labelled", "unlabelled"}


def test_least_squares_on_the_teachers_own_features_gains_nothing(pool: Pool) -> None:
    """Their correlation dimension is the teacher's: the student gives every prediction back."""
    same = replace(pool, features=dict.fromkeys(pool.features, pool.features["teacher"]))
    methods = {name: METHODS[name](l2=1e-12) for name in ("teacher", "w2s")}
    [ran] = run_block([CELL], same, methods, _tight, Squared())
    own = risks(ran.records)
    np.testing.assert_allclose(own["w2s"], own["teacher"], rtol=1e-8)


def test_nothing_is_learnt_from_the_targets_of_other_rows(pool: Pool, target: Floats) -> None:
    ceiling = risks(records(pool))["ceiling"].mean()
    permuted = risks(records(pool, permute_labels=True))["ceiling"].mean()
    assert ceiling < 0.5 * target.var() < 0.9 * target.var() < permuted


def test_an_absent_group_is_missing(pool: Pool) -> None:
    less = replace(pool, test=pool.test[pool.codes[pool.test] != 2])
    assert np.isnan(risks(records(less))["w2s"].astype(float)[2])


def test_a_target_that_does_not_vary_is_refused(pool: Pool) -> None:
    with pytest.raises(InputError, match="same value in every row of the pool"):
        Target.of(np.full(900, 0.1), pool.drawable)


def test_data_without_a_target_are_refused_before_their_features(
    load: Load, tmp_path: Path
) -> None:
    own = places(make_folder(tmp_path / "data"), tmp_path / "cache", tmp_path)
    names = (
        "data.name=squares",
        "data.class_names=[low,high]",
        "data.attribute_names=[green,blue]",
    )
    task = ("task=regression", "head=ridge", "methods=[teacher,w2s]")
    with pytest.raises(InputError, match="data=squares has none"):
        prepare(load("data=folder", *names, *own, *task))


# The model of the exact limits: gamma_z p_w = 1/4, nu_z p_s = 3/40.
SIZES = {"d_z": 64, "p_w": 5, "p_s": 3, "p_sw": 1.5, "mu_w": 2.0, "mu_s": 0.5}
NOISE = {"sigma_xi": 0.7, "sigma_y": 0.5}
N_L, N_U, REPLICATES = 1280, 2560, 8
POINTS = [(0.05, 0.05), (0.05, 0.5), (0.5, 0.05), (0.5, 0.5)]
FINITE = 0.03  # of a risk at d_z = 64: limits are for d_z to infinity


@cache
def model() -> GroupModel:
    """The model that data=gaussian draws from."""
    cos = equal_cosines(SIZES["p_w"], SIZES["p_s"], SIZES["p_sw"])
    sides = {name: SIZES[name] for name in ("p_w", "mu_w", "mu_s")}
    return model_with_overlap(cos=cos, **sides, **NOISE)


@cache
def measured() -> dict[tuple[float, float], dict[str, Floats]]:
    """(eta_l, eta_u) -> method -> (replicates, 2) excess risks of majority and minority.

    Each replicate has a pool and a test set of its own. The excess is over the noise that the test
    rows drew, which varies about sigma_y^2: it has the same mean and a smaller error.
    """
    methods = {name: METHODS[name](l2=1e-9) for name in ("teacher", "w2s")}
    cells = [Cell(Request(N_L, N_U, *point), 0) for point in POINTS]
    found: dict[tuple[float, float], dict[str, list[Floats]]] = {
        point: {"teacher": [], "w2s": []} for point in POINTS
    }
    for seed in range(REPLICATES):
        data = Gaussian("gaussian", 8000, 4000, **SIZES, **NOISE, seed=seed).load(Path())
        everything = np.ones(len(data.y), dtype=bool)
        pool = make_pool(data, data.features, everything, "uniform", numeric=True)
        z = data.features["teacher"][pool.test, : SIZES["d_z"]]  # the block of psi's constant
        drawn = z @ model().beta_star(SIZES["d_z"]) - data.target[pool.test]
        assert abs(np.square(drawn).mean() / data.noise - 1) < 4 * np.sqrt(2 / len(drawn))
        least = risk_by_group(drawn, pool.codes[pool.test], 4)[0]
        ran = run_block(cells, pool, methods, solve, Squared())
        for point, (of_cell, *_) in zip(POINTS, ran, strict=True):
            for name, by_group in risks(of_cell).items():
                # Groups are classes times attributes: the same risk in both classes.
                excess = (by_group - least).reshape(2, 2).mean(axis=0)
                found[point][name].append(excess)
    return {p: {k: np.array(v) for k, v in each.items()} for p, each in found.items()}


@cache
def limits() -> dict[tuple[float, float], Mapping[str, Floats]]:
    """(eta_l, eta_u) -> method -> (2,) exact limits of the excess risk at eta_t = 0 and 1."""
    regime = Regime(SIZES["d_z"] / N_L, SIZES["d_z"] / N_U)
    exact = {p: exact_limits(model(), regime, eta_l=p[0], eta_u=p[1]) for p in POINTS}
    return {
        p: {
            "teacher": np.array([one.teacher_risk(eta_t) for eta_t in (0.0, 1.0)]),
            "w2s": np.array([one.student_risk(eta_t) for eta_t in (0.0, 1.0)]),
        }
        for p, one in exact.items()
    }


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("method", ["teacher", "w2s"])
def test_excess_risks_are_those_of_the_exact_limits(
    point: tuple[float, float], method: str
) -> None:
    """Within 4 standard errors over pools and what finite d_z leaves."""
    own, exact = measured()[point][method], limits()[point][method]
    error = stats.sem(own, axis=0)
    assert (error < 0.1 * exact).all()  # an interval that says something
    assert (np.abs(own.mean(axis=0) - exact) < 4 * error + FINITE * exact).all()


@pytest.mark.parametrize("point", POINTS)
def test_the_gain_is_as_large_as_the_theory_says(point: tuple[float, float]) -> None:
    """Paired within pools; W2S happens in both groups, most for the minority at small eta_l."""
    gain = measured()[point]["teacher"] - measured()[point]["w2s"]
    exact = limits()[point]["teacher"] - limits()[point]["w2s"]
    error = stats.sem(gain, axis=0)
    assert (exact > 0).all()
    assert (gain.mean(axis=0) > 4 * error).all()
    assert (np.abs(gain.mean(axis=0) - exact) < 4 * error + FINITE * exact).all()


def test_the_worst_group_pays_for_an_eta_u_away_from_eta_l() -> None:
    """As in the theory, eta_u = 1/2 takes from the minority's gain at eta_l = 0.05."""
    near, far = POINTS[0], POINTS[1]
    fall = [
        (of[near]["teacher"] - of[near]["w2s"] - of[far]["teacher"] + of[far]["w2s"])[..., 1]
        for of in (measured(), limits())
    ]
    error = stats.sem(fall[0])
    assert fall[1] > 0
    assert fall[0].mean() > 4 * error
    assert abs(fall[0].mean() - fall[1]) < 4 * error + FINITE * fall[1]
