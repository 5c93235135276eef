"""Gradients of every sample by a network's parameters: the features of its tangent kernel."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence, Set

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from w2s_groups.kernel import layers
from w2s_groups.kernel.buckets import Buckets

CHUNK = 16  # samples whose gradients are held at once: more are slower on a CPU (its cache)
COPIES = 2  # of a gradient, while it is made
AGREE = 1e-3  # of a row: rounding is far below
SLOW = "There is a performance drop because we have not yet implemented the batching rule"


def used(network: nn.Module, batch: Tensor) -> list[str]:
    """Names of the parameters that the features (B, width) of a batch are computed from.

    Such as all but those of a class layer that is not called. Tied parameters are there once.
    """
    with torch.inference_mode(False), torch.enable_grad():
        own = _copy(network, lambda name: True)
        named = {name: p for name, p in own.named_parameters() if p.requires_grad}
        live = set(map(id, used_among(own, batch.clone(), list(named.values()))))
    return [name for name, p in named.items() if id(p) in live]


def used_among(
    network: nn.Module, batch: Tensor, among: Sequence[nn.Parameter]
) -> list[nn.Parameter]:
    """Those parameters that the outputs of a batch are computed from."""
    outputs = network(batch).sum()
    if not outputs.requires_grad:
        return []
    found = torch.autograd.grad(outputs, list(among), allow_unused=True)
    return [p for p, gradient in zip(among, found, strict=True) if gradient is not None]


class Gradients(nn.Module):
    """Batch -> (B, k) float32 features φ(x) = Pᵀ [∇ v_jᵀ h(x)]_j / √m of a network h.

    <φ(x), φ(y)> is near the mean over the m heads v_j of <∇ v_jᵀ h(x), ∇ v_jᵀ h(y)>, the tangent
    kernel K, and equals it where k is their number, m times that of the parameters. Otherwise the
    error of the matrix, relative by Frobenius norm, is sqrt(r / k), r = (tr K)² / |K|_F².

    network: in evaluation mode, from a batch to (B, width). names: of the parameters that are
    differentiated by. heads: (m, width). cosine: rows of length 1. chunk: samples at once. way: one
    of WAYS, which `settle` chooses. Several threads may use it at a time.
    """

    def __init__(
        self,
        network: nn.Module,
        names: Collection[str],
        heads: Tensor,
        k: int,
        seed: int,
        *,
        cosine: bool = False,
        chunk: int = CHUNK,
        way: str = "vmap",
    ) -> None:
        super().__init__()
        self.network = network
        self.names, self.cosine, self.chunk, self.way = set(names), cosine, chunk, way
        self.register_buffer("heads", heads, persistent=False)
        D = sum(p.numel() for name, p in network.named_parameters() if name in self.names)
        self.buckets = Buckets(D * len(heads), min(k, D * len(heads)), seed)

    heads: Tensor

    def forward(self, batch: Tensor) -> Tensor:
        """(B, k) features of a batch."""
        if not any(one[1] is not None and one[1].pattern == SLOW for one in warnings.filters):
            warnings.filterwarnings("ignore", SLOW)  # of averages over an image, which are quick
        # Features are extracted in inference mode, whose tensors no gradient can be taken through.
        with torch.inference_mode(False), torch.enable_grad():
            # A call puts other tensors in the place of the parameters: each thread has its own.
            own = _copy(self.network, self.names.__contains__)
            parts = WAYS[self.way]
            found = [
                self.buckets.down(parts(own, self.names, self.heads, chunk))
                for chunk in torch.split(batch.clone(), 1 if self.way == ONE else self.chunk)
            ]
        rows = torch.cat(found).detach() / len(self.heads) ** 0.5
        return nn.functional.normalize(rows) if self.cosine else rows

    def settle(self, batch: Tensor) -> None:
        """Choose the quickest way that the network allows. batch: of one sample."""
        self.way = ONE
        exact = self(batch)
        for self.way in WAYS:
            try:
                found = self(batch)
            except (layers.NotPlain, RuntimeError):  # such as a branch that depends on a value
                continue
            if self.way != "layers" or (found - exact).norm() <= AGREE * exact.norm():
                return


def _by_vmap(own: nn.Module, names: Set[str], heads: Tensor, batch: Tensor) -> Iterator[Tensor]:
    """(B, n) gradients by each parameter, head by head, as layers.gradients; of most networks."""
    chosen = {name: p.detach() for name, p in own.named_parameters() if name in names}

    def output(parameters: dict[str, Tensor], sample: Tensor, head: Tensor) -> Tensor:
        features: Tensor = functional_call(own, parameters, (sample[None],))
        return features[0] @ head

    of_batch: Callable[..., dict[str, Tensor]] = vmap(grad(output), in_dims=(None, 0, None))
    for head in heads:
        for gradient in of_batch(chosen, batch, head).values():
            yield gradient.flatten(1)


def _one_by_one(own: nn.Module, names: Set[str], heads: Tensor, batch: Tensor) -> Iterator[Tensor]:
    """The same of a batch of one sample, of every network."""
    chosen = [p for name, p in own.named_parameters() if name in names]
    features = own(batch)[0]
    for head in heads:
        found = torch.autograd.grad(
            features @ head, chosen, retain_graph=True, materialize_grads=True
        )
        for gradient in found:
            yield gradient.flatten()[None]


ONE = "one by one"
WAYS: dict[str, Callable[[nn.Module, Set[str], Tensor, Tensor], Iterator[Tensor]]] = {
    "layers": layers.gradients,
    "vmap": _by_vmap,
    ONE: _one_by_one,
}


def _copy(network: nn.Module, differentiated: Callable[[str], bool]) -> nn.Module:
    """The modules once more, around the same numbers: parameters that share memory, buffers.

    No layer changes its input in place, which gradients would be taken through.
    """
    memo: dict[int, object] = {id(buffer): buffer for buffer in network.buffers()}
    for name, parameter in network.named_parameters():
        trained = parameter.is_floating_point() and differentiated(name)
        memo[id(parameter)] = nn.Parameter(parameter.detach(), trained)
    own = copy.deepcopy(network, memo)
    for module in own.modules():
        if getattr(module, "inplace", False):
            setattr(module, "inplace", False)  # noqa: B010
    return own
