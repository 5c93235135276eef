"""Pretrained networks by name: "source/name" or "source/name@weights"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from w2s_groups.backbones import (
    hf_models,
    hf_texts,
    module_file,
    ntk,
    open_clip_models,
    packaged,
    packaged_texts,
    table_encoders,
    timm_models,
    torchvision_models,
)
from w2s_groups.backbones.base import Backbone, Encoder
from w2s_groups.backbones.table_encoders import TableEncoder
from w2s_groups.backbones.text import TextEncoder
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.plugins import Origin, Registry
from w2s_groups.kernel.settings import PREFIX, Ntk

__all__ = [
    "Backbone",
    "Encoder",
    "TableEncoder",
    "TextEncoder",
    "get_backbone",
    "get_encoder",
    "get_table_encoder",
    "load",
]

# Source -> get(name, weights after the @ or None, image_size or None) -> Backbone.
Get = Callable[[str, str | None, int | None], Backbone]
BUILT_IN: dict[str, Get] = {
    "packaged": packaged.get,
    "torchvision": torchvision_models.get,
    "timm": timm_models.get,
    "open_clip": open_clip_models.get,
    "hf": hf_models.get,
    "module": module_file.get,
}


def _adopted(name: str, loaded: Any, origin: Origin) -> Get:
    """The function of an entry point; what it raises and returns is checked."""
    if not callable(loaded):
        raise InputError(
            f"{origin.source} offers {loaded!r} as the networks {name}/...; offer a function "
            "get(name, weights, image_size) that returns a Backbone (docs/plugins.md)"
        )

    def get(rest: str, weights: str | None, image_size: int | None) -> Backbone:
        spec = f"{name}/{rest}" if weights is None else f"{name}/{rest}@{weights}"
        try:
            made = loaded(rest, weights, image_size)
        except InputError:
            raise
        except Exception as error:  # it is the package's code
            text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise InputError(f"{spec} of {origin.source} can't be made: {text}") from error
        if not isinstance(made, Backbone):
            raise InputError(
                f"{spec} of {origin.source} is a {type(made).__name__}; return a Backbone"
            )
        return made

    return get


SOURCES = Registry[Get]("network library", "w2s_groups.backbones", BUILT_IN, _adopted)
FORMS = (
    "torchvision/NAME[@WEIGHTS]",
    "timm/NAME[.TAG][@WEIGHTS]",
    "open_clip/NAME@WEIGHTS",
    "hf/OWNER/NAME[@REVISION or @FOLDER]",
    "module/FILE.py:FACTORY[@WEIGHTS]",
    "file/FEATURES.npy",
    "ntk/NETWORK",
)
TEXT_FORMS = ("hf/OWNER/NAME[@REVISION or @FOLDER]", "hf/FOLDER", "ntk/NETWORK")


def library(spec: str) -> str:
    """The library, or plug-in, of a network's name, of ntk/NETWORK too."""
    return spec.removeprefix(PREFIX).partition("/")[0]


def get_backbone(
    spec: str,
    image_size: int | None = None,
    gradients: Ntk | None = None,
    memory: int | None = None,
) -> Backbone:
    """Backbone of `spec`, fed squares of `image_size` pixels (None: the size it was trained at).

    packaged/NAME: weights from a Python package. torchvision/NAME[@WEIGHTS], timm/NAME[@WEIGHTS],
    open_clip/NAME@WEIGHTS: any of the library's networks; WEIGHTS is one of the library's names
    (its default, where it has one, if left out), the path of a weights file, or "none" for a random
    network that is the same every time. hf/OWNER/NAME[@WEIGHTS]: an image model of the Hugging Face
    hub; WEIGHTS is a revision, a folder with its files, or "none". module/FILE.py:FACTORY: a
    network of one's own. file/FEATURES holds features and no network: features/precomputed.py.
    ntk/NETWORK: sketched gradients of any of these, as `gradients` sets them; memory: bytes for
    those of one batch. Raises InputError for an unknown name, a missing package or weights that
    can't be had.
    """
    if spec.startswith(PREFIX):
        settings = _settings(spec, gradients)
        base = get_backbone(spec.removeprefix(PREFIX), image_size)
        return ntk.of_images(base, settings, memory)
    if image_size is not None and image_size < 1:
        raise InputError(f"image_size={image_size} must be 1 pixel or more; change it")
    source, slash, rest = spec.partition("/")
    if source == "file":
        raise InputError(
            f"{spec} names a file of features, and a network is needed here; name one, such as "
            f"packaged/{packaged.names()[0]}"
        )
    if source == "table":
        raise _other(spec, "rows of tables", "images")
    if not slash or source not in SOURCES:
        packages = [f"packaged/{name}" for name in packaged.names()]
        plugins = [f"{name}/NAME" for name in SOURCES.plugins()]
        raise unknown_name("backbone", spec, [*packages, *FORMS, *plugins])
    name, at, weights = rest.partition("@")
    if source == "packaged" and name in packaged_texts.names():
        raise InputError(
            f"{spec} reads texts and the data set holds images; name an image network as teacher "
            f"and student, such as packaged/{packaged.names()[0]}"
        )
    return SOURCES[source](name, weights if at else None, image_size)


def _settings(spec: str, gradients: Ntk | None) -> Ntk:
    """Settings of gradients. InputError for what has none, and where there are no settings."""
    ntk.refuse_others(spec)
    if gradients is None:
        raise InputError(f"{spec} has no settings; give gradients=Ntk(k=..., heads=..., ...)")
    return gradients


def get_encoder(spec: str, gradients: Ntk | None = None, memory: int | None = None) -> TextEncoder:
    """Text encoder of `spec`: packaged/NAME, hf/OWNER/NAME[@WEIGHTS], hf/FOLDER, or ntk/ of one.

    WEIGHTS, gradients, memory: as for images. Raises InputError for networks of images, an unknown
    name, a missing package or weights that can't be had.
    """
    if spec.startswith(PREFIX):
        settings = _settings(spec, gradients)
        return ntk.of_texts(get_encoder(spec.removeprefix(PREFIX)), settings, memory)
    source, slash, rest = spec.partition("/")
    name, at, weights = rest.partition("@")
    texts = [f"packaged/{known}" for known in packaged_texts.names()]
    if slash and source == "hf":
        return hf_texts.get(name, weights if at else None)
    if slash and source == "packaged" and name not in packaged.names():
        return packaged_texts.get(name, weights if at else None)
    if slash and source in SOURCES:
        raise InputError(
            f"{spec} reads images and the data set holds texts; name text encoders as teacher and "
            f"student, such as {texts[0]}, hf/OWNER/NAME or hf/FOLDER (docs/adding-a-backbone.md)"
        )
    if slash and source == "table":
        raise _other(spec, "rows of tables", "texts")
    raise unknown_name("text encoder", spec, [*texts, *TEXT_FORMS])


def get_table_encoder(spec: str) -> TableEncoder:
    """Encoder of rows of tables of `spec`, in one of table_encoders.FORMS.

    Raises InputError for networks of images or texts, and for an unknown or incomplete name.
    """
    ntk.refuse_others(spec)
    source, slash, rest = spec.partition("/")
    if slash and source == "table":
        return table_encoders.get(rest)
    if library(spec) in SOURCES:
        raise InputError(
            f"{spec} reads images or texts and the data set holds rows of a table; name encoders "
            "of tables as teacher and student, such as table/onehot:age+sex and table/onehot "
            "(docs/adding-a-backbone.md)"
        )
    raise unknown_name("table encoder", spec, table_encoders.FORMS)


def _other(spec: str, reads: str, held: str) -> InputError:
    return InputError(
        f"{spec} reads {reads} and the data set holds {held}; name networks of {held} as teacher "
        "and student (docs/adding-a-backbone.md)"
    )


def load(
    spec: str,
    image_size: int | None = None,
    *,
    reads: str = "",
    gradients: Ntk | None = None,
) -> Encoder | TableEncoder:
    """A network by name, of images, texts or rows of tables: what `teacher` takes elsewhere.

    reads: "images", "texts" or "rows"; "" finds it by the name, where hf/... reads images.
    gradients: settings of ntk/NETWORK. Raises InputError as get_backbone, get_encoder and
    get_table_encoder do.
    """
    source, _, rest = spec.removeprefix(PREFIX).partition("/")
    texts = source == "packaged" and rest.partition("@")[0] in packaged_texts.names()
    found = reads or ("rows" if source == "table" else "texts" if texts else "images")
    if found not in ("images", "texts", "rows"):
        raise unknown_name("reads", found, ("images", "texts", "rows"))
    if found == "rows":
        return get_table_encoder(spec)
    if found == "texts":
        return get_encoder(spec, gradients)
    return get_backbone(spec, image_size, gradients)
