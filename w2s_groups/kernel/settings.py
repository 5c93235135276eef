"""Settings of NTK features."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from w2s_groups.core.errors import InputError

PREFIX = "ntk/"  # of the names of networks whose gradients are taken


class HeadVector(Enum):
    """The vectors v that heads weigh the last features by: random, or of the ImageNet classes."""

    random = "random"
    imagenet = "imagenet"


class Parameters(Enum):
    """Parameters by which outputs are differentiated.

    last: of the last quarter of the layers that have any; biases: those called so, of every layer.
    """

    all = "all"
    last = "last"
    biases = "biases"


class RowScale(Enum):
    """none: rows as they are; cosine: of length 1, so that the kernel is a cosine."""

    none = "none"
    cosine = "cosine"


@dataclass
class Ntk:
    """Settings of ntk/NETWORK. k: features, fewer where there are fewer gradients to sketch.

    heads: vectors v, over which the kernel is averaged. seed: of these vectors and of the sketch.
    """

    k: int = MISSING
    heads: int = MISSING
    head: HeadVector = MISSING
    parameters: Parameters = MISSING
    scale: RowScale = MISSING
    seed: int = MISSING

    def __post_init__(self) -> None:
        for name, low, high in (("k", 1, 2**17), ("heads", 1, 1024), ("seed", 0, 2**31 - 1)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"ntk.{name}={value} is outside [{low}, {high}]; choose a value in it"
                )

    @property
    def text(self) -> str:
        """All of them in words, as part of the key of cached features."""
        return (
            f"gradients of {self.heads} {self.head.value} heads by {self.parameters.value} "
            f"parameters, sketched to {self.k}, scale {self.scale.value}, seed {self.seed}"
        )
