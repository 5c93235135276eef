"""Predictions of a method that was trained elsewhere -> its results by cell and group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.experiment import records
from w2s_groups.experiment.draws import Drawing, Drawn
from w2s_groups.experiment.identity import NUMERICS
from w2s_groups.results import predictions, store
from w2s_groups.results.columns import ACCURACY, POINT, RUN, SETUP, filled
from w2s_groups.results.provenance import provenance
from w2s_groups.results.submitted import Submission, table_of

CEILING = "ceiling"


def score(path: Path, card: Mapping[str, Any], drawing: Drawing, data: str) -> Submission:
    """Read the predictions of every cell and count those that are right.

    Labels are those of the dataset. InputError for predictions that do not fit the draws, see
    predictions.read, and for a card that does not.
    """
    if card["tuning"]["data"] == "validation" and not any(
        len(drawn.rows["validation"]) for drawn in drawing.cells
    ):
        raise InputError(
            "the card has tuning.data=validation, and these draws have no validation set; correct "
            "the card, or train on draws with n_val"
        )
    groups = drawing.dataset.groups
    test = [drawn.rows["test"] for drawn in drawing.cells]
    keys = [drawn.key for drawn in drawing.cells]
    wanted = predictions.Wanted(keys, drawing.ids, test, groups.class_names, drawing.dataset.NOUN)
    decided = predictions.read(path, wanted)
    shown: dict[str, dict[str, Any]] = {}
    cells = [
        _of_cell(drawing, drawn, classes, shown)
        for drawn, classes in zip(drawing.cells, decided, strict=True)
    ]
    made = records.by_group(
        groups, "", "", "", np.full(groups.n_groups, np.nan), np.zeros(groups.n_groups, np.int64)
    )
    columns = [{name: row[name] for name in ("group", "y", "a", "minority")} for row in made]
    made_with = {
        "w2s_groups": provenance()["versions"]["w2s_groups"],
        "numerics": NUMERICS,
    }
    return Submission(dict(card), data, drawing.samples, columns, cells, shown, made_with)


def _of_cell(
    drawing: Drawing, drawn: Drawn, classes: NDArray[np.int64], shown: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Counts of one cell; what its test samples show is added to `shown`, once a fold."""
    dataset, rows = drawing.dataset, drawn.rows["test"]
    right, n_groups = classes == dataset.y[rows], dataset.groups.n_groups
    codes = dataset.codes[rows]
    cell = {
        "cell": drawn.key,
        "draw": drawn.digest,
        "fields": drawn.fields,
        "right": np.bincount(codes[right], minlength=n_groups).tolist(),
        "n": np.bincount(codes, minlength=n_groups).tolist(),
    }
    fold = drawn.fields.get("fold")
    if fold in drawing.pools and not drawn.fields["audit"]:
        pool, _ = drawing.pools[fold]
        counts = records.by_identity(pool, {drawn.key: classes})
        if counts is not None:
            of_names = counts.as_json()
            cell["seen"] = of_names.pop("right")[drawn.key]
            shown[str(fold)] = of_names
    return cell


def doubts(one: Submission, folder: Path) -> list[str]:
    """Sentences on results that can hardly be: all right, or more than the ceiling of a run has.

    folder: of the experiment, whose stored cells may have a ceiling.
    """
    own = table_of([one])
    total, right = int(own["n"].sum()), float((own["value"] * own["n"]).sum())
    if total and right == total:
        return [
            f"{one.name} agrees with all {total} test labels, which no method can; check that no "
            "test label was read"
        ]
    table = filled(store.load(folder, store.keys(folder)))
    of_test = (table["split"] == "test") & (table["metric"] == ACCURACY)
    ceiling = table[of_test & (table["method"] == CEILING)]
    where = [*SETUP, *POINT, *RUN, "group"]
    there = ceiling.rename(columns={"value": CEILING})[[*where, CEILING]].drop_duplicates(where)
    both = own.merge(there, on=where)
    means = _means(both, ("value", CEILING))
    if len(both) and means[0] > means[1]:
        return [
            f"{one.name} is right on {means[0]:.3f} of the test samples and the ceiling, which is "
            f"trained on true labels, on {means[1]:.3f}; check that no test label was read"
        ]
    return []


def _means(both: pd.DataFrame, columns: Sequence[str]) -> list[float]:
    """Shares of test samples that are right, over all rows."""
    total = both["n"].sum()
    return [float((both[name] * both["n"]).sum() / total) if total else np.nan for name in columns]
