"""No text of a table that we write is run by a spreadsheet that opens it."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_cells import FIELDS, cell, record
from tables import grid_table

import w2s_groups
from w2s_groups.cli import main
from w2s_groups.core import spreadsheet
from w2s_groups.core.errors import InputError
from w2s_groups.core.spreadsheet import as_text, is_formula
from w2s_groups.experiment import exported
from w2s_groups.prediction import storage
from w2s_groups.results import columns, store, tested
from w2s_groups.results.tested import Counts
from w2s_groups.schema import fields
from w2s_groups.schema.choices import TableFormat

PACKAGE = Path(w2s_groups.__file__).parent
FORMULAS = (
    '=HYPERLINK("http://x","y")', "+cmd|' /C calc'!A0", "-2+3+cmd|x", "@SUM(1)", "\t=1+1",
    "\r=1+1", "\n@x", "＝1+1", "＠x", "=", "-@=x",
)  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS[:9])
def test_formulas_are_known(text: str) -> None:
    assert is_formula(text)
    assert not is_formula(as_text(text))


@pytest.mark.parametrize(
    "text", ["", "a", "-1", "+0.5", "-1e-3", "-inf", "--", "a=b", "<=50K", "="]
)
def test_numbers_marks_and_words_are_no_formulas(text: str) -> None:
    assert not is_formula(text)
    assert as_text(text) == text


@given(st.text(max_size=6))
def test_a_marked_text_is_none_and_is_marked_once(text: str) -> None:
    marked = as_text(text)
    assert not is_formula(marked)
    assert as_text(marked) == marked
    assert marked in (text, f"'{text}")


def test_a_table_with_a_formula_is_not_written_and_others_are_as_pandas_writes_them() -> None:
    table = pd.DataFrame(
        {"n": [1, -2], "x": [-0.5, np.nan], "s": ["-1", 'a,"b"'], "b": [True, False]}
    )
    assert spreadsheet.to_csv(table, "") == table.to_csv(index=False, lineterminator="\n")
    for kind in ("object", "str", "category"):
        bad = table.assign(s=pd.Series(["ok", "=1+1"]).astype(kind))
        with pytest.raises(InputError, match=r"s='=1\+1' begins as a formula.*; do that"):
            spreadsheet.to_csv(bad, "do that")


# Files that write CSV by themselves, and why no text of a user is in it or how it is checked.
WRITERS = {
    "core/spreadsheet.py": "checks",
    "theory_figures/study.py": "numbers only",
    "data/folder.py": "names through slug(), behind a folder",
    "reports/page/downloads.py": "methods of results.csv.gz, which was checked when it was written",
    "experiment/exported.py": "calls refuse()",
    "results/columns.py": "calls check()",
}


def test_every_writer_of_csv_is_known() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if not isinstance(called, ast.Attribute):
                continue
            of = ast.unparse(called)
            if called.attr in ("to_csv", "writer", "DictWriter", "write_csv") and of not in (
                "spreadsheet.to_csv", "storage.to_csv", "columns.to_csv",
            ):  # fmt: skip
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == set(WRITERS)


@pytest.mark.parametrize("column", ["data", "teacher", "student", "method", "group"])
def test_results_and_predictions_of_someone_else_are_checked(column: str) -> None:
    table = grid_table(seeds=2)
    bad = table.assign(**{column: "@x" + table[column].astype(str)})
    with pytest.raises(InputError, match=rf"{column}='@x.* remove the cells that hold it"):
        columns.to_csv(bad)
    with pytest.raises(InputError, match=f"{column}='@x"):
        storage.to_csv(bad[[column]])


def test_an_export_of_a_cell_with_a_formula_is_refused_as_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save(tmp_path / "mine", cell(record(0.5, "=HYPERLINK(1)"), seed=0))
    asked = ["results", "export", "mine", "--results-dir", str(tmp_path), "--to"]
    for name in ("t.csv", "t.csv.gz"):
        assert main([*asked, str(tmp_path / name)]) == 2
        assert "write a .parquet file" in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / name).exists()
    assert main([*asked, str(tmp_path / "t.parquet")]) == 0
    assert set(pd.read_parquet(tmp_path / "t.parquet")["group"]) == {"=HYPERLINK(1)"}


def test_samples_with_names_that_are_formulas_are_exported_as_parquet_only() -> None:
    ids = pa.array(["@x.png", "b.png"]).dictionary_encode()
    drawn = pa.table({"id": ids, "label": pa.array(["-1", "1"]).dictionary_encode()})
    with pytest.raises(InputError, match=r"id='@x\.png' .* write the draws with format=parquet"):
        exported._encoded(drawn, TableFormat.csv)
    assert exported._encoded(drawn, TableFormat.parquet)
    assert exported._encoded(drawn.drop(["id"]), TableFormat.csv) == b'"label"\n"-1"\n"1"\n'


def test_names_of_people_and_places_stand_behind_an_apostrophe() -> None:
    counts = Counts(("@ann", "bob"), ("=1+1", "-3"), ("g", "g"), np.array([2, 1]),
                    {"w2s": np.array([1, 1])})  # fmt: skip
    of = {**columns.DEFAULTS, **FIELDS}
    shown = pd.DataFrame([{**of, "method": "w2s", "shown": "w2s"}])
    table = tested.table_of([(of, counts)], shown)
    assert table["identity"].tolist() == ["'@ann", "bob"]
    assert table["place"].tolist() == ["'=1+1", "-3"]
    text = spreadsheet.to_csv(table, "")
    pd.testing.assert_frame_equal(
        tested.canonical(pd.read_csv(io.StringIO(text), dtype={"place": str})), table,
        check_dtype=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS[:4])
def test_no_network_is_called_so(name: str) -> None:
    with pytest.raises(InputError, match="begins with one of"):
        fields.names("teacher", [name])
