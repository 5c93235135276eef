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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from w2s_groups import job
from w2s_groups.config import Config
from w2s_groups.errors import InputError
from w2s_groups.files import check_writable, write_atomic
from w2s_groups.inputs import Memory
from w2s_groups.reports import leaderboard
from w2s_groups.results import failures, store

_SWEEP = "W2S_GROUPS_SWEEP"  # an environment variable reaches the jobs of every launcher
# What a report may hold several of; jobs that differ in anything else get reports of their own.
_GRID = ("teacher", "student", "eta_l", "eta_u", "n_l", "n_u", "seeds")

log = logging.getLogger("w2s_groups")
_memory = Memory(16)
_running: dict[str, Path] = {}


def current() -> str | None:
    """The sweep that this process runs a job of; None outside a multirun."""
    return os.environ.get(_SWEEP)


class OneReport(Callback):
    """Hydra callback: names the sweep when it starts, writes its report when it ends."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        os.environ[_SWEEP] = store.digest(sorted(config.hydra.overrides.task))[:16]
        _running["results"] = Path(config.results_dir)
        _running["reports"] = Path(config.reports_dir)
        try:  # before Hydra makes its own folder there
            check_writable(_running["results"], "results_dir")
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        status = _finish()
        if status:
            sys.exit(status)


def finish_stopped() -> None:
    """The report of what a sweep that was stopped has so far."""
    if _running:
        _finish()


def run_job(cfg: Config) -> None:
    """One job of a sweep: its cells, and a record of them for the report."""
    done = job.run(cfg, _memory)
    record = {"experiment": cfg.experiment_name, "settings": done.settings, "keys": done.keys}
    _write_record(Path(cfg.results_dir), record)


def refused(composed: DictConfig, error: InputError) -> None:
    """A job whose configuration can't be run: a row of the sweep, whose other jobs go on."""
    log.warning("refused: %s", error)
    experiment = str(composed.get("experiment_name"))
    _write_record(
        Path(composed.results_dir), {"experiment": experiment, "keys": [], "refused": str(error)}
    )


def _write_record(results: Path, record: dict[str, Any]) -> None:
    overrides = sorted(HydraConfig.get().overrides.task)
    name = store.digest(overrides)[:16]
    folder = results / record["experiment"] / "sweeps" / str(current())
    data = json.dumps({"overrides": overrides, **record}, sort_keys=True, indent=1)
    write_atomic(folder / f"{name}.json", data.encode())


def _finish() -> int:
    """Write the reports of the running sweep and say what failed; the exit status."""
    results, reports = _running["results"], _running["reports"]
    records = [
        json.loads(path.read_bytes())
        for path in sorted(results.glob(f"*/sweeps/{current()}/*.json"))
    ]
    _running.clear()
    os.environ.pop(_SWEEP, None)
    if not records:
        return 0
    n_cells = failed = 0
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
        settings = {**merged(alike), **({"failed": lost} if lost else {})}
        folder = reports / experiment / folder_name(alike, records)
        leaderboard.write(table, settings, folder)
        print(leaderboard.summary_text(table, settings))
        print(f"\n{len(keys)} cells of {len(alike)} jobs; report in {folder}/")
    refusals = [record for record in records if "refused" in record]
    for record in refusals:
        print(f"refused: {' '.join(record['overrides'])}: {record['refused']}")
    if failed or refusals:
        print(
            f"{failed} of {n_cells} cells failed and {len(refusals)} of {len(records)} jobs were "
            "refused; run the same command to try them again"
        )
        return 1
    return 0


def groups(records: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Records that one report can show together: alike in all but the grid and the dataset."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if "settings" not in record:
            continue
        rest = _rest(record)
        for k in range(len(records)):
            alike = found.setdefault(
                json.dumps([record["experiment"], rest, k], sort_keys=True), []
            )
            data = record["settings"]["data"]
            # One name under two recipes would be one setup with two numbers in every place.
            if all(r["settings"]["data"] == data for r in alike if _name(r) == data["name"]):
                alike.append(record)
                break
    return [alike for alike in found.values() if alike]


def merged(alike: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Settings of a report over several jobs: the grid's values of all of them, in order."""
    settings = dict(alike[0]["settings"])
    for name in _GRID:
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
    return {**settings, "pair": list(pairs.values())}


def folder_name(alike: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]) -> str:
    """Datasets joined by `+`, and what sets these jobs apart from the sweep's others."""
    name = "+".join(dict.fromkeys(_name(record) for record in alike))
    others = [
        _flat(_rest(r)) | _flat(r["settings"]["data"], "data.") for r in records if "settings" in r
    ]
    own = _flat(_rest(alike[0])) | _flat(alike[0]["settings"]["data"], "data.")
    apart = {
        key: value
        for key, value in sorted(own.items())
        if key != "data.name"
        and any(
            key in other and other[key] != value
            for other in others
            if other["data.name"] in name.split("+")
        )
    }
    suffix = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in apart.items())
    text = f"{name},{suffix}" if suffix else name
    return "".join(c if c.isalnum() or c in "+-_=.," else "_" for c in text)[:120]


def _name(record: dict[str, Any]) -> str:
    return str(record["settings"]["data"]["name"])


def _rest(record: dict[str, Any]) -> dict[str, Any]:
    settings = record["settings"]
    return {k: v for k, v in settings.items() if k not in (*_GRID, "data", "pair")}


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat
