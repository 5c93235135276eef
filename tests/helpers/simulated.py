"""Tables of accuracies with a known truth, to see how often an interval holds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
KINDS = ("average", "worst_group", "difference", "skewed")
TRUE = np.array([0.88, 0.79, 0.77, 0.85])
OTHER = TRUE + np.array([-0.05, 0.04, 0.05, 0.0])
N = 250


def accuracies(generator: np.random.Generator, p: Floats, draw: Floats, spread: float) -> Floats:
    """(..., G) measured on N images: true p, a draw's shared effect (...) and one of each group."""
    own = generator.normal(0.0, spread, (*draw.shape, p.size))
    return generator.binomial(N, np.clip(p + draw[..., None] + own, 0.0, 1.0)) / N


def seeds(generator: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Floats:
    """One number a seed, as the summary's intervals take them."""
    if kind == "skewed":
        return 0.85 - generator.exponential(0.04, shape)
    draw = generator.normal(0.0, 0.02, shape)
    one = accuracies(generator, TRUE, draw, 0.03)
    if kind == "average":
        return one.mean(axis=-1)
    if kind == "worst_group":
        return one.min(axis=-1)
    return accuracies(generator, OTHER, draw, 0.02).min(axis=-1) - one.min(axis=-1)


def truth(kind: str) -> tuple[float, float]:
    """True mean of `seeds` and its standard error: of a million draws where no formula gives it."""
    if kind == "skewed":
        return 0.81, 0.0
    values = seeds(np.random.default_rng(99), kind, (1_000_000,))
    return float(values.mean()), float(values.std() / 1000)
