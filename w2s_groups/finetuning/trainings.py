"""Which of the weights a way of fine-tuning moves, and how: settings -> a fit of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from w2s_groups.core.errors import InputError
from w2s_groups.finetuning import Anchored, HeadPlace, Subspace, Tuned
from w2s_groups.finetuning.displaced import Displaced, Tangent, valued
from w2s_groups.finetuning.network import Tunable
from w2s_groups.heads.problem import Problem
from w2s_groups.heads.training import Schedule, Training
from w2s_groups.kernel.buckets import Buckets
from w2s_groups.kernel.gradients import used_among

Forward = Callable[[Tunable, NDArray[np.int64]], Tensor]  # of rows (b,) -> logits (b, K)


class Start:
    """A network at θ0, from which fits begin. live: what of its trained weights is used.

    Weights that the outputs do not depend on count in no number and are not moved.
    """

    def __init__(self, module: Tunable, blank: Tensor) -> None:
        self.module = module
        self.live = used_among(module, blank, module.trained)
        own = {id(p) for p in module.head.parameters()}
        self.body = [p for p in self.live if id(p) not in own]
        self.values = [p.detach().clone() for p in self.live]

    def again(self) -> None:
        """Back to θ0."""
        with torch.no_grad():
            for parameter, value in zip(self.live, self.values, strict=True):
                parameter.copy_(value)


def fit(
    start: Start,
    problem: Problem,
    settings: Tuned,
    lr: float,
    forward: Forward,
    among: NDArray[np.int64] | None = None,
) -> Training:
    """A fit of the network from θ0 on. among: as in Training.

    forward: gives the scaled outputs with the gradient of the network's own.
    """
    module = start.module
    start.again()

    def logits(positions: NDArray[np.int64]) -> Tensor:
        return forward(module, problem.rows[positions])

    more = {"among": among, **_held(start, settings)}
    schedule = Schedule(settings.epochs, settings.batch_size, lr)
    if settings.scale == 1 and not isinstance(settings, Subspace):
        weights = list(module.head.weights)
        return Training(problem, logits, module.trained, weights, schedule, **more)
    return _displaced(start, problem, settings, schedule, logits, **more)


def linear(
    start: Start,
    problem: Problem,
    settings: Tuned,
    lr: float,
    forward: Forward,
    tangent: Tangent,
    batch: Callable[[NDArray[np.int64]], Tensor],
) -> Displaced:
    """The same fit of the linearised network, which stays at θ0. batch: what it takes of rows."""

    def logits(positions: NDArray[np.int64]) -> Tensor:
        rows = problem.rows[positions]
        moved = tangent(batch(rows), training.delta)
        return valued(forward(start.module, rows), lambda outputs: outputs + moved)

    schedule = Schedule(settings.epochs, settings.batch_size, lr)
    more = _held(start, settings)
    training = _displaced(start, problem, settings, schedule, logits, moves=False, **more)
    return training


def _held(start: Start, settings: Tuned) -> dict[str, Any]:
    if not isinstance(settings, Anchored):
        return {}
    return {"anchored": start.body, "anchor": settings.anchor}


def _displaced(
    start: Start,
    problem: Problem,
    settings: Tuned,
    schedule: Schedule,
    logits: Callable[[NDArray[np.int64]], Tensor],
    **more: Any,
) -> Displaced:
    through: list[nn.Parameter] = []
    P = None
    if isinstance(settings, Subspace):
        through = start.live if settings.head is HeadPlace.inside else start.body
        P = _embedding(through, settings, problem)
    inside = {id(p) for p in through}
    return Displaced(
        problem, logits, list(start.module.head.weights), schedule,
        through=through, direct=[p for p in start.live if id(p) not in inside], P=P,
        scale=settings.scale, even=P is not None, **more,
    )  # fmt: skip


def _embedding(through: list[nn.Parameter], settings: Subspace, problem: Problem) -> Buckets:
    """P. InputError where it would not be of fewer dimensions than the weights."""
    D = sum(p.numel() for p in through)
    if settings.d >= D:
        raise InputError(
            f"finetune.d={settings.d} is not below the {D} weights of the {problem.side} that its "
            "outputs are computed from; lower it, or set finetune=full"
        )
    return Buckets(D, settings.d, problem.seed, unit=True).to(through[0].device)
