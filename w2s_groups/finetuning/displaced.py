"""Training of a displacement δ of the parameters, θ = θ0 + δ/α, and its two limits.

The output is f(x|θ0) + α (f(x|θ) − f(x|θ0)), whose gradient in δ is ∇f(x|θ): of order 1 for every
α, as under Chizat's loss over α² in θ. Adam moves δ, since its steps in θ would not see a factor of
the loss. Penalties read θ0 + δ. So nothing but f changes with α, and as α grows, each step becomes
that of the linearised model f(x|θ0) + ∇f(x|θ0) δ (`Tangent`), whose minimum is the kernel's.

Within a subspace δ is P z, and z is what Adam moves.
Source: Chizat, Oyallon and Bach, On Lazy Training in Differentiable Programming, NeurIPS 2019,
eq. 3.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from w2s_groups.heads.training import Training
from w2s_groups.kernel.buckets import Buckets


class Displaced(Training):
    """A fit of δ. through: parameters that P moves; direct: parameters that move themselves.

    P: (D, d), D the numbers in `through`. scale: α; moves: whether the parameters follow δ, or stay
    at θ0. even: the learning rate of m coordinates is that of the schedule over √m.
    """

    def __init__(
        self,
        *args: Any,
        through: Sequence[nn.Parameter] = (),
        direct: Sequence[nn.Parameter] = (),
        P: Buckets | None = None,
        scale: float = 1.0,
        moves: bool = True,
        even: bool = False,
        **more: Any,
    ) -> None:
        problem, logits, penalised, schedule = args
        super().__init__(problem, logits, [*through, *direct], penalised, schedule, **more)
        self.P, self.scale, self.moves, self.even = P, scale, moves, even
        self.n_through = len(through)
        self.origin = [p.detach().clone() for p in self.parameters]
        device = self.parameters[0].device
        sizes = [0 if P is None else P.d, sum(p.numel() for p in direct)]
        self._move([torch.zeros(size, device=device) for size in sizes if size])
        self._follow()

    def displacement(self) -> list[Tensor]:
        """δ of each parameter, in their order."""
        moved = list(self.trained)
        flat = [] if self.P is None else [self.P.up(moved.pop(0))]
        values = torch.cat([*flat, *moved])
        sizes = [p.numel() for p in self.parameters]
        parts = torch.split(values, sizes)
        return [part.view_as(p) for part, p in zip(parts, self.parameters, strict=True)]

    def restore(self, state: dict[str, Any]) -> None:
        """See Training."""
        super().restore(state)
        self._follow()

    def _step(self) -> None:
        rate = self.schedule.rate(self.done, self.n)
        parts = zip(self.trained, self._gradients(), self.means, self.squares, strict=True)
        for moved, gradient, mean, square in parts:
            own = rate / len(moved) ** 0.5 if self.even else rate
            self._adam([moved], [gradient], [mean], [square], own)
        self.done += 1
        self._follow()

    def _follow(self) -> None:
        """Put the parameters where δ says."""
        self.delta = self.displacement()
        if self.moves:
            with torch.no_grad():
                for p, start, d in zip(self.parameters, self.origin, self.delta, strict=True):
                    p.copy_(start + d / self.scale)

    def _value(self, parameter: nn.Parameter) -> Tensor:
        k = next(k for k, p in enumerate(self.parameters) if p is parameter)
        return self.origin[k] + self.delta[k]

    def _gradients(self) -> list[Tensor]:
        flat = [
            (torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in self.parameters
        ]
        moved, direct = flat[: self.n_through], flat[self.n_through :]
        found = [] if self.P is None else [self.P.down(moved)]
        return [*found, torch.cat(direct)] if direct else found


class Tangent:
    """A network's outputs along a displacement of some of its parameters, to first order.

    network: at θ0, where it stays. parameters: those that δ is of.
    """

    def __init__(self, network: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
        self.network = network
        names = {id(p): name for name, p in network.named_parameters()}
        self.names = [names[id(p)] for p in parameters]

    def __call__(self, batch: Tensor, delta: Sequence[Tensor]) -> Tensor:
        """(b, K): ∇f(x|θ0) δ, without a gradient."""
        named = dict(self.network.named_parameters())
        at = {name: named[name].detach() for name in self.names}
        along = dict(zip(self.names, delta, strict=True))

        def outputs(values: dict[str, Tensor]) -> Tensor:
            found: Tensor = torch.func.functional_call(self.network, values, (batch,))
            return found

        with torch.no_grad(), warnings.catch_warnings():
            # torch compiles rules of its own with a function that it has deprecated.
            warnings.filterwarnings("ignore", "`torch.jit.script", Warning)
            moved: Tensor = torch.func.jvp(outputs, (at,), (along,))[1]
        return moved


def valued(outputs: Tensor, value: Callable[[Tensor], Tensor]) -> Tensor:
    """value(outputs), with the gradient of the outputs themselves."""
    plain = outputs.detach()
    return outputs + (value(plain) - plain)
