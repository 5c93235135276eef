"""Samples of the accuracies that logistic teachers and students of a draw will have, by group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.logistic_mean import Curved, curved
from w2s_groups.prediction.moreau_envelope import drawn_slope, logistic
from w2s_groups.prediction.population import Points, Population, Side
from w2s_groups.prediction.ridge import Floats, Prediction, accuracy, checked_mixes, counter
from w2s_groups.prediction.ridge_mean import shares
from w2s_groups.prediction.ridge_samples import Noise, beside, make_noise


def predict_logistic(
    population: Population,
    counts_l: ArrayLike,
    counts_u: ArrayLike,
    l2_w: float,
    l2_s: float,
    *,
    points: Points | None = None,
    samples: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Predicted accuracies, as `predictive.predict`, of heads that minimise cross-entropy.

    The student's targets are the teacher's probabilities. Two classes. l2_w, l2_s > 0: as
    heads.Problem has them. progress: called with (done, total) of L + L U heads. Source:
    docs/prediction.md, 10.
    """
    check_two_classes(max(population.targets.shape[1], 2))
    for field, value in (("l2_w", l2_w), ("l2_s", l2_s)):
        if not 0 < value < np.inf:
            raise InputError(f"{field}={value} must be positive and finite")
    mixes_l, mixes_u = checked_mixes(population, counts_l, counts_u, samples)
    _check_classes(population, mixes_l)
    noise = make_noise(population, samples, seed)
    step = counter(progress, len(mixes_l) * (1 + len(mixes_u)))
    codes, sizes, names = population.codes, population.sizes, population.names

    teacher, taught, shares_l = [], [], []
    side, start = population.teacher, None
    at_points = points.teacher if points is not None else None
    for counts in mixes_l:
        start = curved(side, codes, counts, sizes, l2_w, population.targets, names, logistic, start)
        loo, seen = sampled_logits(
            side, start, population.targets, noise.labelled, noise, at_points
        )
        taught.append(torch.sigmoid(loo))
        teacher.append(_accuracy(population, points, loo, seen))
        shares_l.append(shares(side, counts, sizes, names))
        step()

    student: list[list[Floats]] = [[] for _ in mixes_l]
    side, start = population.student, None
    at_points = points.student if points is not None else None
    for counts in mixes_u:
        share = shares(side, counts, sizes, names)
        for i, targets in enumerate(taught):
            start = curved(side, codes, counts, sizes, l2_s, targets, names, logistic, start)
            drawn = beside(noise, shares_l[i], share, codes)
            loo, seen = sampled_logits(side, start, targets, drawn, noise, at_points)
            student[i].append(_accuracy(population, points, loo, seen))
            step()
    n = points.n if points is not None else np.bincount(codes.cpu(), minlength=len(side.member))
    return Prediction(np.stack(teacher), np.stack([np.stack(row) for row in student]), n)


def sampled_logits(
    side: Side,
    c: Curved,
    targets: Tensor,
    drawn: Tensor,
    noise: Noise,
    points: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Logits (N, S) of every row without itself, and (T, S) at points (T, d + 1).

    targets: (N, S), or (N, 1) where they are those of every sample. drawn: (N, S) as Noise's.
    """
    without = (c.without + c.beta[:, None]) + c.sd[:, None] * noise.row[..., 0]
    slope = drawn_slope(without, targets, c.delta[:, None], logistic)
    e = -c.amplitude[:, None] * slope * drawn
    pushed = side.single.T @ e.float()
    moved = ((c.R @ pushed).to(e) - c.own[:, None] * e) / c.loo[:, None]
    loo = c.without + moved
    return loo, None if points is None else points @ (c.theta + c.Q @ pushed.to(e))


def check_two_classes(n_classes: int) -> None:
    """Raise InputError for more."""
    if n_classes != 2:
        raise InputError(
            f"the pool has {n_classes} classes: logistic heads are predicted for two; predict "
            "ridge heads (head=ridge) as a guide to their order"
        )


def _accuracy(
    population: Population, points: Points | None, loo: Tensor, seen: Tensor | None
) -> Floats:
    at = None if seen is None else seen[..., None]
    return accuracy(population, points, loo[..., None], at, threshold=0.0)


def _check_classes(population: Population, mixes: Tensor) -> None:
    of_second = mixes[:, population.class_of == 1].sum(1)
    for counts, second in zip(mixes.tolist(), of_second.tolist(), strict=True):
        if second in (0, sum(counts)):
            raise InputError(
                f"counts_l={counts} has images of one class only: logistic heads on them have no "
                "finite intercept; draw some of both"
            )
