"""ntk/NETWORK: the gradients of another network's features, sketched, in place of its features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.text import TextEncoder
from w2s_groups.core.errors import InputError, MemoryLimitError
from w2s_groups.core.seeds import stream
from w2s_groups.kernel.gradients import CHUNK, COPIES, Gradients, used
from w2s_groups.kernel.settings import PREFIX, HeadVector, Ntk, Parameters, RowScale

FORMAT = "1"  # a change of how the features are computed is a new key of the cache


@dataclass(frozen=True, eq=False, kw_only=True)
class NtkBackbone(Backbone):
    """Gradients of a network of images. memory: bytes for those of one batch; None: any number."""

    settings: Ntk
    memory: int | None

    @property
    def transform(self) -> str:
        """Preprocessing and settings in words."""
        return f"{super().transform}; {self.settings.text}; ntk format {FORMAT}"

    @cached_property
    def network(self) -> Gradients:
        """The network's gradients on the CPU, tried; its weights are those that tuning trains."""
        return _tried(self, self.made(frozen=False))


@dataclass(frozen=True, eq=False, kw_only=True)
class NtkTextEncoder(TextEncoder):
    """Gradients of a network of texts. settings, memory: as of NtkBackbone; base: the network."""

    settings: Ntk
    memory: int | None
    base: TextEncoder

    @property
    def transform(self) -> str:
        """Tokeniser, pooling and settings in words."""
        return f"{super().transform}; {self.settings.text}; ntk format {FORMAT}"

    @cached_property
    def network(self) -> Gradients:
        """The network's gradients on the CPU, tried."""
        return _tried(self, self.base.network)


def of_images(base: Backbone, settings: Ntk, memory: int | None) -> NtkBackbone:
    """Gradients of a network of images; nothing is loaded yet."""
    name = f"{PREFIX}{base.name}"
    return NtkBackbone(
        name, base.weights_hash, base.load, base.preprocessing, settings=settings, memory=memory
    )


def of_texts(base: TextEncoder, settings: Ntk, memory: int | None) -> NtkTextEncoder:
    """Gradients of a network of texts; nothing is loaded yet."""
    return NtkTextEncoder(
        f"{PREFIX}{base.name}", base.weights_hash, base.load, base.tokeniser, base.limit, base.said,
        settings=settings, memory=memory, base=base,
    )  # fmt: skip


def refuse_others(spec: str) -> None:
    """InputError for names after ntk/ that have no parameters: files, tables, and ntk/ again."""
    if spec.startswith(tuple(f"{PREFIX}{kind}" for kind in ("file/", "table/", PREFIX))):
        raise InputError(
            f"{spec} takes gradients by the parameters of a network, and "
            f"{spec.removeprefix(PREFIX)} is not one; name a network, such as "
            f"{PREFIX}packaged/squeezenet1_1"
        )


def _tried(encoder: NtkBackbone | NtkTextEncoder, network: nn.Module) -> Gradients:
    """_gradients; InputError where torch cannot take any."""
    try:
        return _gradients(encoder, network)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{encoder.name}: no gradient can be taken ({reason}); name another network"
        ) from error


def _gradients(encoder: NtkBackbone | NtkTextEncoder, network: nn.Module) -> Gradients:
    """The module of gradients that an encoder's settings ask for, tried on a blank sample.

    Raises InputError where there is nothing to differentiate by, and MemoryLimitError.
    """
    settings, blank = encoder.settings, encoder.blank()
    names = _chosen(encoder.name, used(network, blank), settings.parameters)
    with torch.inference_mode():
        width = int(network(blank).shape[1])
    heads = _heads(encoder.name, network, settings, width)
    counts = dict(network.named_parameters())
    need = 4 * COPIES * sum(counts[name].numel() for name in names)
    if encoder.memory is not None and encoder.memory < need:
        raise MemoryLimitError(
            encoder.memory, f"the gradients of one sample by {encoder.name} need", need
        )
    chunk = CHUNK if encoder.memory is None else min(CHUNK, encoder.memory // need)
    cosine = settings.scale is RowScale.cosine
    made = Gradients(network, names, heads, settings.k, settings.seed, cosine=cosine, chunk=chunk)
    made.settle(blank)
    return made


def _chosen(name: str, names: Sequence[str], asked: Parameters) -> list[str]:
    """Of the parameters that the features are computed from, those to differentiate by."""
    if not names:
        raise InputError(
            f"{name}: no parameter has a part in the network's features, so that there is no "
            f"gradient; name another network, or {name.removeprefix(PREFIX)} itself"
        )
    if asked is Parameters.all:
        return list(names)
    if asked is Parameters.last:
        layers = list(dict.fromkeys(one.rpartition(".")[0] for one in names))
        last = layers[-math.ceil(len(layers) / 4) :]
        return [one for one in names if one.rpartition(".")[0] in last]
    biases = [one for one in names if one.rpartition(".")[2] == "bias"]
    if not biases:
        raise InputError(
            f"ntk.parameters=biases: {name} has no parameter of that name; set ntk.parameters=all"
        )
    return biases


def _heads(name: str, network: nn.Module, settings: Ntk, width: int) -> torch.Tensor:
    """(m, width) vectors of length 1: random ones, or random sums of ImageNet's classes."""
    rng = stream(settings.seed, "kernel/heads")
    if settings.head is HeadVector.random:
        drawn = rng.standard_normal((settings.heads, width))
    else:
        layers = (getattr(module, "class_weights", None) for module in network.modules())
        weights = next((layer for layer in layers if layer is not None), None)
        if weights is None or weights.shape[1] != width:
            raise InputError(
                f"ntk.head=imagenet needs the class layer on the features of {name}, which is not "
                "kept; set ntk.head=random"
            )
        classes = weights.detach().numpy().astype(np.float64)
        drawn = rng.standard_normal((settings.heads, len(classes))) @ classes
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return torch.from_numpy(unit).float()
