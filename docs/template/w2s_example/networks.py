"""A network by name: example/grey-8 is the image in 8 x 8 grey values."""

import hashlib

from torch import nn

from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.preprocessing import Preprocessing, on_255
from w2s_groups.core.errors import InputError

HALF = on_255((0.5, 0.5, 0.5))


class Grey(nn.Module):
    """(B, 3, H, W) images -> (B, side * side) grey values."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(side)

    def forward(self, images):
        return self.pool(images.mean(dim=1, keepdim=True)).flatten(1)


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of example/NAME; weights: what stands after an @, here nothing."""
    word, _, side = name.partition("-")
    if word != "grey" or not side.isdigit() or not 1 <= int(side) <= 32 or weights is not None:
        raise InputError(f"example/{name} is unknown; name example/grey-1 to example/grey-32")
    size = image_size or 64
    identity = hashlib.sha256(f"w2s-example grey {side}, version 1".encode()).hexdigest()
    return Backbone(
        f"example/{name}",
        identity,
        lambda: Grey(int(side)),
        Preprocessing(size, size, "bilinear", HALF, HALF),
    )
