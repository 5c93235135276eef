"""Pretrained networks by name: "source/name" or "source/name@weights"."""

from __future__ import annotations

from w2s_groups.backbones import (
    hf_models,
    hf_texts,
    module_file,
    open_clip_models,
    packaged,
    timm_models,
    torchvision_models,
)
from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.text import TextEncoder
from w2s_groups.core.errors import InputError, unknown_name

__all__ = ["Backbone", "TextEncoder", "get_backbone", "get_encoder"]

SOURCES = {
    "packaged": packaged,
    "torchvision": torchvision_models,
    "timm": timm_models,
    "open_clip": open_clip_models,
    "hf": hf_models,
    "module": module_file,
}
FORMS = (
    "torchvision/NAME[@WEIGHTS]",
    "timm/NAME[.TAG][@WEIGHTS]",
    "open_clip/NAME@WEIGHTS",
    "hf/OWNER/NAME[@REVISION or @FOLDER]",
    "module/FILE.py:FACTORY[@WEIGHTS]",
    "file/FEATURES.npy",
)


def get_backbone(spec: str, image_size: int | None = None) -> Backbone:
    """Backbone of `spec`, fed squares of `image_size` pixels (None: the size it was trained at).

    packaged/NAME: weights from a Python package. torchvision/NAME[@WEIGHTS], timm/NAME[@WEIGHTS],
    open_clip/NAME@WEIGHTS: any of the library's networks; WEIGHTS is one of the library's names
    (its default, where it has one, if left out), the path of a weights file, or "none" for a random
    network that is the same every time. hf/OWNER/NAME[@WEIGHTS]: an image model of the Hugging Face
    hub; WEIGHTS is a revision, a folder with its files, or "none". module/FILE.py:FACTORY: a
    network of one's own. file/FEATURES is no network: backbones/precomputed.py reads it.
    Raises InputError for an unknown name, a missing package or weights that can't be had.
    """
    if image_size is not None and image_size < 1:
        raise InputError(f"image_size={image_size} must be at least 1 pixel")
    source, slash, rest = spec.partition("/")
    if source == "file":
        raise InputError(f"{spec} names features, not a network that could compute some")
    if not slash or source not in SOURCES:
        packages = [f"packaged/{name}" for name in packaged.names()]
        raise unknown_name("backbone", spec, [*packages, *FORMS])
    name, at, weights = rest.partition("@")
    backbone: Backbone = SOURCES[source].get(name, weights if at else None, image_size)
    return backbone


def get_encoder(spec: str) -> TextEncoder:
    """Text encoder of `spec`, hf/OWNER/NAME[@WEIGHTS] or hf/FOLDER.

    WEIGHTS: as for images. Raises InputError for networks of images, an unknown name, a missing
    package or weights that can't be had.
    """
    source, slash, rest = spec.partition("/")
    if slash and source == "hf":
        name, at, weights = rest.partition("@")
        return hf_texts.get(name, weights if at else None)
    if slash and source in SOURCES:
        raise InputError(
            f"{spec} reads images and the data set holds texts; name text encoders as teacher and "
            "student, such as hf/OWNER/NAME or hf/FOLDER (docs/adding-a-backbone.md)"
        )
    raise unknown_name("text encoder", spec, ["hf/OWNER/NAME[@REVISION or @FOLDER]", "hf/FOLDER"])
