"""Predictions of one pair of networks on one pool, asked for by (n, eta)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.progress import Steps
from w2s_groups.design.sampling import group_counts
from w2s_groups.experiment.pool import Pool
from w2s_groups.prediction import table
from w2s_groups.prediction.logistic import predict_logistic
from w2s_groups.prediction.population import Points, points, population
from w2s_groups.prediction.ridge import predict
from w2s_groups.prediction.ridge_retraining import Selection
from w2s_groups.prediction.table import Mix
from w2s_groups.schema.choices import HeadKind


class Engine:
    """Predicts heads on the samples of one pool.

    samples: of each cell's draws. device: where the products run. head: logistic heads are
    predicted as such, others as ridge heads.
    """

    def __init__(self, pool: Pool, samples: int, device: str, head: HeadKind) -> None:
        self.pool, self.samples, self.device = pool, samples, device
        self.logistic = head is HeadKind.logistic
        rows = pool.drawable
        self.population = population(
            pool.features["teacher"][rows], pool.features["student"][rows], pool.codes[rows],
            pool.groups, device=device,
        )  # fmt: skip

    def test(self) -> Points:
        """The test images, as points at which accuracies are predicted."""
        pool, rows = self.pool, self.pool.test
        return points(
            pool.features["teacher"][rows], pool.features["student"][rows], pool.codes[rows],
            pool.groups, device=self.device,
        )  # fmt: skip

    def l2(self, side: str, alpha: float) -> float:
        """The heads' l2 that alpha stands for on one side: of logistic heads, alpha itself."""
        return float(alpha if self.logistic else alpha * self.pool.features[side].shape[1])

    def fits(self, labelled: Mix, unlabelled: Mix) -> bool:
        """Whether the pool holds both sets at once."""
        need = self._counts([labelled]) + self._counts([unlabelled])
        return bool((need <= self.population.sizes.cpu().numpy()).all())

    def table(
        self,
        labelled: Sequence[Mix],
        unlabelled: Sequence[Mix],
        alpha: float,
        at: Points | None,
        label: str,
        finer: int = 1,
        selection: Selection | None = None,
    ) -> pd.DataFrame:
        """Rows of table.predictions, with alpha; `label` names the progress bar.

        finer: times the samples. selection: of ridge heads.
        """
        run = predict_logistic if self.logistic else partial(predict, selection=selection)
        with Steps() as steps:
            predicted = run(
                self.population, self._counts(labelled), self._counts(unlabelled),
                self.l2("teacher", alpha), self.l2("student", alpha), points=at,
                samples=finer * self.samples, progress=partial(steps, label),
            )  # fmt: skip
        rows = table.predictions(
            predicted, labelled, unlabelled, self.pool.groups, self.pool.priors
        )
        return rows.assign(alpha=alpha)

    def _counts(self, mixes: Iterable[Mix]) -> NDArray[np.int64]:
        """(len, G) images of each group."""
        pool = self.pool
        return np.stack([group_counts(pool.groups, pool.priors, n, eta) for n, eta in mixes])
