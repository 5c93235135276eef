"""What a backbone is: an identity known without loading it, its preprocessing, its network."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.fx.experimental.optimization import fuse

from w2s_groups.errors import InputError

Triple = tuple[float, float, float]
INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Preprocessing:
    """Image -> what the network is fed: RGB, shorter side to `resize`, centre `crop`, (x -
    mean)/std.

    resize, crop: pixels. mean, std: per RGB channel on the 0-255 scale.
    """

    resize: int
    crop: int
    interpolation: str
    mean: Triple
    std: Triple

    @property
    def text(self) -> str:
        """Says the preprocessing exactly; part of every cache key."""
        return (
            f"rgb, exif orientation applied, alpha dropped, 16-bit grey / 257; shorter side to "
            f"{self.resize} ({self.interpolation}), centre crop {self.crop}; "
            f"(x - {self.mean!r}) / {self.std!r}"
        )

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """(crop, crop, 3) uint8. Only Pillow and a copy, so that threads can run it side by side;
        the arithmetic on floats happens once per batch, in the network."""
        image = _rgb(image)
        width, height = image.size
        short = min(width, height)
        # The same rounding as torchvision's Resize and CenterCrop on a Pillow image.
        size = (
            self.resize if width == short else int(self.resize * width / short),
            self.resize if height == short else int(self.resize * height / short),
        )
        if size != image.size:
            image = image.resize(size, INTERPOLATIONS[self.interpolation])
        if size != (self.crop, self.crop):
            left = round((size[0] - self.crop) / 2)
            top = round((size[1] - self.crop) / 2)
            image = image.crop((left, top, left + self.crop, top + self.crop))
        return torch.from_numpy(np.array(image))


def _rgb(image: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit grey at 255, which turns most of a picture white.
        grey = np.clip(np.asarray(image, dtype=np.float64) / 257, 0, 255)
        image = Image.fromarray(np.rint(grey).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("float pixels have no stated range")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


class Network(nn.Module):
    """Preprocessed pixels (B, S, S, 3) uint8 -> penultimate features (B, width) float32."""

    def __init__(self, body: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.body = folded(body.eval()).requires_grad_(False)
        self.body.to(memory_format=torch.channels_last)
        # One row of pixels at a time: a last axis of 3 would defeat vector instructions (8 times).
        row = (preprocessing.crop, 1)
        self.register_buffer("mean", torch.tensor(preprocessing.mean).tile(row).flatten())
        scale = 1 / torch.tensor(preprocessing.std, dtype=torch.float64)
        self.register_buffer("scale", scale.float().tile(row).flatten())

    mean: torch.Tensor
    scale: torch.Tensor

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        b, height, width, channels = batch.shape
        rows = batch.reshape(b, height, width * channels).float().sub_(self.mean).mul_(self.scale)
        # Pixels come channel by channel innermost, so the permuted view is channels_last already.
        features: torch.Tensor = self.body(rows.view(batch.shape).permute(0, 3, 1, 2))
        return features.flatten(1).float()


def folded(body: nn.Module) -> nn.Module:
    """The same function with batch normalisation folded into the convolutions before it.

    Equal up to rounding and much faster (EfficientNet-lite2: about 1.4 times on a CPU).
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in body.modules()):
        return body
    fused: nn.Module = fuse(copy.deepcopy(body))
    return fused.eval()


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network up to its penultimate layer, with the preprocessing it was trained with.

    name: "source/name@weights". image_size: pixels per side that the network is fed.
    weights_hash: identifies every parameter and buffer (sha256 of the weights file).
    Making one reads the weights file only to hash it; the network is loaded when first needed.
    """

    name: str
    preprocessing: Preprocessing
    weights_hash: str
    load: Callable[[], nn.Module]

    @property
    def image_size(self) -> int:
        return self.preprocessing.crop

    @property
    def transform(self) -> str:
        return self.preprocessing.text

    @cached_property
    def network(self) -> Network:
        """The network on the CPU, tried on one image. InputError if it can't take the size."""
        network = Network(self.load(), self.preprocessing)
        size = self.image_size
        try:
            with torch.inference_mode():
                network(torch.zeros(1, size, size, 3, dtype=torch.uint8))
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"image_size={size} is not a size that {self.name} can take ({reason}); "
                "leave image_size out for the network's own"
            ) from error
        return network

    @cached_property
    def width(self) -> int:
        """Number of features d. Loads the network; a cached matrix tells its own."""
        size = self.image_size
        return int(self.forward(torch.zeros(1, size, size, 3, dtype=torch.uint8)).shape[1])

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """(S, S, 3) uint8 pixels. Changes nothing but `image`'s orientation."""
        return self.preprocessing.pixels(image)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, S, S, 3) uint8 from `preprocess`, stacked -> (B, width) float32 on the CPU."""
        with torch.inference_mode():
            features: torch.Tensor = self.network(batch)
        return features


def file_hash(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A state dict; tensors only, no code is run. Raises InputError if the file is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each have their own for a broken file
        raise InputError(
            f"weights={path} is not a file of tensors that torch can load "
            f"({type(error).__name__}); save one with torch.save(model.state_dict(), path)"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(
            f"weights={path} does not hold a plain state dict; "
            "save one with torch.save(model.state_dict(), path)"
        )
    return state
