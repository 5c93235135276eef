"""What a backbone is: an identity known without loading it, its preprocessing, its network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.fx.experimental.optimization import fuse

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream

Triple = tuple[float, float, float]
Size = int | tuple[int, int]  # a square's side, or (height, width)
INTERPOLATIONS = {mode.name.lower(): mode for mode in Image.Resampling}
FITS = {
    "shorter": "shorter side to",
    "cover": "aspect kept, just covering",
    "contain": "aspect kept, just within",
    "squash": "stretched to",
}
# Folding changes the order of float32 sums only: a hundred layers stay far below this.
FOLDING = 1e-3


@dataclass(frozen=True)
class Preprocessing:
    """Image -> what the network is fed: RGB, resized, its centre cropped, (x - mean) / std.

    resize, crop: pixels. mean, std: per RGB channel on the 0-255 scale. fit: what `resize` means,
    a key of FITS. fill: RGB where the crop is larger than the image. centre: "round" or "floor",
    where half a pixel goes (torchvision, timm and open_clip round; transformers floors).
    """

    resize: Size
    crop: Size
    interpolation: str
    mean: Triple
    std: Triple
    fit: str = "shorter"
    fill: tuple[int, int, int] = (0, 0, 0)
    centre: str = "round"

    @property
    def text(self) -> str:
        """Says the preprocessing exactly; part of every cache key."""
        rest = "" if self.centre == "round" else f" ({self.centre})"
        if any(self.fill):
            rest += f", filled with {self.fill!r}"
        return (
            f"rgb, exif orientation applied, alpha dropped, 16-bit grey / 257; {FITS[self.fit]} "
            f"{self.resize} ({self.interpolation}), centre crop {self.crop}{rest}; "
            f"(x - {self.mean!r}) / {self.std!r}"
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3) of one preprocessed image."""
        return (*sides(self.crop), 3)

    def pixels(self, image: Image.Image) -> torch.Tensor:
        """(H, W, 3) uint8. Only Pillow and a copy, so that threads can run it side by side; the
        arithmetic on floats happens once per batch, in the network."""
        image = _rgb(image)
        size = self._resized(*image.size)
        if size != image.size:
            image = image.resize(size, INTERPOLATIONS[self.interpolation])
        height, width = sides(self.crop)
        canvas = (max(size[0], width), max(size[1], height))
        if canvas != size:
            padded = Image.new("RGB", canvas, self.fill)
            padded.paste(image, ((canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2))
            image = padded
        if canvas != (width, height):
            whole = round if self.centre == "round" else int
            left, top = whole((canvas[0] - width) / 2), whole((canvas[1] - height) / 2)
            image = image.crop((left, top, left + width, top + height))
        return torch.from_numpy(np.array(image))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize, rounded as the libraries do on a Pillow image."""
        if isinstance(self.resize, int) and self.fit == "shorter":
            short = min(width, height)
            return (
                self.resize if width == short else int(self.resize * width / short),
                self.resize if height == short else int(self.resize * height / short),
            )
        to_height, to_width = sides(self.resize)
        if self.fit == "squash":
            return to_width, to_height
        choose = min if self.fit == "cover" else max
        ratio = choose(height / to_height, width / to_width)
        return max(1, round(width / ratio)), max(1, round(height / ratio))


def sides(size: Size) -> tuple[int, int]:
    """(height, width)."""
    return (size, size) if isinstance(size, int) else size


def on_255(values: Iterable[float]) -> Triple:
    """Per-channel values on the 0-1 scale, on the 0-255 scale."""
    red, green, blue = (round(255 * float(value), 6) for value in values)
    return red, green, blue


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
    """Preprocessed pixels (B, H, W, 3) uint8 -> penultimate features (B, width) float32."""

    def __init__(self, body: nn.Module, preprocessing: Preprocessing, frozen: bool = True) -> None:
        """frozen: folded and without gradients; False: the body as it is, to be trained."""
        super().__init__()
        body = body.eval()
        self.body = folded(body, preprocessing.shape).requires_grad_(False) if frozen else body
        self.body.to(memory_format=torch.channels_last)
        # One row of pixels at a time: a last axis of 3 would defeat vector instructions (8 times).
        row = (preprocessing.shape[1], 1)
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


def folded(body: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """The same function with batch normalisation folded into the convolutions before it.

    Equal up to rounding and much faster (EfficientNet-lite2: about 1.4 times on a CPU). shape:
    (H, W, 3) of an image. The body itself where its forward can't be traced, or where the trace
    is another function (it keeps one branch of each `if`).
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in body.modules()):
        return body
    images = torch.from_numpy(stream(0, "backbone/folded").normal(size=(2, 3, *shape[:2]))).float()
    with torch.no_grad():  # in inference mode the fused parameters could serve nothing else
        expected = body(images)
        try:
            fused: nn.Module = fuse(copy.deepcopy(body)).eval()
            found = fused(images)
        except Exception:  # whatever the forward does with what stands for a tensor in the trace
            return body
    scale = expected.abs().max()
    return fused if (found - expected).abs().max() <= FOLDING * scale else body


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network up to its penultimate layer, with the preprocessing it was trained with.

    name: "source/name@weights". image_size: pixels per side that the network is fed, or (height,
    width). weights_hash: identifies every parameter and buffer (sha256 of the weights file).
    Making one reads the weights file only to hash it; the network is loaded when first needed.
    """

    name: str
    preprocessing: Preprocessing
    weights_hash: str
    load: Callable[[], nn.Module]

    @property
    def image_size(self) -> Size:
        return self.preprocessing.crop

    @property
    def transform(self) -> str:
        return self.preprocessing.text

    @cached_property
    def network(self) -> Network:
        """The network on the CPU, tried on one image. InputError if it can't take the size."""
        body = self.load()
        try:
            network = Network(body, self.preprocessing)
            with torch.inference_mode():
                network(torch.zeros(1, *self.preprocessing.shape, dtype=torch.uint8))
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"image_size={self.image_size} is not a size that {self.name} can take ({reason}); "
                "leave image_size out for the network's own"
            ) from error
        return network

    @cached_property
    def width(self) -> int:
        """Number of features d. Loads the network; a cached matrix tells its own."""
        blank = torch.zeros(1, *self.preprocessing.shape, dtype=torch.uint8)
        return int(self.forward(blank).shape[1])

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """(H, W, 3) uint8 pixels. Changes nothing but `image`'s orientation."""
        return self.preprocessing.pixels(image)

    def batch(self, pixels: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, H, W, 3) uint8 of B images' pixels."""
        return torch.stack(list(pixels))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 3) uint8 from `preprocess`, stacked -> (B, width) float32 on the CPU."""
        network = self.network  # loaded out here: parameters made in inference mode fail on a GPU
        with torch.inference_mode():
            features: torch.Tensor = network(batch)
        return features


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
