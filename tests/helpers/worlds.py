"""Pools with a class, a background and noise of many scales, and heads fitted on draws of them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from reference_heads import predict_proba
from torch import Tensor

from w2s_groups.core.seeds import stream
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request, draw
from w2s_groups.heads.problem import Head, Loss, Problem, Squared, one_hot
from w2s_groups.heads.solve import solve

Floats = NDArray[np.float32]

TWO = Groups(("cat", "dog"), ("left", "right"))
THREE = Groups(("cat", "dog", "fox"), ("left", "mid", "right"))


def images(n: int, groups: Groups, name: str, d: int = 24) -> tuple[Floats, Floats, NDArray]:
    """Teacher (N, d), student (N, 2 d), codes of n images a group.

    The map from causes to features is the same for every `name`, which draws the images.
    """
    law, rng = stream(0, f"law/{d}"), stream(0, name)
    codes = np.repeat(np.arange(groups.n_groups), n)
    C, A = len(groups.class_names), len(groups.attribute_names)
    y, a = np.divmod(codes, A)
    wide = rng.standard_normal((codes.size, 2 * d)) / np.sqrt(1 + np.arange(2 * d) / 4)
    wide += law.standard_normal((C, 2 * d))[y] * 0.2 + law.standard_normal((A, 2 * d))[a] * 0.3
    narrow = wide @ law.standard_normal((2 * d, d)) / np.sqrt(2 * d)
    narrow += 0.4 * rng.standard_normal(narrow.shape)
    return narrow.astype(np.float32), wide.astype(np.float32), codes


def identity(z: Tensor) -> tuple[Tensor, Tensor]:
    """A' and A'' of half the squared error, a link under which logistic equations are ridge's."""
    return z, torch.ones_like(z)


def fitted(
    pool: tuple[Floats, Floats, NDArray],
    at: tuple[Floats, Floats, NDArray],
    groups: Groups,
    request: Request,
    l2: float,
    draws: int,
    loss: Loss | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(draws, G) accuracies at `at` of teachers and students that the heads' solver has fitted.

    loss: None for the squared one.
    """
    loss = Squared() if loss is None else loss
    sides = {"teacher": pool[0], "student": pool[1]}
    C, codes = len(groups.class_names), pool[2]
    y = groups.class_of[codes]
    drawn = [draw(groups, codes, np.full(C, 1 / C), request, seed) for seed in range(draws)]
    teachers = solve(
        sides,
        [Problem("teacher", d.labelled, one_hot(y[d.labelled], C), loss, l2) for d in drawn],
    )
    taught = [predict_proba(t, pool[0][d.unlabelled]) for d, t in zip(drawn, teachers, strict=True)]
    students = solve(
        sides,
        [
            Problem("student", d.unlabelled, targets, loss, l2)
            for d, targets in zip(drawn, taught, strict=True)
        ],
    )

    def accuracy(head: Head, X: Floats) -> NDArray[np.float64]:
        right = predict_proba(head, X).argmax(axis=1) == groups.class_of[at[2]]
        return np.array([right[at[2] == g].mean() for g in range(groups.n_groups)])

    return (
        np.stack([accuracy(head, at[0]) for head in teachers]),
        np.stack([accuracy(head, at[1]) for head in students]),
    )
