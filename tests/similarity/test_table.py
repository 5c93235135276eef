"""Rows of a pair of networks: found by key, and read from files of either form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from w2s_groups.similarity import table
from w2s_groups.similarity.group_dimensions import Measurement, PairReport

NAN = float("nan")
REPORT = PairReport(
    n=100, fraction=0.99, seed=0, d_w=Measurement(30, 0.5), d_s=Measurement(12, 0.25),
    d_sw_sketch=Measurement(7.4, 0.1), chance_sketch=11.25, d_sw_canonical=Measurement(9.5, 0.2),
    d_sw_corrected=Measurement(6.5, 0.3), chance_canonical=3.6, cka=Measurement(0.123456789, 0.01),
    d_z=4, d_z_w=4, d_z_s=3, p_w=Measurement(7.5, 0.1), p_s=Measurement(3.0, 0.1),
    p_sw=Measurement(NAN, NAN),
)  # fmt: skip
# As stored before key and chance were fields.
OLD = [
    {"name": "intrinsic dimension, teacher", "symbol": "d_w", "value": 322.0, "error": 0.9,
     "definition": "top eigenvalues with 99% of the trace"},
    {"name": "correlation dimension, sketch", "symbol": "d_sw", "value": 320.5, "error": 0.0,
     "definition": "DLLL25's own estimator, error over sketches; two unrelated subspaces would "
     "give 322"},
]  # fmt: skip


def test_a_row_is_a_field_of_the_report() -> None:
    rows = table.rows(REPORT)
    for row in rows:
        value = getattr(REPORT, row["key"]).value
        assert row["value"] == (pytest.approx(value, rel=5e-6) if value == value else None)
    chance = {row["key"]: row["chance"] for row in rows if row["chance"] is not None}
    assert chance == {"d_sw_canonical": 3.6, "d_sw_sketch": 11.25}
    assert len({row["name"] for row in rows}) == len(rows)


def test_rows_stored_without_key_and_chance_get_both(tmp_path: Path) -> None:
    new = table.rows(replace(REPORT, chance_sketch=11.0, chance_canonical=4.0))
    old = [{k: v for k, v in row.items() if k not in ("key", "chance")} for row in new]
    for rows in (new, old):
        (tmp_path / "pair.json").write_text(json.dumps(rows))
        assert table.read(tmp_path / "pair.json") == new
    sketch = table.upgraded(OLD)[1]
    assert (sketch["key"], sketch["chance"]) == ("d_sw_sketch", 322.0)
    (pair,) = table.pairs_of({"pair": [{"teacher": "t", "student": "s", "numbers": OLD}]})
    assert pair["numbers"]["d_w"] == {"key": "d_w", **OLD[0], "chance": None}
    assert table.pairs_of({}) == []


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"name": "d_w"}]'])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "pair.json").write_text(content)
    with pytest.raises(ValueError):  # noqa: PT011
        table.read(tmp_path / "pair.json")


@pytest.mark.parametrize(("error", "kept"), [(2.8e-14, 0.0), (0.0, 0.0), (0.25, 0.25)])
def test_an_error_below_the_digits_of_its_value_is_rounding(error: float, kept: float) -> None:
    sketch = replace(REPORT, d_sw_sketch=Measurement(322.0, error))
    assert {row["key"]: row["error"] for row in table.rows(sketch)}["d_sw_sketch"] == kept
