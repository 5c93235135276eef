"""Methods of files in a run: their settings, keys and reports; and those that fail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.methods import METHODS, files
from w2s_groups.reports import rebuild
from w2s_groups.results import failures, store
from w2s_groups.schema.config import Config

SMALL = (
    *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4", "n_l=40", "n_u=100"),
    *("eta_l=0.25", "eta_u=0.5", "seeds=[0,1]"),
)
FILE = """
import numpy as np
from w2s_groups.methods.plugins import method

@method(needs="teacher", summary="As W2S", sources="Ours, https://example.org/paper")
def same(draws, solved, *, temperature: float = 1.0):
    power = solved["teacher"].proba(draws.unlabelled) ** (1 / temperature)
    return power / power.sum(axis=1, keepdims=True)

@method(needs="teacher", summary="Fails now and then", sources="Ours")
def moody(draws, solved):
    if {when}:
        raise TypeError("not\\ntoday")
    return solved["teacher"].proba(draws.unlabelled)

@method(needs=("teacher", "moody"), summary="Builds on it", sources="Ours")
def after(draws, solved):
    return solved["moody"].proba(draws.unlabelled)

@method(summary="Wrong", sources="Ours")
def wrong(draws, solved):
    {wrong}
"""
Load = Callable[..., Config]


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS, "_registered", {})
    monkeypatch.setattr(files, "_run", {})


def write(folder: Path, when: str = "False", wrong: str = "return None") -> Path:
    path = folder / "own.py"
    path.write_text(FILE.format(when=when, wrong=wrong), encoding="utf-8")
    return path


def start(load: Load, folder: Path, methods: str, *more: str) -> tuple[Any, pd.DataFrame]:
    cfg = load(
        *SMALL, f"methods=[teacher,w2s,{methods}]", f"cache_dir={folder}/cache",
        f"results_dir={folder}/results", f"reports_dir={folder}/reports", *more,
    )  # fmt: skip
    done = run.run(cfg)
    return done, store.load(folder / "results/leaderboard", done.keys)


def accuracies(table: pd.DataFrame, method: str) -> Any:
    test = table[(table["split"] == "test") & (table["method"] == method)]
    return test.sort_values(["seed", "group"])["value"].to_numpy()


def test_a_file_runs_with_settings_and_variants_and_in_a_report(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"method/{write(tmp_path)}:same"
    _, table = start(load, tmp_path, own, "+vary.same.temperature=[0.25,0.5]")
    np.testing.assert_array_equal(accuracies(table, "same"), accuracies(table, "w2s"))
    assert (accuracies(table, "same[temperature=0.25]") != accuracies(table, "w2s")).any()
    folder = tmp_path / "reports/leaderboard/gaussian"
    told = json.loads((folder / "settings.json").read_text())["plugins"]
    assert told == {
        "same": {
            "summary": "As W2S", "sources": ["Ours, https://example.org/paper"],
            "origin": "own.py", "code": METHODS["same"].code[:16],
        }
    }  # fmt: skip
    page = (folder / "leaderboard.md").read_text(encoding="utf-8")
    assert "As W2S" in page
    assert "https://example.org/paper; own.py" in page
    assert "https://example.org/paper" in (folder / "leaderboard.html").read_text(encoding="utf-8")
    monkeypatch.setattr(METHODS, "_registered", {})  # as on a machine without the file
    assert rebuild.differences(tmp_path) == []


def test_the_code_is_in_the_key_and_of_plugins_only(tmp_path: Path, load: Load) -> None:
    own = f"method/{write(tmp_path)}:same"
    before, _ = start(load, tmp_path, own)
    again, _ = start(load, tmp_path, own)
    write(tmp_path, wrong="return 1")
    after, _ = start(load, tmp_path, own)
    assert before.keys == again.keys
    assert set(before.keys).isdisjoint(after.keys)
    built_in, _ = start(load, tmp_path, "ceiling")
    cell = store.read(tmp_path / f"results/leaderboard/{built_in.keys[0]}.json")
    assert "code" not in cell.identity


def test_a_plugins_own_yaml_comes_before_its_defaults(tmp_path: Path, load: Load) -> None:
    own = f"method/{write(tmp_path)}:same"
    (tmp_path / "conf/methods").mkdir(parents=True)
    (tmp_path / "conf/methods/same.yaml").write_text(
        "# @package methods.same\ndefaults:\n  - /schema/methods/same@_here_\n  - _self_\n"
        "temperature: 0.3\n"
    )
    asked = (f"methods=[teacher,{own}]", f"hydra.searchpath=[file://{tmp_path}/conf]")
    assert load(*SMALL, *asked).methods["same"].temperature == 0.3
    assert load(*SMALL, asked[0]).methods["same"].temperature == 1.0
    (tmp_path / "conf/methods/same.yaml").write_text("# @package methods.same\ntemperature: 0.3\n")
    with pytest.raises(InputError, match=r"same has no schema; begin .*\[/schema/methods/same@"):
        load(*SMALL, *asked)
    assert load(*SMALL, asked[0], "l2=0.5").methods["same"].l2 == 0.5


def test_a_method_that_fails_is_a_gap_and_is_tried_again(
    tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, when="draws.labelled.sum() % 2 == 0 or True")
    named = ",".join(f"method/{path}:{name}" for name in ("same", "moody", "after"))
    done, table = start(load, tmp_path, named)
    assert [row["reason"] for row in done.failed] == [
        "method moody: TypeError: not today; method after: it needs moody, which failed"
    ] * 2
    assert "method moody: TypeError" in capsys.readouterr().out
    np.testing.assert_array_equal(accuracies(table, "same"), accuracies(table, "w2s"))
    gaps = table[table["method"].isin(["moody", "after"])]
    assert gaps["value"].isna().all()
    assert (gaps["n"] > 0).all()
    (page,) = (tmp_path / "reports/leaderboard").rglob("leaderboard.md")
    text = page.read_text(encoding="utf-8")
    assert "method moody: TypeError: not today" in text
    assert "In 2 cells methods failed, which have no number there" in text
    assert "cells failed and" not in text
    ran = [failures.why(row) for row in failures.load(tmp_path / "results/leaderboard")]
    again, _ = start(load, tmp_path, named)
    assert again.keys == done.keys
    assert [failures.why(row) for row in again.failed] == ran  # tried, and failed again
    write(tmp_path)
    mended, table = start(load, tmp_path, named)
    assert not mended.failed
    np.testing.assert_array_equal(accuracies(table, "moody"), accuracies(table, "w2s"))
    assert np.isfinite(accuracies(table, "after")).all()
    write(tmp_path, when="True")
    with pytest.raises(TypeError, match="not\ntoday"):
        start(load, tmp_path, named, "fail_fast=true")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return None", "it returned nothing; return targets of all unlabelled rows"),
        ("return draws.y_labelled[:3]", r"targets have shape \(3, 2\)"),
        ("return np.ones((100, 3)) / 3", r"shape \(100, 3\): must be \(n, 2\)"),
        ("return np.full((100, 2), np.nan)", "targets must be probabilities"),
        ("return np.array([999999]), np.eye(2)[:1]", "rows hold 999999, which this cell has not"),
        ("return draws.labelled / 2, draws.y_labelled", "rows have the type float64"),
        ("return draws.labelled, draws.y_labelled, -np.ones(40)", "weights must be nonnegative"),
        ("draws.y_labelled[0] = 0", "ValueError: assignment destination is read-only"),
        ("return draws.y_unlabelled[:3]", "TypeError: 'NoneType'"),
        ("return draws.codes_labelled[:3]", "TypeError: 'NoneType'"),
        ("return solved['teacher']", "KeyError: 'teacher'"),
        ("yield 3", "it yielded a int; yield a list of problems"),
        ("yield [3]", "it returned a int; return"),
    ],
)
def test_wrong_answers_are_one_sentence(
    tmp_path: Path, load: Load, body: str, sentence: str
) -> None:
    own = f"method/{write(tmp_path, wrong=body)}:wrong"
    done, table = start(load, tmp_path, own, "seeds=[0]")
    (row,) = done.failed
    assert row["reason"].startswith("method wrong: ")
    assert re.search(sentence, row["reason"])
    assert np.isfinite(accuracies(table, "w2s")).all()


def test_rows_outside_the_cell_cannot_be_asked_about(tmp_path: Path, load: Load) -> None:
    path = write(tmp_path)
    text = path.read_text().replace(
        'solved["teacher"].proba(draws.unlabelled) **', 'solved["teacher"].proba(np.arange(3)) **'
    )
    path.write_text(text)
    done, _ = start(load, tmp_path, f"method/{path}:same", "seeds=[0]")
    assert "rows that this cell has not drawn" in done.failed[0]["reason"]
