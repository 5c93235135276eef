"""Any torchvision classification network, up to its penultimate layer."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from w2s_groups.backbones import hub
from w2s_groups.backbones.base import Backbone, read_weights
from w2s_groups.backbones.preprocessing import Preprocessing, on_255
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import content_hash

# torchvision's published weights of these two take ImageNet-normalised input and re-scale it
# inside.
RESCALING = {"googlenet", "inception_v3"}
AUXILIARY = ("aux1", "aux2", "AuxLogits")  # training-time heads of the same two


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of a torchvision network; see w2s_groups.backbones.get_backbone."""
    from torchvision import models  # seconds to import: only for who asks for one of its networks

    known = models.list_models(module=models)
    if name not in known:
        raise unknown_name("torchvision backbone", name, known)
    published = models.get_model_weights(name)
    default = published.DEFAULT
    weights = weights or "DEFAULT"
    entry = default
    if weights == "none":
        import torchvision

        seed, digest = hub.random_weights(name, torchvision)
        load = partial(_random, name, seed)
    elif weights == "DEFAULT" or weights in published.__members__:
        entry = published[weights]
        weights = entry.name  # DEFAULT moves between releases of torchvision
        path = _from_hub(name, entry)
        digest, load = content_hash(path), partial(_from_file, name, path)
    elif hub.is_path(weights):
        path = Path(weights)
        hub.check_file(f"torchvision/{name}", path)
        digest, load = content_hash(path), partial(_from_file, name, path)
    else:
        raise unknown_name(
            f"weights of torchvision/{name}", weights, [*published.__members__, "none"]
        )
    return Backbone(
        name=f"torchvision/{name}@{weights}",
        preprocessing=_preprocessing(entry, image_size),
        weights_hash=digest,
        load=load,
    )


def _preprocessing(entry: Any, image_size: int | None) -> Preprocessing:
    """The evaluation preset of these weights; a size of one's own is fed uncropped."""
    preset = entry.transforms()
    return Preprocessing(
        resize=image_size or preset.resize_size[0],
        crop=image_size or preset.crop_size[0],
        interpolation=preset.interpolation.value,
        mean=on_255(preset.mean),
        std=on_255(preset.std),
    )


def _from_hub(name: str, entry: Any) -> Path:
    checksum = re.search(r"-([0-9a-f]{8,})\.", entry.url.rsplit("/", 1)[-1])
    return hub.torch_file(f"torchvision/{name}", entry.url, checksum and checksum.group(1))


def _random(name: str, seed: int) -> nn.Module:
    from torchvision import models

    options = {"transform_input": True, "init_weights": False} if name in RESCALING else {}
    with hub.seeded(seed):
        network: nn.Module = models.get_model(name, weights=None, **options)
    for head in AUXILIARY:
        if hasattr(network, head):
            setattr(network, head, None)
    cut(network)
    return network


def _from_file(name: str, path: Path) -> nn.Module:
    # Some constructors compute with real tensors, so an empty (meta) network can't be a start.
    network = _random(name, seed=0)
    classifier = next(n for n, m in network.named_modules() if isinstance(m, _Cut))
    unused = tuple(f"{layer}." for layer in (classifier, *AUXILIARY))
    state = {k: value for k, value in read_weights(path).items() if not k.startswith(unused)}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"weights={path} does not fit torchvision/{name}: {' '.join(str(error).split())[:300]}"
        ) from error
    return network


class _Cut(nn.Identity):
    """Stands where the classifier was."""


def cut(network: nn.Module) -> None:
    """Replace the last classifier layer by the identity.

    All of torchvision's classifiers end in a linear layer, or in a 1 x 1 convolution before the
    global average (SqueezeNet, where averaging then gives the mean of the last feature map).
    """
    last = None
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            last = name
    if last is None:
        raise InputError(
            f"{type(network).__name__} has no layer to classify with; name another network"
        )
    parent, _, child = last.rpartition(".")
    setattr(network.get_submodule(parent), child, _Cut())
