"""`predict` on the Gaussian model: maps, what was measured beside them, and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from w2s_groups.cli import predict
from w2s_groups.core.errors import InputError
from w2s_groups.experiment import predict as questions
from w2s_groups.experiment.forecast import Engine
from w2s_groups.experiment.inputs import load_dataset
from w2s_groups.experiment.predict import prepare_maps
from w2s_groups.prediction import report
from w2s_groups.prediction.storage import PairPrediction
from w2s_groups.prediction.storage import load as load_found
from w2s_groups.schema.choices import HeadKind
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
SMALL = (
    *("data=gaussian", "data.n_pool=1200", "data.n_test=1500", "data.d_z=8"),
    *("teacher=weak", "student=strong", "n_l=100", "n_u=300", "samples=64"),
    *("eta_l=[0.1,0.3,0.5]", "n_l_path=[50,5000]", "n_u_path=[150]", "alpha=[1e-2,1e-1]"),
    *("seeds=[0,1,2,3,4,5,6,7,8,9,10,11]", "measure_eta=[0.1,0.5]"),
)


def places(out: Path) -> tuple[str, ...]:
    return (
        f"cache_dir={out / 'cache'}",
        f"results_dir={out / 'results'}",
        f"reports_dir={out / 'reports'}",
    )


@pytest.fixture(scope="module")
def run(load: Load, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of the report of a run that measured too, and what it printed."""
    out = tmp_path_factory.mktemp("predict")
    cfg = load(*SMALL, "measure=true", "keep=0.5", *places(out), of="predict")
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("builtins.print", lambda *parts: said.append(" ".join(map(str, parts))))
        predict.run(cfg)  # type: ignore[arg-type]
    return out / "reports/predict/gaussian/weak__strong", "\n".join(said)


def test_every_cell_is_in_the_table(run: tuple[Path, str]) -> None:
    found = load_found(run[0])
    assert len(found.cells) == 3 * 3 * 5 * 3  # eta_l, eta_u, method, metric
    assert len(found.path) == 2 * 2 * 2 * 3 * 3  # every alpha at the corners of the map
    for cells in (found.cells, found.path):
        assert cells["mean"].between(-1, 1).all()
        assert (cells["low"] <= cells["mean"] + 1e-5).all()
        assert (cells["mean"] <= cells["high"] + 1e-5).all()
    chance = found.cells[found.cells["method"] == "gain"]["positive"]
    assert chance.between(0, 1).all()


def test_the_chosen_alpha_has_the_best_worst_group(run: tuple[Path, str]) -> None:
    found = load_found(run[0])
    rows = found.path.query("method == 'w2s' and metric == 'worst_group'")
    means = rows.groupby("alpha")["mean"].mean()
    assert means[found.settings["alpha"]] == means.max()
    assert means.nunique() == 2


def test_sizes_that_the_pool_does_not_serve_are_left_out(run: tuple[Path, str]) -> None:
    sizes = load_found(run[0]).sizes
    assert sorted(sizes["n_l"].unique()) == [50, 100]
    assert sorted(sizes["n_u"].unique()) == [150, 300]


def test_what_is_trained_is_where_it_was_predicted(run: tuple[Path, str]) -> None:
    """Twelve draws a cell of ridge heads: every mean within three of its standard errors."""
    cells = load_found(run[0]).compared
    assert cells is not None
    assert len(cells) == 4 * 3 * 3
    far = (cells["predicted"] - cells["measured"]).abs()
    error = np.hypot(cells["measured_error"], cells["predicted_error"])
    of_average = cells["metric"] == "average"
    assert (far[of_average] <= np.maximum(0.01, 3 * error[of_average])).all()
    share = cells[of_average]["inside"].sum() / cells[of_average]["n"].sum()
    assert share > 0.85


def test_retrained_students_have_maps_of_their_own(run: tuple[Path, str]) -> None:
    folder, said = run
    found = load_found(folder)
    assert found.settings["keep"] == 0.5
    cells = found.cells.set_index(["method", "metric", "eta_l", "eta_u"])["mean"]
    w2s, retrained, gain = (cells.loc[name] for name in ("w2s", "retrained", "retrained_gain"))
    # The mean of differences is the difference of means; five decimals are stored.
    assert (retrained - w2s - gain).abs().max() < 2e-5
    assert gain.nunique() > 10
    page = (folder / "README.md").read_text()
    assert "![maps of the retrained student](map_retrained.png)" in page
    assert (folder / "map_retrained.png").stat().st_size > 5000
    assert "student retrained on the most confident 50 % of its samples" in " ".join(said.split())


def test_committed_pages_follow_from_their_tables(run: tuple[Path, str]) -> None:
    for name, content in report.files(load_found(run[0])).items():
        if name.endswith(".md"):
            assert (run[0] / name).read_bytes() == content


def test_the_page_names_what_is_best_and_shows_its_pictures(run: tuple[Path, str]) -> None:
    folder, said = run
    page = (folder / "README.md").read_text()
    for name in (
        *("map.png", "sizes.png", "predicted_vs_measured_average.png"),
        "predicted_vs_measured_worst_group.png",
    ):
        assert name in page
        assert (folder / name).stat().st_size > 5000
    assert "ridge heads, predicted" in " ".join(said.split())
    assert "best eta_u for each eta_l" in said


def test_logistic_heads_are_predicted_where_they_are_trained(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pictures are those of ridge heads, drawn above.
    def page(pair: PairPrediction) -> dict[str, bytes]:
        return {"README.md": report.markdown(pair).encode()}

    monkeypatch.setattr(report, "files", page)
    small = ("eta_l=[0.1,0.5]", "measure_eta=[0.1]", "n_l_path=[]", "n_u_path=[]", "alpha=[1e-1]")
    more = (*small, "head=logistic", "samples=16", "measure=true")
    cfg = load(*SMALL, *more, *places(tmp_path), of="predict")
    predict.run(cfg)  # type: ignore[arg-type]
    folder = tmp_path / "reports/predict/gaussian/weak__strong"
    cells = load_found(folder).compared
    assert cells is not None
    average = cells[cells["metric"] == "average"]
    far = (average["predicted"] - average["measured"]).abs()
    error = np.hypot(average["measured_error"], average["predicted_error"])
    assert (far <= np.maximum(0.01, 3 * error)).all()
    text = (folder / "README.md").read_text()
    assert text.count("Logistic heads on") == text.count("12 draws a cell of logistic heads,") == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("n_l=[50,100]",), "n_l=\\[50, 100\\]: a map has one n_l"),
        (("samples=7",), "samples=7 must be an even number"),
        (("n_u=5000",), "the pool has"),
        (("alpha=[]",), "alpha=\\[\\] is empty"),
        (("alpha=-1",), "alpha=-1 must be a number"),
        (("keep=0.5", "head=logistic"), "keep=0.5 with head=logistic: retraining is predicted"),
        (("keep=2",), "keep=2 must be a number"),
        (("keep=[0.2,0.5]",), "a map has one keep"),
        (("read_from=test", "data.n_test=1"), "need test images of every group"),
    ],
)
def test_a_mistake_is_one_sentence(
    load: Load, tmp_path: Path, overrides: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        predict.run(load(*SMALL, *places(tmp_path), *overrides, of="predict"))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_pool_has_to_hold_both_sets_at_once(load: Load, tmp_path: Path) -> None:
    """269 of the smallest group: 200 and 69 fit, 200 and 70 do not, though each does."""
    cfg = load(*SMALL, *places(tmp_path), of="predict")
    pool = prepare_maps(cfg).pair(*cfg.pairs[0]).pool  # type: ignore[arg-type]
    assert np.bincount(pool.codes[pool.drawable]).min() == 269
    engine = Engine(pool, 2, "cpu", HeadKind.ridge)
    assert engine.fits((800, 0.5), (276, 0.5))
    assert not engine.fits((800, 0.5), (280, 0.5))


def test_a_map_over_one_value_is_refused_first(load: Load, tmp_path: Path) -> None:
    cfg = load(*SMALL, "eta_u=0.5", *places(tmp_path), of="predict")
    with pytest.raises(InputError, match=r"eta_u=\[0.5\]: a map needs two values"):
        predict.run(cfg)  # type: ignore[arg-type]


def test_a_prediction_is_renewed_by_its_own_question_only() -> None:
    mine = {"data": "d", "n_l": 300, "alpha": 0.1, "asked": "11"}
    same = questions.question(mine)
    assert questions.question(mine | {"alpha": 1}) == same
    older = {key: value for key, value in mine.items() if key != "asked"}
    for other in (mine | {"asked": "22"}, mine | {"n_l": 200}, older):
        assert questions.question(other) != same


def test_a_page_over_pairs_is_renewed_by_its_own_pairs_only(
    run: tuple[Path, str], load: Load, tmp_path: Path
) -> None:
    found = load_found(run[0])
    dataset = load_dataset(load(*SMALL, *places(tmp_path), of="predict"))

    def written(*networks: str) -> tuple[Path, str]:
        names = ",".join(networks)
        asked = (f"teacher=[{names}]", f"student=[{names}]", *places(tmp_path))
        cfg = load("data=colored_digits", *asked, of="predict")
        pages = [
            questions.Page(
                replace(found, settings=found.settings | {"teacher": t, "student": s}),
                run[0],
                "",
                0,
            )
            for t, s in cfg.pairs
        ]
        together = questions.write_together(cfg, dataset, pages)  # type: ignore[arg-type]
        assert together is not None
        return together

    first, sentence = written("net/a", "net/b")
    assert first == tmp_path / "reports/predict/gaussian"
    assert sentence == ""
    before = {path: path.read_bytes() for path in first.iterdir()}
    other, sentence = written("net/a", "net/c")
    assert other != first
    assert sentence.startswith(f"{first}/ is kept: its report has other settings (teacher, student")
    assert "# Predicted against measured on gaussian" in (other / "README.md").read_text()
    assert {path: path.read_bytes() for path in first.iterdir()} == before
    assert written("net/b", "net/a") == (first, "")
    assert questions.write_together(load(*SMALL, of="predict"), dataset, []) is None  # type: ignore[arg-type]
