"""The Wishart route against samples drawn in full: same Gram law, same risks, same closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.theory import intrinsic_simulate
from w2s_groups.theory.intervals import mean_interval, ratio_interval
from w2s_groups.theory.intrinsic import MODELS, exact_risks
from w2s_groups.theory.intrinsic_simulate import Sizes, gram, simulate_risks

SETTING = Sizes(d=40, d_star=12, d_w=6, d_s=4)
WIDE = Sizes(d=40, d_star=3, d_w=6, d_s=5)  # features beyond the target's coordinates
SHAPES = [(9, 5), (5, 5), (3, 5), (1, 4)]


@pytest.mark.parametrize(("samples", "dim"), SHAPES)
def test_gram_has_the_moments_of_a_wishart(samples, dim):
    """E G = n I; Var G_ii = 2n, Var G_ij = n, distinct entries uncorrelated."""
    trials = 40_000
    draws = gram(stream(0, "test/gram"), samples, dim, trials)
    assert draws.shape == (trials, dim, dim)
    np.testing.assert_allclose(draws, draws.transpose(0, 2, 1), atol=1e-12)
    row, column = np.triu_indices(dim)
    entries = draws[:, row, column]
    off = entries - np.where(row == column, samples, 0.0)
    variance = np.where(row == column, 2.0 * samples, samples)
    # 4.5 standard errors, each estimated from the draws: at most 135 comparisons a shape.
    error = off.std(0, ddof=1) / np.sqrt(trials)
    assert (np.abs(off.mean(0)) < 4.5 * error).all()
    products = off[:, :, None] * off[:, None, :]
    error = products.std(0, ddof=1) / np.sqrt(trials)
    assert (np.abs(products.mean(0) - np.diag(variance)) < 4.5 * error).all()


@pytest.mark.parametrize(("samples", "dim"), SHAPES)
def test_gram_has_the_eigenvalues_of_drawn_samples(samples, dim):
    trials = 8_000
    X = stream(0, "test/dense").standard_normal((trials, samples, dim))
    drawn = np.linalg.eigvalsh(X.transpose(0, 2, 1) @ X)
    found = np.linalg.eigvalsh(gram(stream(1, "test/gram"), samples, dim, trials))
    rank = min(samples, dim)
    rounding = 1e-13 * found.max()
    assert (np.abs(found[:, : dim - rank]) < rounding).all()
    assert (found > -rounding).all()
    for k in range(dim - rank, dim):
        assert stats.ks_2samp(found[:, k], drawn[:, k]).pvalue > 1e-4, k


@pytest.mark.parametrize(("samples", "dim"), [(9, 5), (3, 5)])
def test_gram_has_full_rank_or_that_of_its_samples(samples, dim):
    ranks = np.linalg.matrix_rank(gram(stream(2, "test/gram"), samples, dim, 50), hermitian=True)
    assert (ranks == min(samples, dim)).all()


def dense_risks(setting, d_sw, X, U, labels, beta):
    """Risks of MODELS: lstsq on samples X (n, d), U (N, d); labels (n + N,) of both."""
    n, y = len(X), labels[: len(X)]
    strong, weak = np.arange(setting.d_s), np.arange(setting.d_w) + setting.d_s - d_sw

    def fit(features, targets, seen):
        theta = np.zeros(features.shape[1])
        theta[seen] = np.linalg.lstsq(features[:, seen], targets, rcond=None)[0]
        return theta

    teacher = fit(X, y, weak)
    fits = {
        "teacher": teacher,
        "w2s": fit(U, U @ teacher, strong),
        "baseline": fit(X, y, strong),
        "ceiling": fit(np.vstack([X, U]), np.concatenate([y, labels[n:]]), strong),
    }
    return [np.sum((fits[name] - beta) ** 2) for name in MODELS]


@pytest.mark.parametrize("setting", [SETTING, WIDE])
def test_a_trial_is_least_squares_on_its_samples(setting, monkeypatch):
    """With Gram matrices of samples drawn in full, each trial's risks are those of lstsq on them.

    The last coordinate of a sample is its label noise, in units of sigma.
    """
    n, N, trials, d_sw, sigma2 = 15, 13, 4, [0, 1, 4], [0.0, 0.3]
    samples = []

    def drawn(rng, size, dim, trials):
        samples.append(rng.standard_normal((trials, size, dim)))
        return samples[-1].transpose(0, 2, 1) @ samples[-1]

    monkeypatch.setattr(intrinsic_simulate, "gram", drawn)
    found = simulate_risks(setting, d_sw, n, N, sigma2, trials, stream(3, "test/trial"))
    signs = stream(3, "test/trial").choice([-1.0, 1.0], (trials, setting.d_star))
    labelled, unlabelled = samples
    assert (labelled.shape[1], unlabelled.shape[1]) == (n, N)
    for trial, (X, U) in enumerate(zip(labelled, unlabelled, strict=True)):
        beta = np.zeros(X.shape[1] - 1)
        at = np.arange(setting.d_star)
        beta[at] = signs[trial] / np.sqrt((at + 1) * setting.d)
        both = np.vstack([X, U])
        for k, shared in enumerate(d_sw):
            for s, variance in enumerate(sigma2):
                labels = both[:, :-1] @ beta + np.sqrt(variance) * both[:, -1]
                expected = dense_risks(setting, shared, X[:, :-1], U[:, :-1], labels, beta)
                np.testing.assert_allclose(found[trial, k, s], expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(("setting", "d_sw", "sigma2"), [(SETTING, 2, 0.02), (WIDE, 1, 0.003)])
def test_risks_are_those_of_samples_drawn_in_full(setting, d_sw, sigma2):
    """All d coordinates, drawn and fitted 2000 times: means, closed forms and distributions."""
    n, N, trials = 20, 18, 2000
    rng = stream(4, "test/full")
    dense = np.empty((trials, 4))
    for row in range(trials):
        beta = np.zeros(setting.d)
        at = np.arange(setting.d_star)
        beta[at] = rng.choice([-1.0, 1.0], at.size) / np.sqrt((at + 1) * setting.d)
        x = rng.standard_normal((n + N, setting.d))
        labels = x @ beta + np.sqrt(sigma2) * rng.standard_normal(n + N)
        dense[row] = dense_risks(setting, d_sw, x[:n], x[n:], labels, beta)
    found = simulate_risks(setting, [d_sw], n, N, [sigma2], 20_000, stream(5, "test/full"))[:, 0, 0]
    exact = exact_risks(setting.pair(d_sw), n, N, sigma2)
    expected = np.array([exact[name] for name in MODELS])
    means, errors = zip(
        *((v.mean(0), v.std(0, ddof=1) / np.sqrt(len(v))) for v in (found, dense)), strict=True
    )
    assert (np.abs(means[0] - means[1]) < 4 * np.hypot(*errors)).all()
    for mean, error in zip(means, errors, strict=True):
        assert (np.abs(mean - expected) < 4 * error).all()
    assert (errors[1] / expected < 0.02).all()  # the comparison has teeth
    # Intervals of PGR and OPR rest on how the models vary together, not on means alone.
    for top, bottom in ((0, 1), (0, 2), (1, 2), (2, 3), (1, 3)):
        gaps = (v[:, top] - v[:, bottom] for v in (found, dense))
        assert stats.ks_2samp(*gaps).pvalue > 1e-4, (MODELS[top], MODELS[bottom])
    for k, name in enumerate(MODELS):
        assert stats.ks_2samp(found[:, k], dense[:, k]).pvalue > 1e-4, name


def test_d_sw_and_noise_of_a_trial_share_its_samples():
    sigma2 = [0.0, 1.0, 4.0, 9.0]
    found = simulate_risks(SETTING, [0, 2, 4], 15, 13, sigma2, 30, stream(6, "test/paired"))
    assert found.shape == (30, 3, 4, 4)
    for name in ("baseline", "ceiling"):
        same = found[..., MODELS.index(name)]
        np.testing.assert_array_equal(same, same[:, :1].repeat(3, 1))
    assert (np.ptp(found[..., MODELS.index("w2s")], axis=1) > 0).all()
    # Coefficients are affine in sigma on one sample, so a risk is quadratic in it.
    np.testing.assert_allclose(np.diff(found, 3, axis=2), 0, atol=1e-11 * found.max())
    alone = simulate_risks(SETTING, [2], 15, 13, sigma2, 30, stream(6, "test/paired"))
    np.testing.assert_allclose(alone, found[:, 1:2], rtol=1e-12)


def test_a_target_that_all_see_is_found_without_noise():
    setting = Sizes(d=40, d_star=4, d_w=6, d_s=6)
    found = simulate_risks(setting, [6], 15, 13, [0.0], 10, stream(7, "test/found"))
    assert found.max() < 1e-24


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 7}, r"n=7 with alpha=0 needs n > max\(d_w, d_s\) \+ 1 = 7"),
        ({"N": 5}, r"N=5 with alpha=0 needs N > d_s \+ 1 = 5"),
        ({"sigma2": [0.1, -0.2]}, r"sigma2=\[0.1, -0.2\] must be finite"),
        ({"sigma2": [np.inf]}, r"sigma2=\[inf\] must be finite"),
        ({"sigma2": [np.nan]}, r"sigma2=\[nan\] must be finite"),
        ({"d_sw": [2, 5]}, r"d_sw=5 must lie in 0..min\(d_w, d_s\)=4"),
        ({"d_sw": [-1]}, "d_sw=-1 must lie in 0"),
    ],
)
def test_bad_input_to_simulate_risks(changes, message):
    good = {"d_sw": [2], "n": 8, "N": 6, "sigma2": [0.1], "trials": 2}
    simulate_risks(SETTING, rng=stream(0, "test/bad"), **good)
    with pytest.raises(InputError, match=message):
        simulate_risks(SETTING, rng=stream(0, "test/bad"), **(good | changes))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((40, 0, 6, 4), "d_star=0 must lie in 1..d=40"),
        ((40, 41, 6, 4), "d_star=41 must lie in 1..d=40"),
        ((40, 12, 0, 4), "d_w=0, d_s=4 must lie in 1..d=40"),
        ((40, 12, 6, 41), "d_w=6, d_s=41 must lie in 1..d=40"),
    ],
)
def test_bad_setting(sizes, message):
    with pytest.raises(InputError, match=message):
        Sizes(*sizes)


def test_teacher_needs_room_after_its_offset():
    setting = Sizes(d=9, d_star=5, d_w=6, d_s=4)
    assert setting.teacher(1) == slice(3, 9)
    with pytest.raises(InputError, match="leaving room for d_w=6 coordinates"):
        setting.teacher(0)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_interval_is_scipys(level):
    values = stream(8, "test/interval").gamma(2.0, size=17)
    mean, half = mean_interval(values, level)
    assert mean == pytest.approx(values.mean())
    expected = stats.t.interval(level, 16, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_ratio_interval_is_the_delete_one_jackknife(level):
    rng = stream(9, "test/jackknife")
    bottom = rng.gamma(3.0, size=12)
    top = 0.4 * bottom + rng.gamma(2.0, size=12)
    without = []
    for i in range(12):
        rest = [j for j in range(12) if j != i]
        without.append(np.mean(top[rest]) / np.mean(bottom[rest]))
    centre = sum(without) / 12
    variance = 11 / 12 * sum((value - centre) ** 2 for value in without)
    ratio = np.mean(top) / np.mean(bottom)
    expected = stats.t.interval(level, 11, loc=ratio, scale=np.sqrt(variance))
    assert ratio_interval(top, bottom, level) == pytest.approx((ratio, *expected))
    # Tukey's pseudovalues have the same standard error.
    pseudo = 12 * ratio - 11 * np.array(without)
    assert np.sqrt(variance) == pytest.approx(stats.sem(pseudo))


def test_a_constant_ratio_has_no_width():
    bottom = stream(10, "test/constant").gamma(3.0, size=12)
    assert ratio_interval(0.25 * bottom, bottom) == pytest.approx((0.25, 0.25, 0.25), rel=1e-13)
