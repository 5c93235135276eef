"""The image towers of open_clip, up to what is projected into the space shared with text.

The features are those before the projection: the penultimate layer, which CLIP's own linear probes
use for its vision transformers (arXiv 2103.00020, appendix A). Attention pooling that ends in the
projection, as in its ResNets, is kept whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from w2s_groups.backbones import hub
from w2s_groups.backbones.base import Backbone
from w2s_groups.backbones.preprocessing import Preprocessing, Size, on_255, sides
from w2s_groups.backbones.timm_models import Penultimate, patch_side
from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.files import content_hash

# open_clip looks for the safetensors twin of a repository's file first.
HUB_FILE = "open_clip_pytorch_model.bin"


class Source(NamedTuple):
    """A model by name. cfg: of published weights; path: of a weights file; None: random ones."""

    full: str
    options: dict[str, Any]
    cfg: dict[str, Any]
    path: Path | None


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of open_clip/NAME@WEIGHTS; see w2s_groups.backbones.get_backbone.

    WEIGHTS: one of open_clip's tags for NAME, the file of a whole model, or "none"; there is no
    default. A network of patches is fed the largest multiple of its patch that `image_size` allows.
    """
    source = _source(name, weights)
    preprocessing, options = _preprocessing(name, source.cfg, image_size)
    seed, digest = _random(name) if source.path is None else (0, content_hash(source.path))
    load = partial(_tower, source.full, name, source.options | options, seed, source.path)
    return Backbone(source.full, digest, load, preprocessing)


def whole(
    name: str, weights: str | None, image_size: int | None
) -> tuple[Any, Callable[[list[str]], Any]]:
    """The whole model whose image tower `get` gives, and its tokeniser.

    InputError where one of them can't be had.
    """
    source = _source(name, weights)
    import open_clip

    seed = _random(name)[0] if source.path is None else 0
    options = source.options | _preprocessing(name, source.cfg, image_size)[1]
    model = _make(source.full, name, options, seed, source.path).eval()
    try:
        return model, open_clip.get_tokenizer(name)
    except Exception as error:  # a tokeniser of the hub that is not there
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"the tokeniser of {source.full} can't be had: {reason}") from error


def _source(name: str, weights: str | None) -> Source:
    """InputError for a name or weights that open_clip lacks or that can't be had."""
    hub.need(f"open_clip/{name}", "open_clip", "open_clip")
    import open_clip  # seconds to import: only for who asks for one of its networks

    known = open_clip.list_models()
    if name not in known:
        raise hub.unknown("open_clip backbone", name, known, "open_clip.list_models()")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if not weights:
        raise InputError(
            f"open_clip/{name} leaves open which weights: write open_clip/{name}@TAG with one of "
            f"{', '.join([*tags, 'none'])}"
        )
    full = f"open_clip/{name}@{weights}"
    options: dict[str, Any] = {}
    cfg: dict[str, Any] = {}
    if weights != "none" and not hub.is_path(weights):
        if weights not in tags:
            raise unknown_name(f"weights of open_clip/{name}", weights, [*tags, "none"])
        cfg = open_clip.get_pretrained_cfg(name, weights)
        # The activation belongs to the weights; open_clip itself only warns of another one.
        options["force_quick_gelu"] = bool(cfg.get("quick_gelu"))
    if weights == "none":
        return Source(full, options, cfg, None)
    path = _published(full, cfg) if cfg else Path(weights)
    if not cfg:
        hub.check_file(f"open_clip/{name}", path)
    return Source(full, options, cfg, path)


def _random(name: str) -> tuple[int, str]:
    """The seed of a name's random weights, and what stands for them in keys."""
    import open_clip

    return hub.random_weights(name, open_clip)


def _preprocessing(
    name: str, cfg: dict[str, Any], image_size: int | None
) -> tuple[Preprocessing, dict[str, Any]]:
    """open_clip's evaluation transform, and an option that forces the input size, if any."""
    import open_clip
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    vision = open_clip.get_model_config(name)["vision_cfg"]
    data = merge_preprocess_dict(PreprocessCfg(), cfg)
    own = vision.get("image_size", 224)
    own = own if isinstance(own, int) else (own[0], own[1])
    size: Size | None = None
    if image_size is not None and sides(own) != (image_size, image_size):
        patch = _patch(vision)
        size = max(patch, image_size // patch * patch)
    crop: Size = own if size is None else size
    fit = {"shortest": "cover", "longest": "contain", "squash": "squash"}[data["resize_mode"]]
    if fit == "cover" and isinstance(crop, int):
        fit = "shorter"
    fill = data["fill_color"] if fit == "contain" else 0
    # open_clip leaves the interpolation of the one non-square mode at its default.
    mode = data["interpolation"] if fit != "cover" else "bicubic"
    return Preprocessing(
        resize=crop,
        crop=crop,
        interpolation="bilinear" if mode == "bilinear" else "bicubic",
        mean=on_255(data["mean"]),
        std=on_255(data["std"]),
        fit=fit,
        fill=(fill, fill, fill),
    ), {} if size is None else {"force_image_size": size}


def _patch(vision: dict[str, Any]) -> int:
    """Side of a tower's patches in pixels; 1 if it has none."""
    trunk = vision.get("timm_model_name")
    if trunk is None:
        return int(vision.get("patch_size", 16)) if isinstance(vision.get("layers"), int) else 1
    return patch_side(trunk)


def _published(spec: str, cfg: dict[str, Any]) -> Path:
    """The weights file of a tag: open_clip's and the hubs' caches first."""
    if not cfg.get("hf_hub"):
        return hub.torch_file(spec, cfg["url"], None)
    repo, _, file = cfg["hf_hub"].rpartition("/")
    file = file or HUB_FILE
    twin = re.sub(r"\.(bin|pth)$", ".safetensors", file)
    if file == HUB_FILE:
        twin = "open_clip_model.safetensors"
    return hub.hf_file(spec, repo, tuple(dict.fromkeys((twin, file))))


def _tower(
    spec: str, name: str, options: dict[str, Any], seed: int, path: Path | None
) -> nn.Module:
    return tower(_make(spec, name, options, seed, path))


def _make(spec: str, name: str, options: dict[str, Any], seed: int, path: Path | None) -> Any:
    import open_clip

    create: Callable[..., Any] = open_clip.create_model
    try:
        with hub.seeded(seed):
            return create(name, pretrained=path and str(path), pretrained_text=False, **options)
    except Exception as error:  # pickle, zip, safetensors, open_clip and transformers differ
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{spec} can't be made from {path or 'its name'}: {reason}") from error


def tower(model: Any) -> nn.Module:
    """The image tower of an open_clip model without its projection."""
    visual: nn.Module = model.visual
    if isinstance(getattr(visual, "proj", None), nn.Parameter):
        visual.register_parameter("proj", None)
        visual.output_tokens = False  # type: ignore[assignment]  # captioning models give both
    elif hasattr(visual, "trunk") and not hasattr(visual.head, "pool"):
        # A timm network: the projection is in the head or the trunk's own last layer.
        return Penultimate(visual.trunk)
    return visual
