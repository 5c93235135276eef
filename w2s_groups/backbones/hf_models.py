"""Image models of the Hugging Face hub, or of a folder in its layout.

The features are the model's pooled output where the files bring all of it. A pooling layer that
they lack would be random: the class token after the last normalisation stands in for it, as in
transformers' own classifiers. Of a model of images and text the image tower is taken, before its
projection.
"""

from __future__ import annotations

import hashlib
import inspect
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from w2s_groups.backbones import hf_files, hub
from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.preprocessing import INTERPOLATIONS, Preprocessing, Size, Triple
from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash

# Image processors that do something of their own, which no Preprocessing can say.
REMEDY = "wrap the model in a file of your own, module/FILE.py:FACTORY (docs/adding-a-backbone.md)"


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of hf/NAME[@WEIGHTS]; see w2s_groups.backbones.get_backbone.

    NAME: a repository, OWNER/NAME, or a folder. WEIGHTS: a folder, a revision (branch, tag,
    commit), or "none" for random weights of the same configuration. No code of a repository is run.
    """
    spec, folder, files, random = hf_files.located(name, weights, "images")
    preprocessing, patches = _preprocessing(spec, folder, image_size)
    if random:
        import transformers

        seed, drawn = hub.random_weights(name, transformers)
        digest = f"{drawn}, {content_hash(files[0])}"
        return Backbone(spec, digest, partial(_random, spec, folder, seed, patches), preprocessing)
    hashes = "\0".join(content_hash(path) for path in files)
    digest = hashlib.sha256(hashes.encode()).hexdigest()
    return Backbone(spec, digest, partial(_load, spec, folder, patches), preprocessing)


def _preprocessing(spec: str, folder: Path, image_size: int | None) -> tuple[Preprocessing, bool]:
    """The image processor as a Preprocessing, and whether position embeddings are interpolated.

    A size of one's own is fed uncropped; whole patches of it where the model has patches.
    """
    from transformers import AutoConfig, AutoImageProcessor

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    except Exception as error:  # transformers has many kinds for a file it can't use
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{spec}: {folder} is not an image model's folder ({reason})") from error
    own = said_by(spec, processor)
    if image_size is None or own.shape[:2] == (image_size, image_size):
        return own, False
    vision = getattr(config, "vision_config", config)
    patch = getattr(vision, "patch_size", 1)
    patch = patch if isinstance(patch, int) else 1
    size = max(patch, image_size // patch * patch)
    fit = "shorter" if own.fit == "shorter" else "squash"
    return Preprocessing(
        size, size, own.interpolation, own.mean, own.std, fit, centre=own.centre
    ), patch > 1


def said_by(spec: str, processor: Any) -> Preprocessing:
    """An image processor of transformers as a Preprocessing. InputError if it has other steps."""
    from transformers.image_processing_backends import PilBackend

    kind = type(processor)
    convnext = kind.__name__ == "ConvNextImageProcessorPil"
    steps = ("resize", "center_crop", "rescale", "normalize", "_preprocess")
    plain = isinstance(processor, PilBackend) and all(
        getattr(kind, step) is getattr(PilBackend, step) for step in steps
    )
    pads = getattr(processor, "do_pad", None)
    if not (plain or convnext) or pads or not processor.do_resize:
        raise InputError(
            f"{spec}: its image processor, {kind.__name__}, does more than resize, crop and "
            f"normalise; {REMEDY}"
        )
    size, crop = _read(processor.size), _read(getattr(processor, "crop_size", None))
    short = size.get("shortest_edge")
    resize: Size
    if convnext and short is not None and short < 384:
        crop, short = {"height": short, "width": short}, int(short / processor.crop_pct)
    elif convnext and short is not None:
        size, short = {"height": short, "width": short}, None
    elif not processor.do_center_crop:
        crop = {}
    if short is not None and crop and not size.get("longest_edge"):
        resize, fit = short, "shorter"
    elif short is None and {"height", "width"} <= set(size):
        resize, fit = _size(size), "squash"
    else:
        raise InputError(f"{spec}: its image processor leaves sizes of {size} open; {REMEDY}")
    scale = processor.rescale_factor if processor.do_rescale else 1.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
    resample = int(processor.resample)
    return Preprocessing(
        resize=resize,
        crop=_size(crop) if crop else resize,
        interpolation=next(name for name, mode in INTERPOLATIONS.items() if mode == resample),
        mean=_over(scale, mean),
        std=_over(scale, std),
        fit=fit,
        centre="floor",
    )


def _read(size: Any) -> dict[str, int]:
    """The entries that a processor's size has."""
    return {k: int(v) for k, v in dict(size or {}).items() if v is not None}


def _size(sides: dict[str, int]) -> Size:
    height, width = sides["height"], sides["width"]
    return height if height == width else (height, width)


def _over(scale: float, values: Any) -> Triple:
    red, green, blue = (round(float(value) / scale, 6) for value in values)
    return red, green, blue


def _random(spec: str, folder: Path, seed: int, interpolate: bool) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    try:
        with hub.seeded(seed):
            model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    except ValueError as error:  # a configuration of something else
        raise InputError(f"{spec}: {folder} is not an image model's folder ({error})") from error
    return Pooled(model, interpolate)


def _load(spec: str, folder: Path, interpolate: bool) -> nn.Module:
    model, drawn = hf_files.pretrained(spec, folder)
    lacking = sorted(drawn)
    if lacking and all(key.startswith("pooler.") for key in lacking):
        model.pooler = None
        lacking = []
    # Of a model of images and text, the text tower is of no concern.
    lacking = [k for k in lacking if not hasattr(model, "vision_model") or "vision_model." in k]
    hf_files.refuse_lacking(spec, folder, lacking)
    return Pooled(model, interpolate)


class Pooled(nn.Module):
    """(B, 3, H, W) -> (B, width): the pooled output, or the class token where there is none."""

    def __init__(self, model: Any, interpolate: bool) -> None:
        super().__init__()
        self.model = getattr(model, "vision_model", model)
        takes = "interpolate_pos_encoding" in inspect.signature(self.model.forward).parameters
        self.options = {"interpolate_pos_encoding": True} if interpolate and takes else {}

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, width) features of (B, 3, H, W)."""
        output = self.model(pixel_values=batch, **self.options)
        pooled: torch.Tensor | None = getattr(output, "pooler_output", None)
        if pooled is None:
            pooled = output.last_hidden_state[:, 0]
        return pooled.flatten(1)
