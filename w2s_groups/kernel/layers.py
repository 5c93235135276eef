"""Gradients of every sample by the parameters of plain layers, from their inputs and outputs.

The gradient by a layer's weights is a product of what came in with the gradient by what went out.
So one forward pass serves all heads, and a backward pass stops short of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NotPlain(Exception):
    """A network whose gradients have to be taken in another way."""


def gradients(
    network: nn.Module, names: Set[str], heads: Tensor, batch: Tensor
) -> Iterator[Tensor]:
    """(B, n) gradients of v_jᵀ h by each parameter of `names`, in the network's order, by head.

    The samples of a batch have no part in each other's features. Raises NotPlain for other layers
    than `_rule` knows, and for one that is called twice or not at all.
    """
    layers: dict[nn.Module, Callable[[Tensor, Tensor], dict[str, Tensor]]] = {}
    chosen = [name.rpartition(".") for name, _ in network.named_parameters() if name in names]
    for path, _, _ in chosen:
        layer = network.get_submodule(path)
        layers[layer] = _rule(layer)
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if layer in seen or len(inputs[0]) != len(batch):
            raise NotPlain
        if not output.requires_grad:  # of the first layers, whose weights are frozen
            output.requires_grad_()
        seen[layer] = inputs[0], output
        return output.clone()  # which a later step may change in place

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        features = network.requires_grad_(False)(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if set(seen) != set(layers):
        raise NotPlain
    outputs = [seen[layer][1] for layer in layers]
    for head in heads:
        of_outputs = torch.autograd.grad(
            (features @ head).sum(), outputs, retain_graph=True, materialize_grads=True
        )
        by_layer = dict(zip(layers, of_outputs, strict=True))
        made: dict[str, Tensor] = {}
        for path, _, name in chosen:
            layer = network.get_submodule(path)
            if layer in by_layer:
                made = layers[layer](seen[layer][0].detach(), by_layer.pop(layer))
            yield made[name].flatten(1)


def _rule(layer: nn.Module) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """(input, gradient by the output) -> name -> gradients by that parameter of each sample."""
    if type(layer) is nn.Linear:
        return _linear
    if type(layer) is nn.BatchNorm2d and not layer.training and layer.running_mean is not None:
        return partial(_norm, layer)
    if type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and layer.padding != "same":
        if layer.groups == 1:
            return partial(_convolution, layer)
        if layer.groups == layer.in_channels == layer.out_channels:
            return partial(_by_channel, layer)
    raise NotPlain


def _linear(x: Tensor, g: Tensor) -> dict[str, Tensor]:
    x, g = (one.reshape(len(one), -1, one.shape[-1]) for one in (x, g))
    return {"weight": g.mT @ x, "bias": g.sum(1)}


def _norm(layer: nn.BatchNorm2d, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None
    assert variance is not None
    by_bias = g.sum((2, 3))
    by_weight = ((g * x).sum((2, 3)) - mean * by_bias) / (variance + layer.eps).sqrt()
    return {"weight": by_weight, "bias": by_bias}


def _convolution(layer: nn.Conv2d, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    if layer.kernel_size == layer.stride == (1, 1) and layer.padding == (0, 0):
        rows, of = (one.permute(0, 2, 3, 1).flatten(1, 2) for one in (x, g))  # views: channels last
        return {"weight": of.mT @ rows, "bias": g.sum((2, 3))}
    return {"weight": g.flatten(2) @ _patches(layer, x).mT, "bias": g.sum((2, 3))}


def _by_channel(layer: nn.Conv2d, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """One product for each place of the kernel: patches of single channels are slow to multiply."""
    (down, right), (far, wide) = layer.stride, layer.dilation
    top, left = (0, 0) if isinstance(layer.padding, str) else layer.padding  # "valid"
    x, (height, width) = F.pad(x, (left, left, top, top)), g.shape[2:]
    rows, columns = ([at * by for at in range(n)]
                     for n, by in zip(layer.kernel_size, (far, wide), strict=True))  # fmt: skip
    products = [
        (x[:, :, i::down, j::right][:, :, :height, :width] * g).sum((2, 3))
        for i in rows
        for j in columns
    ]
    return {"weight": torch.stack(products, 2), "bias": g.sum((2, 3))}


def _patches(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """(B, channels times places of the kernel, places of the output)."""
    padding = 0 if isinstance(layer.padding, str) else layer.padding  # "valid"
    return F.unfold(x, layer.kernel_size, layer.dilation, padding, layer.stride)
