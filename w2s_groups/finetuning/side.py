"""The network of one side of a pair, with its images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from w2s_groups.backbones.base import Backbone
from w2s_groups.finetuning.pixels import Pixels


@dataclass(eq=False)
class Side:
    """A network to tune. mean, scale: pool.affine of its features; content: key of the features.

    test: rows that a fit is measured on while it is on its way; None: all that it is asked about.
    """

    backbone: Backbone
    pixels: Pixels
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    content: str
    body: nn.Module | None = None
    test: NDArray[np.int64] | None = None

    def network(self) -> nn.Module:
        """The network as it comes, loaded when first needed."""
        if self.body is None:
            self.body = self.backbone.load()
        return self.body
