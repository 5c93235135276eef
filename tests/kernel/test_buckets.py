"""The signed buckets that sketches and random subspaces share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from w2s_groups.kernel.buckets import BLOCK, Buckets

# Within a block, over several, more buckets than a block, and more than there are entries.
SIZES = [(50, 7), (1000, 10), (3 * BLOCK + 11, 300), (5 * BLOCK, 2 * BLOCK + 5), (40, 64)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize(("D", "d"), SIZES)
def test_down_is_the_adjoint_of_up(D: int, d: int, unit: bool) -> None:
    P = Buckets(D, d, 0, unit)
    z, g = normal(d), normal(D, seed=1)
    left, right = P.up(z).double() @ g.double(), z.double() @ P.down([g]).double()
    assert abs(left - right) <= 1e-5 * z.norm() * g.norm()


@pytest.mark.parametrize(("D", "d"), SIZES)
def test_a_row_holds_one_sign_and_columns_are_even(D: int, d: int) -> None:
    P, z = Buckets(D, d, 0), normal(d)
    counts = P.down([P.up(torch.ones(d))])  # PᵀP is diagonal, and holds how many rows a bucket has
    torch.testing.assert_close(P.down([P.up(z)]), counts * z, rtol=1e-4, atol=1e-5)
    assert counts.sum() == D
    assert counts.max() - counts.min() <= P.length // d  # of the last block, which is not full
    assert set(P.up(torch.ones(d)).tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize(("D", "d"), SIZES[:-1])
def test_unit_columns_are_orthonormal(D: int, d: int) -> None:
    P, z = Buckets(D, d, 0, unit=True), normal(d)
    torch.testing.assert_close(P.down([P.up(z)]), z, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(P.up(z).norm(), z.norm(), rtol=1e-5, atol=0)


def test_as_many_buckets_as_entries_change_no_product() -> None:
    X = normal(5, 40)
    for d in (40, 64):
        sketched = Buckets(40, d, 0).down([X])
        torch.testing.assert_close(sketched @ sketched.T, X @ X.T, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(("D", "d"), [(300, 20), (BLOCK + 1000, 64)])
def test_products_are_unbiased_with_the_stated_variance(D: int, d: int) -> None:
    """Mean and mean square of the error over seeds, for vectors whose entries are alike."""
    g, h = normal(D), normal(D, seed=1) + 0.5 * normal(D)
    exact, seeds = (g @ h).item(), 400
    found = np.array([(b.down([g]) @ b.down([h])).item()
                      for b in (Buckets(D, d, seed) for seed in range(seeds))])  # fmt: skip
    variance = ((g @ g) * (h @ h) + exact**2).item() / d
    assert abs(found.mean() - exact) <= 4 * np.sqrt(variance / seeds)
    # A mean of `seeds` squares: relative standard error sqrt(2 / seeds) for a normal error.
    assert found.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / seeds))


def test_parts_and_batches_give_the_same_bits() -> None:
    D = 2 * BLOCK + 100
    P, g = Buckets(D, 256, 3), normal(6, D)
    whole = P.down([g])
    cuts = [0, 3, 3 + BLOCK, D - 7, D]
    assert torch.equal(whole, P.down(g[:, a:b] for a, b in pairwise(cuts)))
    assert torch.equal(whole, torch.stack([P.down([row]) for row in g]))


def test_threads_change_nothing() -> None:
    D, before = 4 * BLOCK, torch.get_num_threads()
    P, g = Buckets(D, 1000, 0), normal(8, D)
    whole = P.down([g])
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        assert torch.equal(P.down([g]), whole)
    finally:
        torch.set_num_threads(before)


def test_seeds_differ_and_repeat() -> None:
    g = normal(500)
    first = Buckets(500, 30, 0).down([g])
    assert torch.equal(first, Buckets(500, 30, 0).down([g]))
    assert not torch.equal(first, Buckets(500, 30, 1).down([g]))


def test_another_number_of_entries_is_refused() -> None:
    for parts in ([normal(49)], [], [normal(50), normal(1)]):
        n = sum(len(part) for part in parts)
        with pytest.raises(ValueError, match=f"{n} entries are given; this matrix has 50 rows"):
            Buckets(50, 7, 0).down(parts)


@pytest.mark.cuda
def test_a_gpu_gives_the_same_bits() -> None:
    D = 3 * BLOCK + 11
    g, z = normal(4, D), normal(300)
    P = Buckets(D, 300, 0, unit=True)
    down, up = P.down([g]), P.up(z)
    P.to("cuda")
    assert torch.equal(P.down([g.cuda()]).cpu(), down)
    assert torch.equal(P.up(z.cuda()).cpu(), up)
