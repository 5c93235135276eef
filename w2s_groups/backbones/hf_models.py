"""Image models of the Hugging Face hub, or of a folder in its layout.

The features are the model's pooled output where the files bring all of it. A pooling layer that
they lack would be random: the class token after the last normalisation stands in for it, as in
transformers' own classifiers. Of a model of images and text the image tower is taken, before its
projection.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from w2s_groups.backbones import hub
from w2s_groups.backbones.base import INTERPOLATIONS, Backbone, Preprocessing, Size, Triple
from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
TOKENISER = (  # the files that different tokenisers are made of
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "special_tokens_map.json"),
    "added_tokens.json",
)
TEXT_FILES = ("1_Pooling/config.json", "sentence_bert_config.json")  # of sentence-transformers
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # and, in parts, each with .index.json
# Image processors that do something of their own, which no Preprocessing can say.
REMEDY = "wrap the model in a file of your own, module/FILE.py:FACTORY (docs/adding-a-backbone.md)"


def get(name: str, weights: str | None, image_size: int | None) -> Backbone:
    """Backbone of hf/NAME[@WEIGHTS]; see w2s_groups.backbones.get_backbone.

    NAME: a repository, OWNER/NAME, or a folder. WEIGHTS: a folder, a revision (branch, tag,
    commit), or "none" for random weights of the same configuration. No code of a repository is run.
    """
    spec, folder, files, random = located(name, weights, "images")
    preprocessing, patches = _preprocessing(spec, folder, image_size)
    if random:
        import transformers

        seed = hub.random_seed(name)
        # The draw depends on the seed and on the code that draws.
        versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
        digest = f"random {seed}, {versions}, {content_hash(files[0])}"
        return Backbone(spec, preprocessing, digest, partial(_random, spec, folder, seed, patches))
    hashes = "\0".join(content_hash(path) for path in files)
    digest = hashlib.sha256(hashes.encode()).hexdigest()
    return Backbone(spec, preprocessing, digest, partial(_load, spec, folder, patches))


def located(name: str, weights: str | None, reads: str) -> tuple[str, Path, list[Path], bool]:
    """The name in full, the folder of the files, those that make the network, whether it is random.

    reads: "images" or "texts", which the model has to be of.
    """
    spec = f"hf/{name}" + (f"@{weights}" if weights else "")
    hub.need(spec, "transformers", "hf")
    random = weights == "none"
    local = Path(weights) if weights and not random and hub.is_path(weights) else Path(name)
    if weights and not random and hub.is_path(weights) and not local.is_dir():
        raise InputError(f"{spec} names a folder that is missing")
    if local.is_dir():
        return spec, local, _files(spec, local, random, reads), random
    folder, files = _from_hub(spec, name, None if random else weights, random, reads)
    return spec, folder, files, random


def _check_kind(spec: str, folder: Path, reads: str) -> None:
    """InputError if a folder is one of a model that plainly reads the other kind of data."""
    has = {
        "images": (folder / PROCESSOR).is_file(),
        "texts": any((folder / file).is_file() for file in TOKENISER),
    }
    other = "texts" if reads == "images" else "images"
    if has[other] and not has[reads]:
        remedy = "an image network" if reads == "images" else "a text encoder"
        raise InputError(
            f"{spec} reads {other} and the data set holds {reads}; name {remedy} as teacher and "
            "student (docs/adding-a-backbone.md)"
        )


def _files(spec: str, folder: Path, random: bool, reads: str) -> list[Path]:
    """The configuration and the weights files of a folder."""
    _check_kind(spec, folder, reads)
    needed = (CONFIG, PROCESSOR) if reads == "images" else (CONFIG, "tokenizer_config.json")
    part = "image processor" if reads == "images" else "tokeniser"
    for file in needed:
        if not (folder / file).is_file():
            raise InputError(
                f"{spec}: {folder} has no {file}; save_pretrained of the model and of its {part} "
                "write everything that is needed"
            )
    if random:
        return [folder / CONFIG]
    for file in WEIGHTS:
        index = folder / f"{file}.index.json"
        if (folder / file).is_file():
            return [folder / CONFIG, folder / file]
        if index.is_file():
            parts = [folder / part for part in _parts(index)]
            for path in parts:
                if not path.is_file():
                    raise InputError(f"{spec}: {index} names {path.name}, which is missing")
            return [folder / CONFIG, *parts]
    raise InputError(f"{spec}: {folder} has none of {', '.join(WEIGHTS)}; add the weights")


def _from_hub(
    spec: str, repo: str, revision: str | None, random: bool, reads: str
) -> tuple[Path, list[Path]]:
    """The folder of a repository in the local cache, with what is needed in it."""
    config = hub.hf_file(spec, repo, (CONFIG,), revision)
    if reads == "images":
        _check_kind(spec, config.parent, reads)
        hub.hf_file(spec, repo, (PROCESSOR,), revision)
    else:
        hub.hf_files_there(repo, (*TOKENISER, *TEXT_FILES, PROCESSOR), revision)
        _check_kind(spec, config.parent, reads)
        hub.hf_file(spec, repo, ("tokenizer_config.json", *TOKENISER), revision)
    if random:
        return config.parent, [config]
    names = [name for file in WEIGHTS for name in (file, f"{file}.index.json")]
    weights = hub.hf_file(spec, repo, names, revision)
    if weights.suffix != ".json":
        return config.parent, [config, weights]
    parts = [hub.hf_file(spec, repo, (part,), revision) for part in _parts(weights)]
    return config.parent, [config, *parts]


def _parts(index: Path) -> list[str]:
    return sorted(set(json.loads(index.read_bytes())["weight_map"].values()))


def _preprocessing(spec: str, folder: Path, image_size: int | None) -> tuple[Preprocessing, bool]:
    """The image processor as a Preprocessing, and whether position embeddings are interpolated.

    A size of one's own is fed uncropped; whole patches of it where the model has patches.
    """
    from transformers import AutoConfig, AutoImageProcessor

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
    except Exception as error:  # transformers has many kinds for a file it can't use
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{spec}: {folder} is not an image model's folder ({reason})") from error
    own = said_by(spec, processor)
    if image_size is None or own.shape[:2] == (image_size, image_size):
        return own, False
    vision = getattr(config, "vision_config", config)
    patch = getattr(vision, "patch_size", 1)
    patch = patch if isinstance(patch, int) else 1
    size = max(patch, image_size // patch * patch)
    fit = "shorter" if own.fit == "shorter" else "squash"
    return Preprocessing(
        size, size, own.interpolation, own.mean, own.std, fit, centre=own.centre
    ), patch > 1


def said_by(spec: str, processor: Any) -> Preprocessing:
    """An image processor of transformers as a Preprocessing. InputError if it has other steps."""
    from transformers.image_processing_backends import PilBackend

    kind = type(processor)
    convnext = kind.__name__ == "ConvNextImageProcessorPil"
    steps = ("resize", "center_crop", "rescale", "normalize", "_preprocess")
    plain = isinstance(processor, PilBackend) and all(
        getattr(kind, step) is getattr(PilBackend, step) for step in steps
    )
    pads = getattr(processor, "do_pad", None)
    if not (plain or convnext) or pads or not processor.do_resize:
        raise InputError(
            f"{spec}: its image processor, {kind.__name__}, does more than resize, crop and "
            f"normalise; {REMEDY}"
        )
    size, crop = _read(processor.size), _read(getattr(processor, "crop_size", None))
    short = size.get("shortest_edge")
    resize: Size
    if convnext and short is not None and short < 384:
        crop, short = {"height": short, "width": short}, int(short / processor.crop_pct)
    elif convnext and short is not None:
        size, short = {"height": short, "width": short}, None
    elif not processor.do_center_crop:
        crop = {}
    if short is not None and crop and not size.get("longest_edge"):
        resize, fit = short, "shorter"
    elif short is None and {"height", "width"} <= set(size):
        resize, fit = _size(size), "squash"
    else:
        raise InputError(f"{spec}: its image processor leaves sizes of {size} open; {REMEDY}")
    scale = processor.rescale_factor if processor.do_rescale else 1.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
    resample = int(processor.resample)
    return Preprocessing(
        resize=resize,
        crop=_size(crop) if crop else resize,
        interpolation=next(name for name, mode in INTERPOLATIONS.items() if mode == resample),
        mean=_over(scale, mean),
        std=_over(scale, std),
        fit=fit,
        centre="floor",
    )


def _read(size: Any) -> dict[str, int]:
    """The entries that a processor's size has."""
    return {k: int(v) for k, v in dict(size or {}).items() if v is not None}


def _size(sides: dict[str, int]) -> Size:
    height, width = sides["height"], sides["width"]
    return height if height == width else (height, width)


def _over(scale: float, values: Any) -> Triple:
    red, green, blue = (round(float(value) / scale, 6) for value in values)
    return red, green, blue


def _random(spec: str, folder: Path, seed: int, interpolate: bool) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    try:
        with hub.seeded(seed):
            model = AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    except ValueError as error:  # a configuration of something else
        raise InputError(f"{spec}: {folder} is not an image model's folder ({error})") from error
    return Pooled(model, interpolate)


def _load(spec: str, folder: Path, interpolate: bool) -> nn.Module:
    from transformers import AutoModel

    try:
        with hub.seeded(0):  # what the files lack is drawn, and refused below
            model, found = AutoModel.from_pretrained(
                folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
            )
    except Exception as error:  # safetensors, pickle and transformers have some ten kinds
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{spec}: {folder} can't be loaded ({reason})") from error
    lacking = sorted({*found["missing_keys"], *(k for k, *_ in found["mismatched_keys"])})
    if lacking and all(key.startswith("pooler.") for key in lacking):
        model.pooler = None
        lacking = []
    # Of a model of images and text, the text tower is of no concern.
    lacking = [k for k in lacking if not hasattr(model, "vision_model") or "vision_model." in k]
    if lacking:
        raise InputError(
            f"{spec}: {folder} lacks {len(lacking)} of the model's weights, such as {lacking[0]}; "
            "its config.json and its weights belong to different models"
        )
    return Pooled(model, interpolate)


class Pooled(nn.Module):
    """(B, 3, H, W) -> (B, width): the pooled output, or the class token where there is none."""

    def __init__(self, model: Any, interpolate: bool) -> None:
        super().__init__()
        self.model = getattr(model, "vision_model", model)
        takes = "interpolate_pos_encoding" in inspect.signature(self.model.forward).parameters
        self.options = {"interpolate_pos_encoding": True} if interpolate and takes else {}

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        output = self.model(pixel_values=batch, **self.options)
        pooled: torch.Tensor | None = getattr(output, "pooler_output", None)
        if pooled is None:
            pooled = output.last_hidden_state[:, 0]
        return pooled.flatten(1)
