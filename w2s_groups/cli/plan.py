"""`w2s-groups plan`: which images to collect or label next, by predicted worst-group accuracy."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.text import wrapped
from w2s_groups.data.base import TEST, original_eta
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import apportion, class_priors, group_counts
from w2s_groups.experiment import collapsed, inputs, job
from w2s_groups.experiment.pool import Pool, make_pool
from w2s_groups.features import extraction
from w2s_groups.prediction import ridge
from w2s_groups.prediction.estimates import METRICS, interval_estimate, metric_values
from w2s_groups.prediction.population import population
from w2s_groups.prediction.storage import short, to_csv
from w2s_groups.reports import places
from w2s_groups.results.risks import gain
from w2s_groups.schema import config
from w2s_groups.schema.config import plain
from w2s_groups.schema.prediction import Addition, PlanConfig

NOW = "as it is"
log = logging.getLogger("w2s_groups")


def run(cfg: PlanConfig) -> None:
    """Predict the student of each option, write and print the table, best first."""
    root = Path(cfg.reports_dir) / cfg.experiment_name
    check_writable(root, "reports_dir")
    dataset = inputs.load_dataset(cfg)
    [cell] = config.cells(
        replace(cfg, seeds=[0]), original_eta(dataset) if cfg.eta_o is None else cfg.eta_o
    )
    priors = class_priors(
        dataset.groups, dataset.codes[dataset.split != TEST], cfg.class_balance.value
    )
    # Before the first feature is asked for.
    additions(cfg, dataset.groups, priors, cell.request.eta_l, cell.request.eta_u)
    matrices, usable, *_ = inputs.load_features(dataset, cfg)
    collapsed.check(matrices, dataset, usable)
    [(teacher, student)] = cfg.pairs
    sides = {"teacher": matrices["teacher", teacher], "student": matrices["student", student]}
    pool = make_pool(dataset, sides, usable, cfg.class_balance.value)
    mixes = additions(cfg, pool.groups, pool.priors, cell.request.eta_l, cell.request.eta_u)
    table = options(pool, mixes, cfg, extraction.best_device(cfg.device))
    settings = {
        "data": cfg.data.name, "teacher": teacher, "student": student, "n_l": cfg.n_l[0],
        "n_u": cfg.n_u[0], "eta_l": cell.request.eta_l, "eta_u": cell.request.eta_u,
        "options": plain(cfg.options), "asked": job.digest_asked(cfg, dataset),
    }  # fmt: skip
    name = f"{short(teacher)}__{short(student)}"
    folder, elsewhere = places.place(root / dataset.name, name, settings)
    write_atomic(folder / "plan.csv", to_csv(table).encode())
    print(text(table, cfg, (teacher, student), dataset.name))
    print(f"table in {folder / 'plan.csv'}")
    if elsewhere:
        print(wrapped(elsewhere))


def additions(
    cfg: PlanConfig, groups: Groups, priors: NDArray[np.float64], eta_l: float, eta_u: float
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Option -> labelled and unlabelled images of each group (G,), first of what there is now."""
    now = (
        group_counts(groups, priors, cfg.n_l[0], eta_l),
        group_counts(groups, priors, cfg.n_u[0], eta_u),
    )
    mixes = {NOW: now}
    for name, option in cfg.options.items():
        labelled, unlabelled = (
            counts + more(groups, priors, option, side, eta)
            for side, counts, eta in (
                ("labelled", now[0], eta_l), ("unlabelled", now[1], eta_u),
            )
        )  # fmt: skip
        mixes[name] = labelled, unlabelled
    return mixes


def more(
    groups: Groups, priors: NDArray[np.float64], option: Addition, side: str, eta: float
) -> NDArray[np.int64]:
    """(G,) images that an option adds to one set."""
    added = np.zeros(groups.n_groups, dtype=np.int64)
    if getattr(option, side):
        added += group_counts(groups, priors, getattr(option, side), eta)
    for part, mask in (("minority", groups.is_minority), ("majority", ~groups.is_minority)):
        if n := getattr(option, f"{side}_{part}"):
            share = priors[groups.class_of] * mask
            if not share.any():
                raise InputError(f"options: {side}_{part}={n}, and the dataset has no such group")
            added += apportion(n, share)
    return added


def options(
    pool: Pool,
    mixes: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]],
    cfg: PlanConfig,
    device: str,
) -> pd.DataFrame:
    """One row an option, at its best alpha: the student's metrics and its change from now.

    Draws are from a population of which the pool is a sample: an option may need more images of a
    group than the pool has, for they are still to be collected. All options share their noise.
    """
    rows = pool.drawable
    people = population(
        pool.features["teacher"][rows], pool.features["student"][rows], pool.codes[rows],
        pool.groups, sizes=np.full(pool.groups.n_groups, np.inf), device=device,
    )  # fmt: skip
    widths = {side: matrix.shape[1] for side, matrix in pool.features.items()}
    values: dict[tuple[str, float], dict[str, NDArray[np.float64]]] = {}
    for alpha in cfg.alpha:
        for name, (labelled, unlabelled) in mixes.items():
            found = ridge.predict(
                people, labelled[None], unlabelled[None], alpha * widths["teacher"],
                alpha * widths["student"], samples=cfg.samples,
            )  # fmt: skip
            log.info("alpha=%g: %s", alpha, name)
            values[name, alpha] = {
                f"{who}_{metric}": metric_values(accuracy, metric, pool.groups, pool.priors)
                for who, accuracy in (
                    ("teacher", found.teacher[0]), ("student", found.student[0, 0]),
                )
                for metric in METRICS
            }  # fmt: skip

    def best(name: str) -> float:
        means = [float(values[name, a]["student_worst_group"].mean()) for a in cfg.alpha]
        return float(cfg.alpha[int(np.argmax(means))])

    now = values[NOW, best(NOW)]
    out = []
    for name, (labelled, unlabelled) in mixes.items():
        alpha = best(name)
        mine = values[name, alpha]
        row = {"option": name, "alpha": alpha, "n_l": labelled.sum(), "n_u": unlabelled.sum()}
        row |= {f"l_{g}": int(n) for g, n in zip(pool.groups.names, labelled, strict=True)}
        row |= {f"u_{g}": int(n) for g, n in zip(pool.groups.names, unlabelled, strict=True)}
        for metric in ("worst_group", "average"):
            for who in ("teacher", "student"):
                row[f"{who}_{metric}"] = interval_estimate(mine[f"{who}_{metric}"]).mean
            change = gain(mine[f"student_{metric}"], now[f"student_{metric}"])
            seen = interval_estimate(change)
            row |= {
                f"change_{metric}": seen.mean, f"change_{metric}_low": seen.low,
                f"change_{metric}_high": seen.high, f"change_{metric}_error": seen.error,
                f"better_{metric}": (change > 0).mean() + (change == 0).mean() / 2,
            }  # fmt: skip
        out.append(row)
    table = pd.DataFrame(out)
    order = table["change_worst_group"].where(table["option"] != NOW, np.inf)
    return table.loc[order.sort_values(ascending=False, kind="stable").index]


def text(table: pd.DataFrame, cfg: PlanConfig, pair: tuple[str, str], data: str) -> str:
    """The table for a terminal, and the answer in a sentence."""
    rows = []
    for _, row in table.iterrows():
        shown = {
            "option": row["option"],
            "worst": f"{row['student_worst_group']:.3f}",
            "change, 95 % of draws": "",
            "better": "",
            "average": f"{row['student_average']:.3f}",
        }
        if row["option"] != NOW:
            low, high = row["change_worst_group_low"], row["change_worst_group_high"]
            shown["change, 95 % of draws"] = (
                f"{row['change_worst_group']:+.3f} [{low:+.3f}, {high:+.3f}]"
            )
            shown["better"] = f"{row['better_worst_group']:.2f}"
        rows.append(shown)
    others = table[table["option"] != NOW]
    first = others.iloc[0]
    parts = [
        f"{pair[0]} -> {pair[1]} on {data}, n_l={cfg.n_l[0]}, n_u={cfg.n_u[0]}: predicted, no head "
        "trained; worst: the student's worst-group accuracy; better: the chance that it rises",
        pd.DataFrame(rows).to_string(index=False),
    ]
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
