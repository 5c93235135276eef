"""Predicted accuracies of logistic heads: samples of teachers and students of a draw, by group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.logistic_mean import LogisticMean, logistic_mean
from w2s_groups.prediction.mixes import (
    Prediction,
    Progress,
    Scores,
    Student,
    checked_mixes,
    predict_mixes,
)
from w2s_groups.prediction.moreau_envelope import logistic, proximal_slope
from w2s_groups.prediction.population import GroupedFeatures, Points, Population
from w2s_groups.prediction.ridge_samples import Noise, sample_noise


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
    progress: Progress | None = None,
) -> Prediction:
    """Predicted accuracies, as `ridge.predict`, of heads that minimise cross-entropy.

    The student's targets are the teacher's probabilities. Two classes. l2_w, l2_s > 0: as in
    heads.Problem. Source: docs/prediction.md, 10.
    """
    check_two_classes(max(population.targets.shape[1], 2))
    for name, value in (("l2_w", l2_w), ("l2_s", l2_s)):
        if not 0 < value < np.inf:
            raise InputError(f"{name}={value} must be positive and finite")
    mixes = checked_mixes(population, counts_l, counts_u, samples)
    _check_both_classes(population, mixes[0])
    noise = sample_noise(population, samples, seed)
    at_w, at_s = (None, None) if points is None else (points.teacher, points.student)
    model = _LogisticModel(
        _LogisticHeads(population.teacher, l2_w, at_w, noise),
        _LogisticHeads(population.student, l2_s, at_s, noise),
        population.targets,
    )
    return predict_mixes(model, population, mixes, points, noise, progress)


def sample_logits(
    heads: LogisticMean, targets: Tensor, selected: Tensor, noise: Noise, points: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Logits (N, S) of every row without itself, and (T, S) at points (T, d + 1).

    targets: (N, S), or (N, 1) where all samples have the same. selected: (N, S) noise of the
    selection.
    """
    without = heads.without + heads.beta[:, None]
    without = without + heads.sd[:, None] * noise.residual[..., 0]
    slope = proximal_slope(without, targets, heads.delta[:, None], logistic)
    e = -heads.amplitude[:, None] * slope * selected
    x_e = heads.features.x32.T @ e.float()
    change = (heads.XQ @ x_e).to(e) - heads.own_leverage[:, None] * e
    loo = heads.without + change / heads.loo_divisor[:, None]
    return loo, None if points is None else points @ (heads.theta + heads.Q @ x_e.to(e))


def check_two_classes(n_classes: int) -> None:
    """Raise InputError for more."""
    if n_classes != 2:
        raise InputError(
            f"the pool has {n_classes} classes: logistic heads are predicted for two; predict "
            "ridge heads (head=ridge) as a guide to their order"
        )


@dataclass
class _LogisticHeads:
    """Logistic heads of one network. Each fixed point starts from the one before."""

    features: GroupedFeatures
    l2: float
    points: Tensor | None
    noise: Noise
    last: LogisticMean | None = field(default=None, init=False)

    def scores(self, counts: Tensor, targets: Tensor, selected: Tensor) -> Scores:
        """Of heads on counts (G,) images with targets (N, S) or (N, 1)."""
        self.last = logistic_mean(self.features, counts, self.l2, targets, logistic, self.last)
        loo, at = sample_logits(self.last, targets, selected, self.noise, self.points)
        return Scores(loo[..., None], None if at is None else at[..., None])


@dataclass
class _LogisticModel:
    """Theory of logistic heads, as mixes.HeadModel."""

    weak: _LogisticHeads
    strong: _LogisticHeads
    labels: Tensor
    threshold: float = 0.0

    def teacher(self, counts: Tensor) -> Scores:
        """Teachers on counts (G,) labelled images."""
        return self.weak.scores(counts, self.labels, self.weak.noise.labelled)

    def targets(self, loo: Tensor) -> Tensor:
        """Students are trained on probabilities."""
        return torch.sigmoid(loo)

    def students(self, counts: Tensor, cells: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Student]:
        """Students on counts (G,) unlabelled images."""
        for targets, selected in cells:
            yield Student(self.strong.scores(counts, targets[..., 0], selected))


def _check_both_classes(population: Population, mixes: Tensor) -> None:
    of_second = mixes[:, population.class_of == 1].sum(1)
    for counts, second in zip(mixes.tolist(), of_second.tolist(), strict=True):
        if second in (0, sum(counts)):
            raise InputError(
                f"counts_l={counts} has images of one class only: logistic heads on them have no "
                "finite intercept; draw some of both"
            )
