"""The pool that a prediction is computed from: features, groups, targets and group sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.design.groups import Groups
from w2s_groups.heads.checks import check_features
from w2s_groups.heads.problem import (
    n_logits,
    one_hot,
)

N_LANDMARKS = 2048  # rows, the same number of every group, that represent all in equation 8


@dataclass(frozen=True, eq=False)
class GroupedFeatures:
    """Features of one network for the rows of a pool, and the groups that images are drawn from.

    x: (N, d + 1) float64, the last column 1 for the free intercept. codes: (N,) group of each row.
    sizes: (G,) images in each group, of which the rows are all or a sample; inf where draws are
    independent, as from a distribution. names: of the G groups.
    """

    x: Tensor
    codes: Tensor
    sizes: Tensor
    names: tuple[str, ...]

    @cached_property
    def x32(self) -> Tensor:
        """(N, d + 1) rows in float32, for products whose rounding does not change accuracies."""
        return self.x.float()

    @cached_property
    def n_rows(self) -> Tensor:
        """(G,) rows of each group."""
        return torch.bincount(self.codes, minlength=len(self.names))

    @cached_property
    def group_weights(self) -> Tensor:
        """(G, N) 1/N_g for the rows of group g, else 0: group_weights @ values are group means."""
        return _group_weights(self.codes, len(self.names)).to(self.x)

    @cached_property
    def group_means(self) -> Tensor:
        """(G, d + 1) means of the rows; 0 for a group without rows."""
        return self.group_weights @ self.x

    @cached_property
    def second_moments(self) -> Tensor:
        """(G, d + 1, d + 1) second moments of each group about 0."""
        parts = []
        for weight in self.group_weights:
            rows = self.x[weight > 0]
            parts.append((weight[weight > 0] * rows.T) @ rows)
        return torch.stack(parts)

    @cached_property
    def landmarks(self) -> tuple[Tensor, Tensor]:
        """(J,) rows at even distances in each group, and (J,) how many rows each represents."""
        groups = [weight.nonzero()[:, 0] for weight in self.group_weights]
        most = -(-N_LANDMARKS // len(groups))
        chosen = [
            rows[torch.arange(most, device=rows.device) * len(rows) // most]
            if len(rows) > most
            else rows
            for rows in groups
        ]
        represented = [
            torch.full((len(few),), len(rows) / max(len(few), 1)).to(self.x)
            for rows, few in zip(groups, chosen, strict=True)
        ]
        return torch.cat(chosen), torch.cat(represented)

    def penalty(self, l2: float) -> Tensor:
        """(d + 1,) diagonal of P in equation 1: the intercept is free."""
        penalty = torch.full_like(self.x[0], l2)
        penalty[-1] = 0.0
        return penalty


@dataclass(frozen=True, eq=False)
class Population:
    """What draws are made from: the same rows in the features of teacher and student.

    targets: (N, K), K = 1 for two classes (1 where y = 1), else one-hot. class_of: (G,) class of
    each group.
    """

    teacher: GroupedFeatures
    student: GroupedFeatures
    targets: Tensor
    class_of: Tensor

    @property
    def codes(self) -> Tensor:
        """(N,) group of each row."""
        return self.teacher.codes

    @property
    def sizes(self) -> Tensor:
        """(G,) images in each group, as in GroupedFeatures."""
        return self.teacher.sizes

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.teacher.names

    @property
    def n_groups(self) -> int:
        """Number G of groups."""
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Points:
    """Images on which accuracies are measured and no head is fitted.

    teacher (T, d_w + 1), student (T, d_s + 1): features, both ending in 1. group_weights: (G, T) as
    in GroupedFeatures. classes: (T,) true classes. n: (G,) images of each group.
    """

    teacher: Tensor
    student: Tensor
    group_weights: Tensor
    classes: Tensor
    n: NDArray[np.int64]


def population(
    teacher: NDArray[np.floating],
    student: NDArray[np.floating],
    codes: ArrayLike,
    groups: Groups,
    *,
    sizes: ArrayLike | None = None,
    device: str = "cpu",
) -> Population:
    """Population of features teacher (N, d_w), student (N, d_s), as standardised for the heads.

    codes: (N,) group codes of the rows. sizes: (G,) see GroupedFeatures; None: the rows are the
    whole pool.
    InputError for features that are not finite, of different lengths, or constant.
    """
    code = _codes(teacher, student, codes, groups)
    size = _sizes(sizes, np.bincount(code, minlength=groups.n_groups))
    for side, matrix in (("teacher", teacher), ("student", student)):
        if not np.ptp(matrix, axis=0).max() > 0:
            raise InputError(
                f"{side} features are the same in every image, so that they cannot separate the "
                "classes; choose another network"
            )
    y, n_classes = groups.class_of[code], len(groups.class_names)
    targets = one_hot(y, n_classes)[:, 1:] if n_logits(n_classes) == 1 else one_hot(y, n_classes)
    code_of, size_of = (torch.as_tensor(values, device=device) for values in (code, size))
    return Population(
        GroupedFeatures(_with_one(teacher, device), code_of, size_of, groups.names),
        GroupedFeatures(_with_one(student, device), code_of, size_of, groups.names),
        torch.as_tensor(targets, device=device),
        torch.as_tensor(groups.class_of, device=device),
    )


def points(
    teacher: NDArray[np.floating],
    student: NDArray[np.floating],
    codes: ArrayLike,
    groups: Groups,
    *,
    device: str = "cpu",
) -> Points:
    """Points of features (T, d_w), (T, d_s), in the units of the population's."""
    code = _codes(teacher, student, codes, groups)
    return Points(
        _with_one(teacher, device),
        _with_one(student, device),
        _group_weights(torch.as_tensor(code, device=device), groups.n_groups),
        torch.as_tensor(groups.class_of[code], device=device),
        np.bincount(code, minlength=groups.n_groups),
    )


def _codes(
    teacher: NDArray[np.floating], student: NDArray[np.floating], codes: ArrayLike, groups: Groups
) -> NDArray[np.int64]:
    code = np.asarray(codes, dtype=np.int64)
    for side, matrix in (("teacher", teacher), ("student", student)):
        check_features(side, matrix)
        if len(matrix) != code.size:
            raise InputError(
                f"{side} features have {len(matrix)} rows and codes has {code.size}: give both "
                "networks' features of the same images in the same order"
            )
    if not 0 <= code.min() <= code.max() < groups.n_groups:
        raise InputError(
            f"codes={code.min()}..{code.max()} leave 0..{groups.n_groups - 1}, the groups; code "
            "them with groups.codes(y, a)"
        )
    return code


def _sizes(sizes: ArrayLike | None, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    size = np.asarray(counts if sizes is None else sizes, dtype=np.float64)
    if size.shape != counts.shape or not (size >= counts).all():
        raise InputError(
            f"sizes={size.tolist()} must give each of the {counts.size} groups at least its "
            f"{counts.tolist()} rows; leave sizes out where the rows are the whole pool"
        )
    return size


def _group_weights(codes: Tensor, n_groups: int) -> Tensor:
    """(G, N) float64, see GroupedFeatures."""
    mask = codes == torch.arange(n_groups, device=codes.device)[:, None]
    return mask / mask.sum(1, keepdim=True).clamp(min=1).double()


def _with_one(matrix: NDArray[np.floating], device: str) -> Tensor:
    x = torch.as_tensor(np.asarray(matrix, dtype=np.float64), device=device)
    return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
