"""How far the lowest of several noisy group accuracies lies below the lowest true one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from w2s_groups.results.stats import Floats

_NEVER = 1e-18  # far below the last bit of any accuracy


def worst_group_bias(accuracy: ArrayLike, n: ArrayLike) -> Floats:
    """E[min_g K_g / n_g] - min_g p_g for independent K_g ~ Binomial(n_g, p_g); at most 0.

    accuracy: (..., G) taken for the true p_g in [0, 1], NaN for an absent group; n: (..., G) test
    images. Returns (...), NaN where no group is there. Exact up to rounding: the integral of
    P(min > x), a product of binomial tails that is constant between the values that some K_g / n_g
    can take. Where p_g are measured themselves it is a plug-in estimate. Measured accuracies lie
    further apart than true ones, so for four equal groups it finds 0.42 to 0.44 of the bias; for
    groups that are clearly apart it overstates a bias that is next to none
    (tests/results/test_worst_group_bias.py).
    """
    p, size = np.broadcast_arrays(
        np.asarray(accuracy, dtype=np.float64), np.asarray(n, dtype=np.int64)
    )
    size = np.where(np.isnan(p), 0, size)
    # Images of a group are exchangeable here, so groups in another order are the same case.
    cases = np.concatenate([np.where(size > 0, p, -1.0), size], axis=-1)
    unique, where = np.unique(cases.reshape(-1, cases.shape[-1]), axis=0, return_inverse=True)
    half = p.shape[-1]
    bias = np.array([_bias(case[:half], case[half:].astype(np.int64)) for case in unique])
    return np.asarray(bias[where.reshape(-1)].reshape(p.shape[:-1]), dtype=np.float64)


def _bias(p: Floats, n: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    p, n = p[n > 0], n[n > 0]
    if p.size == 0:
        return float("nan")
    # By Hoeffding and Bernstein no group falls below `low` and the lowest one never above `high`;
    # a group that stays above `high` is never the lowest.
    tail = np.log(1.0 / _NEVER) / n
    bernstein = np.sqrt(2.0 * p * (1.0 - p) * tail) + 2.0 / 3.0 * tail
    reach = np.minimum(np.sqrt(tail / 2.0), bernstein)
    low, high = max(0.0, float((p - reach).min())), min(1.0, float((p + reach).min()))
    rivals = p - reach < high
    p, n = p[rivals], n[rivals]
    grids = [
        np.arange(np.ceil(low * size), np.floor(high * size) + 1) / size for size in np.unique(n)
    ]
    x = np.unique(np.concatenate([[low], *grids, [high]]))
    x = x[(x >= low) & (x <= high)]
    # 1e-9: k / n * n may fall short of k by a bit.
    tails = np.asarray(scipy_stats.binom.sf(np.floor(x[:-1, None] * n + 1e-9), n, p))
    return low + float(np.diff(x) @ tails.prod(axis=-1)) - float(p.min())
