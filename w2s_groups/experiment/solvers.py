"""The solver of a run's heads: the one place that knows every kind of head."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from w2s_groups import backbones
from w2s_groups.core.errors import InputError, MemoryLimitError
from w2s_groups.core.machine import cores
from w2s_groups.core.progress import Steps
from w2s_groups.core.roles import plain
from w2s_groups.data.base import Dataset, ImageDataset
from w2s_groups.experiment import inputs, memory_limit
from w2s_groups.experiment.fit import Solver
from w2s_groups.experiment.pool import Pair, affine
from w2s_groups.finetuning.pixels import Pixels
from w2s_groups.finetuning.side import Side
from w2s_groups.finetuning.solver import Tuner
from w2s_groups.heads import mlp, solve, streamed
from w2s_groups.heads.kernels import Kernels
from w2s_groups.heads.problem import Predictor, Problem
from w2s_groups.heads.training import Schedule
from w2s_groups.schema.choices import HeadKind
from w2s_groups.schema.config import Config


def by_steps(cfg: Config) -> bool:
    """Whether heads are trained by steps, which draw, rather than solved to their optimum."""
    return cfg.head is HeadKind.mlp or cfg.tuned is not None


def of(
    cfg: Config,
    device: str,
    progress: Callable[[int, int], None],
    sides: Callable[[], Mapping[str, Side]],
    room: int | None = None,
) -> Solver:
    """The solver that `cfg` asks for. progress(done, total): of the heads of a call.

    sides: gives the networks, where they are to be tuned. room: bytes for heads by blocks of
    rows; None where all is in memory.
    """
    heads = of_heads(cfg, device, progress, room)
    if cfg.tuned is None:
        return heads
    steps = Steps()
    return Tuner(
        heads,
        json.dumps([cfg.head.value, cfg.tol, plain(cfg.mlp) if cfg.head is HeadKind.mlp else None]),
        sides(),
        cfg.tuned,
        Path(cfg.cache_dir).absolute() / "finetuned",
        partial(inputs.one_at_a_time, cfg),
        device,
        cfg.precision.value,
        steps,
    )


def sides(cfg: Config, dataset: Dataset, pair: Pair) -> dict[str, Side]:
    """The networks of a pair to tune."""
    assert isinstance(dataset, ImageDataset)  # by `check`
    files = dataset.only(pair.usable).files
    # In addition to the heads' own memory, each network's images may take a quarter of the limit.
    limit = memory_limit.limit(cfg) // 4
    tuned = {}
    for side, name in pair.networks.items():
        backbone = backbones.get_backbone(name, cfg.image_size)
        pixels = Pixels(dataset.root, files, backbone, cfg.workers or cores(), limit)
        standard = affine(pair.features[side][pair.usable], pair.pool.drawable)
        tuned[side] = Side(backbone, pixels, *standard, pair.content[side], test=pair.pool.test)
    return tuned


def check(cfg: Config, dataset: Dataset) -> None:
    """InputError where the data do not have what `cfg` wants to train on."""
    if cfg.tuned is not None and not isinstance(dataset, ImageDataset):
        raise InputError(
            f"finetune={cfg.finetune.name} needs images, and data={dataset.name} has "
            f"{dataset.NOUN}s; choose a dataset of images, or set finetune=none"
        )


def of_heads(
    cfg: Config, device: str, progress: Callable[[int, int], None], room: int | None = None
) -> Solver:
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
    limit = memory_limit.limit(cfg)
    linear: Callable[..., Sequence[Predictor]] = partial(
        solve.solve if room is None else streamed.solve,
        tol=cfg.tol,
        memory_limit=limit if room is None else room,
        # Linear heads need float64, which Apple's GPUs lack.
        device="cpu" if device.startswith("mps") else device,
        progress=progress,
    )
    if room is None:
        linear = partial(linear, kernels=Kernels(limit // solve.KERNELS))

    def solved(
        features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> Sequence[Predictor]:
        try:
            return linear(features, problems)
        except MemoryLimitError as error:  # of many ridge heads together: memory_limit.check
            raise memory_limit.too_small(cfg, error) from error

    return solved
