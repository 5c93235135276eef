"""The contract of a network: one row of numbers for each image, the same every time."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from w2s_groups.backbones.base import Backbone
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream


def check_backbone(backbone: Backbone) -> None:
    """Raise AssertionError unless a network gives finite features (B, d), alike at every call.

    The features of an image do not depend on the images that it is in one batch with.
    """
    what = f"the network {backbone.name}"
    if not backbone.weights_hash:
        raise AssertionError(f"{what} has no weights_hash; hash its weights file, or its code")
    rng = stream(0, "testing/backbone")
    pictures = [Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)) for _ in "abc"]
    pixels = [backbone.preprocess(picture) for picture in pictures]
    try:
        together = backbone.forward(backbone.batch(pixels))
    except (InputError, RuntimeError) as error:
        raise AssertionError(f"{what} fails: {error}") from error
    if together.ndim != 2 or len(together) != len(pixels) or not together.shape[1]:
        raise AssertionError(
            f"{what} gives {tuple(together.shape)} for {len(pixels)} images; return (B, d)"
        )
    if not torch.isfinite(together).all():
        raise AssertionError(f"{what} gives nan or inf; check its preprocessing and weights")
    alone = torch.cat([backbone.forward(backbone.batch([one])) for one in pixels])
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * float(together.abs().max())):
        raise AssertionError(
            f"{what} gives an image other features in another batch; put it into eval mode"
        )
