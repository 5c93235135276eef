"""Predicted accuracies of ridge heads: samples of teachers and students of a draw, by group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.mixes import (
    Prediction,
    Progress,
    Scores,
    Student,
    checked_mixes,
    predict_mixes,
)
from w2s_groups.prediction.population import GroupedFeatures, Points, Population
from w2s_groups.prediction.ridge_covariance import ResidualCovariance, residual_covariance
from w2s_groups.prediction.ridge_mean import MeanResponse, mean_response, sampling_design
from w2s_groups.prediction.ridge_retraining import Selection, StudentSamples, retrained_samples
from w2s_groups.prediction.ridge_samples import Noise, sample_noise, sample_scores

BLOCK = 2**23  # scores of one block of cells
TOL = 1e-3  # relative change of weights that does not change accuracies


def predict(
    population: Population,
    counts_l: ArrayLike,
    counts_u: ArrayLike,
    l2_w: float,
    l2_s: float,
    *,
    points: Points | None = None,
    samples: int = 64,
    seed: int = 0,
    selection: Selection | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Predicted accuracies of every labelled mix with every unlabelled mix.

    counts_l (L, G), counts_u (U, G): images of each group. l2_w, l2_s: l2 of the ridge heads, as in
    heads.Problem. points: where accuracies are measured; None: on the population's own rows, each
    as if it had not been drawn. samples: an even number. selection: of the images that students are
    retrained on; None: they are not. progress: called with (done, total) of L + L U heads. Source:
    docs/prediction.md.
    """
    for name, value in (("l2_w", l2_w), ("l2_s", l2_s)):
        if not 0 <= value < np.inf:
            raise InputError(f"{name}={value} must be a finite number, 0 or more")
    mixes = checked_mixes(population, counts_l, counts_u, samples)
    noise = sample_noise(population, samples, seed)
    at_w, at_s = (None, None) if points is None else (points.teacher, points.student)
    model = _RidgeModel(
        _RidgeHeads(population.teacher, l2_w, at_w, noise),
        _RidgeHeads(population.student, l2_s, at_s, noise),
        population.targets,
        selection,
    )
    return predict_mixes(model, population, mixes, points, noise, progress)


@dataclass(frozen=True, eq=False)
class _Sampler:
    """Ridge heads on draws of one mix; points_Q: (T, d + 1) points times Q."""

    covariance: ResidualCovariance
    noise: Noise
    points_Q: Tensor | None

    def scores(self, targets: Tensor, selected: Tensor) -> list[Scores]:
        """Of C cells: targets (N, C, S, K) or (N, C, 1, K), selected (N, C, S)."""
        loo, at = sample_scores(self.covariance, targets, selected, self.noise, self.points_Q)
        at_points = [None] * loo.shape[1] if at is None else at.unbind(1)
        return [Scores(*cell) for cell in zip(loo.unbind(1), at_points, strict=True)]


@dataclass
class _RidgeHeads:
    """Ridge heads of one network. Each fixed point starts from that of the mix before."""

    features: GroupedFeatures
    l2: float
    points: Tensor | None
    noise: Noise
    last: MeanResponse | None = field(default=None, init=False)

    def on(self, counts: Tensor) -> _Sampler:
        """Heads on counts (G,) images."""
        sampling = sampling_design(self.features, counts)
        self.last = mean_response(self.features, sampling, self.l2, self.last, TOL)
        points_Q = None if self.points is None else (self.points @ self.last.Q).float()
        return _Sampler(residual_covariance(self.last), self.noise, points_Q)


@dataclass
class _RidgeModel:
    """Theory of ridge heads, as mixes.HeadModel."""

    weak: _RidgeHeads
    strong: _RidgeHeads
    labels: Tensor
    selection: Selection | None
    threshold: float = 0.5

    def teacher(self, counts: Tensor) -> Scores:
        """Teachers on counts (G,) labelled images."""
        heads = self.weak.on(counts)
        [scores] = heads.scores(self.labels[:, None, None], heads.noise.labelled[:, None])
        return scores

    def targets(self, loo: Tensor) -> Tensor:
        """Students are trained on scores."""
        return loo

    def students(self, counts: Tensor, cells: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Student]:
        """Students on counts (G,) unlabelled images, retrained where there is a selection."""
        heads = self.strong.on(counts)
        scored = self._scored(heads, iter(cells))
        if self.selection is None:
            yield from (Student(scores) for _, _, scores in scored)
            return
        students = list(scored)
        retrained = retrained_samples(
            heads.covariance, counts, self.strong.l2,
            [StudentSamples(targets, scores.loo, noise) for targets, noise, scores in students],
            self.selection, self.strong.points,
        )  # fmt: skip
        for (_, _, scores), again in zip(students, retrained, strict=True):
            yield Student(scores, Scores(again.loo, again.at_points), again.kept)

    def _scored(
        self, heads: _Sampler, cells: Iterator[tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[Tensor, Tensor, Scores]]:
        """(targets, selected, scores) of each cell, a block of cells at a time."""
        for first in cells:
            size = max(1, BLOCK // first[0].numel())
            targets, selected = zip(first, *islice(cells, size - 1), strict=True)
            scores = heads.scores(torch.stack(targets, 1), torch.stack(selected, 1))
            yield from zip(targets, selected, scores, strict=True)
