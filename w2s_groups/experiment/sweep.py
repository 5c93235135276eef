"""Many jobs, one report: the records that the jobs of a multirun leave, and its end.

A job leaves a small record of its cells in results/<experiment>/sweeps/<sweep>/. The names of sweep
and job follow from what was asked for, never from time or number, so that a sweep that is started
again goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, read_json, write_atomic
from w2s_groups.core.text import wrapped
from w2s_groups.results import failures, store
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import folder_name

if TYPE_CHECKING:
    from w2s_groups.experiment.inputs import Memory
    from w2s_groups.experiment.sweep_report import Record

_SWEEP = "W2S_GROUPS_SWEEP"  # an environment variable reaches the jobs of every launcher

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True)
class _Running:
    """The sweep that this process started. jobs: their overrides; None: known to its sweeper."""

    results: Path
    reports: Path
    jobs: list[list[str]] | None


_running: list[_Running] = []


def current() -> str | None:
    """The sweep that this process runs a job of; None outside a multirun."""
    return os.environ.get(_SWEEP)


class OneReport(Callback):
    """Hydra callback: names the sweep when it starts, writes its report when it ends."""

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Exit status 1 where a cell failed."""
        done: JobReturn = kwargs["job_return"]
        if done.status is JobStatus.COMPLETED and (done.return_value or {}).get("failed"):
            sys.exit(1)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Name the sweep by what was asked for."""
        os.environ[_SWEEP] = store.digest(sorted(config.hydra.overrides.task))[:16]
        # Hydra then lets the errors of a launcher through, of which cli.runner makes a sentence.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        _running[:] = [_Running(Path(config.results_dir), Path(config.reports_dir), _jobs(config))]
        try:  # before Hydra makes its own folder there
            check_writable(Path(config.results_dir), "results_dir")
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Write the reports; exit status 1 where a cell failed or a job was refused."""
        status = _finish()
        if status:
            sys.exit(status)


def _jobs(config: DictConfig) -> list[list[str]] | None:
    """Sorted overrides of every job; None where another sweeper than Hydra's own chooses them."""
    if not str(config.hydra.sweeper._target_).endswith(".BasicSweeper"):
        return None
    fixed = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*fixed, *config.hydra.overrides.task])
    (jobs,) = BasicSweeper.split_arguments(parsed, None)
    return [sorted(overrides) for overrides in jobs]


def finish_stopped() -> None:
    """The report of what a sweep that was stopped has so far."""
    if _running:
        _finish()


def finish_broken(error: Exception) -> str:
    """The report of what there is once a launcher gave up, as when the system killed a worker.

    Returns what happened and what to do. Jobs that a launcher still has at work end by themselves.
    """
    trace = _running[0].results / "multirun" / "launcher.log"
    write_atomic(trace, "".join(traceback.format_exception(error)).encode())
    _finish()
    first = (str(error).strip().splitlines() or [""])[0]
    return (
        f"the launcher gave up ({type(error).__name__}: {first}; all of it: {trace}); what was "
        "finished is stored: run the same command to go on, with fewer jobs side by side or more "
        "memory for each if the system killed one"
    )


@cache
def _memory() -> Memory:
    """What the jobs that this process runs share."""
    from w2s_groups.experiment.inputs import Memory

    return Memory(16)


def run_job(cfg: Config) -> dict[str, Any]:
    """One job of a sweep: its cells, and a record of them for the report; Job.outcome."""
    from w2s_groups.experiment import job  # Hydra imports this module for every command

    done = job.run(cfg, _memory())
    record = {
        "experiment": cfg.experiment_name,
        "settings": done.settings,
        "keys": done.keys,
        "content": done.content,
        **({"draws": done.draws} if done.draws else {}),
    }
    _write_record(Path(cfg.results_dir), record)
    return done.outcome(cfg)


def record_theory(cfg: Config) -> None:
    """A job that drew a figure of the theory: done, and nothing for the report."""
    _write_record(Path(cfg.results_dir), {"experiment": cfg.experiment_name, "keys": []})


def refused(composed: DictConfig, error: Exception) -> None:
    """A job that can't be run: a row of the sweep, whose other jobs go on."""
    results, experiment = Path(composed.results_dir), _folder(composed.get("experiment_name"))
    reason = failures.reason(error)
    if not isinstance(error, InputError):
        trace = _record_path(results, experiment).with_suffix(".log")
        write_atomic(trace, traceback.format_exc().encode())
        reason = f"{type(error).__name__}: {reason} ({trace})"
    log.warning("refused: %s", reason)
    _write_record(results, {"experiment": experiment, "keys": [], "refused": reason})


def _folder(experiment: Any) -> str:
    """Where the record of a refused job goes, whatever name was asked for."""
    try:
        return folder_name("experiment_name", experiment)
    except InputError:
        return "refused"


def _record_path(results: Path, experiment: str) -> Path:
    name = _record_name(HydraConfig.get().overrides.task)
    return results / experiment / "sweeps" / str(current()) / f"{name}.json"


def _record_name(overrides: Sequence[str]) -> str:
    return store.digest(sorted(overrides))[:16]


def _write_record(results: Path, record: Record) -> None:
    overrides = sorted(HydraConfig.get().overrides.task)
    # In their own order: names of variants follow from the order of their settings.
    data = json.dumps({"overrides": overrides, **record}, indent=1)
    write_atomic(_record_path(results, record["experiment"]), data.encode())


def _finish() -> int:
    """Write the reports of the running sweep and say what failed; the exit status."""
    from w2s_groups.experiment.sweep_report import write_reports  # as in run_job

    (running,) = _running
    sweep = str(current())
    read = {path: _read(path) for path in sorted(running.results.glob(f"*/sweeps/{sweep}/*.json"))}
    records = {path.stem: record for path, record in read.items() if record is not None}
    _running.clear()
    os.environ.pop(_SWEEP, None)
    if running.jobs is not None:
        _say_missing(running.jobs, set(records))
    n_jobs = len(records if running.jobs is None else running.jobs)
    if not records:
        return 0
    written = write_reports(list(records.values()), n_jobs, sweep, running.results, running.reports)
    refusals = [record for record in records.values() if "refused" in record]
    for record in refusals:
        print(f"refused: {' '.join(record['overrides'])}: {record['refused']}")
    if written.failed or refusals:
        print(
            wrapped(
                f"{written.failed} of {written.cells} cells failed and {len(refusals)} of "
                f"{len(records)} jobs were refused; run the same command to try them again"
            )
        )
        return 1
    return 0


def _read(path: Path) -> Record | None:
    """A job's record; None for one that is damaged: that job is run again."""
    try:
        record = read_json(path)
    except InputError:
        raise  # unreadable, which is no damage
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "experiment" in record else None


def _say_missing(jobs: Sequence[Sequence[str]], recorded: set[str]) -> None:
    missing = [overrides for overrides in jobs if _record_name(overrides) not in recorded]
    for overrides in missing[:10]:
        print(f"not finished: {' '.join(overrides)}")
    if len(missing) > 10:
        print(f"... and {len(missing) - 10} others")
    if missing:
        print(f"{len(missing)} of {len(jobs)} jobs are not finished; run the same command for them")
