"""A head of two layers: features -> ReLUs -> logits, trained on the problem's own objective."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.seeds import stream
from w2s_groups.heads.checks import check, check_features
from w2s_groups.heads.problem import (
    ABSENT,
    Predictor,
    Problem,
    Squared,
    constant_head,
    n_logits,
    present_classes,
)
from w2s_groups.heads.training import Schedule, Training, logit_columns

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Mlp:
    """layers: (weights (in, out), biases (out,)) in order, ReLUs between them.

    columns: which of the n_classes' K logits the last layer gives; the others are ABSENT.
    """

    layers: tuple[Layer, ...]
    columns: NDArray[np.int64]
    n_classes: int

    @property
    def scores(self) -> bool:
        """See Predictor."""
        return False

    def logits(self, X: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """See Predictor."""
        parts = [self._of(X[rows[i : i + 8192]]) for i in range(0, len(rows), 8192)]
        return spread(np.concatenate(parts), self.columns, self.n_classes)

    def _of(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        values = np.asarray(X, dtype=np.float32)
        for depth, (weight, bias) in enumerate(self.layers):
            values = (np.maximum(values, 0) if depth else values) @ weight + bias
        return values

    def arrays(self) -> Sequence[NDArray[np.floating]]:
        """See Predictor."""
        return [array for layer in self.layers for array in layer]


def spread(
    fitted: NDArray[np.floating], columns: NDArray[np.int64], n_classes: int
) -> NDArray[np.float64]:
    """(n, K) logits from those of the fitted columns."""
    logits = np.full((len(fitted), n_logits(n_classes)), ABSENT)
    logits[:, columns] = fitted
    return logits


def solve(
    features: Mapping[str, NDArray[np.floating]],
    problems: Sequence[Problem],
    hidden: Sequence[int],
    schedule: Schedule,
    *,
    workers: int = 1,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[Predictor]:
    """Head of every problem, in order, each depending only on its own problem.

    features: side -> (N, d), standardised as a pool's are. hidden: ReLUs of each hidden layer; none
    is the logistic head, started at 0. workers: heads trained side by side, each on one core, so
    that their bits do not depend on the number of cores; on a GPU they go one after another.
    progress(done, total) is called as heads are ready. Raises InputError for bad input before the
    first step, and for a fit that diverges.
    """
    for problem in problems:
        if problem.side not in features:
            raise unknown_name("side", problem.side, features)
        check(problem, np.shape(features[problem.side]))
        if isinstance(problem.loss, Squared):
            raise InputError("a head of two layers has logits: the squared loss is for head=ridge")
    for side in {problem.side for problem in problems}:
        check_features(side, features[side])

    def one(problem: Problem) -> Predictor:
        return fit(features[problem.side], problem, hidden, schedule, device)

    found: list[Predictor] = []
    threads = torch.get_num_threads()
    side_by_side = workers if torch.device(device).type == "cpu" else 1
    pool = ThreadPoolExecutor(side_by_side, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for head in pool.map(one, problems):
            found.append(head)
            if progress is not None:
                progress(len(found), len(problems))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # also what later threads start with
    return found


def fit(
    X: NDArray[np.floating],
    problem: Problem,
    hidden: Sequence[int],
    schedule: Schedule,
    device: str = "cpu",
) -> Predictor:
    """One head; see `solve`. Where the targets name only one class, the constant head."""
    present = present_classes(problem)
    n_classes = problem.targets.shape[1]
    if len(present) == 1:
        return constant_head(X.shape[1], n_classes, present)
    columns = logit_columns(problem)
    init = problem.init
    if isinstance(init, Mlp) and np.array_equal(init.columns, columns):
        layers = init.layers
    else:
        layers = first_layers([X.shape[1], *hidden, len(columns)], problem.seed)
    module = Layers(layers).to(device)
    rows = torch.as_tensor(np.asarray(X[problem.rows], dtype=np.float32), device=device)
    training = Training(
        problem,
        lambda positions: module(rows[torch.as_tensor(positions, device=device)]),
        list(module.parameters()),
        list(module.weights),
        schedule,
    )
    for _ in training.run():
        pass
    return Mlp(module.layers, columns, n_classes)


def first_layers(sizes: Sequence[int], seed: int) -> tuple[Layer, ...]:
    """Layers to start from: He's normal weights, and zeros in the last layer and all biases.

    Source: He et al., Delving Deep into Rectifiers, ICCV 2015, eq. 10.
    """
    layers = []
    for depth, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        rng = stream(seed, f"mlp/init/{depth}")
        scale = 0.0 if depth == len(sizes) - 2 else np.sqrt(2 / n_in)
        weight = (scale * rng.standard_normal((n_in, n_out))).astype(np.float32)
        layers.append((weight, np.zeros(n_out, dtype=np.float32)))
    return tuple(layers)


class Layers(nn.Module):
    """Layers as what can be trained, (b, in) -> (b, out). weights: what l2 holds back."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.from_numpy(weight.copy()) for weight, _ in layers)
        self.biases = nn.ParameterList(torch.from_numpy(bias.copy()) for _, bias in layers)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        for depth, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = (values.relu() if depth else values) @ weight + bias
        return values

    @property
    def layers(self) -> tuple[Layer, ...]:
        """As they are now."""
        return tuple(
            (weight.detach().cpu().numpy().copy(), bias.detach().cpu().numpy().copy())
            for weight, bias in zip(self.weights, self.biases, strict=True)
        )
