"""`w2s-groups run`: config -> dataset -> features -> cells -> run -> store -> report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from w2s_groups.cli import overrides, runner
from w2s_groups.cli.errors import fail
from w2s_groups.core.errors import InputError
from w2s_groups.core.progress import Steps
from w2s_groups.core.text import wrapped
from w2s_groups.data.base import ImageDataset, TableDataset, TextDataset
from w2s_groups.experiment import sweep
from w2s_groups.reports import places
from w2s_groups.results import failures
from w2s_groups.schema.config import Config
from w2s_groups.theory_figures import EXPERIMENTS

if TYPE_CHECKING:
    from w2s_groups.experiment import job


def hydra_job(composed: DictConfig) -> dict[str, Any] | None:
    """One job: its Job.outcome, for Hydra's callbacks; None for a figure of the theory.

    In a sweep, what stops one job is a row of the sweep's report, and the others go on.
    """
    runner.prepare()
    try:
        return _outcome(runner.configuration(composed))
    except Exception as error:
        if not sweep.current() or composed.get("fail_fast"):
            if isinstance(error, InputError):
                fail(str(error))
            raise
        try:
            sweep.refused(composed, error)
        except InputError as unwritable:  # then no other job can be kept either
            fail(str(unwritable))
        return None


def _outcome(cfg: Config) -> dict[str, Any] | None:
    if cfg.experiment is not None:
        run_theory(cfg)
        if sweep.current():
            sweep.record_theory(cfg)
        return None
    if sweep.current():
        return sweep.run_job(cfg)
    return run(cfg).outcome(cfg)


def run_theory(cfg: Config) -> None:
    """A figure of the z⊗ξ model or of DLLL25: its points are kept, so that it can be resumed."""
    folder = Path(cfg.reports_dir) / "figures" / _variant()
    with Steps() as steps:
        cfg.experiment.run(folder, Path(cfg.results_dir) / "theory", partial(steps, "points"))
    print(f"figures in {folder}/")


def _variant() -> str:
    """A folder for a theory's figure with settings or a YAML file of the user's; "" as shipped."""
    if not HydraConfig.initialized():
        return ""
    hydra_config = HydraConfig.get()
    name = str(hydra_config.runtime.choices.get("experiment"))
    changed = overrides.changed(hydra_config.overrides.task, "experiment.")
    if name in EXPERIMENTS and not changed:
        return ""
    return places.named(name.replace("/", "_"), changed, changed)


def run(cfg: Config) -> job.Job:
    """One grid and its report."""
    started = time.monotonic()
    from w2s_groups.experiment import job  # torch, which a refusal need not wait for

    done = job.run(cfg)
    from w2s_groups.interface.running import collected  # pandas, which the cells do not need
    from w2s_groups.reports import leaderboard

    results = collected(cfg, done)
    if len(results):
        parent = Path(cfg.reports_dir) / cfg.experiment_name
        folder, elsewhere = places.place(parent, done.dataset.name, results.settings)
        said = leaderboard.write(
            results.table, results.settings, folder, results.counts, results.scores
        )
        if isinstance(done.dataset, ImageDataset):
            leaderboard.write_samples(done.dataset.only(done.usable), folder)
        elif isinstance(done.dataset, TextDataset | TableDataset):
            leaderboard.write_texts(done.dataset, done.usable, folder)
        print(said)
        seconds = time.monotonic() - started
        print(f"\n{len(done.keys)} cells in {seconds:.0f} s; report in {folder}/")
        if elsewhere:
            print(wrapped(elsewhere))
    report_failures(done.failed, len(done.keys))
    return done


def report_failures(failed: Sequence[dict[str, Any]], total: int) -> None:
    """Each failure in a line, and last how many there are."""
    for row in failed:
        print(f"failed: {failures.sentence(row)}")
    if failed:
        partly = ", or methods in them" if any(map(failures.is_partial, failed)) else ""
        again = "run the same command to try them again"
        print(f"{len(failed)} of {total} cells failed{partly}; {again}")
