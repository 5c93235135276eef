"""`plan` on the Gaussian model: options, their order, and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from w2s_groups.cli import plan
from w2s_groups.core.errors import InputError
from w2s_groups.design.groups import Groups
from w2s_groups.experiment.plan import more
from w2s_groups.schema.config import Config
from w2s_groups.schema.prediction import Addition

Load = Callable[..., Config]
GROUPS = Groups(("a", "b"), ("u", "v"))
SMALL = (
    *("data=gaussian", "data.n_pool=1200", "data.n_test=200", "data.d_z=8"),
    *("teacher=weak", "student=strong", "n_l=60", "n_u=200", "samples=64", "alpha=[1e-2]"),
)


def places(out: Path) -> tuple[str, ...]:
    return (
        f"cache_dir={out / 'cache'}",
        f"results_dir={out / 'results'}",
        f"reports_dir={out / 'reports'}",
    )


def test_options_add_what_they_say() -> None:
    prior = np.array([0.25, 0.75])
    at_mix = more(GROUPS, prior, Addition(labelled=40), "labelled", 0.1)
    assert at_mix.sum() == 40
    assert at_mix[GROUPS.is_minority].sum() == 4
    only = more(GROUPS, prior, Addition(labelled_minority=40), "labelled", 0.1)
    np.testing.assert_array_equal(only, [0, 10, 30, 0])
    none = more(GROUPS, prior, Addition(labelled_minority=40), "unlabelled", 0.1)
    np.testing.assert_array_equal(none, [0, 0, 0, 0])


def test_the_table_holds_every_option_and_more_labels_than_the_pool_has(
    load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "options={many: {labelled_minority: 2000}, nothing much: {unlabelled: 1}}"
    plan.run(load(*SMALL, *places(tmp_path), options, of="plan"))  # type: ignore[arg-type]
    table = pd.read_csv(tmp_path / "reports/plan/gaussian/weak__strong/plan.csv")
    table = table.set_index("option")
    assert table.loc["many", "n_l"] == 2060
    assert table.loc["many", "change_worst_group"] > 0
    assert table.loc["many", "better_worst_group"] > 0.5
    # One image more is hardly a change, and all options share their noise.
    assert abs(table.loc["nothing much", "change_worst_group"]) < 0.01
    said = capsys.readouterr().out
    assert "many raises the student's worst group most" in said


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("options={x: {labelled: -1}}",), "options.x.labelled=-1 must be a whole number"),
        (("options={x: {labelled: 0}}",), "options.x adds no image"),
        (("eta_l=[0.1,0.2]",), "a plan starts from one eta_l"),
    ],
)
def test_a_mistake_is_one_sentence(
    load: Load, tmp_path: Path, overrides: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        plan.run(load(*SMALL, *places(tmp_path), *overrides, of="plan"))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_plan_with_another_question_has_a_folder_of_its_own(
    load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for asked in ("samples=16", "samples=18", "samples=16"):
        cfg = load(*SMALL, *places(tmp_path), asked, of="plan")
        plan.run(cfg)  # type: ignore[arg-type]
    folder = tmp_path / "reports/plan/gaussian"
    assert len(list(folder.glob("weak__strong*/plan.csv"))) == 2
    said = capsys.readouterr().out
    assert f"{folder / 'weak__strong'}/ is kept" in said.replace("\n  ", " ")
