"""The Hydra entry point: config -> dataset -> features -> cells -> run -> store -> report."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from w2s_groups.cli import hydra_config, overrides
from w2s_groups.cli.threads import limit_threads
from w2s_groups.core.errors import InputError
from w2s_groups.core.text import wrapped
from w2s_groups.data.base import ImageDataset, TextDataset
from w2s_groups.experiment import job, sweep
from w2s_groups.reports import leaderboard, places
from w2s_groups.results import failures, store
from w2s_groups.schema.config import Config
from w2s_groups.theory_figures import EXPERIMENTS

log = logging.getLogger("w2s_groups")


def main() -> None:
    """`w2s-groups` and `python -m w2s_groups`: a user's mistake is one line and exit status 2."""
    _start("config", _job)


def main_of(name: str, run: Callable[[Any], None]) -> None:
    """A command that is configured by conf/<name>.yaml and crosses its own lists."""

    def job_of(composed: DictConfig) -> None:
        _prepare()
        try:
            if HydraConfig.get().mode is RunMode.MULTIRUN:
                raise InputError(f"{name} crosses lists of values itself; leave --multirun out")
            cfg = _config(composed)
            limit_threads(cfg)
            run(cfg)
        except InputError as error:
            _fail(str(error))

    _start(name, job_of)


def _start(config_name: str, run: Callable[[DictConfig], Any]) -> None:
    hydra_config.register()
    # Hydra then lets its refusals through, of which a sentence is made below.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        overrides.check(sys.argv[1:], config_name)
    except InputError as error:
        _fail(str(error))
    entry = hydra.main(
        version_base="1.3", config_path=str(hydra_config.conf_dir()), config_name=config_name
    )
    try:
        entry(run)()
    except KeyboardInterrupt:
        sweep.finish_stopped()
        _fail("stopped; what was finished is stored: run the same command to go on")
    except (CompactHydraException, OmegaConfBaseException) as error:
        _fail(overrides.sentence(error))
    except Exception as error:  # of a launcher: a job's own end in a row of the sweep
        if not sweep.current():
            raise
        _fail(sweep.finish_broken(error))


def _job(composed: DictConfig) -> dict[str, Any] | None:
    """What callbacks are told of the job (Job.outcome); None where no cell was asked for."""
    _prepare()
    try:
        cfg = _config(composed)
        limit_threads(cfg)
        if cfg.experiment is not None:
            run_theory(cfg)
            if sweep.current():
                sweep.record_theory(cfg)
            return None
        if sweep.current():
            return sweep.run_job(cfg)
        return run(cfg).outcome(cfg)
    except Exception as error:  # whatever stops one job must not take the others with it
        if not sweep.current() or composed.get("fail_fast"):
            if isinstance(error, InputError):
                _fail(str(error))
            raise
        try:
            sweep.refused(composed, error)
        except InputError as unwritable:  # then no other job can be kept either
            _fail(str(unwritable))
        return None


def _prepare() -> None:
    """A job runs in the folder where the command was given: with hydra.job.chdir=true too, paths
    such as results_dir and data.root mean what they mean to the user and to the other jobs."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    hydra_config = HydraConfig.get()
    if hydra_config.job.chdir:
        os.chdir(hydra_config.runtime.cwd)


def _config(composed: DictConfig) -> Config:
    """The configuration as objects; what was asked for and means little is refused or said."""
    cfg, asked = hydra_config.from_hydra(composed), HydraConfig.get().overrides.task
    overrides.check_networks(asked, cfg)
    if isinstance(composed.seeds, int) and composed.seeds > 0 and not sweep.current():
        n = composed.seeds
        log.info(
            "seeds=%d is one seed, number %d; n_seeds=%d stands for %d seeds, from 0", n, n, n, n
        )
    return cfg


def _fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def run_theory(cfg: Config) -> None:
    """A figure of the z⊗ξ model or of DLLL25: its points are kept, so that it can be resumed."""
    folder = Path(cfg.reports_dir) / "figures" / _variant()
    with tqdm(unit="point") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        cfg.experiment.run(folder, Path(cfg.results_dir) / "theory", progress)
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
    done = job.run(cfg)
    table = store.load(job.results_folder(cfg), done.keys)
    if len(table):
        settings = {**done.settings, **({"failed": done.failed} if done.failed else {})}
        parent = Path(cfg.reports_dir) / cfg.experiment_name
        folder, elsewhere = places.place(parent, done.dataset.name, settings)
        leaderboard.write(table, settings, folder)
        if isinstance(done.dataset, ImageDataset):
            leaderboard.write_samples(done.dataset.only(done.usable), folder)
        elif isinstance(done.dataset, TextDataset):
            leaderboard.write_texts(done.dataset, done.usable, folder)
        print(leaderboard.summary_text(table, settings))
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
        print(f"{len(failed)} of {total} cells failed; run the same command to try them again")
