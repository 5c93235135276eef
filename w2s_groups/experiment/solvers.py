"""What fits the heads of a run: the one place that knows every kind of head."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups import backbones
from w2s_groups.core.errors import InputError
from w2s_groups.core.machine import cores
from w2s_groups.core.progress import Steps
from w2s_groups.data.base import Dataset, ImageDataset
from w2s_groups.experiment import inputs
from w2s_groups.experiment.block import Solver
from w2s_groups.experiment.pool import Pool, affine
from w2s_groups.finetuning.pixels import Pixels
from w2s_groups.finetuning.solver import Side, Tuner
from w2s_groups.heads import mlp, solve
from w2s_groups.heads.kernels import Kernels
from w2s_groups.heads.training import Schedule
from w2s_groups.schema.config import Config, HeadKind, plain


def by_steps(cfg: Config) -> bool:
    """Whether heads are trained by steps, which draw, rather than solved to their optimum."""
    return cfg.head is HeadKind.mlp or cfg.tuned is not None


def of(
    cfg: Config,
    device: str,
    progress: Callable[[int, int], None],
    sides: Callable[[], Mapping[str, Side]],
) -> Solver:
    """The solver that `cfg` asks for. progress(done, total): of the heads of a call.

    sides: gives the networks, where they are to be tuned.
    """
    heads = of_heads(cfg, device, progress)
    if cfg.tuned is None:
        return heads
    steps = Steps()
    return Tuner(
        heads,
        json.dumps([cfg.head.value, cfg.tol, plain(cfg.mlp) if cfg.head is HeadKind.mlp else None]),
        sides(),
        cfg.tuned,
        Path(cfg.cache_dir).absolute() / "finetuned",
        partial(inputs.alone, cfg),
        device,
        cfg.precision.value,
        steps,
    )


def sides(
    cfg: Config,
    dataset: Dataset,
    usable: NDArray[np.bool_],
    pool: Pool,
    networks: Mapping[str, tuple[str, NDArray[np.float32], str]],
) -> dict[str, Side]:
    """The networks of a pair to tune. networks: side -> (name, features (N, d), their key)."""
    assert isinstance(dataset, ImageDataset)  # by `check`
    files = dataset.only(usable).files
    # Beside the heads' own memory, each network's images may take a quarter of the limit.
    limit = int(cfg.memory_limit_gb * 2**30 / 4)
    found = {}
    for side, (name, matrix, content) in networks.items():
        backbone = backbones.get_backbone(name, cfg.image_size)
        pixels = Pixels(dataset.root, files, backbone, cfg.workers or cores(), limit)
        found[side] = Side(backbone, pixels, *affine(matrix[usable], pool.drawable), content)
    return found


def check(cfg: Config, dataset: Dataset) -> None:
    """InputError where the data do not have what `cfg` wants to train on."""
    if cfg.tuned is not None and not isinstance(dataset, ImageDataset):
        raise InputError(
            f"finetune={cfg.finetune.name} needs images, and data={dataset.name} has "
            f"{dataset.NOUN}s; choose a dataset of images, or set finetune=none"
        )


def of_heads(cfg: Config, device: str, progress: Callable[[int, int], None]) -> Solver:
    """The solver of heads on frozen features."""
    if cfg.head is HeadKind.mlp:
        settings = cfg.mlp
        schedule = Schedule(settings.epochs, settings.batch_size, settings.lr)
        return partial(
            mlp.solve,
            hidden=[settings.width],
            schedule=schedule,
            workers=cfg.workers or cores(),
            device=device,
            progress=progress,
        )
    # Linear heads need float64, which Apple's GPUs lack.
    return partial(
        solve.solve,
        tol=cfg.tol,
        memory_limit=int(cfg.memory_limit_gb * 2**30),
        device="cpu" if device.startswith("mps") else device,
        progress=progress,
        kernels=Kernels(int(cfg.memory_limit_gb * 2**30 / solve.KERNELS)),
    )
