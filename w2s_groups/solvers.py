"""What fits the heads of a run: the one place that knows every kind of head."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from w2s_groups.config import Config, HeadKind
from w2s_groups.features import cores
from w2s_groups.heads import grid, mlp
from w2s_groups.heads.training import Schedule
from w2s_groups.run import Solver


def by_steps(cfg: Config) -> bool:
    """Whether heads are trained by steps, which draw, rather than solved to their optimum."""
    return cfg.head is HeadKind.mlp


def of(cfg: Config, device: str, progress: Callable[[int, int], None]) -> Solver:
    """The solver that `cfg` asks for. progress(done, total): of the heads of a call."""
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
        grid.solve,
        tol=cfg.tol,
        memory_limit=int(cfg.memory_limit_gb * 2**30),
        device="cpu" if device.startswith("mps") else device,
        progress=progress,
    )
