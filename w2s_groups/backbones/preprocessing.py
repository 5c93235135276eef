"""From an image to what a network is fed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps

Triple = tuple[float, float, float]
Size = int | tuple[int, int]  # a square's side, or (height, width)
INTERPOLATIONS = {mode.name.lower(): mode for mode in Image.Resampling}
FITS = {
    "shorter": "shorter side to",
    "cover": "aspect kept, just covering",
    "contain": "aspect kept, just within",
    "squash": "stretched to",
}


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
        """(H, W, 3) uint8.

        Only Pillow and a copy, so that threads can run it side by side; the arithmetic on floats
        happens once per batch, in the network.
        """
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
