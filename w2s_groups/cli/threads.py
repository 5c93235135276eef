"""Threads of a job, so that jobs side by side do not take each other's cores."""

from __future__ import annotations

from typing import Any

from hydra.core.hydra_config import HydraConfig

from w2s_groups.core.lazy import torch
from w2s_groups.core.machine import cores
from w2s_groups.schema.config import Config


def limit_threads(cfg: Config) -> None:
    """Set torch's threads to cfg.threads, or to this job's share of the cores; workers follow."""
    share = cfg.threads
    if share is None and HydraConfig.initialized():
        share = share_of(HydraConfig.get().launcher, cores())
    if share is not None:
        torch.set_num_threads(share)
        cfg.workers = min(cfg.workers or share, share)


def share_of(launcher: Any, n_cores: int) -> int | None:
    """Cores of one job under a launcher's settings; None where it runs one job at a time.

    joblib says how many jobs share the cores; submitit and Ray how many cores each job gets.
    """
    if "n_jobs" in launcher:
        jobs = launcher["n_jobs"] or 1
        return max(1, n_cores // (n_cores + 1 + jobs if jobs < 0 else jobs))
    if "cpus_per_task" in launcher:
        return int(launcher["cpus_per_task"] or 1)
    if "ray" in launcher:
        return int((launcher["ray"].get("remote") or {}).get("num_cpus") or 1)
    return None
