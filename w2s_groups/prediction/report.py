"""The report of a prediction: figures, a Markdown page, and text for the terminal."""

from __future__ import annotations

from typing import Any

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.text import wrapped
from w2s_groups.figures import style
from w2s_groups.prediction.figures import maps, measured, sizes
from w2s_groups.prediction.report_tables import (
    METRIC_LABELS,
    agreement_table,
    alpha_table,
    best_mix_table,
    has_retrained,
    order_table,
    pairs_agreement_table,
    retrained_best_mix_table,
)
from w2s_groups.prediction.storage import PairPrediction
from w2s_groups.prediction.table import METRICS
from w2s_groups.results.format import IMAGE, noun_of

EVERY = "predicted_vs_measured.csv.gz"
LEGEND = (
    "Near: share of cells whose measured mean lies within 0.01 of the prediction, or within two "
    "standard errors. In interval: share of draws inside the predicted 95 % interval. Wrong sign: "
    "cells whose measured gain is more than two standard errors from 0, on the other side of 0 "
    "than predicted."
)


def files(pair: PairPrediction) -> dict[str, bytes]:
    """Name -> content of all files that are made from the tables of one pair."""
    of_maps = maps.draw(pair.cells, pair.compared)
    n = {name: pair.settings[name] for name in ("n_l", "n_u")}
    of_sizes = sizes.draw(pair.sizes, n, noun_of(pair.settings))
    map_png = style.png(of_maps, dpi=120)
    of_maps.set_layout_engine("none")  # the layout of one file serves the other
    content = {
        "README.md": markdown(pair).encode(),
        "map.png": map_png,
        "map.pdf": style.pdf(of_maps),
        "sizes.png": style.png(of_sizes, dpi=120),
    }
    if has_retrained(pair):
        content["map_retrained.png"] = style.png(maps.draw_retrained(pair.cells), dpi=120)
    if pair.compared is not None:
        names = {name: pair.settings[name] for name in ("teacher", "student")}
        content |= _scatter(pair.compared.assign(**names))
    return content


def files_of_all(data: str, compared: pd.DataFrame) -> dict[str, bytes]:
    """Name -> content of the report of several pairs on one dataset.

    compared: rows of table.compare, with teacher and student, and with noun where a sample is not
    an image.
    """
    noun = str(compared["noun"].iloc[0]) if "noun" in compared else IMAGE
    parts = [
        f"# Predicted against measured on {data}",
        f"{compared['n'].max()} measured draws for each cell and pair. The alpha of each pair was "
        f"chosen on the pool. Accuracies are those on test {noun}s. {LEGEND}",
    ]
    for metric in METRICS:
        parts += [
            f"## {METRIC_LABELS[metric].capitalize()}",
            f"![predicted against measured]({_scatter_file(metric)})",
            pairs_agreement_table(compared[compared["metric"] == metric]).markdown(),
        ]
    return {"README.md": _page(parts).encode(), **_scatter(compared)}


def summary(pair: PairPrediction) -> str:
    """The tables as plain text, in 80 columns."""
    settings = pair.settings
    noun = noun_of(settings)
    parts = [
        f"{settings['teacher']} -> {settings['student']} on {settings['data']}, "
        f"n_l={settings['n_l']}, n_u={settings['n_u']}: {predicted_heads(settings)} heads, "
        "predicted",
        "student by alpha, mean over the corners of the map (highest worst group: "
        f"alpha={settings['alpha']:g})",
        alpha_table(pair).text(),
        "best eta_u for each eta_l (intervals hold 95 % of draws)",
        best_mix_table(pair).text(),
    ]
    if has_retrained(pair):
        parts += [
            f"student retrained on the most confident {100 * settings['keep']:g} % of its {noun}s, "
            "with the teacher's decisions as labels; gain over the student",
            retrained_best_mix_table(pair).text(),
        ]
    if pair.compared is not None and pair.order is not None:
        parts += [
            f"comparison with {settings['draws']} measured draws a cell of {settings['head']} "
            f"heads, on test {noun}s",
            agreement_table(pair.compared).text(),
            "order of the cells (Spearman's correlation)",
            order_table(pair.order).text(),
        ]
    return "\n\n".join(part if "\n" in part else wrapped(part) for part in parts)


def predicted_heads(settings: dict[str, Any]) -> str:
    """The kind of head that `predict` predicts: ridge where the trained kind has no theory."""
    return "logistic" if settings["head"] == "logistic" else "ridge"


def markdown(pair: PairPrediction) -> str:
    """The page of one pair."""
    parts = [*_introduction(pair.settings), *_regularisation(pair), *_best_mix(pair)]
    if has_retrained(pair):
        parts += _retraining(pair)
    parts += ["## Sizes", "![gain against the sizes of both sets](sizes.png)"]
    if pair.compared is not None and pair.order is not None:
        parts += _comparison(pair.settings, pair.compared, pair.order)
    return _page(parts)


def _introduction(settings: dict[str, Any]) -> list[str]:
    noun = noun_of(settings)
    where = (
        f"on the pool's {noun}s, each as if it had not been drawn. They hold for new {noun}s like "
        "those of the pool, with the same individuals and places where several show one"
        if settings["read_from"] == "pool"
        else f"on test {noun}s, which neither the heads nor the choice of alpha uses"
    )
    return [
        f"# Predicted: {settings['teacher']} → {settings['student']} on {settings['data']}",
        f"{predicted_heads(settings).capitalize()} heads on n_l = {settings['n_l']} labelled and "
        f"n_u = {settings['n_u']} unlabelled {noun}s, predicted from the features only, with "
        f"{settings['samples']} sampled draws for each cell. No head was trained. Accuracies are "
        f"measured {where}. `docs/prediction.md` gives the derivation and the known failures.",
        "![maps over both minority fractions](map.png)",
    ]


def _regularisation(pair: PairPrediction) -> list[str]:
    settings = pair.settings
    logistic = predicted_heads(settings) == "logistic"
    l2 = "l2 = alpha" if logistic else "l2 = alpha times the width of the features"
    return [
        "## Regularisation",
        f"The map has alpha = {settings['alpha']:g} ({l2}), which gives the student the highest "
        f"worst-group accuracy on the pool's {noun_of(settings)}s.",
        alpha_table(pair).markdown(),
    ]


def _best_mix(pair: PairPrediction) -> list[str]:
    return [
        "## Best unlabelled mix",
        "Intervals hold 95 % of draws.",
        best_mix_table(pair).markdown(),
    ]


def _retraining(pair: PairPrediction) -> list[str]:
    settings = pair.settings
    return [
        "## Selective retraining",
        f"The student, retrained on the most confident {100 * settings['keep']:g} % of its "
        f"{noun_of(settings)}s with the squared loss and the teacher's decisions as labels. Gains "
        "are gains over the student.",
        "![maps of the retrained student](map_retrained.png)",
        retrained_best_mix_table(pair).markdown(),
    ]


def _comparison(settings: dict[str, Any], compared: pd.DataFrame, order: pd.DataFrame) -> list[str]:
    trained, heads = settings["head"], predicted_heads(settings)
    if trained != heads:
        trained += " (another loss: only their order can agree)"
    return [
        "## Measured",
        f"{settings['draws']} draws a cell of {trained} heads, measured and predicted on test "
        f"{noun_of(settings)}s. {LEGEND}",
        agreement_table(compared).markdown(),
        *(f"![{METRIC_LABELS[metric]}]({_scatter_file(metric)})" for metric in METRICS),
        f"Order of the cells: Spearman's correlation of the predicted {heads} student with the "
        "means of each trained method, and its 95 % interval over resampled seeds.",
        order_table(order).markdown(),
    ]


def _page(parts: list[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _scatter(cells: pd.DataFrame) -> dict[str, bytes]:
    return {
        _scatter_file(metric): style.png(measured.draw(cells, metric, maps.LABELS[metric]), dpi=120)
        for metric in METRICS
    }


def _scatter_file(metric: str) -> str:
    return f"predicted_vs_measured_{metric}.png"
