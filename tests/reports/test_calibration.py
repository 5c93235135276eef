"""The section on calibration: numbers of the stored measures, only where a run has outputs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from multirun import SMALL, places

from w2s_groups.cli import main
from w2s_groups.cli import run as command
from w2s_groups.reports import calibration, leaderboard, rebuild
from w2s_groups.results import committed
from w2s_groups.results.resampled import corrected_interval
from w2s_groups.results.scores.of_cells import Scores
from w2s_groups.results.stats import mean_interval
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
ASKED = ("eta_l=[0.1,0.5]", "eta_u=0.5", "n_seeds=4")
TITLE = "## Calibration and errors of each method"


@pytest.fixture(scope="module")
def root(load: Load, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of the same run with and without outputs."""
    root = tmp_path_factory.mktemp("calibration")
    for name, more in (("with", "true"), ("without", "false")):
        command.run(load(*SMALL, *ASKED, *places(root / name), f"store_outputs={more}"))
    return root


def folder(root: Path) -> Path:
    return root / "reports/leaderboard/gaussian"


def test_a_run_without_outputs_has_the_report_that_it_had(root: Path) -> None:
    """The other report has the same text but for its two parts, and two more tables."""
    with_, without = folder(root / "with"), folder(root / "without")
    names = {path.name for path in with_.iterdir()} - {path.name for path in without.iterdir()}
    assert names == {"outputs.csv.gz", "reliability.csv.gz", "reliability.png", "reliability.pdf"}
    text, plain = ((one / "leaderboard.md").read_text() for one in (with_, without))
    assert TITLE not in plain
    parts = text.split("\n## ")
    kept = [part for part in parts if not part.startswith(("Calibration and", "Reliability"))]
    assert len(kept) == len(parts) - 2
    assert "\n## ".join(kept) == plain
    for name in ("settings.json", "leaderboard.csv", "results.csv.gz"):
        assert (with_ / name).read_bytes() == (without / name).read_bytes()
    assert "Calibration and errors" in (with_ / "leaderboard.html").read_text()
    assert "Calibration and errors" not in (without / "leaderboard.html").read_text()


def test_the_committed_tables_give_the_same_report(root: Path, tmp_path: Path) -> None:
    """Without the outputs themselves; the check names what was changed by hand."""
    copy = tmp_path / "reports"
    shutil.copytree(root / "with/reports", copy)
    assert rebuild.differences(tmp_path) == []
    path = next(copy.rglob("leaderboard.md"))
    path.write_text(path.read_text().replace(TITLE, "## Calibration"))
    assert [line.partition(":")[0] for line in rebuild.differences(tmp_path)] == [
        str(path.relative_to(tmp_path))
    ]
    assert rebuild.rewrite(tmp_path) == [str(path.relative_to(tmp_path))]


def loaded(root: Path) -> tuple[leaderboard.Grid, Scores]:
    where = folder(root / "with")
    scores = committed.read_scores(where)
    assert scores is not None
    (grid,) = leaderboard.grids_of(committed.read(where), {})
    return grid, scores


def test_accuracies_of_the_outputs_are_those_of_the_records(root: Path) -> None:
    grid, scores = loaded(root)
    own = calibration._values(grid, scores.table[scores.table["mix"] == "average"], "accuracy")
    assert np.abs(own - grid.metric("average")).max() <= 0.01
    worst = calibration._of_lowest(grid, scores.table[scores.table["mix"] == ""], "accuracy")
    assert np.abs(worst - grid.metric("worst_group")).max() <= 1 / grid.smallest_n + 1e-6


def test_cells_of_the_table_are_means_with_their_intervals(root: Path) -> None:
    grid, scores = loaded(root)
    (section,) = calibration.of_grid(grid, scores)
    row = section.rows[1]  # the first point, W2S
    assert row[2] == "W2S"
    table = scores.table
    here = table[(table["method"] == "w2s") & (table["eta_l"] == grid.points[0][0])]
    for name, label in (("log_loss", "log loss"), ("error_similarity", "error similarity")):
        interval = mean_interval(here[here["mix"] == "average"][name].to_numpy())
        shown = row[section.header.index(label)]
        assert shown.startswith(f"{float(interval.mean):.3f}")
        lowest = grid.groups[grid.lowest[0, grid.methods.index("w2s")]]
        mean = here[here["group"] == lowest][name].mean()
        assert row[section.header.index(f"worst group: {label}")].startswith(f"{mean:.3f}")
    assert section.rows[0][section.header.index("blind spots")] == "–"  # of the teacher


def test_several_splits_have_the_corrected_interval(root: Path) -> None:
    grid, scores = loaded(root)
    values = calibration._values(grid, scores.table[scores.table["mix"] == "average"], "log_loss")
    split = calibration._interval(replace(grid, test_share=1 / 3), values, "log_loss")
    assert split.high == pytest.approx(corrected_interval(values, 1 / 3).high)


def test_a_part_of_the_runs_is_said_to_be_one(root: Path) -> None:
    grid, scores = loaded(root)
    part = Scores(scores.table[scores.table["seed"] < 2], scores.bins)
    (section,) = calibration.of_grid(grid, part)
    assert "4 of 8 runs, those with outputs" in section.text[0]
    assert calibration.of_grid(grid, Scores(scores.table.iloc[:0], scores.bins)) == []


def test_the_measures_are_exported_shown_and_verified(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--results-dir", str(root / "with/results")]
    to = tmp_path / "m.csv"
    assert main(["results", "export", "--outputs", "--to", str(to), *where]) == 0
    scores = committed.read_scores(folder(root / "with"))
    assert scores is not None
    exported = pd.read_csv(to, keep_default_na=False, na_values={"auroc": [""]})
    assert exported["log_loss"].tolist() == scores.table["log_loss"].tolist()
    assert main(["results", "show", *where]) == 0
    assert "outputs on the test rows: 8 cells" in capsys.readouterr().out
    copy = tmp_path / "results"
    shutil.copytree(root / "with/results", copy)
    assert main(["results", "compact", "--results-dir", str(copy)]) == 0
    assert main(["results", "verify", "--results-dir", str(copy)]) == 0
    path = next((copy / "leaderboard/outputs").glob("block-*"))
    path.write_bytes(path.read_bytes()[1:])
    assert main(["results", "verify", "--results-dir", str(copy)]) == 1
    assert "differs from the checksum in its name" in capsys.readouterr().out
    without = ["--results-dir", str(root / "without/results")]
    assert main(["results", "export", "--outputs", "--to", str(to), *without]) == 2
    assert "run the experiment again with store_outputs=true" in capsys.readouterr().err
