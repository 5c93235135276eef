"""The text side of open_clip's models: class directions from prompts, and the map into their space.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML
2021, section 3.1.4: the embeddings of a class's prompts are averaged and scaled to length 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from w2s_groups.backbones import open_clip_models
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream

Array = NDArray[np.float64]
LINEAR = 1e-4  # of the largest entry: float32 rounding of a linear map stays far below


class Prompted(NamedTuple):
    """projection (d, e) and bias (e,) from features to the space; directions (C, e); scale."""

    projection: Array
    bias: Array
    directions: Array
    scale: float


def prompted(spec: str, image_size: int | None, prompts: Sequence[Sequence[str]]) -> Prompted:
    """Of open_clip/NAME@WEIGHTS. prompts: those of each class. InputError where it has no such map.

    The features are those of `open_clip_models.get`: the image tower's before its projection.
    """
    name, _, weights = spec.removeprefix("open_clip/").partition("@")
    model, tokenise = open_clip_models.whole(name, weights or None, image_size)
    with torch.inference_mode():
        directions = []
        for of_class in prompts:
            each = model.encode_text(tokenise(list(of_class)), normalize=True)
            mean = each.double().mean(dim=0)
            directions.append((mean / mean.norm()).numpy())
        scale = float(model.logit_scale.exp())
    projection, bias = _projection(spec, model.visual, len(directions[0]))
    return Prompted(projection, bias, np.stack(directions), scale)


def _projection(spec: str, visual: Any, width: int) -> tuple[Array, Array]:
    """The linear map on top of the features to (width,); InputError where it is not linear."""
    matrix = getattr(visual, "proj", None)
    if isinstance(matrix, nn.Parameter):
        found = matrix.detach().double().numpy()
        return found, np.zeros(found.shape[1])
    if not hasattr(visual, "trunk"):  # attention pooling ends in the space itself
        return np.eye(width), np.zeros(width)
    top = nn.Sequential(visual.trunk.get_classifier(), visual.head).eval()
    d = int(visual.trunk.num_features)
    with torch.inference_mode():
        bias = top(torch.zeros(1, d))
        linear = top(torch.eye(d)) - bias
        tried = torch.from_numpy(stream(0, "open_clip/linear").normal(size=(8, d))).float()
        error = (tried @ linear + bias - top(tried)).abs().max()
    if error > LINEAR * linear.abs().sum(dim=0).max():
        raise InputError(
            f"methods=zero_shot needs a linear projection on the features of {spec}, and its is "
            "not linear; name another open_clip network as student, or leave out zero_shot"
        )
    return linear.double().numpy(), bias[0].double().numpy()
