from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.figures import style
from w2s_groups.theory.intervals import mean_interval, ratio_interval
from w2s_groups.theory.intrinsic import MODELS, exact_risks, opr, pgr, printed_risks
from w2s_groups.theory.intrinsic_simulate import Sizes
from w2s_groups.theory_figures.intrinsic_dimension import IntrinsicDimension

SETTING = Sizes(d=60, d_star=12, d_w=6, d_s=4)
TINY = IntrinsicDimension(
    60, 12, 6, 4, [1, 3], [12, 20], [10, 25], 14, 16, {"loud": 0.05, "quiet": 0.002}, 5, 0
)
POINTS = [("n", 12, 16), ("n", 20, 16), ("N", 14, 10), ("N", 14, 25)]


def no_progress(done: int, total: int) -> None:
    pass


def run(experiment, folder, progress=no_progress):
    experiment.run(folder / "out", folder / "work", progress)


def stored(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "work").rglob("*.npy")}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder of a finished run and its calls of progress; tests do not write there."""
    folder = tmp_path_factory.mktemp("intrinsic")
    calls = []
    run(TINY, folder, lambda *a: calls.append(a))
    return folder, calls


@pytest.fixture
def again(done, tmp_path, monkeypatch):
    """A copy of the finished run to go on from; pictures, slow to render, are left empty."""
    for form in ("pdf", "png"):
        monkeypatch.setattr(style, form, lambda figure: b"")
    shutil.copytree(done[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_writes_a_table_and_two_pictures_a_case(done):
    folder, calls = done
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {path.name for path in (folder / "out").iterdir()} == {
        f"{case}.{ending}" for case in TINY.cases for ending in ("csv", "pdf", "png")
    }
    assert len(stored(folder)) == len(POINTS)
    for case, sigma2 in TINY.cases.items():
        table = pd.read_csv(folder / f"out/{case}.csv")
        places = table[["sweep", "n", "N", "d_sw"]].drop_duplicates()
        assert set(places.itertuples(index=False, name=None)) == {
            (*point, d_sw) for point in POINTS for d_sw in TINY.d_sw
        }
        assert len(table) == len(POINTS) * 2 * (len(MODELS) + 2)
        assert set(table["sigma2"]) == {sigma2}
        assert set(table["trials"]) == {5}
        assert (table["low"] < table["mean"]).all()
        assert (table["mean"] < table["high"]).all()


@pytest.mark.parametrize(
    ("column", "risks_of"), [("exact", exact_risks), ("printed", printed_risks)]
)
def test_closed_forms_of_every_row(done, column, risks_of):
    for case, sigma2 in TINY.cases.items():
        table = pd.read_csv(done[0] / f"out/{case}.csv")
        for (n, N, d_sw), rows in table.groupby(["n", "N", "d_sw"]):
            risks = risks_of(SETTING.pair(int(d_sw)), n, N, sigma2)
            expected = {
                **risks,
                "PGR": pgr(risks["teacher"], risks["w2s"], risks["ceiling"]),
                "OPR": opr(risks["baseline"], risks["w2s"]),
            }
            found = rows.set_index("quantity")[column]
            assert set(found.index) == set(expected)
            for quantity, value in expected.items():
                assert found[quantity] == pytest.approx(float(value), rel=1e-12), quantity


def test_simulated_columns_are_those_of_the_stored_trials(done):
    folder, _ = done
    found = {path.name: np.load(path) for path in stored(folder)}
    for s, case in enumerate(TINY.cases):
        table = pd.read_csv(folder / f"out/{case}.csv")
        keys = ["sweep", "n", "N", "d_sw"]
        for (sweep, n, N, d_sw), rows in table.groupby(keys):
            risks = found[f"{sweep}_n{n}_N{N}.npy"][:, TINY.d_sw.index(d_sw), s]
            weak, student, baseline, ceiling = risks.T
            mean, half = mean_interval(risks)
            ends = zip(MODELS, mean, mean - half, mean + half, strict=True)
            expected = {name: tuple(values) for name, *values in ends}
            expected["PGR"] = ratio_interval(weak - student, weak - ceiling)
            expected["OPR"] = ratio_interval(baseline, student)
            of_rows = rows.set_index("quantity")[["mean", "low", "high"]]
            for quantity, values in expected.items():
                assert tuple(of_rows.loc[quantity]) == pytest.approx(values, rel=1e-12), quantity


def test_resumes_where_it_was(again):
    before, csv = stored(again), (again / "out/loud.csv").read_bytes()
    next(path for path in before if path.name == "N_n14_N10.npy").unlink()
    (again / "out/loud.csv").unlink()
    run(TINY, again)
    after = stored(again)
    assert after.keys() == before.keys()
    assert {path.name for path in after if after[path] != before[path]} == {"N_n14_N10.npy"}
    assert (again / "out/loud.csv").read_bytes() == csv


def test_a_point_does_not_depend_on_the_others(again):
    all_points = pd.read_csv(again / "out/loud.csv")
    shutil.rmtree(again / "work")
    run(replace(TINY, n=[20], N=[25, 10]), again)
    table = pd.read_csv(again / "out/loud.csv")
    assert 0 < len(table) < len(all_points)
    both = table.merge(all_points, how="left", indicator=True)  # on every column, exactly
    assert (both["_merge"] == "both").all()


@pytest.mark.parametrize("changes", [{"seed": 1}, {"trials": 6}, {"cases": {"loud": 0.06}}])
def test_another_setting_does_not_take_stored_points(again, changes):
    before = stored(again)
    table = pd.read_csv(again / "out/loud.csv")
    run(replace(TINY, **changes), again)
    after = stored(again)
    assert len(after) == 2 * len(before)
    assert all(after[path] == when for path, when in before.items())
    assert (pd.read_csv(again / "out/loud.csv")["mean"] != table["mean"]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 1}, "trials=1"),
        ({"seed": -1}, "seed=-1"),
        ({"d_sw": []}, "d_sw is empty"),
        ({"n": []}, "n is empty"),
        ({"N": []}, "N is empty"),
        ({"cases": {}}, "cases is empty"),
        ({"cases": {"../away": 0.01}}, "cases: '../away'"),
        ({"n": [30, 30]}, "repeats a value"),
        ({"d_sw": [0, 1, 2, 3, 4, 5]}, "the figure has colours for 5"),
        ({"d_sw": [1, 5]}, "d_sw=5"),
        ({"d_star": 61}, "d_star=61"),
        ({"n": [12, 7]}, "n=7 "),
        ({"N_fixed": 5}, "N=5 "),
        ({"cases": {"loud": -0.1}}, "sigma2"),
    ],
)
def test_bad_configuration_fails_before_work(tmp_path, changes, message):
    bad = replace(TINY, **changes)
    with pytest.raises(InputError, match=message):
        bad.validate()
    with pytest.raises(InputError, match=message):
        run(bad, tmp_path)
    assert list(tmp_path.iterdir()) == []
