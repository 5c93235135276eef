"""What a backbone is: an identity known without loading it, its preprocessing, its network."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.fx.experimental.optimization import fuse

from w2s_groups.backbones.preprocessing import Preprocessing, Size
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream

# Folding changes the order of float32 sums only: a hundred layers stay far below this.
FOLDING = 1e-3


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
        """(B, width) float32 features of (B, H, W, 3) uint8 pixels."""
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
            actual = fused(images)
        except Exception:  # whatever the forward does with what stands for a tensor in the trace
            return body
    scale = expected.abs().max()
    return fused if (actual - expected).abs().max() <= FOLDING * scale else body


@dataclass(frozen=True, eq=False)
class Encoder(ABC):
    """A pretrained network up to its penultimate layer, of images (Backbone) or of texts.

    name: "source/name@weights". weights_hash: identifies every parameter and buffer (sha256 of the
    weights file). load: the network, which is loaded when first needed: making an encoder reads the
    weights file only to hash it.
    """

    name: str
    weights_hash: str
    load: Callable[[], nn.Module]

    @property
    @abstractmethod
    def transform(self) -> str:
        """What is done to a sample before the network sees it, exactly; part of every cache key."""

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network on the CPU, tried once: batch -> (B, d) float32 features."""

    @abstractmethod
    def batch(self, samples: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the network takes, of B samples."""

    @abstractmethod
    def blank(self) -> torch.Tensor:
        """A batch of one sample that shows nothing."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, d) float32 features of a batch, on the CPU."""
        network = self.network  # loaded out here: parameters made in inference mode fail on a GPU
        with torch.inference_mode():
            features: torch.Tensor = network(batch)
        return features

    @cached_property
    def width(self) -> int:
        """Number of features d. Loads the network; a cached matrix tells its own."""
        return int(self.forward(self.blank()).shape[1])


@dataclass(frozen=True, eq=False)
class Backbone(Encoder):
    """A network of images, with the preprocessing that it was trained with."""

    preprocessing: Preprocessing

    @property
    def image_size(self) -> Size:
        """Pixels per side that the network is fed, or (height, width)."""
        return self.preprocessing.crop

    @property
    def transform(self) -> str:
        """The preprocessing in words."""
        return self.preprocessing.text

    @cached_property
    def network(self) -> nn.Module:
        """The network on the CPU, tried on one image. InputError if it can't take the size."""
        return self.made()

    def made(self, frozen: bool = True) -> Network:
        """A network of this kind, loaded anew. frozen: as of Network."""
        body = self.load()
        try:
            network = Network(body, self.preprocessing, frozen)
            with torch.inference_mode():
                network(self.blank())
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"image_size={self.image_size} is not a size that {self.name} can take ({reason}); "
                "leave image_size out for the network's own"
            ) from error
        return network

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """(H, W, 3) uint8 pixels. Changes nothing but `image`'s orientation."""
        return self.preprocessing.pixels(image)

    def batch(self, samples: Sequence[torch.Tensor]) -> torch.Tensor:
        """(B, H, W, 3) uint8 of B images' pixels."""
        return torch.stack(list(samples))

    def blank(self) -> torch.Tensor:
        """(1, H, W, 3) uint8: a black image."""
        return torch.zeros(1, *self.preprocessing.shape, dtype=torch.uint8)


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
