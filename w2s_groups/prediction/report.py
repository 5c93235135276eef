"""What a prediction says: pictures, a Markdown page and text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from w2s_groups.core.text import wrapped
from w2s_groups.figures import style
from w2s_groups.prediction.figures import maps, measured, sizes
from w2s_groups.prediction.storage import Found
from w2s_groups.prediction.table import METHODS, METRICS, RETRAINED, match, wrong_sign
from w2s_groups.results.format import IMAGE, noun_of
from w2s_groups.results.method_facts import method_label

EVERY = "predicted_vs_measured.csv.gz"
NAMES = {"average": "average", "minority": "minority", "worst_group": "worst group"}
WHO = {"teacher": "teacher", "w2s": "student", "gain": "gain"}
ROWS = 5  # eta_l that the tables show
LEGEND = (
    "Near: share of cells whose measured mean is within 0.01 of the prediction, or within two of "
    "its standard errors. Band: share of draws in the predicted 95 % range. Wrong sign: cells "
    "whose measured gain is two standard errors from 0 on the other side."
)


def files(found: Found) -> dict[str, bytes]:
    """Name -> content of everything that follows from the tables of one pair."""
    of_maps = maps.draw(found.cells, found.compared)
    at = {k: found.settings[k] for k in ("n_l", "n_u")}
    of_sizes = sizes.draw(found.sizes, at, noun_of(found.settings))
    map_png = style.png(of_maps, dpi=120)
    of_maps.set_layout_engine("none")  # what was laid out for one file serves the other
    content = {
        "README.md": markdown(found).encode(),
        "map.png": map_png,
        "map.pdf": style.pdf(of_maps),
        "sizes.png": style.png(of_sizes, dpi=120),
    }
    if has_refit(found):
        content["map_retrained.png"] = style.png(maps.draw_retrained(found.cells), dpi=120)
    if found.compared is not None:
        pair = {name: found.settings[name] for name in ("teacher", "student")}
        content |= _scatter(found.compared.assign(**pair))
    return content


def files_of_all(data: str, compared: pd.DataFrame) -> dict[str, bytes]:
    """Of several pairs on one dataset. compared: rows of table.compare, with teacher, student; and
    with noun where a sample is no image."""
    noun = str(compared["noun"].iloc[0]) if "noun" in compared else IMAGE
    parts = [
        f"# Predicted against measured on {data}",
        f"{compared['n'].max()} measured draws a cell of every pair, each at the alpha that was "
        f"chosen for it on the pool among those asked for; accuracies on the test {noun}s. "
        f"{LEGEND}",
    ]
    for metric in METRICS:
        rows = []
        for (teacher, student), part in compared.groupby(["teacher", "student"], sort=False):
            for row in met(part[part["metric"] == metric]).to_dict("records"):
                del row["metric"]
                rows.append({"teacher": teacher, "student": student, **row})
        parts += [
            f"## {NAMES[metric].capitalize()}",
            f"![predicted against measured](predicted_vs_measured_{metric}.png)",
            _table(pd.DataFrame(rows)),
        ]
    return {"README.md": ("\n\n".join(parts) + "\n").encode(), **_scatter(compared)}


def _scatter(cells: pd.DataFrame) -> dict[str, bytes]:
    return {
        f"predicted_vs_measured_{metric}.png": style.png(
            measured.draw(cells, metric, maps.LABELS[metric]), dpi=120
        )
        for metric in METRICS
    }


def summary(found: Found) -> str:
    """The tables as plain text, in 80 columns."""
    own = found.settings
    parts = [
        f"{own['teacher']} -> {own['student']} on {own['data']}, n_l={own['n_l']}, "
        f"n_u={own['n_u']}: {predicted_heads(own)} heads, predicted",
        "student by alpha, mean over the corners of the map (highest worst group: "
        f"alpha={own['alpha']:g})",
        by_alpha(found).to_string(index=False),
        "best eta_u for each eta_l (ranges hold 95 % of draws)",
        best(found).to_string(index=False),
    ]
    if has_refit(found):
        parts += [
            f"refitted on the surest {100 * own['keep']:g} % of its {noun_of(own)}s, by the "
            "teacher's decisions; gain over the student",
            best_refit(found).to_string(index=False),
        ]
    if found.compared is not None and found.order is not None:
        parts += [
            f"against {own['draws']} measured draws a cell of {own['head']} heads, on test "
            f"{noun_of(own)}s",
            met(found.compared).to_string(index=False),
            "order of the cells (Spearman)",
            ordered(found.order).to_string(index=False),
        ]
    return "\n\n".join(part if "\n" in part else wrapped(part) for part in parts)


def predicted_heads(settings: dict[str, Any]) -> str:
    """The kind of head that `predict` predicted: ridge where it has no theory of the trained."""
    return "logistic" if settings["head"] == "logistic" else "ridge"


def markdown(found: Found) -> str:
    """The page of one pair."""
    own = found.settings
    heads = predicted_heads(own)
    weight = "l2 = alpha" if heads == "logistic" else "l2 = alpha times the width of the features"
    noun = noun_of(own)
    where = (
        f"pool {noun}s, each as if it had not been drawn: new {noun}s like those of the pool, of "
        "the same individuals and places where it has several of each"
        if own["read_from"] == "pool"
        else f"test {noun}s, on which nothing was fitted and no alpha chosen"
    )
    parts = [
        f"# Predicted: {own['teacher']} → {own['student']} on {own['data']}",
        f"{heads.capitalize()} heads on n_l = {own['n_l']} labelled and n_u = {own['n_u']} "
        f"unlabelled {noun}s, "
        f"predicted from the features alone ({own['samples']} sampled draws a cell); no head was "
        f"trained for it. Accuracies are those of {where}. `docs/prediction.md` derives it and "
        "says where it fails.",
        "![maps over both minority fractions](map.png)",
        f"## Regularisation\n\nThe map is of alpha = {own['alpha']:g}, the highest worst-group "
        f"accuracy of the student on pool {noun}s, over a coarse grid ({weight}).",
        _table(by_alpha(found)),
        "## Best unlabelled mix\n\nRanges hold 95 % of draws.",
        _table(best(found)),
    ]
    if has_refit(found):
        parts += [
            "## Selective retraining\n\nThe student refitted, by the squared loss and the "
            f"teacher's decisions, on the {100 * own['keep']:g} % of its {noun}s that it is surest "
            "of. Gains are those over the student.",
            "![maps of the refit](map_retrained.png)",
            _table(best_refit(found)),
        ]
    parts.append("## Sizes\n\n![gain against the sizes of both sets](sizes.png)")
    if found.compared is not None and found.order is not None:
        trained = own["head"]
        if trained != heads:
            trained += " (another loss: only their order can agree)"
        parts += [
            f"## Measured\n\n{own['draws']} draws a cell of {trained} heads, read from the test "
            f"{noun}s, and predicted for these. {LEGEND}",
            _table(met(found.compared)),
            *(f"![{NAMES[metric]}](predicted_vs_measured_{metric}.png)" for metric in METRICS),
            f"How far the predicted {heads} student puts the cells in the order of each trained "
            "method's means: Spearman's correlation, with its 95 % interval over resampled seeds.",
            _table(ordered(found.order)),
        ]
    return "\n\n".join(parts) + "\n"


def _table(rows: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(rows.columns) + " |", "|" + "---|" * len(rows.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows.itertuples(index=False)]
    return "\n".join(lines)


def by_alpha(found: Found) -> pd.DataFrame:
    """The student's accuracies at each alpha, mean over the corners of the map."""
    rows = found.path[found.path["method"] == "w2s"]
    means = rows.pivot_table(index="alpha", columns="metric", values="mean")[list(METRICS)]
    return means.rename(columns=NAMES).map("{:.3f}".format).reset_index()


def best(found: Found) -> pd.DataFrame:
    """The eta_u of the best student at a few eta_l, by average and by worst group."""
    return _best(found, METHODS, ("teacher", "student"))


def has_refit(found: Found) -> bool:
    """Whether refits were predicted too."""
    return bool(found.cells["method"].isin(RETRAINED).any())


def best_refit(found: Found) -> pd.DataFrame:
    """As `best`, of the refit: the student is what it gains over."""
    return _best(found, ("w2s", *RETRAINED), ("student", "refit"))


def _best(found: Found, methods: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """methods: what is gained over, what gains, and the gain; names: of the first two."""
    before, after, gains = methods
    eta_l = np.sort(found.cells["eta_l"].unique())
    shown = eta_l[np.unique(np.linspace(0, len(eta_l) - 1, ROWS).round().astype(int))]
    rows = []
    for metric in ("average", "worst_group"):
        of_metric = found.cells[found.cells["metric"] == metric].set_index("method")
        for value in shown:
            here = of_metric[of_metric["eta_l"] == value]
            student = here.loc[after]
            at = student["eta_u"].to_numpy()[student["mean"].to_numpy().argmax()]
            cell = here[here["eta_u"] == at]
            gain = cell.loc[gains]
            rows.append(
                {
                    "metric": NAMES[metric],
                    "eta_l": f"{value:g}",
                    "best eta_u": f"{at:g}",
                    names[0]: f"{cell.loc[before, 'mean']:.3f}",
                    names[1]: f"{cell.loc[after, 'mean']:.3f}",
                    "gain": f"{gain['mean']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]",
                    "Pr[gain > 0]": f"{gain['positive']:.2f}",
                }
            )
    return pd.DataFrame(rows)


def met(compared: pd.DataFrame) -> pd.DataFrame:
    """Agreement of predictions and measurements by method and metric."""
    rows = []
    for key, part in compared.groupby(["method", "metric"], sort=False):
        method, metric = map(str, key)
        found = match(part)
        wrong = f"{int(wrong_sign(part).sum())} of {len(part)}" if method == "gain" else ""
        rows.append(
            {
                "of": WHO[method],
                "metric": NAMES[metric],
                "R²": f"{found.r2:.3f}",
                "near": f"{100 * found.near:.0f} %",
                "band": f"{100 * found.coverage:.0f} %",
                "Spearman": f"{found.spearman:.3f}",
                "wrong sign": wrong,
            }
        )
    return pd.DataFrame(rows)


def ordered(order: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlations of table.order."""
    return pd.DataFrame(
        [
            {
                "method": method_label(row["method"]),
                "metric": NAMES[row["metric"]],
                "cells": row["cells"],
                **{
                    what: f"{row[what]:.2f} [{row[f'{what}_low']:.2f}, {row[f'{what}_high']:.2f}]"
                    for what in ("accuracy", "gain")
                },
            }
            for row in order.to_dict("records")
        ]
    )
