"""Predicted accuracies against fitted heads, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from measured_draws import compared_with_draws
from torch import Tensor
from worlds import THREE, TWO, fitted, images

from w2s_groups.core.errors import InputError
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request, group_counts
from w2s_groups.prediction import mixes
from w2s_groups.prediction.estimates import metric_estimates
from w2s_groups.prediction.mixes import Prediction
from w2s_groups.prediction.population import points, population
from w2s_groups.prediction.ridge import predict
from w2s_groups.prediction.ridge_retraining import Selection
from w2s_groups.prediction.ridge_samples import Noise

L2 = 0.05


def run(
    groups: Groups, request: Request, size: int = 150, samples: int = 200, l2: float = L2
) -> Prediction:
    priors = np.full(len(groups.class_names), 1.0)
    return predict(
        population(*images(size, groups, "pool"), groups),
        group_counts(groups, priors, request.n_l, request.eta_l)[None],
        group_counts(groups, priors, request.n_u, request.eta_u)[None],
        l2,
        l2,
        points=points(*images(200, groups, "points"), groups),
        samples=samples,
    )


@pytest.mark.parametrize(
    ("groups", "request_", "draws"),
    [
        (TWO, Request(100, 200, 0.2, 0.35), 150),
        (TWO, Request(40, 200, 0.5, 0.1), 150),
        (THREE, Request(270, 360, 0.4, 0.5), 60),
    ],
    ids=["two classes", "wide teacher", "three classes"],
)
def test_accuracies_of_fitted_heads(groups: Groups, request_: Request, draws: int) -> None:
    P = run(groups, request_)
    pool, at = images(150, groups, "pool"), images(200, groups, "points")
    t, s = fitted(pool, at, groups, request_, L2, draws)
    for metric in ("average", "minority", "worst_group"):
        comparison = compared_with_draws(P, t[:, None], s[:, None, None], metric, groups)
        for part in (comparison.teacher, comparison.student, comparison.gain):
            # 27 comparisons: three standard errors, not two.
            far = np.maximum(0.01, 3 * part.error)
            assert (abs(part.predicted - part.measured) < far).all(), (metric, part)
            # Share of independent draws inside a band that holds 95 %: four standard errors.
            assert abs(part.covered - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / draws)
    assert bool((comparison.right == comparison.clear).all())


def test_unlabelled_images_are_drawn_from_those_that_are_not_labelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The noise of every student is drawn knowing how likely each image is labelled."""
    request = Request(100, 300, 0.2, 0.35)
    seen: list[list[list[float]]] = []
    drawn = mixes.correlated_noise

    def spying(noise: Noise, p_l: Tensor, p_u: Tensor, codes: Tensor) -> Tensor:
        seen.append([(150 * p).tolist() for p in (p_l, p_u)])
        return drawn(noise, p_l, p_u, codes)

    monkeypatch.setattr(mixes, "correlated_noise", spying)
    run(TWO, request, samples=2)
    expected = [group_counts(TWO, [1, 1], n, eta) for n, eta in ((100, 0.2), (300, 0.35))]
    np.testing.assert_allclose(seen, [expected], rtol=1e-5)


def test_rows_of_the_pool_stand_for_new_images() -> None:
    request = Request(100, 300, 0.2, 0.35)
    there = metric_estimates(run(TWO, request), "average", TWO)
    counts = [group_counts(TWO, [1, 1], n, eta)[None] for n, eta in ((100, 0.2), (300, 0.35))]
    own = predict(population(*images(150, TWO, "pool"), TWO), *counts, L2, L2, samples=200)
    assert own.n.tolist() == [150] * 4
    here = metric_estimates(own, "average", TWO)
    for one, other in ((here.teacher, there.teacher), (here.student, there.student)):
        # 600 and 800 images of one law: binomial errors of both.
        error = np.sqrt(other.mean * (1 - other.mean) * (1 / 600 + 1 / 800))
        assert (abs(one.mean - other.mean) < 3 * error).all()


def test_one_network_with_the_labelled_set_of_endless_data_gains_nothing() -> None:
    narrow, _, codes = images(100, TWO, "pool")
    people = population(narrow, narrow, codes, TWO, sizes=np.full(4, np.inf))
    mix = np.array([[10**8, 10**8, 10**8, 10**8]])
    P = predict(people, mix, mix, 1e-9, 1e-9, samples=4)
    np.testing.assert_allclose(P.student[:, 0], P.teacher, atol=1e-12)
    assert float(P.teacher.std(axis=1).max()) < 1e-3  # no variance is left


def test_the_same_seed_gives_the_same_samples_whatever_else_is_asked() -> None:
    people = population(*images(60, TWO, "pool"), TWO)
    mixes = np.array([[20, 5, 5, 20], [15, 10, 10, 15], [5, 30, 20, 5]])
    selection, steps = Selection(0.5), []
    every = predict(
        people, mixes[:2], mixes, L2, L2, samples=8, selection=selection,
        progress=lambda *done: steps.append(done),
    )  # fmt: skip
    assert steps == [(k, 8) for k in range(1, 9)]
    assert every.student.shape == (2, 3, 8, 4)
    near = 1 / 60 + 1e-12
    for i, u in np.ndindex(2, 3):
        one = predict(people, mixes[[i]], mixes[[u]], L2, L2, samples=8, selection=selection)
        np.testing.assert_allclose(every.teacher[i], one.teacher[0], atol=near)
        np.testing.assert_allclose(every.student[i, u], one.student[0, 0], atol=near)
        # One image at the threshold of the selection changes a few decisions of its heads.
        for name in ("retrained", "kept"):
            got, want = getattr(every, name)[i, u], getattr(one, name)[0, 0]
            assert np.abs(got - want).mean() < near
    assert np.abs(every.student[0, 1] - every.student[1, 0]).max() > 2 * near
    other = predict(people, mixes, mixes[:1], L2, L2, samples=8, seed=1)
    assert (other.teacher[:2] != every.teacher).any()


def test_groups_in_another_order_give_the_same_numbers_up_to_their_noise() -> None:
    narrow, wide, codes = images(150, TWO, "pool")
    swapped = Groups(("dog", "cat"), ("left", "right"))
    mix = np.array([[30, 10, 10, 30]])
    P = predict(population(narrow, wide, codes, TWO), mix, mix * 3, L2, L2, samples=300)
    Q = predict(
        population(narrow, wide, (codes + 2) % 4, swapped),
        mix[:, [2, 3, 0, 1]], mix[:, [2, 3, 0, 1]] * 3, L2, L2, samples=300,
    )  # fmt: skip
    for one, other in ((P.teacher[0], Q.teacher[0]), (P.student[0, 0], Q.student[0, 0])):
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 150)
        assert (abs(one.mean(axis=0) - other.mean(axis=0)[[2, 3, 0, 1]]) < 4 * error).all()


def test_groups_without_points_are_nan() -> None:
    pool = images(60, TWO, "pool")
    narrow, wide, codes = images(60, TWO, "points")
    some = codes != 1
    P = predict(
        population(*pool, TWO), [[20, 5, 5, 20]], [[20, 5, 5, 20]], L2, L2, samples=4,
        points=points(narrow[some], wide[some], codes[some], TWO),
    )  # fmt: skip
    assert np.isnan(P.teacher[..., 1]).all()
    assert np.isfinite(np.delete(P.teacher, 1, axis=-1)).all()
    assert np.isnan(metric_estimates(P, "average", TWO).gain.mean).all()


def test_refusals() -> None:
    narrow, wide, codes = images(60, TWO, "pool")
    people = population(narrow, wide, codes, TWO)
    mix = [[20, 5, 5, 20]]
    with pytest.raises(InputError, match=r"70 images of dog-on-right together and the pool has 60"):
        predict(people, [[20, 5, 5, 40]], [[20, 5, 5, 30]], L2, L2)
    with pytest.raises(InputError, match=r"counts_l of shape \(4,\) must hold whole numbers"):
        predict(people, mix[0], mix, L2, L2)
    with pytest.raises(InputError, match=r"counts_u of shape .* whole numbers"):
        predict(people, mix, [[0.5, 0.5, 0.5, 0.5]], L2, L2)
    with pytest.raises(InputError, match="counts_u must be 0 or more"):
        predict(people, mix, [[-1, 5, 5, 20]], L2, L2)
    with pytest.raises(InputError, match="l2_s=nan must be a finite number"):
        predict(people, mix, mix, L2, float("nan"))
    with pytest.raises(InputError, match="samples=3 must be an even number"):
        predict(people, mix, mix, L2, L2, samples=3)
    broken = narrow.copy()
    broken[7, 3] = np.nan
    with pytest.raises(InputError, match="teacher features hold nan or inf in row 7"):
        population(broken, wide, codes, TWO)
    with pytest.raises(InputError, match="student features have 239 rows and codes has 240"):
        population(narrow, wide[1:], codes, TWO)
    with pytest.raises(InputError, match="teacher features are the same in every image"):
        population(np.ones_like(narrow), wide, codes, TWO)
    with pytest.raises(InputError, match=r"codes=0\.\.4 leave 0\.\.3"):
        population(narrow, wide, np.where(codes == 3, 4, codes), TWO)
    with pytest.raises(InputError, match=r"sizes=.* must give each of the 4 groups at least"):
        population(narrow, wide, codes, TWO, sizes=[60, 60, 60, 59])
