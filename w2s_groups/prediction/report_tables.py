"""The tables of a prediction's report: rows of numbers, and how a page or a terminal shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.prediction.storage import PairPrediction
from w2s_groups.prediction.table import METHODS, METRICS, RETRAINED, agreement, wrong_sign
from w2s_groups.results.format import bracket, fixed
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.stats import Interval

METRIC_LABELS = {"average": "average", "minority": "minority", "worst_group": "worst group"}
METHOD_LABELS = {"teacher": "teacher", "w2s": "student", "gain": "gain"}
SHOWN_ETA_L = 5  # values of eta_l in a table

Columns = Mapping[str, Callable[[Any], str]]  # heading -> text of a row


@dataclass(frozen=True)
class ReportTable:
    """headings of C columns; rows of C texts each."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, rows: pd.DataFrame, columns: Columns) -> ReportTable:
        """Rows of numbers as text."""
        texts = (tuple(show(row) for show in columns.values()) for row in rows.itertuples())
        return cls(tuple(columns), tuple(texts))

    def markdown(self) -> str:
        """A Markdown table."""
        lines = (self.headings, ["---"] * len(self.headings), *self.rows)
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def text(self) -> str:
        """Aligned columns for a terminal."""
        return pd.DataFrame(self.rows, columns=list(self.headings)).to_string(index=False)


def alpha_table(pair: PairPrediction) -> ReportTable:
    """The student's accuracies at each alpha, mean over the corners of the map."""
    rows = pair.path[pair.path["method"] == "w2s"]
    means = rows.pivot_table(index="alpha", columns="metric", values="mean").reset_index()
    metrics: Columns = {METRIC_LABELS[metric]: _fixed(metric) for metric in METRICS}
    return ReportTable.of(means, {"alpha": lambda row: f"{row.alpha:g}", **metrics})


def best_mix_table(pair: PairPrediction) -> ReportTable:
    """The eta_u of the best student at a few eta_l, by average and by worst group."""
    return _best_mix_table(pair.cells, METHODS, ("teacher", "student"))


def retrained_best_mix_table(pair: PairPrediction) -> ReportTable:
    """As `best_mix_table`, of the retrained student and its gain over the student."""
    return _best_mix_table(pair.cells, ("w2s", *RETRAINED), ("student", "retrained"))


def has_retrained(pair: PairPrediction) -> bool:
    """Whether retrained students were predicted too."""
    return bool(pair.cells["method"].isin(RETRAINED).any())


def _best_mix_table(
    cells: pd.DataFrame, methods: Sequence[str], labels: tuple[str, str]
) -> ReportTable:
    columns: Columns = {
        "metric": _metric,
        "eta_l": lambda row: f"{row.eta_l:g}",
        "best eta_u": lambda row: f"{row.eta_u:g}",
        labels[0]: _fixed("before"),
        labels[1]: _fixed("after"),
        "gain": _gain,
        "Pr[gain > 0]": lambda row: fixed(row.positive, 2),
    }
    return ReportTable.of(best_mixes(cells, *methods), columns)


def best_mixes(cells: pd.DataFrame, before: str, after: str, gain: str) -> pd.DataFrame:
    """The eta_u at which `after` is best, at a few eta_l.

    before, after, gain: methods of `cells`. Columns: metric, eta_l, eta_u, before, after, gain,
    low, high, positive.
    """
    eta_l = np.sort(cells["eta_l"].unique())
    shown = eta_l[np.unique(np.linspace(0, len(eta_l) - 1, SHOWN_ETA_L).round().astype(int))]
    rows: list[dict[str, Any]] = []
    for metric in ("average", "worst_group"):
        of_metric = cells[cells["metric"] == metric].set_index("method")
        for value in shown:
            here = of_metric[of_metric["eta_l"] == value]
            student = here.loc[after]
            best = student["eta_u"].to_numpy()[student["mean"].to_numpy().argmax()]
            cell = here[here["eta_u"] == best]
            gains = cell.loc[gain]
            rows.append(
                {
                    "metric": metric, "eta_l": value, "eta_u": best,
                    "before": cell.loc[before, "mean"], "after": cell.loc[after, "mean"],
                    "gain": gains["mean"], "low": gains["low"], "high": gains["high"],
                    "positive": gains["positive"],
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def agreement_table(compared: pd.DataFrame) -> ReportTable:
    """Agreement of predictions and measurements by method and metric."""
    return ReportTable.of(
        _agreements(compared, ["method", "metric"]),
        {"quantity": _method, "metric": _metric, **_AGREEMENT},
    )


def pairs_agreement_table(compared: pd.DataFrame) -> ReportTable:
    """As `agreement_table`, of one metric and several pairs of networks."""
    return ReportTable.of(
        _agreements(compared, ["teacher", "student", "method"]),
        {
            "teacher": lambda row: row.teacher,
            "student": lambda row: row.student,
            "quantity": _method,
            **_AGREEMENT,
        },
    )


def _agreements(compared: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows of `by`, the fields of Agreement, wrong (number of wrong signs) and cells."""
    return pd.DataFrame(
        [
            {
                **dict(zip(by, key, strict=True)), **agreement(part)._asdict(),
                "wrong": int(wrong_sign(part).sum()), "cells": len(part),
            }
            for key, part in compared.groupby(by, sort=False)
        ]
    )  # fmt: skip


def order_table(order: pd.DataFrame) -> ReportTable:
    """Spearman's correlations of table.order."""
    return ReportTable.of(
        order,
        {
            "method": lambda row: method_label(row.method),
            "metric": _metric,
            "cells": lambda row: str(row.cells),
            "accuracy": lambda row: _range(row.accuracy, row.accuracy_low, row.accuracy_high),
            "gain": lambda row: _range(row.gain, row.gain_low, row.gain_high),
        },
    )


def _fixed(field: str) -> Callable[[Any], str]:
    return lambda row: fixed(getattr(row, field))


def _gain(row: Any) -> str:
    mean, low, high = (np.asarray(value) for value in (row.gain, row.low, row.high))
    return bracket(Interval(mean, low, high, np.asarray(0)))


def _range(value: float, low: float, high: float) -> str:
    return f"{fixed(value, 2)} [{fixed(low, 2)}, {fixed(high, 2)}]"


def _metric(row: Any) -> str:
    return METRIC_LABELS[row.metric]


def _method(row: Any) -> str:
    return METHOD_LABELS[row.method]


_AGREEMENT: Columns = {
    "R²": _fixed("r2"),
    "near": lambda row: f"{100 * row.near:.0f} %",
    "in interval": lambda row: f"{100 * row.coverage:.0f} %",
    "Spearman": _fixed("spearman"),
    "wrong sign": lambda row: f"{row.wrong} of {row.cells}" if row.method == "gain" else "",
}
