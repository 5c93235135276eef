"""Which images to collect or label next, by the predicted worst-group accuracy of the student."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.roles import plain
from w2s_groups.core.text import short, wrapped
from w2s_groups.data.base import TEST, Dataset
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import apportion, class_priors, group_counts
from w2s_groups.experiment import settings as of_report
from w2s_groups.experiment.pool import Pool
from w2s_groups.experiment.prepare import prepare
from w2s_groups.prediction import ridge
from w2s_groups.prediction.estimates import METRICS, interval_estimate, metric_values
from w2s_groups.prediction.population import population
from w2s_groups.prediction.storage import to_csv
from w2s_groups.reports import places
from w2s_groups.results.risks import gain
from w2s_groups.schema.cells import Cell
from w2s_groups.schema.config import Config
from w2s_groups.schema.prediction import Addition, PlanConfig

NOW = "as it is"

Counts = NDArray[np.int64]
Values = Mapping[str, NDArray[np.float64]]  # such as student_worst_group -> (S,) samples

log = logging.getLogger("w2s_groups")


class Plan(NamedTuple):
    """A table of options, best first. sentence: why the folder has not the plain name, or ""."""

    table: pd.DataFrame
    data: str
    folder: Path
    sentence: str


def run(cfg: PlanConfig) -> Plan:
    """Predict the student of each option and write the table."""
    root = Path(cfg.reports_dir) / cfg.experiment_name
    check_writable(root, "reports_dir")
    prepared = prepare(replace(cfg, seeds=[0]), check=_check, trained=lambda original: [])
    [cell] = prepared.cells
    [(teacher, student)] = cfg.pairs
    pool, dataset = prepared.pair(teacher, student).pool, prepared.dataset
    mixes = additions(cfg, pool.groups, pool.priors, cell)
    table = options(pool, mixes, cfg, prepared.device)
    settings = {
        "data": cfg.data.name, "teacher": teacher, "student": student, "n_l": cfg.n_l[0],
        "n_u": cfg.n_u[0], "eta_l": cell.request.eta_l, "eta_u": cell.request.eta_u,
        "options": plain(cfg.options), "asked": of_report.digest(cfg, dataset),
    }  # fmt: skip
    name = f"{short(teacher)}__{short(student)}"
    folder, sentence = places.place(root / dataset.name, name, settings)
    write_atomic(folder / "plan.csv", to_csv(table).encode())
    return Plan(table, dataset.name, folder, sentence)


def _check(cfg: Config, dataset: Dataset, usable: NDArray[np.bool_], cells: Sequence[Cell]) -> None:
    """InputError for an option that the dataset has no group for.

    An option may need more images than the pool has: they are still to be collected.
    """
    assert isinstance(cfg, PlanConfig)
    codes = dataset.codes[(dataset.split != TEST) & usable]
    priors = class_priors(dataset.groups, codes, cfg.class_balance.value)
    additions(cfg, dataset.groups, priors, cells[0])


def additions(
    cfg: PlanConfig, groups: Groups, priors: NDArray[np.float64], now: Cell
) -> dict[str, tuple[Counts, Counts]]:
    """Option -> labelled and unlabelled images of each group (G,), first of what there is now.

    priors: (C,) class shares of the pool.
    """
    request = now.request
    sides = {
        "labelled": (group_counts(groups, priors, request.n_l, request.eta_l), request.eta_l),
        "unlabelled": (group_counts(groups, priors, request.n_u, request.eta_u), request.eta_u),
    }
    nothing = {NOW: Addition()}
    mixes = {}
    for name, option in {**nothing, **cfg.options}.items():
        labelled, unlabelled = (
            counts + more(groups, priors, option, side, eta)
            for side, (counts, eta) in sides.items()
        )
        mixes[name] = labelled, unlabelled
    return mixes


def more(
    groups: Groups, priors: NDArray[np.float64], option: Addition, side: str, eta: float
) -> Counts:
    """(G,) images that an option adds to one set."""
    added = np.zeros(groups.n_groups, dtype=np.int64)
    if getattr(option, side):
        added += group_counts(groups, priors, getattr(option, side), eta)
    for part, mask in (("minority", groups.is_minority), ("majority", ~groups.is_minority)):
        if n := getattr(option, f"{side}_{part}"):
            share = priors[groups.class_of] * mask
            if not share.any():
                raise InputError(
                    f"options: {side}_{part}={n}, and the dataset has no such group; leave it out"
                )
            added += apportion(n, share)
    return added


def options(
    pool: Pool, mixes: Mapping[str, tuple[Counts, Counts]], cfg: PlanConfig, device: str
) -> pd.DataFrame:
    """One row an option, at its best alpha: the student's metrics and its change from now."""
    values = _predicted(pool, mixes, cfg, device)

    def best(name: str) -> float:
        means = [float(values[name, a]["student_worst_group"].mean()) for a in cfg.alpha]
        return float(cfg.alpha[int(np.argmax(means))])

    now = values[NOW, best(NOW)]
    rows = []
    for name, (labelled, unlabelled) in mixes.items():
        alpha = best(name)
        row = {"option": name, "alpha": alpha, "n_l": labelled.sum(), "n_u": unlabelled.sum()}
        row |= {f"l_{g}": int(n) for g, n in zip(pool.groups.names, labelled, strict=True)}
        row |= {f"u_{g}": int(n) for g, n in zip(pool.groups.names, unlabelled, strict=True)}
        rows.append({**row, **_change(values[name, alpha], now)})
    table = pd.DataFrame(rows)
    order = table["change_worst_group"].where(table["option"] != NOW, np.inf)
    return table.loc[order.sort_values(ascending=False, kind="stable").index]


def _predicted(
    pool: Pool, mixes: Mapping[str, tuple[Counts, Counts]], cfg: PlanConfig, device: str
) -> dict[tuple[str, float], Values]:
    """(option, alpha) -> samples of the teacher's and the student's metrics.

    Draws are from a population of which the pool is a sample: an option may need more images of a
    group than the pool has. All options share their noise.
    """
    rows = pool.drawable
    people = population(
        pool.features["teacher"][rows], pool.features["student"][rows], pool.codes[rows],
        pool.groups, sizes=np.full(pool.groups.n_groups, np.inf), device=device,
    )  # fmt: skip
    widths = {side: matrix.shape[1] for side, matrix in pool.features.items()}
    values: dict[tuple[str, float], Values] = {}
    for alpha in cfg.alpha:
        for name, (labelled, unlabelled) in mixes.items():
            found = ridge.predict(
                people, labelled[None], unlabelled[None], alpha * widths["teacher"],
                alpha * widths["student"], samples=cfg.samples,
            )  # fmt: skip
            log.info("alpha=%g: %s", alpha, name)
            heads = {"teacher": found.teacher[0], "student": found.student[0, 0]}
            values[name, alpha] = {
                f"{who}_{metric}": metric_values(accuracy, metric, pool.groups, pool.priors)
                for who, accuracy in heads.items()
                for metric in METRICS
            }
    return values


def _change(option: Values, now: Values) -> dict[str, Any]:
    """Means of an option's metrics, and the change of the student's from what there is now."""
    row: dict[str, Any] = {}
    for metric in ("worst_group", "average"):
        for who in ("teacher", "student"):
            row[f"{who}_{metric}"] = interval_estimate(option[f"{who}_{metric}"]).mean
        change = gain(option[f"student_{metric}"], now[f"student_{metric}"])
        seen = interval_estimate(change)
        row |= {
            f"change_{metric}": seen.mean, f"change_{metric}_low": seen.low,
            f"change_{metric}_high": seen.high, f"change_{metric}_error": seen.error,
            f"better_{metric}": (change > 0).mean() + (change == 0).mean() / 2,
        }  # fmt: skip
    return row


def summary(table: pd.DataFrame, cfg: PlanConfig, data: str) -> str:
    """The table for a terminal, and the answer in a sentence. table: of `options`."""
    [(teacher, student)] = cfg.pairs
    shown = pd.DataFrame([_shown(row) for _, row in table.iterrows()])
    parts = [
        f"{teacher} -> {student} on {data}, n_l={cfg.n_l[0]}, n_u={cfg.n_u[0]}: predicted, no head "
        "trained; worst: the student's worst-group accuracy; better: the chance that it rises",
        shown.to_string(index=False),
    ]
    others = table[table["option"] != NOW]
    first = others.iloc[0]
    if first["change_worst_group"] <= 0:
        parts.append("none of the options is expected to raise the student's worst group")
    elif len(others) > 1:
        second = others.iloc[1]
        lead = first["change_worst_group"] - second["change_worst_group"]
        noise = 2 * np.hypot(first["change_worst_group_error"], second["change_worst_group_error"])
        tie = "" if lead > noise else " (within the sampling error of the next: raise samples)"
        parts.append(
            f"{first['option']} raises the student's worst group most, by "
            f"{first['change_worst_group']:.3f}{tie}; next: {second['option']}, "
            f"{second['change_worst_group']:+.3f}"
        )
    return "\n".join(part if "\n" in part else wrapped(part) for part in parts)


def _shown(row: pd.Series[Any]) -> dict[str, str]:
    """An option's row of the terminal's table."""
    change = better = ""
    if row["option"] != NOW:
        low, high = row["change_worst_group_low"], row["change_worst_group_high"]
        change = f"{row['change_worst_group']:+.3f} [{low:+.3f}, {high:+.3f}]"
        better = f"{row['better_worst_group']:.2f}"
    return {
        "option": row["option"],
        "worst": f"{row['student_worst_group']:.3f}",
        "change, 95 % of draws": change,
        "better": better,
        "average": f"{row['student_average']:.3f}",
    }
