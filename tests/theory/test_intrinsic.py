"""DLLL25's forms by hand, and the exact ones against dense least squares."""

import numpy as np
import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.theory.intrinsic import (
    Pair,
    exact_risks,
    opr,
    pgr,
    printed_risks,
    student_variance,
    teacher_variance,
)


def test_printed_variances_by_hand() -> None:
    assert teacher_variance(31, 0.5, 10) == pytest.approx(0.5 * 10 / 20)
    # 0.5/20 * (4 + (6/12)(10 - 4)) = 0.025 * 7
    assert student_variance(31, 12, 0.5, 10, 6, 4) == pytest.approx(0.175)


def test_ratios_by_hand() -> None:
    assert pgr(3.0, 2.0, 1.0) == pytest.approx(0.5)
    assert np.isnan(pgr(1.0, 0.5, 1.0))
    assert opr(3.0, 2.0) == pytest.approx(1.5)
    assert np.isnan(opr(1.0, 0.0))


def bases(d: int, d_w: int, d_s: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = stream(seed, "test/bases")
    W = np.linalg.qr(rng.standard_normal((d, d_w)))[0]
    S = np.linalg.qr(0.6 * W[:, :d_s] + 0.3 * rng.standard_normal((d, d_s)))[0]
    return W, S, 0.4 * rng.standard_normal(d)


def pair_of(W: np.ndarray, S: np.ndarray, beta: np.ndarray) -> Pair:
    """The Pair of orthonormal bases W (d, d_w), S (d, d_s) and a target beta (d,)."""
    seen = W @ (W.T @ beta)
    unseen = beta - seen
    return Pair(
        d_w=W.shape[1],
        d_s=S.shape[1],
        d_sw=float(min(np.sum((S.T @ W) ** 2), W.shape[1], S.shape[1])),
        rho_w=float(unseen @ unseen),
        rho_s=float(np.sum((beta - S @ (S.T @ beta)) ** 2)),
        inherited=float(np.sum((S.T @ unseen) ** 2)),
        leaked=float(np.sum((seen - S @ (S.T @ seen)) ** 2)),
    )


def test_exact_risks_against_dense_least_squares() -> None:
    """Teacher, student, baseline and ceiling fitted on drawn Gaussian x, 400 times."""
    d, d_w, d_s, n, N, sigma = 20, 8, 5, 40, 30, 0.7
    W, S, beta = bases(d, d_w, d_s, 0)
    rng = stream(1, "test/dense")
    risks: dict[str, list[float]] = {"teacher": [], "w2s": [], "baseline": [], "ceiling": []}
    for _ in range(400):
        x, u = rng.standard_normal((n, d)), rng.standard_normal((N, d))
        y, v = (z @ beta + sigma * rng.standard_normal(len(z)) for z in (x, u))
        theta = W @ np.linalg.lstsq(x @ W, y)[0]
        fits = {
            "teacher": theta,
            "w2s": S @ np.linalg.lstsq(u @ S, u @ theta)[0],
            "baseline": S @ np.linalg.lstsq(x @ S, y)[0],
            "ceiling": S @ np.linalg.lstsq(np.vstack([x, u]) @ S, np.concatenate([y, v]))[0],
        }
        for name, fit in fits.items():
            risks[name].append(float(np.sum((fit - beta) ** 2)))
    exact = exact_risks(pair_of(W, S, beta), n, N, sigma**2)
    for name, values in risks.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - exact[name]) < 4 * error, name


def test_exact_becomes_printed_for_a_target_both_see_and_many_samples() -> None:
    W, S, _ = bases(20, 8, 5, 0)
    pair = pair_of(W, S, np.zeros(20))
    exact, printed = (f(pair, 10**6, 10**6, 0.5) for f in (exact_risks, printed_risks))
    for name in exact:
        assert exact[name] == pytest.approx(printed[name], rel=1e-4)


def test_full_overlap_makes_the_student_its_teacher() -> None:
    W, _, beta = bases(20, 8, 5, 0)
    found = exact_risks(pair_of(W, W, beta), 50, 60, 0.3)
    assert found["w2s"] == pytest.approx(found["teacher"])


def test_broadcasting_over_n_and_N() -> None:
    W, S, beta = bases(20, 8, 5, 0)
    found = exact_risks(pair_of(W, S, beta), np.array([[20], [40]]), np.array([10, 20, 30]), 0.1)
    assert found["w2s"].shape == (2, 3)


@pytest.mark.parametrize("n", [9, 5, float("nan")])
def test_too_few_samples_for_a_mean(n: float) -> None:
    with pytest.raises(InputError, match=r"n > d_w \+ 1"):
        teacher_variance(n, 1.0, 8)


def test_bad_pair_and_noise() -> None:
    W, S, beta = bases(20, 8, 5, 0)
    with pytest.raises(InputError, match=r"d_sw=6 is outside \[0, 5\]"):
        Pair(8, 5, 6, 0.0, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="rho_w=-1"):
        Pair(8, 5, 4, -1, 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="sigma2"):
        printed_risks(pair_of(W, S, beta), 20, 20, -1.0)
