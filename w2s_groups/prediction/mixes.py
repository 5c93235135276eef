"""Accuracies of every labelled mix with every unlabelled mix, for any kind of head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.population import Points, Population
from w2s_groups.prediction.ridge_mean import inclusion_probabilities
from w2s_groups.prediction.ridge_samples import Noise, correlated_noise

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Accuracies in [0, 1] by group in S samples of a draw; NaN for a group without images.

    teacher: (L, S, G) for L labelled mixes. student: (L, U, S, G) for U unlabelled mixes, sample s
    with sample s of its teacher. n: (G,) images on which accuracies are measured. With a selection,
    retrained: (L, U, S, G) of the student retrained on its most confident images, and kept: (L, U,
    S, G) the share of each group of the unlabelled set that these are.
    """

    teacher: Floats
    student: Floats
    n: NDArray[np.int64]
    retrained: Floats | None = None
    kept: Floats | None = None

    def retraining(self) -> Prediction:
        """Students as teachers (L U, S, G), each with its retrained student (L U, 1, S, G)."""
        if self.retrained is None:
            raise InputError(
                "no retrained student was predicted; call predict with selection=Selection(keep)"
            )
        before, after = (v.reshape(-1, *v.shape[2:]) for v in (self.student, self.retrained))
        return Prediction(before, after[:, None], self.n)


@dataclass(frozen=True, eq=False)
class Scores:
    """Of one cell: loo (N, S, K) of every row without itself; at_points (T, S, K), None without."""

    loo: Tensor
    at_points: Tensor | None


@dataclass(frozen=True, eq=False)
class Student:
    """Scores of a student; of the retrained one too, and the shares kept (S, G) of each group."""

    scores: Scores
    retrained: Scores | None = None
    kept: Tensor | None = None


class HeadModel(Protocol):
    """The theory of one kind of head on one population.

    threshold: the score above which a head with one score predicts the second class.
    """

    threshold: float

    def teacher(self, counts: Tensor) -> Scores:
        """Teachers on counts (G,) labelled images."""
        ...

    def targets(self, loo: Tensor) -> Tensor:
        """What a student is trained on (N, S, K), from its teacher's scores."""
        ...

    def students(self, counts: Tensor, cells: Iterable[tuple[Tensor, Tensor]]) -> Iterator[Student]:
        """Students on counts (G,) unlabelled images.

        cells: targets (N, S, K), and noise (N, S) of the images that are drawn.
        """
        ...


def predict_mixes(
    model: HeadModel,
    population: Population,
    mixes: tuple[Tensor, Tensor],
    points: Points | None,
    noise: Noise,
    progress: Progress | None,
) -> Prediction:
    """Accuracies of mixes (L, G), (U, G), as checked by `checked_mixes`, with samples of `noise`.

    progress: called with (done, total) of L + L U heads. Source: docs/prediction.md, 4.
    """
    labelled, unlabelled = mixes
    step = _counter(progress, len(labelled) * (1 + len(unlabelled)))
    teacher, targets, p_l = [], [], []
    for counts in labelled:
        scores = model.teacher(counts)
        teacher.append(accuracy(population, points, scores, model.threshold))
        targets.append(model.targets(scores.loo))
        p_l.append(inclusion_probabilities(population.teacher, counts))
        step()
    student: list[Floats] = []
    retrained: list[Floats] = []
    kept: list[Floats] = []
    for counts in unlabelled:
        p_u = inclusion_probabilities(population.student, counts)
        cells = (
            (t, correlated_noise(noise, p, p_u, population.codes))
            for t, p in zip(targets, p_l, strict=True)
        )
        for cell in model.students(counts, cells):
            student.append(accuracy(population, points, cell.scores, model.threshold))
            if cell.retrained is not None and cell.kept is not None:
                retrained.append(accuracy(population, points, cell.retrained, model.threshold))
                kept.append(cell.kept.cpu().numpy())
            step()
    n = population.teacher.n_rows.cpu().numpy() if points is None else points.n
    more = (_by_cell(values, len(labelled)) for values in (retrained, kept) if values)
    return Prediction(np.stack(teacher), _by_cell(student, len(labelled)), n, *more)


def checked_mixes(
    population: Population, counts_l: ArrayLike, counts_u: ArrayLike, samples: int
) -> tuple[Tensor, Tensor]:
    """counts_l (L, G), counts_u (U, G) as tensors; InputError unless the pool serves every cell."""
    if samples < 2 or samples % 2:
        raise InputError(f"samples={samples} must be an even number, 2 or more: they come in pairs")
    labelled, unlabelled = (
        torch.as_tensor(_counts(name, counts, population), device=population.codes.device)
        for name, counts in (("counts_l", counts_l), ("counts_u", counts_u))
    )
    _check_disjoint(population, labelled, unlabelled)
    return labelled, unlabelled


def accuracy(
    population: Population, points: Points | None, scores: Scores, threshold: float
) -> Floats:
    """(S, G) share of each group's images that are classified correctly; NaN for absent groups."""
    if points is None or scores.at_points is None:
        features = population.teacher
        weights, truth = features.group_weights, population.class_of[features.codes]
        values = scores.loo
    else:
        weights, truth, values = points.group_weights, points.classes, scores.at_points
    one = values.shape[-1] == 1
    predicted = (values[..., 0] > threshold).long() if one else values.argmax(-1)
    right = (weights @ (predicted == truth[:, None]).to(weights)).T
    return torch.where((weights > 0).any(1), right, torch.nan).cpu().numpy()


def _by_cell(values: list[Floats], n_labelled: int) -> Floats:
    """(L, U, ...) of values that come with the labelled mix running fastest."""
    stacked = np.stack(values)
    by_cell = stacked.reshape(-1, n_labelled, *stacked.shape[1:]).swapaxes(0, 1)
    return np.ascontiguousarray(by_cell)


def _counter(progress: Progress | None, total: int) -> Callable[[], None]:
    """A function that reports one more of `total` done at each call."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return step


def _counts(name: str, counts: ArrayLike, population: Population) -> NDArray[np.int64]:
    mixes = np.asarray(counts)
    if mixes.ndim != 2 or mixes.shape[1] != population.n_groups or mixes.dtype.kind not in "iu":
        raise InputError(
            f"{name} of shape {mixes.shape} must hold whole numbers, one row a mix and one column "
            f"for each of the {population.n_groups} groups"
        )
    if (mixes < 0).any() or (mixes.sum(axis=1) < 2).any():
        raise InputError(f"{name} must be 0 or more in each group, and 2 or more together")
    return mixes.astype(np.int64)


def _check_disjoint(population: Population, labelled: Tensor, unlabelled: Tensor) -> None:
    """Labelled and unlabelled images are disjoint, so that a pool must hold both."""
    need = labelled[:, None] + unlabelled[None]
    short = (need > population.sizes).nonzero()
    if len(short):
        i, j, g = (int(value) for value in short[0])
        raise InputError(
            f"counts_l={labelled[i].tolist()} and counts_u={unlabelled[j].tolist()} need "
            f"{int(need[i, j, g])} images of {population.names[g]} together and the pool has "
            f"{population.sizes[g]:.0f}; lower n_l or n_u, or choose etas that need fewer"
        )
