"""The worked examples of docs/adding-a-*.md run as they stand on their pages."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from hydra.core.config_store import ConfigStore
from tables import grid_table

import w2s_groups.figures
from w2s_groups import testing
from w2s_groups.cli import run
from w2s_groups.interface import hydra_config
from w2s_groups.methods import BUILT_IN, METHODS, base
from w2s_groups.reports import across, leaderboard
from w2s_groups.results import store
from w2s_groups.schema.config import Config

ROOT = Path(__file__).resolve().parents[1]
SMALL = (
    *("data=gaussian", "data.n_pool=400", "data.n_test=200", "data.d_z=4", "n_l=40", "n_u=100"),
    *("eta_l=0.25", "eta_u=0.5", "seeds=[0,1]"),
)


def blocks(page: str) -> dict[str, str]:
    """First line of each code block, without its `# `, -> the rest of it."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return dict(re.findall(r"^```(?:python|yaml)\n# (\S[^\n]*)\n(.*?)^```$", text, re.M | re.S))


METHOD, FIGURE = blocks("adding-a-method.md"), blocks("adding-a-figure.md")
PLUGIN = blocks("plugins.md")


def module(name: str, code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A block as the module `name`, as if its file were in the checkout."""
    path = folder / f"{name.rpartition('.')[2]}.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, made)
    spec.loader.exec_module(made)
    return made


def run_tests(tests: ModuleType) -> None:
    found = [value for name, value in vars(tests).items() if name.startswith("test_")]
    assert found
    for test in found:
        test()


@pytest.fixture
def sharpened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The method of the page, registered; its YAML below tmp_path/methods."""
    made = module(
        "w2s_groups.methods.sharpened", METHOD["w2s_groups/methods/sharpened.py"], tmp_path,
        monkeypatch,
    )  # fmt: skip
    monkeypatch.setitem(BUILT_IN, "sharpened", made.Sharpened)
    hydra_config.register()  # Hydra's own entries too, which must outlast this test
    hydras = ConfigStore.instance()
    monkeypatch.setattr(hydras, "repo", copy.deepcopy(hydras.repo))
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods/sharpened.yaml").write_text(METHOD["conf/methods/sharpened.yaml"])
    return made


def test_the_tests_of_the_new_method(
    sharpened: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = METHOD["tests/methods/test_sharpened.py"]
    run_tests(module("test_sharpened", code, tmp_path, monkeypatch))


def test_the_new_method_runs_and_is_w2s_at_temperature_one(
    sharpened: ModuleType, tmp_path: Path, load: Callable[..., Config]
) -> None:
    cfg = load(
        *SMALL, f"hydra.searchpath=[file://{tmp_path}]", "methods=[teacher,w2s,sharpened]",
        "+vary.sharpened.temperature=[1.0]", f"cache_dir={tmp_path}/cache",
        f"results_dir={tmp_path}/results", f"reports_dir={tmp_path}/reports",
    )  # fmt: skip
    done = run.run(cfg)
    table = store.load(tmp_path / "results/leaderboard", done.keys)
    test = table[(table["split"] == "test") & (table["metric"] == "accuracy")]
    by_method = {m: rows.sort_values(["seed", "group"])["value"].to_numpy()
                 for m, rows in test.groupby("method")}  # fmt: skip
    np.testing.assert_array_equal(by_method["sharpened[temperature=1]"], by_method["w2s"])
    assert (by_method["sharpened"] != by_method["w2s"]).any()
    (page,) = (tmp_path / "reports/leaderboard").rglob("leaderboard.md")
    assert sharpened.Sharpened.summary in page.read_text(encoding="utf-8")


def test_the_method_in_a_file_runs_and_keeps_the_contract(
    tmp_path: Path, load: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS, "_registered", {})
    (tmp_path / "sharpened.py").write_text(PLUGIN["sharpened.py"], encoding="utf-8")
    cfg = load(
        *SMALL, f"methods=[teacher,w2s,method/{tmp_path}/sharpened.py:sharpened]",
        "+vary.sharpened.temperature=[1.0]", f"cache_dir={tmp_path}/cache",
        f"results_dir={tmp_path}/results", f"reports_dir={tmp_path}/reports",
    )  # fmt: skip
    table = store.load(tmp_path / "results/leaderboard", run.run(cfg).keys)
    test = table[table["split"] == "test"].sort_values(["seed", "group"])
    by_method = {name: rows["value"].to_numpy() for name, rows in test.groupby("method")}
    np.testing.assert_array_equal(by_method["sharpened[temperature=1]"], by_method["w2s"])
    testing.check_method(METHODS["sharpened"], classes=(2,))


def test_the_new_methods_trials_are_as_many_as_the_others() -> None:
    trials = yaml.safe_load(METHOD["conf/trials/twelve.yaml"])["sharpened"]
    assert np.prod([len(values) for values in trials.values()]) == 12


def test_the_page_names_every_fact_and_every_draw() -> None:
    text = (ROOT / "docs/adding-a-method.md").read_text(encoding="utf-8")
    facts = [name for name, kind in vars(base.Method)["__annotations__"].items()
             if str(kind).startswith("ClassVar")]  # fmt: skip
    assert facts
    for name in (*facts, *(field.name for field in fields(base.Draws))):
        assert f"`{name}`" in text, name


def test_the_excerpt_of_a_method_of_two_fits_is_its_code() -> None:
    excerpt = METHOD["excerpt of w2s_groups/methods/jtt.py"]
    assert excerpt in (ROOT / "w2s_groups/methods/jtt.py").read_text(encoding="utf-8")


def test_the_new_figure_is_tested_and_stands_in_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = module(
        "w2s_groups.figures.worst_vs_average",
        FIGURE["w2s_groups/figures/worst_vs_average.py"], tmp_path, monkeypatch,
    )  # fmt: skip
    monkeypatch.setattr(w2s_groups.figures, "worst_vs_average", made, raising=False)
    code = FIGURE["tests/figures/test_worst_vs_average.py"]
    run_tests(module("test_worst_vs_average", code, tmp_path, monkeypatch))

    lines = FIGURE["excerpt for the end of across() in w2s_groups/reports/across.py"]
    end = "    return content, figures\n"
    source = textwrap.dedent(inspect.getsource(across.across))
    assert source.endswith(end)
    scope: dict[str, Any] = {**vars(across), "worst_vs_average": made}
    exec(source.removesuffix(end) + lines + end, scope)
    monkeypatch.setattr(leaderboard, "across", scope["across"])
    files = leaderboard.build(grid_table(), {})
    assert {"worst_vs_average.png", "worst_vs_average.pdf"} <= set(files)
    assert "![Worst group and average](worst_vs_average.png)" in str(files["leaderboard.md"])
