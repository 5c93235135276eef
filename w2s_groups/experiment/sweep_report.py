"""The reports of a sweep: which jobs one report can show together, and its name and settings.

A job's record holds `experiment`, `overrides` and the `keys` of its cells; of a job that ran also
the `settings` of its report, `content`, keys of what it read, and `draws`, those of its cells where
the experiment has submitted methods; `refused`, why it did not run.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from w2s_groups.core.roles import CROSSED, names
from w2s_groups.core.text import wrapped
from w2s_groups.experiment.settings import OF_DATA
from w2s_groups.reports import leaderboard, places
from w2s_groups.results import failures, store, submitted
from w2s_groups.results.format import IMAGE
from w2s_groups.schema.config import Config

Record = dict[str, Any]


class Written(NamedTuple):
    """cells: in all reports; failed: of them."""

    cells: int
    failed: int


def write_reports(
    records: Sequence[Record], n_jobs: int, sweep: str, results: Path, reports: Path
) -> Written:
    """Write and print a report of each group of jobs that one can show together.

    n_jobs: of the whole sweep, with those that left no record. results, reports: folders.
    """
    parted = changed(records)
    for name in parted:
        print(
            wrapped(
                f"the files of data={name} changed between jobs of this sweep, whose reports are "
                "kept apart; run the same command to make all cells from the files as they are now"
            )
        )
    lacking = n_jobs - sum("refused" not in record for record in records)
    folders: set[Path] = set()
    n_cells = failed = 0
    for alike in groups(records):
        # Jobs are read in the order of their names, which follow from every override.
        alike.sort(key=lambda record: (_name(record), json.dumps(record["overrides"])))
        experiment = alike[0]["experiment"]
        keys = list(dict.fromkeys(key for record in alike for key in record["keys"]))
        lost = failures.load(results / experiment, keys)
        n_cells, failed = n_cells + len(keys), failed + len(lost)
        table = store.load(results / experiment, keys)
        for row in lost:
            print(f"failed: {failures.sentence(row)}")
        if not len(table):
            continue
        draws = {key: draw for record in alike for key, draw in record.get("draws", {}).items()}
        attached = submitted.attached(results / experiment, table, draws)
        table = attached.table
        absent = lacking + _elsewhere(alike, records, parted)
        unfinished = {"unfinished": {"sweep": sweep, "jobs": f"{absent} of {n_jobs}"}}
        settings = {
            **merged(alike),
            **attached.settings,
            **({"failed": lost} if lost else {}),
            **(unfinished if absent else {}),
        }
        parent, name = reports / experiment, report_name(alike, records)
        folder, sentence = places.place(parent, name, settings, sweep=sweep, taken=folders)
        folders.add(folder)
        stored = results / experiment, keys, table, settings
        counts = leaderboard.counts_of(*stored, attached)
        print(leaderboard.write(table, settings, folder, counts, leaderboard.scores_of(*stored)))
        print(f"\n{len(keys)} cells of {len(alike)} jobs; report in {folder}/")
        if sentence:
            print(wrapped(sentence))
    for experiment in {record["experiment"] for record in records}:
        places.clear_unfinished(reports / experiment, sweep, folders)
    return Written(n_cells, failed)


def _elsewhere(alike: Sequence[Record], records: Sequence[Record], parted: Container[str]) -> int:
    """Jobs with the same settings that are in another report, since they read other files."""
    if _name(alike[0]) not in parted:
        return 0
    own = _rest(alike[0])
    return sum("settings" in r and _rest(r) == own for r in records) - len(alike)


def groups(records: Sequence[Record]) -> list[list[Record]]:
    """Records that one report can show together: alike in all but the grid and the dataset.

    One name under two recipes, or with other files, would be one setup with two numbers in every
    place: such jobs are kept apart.
    """
    together: dict[str, list[Record]] = {}
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
                together.setdefault(key, []).append(record)
                break
    return list(together.values())


def _contents(record: Record) -> dict[str, Any]:
    """What must not differ within a report: the dataset's recipe, a key for all that was read."""
    name = _name(record)
    read = record.get("content", {})
    settings = record["settings"]
    return {
        name: settings["data"],
        f"{name}: splits": settings.get("splits"),
        **{f"{name}: {k}": v for k, v in read.items()},
    }


def _agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(other.get(name, value) == value for name, value in one.items())


def changed(records: Sequence[Record]) -> list[str]:
    """Datasets whose files were others for some of the jobs with the same settings."""
    seen: dict[str, dict[str, Any]] = {}
    altered = set()
    for record in records:
        if "settings" in record:
            own = record["settings"]
            same = json.dumps([_rest(record), own["data"], own.get("splits")], sort_keys=True)
            known = seen.setdefault(same, {})
            if not _agree(_contents(record), known):
                altered.add(_name(record))
            known |= _contents(record)
    return sorted(altered)


def merged(alike: Sequence[Record]) -> dict[str, Any]:
    """Settings of a report over several jobs: the grid's values of all of them, in order."""
    settings = dict(alike[0]["settings"])
    for name in names(Config, *CROSSED):
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
    files, target = (
        {k: v for record in alike for k, v in record["settings"].get(name, {}).items()}
        for name in ("files", "target")
    )
    nouns = {_name(record): record["settings"].get("noun", IMAGE) for record in alike}
    noun = nouns if len(set(nouns.values())) > 1 else {**nouns}.popitem()[1]
    splits = {_name(r): s for r in alike if (s := r["settings"].get("splits")) is not None}
    return {
        **{k: v for k, v in settings.items() if k not in ("files", "noun", "splits", "target")},
        **({"splits": splits if len(datasets) > 1 else {**splits}.popitem()[1]} if splits else {}),
        **({"files": files} if files else {}),
        **({"target": target} if target else {}),
        **({"noun": noun} if noun != IMAGE else {}),
        "pair": list(pairs.values()),
    }


def report_name(alike: Sequence[Record], records: Sequence[Record]) -> str:
    """Datasets joined by `+`, and what sets these jobs apart from the sweep's others."""
    datasets = list(dict.fromkeys(_name(record) for record in alike))
    ran = [record for record in records if "settings" in record]
    own = _asked(alike[0])
    rivals = [_asked(record) for record in ran if _name(record) in datasets]
    apart = {
        key: value
        for rival in rivals
        for key, value in places.apart(own, rival).items()
        if key != "data.name" and (not key.startswith("data.") or len(datasets) == 1)
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
    return places.named("+".join(datasets), dict(sorted(apart.items())), own)


def _asked(record: Record) -> dict[str, Any]:
    """What a report asks for, without the values that are crossed."""
    return places.question({**_rest(record), "data": record["settings"]["data"]})


def _name(record: Record) -> str:
    return str(record["settings"]["data"]["name"])


def _rest(record: Record) -> dict[str, Any]:
    settings = record["settings"]
    apart = (*names(Config, *CROSSED), *OF_DATA)
    return {k: v for k, v in settings.items() if k not in apart}
