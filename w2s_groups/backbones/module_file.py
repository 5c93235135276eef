"""A network of one's own: a function in a Python file that returns a torch.nn.Module."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from w2s_groups.backbones import hub
from w2s_groups.backbones.base import Backbone, read_weights
from w2s_groups.backbones.preprocessing import FITS, INTERPOLATIONS, Preprocessing, on_255, sides
from w2s_groups.core import python_file
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import content_hash

IMAGENET = Preprocessing(
    256, 224, "bilinear", on_255((0.485, 0.456, 0.406)), on_255((0.229, 0.224, 0.225))
)


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of module/FILE.py:FACTORY[@WEIGHTS]; see w2s_groups.backbones.get_backbone.

    FACTORY() gives a module of (B, 3, H, W) float32 -> (B, d). Its attribute `preprocessing`, a
    Preprocessing or a dict of its fields, says what it is fed (absent: ImageNet's usual). WEIGHTS:
    a state dict for it. Random numbers that FACTORY draws from torch are the same every time. The
    identity holds the file's bytes and every parameter and buffer. A size of one's own is fed
    uncropped.
    """
    spec = f"module/{name}"
    text, _, factory = name.rpartition(":")
    path = Path(text)
    if not text or not factory or path.suffix != ".py":
        raise InputError(
            f"{spec} must name a file and a function in it, module/FILE.py:FACTORY, such as "
            "module/networks.py:mine"
        )
    if not path.is_file():
        raise InputError(f"{spec} names a file that is missing: {path.absolute()}")
    network = _made(spec, path, factory)
    if weights is not None:
        hub.check_file(spec, Path(weights))
        try:
            network.load_state_dict(read_weights(Path(weights)))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"weights={weights} does not fit {spec}: {reason}") from error
    network.eval()
    own = _preprocessing(spec, getattr(network, "preprocessing", None))
    if image_size is not None and own.shape[:2] != (image_size, image_size):
        own = replace(own, resize=image_size, crop=image_size)
    _try(spec, network, own)
    digest = hashlib.sha256(f"{content_hash(path)} {state_hash(network)}".encode()).hexdigest()
    full = spec if weights is None else f"{spec}@{weights}"
    return Backbone(full, digest, lambda: network, own)


def state_hash(network: nn.Module) -> str:
    """sha256 of every parameter and buffer, with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()]):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\0".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _made(spec: str, path: Path, factory: str) -> nn.Module:
    """What the factory returns, checked to be a module."""
    try:
        with hub.seeded(hub.random_seed(f"{path.name}:{factory}")):
            module = python_file.run(path)
            make = getattr(module, factory, None)
            made = make() if callable(make) else None
    except Exception as error:
        raise InputError(f"{spec} can't be made: {python_file.reason(path, error)}") from error
    if not callable(make):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise unknown_name(f"function of {path}", factory, known)
    if not isinstance(made, nn.Module):
        raise InputError(
            f"{spec}: {factory}() returned {type(made).__name__}; return a torch.nn.Module"
        )
    return made


def _preprocessing(spec: str, given: Any) -> Preprocessing:
    """The module's own preprocessing with every field checked."""
    if given is None:
        return IMAGENET
    if isinstance(given, Preprocessing):
        given = {field.name: getattr(given, field.name) for field in fields(given)}
    if not isinstance(given, Mapping):
        raise InputError(
            f"{spec}: preprocessing={given!r} must be a dict or a Preprocessing; change it"
        )
    known = {field.name: field for field in fields(Preprocessing)}
    for key in given:
        if key not in known:
            raise unknown_name(f"{spec}: field of preprocessing", str(key), known)
    lacking = [k for k, f in known.items() if f.default is MISSING and k not in given]
    if lacking:
        raise InputError(f"{spec}: preprocessing lacks {', '.join(lacking)}; add them")
    values: dict[str, Any] = {
        str(k): tuple(v) if isinstance(v, list) else v for k, v in given.items()
    }
    _check_names(spec, values)
    _check_sizes(spec, values)
    _check_channels(spec, values)
    return Preprocessing(**values)


def _check_names(spec: str, values: Mapping[str, Any]) -> None:
    for key, options in {
        "interpolation": list(INTERPOLATIONS),
        "fit": list(FITS),
        "centre": ["round", "floor"],
    }.items():
        if key in values and values[key] not in options:
            raise unknown_name(f"{spec}: preprocessing {key}", str(values[key]), options)


def _check_sizes(spec: str, values: Mapping[str, Any]) -> None:
    for key in ("resize", "crop"):
        if not _whole(values[key], 1, 16384):
            raise InputError(
                f"{spec}: preprocessing {key}={values[key]!r} must be whole pixels, one number or "
                "(height, width); correct it"
            )
    if values.get("fit", "shorter") == "shorter" and not isinstance(values["resize"], int):
        raise InputError(
            f"{spec}: preprocessing resize={values['resize']!r} with fit=shorter must be one "
            "number; set fit to cover, contain or squash"
        )


def _check_channels(spec: str, values: dict[str, Any]) -> None:
    """InputError unless mean and std, which become floats, are three numbers on the 0-255 scale."""
    for key in ("mean", "std"):
        value = values[key]
        if not (isinstance(value, tuple) and len(value) == 3 and all(map(_number, value))):
            raise InputError(
                f"{spec}: preprocessing {key}={value!r} must be three numbers; correct it"
            )
        values[key] = tuple(float(v) for v in value)
    if not min(values["std"]) > 0:
        raise InputError(f"{spec}: preprocessing std={values['std']} must be above 0; correct it")
    if max(values["std"]) < 1:
        raise InputError(
            f"{spec}: preprocessing std={values['std']} is on the 0-1 scale; mean and std are on "
            "the 0-255 scale: multiply both by 255"
        )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _whole(value: Any, low: int, high: int) -> bool:
    pair = value if isinstance(value, tuple) else (value, value)
    return len(pair) == 2 and all(type(v) is int and low <= v <= high for v in pair)


def _try(spec: str, network: nn.Module, preprocessing: Preprocessing) -> None:
    """InputError unless the network gives one vector for each of two images."""
    height, width = sides(preprocessing.crop)
    try:
        with torch.no_grad():
            output = network(torch.zeros(2, 3, height, width))
    except Exception as error:  # it is the user's code
        raise InputError(
            f"{spec} fails on images of {height} x {width} pixels "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]}); set image_size, or "
            "preprocessing on the module, to what it takes"
        ) from error
    if not isinstance(output, torch.Tensor) or output.ndim < 2 or len(output) != 2:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise InputError(
            f"{spec} gives {shape} for two images; return a tensor (2, d), one row for each"
        )
