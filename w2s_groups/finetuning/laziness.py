"""How far a fit is from the kernel regime: in its weights, its decisions and its kernel.

Each number is 0 or 1 for training that is lazy: relative movement ‖θ − θ0‖ / ‖θ0‖ near 0, decisions
of the linearised model's, and tangent features that stay (CKA near 1).
Source: Chizat, Oyallon and Bach, On Lazy Training in Differentiable Programming, NeurIPS 2019;
Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019, eq. 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from w2s_groups.heads.problem import choose
from w2s_groups.heads.training import Training
from w2s_groups.kernel.gradients import used_among
from w2s_groups.results.columns import LAZINESS
from w2s_groups.similarity import dimensions

ROWS, KERNEL_ROWS = 512, 64  # test rows that decisions and the kernel are compared on, at most
SKETCH = 4096  # columns of the tangent features

Floats = NDArray[np.floating]


def movement(
    before: Sequence[Tensor], after: Sequence[Tensor], unmoved: Sequence[Tensor] = ()
) -> float:
    """‖θ − θ0‖ / ‖θ0‖ of weights given as tensors, NaN where there are none.

    unmoved: weights that are as they were, which count in ‖θ0‖ only.
    """
    moved = sum(_square(new - old) for old, new in zip(before, after, strict=True))
    start = sum(map(_square, (*before, *unmoved)))
    return float((moved / start) ** 0.5) if start else float("nan")


def agreement(one: Floats, other: Floats) -> float:
    """Share of rows that two sets of logits (n, K) decide alike; of one logit by its sign."""
    return float(np.mean(_decided(one) == _decided(other)))


def alignment(before: Floats, after: Floats) -> float:
    """Linear CKA in [0, 1] of tangent features (n, k) of the same rows; NaN of constant ones."""
    sides = [np.asarray(side, dtype=np.float64) for side in (before, after)]
    if any(np.ptp(side, axis=0).max() == 0 for side in sides):
        return float("nan")
    return dimensions.cka(dimensions.moments(*map(dimensions.narrowed, sides)))


def _square(values: Tensor) -> float:
    return float(values.double().square().sum())


def _decided(logits: Floats) -> NDArray[np.int64]:
    values = np.asarray(logits, dtype=np.float64)
    return choose(np.hstack([np.zeros_like(values), values]) if values.shape[1] == 1 else values)


class Watch:
    """Measures a fit `number` times on its way, and has the linearised model take its steps too.

    linear: the linearised training. weights: those that move, as they are; unmoved: all others.
    pairs: logits of both on the test rows. features: tangent features of the fit on some of them.
    """

    def __init__(
        self,
        number: int,
        training: Training,
        linear: Training,
        weights: Callable[[], Sequence[Tensor]],
        pairs: Callable[[], tuple[Floats, Floats]],
        features: Callable[[], Floats],
        unmoved: Sequence[Tensor] = (),
    ) -> None:
        self.unmoved = unmoved
        self.training, self.linear = training, linear
        self.weights, self.pairs, self.features = weights, pairs, features
        self.points = {round(training.total * k / number) for k in range(1, number + 1)}
        self.steps: Iterator[float] | None = None
        self.measured: list[list[float]] = []
        # Before any step, also of a fit that goes on from a checkpoint.
        self.start = [w.detach().clone() for w in weights()]
        self.kernel = features()

    def step(self) -> None:
        """After each step of the fit: the linearised model's, and measures where they are due."""
        if self.steps is None:
            self.steps = self.linear.run()
        next(self.steps)
        if self.training.done in self.points:
            self.measured.append(
                [
                    float(self.training.done),
                    movement(self.start, self.weights(), self.unmoved),
                    agreement(*self.pairs()),
                    alignment(self.kernel, self.features()),
                ]
            )

    def state(self) -> dict[str, Any]:
        """What `restore` goes on from."""
        return {"linear": self.linear.state(), "measured": self.measured}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.linear.restore(state["linear"])
        self.measured = [list(row) for row in state["measured"]]

    @property
    def found(self) -> NDArray[np.float64]:
        """(number, 4): step, and as columns.LAZINESS, where a value may be NaN."""
        return np.asarray(self.measured, dtype=np.float64).reshape(-1, 1 + len(LAZINESS))


def weights(network: nn.Module, trained: Sequence[Tensor]) -> list[Tensor]:
    """The weights that training moves: those given, or products of LoRA, which are 0 at first."""
    added: list[Any] = [m for m in network.modules() if hasattr(m, "get_delta_weight")]
    if not added:
        return [p.detach() for p in trained]
    return [m.get_delta_weight("tuned").detach() for m in added]


def unmoved(module: nn.Module, blank: Tensor) -> list[Tensor]:
    """The weights that LoRA adds to, and all others that it leaves: those that are used."""
    plain = [p for p in module.parameters() if not p.requires_grad]
    for parameter in plain:
        parameter.requires_grad_(True)
    found = used_among(module, blank, plain) if plain else []
    for parameter in plain:
        parameter.requires_grad_(False)
    return [p.detach() for p in found]
