"""A backbone with a head on top as one module that can be trained, and what of it is trained."""

from __future__ import annotations

import copy
import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from w2s_groups.backbones import hub
from w2s_groups.backbones.base import Network
from w2s_groups.backbones.preprocessing import Preprocessing
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.finetuning import Lora, Tuned
from w2s_groups.heads.mlp import Layer, Layers


class Tunable(nn.Module):
    """Pixels (b, H, W, 3) uint8 -> logits (b, K): the body, the pool's affine map, the head.

    It stays in evaluation mode: normalisation keeps the statistics that it was trained with and
    nothing is dropped, so that untrained it gives the frozen features' logits, and a step depends
    only on its batch. mean, scale: (d,), as pool.affine.
    """

    def __init__(
        self,
        body: nn.Module,
        preprocessing: Preprocessing,
        mean: NDArray[np.float64],
        scale: NDArray[np.float64],
        head: tuple[Layer, ...],
        settings: Tuned,
        seed: int,
    ) -> None:
        super().__init__()
        body = copy.deepcopy(body).requires_grad_(not isinstance(settings, Lora))
        if isinstance(settings, Lora):
            body = adapted(body, settings, seed)
        self.network = Network(body, preprocessing, frozen=False)
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32)))
        self.head = Layers(head)

    mean: Tensor
    scale: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head((self.network(pixels) - self.mean) * self.scale)
        return logits

    @property
    def trained(self) -> list[nn.Parameter]:
        """What the steps change, in a fixed order."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def adapted(body: nn.Module, settings: Lora, seed: int) -> nn.Module:
    """The body with an addition of settings.rank, at first 0, to each layer of `layers`."""
    hub.need("finetune=lora", "peft", "lora")
    from peft import LoraConfig, inject_adapter_in_model  # seconds to import

    names = layers(body)
    if not names:
        raise InputError(
            f"finetune=lora finds no linear layer or plain convolution in {type(body).__name__}; "
            "use finetune=full"
        )
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        # A list would match the ends of other names too.
        target_modules="|".join(re.escape(name) for name in names),
    )
    with hub.seeded(int(stream(seed, "tuning/lora").integers(2**63))):
        found: nn.Module = inject_adapter_in_model(config, body, adapter_name="tuned")
    for name, parameter in found.named_parameters():
        parameter.requires_grad_(".lora_" in name)
    return found


def layers(body: nn.Module) -> list[str]:
    """Names of the layers that LoRA adds to: linear ones, attention as a whole, convolutions that
    are not split into groups."""
    attention = [name for name, m in body.named_modules() if isinstance(m, nn.MultiheadAttention)]
    inside = tuple(f"{name}." for name in attention)
    plain = [
        name
        for name, module in body.named_modules()
        if name
        and not name.startswith(inside)
        and (
            isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
        )
    ]
    return [*attention, *plain]
