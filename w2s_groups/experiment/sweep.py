"""Many jobs, one report: what the jobs of a multirun leave behind, and what is made of it.

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
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.text import wrapped
from w2s_groups.experiment import job
from w2s_groups.experiment.inputs import Memory
from w2s_groups.reports import leaderboard, places
from w2s_groups.results import failures, store
from w2s_groups.results.format import IMAGE
from w2s_groups.schema.config import CROSSED, Config
from w2s_groups.schema.fields import folder_name

_SWEEP = "W2S_GROUPS_SWEEP"  # an environment variable reaches the jobs of every launcher
# Jobs that differ in anything but these and the values that are crossed get reports of their own.
_OF_DATA = ("data", "pair", "files", "noun")

log = logging.getLogger("w2s_groups")
_memory = Memory(16)


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
        done: JobReturn = kwargs["job_return"]
        if done.status is JobStatus.COMPLETED and (done.return_value or {}).get("failed"):
            sys.exit(1)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
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


def run_job(cfg: Config) -> dict[str, Any]:
    """One job of a sweep: its cells, and a record of them for the report; Job.outcome."""
    done = job.run(cfg, _memory)
    record = {
        "experiment": cfg.experiment_name,
        "settings": done.settings,
        "keys": done.keys,
        "content": done.content,
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


def _write_record(results: Path, record: dict[str, Any]) -> None:
    overrides = sorted(HydraConfig.get().overrides.task)
    data = json.dumps({"overrides": overrides, **record}, sort_keys=True, indent=1)
    write_atomic(_record_path(results, record["experiment"]), data.encode())


def _finish() -> int:
    """Write the reports of the running sweep and say what failed; the exit status."""
    (running,) = _running
    results, reports, sweep = running.results, running.reports, str(current())
    found = {path.stem: _read(path) for path in sorted(results.glob(f"*/sweeps/{sweep}/*.json"))}
    records = [record for record in found.values() if record is not None]
    _running.clear()
    os.environ.pop(_SWEEP, None)
    if running.jobs is not None:
        _say_missing(running.jobs, {name for name, record in found.items() if record})
    refusals = [record for record in records if "refused" in record]
    n_jobs = len(records if running.jobs is None else running.jobs)
    lacking = n_jobs - len(records) + len(refusals)
    if not records:
        return 0
    written: set[Path] = set()
    n_cells = failed = 0
    parted = changed(records)
    for name in parted:
        print(
            wrapped(
                f"the files of data={name} changed between jobs of this sweep, whose reports are "
                "kept apart; run the same command to make all cells from the files as they are now"
            )
        )
    for alike in groups(records):
        experiment = alike[0]["experiment"]
        keys = list(dict.fromkeys(key for record in alike for key in record["keys"]))
        lost = failures.load(results / experiment, keys)
        n_cells, failed = n_cells + len(keys), failed + len(lost)
        table = store.load(results / experiment, keys)
        for row in lost:
            print(f"failed: {failures.sentence(row)}")
        if not len(table):
            continue
        # Of jobs with the same settings that read other files, some are in another report.
        same = [r for r in records if "settings" in r and _rest(r) == _rest(alike[0])]
        absent = lacking + (len(same) - len(alike) if _name(alike[0]) in parted else 0)
        unfinished = {"sweep": sweep, "jobs": f"{absent} of {n_jobs}"}
        settings = {
            **merged(alike),
            **({"failed": lost} if lost else {}),
            **({"unfinished": unfinished} if absent else {}),
        }
        name = report_name(alike, records)
        parent = reports / experiment
        folder, elsewhere = places.place(parent, name, settings, sweep=sweep, taken=written)
        written.add(folder)
        leaderboard.write(table, settings, folder)
        print(leaderboard.summary_text(table, settings))
        print(f"\n{len(keys)} cells of {len(alike)} jobs; report in {folder}/")
        if elsewhere:
            print(wrapped(elsewhere))
    for experiment in {record["experiment"] for record in records}:
        places.clear_unfinished(reports / experiment, sweep, written)
    for record in refusals:
        print(f"refused: {' '.join(record['overrides'])}: {record['refused']}")
    if failed or refusals:
        print(
            wrapped(
                f"{failed} of {n_cells} cells failed and {len(refusals)} of {len(records)} jobs "
                "were refused; run the same command to try them again"
            )
        )
        return 1
    return 0


def _read(path: Path) -> dict[str, Any] | None:
    """A job's record; None for one that is damaged: that job is run again."""
    try:
        record = json.loads(path.read_bytes())
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


def groups(records: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Records that one report can show together: alike in all but the grid and the dataset.

    One name under two recipes, or with other files, would be one setup with two numbers in every
    place: such jobs are kept apart.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    of_group: dict[str, dict[str, Any]] = {}
    for record in records:
        if "settings" not in record:
            continue
        own = _contents(record)
        for k in range(len(records)):
            key = json.dumps([record["experiment"], _rest(record), k], sort_keys=True)
            shared = of_group.setdefault(key, {})
            if _agree(own, shared):
                shared |= own
                found.setdefault(key, []).append(record)
                break
    return list(found.values())


def _contents(record: dict[str, Any]) -> dict[str, Any]:
    """What must not differ within a report: the dataset's recipe, a key for all that was read."""
    name = _name(record)
    read = record.get("content", {})
    return {name: record["settings"]["data"], **{f"{name}: {k}": v for k, v in read.items()}}


def _agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(other.get(name, value) == value for name, value in one.items())


def changed(records: Sequence[dict[str, Any]]) -> list[str]:
    """Datasets whose files were others for some of the jobs with the same settings."""
    seen: dict[str, dict[str, Any]] = {}
    names = set()
    for record in records:
        if "settings" in record:
            same = json.dumps([_rest(record), record["settings"]["data"]], sort_keys=True)
            known = seen.setdefault(same, {})
            if not _agree(_contents(record), known):
                names.add(_name(record))
            known |= _contents(record)
    return sorted(names)


def merged(alike: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Settings of a report over several jobs: the grid's values of all of them, in order."""
    settings = dict(alike[0]["settings"])
    for name in CROSSED:
        values = [value for record in alike for value in record["settings"][name]]
        numbers = all(not isinstance(value, str) for value in values)
        settings[name] = sorted(set(values)) if numbers else list(dict.fromkeys(values))
    datasets = {_name(record): record["settings"]["data"] for record in alike}
    if len(datasets) > 1:
        settings["data"] = {
            "name": ", ".join(datasets),
            **{
                f"{name}.{field}": value
                for name, recipe in datasets.items()
                for field, value in recipe.items()
                if field != "name"
            },
        }
    pairs = {}
    for record in alike:
        for pair in record["settings"]["pair"]:
            data = {"data": _name(record)} if len(datasets) > 1 else {}
            pairs[_name(record), pair["teacher"], pair["student"]] = {**data, **pair}
    files = {k: v for record in alike for k, v in record["settings"].get("files", {}).items()}
    nouns = {_name(record): record["settings"].get("noun", IMAGE) for record in alike}
    noun = nouns if len(set(nouns.values())) > 1 else {**nouns}.popitem()[1]
    return {
        **{key: value for key, value in settings.items() if key not in ("files", "noun")},
        **({"files": files} if files else {}),
        **({"noun": noun} if noun != IMAGE else {}),
        "pair": list(pairs.values()),
    }


def report_name(alike: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]) -> str:
    """Datasets joined by `+`, and what sets these jobs apart from the sweep's others."""
    names = list(dict.fromkeys(_name(record) for record in alike))
    ran = [record for record in records if "settings" in record]
    own = _asked(alike[0])
    rivals = [_asked(record) for record in ran if _name(record) in names]
    apart = {
        key: value
        for rival in rivals
        for key, value in places.apart(own, rival).items()
        if key != "data.name" and (not key.startswith("data.") or len(names) == 1)
    }
    read: dict[str, Any] = {}
    for record in alike:
        read |= _contents(record)
    if any(
        _rest(r) == _rest(alike[0])
        and _contents(r).get(_name(r)) == read.get(_name(r))
        and not _agree(_contents(r), read)
        for r in ran
    ):
        apart["files"] = store.digest(read)[:8]
    return places.named("+".join(names), dict(sorted(apart.items())), own)


def _asked(record: dict[str, Any]) -> dict[str, Any]:
    """What a report asks for beside the values that are crossed."""
    return places.question({**_rest(record), "data": record["settings"]["data"]})


def _name(record: dict[str, Any]) -> str:
    return str(record["settings"]["data"]["name"])


def _rest(record: dict[str, Any]) -> dict[str, Any]:
    settings = record["settings"]
    return {k: v for k, v in settings.items() if k not in (*CROSSED, *_OF_DATA)}
