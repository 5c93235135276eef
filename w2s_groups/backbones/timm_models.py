"""Any timm network up to what its classifier sees: forward_features, then pooling (pre-logits)."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from w2s_groups.backbones import hub
from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.preprocessing import Preprocessing, Size, on_255
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import content_hash

# In timm's own order of preference.
HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of timm/NAME[.TAG][@WEIGHTS]; see w2s_groups.backbones.get_backbone.

    WEIGHTS: a tag (another way to write .TAG), a file, or "none". A network of patches is fed the
    largest multiple of its patch that `image_size` allows; timm resamples its position embedding.
    """
    hub.need(f"timm/{name}", "timm", "timm")
    import timm  # seconds to import: only for who asks for one of its networks

    architecture, _, tag = name.partition(".")
    known = timm.list_models()
    if architecture not in known:
        raise hub.unknown("timm backbone", architecture, known, "timm.list_models()")
    file = Path(weights) if weights and hub.is_path(weights) else None
    if weights and weights != "none" and file is None:
        if tag and tag != weights:
            raise InputError(f"timm/{name}@{weights} names two weights; keep one of them")
        tag = weights
    tags = [m.partition(".")[2] for m in timm.list_models(f"{architecture}.*", pretrained=True)]
    if tag and tag not in tags:
        raise unknown_name(f"weights of timm/{architecture}", tag, [*tags, "none"])
    cfg = timm.models.get_pretrained_cfg(f"{architecture}.{tag}" if tag else architecture)
    if cfg is None:
        raise InputError(f"timm/{architecture} has no input configuration; choose another network")
    tag = cfg.tag or tag
    full = f"timm/{architecture}" + (f".{tag}" if tag else "")

    preprocessing, size = _preprocessing(architecture, cfg, image_size)
    make = partial(_make, architecture, size)
    if weights == "none":
        seed, digest = hub.random_weights(architecture, timm)
        return Backbone(f"{full}@none", digest, partial(_random, make, seed), preprocessing)
    if file is not None:
        hub.check_file(f"timm/{name}", file)
        full, of_file = f"{full}@{weights}", _of_file(file, cfg)
    elif not cfg.has_weights:
        raise InputError(
            f"timm/{architecture} has no published weights; name a file, timm/{architecture}@FILE, "
            f"or take the random network, timm/{architecture}@none"
        )
    else:
        file, of_file = _published(full, cfg), cfg.to_dict()
    load = partial(_from_file, make, file, of_file)
    return Backbone(full, content_hash(file), load, preprocessing)


def _preprocessing(
    architecture: str, cfg: Any, image_size: int | None
) -> tuple[Preprocessing, Size | None]:
    """The evaluation transform of timm, and the input size to build with (None: the network's own).

    A size of one's own is fed uncropped.
    """
    import timm

    data = timm.data.resolve_data_config({}, pretrained_cfg=cfg.to_dict())
    channels, height, width = data["input_size"]
    if channels != 3:
        raise InputError(f"timm/{architecture} takes {channels} channels; choose an RGB network")
    size: Size | None = None
    if image_size is not None and (height, width) != (image_size, image_size):
        patch = patch_side(architecture) if cfg.fixed_input_size else 1
        size = height = width = max(patch, image_size // patch * patch)
        data["crop_pct"] = 1.0
        if not cfg.fixed_input_size:
            size = None  # the network takes any
    crop: Size = height if height == width else (height, width)
    scaled = tuple(int(side / data["crop_pct"]) for side in (height, width))
    resize: Size = scaled[0] if scaled[0] == scaled[1] else (scaled[0], scaled[1])
    square = "shorter" if isinstance(resize, int) else "cover"
    border = data["crop_mode"] == "border"
    fill = tuple(round(255 * value) for value in data["mean"]) if border else (0, 0, 0)
    return Preprocessing(
        resize=resize,
        crop=crop,
        interpolation=data["interpolation"],
        mean=on_255(data["mean"]),
        std=on_255(data["std"]),
        fit={"squash": "squash", "border": "contain"}.get(data["crop_mode"], square),
        fill=(fill[0], fill[1], fill[2]),
    ), size


def patch_side(architecture: str) -> int:
    """Side of a network's patches in pixels; 1 if it has none. Nothing is drawn or allocated."""
    import timm

    with torch.device("meta"):
        network = timm.create_model(architecture)
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", 1)
    return int(patch[0] if isinstance(patch, tuple) else patch)


def _published(spec: str, cfg: Any) -> Path:
    if not cfg.hf_hub_id:
        checksum = re.search(r"-([0-9a-f]{8,})\.", cfg.url.rsplit("/", 1)[-1])
        return hub.torch_file(spec, cfg.url, checksum and checksum.group(1))
    names = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else HUB_FILES
    return hub.hf_file(spec, cfg.hf_hub_id, names)


def _of_file(file: Path, cfg: Any) -> dict[str, Any]:
    """The configuration of a user's file: timm then checks every key, the classifier's too."""
    settings: dict[str, Any] = cfg.to_dict()
    settings["custom_load"] = file.suffix == ".npz"  # a checkpoint of JAX, as published
    return settings


def _make(architecture: str, size: Size | None, **options: Any) -> nn.Module:
    import timm

    if size is not None:
        options["img_size"] = size
    try:
        network: nn.Module = timm.create_model(architecture, **options)
    except TypeError:  # the few attention networks that are built for one size only
        if size is None:
            raise
        del options["img_size"]
        network = timm.create_model(architecture, **options)
    return network


def _random(make: Any, seed: int) -> nn.Module:
    with hub.seeded(seed):
        return Penultimate(make())


def _from_file(make: Any, file: Path, cfg: dict[str, Any]) -> nn.Module:
    classes = _classes(file, cfg)
    # The hub's names would come before the file.
    overlay = {**cfg, "file": str(file), "hf_hub_id": None, "url": "", "num_classes": classes}
    try:
        with hub.seeded(0):
            network = make(pretrained=True, num_classes=classes, pretrained_cfg=overlay)
    except Exception as error:  # pickle, zip, safetensors and timm each have their own
        raise InputError(
            f"weights={file} does not fit timm/{cfg['architecture']}: "
            f"{' '.join(str(error).split())[:300] or type(error).__name__}"
        ) from error
    return Penultimate(network)


def _classes(file: Path, cfg: dict[str, Any]) -> int:
    """Outputs of the classifier in a file: one trained on other classes fits all the same."""
    classifier = cfg.get("classifier")
    published = int(cfg["num_classes"])
    if file.suffix == ".npz" or not isinstance(classifier, str):
        return published
    import timm

    try:
        state = timm.models.load_state_dict(str(file))
    except Exception:  # said by timm when it loads the file for the network
        return published
    bias = state.get(f"{classifier}.bias")
    return published if bias is None else len(bias)


class Penultimate(nn.Module):
    """(B, 3, H, W) -> (B, width): timm's forward_features, pooled, before the last layer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, width) pooled features of (B, 3, H, W)."""
        features: torch.Tensor = self.network.forward_head(
            self.network.forward_features(batch), pre_logits=True
        )
        return features.flatten(1)

    @property
    def class_weights(self) -> torch.Tensor | None:
        """(classes, d): classes as sums of the features; no part of them."""
        last = self.network.get_classifier()
        return last.weight if isinstance(last, nn.Linear) else None
