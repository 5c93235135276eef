"""One linear head to fit, as data: what the methods write and the solvers read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CrossEntropy:
    """−Σ_k t_k log p_k for target probabilities t (hard or soft)."""


@dataclass(frozen=True)
class GCE:
    """Generalised cross-entropy Σ_k t_k (1 − p_k^q) / q, exponent q in (0, 1].

    Written −expm1(q log p)/q, which is exact as q → 0 (cross-entropy) and keeps its gradient where
    p underflows. Source: Zhang and Sabuncu, NeurIPS 2018, eq. 6.
    """

    q: float


Loss = CrossEntropy | GCE


@dataclass(frozen=True, eq=False)
class Head:
    """Linear head with K logits: K = 1 for two classes (sigmoid), K = C for more (softmax).

    coef: (d, K), intercept: (K,), float64.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """min over (w, b) of (1/n) Σ_i loss(target_i, x_i w + b) + (l2/2) ‖w‖²; the intercept is free.

    rows: (n,) row indices into the feature matrix of `side` ("teacher" or "student").
    targets: (n, C) probabilities whose rows sum to 1; C = 2 is solved with one logit.
    weights: optional (n,) nonnegative sample weights (the mean becomes Σ w_i loss_i / Σ w_i).
    init: starting point; None is zero. Matters for non-convex losses only.
    """

    side: str
    rows: NDArray[np.int64]
    targets: NDArray[np.float64]
    loss: Loss
    l2: float
    weights: NDArray[np.float64] | None = None
    init: Head | None = None
