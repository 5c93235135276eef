"""Runs from Python: the cells, numbers and pages of the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import w2s_groups as w2s
from w2s_groups import cli
from w2s_groups.data.gaussian import Gaussian
from w2s_groups.methods import METHODS
from w2s_groups.results.columns import to_csv

SETTINGS = {"eta_l": [0.05, 0.5], "eta_u": [0.05, 0.5], "n_l": 60, "n_u": 160, "n_seeds": 3}
NAMES = ["teacher", "w2s", "selective", "ceiling"]
SMALL = {"n_pool": 1500, "n_test": 300, "d_z": 6}


@pytest.fixture(scope="module")
def gaussian() -> w2s.Data:
    return w2s.datasets.load("gaussian", **SMALL)


def as_arrays(data: w2s.Data, **more: Any) -> w2s.Data:
    """The same samples as arrays, in the same order."""
    own = data.dataset
    given = {
        "weak": own.features["teacher"], "strong": own.features["student"], "y": own.y,
        "group": own.a, "split": own.split, "ids": np.arange(len(own.y)),
        "class_names": own.groups.class_names, "attribute_names": own.groups.attribute_names,
        "minority": sorted(own.groups.minority), "name": "gaussian",
        "networks": ("gaussian/weak", "gaussian/strong"),
    }  # fmt: skip
    return w2s.Data(**{**given, **more})


@pytest.fixture(scope="module")
def results(gaussian: w2s.Data) -> w2s.Results:
    return w2s.run(gaussian, methods=NAMES, **SETTINGS)


def test_the_command_gives_the_same_table_and_the_same_page(
    results: w2s.Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"{key}={value}".replace(" ", "") for key, value in SETTINGS.items()]
    words += [f"data.{key}={value}" for key, value in SMALL.items()]
    assert cli.main(["run", "data=gaussian", f"methods=[{','.join(NAMES)}]", *words]) == 0
    folder = tmp_path / "reports" / "leaderboard" / "gaussian"
    own = w2s.report(results, tmp_path / "own").parent
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in own.iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (own / name).read_bytes(), name
    assert to_csv(w2s.read(folder).table) == to_csv(results.table)


def test_by_name_is_as_loaded(results: w2s.Results) -> None:
    named = w2s.run("gaussian", methods=NAMES, **SETTINGS,
                    **{f"data.{key}": value for key, value in SMALL.items()})  # fmt: skip
    pd.testing.assert_frame_equal(named.table, results.table)


def test_arrays_give_the_same_numbers_as_the_data_set(
    gaussian: w2s.Data, results: w2s.Results
) -> None:
    own = w2s.run(as_arrays(gaussian), methods=NAMES, **SETTINGS)
    one, two = (table.drop(columns="cell") for table in (own.table, results.table))
    pd.testing.assert_frame_equal(one, two)


def test_neither_order_nor_type_of_the_arrays_matters(gaussian: w2s.Data) -> None:
    own = gaussian.dataset
    weak = own.features["teacher"].astype(np.float16)
    strong = own.features["student"].astype(np.float16)
    plain = {"y": own.y, "group": own.a, "split": own.split, "minority": [(0, 1), (1, 1)]}
    reference = w2s.Data(weak=weak, strong=strong, **plain)
    frame = pd.DataFrame(strong.astype(np.float64), index=np.arange(len(strong))[::-1])
    order = np.random.default_rng(0).permutation(len(weak))
    import torch

    others = [
        w2s.Data(weak=np.asfortranarray(weak, np.float64), strong=frame, **plain),
        w2s.Data(weak=torch.tensor(weak), strong=torch.tensor(strong).bfloat16().float() * 0
                 + torch.tensor(strong.astype(np.float32)), **plain),
        w2s.Data(weak=weak.astype(np.float32)[::-1][::-1], strong=strong.tolist(),
                 **{key: list(v) for key, v in plain.items()}),
        w2s.Data(weak=weak[order], strong=strong[order], minority=[("0", 1), (True, "1")],
                 **{key: plain[key][order].astype(float) for key in ("y", "group", "split")}),
    ]  # fmt: skip
    expected = w2s.run(reference, methods=["teacher", "w2s"], **SETTINGS).table
    for other in others:
        found = w2s.run(other, methods=["teacher", "w2s"], **SETTINGS).table
        pd.testing.assert_frame_equal(found, expected)
    assert_array_equal(others[-1].y, own.y[order])


def test_a_draw_is_the_one_that_a_run_makes(gaussian: w2s.Data) -> None:
    data = as_arrays(gaussian)
    drawn = w2s.draw(data, eta_l=0.05, eta_u=0.5, n_l=60, n_u=160, seed=2, n_val=20)
    sets = [set(rows.tolist()) for rows in drawn]
    assert [len(rows) for rows in drawn] == [60, 160, 20, 300]
    assert len(set.union(*sets)) == sum(map(len, sets))
    own = gaussian.dataset
    assert (own.a[drawn.labelled] == 1).sum() == 3
    assert (own.a[drawn.unlabelled] == 1).sum() == 80
    assert (own.split[drawn.test] == 2).all()
    other = np.random.default_rng(1).permutation(len(own.y))
    given = {"weak": own.features["teacher"][other], "strong": own.features["student"][other]}
    moved = as_arrays(
        gaussian, **given, y=own.y[other], group=own.a[other], split=own.split[other], ids=other
    )
    again = w2s.draw(moved, eta_l=0.05, eta_u=0.5, n_l=60, n_u=160, seed=2, n_val=20)
    for one, two in zip(drawn, again, strict=True):
        assert_array_equal(one, other[two])


def test_heads_of_ones_own_on_a_draw_are_those_of_the_run(gaussian: w2s.Data) -> None:
    """The teacher by scikit-learn, on the rows of `draw`: what `run` stores."""
    from sklearn.linear_model import LogisticRegression

    own, l2 = gaussian.dataset, 0.05
    results = w2s.run(gaussian, methods=["teacher"], eta_l=0.05, eta_u=0.5, n_l=60, n_u=160,
                      seeds=[1], l2=l2)  # fmt: skip
    drawn = w2s.draw(gaussian, eta_l=0.05, eta_u=0.5, n_l=60, n_u=160, seed=1)
    X = own.features["teacher"].astype(np.float64)
    pool = own.split != 2
    X = (X - X[pool].mean(axis=0)) / X[pool].std(axis=0)
    head = LogisticRegression(C=1 / (l2 * 60), tol=1e-10, max_iter=10**4)
    right = (
        head.fit(X[drawn.labelled], own.y[drawn.labelled]).predict(X[drawn.test])
        == own.y[drawn.test]
    )
    codes = own.codes[drawn.test]
    test = results.table.query("split == 'test' and method == 'teacher'").set_index("group")
    for code, name in enumerate(own.groups.names):
        assert test.loc[name, "value"] == right[codes == code].mean()


def test_several_splits_and_folds(gaussian: w2s.Data) -> None:
    own = gaussian.dataset
    who = [f"{row // 3}" for row in range(len(own.y))]
    data = as_arrays(gaussian, split=None, identity=who)
    results = w2s.run(data, methods=["teacher", "w2s"], eta_l=0.5, eta_u=0.5, n_l=60, n_u=160,
                      n_seeds=4, splits="random", **{"splits.splits": 4})  # fmt: skip
    assert sorted(results.table["fold"].unique()) == [0, 1, 2, 3]
    how = {"splits": "random", "splits.splits": 4}
    drawn = w2s.draw(data, eta_l=0.5, eta_u=0.5, n_l=60, n_u=160, seed=1, fold=1, **how)
    assert not {who[r] for r in drawn.test} & {who[r] for r in drawn.labelled}
    with pytest.raises(w2s.InputError, match=r"fold=7 .*0, 1, 2, 3"):
        w2s.draw(data, eta_l=0.5, eta_u=0.5, n_l=60, n_u=160, seed=1, fold=7, **how)
    with pytest.raises(w2s.InputError, match="no split"):
        w2s.run(data, methods=["teacher"], **SETTINGS)


def test_what_is_kept_is_not_run_again(gaussian: w2s.Data, tmp_path: Path) -> None:
    asked = {**SETTINGS, "methods": ["teacher", "w2s"], "results_dir": tmp_path / "kept"}
    first = w2s.run(gaussian, **asked)
    cells = sorted((tmp_path / "kept" / "leaderboard").glob("*.json"))
    times = [path.stat().st_mtime_ns for path in cells]
    again = w2s.run(gaussian, **asked)
    assert len(cells) == len(first) == 12
    assert times == [path.stat().st_mtime_ns for path in cells]
    pd.testing.assert_frame_equal(first.table, again.table)


def test_nothing_is_left_where_the_program_runs(
    gaussian: w2s.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    w2s.run(as_arrays(gaussian), methods=["teacher"], eta_l=0.5, eta_u=0.5, n_l=60, n_u=160,
            n_seeds=1)  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_settings_of_methods_and_their_variants(gaussian: w2s.Data) -> None:
    asked = {"eta_l": 0.5, "eta_u": 0.5, "n_l": 60, "n_u": 160, "n_seeds": 2}
    results = w2s.run(
        gaussian,
        methods={"teacher": {}, "w2s": {"l2": 0.01}, "selective": {"keep": 0.3}},
        vary={"selective": {"q": [0.5, 0.7]}},
        **asked,
    )
    assert results.settings["methods"]["selective"]["keep"] == 0.3
    assert results.settings["methods"]["w2s"]["l2"] == 0.01
    assert {"selective[q=0.5]", "selective[q=0.7]"} <= set(results.table["method"])


def test_threads_are_those_of_before(gaussian: w2s.Data) -> None:
    import torch

    before = torch.get_num_threads()
    w2s.run(gaussian, methods=["teacher"], threads=2, eta_l=0.5, eta_u=0.5, n_l=60, n_u=160,
            n_seeds=1)  # fmt: skip
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"methods": ["w2s"]}, "teacher"),
        ({"methods": "teacher"}, r"methods='teacher' must be a list"),
        ({"methods": ["teacher", "w3s"]}, "did you mean 'w2s'"),
        ({"n_1": 60}, "did you mean 'n_l'"),
        ({"eta_l": 0.7}, "eta_l"),
        ({"n_l": 60.5}, "n_l"),
        ({"seeds": [1], "n_seeds": 2}, "give one of the two"),
        ({"head": "rigde"}, "did you mean 'ridge'"),
        ({"n_u": 10**6}, "too few"),
        ({"splits": "crosed"}, "did you mean 'crossed'"),
        ({"l2": object()}, "l2=.* is a object"),
        ({"experiment": "suite"}, "sweep"),
        ({"trials": "twelve/../x"}, "trials"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    gaussian: w2s.Data, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(w2s.InputError, match=sentence) as refused:
        w2s.run(gaussian, **settings)
    assert "\n" not in str(refused.value)


def test_what_is_no_data_is_refused() -> None:
    for wrong in (np.zeros((3, 2)), None):
        with pytest.raises(w2s.InputError, match=r"w2s_groups\.Data"):
            w2s.run(wrong)
    with pytest.raises(w2s.InputError, match="did you mean 'gaussian'"):
        w2s.run("gausian")
    with pytest.raises(w2s.InputError, match="features already"):
        w2s.run(w2s.Data(weak=[[0.0], [1.0]], strong=[[0.0], [1.0]], y=[0, 1], group=[0, 1],
                         split=["train", "test"]), teacher="packaged/squeezenet1_1")  # fmt: skip


def test_a_prediction_is_the_commands(
    load: Callable[..., Any], gaussian: w2s.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = {"eta_l": [0.05, 0.5], "eta_u": [0.05, 0.5], "n_l": 60, "n_u": 160, "samples": 8}
    found = w2s.predict(gaussian, n_l_path=[], n_u_path=[], **asked)
    words = [f"{key}={value}".replace(" ", "") for key, value in asked.items()]
    words += [f"data.{key}={value}" for key, value in SMALL.items()]
    assert cli.main(["predict", "data=gaussian", "n_l_path=[]", "n_u_path=[]", *words]) == 0
    cells = next((tmp_path / "reports" / "predict").rglob("cells.csv.gz"))
    pd.testing.assert_frame_equal(found.cells.round(5), pd.read_csv(cells), check_dtype=False)


def test_limits_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"p_w": 5, "p_s": 3, "p_sw": 1.36, "mu_w": 1.1, "mu_s": 1.2, "gamma_z": 0.05,
             "nu_z": 0.02, "eta_l": 0.05, "eta_u": 0.5}  # fmt: skip
    limits = w2s.theory.limits(**given)
    assert cli.main(["theory", *(f"{key}={value}" for key, value in given.items())]) == 0
    assert f"{float(limits.teacher_risk(0.5)):10.5g}" in capsys.readouterr().out


def test_the_gaussian_settings_are_the_configurations(gaussian: w2s.Data) -> None:
    assert isinstance(gaussian.config, Gaussian)
    assert gaussian.config.n_pool == 1500


@w2s.method(needs="teacher", sources="this test")
def halved(draws: Any, solved: Any, *, part: float = 0.5) -> Any:
    """W2S on the first part of the unlabelled rows."""
    rows = draws.unlabelled[: int(part * len(draws.unlabelled))]
    return rows, solved["teacher"].proba(rows)


def test_a_method_of_ones_own_stands_among_the_others(
    gaussian: w2s.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS, "_registered", {})
    asked = {"eta_l": 0.5, "eta_u": 0.5, "n_l": 60, "n_u": 160, "n_seeds": 3}
    results = w2s.run(gaussian, methods=["teacher", "w2s", halved], **asked)
    board = w2s.leaderboard(results)
    assert board.loc["halved", "rank"]
    whole = w2s.run(gaussian, methods={"teacher": {}, "w2s": {}, halved: {"part": 1.0}}, **asked)
    test = whole.table.query("split == 'test'").pivot_table(
        index=["cell", "group"], columns="method", values="value"
    )
    assert_array_equal(test["halved"], test["w2s"])
    with pytest.raises(w2s.InputError, match="is not a method"):
        w2s.run(gaussian, methods=["teacher", lambda draws: None], **asked)
