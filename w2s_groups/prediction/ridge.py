"""Samples of the accuracies that teacher and student of a draw will have, group by group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.prediction.population import Points, Population
from w2s_groups.prediction.ridge_covariance import spread
from w2s_groups.prediction.ridge_mean import draws, response, shares
from w2s_groups.prediction.ridge_retraining import Selection, Student, refits
from w2s_groups.prediction.ridge_samples import beside, make_noise, sampled_scores

Floats = NDArray[np.float64]
BLOCK = 2**23  # scores of one block of cells
ENOUGH = 1e-3  # relative change of weights that no accuracy shows


@dataclass(frozen=True, eq=False)
class Prediction:
    """Accuracies in [0, 1] by group in S samples of a draw; a group without images is NaN.

    teacher: (L, S, G) for L labelled mixes. student: (L, U, S, G) for U unlabelled mixes. Sample s
    of a student was taught by sample s of its teacher. n: (G,) images that they are read from.
    With a selection, retrained (L, U, S, G): the student refitted on what it is surest of, and
    kept (L, U, S, G): the share of each group of the unlabelled set that this is.
    """

    teacher: Floats
    student: Floats
    n: NDArray[np.int64]
    retrained: Floats | None = None
    kept: Floats | None = None

    def refit_pair(self) -> Prediction:
        """Students (L U, S, G) as teachers, each with its refit (L U, 1, S, G) as their student."""
        if self.retrained is None:
            raise InputError("no refit was predicted; call predict with selection=Selection(keep)")
        before, after = (v.reshape(-1, *v.shape[2:]) for v in (self.student, self.retrained))
        return Prediction(before, after[:, None], self.n)


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
    progress: Callable[[int, int], None] | None = None,
) -> Prediction:
    """Predicted accuracies of every labelled mix with every unlabelled mix.

    counts_l (L, G), counts_u (U, G): images of each group. l2_w, l2_s: l2 of the ridge heads, as
    heads.Problem has it. points: where accuracies are read; None: the population's own rows, each
    as if it had not been drawn. samples: an even number. selection: of what students are refitted
    on; None: they are not. progress: called with (done, total) of L + U mixes. Source:
    docs/prediction.md.
    """
    for field, value in (("l2_w", l2_w), ("l2_s", l2_s)):
        if not 0 <= value < np.inf:
            raise InputError(f"{field}={value} must be a finite number, 0 or more")
    mixes_l, mixes_u = checked_mixes(population, counts_l, counts_u, samples)
    noise = make_noise(population, samples, seed)
    step = counter(progress, len(mixes_l) + len(mixes_u))
    codes, sizes, names = population.codes, population.sizes, population.names
    side, near = population.teacher, None
    taught, teacher, p_l = [], [], []
    for counts in mixes_l:
        taken = draws(side, codes, counts, sizes, names)
        near = response(side, codes, taken, l2_w, near, ENOUGH)
        s = spread(codes, sizes, near)
        seen = (points.teacher @ near.Q).float() if points is not None else None
        truth, drawn = population.targets[:, None, None], noise.labelled[:, None]
        loo, at_points = sampled_scores(s, codes, truth, drawn, noise, seen)
        taught.append(loo[:, 0])
        teacher += accuracies(population, points, loo, at_points)
        p_l.append(shares(side, counts, sizes, names))
        step()

    side, near = population.student, None
    together = max(1, BLOCK // taught[0].numel())
    student: list[list[Floats]] = [[] for _ in mixes_l]
    retrained: list[list[Floats]] = [[] for _ in mixes_l]
    kept: list[list[Floats]] = [[] for _ in mixes_l]
    for counts in mixes_u:
        taken, p = draws(side, codes, counts, sizes, names), shares(side, counts, sizes, names)
        near = response(side, codes, taken, l2_s, near, ENOUGH)
        s = spread(codes, sizes, near)
        seen = (points.student @ near.Q).float() if points is not None else None
        students: list[Student] = []
        for at in np.split(np.arange(len(taught)), range(together, len(taught), together)):
            targets = torch.stack([taught[i] for i in at], 1)
            drawn = torch.stack([beside(noise, p_l[i], p, codes) for i in at], 1)
            loo, at_points = sampled_scores(s, codes, targets, drawn, noise, seen)
            for i, one in zip(at, accuracies(population, points, loo, at_points), strict=True):
                student[i].append(one)
            if selection is not None:
                cells = zip(targets.unbind(1), loo.unbind(1), drawn.unbind(1), strict=True)
                students += [Student(*cell) for cell in cells]
        if selection is not None:
            again = refits(
                side, codes, counts, sizes, l2_s, s, students, selection,
                points.student if points is not None else None,
            )  # fmt: skip
            for i, refit in enumerate(again):
                retrained[i].append(accuracy(population, points, refit.loo, refit.at))
                kept[i].append(refit.kept.cpu().numpy())
        step()
    n = points.n if points is not None else np.bincount(codes.cpu(), minlength=len(side.member))

    def stacked(cells: list[list[Floats]]) -> Floats:
        return np.stack([np.stack(row) for row in cells])

    more = () if selection is None else (stacked(retrained), stacked(kept))
    return Prediction(np.stack(teacher), stacked(student), n, *more)


def checked_mixes(
    population: Population, counts_l: ArrayLike, counts_u: ArrayLike, samples: int
) -> tuple[Tensor, Tensor]:
    """counts_l (L, G), counts_u (U, G) as tensors; InputError unless the pool holds any two."""
    if samples < 2 or samples % 2:
        raise InputError(f"samples={samples} must be an even number, 2 or more: they come in pairs")
    mixes_l, mixes_u = (
        torch.as_tensor(_counts(name, counts, population), device=population.codes.device)
        for name, counts in (("counts_l", counts_l), ("counts_u", counts_u))
    )
    _check_disjoint(population, mixes_l, mixes_u)
    return mixes_l, mixes_u


def counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None]:
    """A call of it counts one more of `total` done."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return step


def accuracy(
    population: Population,
    points: Points | None,
    loo: Tensor,
    at_points: Tensor | None,
    threshold: float = 0.5,
) -> Floats:
    """(S, G) share of each group's images whose score says their class.

    loo (N, S, K), at_points (T, S, K); threshold: above which one score says the second class.
    """
    scores = loo if at_points is None else at_points
    if points is None:
        member, truth = population.teacher.member, population.class_of[population.codes]
    else:
        member, truth = points.member, points.classes
    said = (scores[..., 0] > threshold).long() if scores.shape[-1] == 1 else scores.argmax(-1)
    right = (member @ (said == truth[:, None]).to(member)).T
    return torch.where((member > 0).any(1), right, torch.nan).cpu().numpy()


def accuracies(
    population: Population, points: Points | None, loo: Tensor, at_points: Tensor | None
) -> list[Floats]:
    """`accuracy` of each of C cells: loo (N, C, S, K), at_points (T, C, S, K)."""
    at = None if at_points is None else at_points.flatten(1, 2)
    found = accuracy(population, points, loo.flatten(1, 2), at)
    return list(found.reshape(*loo.shape[1:3], -1))


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


def _check_disjoint(population: Population, mixes_l: Tensor, mixes_u: Tensor) -> None:
    """Labelled and unlabelled images are disjoint, so that a pool must hold both."""
    need = mixes_l[:, None] + mixes_u[None]
    short = (need > population.sizes).nonzero()
    if len(short):
        i, j, g = (int(value) for value in short[0])
        raise InputError(
            f"counts_l={mixes_l[i].tolist()} and counts_u={mixes_u[j].tolist()} need "
            f"{int(need[i, j, g])} images of {population.names[g]} together and the pool has "
            f"{population.sizes[g]:.0f}; lower n_l or n_u, or choose etas that need fewer"
        )
