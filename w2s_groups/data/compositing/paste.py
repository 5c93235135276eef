"""Pictures: a cut-out pasted on a random crop of a background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from w2s_groups.core.errors import InputError
from w2s_groups.data.compositing.masks import Instance


def paste(
    cutout: Image.Image,
    background: Image.Image,
    u: NDArray[np.float64],
    size: int,
    crop: Sequence[float],
    scale: Sequence[float],
) -> Image.Image:
    """A random crop of `background` (RGB), resized to the frame, with `cutout` (RGBA) inside it.

    u: as in plan.Row. crop, scale: ranges, as in render.Look.
    """
    side = _between(crop, u[0]) * min(background.size)
    left, top = u[1] * (background.width - side), u[2] * (background.height - side)
    frame = background.resize(
        (size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side)
    )
    if u[3] < 0.5:
        frame = frame.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    factor = _between(scale, u[4]) * size / max(cutout.size)
    width, height = (max(1, round(factor * length)) for length in cutout.size)
    figure = cutout.resize((width, height), Image.Resampling.LANCZOS)  # alpha-weighted by Pillow
    if u[7] < 0.5:
        figure = figure.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    frame.paste(figure, (int(u[5] * (size - width + 1)), int(u[6] * (size - height + 1))), figure)
    return frame


def _between(span: Sequence[float], u: float) -> float:
    return float(span[0] + u * (span[1] - span[0]))


def open_cutout(source: Path | Instance, longest: int) -> Image.Image:
    """RGBA, cut to what is not transparent, at most `longest` pixels. Raises InputError."""
    if isinstance(source, Instance):
        figure = _masked(source)
    else:
        with reading(source), Image.open(source) as image:
            figure = ImageOps.exif_transpose(image).convert("RGBA")
    alpha = figure.getchannel("A")
    box = alpha.getbbox()
    if box is None or alpha.getextrema()[0] == 255:
        what = "nothing but" if box is None else "no"
        raise InputError(
            f"{source} has {what} transparent pixels; save it with its surroundings transparent"
        )
    figure = figure.crop(box)
    figure.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return figure


def _masked(instance: Instance) -> Image.Image:
    """The photograph upright, transparent outside the object.

    A photograph may say by EXIF how it is to be turned. Its mask is drawn on the pixels as they
    are stored or as they are shown; the size that the table states tells which. InputError where
    it fits neither, or both (a turn by 180 degrees, a mirrored or square photograph).
    """
    with reading(instance.path), Image.open(instance.path) as image:
        stored = image.convert("RGB")
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
        shown = ImageOps.exif_transpose(image).convert("RGB")
    if instance.size not in (stored.size, shown.size):
        raise InputError(
            f"{instance} is drawn on {instance.size[0]} x {instance.size[1]} pixels and the file "
            f"has {stored.width} x {stored.height}; restore the original photographs"
        )
    mask = Image.fromarray(instance.mask().astype(np.uint8) * 255)
    if turn in range(2, 9) and stored.size == shown.size:
        raise InputError(
            f"{instance} is drawn on a photograph that EXIF turns (orientation {turn}), and its "
            "size does not tell whether before or after; save the photograph upright, without the "
            "tag, with a mask that fits"
        )
    if instance.size == shown.size:
        shown.putalpha(mask)
        return shown
    stored.putalpha(mask)
    stored.getexif()[ExifTags.Base.Orientation] = turn
    return ImageOps.exif_transpose(stored)


def open_background(path: Path, shortest: int) -> Image.Image:
    """RGB, shrunk so that its shorter side is `shortest` pixels (never enlarged)."""
    with reading(path), Image.open(path) as image:
        image.draft("RGB", (2 * shortest, 2 * shortest))  # a JPEG decodes at a fraction at once
        photograph = ImageOps.exif_transpose(image).convert("RGB")
    factor = shortest / min(photograph.size)
    if factor >= 1:
        return photograph
    width, height = (max(shortest, round(factor * length)) for length in photograph.size)
    return photograph.resize((width, height), Image.Resampling.LANCZOS)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what Pillow raises for an unusable file into an InputError."""
    try:
        yield
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from error
