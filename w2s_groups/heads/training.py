"""A problem solved by steps on mini-batches: what a head of two layers and a whole network share.

The objective is the problem's own, mean loss + (l2/2) ‖w‖² over the weights of the head, for which
Adam's steps go by its gradient on a batch (the penalty is part of it, not decoupled), under a
learning rate that rises over the first tenth of the steps and falls to 0 as a cosine.
Source: Kingma and Ba, Adam, ICLR 2015; Loshchilov and Hutter, SGDR, ICLR 2017, eq. 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.adam import adam

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.heads.batch_losses import value_and_gradient
from w2s_groups.heads.problem import (
    Problem,
    normalised_targets,
    normalised_weights,
    present_classes,
)

WARM_UP = 0.1


@dataclass
class Schedule:
    """epochs: passes over the rows; batch_size: rows of a step; lr: the highest learning rate."""

    epochs: int
    batch_size: int
    lr: float

    def steps(self, n: int) -> int:
        """Number of steps on n rows."""
        return self.epochs * math.ceil(n / self.batch_size)

    def rate(self, step: int, n: int) -> float:
        """Learning rate of step 0, 1, ... on n rows."""
        total = self.steps(n)
        rise = min(1.0, (step + 1) / math.ceil(WARM_UP * total))
        return self.lr * rise * (1 + math.cos(math.pi * step / total)) / 2


class Diverged(InputError):
    """An objective that is no finite number any more."""


class Training:
    """A fit on its way. Everything that its next steps depend on is in `state`.

    logits: positions (b,) among the problem's rows -> (b, K), with gradients; K as the problem's
    `columns`. trained: what the steps change; penalised: those of it that l2 holds back; anchored:
    those of it whose distance from where they start costs (anchor/2) ‖θ − θ0‖². among: positions
    that are trained on; None: all. The order of an epoch is drawn from the problem's seed and the
    epoch.
    """

    def __init__(
        self,
        problem: Problem,
        logits: Callable[[NDArray[np.int64]], Tensor],
        trained: Sequence[nn.Parameter],
        penalised: Sequence[nn.Parameter],
        schedule: Schedule,
        *,
        anchored: Sequence[nn.Parameter] = (),
        anchor: float = 0.0,
        among: NDArray[np.int64] | None = None,
    ) -> None:
        self.problem, self.logits, self.schedule = problem, logits, schedule
        self.parameters = list(trained)
        self.penalised = list(penalised)
        self.anchored = [(p, p.detach().clone()) for p in anchored]
        self.anchor = anchor
        self.positions = np.arange(len(problem.rows)) if among is None else among
        self.n = len(self.positions)
        self.done = 0
        self._move(list(trained))
        device = self.parameters[0].device
        targets = normalised_targets(problem)[:, target_columns(problem)]
        self.targets = torch.as_tensor(targets, dtype=torch.float32, device=device)
        weights = normalised_weights(problem) * self.n
        self.weights = torch.as_tensor(weights, dtype=torch.float32, device=device)

    def _move(self, trained: list[Tensor]) -> None:
        """Begin: what Adam moves, with its moments at 0."""
        self.trained = trained
        self.means = [torch.zeros_like(p) for p in trained]  # of gradients, decaying
        self.squares = [torch.zeros_like(p) for p in trained]

    @property
    def total(self) -> int:
        """Number of steps of the whole fit."""
        return self.schedule.steps(self.n)

    def objective(self, positions: NDArray[np.int64]) -> float:
        """Its value on a batch, an unbiased estimate; the gradient is left in the parameters."""
        for parameter in self.parameters:
            parameter.grad = None
        logits = self.logits(positions)
        losses, slopes, weights = self._loss(positions, logits.detach())
        slopes = slopes * (weights / len(positions))[:, None]
        # The gradient of a sum is that of backward(slopes), which would first import sympy.
        (logits * slopes).sum().backward()  # type: ignore[no-untyped-call]
        value = (losses * weights).mean()
        pulls = [(p, self.problem.l2, self._value(p)) for p in self.penalised]
        pulls += [(p, self.anchor, self._value(p) - start) for p, start in self.anchored]
        for parameter, strength, away in pulls:
            assert parameter.grad is not None
            parameter.grad.add_(away, alpha=strength)
            value = value + strength / 2 * away.square().sum()
        return float(value)

    def loss(self, positions: NDArray[np.int64], logits: Tensor) -> float:
        """Mean loss of logits (b, K) at positions (b,), without penalties."""
        losses, _, weights = self._loss(positions, logits)
        return float((losses * weights).mean())

    def _loss(self, positions: NDArray[np.int64], logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b,) losses, their slopes (b, K) in the logits, and weights (b,) of mean near 1."""
        where = torch.as_tensor(positions, device=logits.device)
        targets, weights = self.targets[where], self.weights[where]
        losses, slopes = value_and_gradient(
            self.problem.loss, logits.float().T[None], targets.T[None]
        )
        return losses[0], slopes[0].T, weights

    def _value(self, parameter: nn.Parameter) -> Tensor:
        """What penalties read of a parameter."""
        return parameter.detach()

    def _gradients(self) -> list[Tensor]:
        """By what Adam moves; a layer that the output does not depend on has none."""
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]

    def run(self) -> Iterator[float]:
        """The steps that are left, each with the objective on its batch before the step."""
        batch, per_epoch = self.schedule.batch_size, math.ceil(self.n / self.schedule.batch_size)
        order, of_epoch = np.empty(0, dtype=np.int64), -1
        while self.done < self.total:
            epoch, place = divmod(self.done, per_epoch)
            if epoch != of_epoch:
                rng = stream(self.problem.seed, f"training/order/{epoch}")
                order, of_epoch = self.positions[rng.permutation(self.n)], epoch
            value = self.objective(order[place * batch : (place + 1) * batch])
            if not math.isfinite(value):
                raise Diverged(
                    f"lr={self.schedule.lr:g} is too high: the {self.problem.side}'s objective is "
                    f"{value} at step {self.done} of {self.total}; lower it"
                )
            self._step()
            yield value

    def _step(self) -> None:
        """One step of Adam by the gradients that are there, without weight decay."""
        rate = self.schedule.rate(self.done, self.n)
        self._adam(self.trained, self._gradients(), self.means, self.squares, rate)
        self.done += 1

    def _adam(
        self,
        trained: list[Tensor],
        gradients: list[Tensor],
        means: list[Tensor],
        squares: list[Tensor],
        rate: float,
    ) -> None:
        count = [torch.tensor(float(self.done)) for _ in trained]
        with torch.no_grad():
            # The class around this function imports a compiler on its way, for seconds.
            adam(
                trained, gradients, means, squares, [], count,
                foreach=None, capturable=False, differentiable=False, fused=None, amsgrad=False,
                beta1=0.9, beta2=0.999, lr=rate, weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What `restore` goes on from: only tensors and numbers."""
        return {
            "done": self.done,
            **{
                name: [tensor.detach().cpu().clone() for tensor in tensors]
                for name, tensors in self._tensors().items()
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken: the same steps, to the last bit on the same machine."""
        with torch.no_grad():
            for name, tensors in self._tensors().items():
                for tensor, value in zip(tensors, state[name], strict=True):
                    tensor.copy_(value)
        self.done = state["done"]

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {"trained": self.trained, "means": self.means, "squares": self.squares}


def logit_columns(problem: Problem) -> NDArray[np.int64]:
    """Which of a Predictor's K logits are fitted; those of absent classes stay at ABSENT."""
    n_classes = problem.targets.shape[1]
    return np.array([0]) if n_classes == 2 else present_classes(problem)


def target_columns(problem: Problem) -> NDArray[np.int64]:
    """The targets that the fitted logits are of: the second of two classes, or those present."""
    n_classes = problem.targets.shape[1]
    return np.array([1]) if n_classes == 2 else present_classes(problem)
