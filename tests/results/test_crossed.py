"""The variance of crossed folds: exact identities, an independent double loop, and gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import reference_crossed
from numpy.typing import NDArray

from w2s_groups.results import crossed
from w2s_groups.results.crossed import Crossed, Parts

Floats = NDArray[np.float64]


def design(
    classes: tuple[int, ...], attributes: tuple[int, ...], folds: int = 2, **given: object
) -> Crossed:
    """All identities of each class before all places of each attribute value, one sample a pair."""
    class_of = np.repeat(np.arange(len(classes)), classes)
    attribute_of = np.repeat(np.arange(len(attributes)), attributes)
    identity, place = (codes.ravel() for codes in np.indices((class_of.size, attribute_of.size)))
    group = class_of[identity] * len(attributes) + attribute_of[place]
    fields = {
        "right": np.zeros((1, 1, group.size)), "n": np.ones((1, group.size), dtype=int),
        "identity": identity, "place": place, "group": group,
        "class_of": class_of, "attribute_of": attribute_of,
        "identity_fold": np.concatenate([np.arange(k) % folds for k in classes]),
        "place_fold": np.concatenate([np.arange(k) % folds for k in attributes]),
        "n_groups": len(classes) * len(attributes), "audits": {},
    }  # fmt: skip
    return Crossed(**{**fields, **given})


def irregular(generator: np.random.Generator) -> Crossed:
    """Several points and methods; a pair has 0 to 6 samples, and an identity not every place."""
    whole = design((5, 4), (4, 6))
    n = generator.integers(0, 7, (3, whole.group.size))
    n[:, generator.random(whole.group.size) < 0.2] = 0
    right = generator.binomial(n[:, None], generator.uniform(0.3, 0.9, (3, 2, whole.group.size)))
    audits = {kind: generator.uniform(0.2, 0.9, (2, 4, 4, 4)) for kind in ("identities", "places")}
    keep = n.sum(axis=0) > 0
    return replace(
        whole, right=right[:, :, keep].astype(float), n=n[:, keep], identity=whole.identity[keep],
        place=whole.place[keep], group=whole.group[keep], audits=audits,
    )  # fmt: skip


def two_way(parts: Parts) -> Floats:
    """The test samples' part before any maximum: quadratic in `right`."""
    return parts.identities + parts.places - parts.cells


def of_one(c: Crossed, group_weights: Floats) -> Parts:
    """Parts of each method by itself."""
    return crossed.variance(c, crossed.method_contrasts(c, group_weights))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_what_a_loop_over_pairs_of_pairs_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    c = irregular(generator)
    weights = generator.normal(size=(3, 3, 2, 4))
    found = crossed.variance(c, weights)
    for k, weight in enumerate(weights):
        for name, value in reference_crossed.parts(c, weight).items():
            assert getattr(found, name)[k] == pytest.approx(value, rel=1e-9), name


WEIGHTS = np.array([0.2, 0.35, -0.4, 0.7])


def effects_of(c: Crossed, codes: NDArray[np.int64]) -> Crossed:
    """One method for each code, which gets that code's pairs right and no other."""
    return replace(c, right=(np.unique(codes)[:, None] == codes)[None].astype(float))


@pytest.mark.parametrize("kind", ["identity", "identity in a group", "place", "pair"])
def test_it_is_unbiased_in_a_full_table(kind: str) -> None:
    """For y = sum_k z_k e_k with independent e_k of variance 1, E V(y) = sum_k V(z_k), exactly.

    It must equal var theta(y) = sum_k theta(z_k)^2, for every weight of the groups.
    """
    c = design((3, 5), (4, 2))
    codes = {
        "identity": c.identity, "place": c.place, "pair": np.arange(c.group.size),
        "identity in a group": c.identity * 4 + c.group,
    }[kind]  # fmt: skip
    one = effects_of(c, codes)
    theta = crossed.estimate(one, crossed.method_contrasts(one, WEIGHTS))
    assert two_way(of_one(one, WEIGHTS)).sum() == pytest.approx((theta**2).sum(), rel=1e-12)


def test_gaussian_tables_have_the_variance_that_is_estimated() -> None:
    """The same by simulation: the variance over tables, and the mean of the estimate."""
    generator, tables = np.random.default_rng(3), 4000
    c = design((6,), (5,))
    a, b, e = (generator.normal(0, sd, (tables, k)) for sd, k in ((1.5, 6), (0.7, 5), (0.4, 30)))
    y = a[:, c.identity] + b[:, c.place] + e
    # A contrast of one method sees no other, so the tables can be methods.
    means = np.array([two_way(of_one(replace(c, right=part[None]), np.ones(1)))
                      for part in np.split(y, 200)])  # fmt: skip
    known = 1.5**2 / 6 + 0.7**2 / 5 + 0.4**2 / 30
    assert means.mean() == pytest.approx(known, abs=4 * means.std() / np.sqrt(tables))
    assert y.mean(axis=1).var() == pytest.approx(known, rel=4 * np.sqrt(2 / tables))


def test_draws_are_what_no_row_and_no_column_of_blocks_explains() -> None:
    c = design((6, 9), (6, 3), folds=3)
    block = c.identity_fold[c.identity] * 3 + c.place_fold[c.place]
    for codes in (c.identity, c.place):
        np.testing.assert_allclose(of_one(effects_of(c, codes), WEIGHTS).draws, 0.0, atol=1e-30)
    one = effects_of(c, block)
    theta = crossed.estimate(one, crossed.method_contrasts(one, WEIGHTS))
    assert of_one(one, WEIGHTS).draws.sum() == pytest.approx((theta**2).sum(), rel=1e-12)


@pytest.mark.parametrize("kind", ["identities", "places"])
def test_the_pool_part_of_linear_effects_is_that_of_their_mean_over_all(kind: str) -> None:
    """Each identity teaches by itself: heads of a pool have the mean of its identities' effects."""
    generator = np.random.default_rng(4)
    c = design((8,), (8,), right=np.zeros((1, 8, 64)))
    heads = np.zeros((8, 4, 4, 1))  # one method for each identity, or place
    for b in range(4):
        fold = b // 2 if kind == "identities" else b % 2
        pool = generator.permutation(np.flatnonzero(c.identity_fold != fold))
        heads[pool, b, :2] = 1 / 4
        heads[pool[:2], b, 2] = heads[pool[2:], b, 3] = 1 / 2
    parts = of_one(replace(c, audits={kind: heads}), np.ones(1))
    assert parts.pool.sum() == pytest.approx(1 / 8, rel=1e-12)
    noisy = heads.copy()
    noisy[:, :, 1] += 10.0  # draws that differ by far more than the halves
    assert of_one(replace(c, audits={kind: noisy}), np.ones(1)).pool.sum() == 0.0


def test_names_and_order_do_not_matter() -> None:
    generator = np.random.default_rng(5)
    c = irregular(generator)
    weight = generator.normal(size=(3, 2, 4))
    pairs = generator.permutation(c.group.size)
    identities, places = generator.permutation(9), generator.permutation(10)
    groups = np.array([2, 0, 3, 1])
    by_identity, by_place = np.argsort(identities), np.argsort(places)
    renamed = Crossed(
        right=c.right[:, :, pairs], n=c.n[:, pairs], identity=identities[c.identity[pairs]],
        place=places[c.place[pairs]], group=groups[c.group[pairs]],
        class_of=1 - c.class_of[by_identity], attribute_of=c.attribute_of[by_place],
        identity_fold=1 - c.identity_fold[by_identity],
        place_fold=c.place_fold[by_place], n_groups=4,
        audits={k: h[..., np.argsort(groups)] for k, h in c.audits.items()},
    )  # fmt: skip
    expected = crossed.variance(c, weight)
    found = crossed.variance(renamed, weight[..., np.argsort(groups)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_identity_with_a_place_of_its_own_is_one_cluster() -> None:
    """Identities, places and cells are then the same, k / (k - 1) times the sum of squares."""
    generator = np.random.default_rng(6)
    n = 12
    codes = np.arange(n)
    own = Crossed(
        generator.random((1, 1, n)), np.ones((1, n), dtype=int), codes, codes, 0 * codes, 0 * codes,
        0 * codes, codes // 2 % 2, codes % 2, 1, {},
    )  # fmt: skip
    parts = of_one(own, np.ones(1))
    simple = own.right.var(ddof=1) / n
    assert parts.identities == parts.places == pytest.approx(parts.cells)
    assert two_way(parts) == pytest.approx(simple * n / (n - 1), rel=1e-12)


def test_equal_methods_have_no_difference_and_seeds_do_not_add_identities() -> None:
    c = irregular(np.random.default_rng(7))
    twice = replace(c, right=np.concatenate([c.right, c.right], axis=1), audits={})
    contrast = crossed.method_contrasts(twice, np.full(4, 0.25))
    none = crossed.interval(twice, contrast[0] - contrast[2])
    assert none.mean == 0.0
    assert -0.02 < none.low < 0.0 < none.high < 0.02  # by less than one of its 60 samples
    assert crossed.p_value(twice, contrast[0] - contrast[2]) == 1.0
    again = replace(c, right=3 * c.right, n=3 * c.n)
    np.testing.assert_allclose(of_one(again, WEIGHTS), of_one(c, WEIGHTS), rtol=1e-12)


def test_p_and_interval_agree() -> None:
    c = irregular(np.random.default_rng(8))
    contrast = np.random.default_rng(9).normal(size=(40, 3, 2, 4))
    for level in (0.5, 0.95):
        ends = crossed.interval(c, contrast, level)
        inside = (ends.low < 0) & (ends.high > 0)
        np.testing.assert_array_equal(inside, crossed.p_value(c, contrast) > 1 - level)
        assert inside.any()
        assert not inside.all()


def _missing(c: Crossed, what: str) -> Crossed:
    """c without one thing of group 0 of method 0."""
    right, n = c.right.copy(), c.n.copy()
    audits: Mapping[str, Floats] = {kind: heads.copy() for kind, heads in c.audits.items()}
    here = c.group == 0
    if what == "a failed cell":
        right[1, 0, np.flatnonzero(here)[0]] = np.nan
    elif what == "an audited head":
        audits["places"][0, 2, 3, 0] = np.nan
    else:
        fold = (c.identity_fold[c.identity] == 1) & (c.place_fold[c.place] == 0)
        gone = here & {"a block": fold, "a group": here}[what]
        right[:, :, gone], n[:, gone] = 0.0, 0
    return replace(c, right=right, n=n, audits=audits)


@pytest.mark.parametrize("what", ["a failed cell", "an audited head", "a block", "a group"])
def test_a_gap_is_missing_and_touches_nothing_else(what: str) -> None:
    c = irregular(np.random.default_rng(10))
    gap = _missing(c, what)
    per_group = [crossed.method_contrasts(c, weights) for weights in np.eye(4)]
    contrast = np.stack(per_group, axis=1)
    found, whole = crossed.interval(gap, contrast), crossed.interval(c, contrast)
    lost = np.isnan(found.low)
    assert lost[0, 0]
    assert np.isnan(found.mean[lost]).all()
    assert np.isnan(crossed.p_value(gap, contrast))[lost].all()
    assert (found.n == np.where(lost, 0, 4)).all()
    # A pair without samples is without them for both methods, a failure is of one.
    assert lost.sum() == (1 if what in ("a failed cell", "an audited head") else 2)
    for part, before in zip(found, whole, strict=True):
        np.testing.assert_array_equal(part[~lost], before[~lost])


def test_one_fold_of_a_side_shows_nothing_of_the_draws() -> None:
    c = irregular(np.random.default_rng(10))
    assert np.isnan(of_one(replace(c, place_fold=0 * c.place_fold, audits={}), WEIGHTS)).all()


def test_without_audits_the_total_is_for_this_pool() -> None:
    c = irregular(np.random.default_rng(11))
    whole, bare = of_one(c, WEIGHTS), of_one(replace(c, audits={}), WEIGHTS)
    assert np.isnan(bare.pool).all()
    np.testing.assert_allclose(bare.total, whole.total - whole.pool, rtol=1e-12)
