"""Tables of a report: the best mix, agreement with measured draws, and absent groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from w2s_groups.prediction import report_tables, table
from w2s_groups.results.format import fixed

ETA_L, ETA_U = (0.1, 0.5), (0.1, 0.3, 0.5)
STUDENT = np.array([[0.7, 0.9, 0.8], [0.6, 0.5, 0.4]])  # best at eta_u = 0.3, then 0.1


def cells(student: np.ndarray) -> pd.DataFrame:
    """Rows of table.predictions: a teacher at 0.65 everywhere, all metrics the same."""
    rows = []
    for metric in table.METRICS:
        for i, u in np.ndindex(student.shape):
            values = {"teacher": 0.65, "w2s": student[i, u], "gain": student[i, u] - 0.65}
            for method, value in values.items():
                rows.append(
                    {
                        "n_l": 10, "eta_l": ETA_L[i], "n_u": 20, "eta_u": ETA_U[u],
                        "method": method, "metric": metric, "mean": value, "low": value - 0.1,
                        "high": value + 0.1, "error": 0.0, "positive": float(value > 0),
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def measured(shift: float) -> pd.DataFrame:
    """Rows of table.measurements: two draws about what is predicted, plus a shift."""
    rows = cells(STUDENT).drop(columns=["low", "high", "positive"])
    draws = [np.array([mean + shift - 0.05, mean + shift + 0.05]) for mean in rows["mean"]]
    return rows.assign(mean=rows["mean"] + shift, error=1e-3, draws=draws)


def test_the_best_mix_is_that_of_the_highest_accuracy() -> None:
    best = report_tables.best_mixes(cells(STUDENT), *table.METHODS)
    assert best["eta_u"].tolist() == [0.3, 0.1] * 2
    assert best["after"].tolist() == [0.9, 0.6] * 2
    np.testing.assert_allclose(best["gain"], [0.25, -0.05] * 2)


def test_an_absent_group_is_blank() -> None:
    best = report_tables.best_mixes(cells(np.full((2, 3), np.nan)), *table.METHODS)
    assert best["after"].isna().all()
    shown = report_tables.ReportTable.of(best, {"student": lambda row: fixed(row.after)})
    assert shown.rows == (("–",),) * 4
    assert shown.markdown().splitlines()[:3] == ["| student |", "| --- |", "| – |"]


@pytest.mark.parametrize(("shift", "near", "inside"), [(0.0, 1.0, 1.0), (0.12, 0.0, 0.5)])
def test_agreement_of_a_shifted_measurement(shift: float, near: float, inside: float) -> None:
    compared = table.compare(cells(STUDENT), measured(shift))
    for (method, _), part in compared.groupby(["method", "metric"]):
        agreement = table.agreement(part)
        assert (agreement.near, agreement.coverage) == (near, inside)
        if method != "teacher":  # which is the same in every cell
            assert agreement.spearman == pytest.approx(1)
            assert agreement.r2 == pytest.approx(1 - shift**2 / STUDENT.var())
    gains = compared[compared["method"] == "gain"]
    crossed = (gains["predicted"] < 0) & (gains["predicted"] + shift > 0)
    np.testing.assert_array_equal(table.wrong_sign(gains), crossed)
    shown = report_tables.agreement_table(compared)
    wrong = [row[-1] for row in shown.rows if row[0] == "gain"]
    assert wrong == [f"{int(crossed.sum()) // 3} of 6"] * 3
