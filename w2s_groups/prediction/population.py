"""What a prediction is made from: the features, groups and targets of a pool, and its size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from w2s_groups.core.errors import InputError
from w2s_groups.design.groups import Groups
from w2s_groups.heads.problem import check_features, n_logits, one_hot

SOME = 2048  # rows, the same number of every group, that stand for all in equation 8


@dataclass(frozen=True, eq=False)
class Side:
    """Rows x (N, d + 1) of one network, float64, the last column 1 for the free intercept.

    member: (G, N) weights of the rows of each group, of sum 1, so that member @ values are group
    means; 1/N_g where all rows count alike.
    """

    x: Tensor
    member: Tensor

    @cached_property
    def single(self) -> Tensor:
        """(N, d + 1) rows in float32, for products whose rounding no accuracy shows."""
        return self.x.float()

    @cached_property
    def mean(self) -> Tensor:
        """(G, d + 1) group means; 0 for a group without rows."""
        return self.member @ self.x

    @cached_property
    def some(self) -> tuple[Tensor, Tensor]:
        """(J,) rows at even distances in each group, and how many each stands for."""
        groups = [weight.nonzero()[:, 0] for weight in self.member]
        most = -(-SOME // len(groups))
        chosen = [
            rows[torch.arange(most, device=rows.device) * len(rows) // most]
            if len(rows) > most
            else rows
            for rows in groups
        ]
        stands = [
            torch.full((len(few),), len(rows) / max(len(few), 1)).to(self.x)
            for rows, few in zip(groups, chosen, strict=True)
        ]
        return torch.cat(chosen), torch.cat(stands)

    @cached_property
    def moment(self) -> Tensor:
        """(G, d + 1, d + 1) second moments of each group about 0."""
        parts = []
        for weight in self.member:
            rows = self.x[weight > 0]
            parts.append((weight[weight > 0] * rows.T) @ rows)
        return torch.stack(parts)


@dataclass(frozen=True, eq=False)
class Population:
    """Rows that draws are made from.

    codes: (N,) group codes. targets: (N, K), K = 1 for two classes (1 where y = 1), else one-hot.
    sizes: (G,) images in each group, of which the rows are all or a sample; inf where draws are
    independent, as from a distribution. class_of: (G,) class of each group.
    """

    teacher: Side
    student: Side
    codes: Tensor
    targets: Tensor
    sizes: Tensor
    class_of: Tensor
    names: tuple[str, ...]

    @property
    def n_groups(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Points:
    """Images that accuracies are read from and nothing is fitted on.

    teacher (T, d_w + 1), student (T, d_s + 1), both ending in 1; member: (G, T) as in Side;
    classes: (T,) true class; n: (G,).
    """

    teacher: Tensor
    student: Tensor
    member: Tensor
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

    codes: (N,) group codes of the rows. sizes: (G,) see Population; None: the rows are the pool.
    InputError for features that are not finite, of different lengths, or constant.
    """
    code = _codes(teacher, student, codes, groups)
    counts = np.bincount(code, minlength=groups.n_groups)
    size = np.asarray(counts if sizes is None else sizes, dtype=np.float64)
    if size.shape != counts.shape or not (size >= counts).all():
        raise InputError(
            f"sizes={size.tolist()} must give each of the {groups.n_groups} groups at least the "
            f"{counts.tolist()} images that are there; leave sizes out where these are all"
        )
    for side, matrix in (("teacher", teacher), ("student", student)):
        if not np.ptp(matrix, axis=0).max() > 0:
            raise InputError(
                f"{side} features are the same in every image: their covariance has rank 0 and "
                "tells no class from another; choose another network"
            )
    tensor, member = torch.as_tensor(code, device=device), _member(code, groups, device)
    y = groups.class_of[code]
    n_classes = len(groups.class_names)
    targets = one_hot(y, n_classes)[:, 1:] if n_logits(n_classes) == 1 else one_hot(y, n_classes)
    return Population(
        Side(_with_one(teacher, device), member),
        Side(_with_one(student, device), member),
        tensor,
        torch.as_tensor(targets, device=device),
        torch.as_tensor(size, device=device),
        torch.as_tensor(groups.class_of, device=device),
        groups.names,
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
        _member(code, groups, device),
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


def _member(code: NDArray[np.int64], groups: Groups, device: str) -> Tensor:
    counts = np.bincount(code, minlength=groups.n_groups)
    mask = code == np.arange(groups.n_groups)[:, None]
    return torch.as_tensor(mask / np.maximum(counts, 1)[:, None], device=device)


def _with_one(matrix: NDArray[np.floating], device: str) -> Tensor:
    x = torch.as_tensor(np.asarray(matrix, dtype=np.float64), device=device)
    return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
