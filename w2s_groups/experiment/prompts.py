"""The zero-shot head of a student's network, for methods that name classes in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from w2s_groups.backbones import open_clip_texts
from w2s_groups.core.errors import InputError
from w2s_groups.data.base import Dataset, ImageDataset
from w2s_groups.experiment.pool import Pool, affine
from w2s_groups.heads.cosine import CosineHead
from w2s_groups.heads.problem import Predictor
from w2s_groups.schema.config import Config

KIND = "open_clip/"

_sides = lru_cache(maxsize=8)(open_clip_texts.prompted)


def asked(cfg: Config) -> list[str]:
    """The methods that need prompts."""
    return [name for name, method in cfg.methods.items() if method.needs_prompts]


def check(cfg: Config, dataset: Dataset) -> None:
    """InputError where a student has no text side for the methods that need prompts."""
    for name in asked(cfg):
        other = next((own for own in cfg.student if not own.startswith(KIND)), None)
        if other is not None or not isinstance(dataset, ImageDataset):
            rest = ",".join(own for own in cfg.methods if own != name)
            has = f"student={other}" if other else f"data={dataset.name}"
            raise InputError(
                f"methods={name} needs a network of images and texts, and {has} is of another "
                f"kind; set student=open_clip/NAME@WEIGHTS, or leave it out: methods=[{rest}]"
            )
        for student in cfg.student:
            _side(cfg, student, dataset.groups.class_names, cfg.methods[name].templates)


def of_pool(
    cfg: Config,
    student: str,
    features: NDArray[np.float32],
    usable: NDArray[np.bool_],
    pool: Pool,
) -> Callable[[Sequence[str]], Predictor] | None:
    """Templates -> the head on the pool's standardised features.

    features: (N, d), as they were, of which the pool has the usable rows. None where no method
    asks.
    """
    if not asked(cfg):
        return None
    mean, scale = affine(features, np.flatnonzero(usable)[pool.drawable])
    unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    return partial(_head, cfg, student, pool.groups.class_names, mean, unit)


def _head(
    cfg: Config,
    student: str,
    classes: tuple[str, ...],
    mean: NDArray[np.float64],
    unit: NDArray[np.float64],
    templates: Sequence[str],
) -> CosineHead:
    return CosineHead(mean, unit, *_side(cfg, student, classes, templates))


def _side(
    cfg: Config, student: str, classes: Sequence[str], templates: Sequence[str]
) -> open_clip_texts.Prompted:
    """Kept: every cell asks."""
    named = [name.replace("_", " ") for name in classes]
    prompts = tuple(tuple(one.format(name) for one in templates) for name in named)
    return _sides(student, cfg.image_size, prompts)
