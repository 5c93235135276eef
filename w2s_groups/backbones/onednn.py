"""Linear layers on a CPU by oneDNN: the same float32 products, in half the time on AMD.

torch multiplies float32 matrices with MKL, which uses half of the vector width there (Zen 4: 109
against 239 GFLOP/s a core, torch 2.9); on other processors the two are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


def products(device: torch.device) -> AbstractContextManager[Any]:
    """Within this context, on this thread, linear layers on `device` are oneDNN's where it helps.

    Nothing changes on other devices, at other precisions, where torch has no oneDNN, or where
    gradients are taken, which the operator has none of.
    """
    other = torch.is_autocast_enabled("cpu") or torch.is_grad_enabled()
    return Linear() if device.type == "cpu" and not other and available() else nullcontext()


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


@cache
def available() -> bool:
    """Whether this torch has the operator, which its compiler uses and its layers do not."""
    try:
        return bool((_linear(torch.ones(2, 3), torch.ones(4, 3), None) == 3).all())
    except (AttributeError, RuntimeError, TypeError):
        return False


class Linear(TorchFunctionMode):
    """Hands float32 linear layers to oneDNN, and all else on."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.linear and not kwargs and args[0].dtype == args[1].dtype == torch.float32:
            return _linear(args[0], args[1], args[2] if len(args) > 2 else None)
        return func(*args, **(kwargs or {}))
