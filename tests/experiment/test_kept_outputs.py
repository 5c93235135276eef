"""store_outputs=true with the real solver and store: what is kept, resumed, made again, refused."""

from __future__ import annotations

import logging
import shutil
import signal
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forked import Forked
from multirun import SMALL, arguments, cells, environment, places

from w2s_groups.cli import run as command
from w2s_groups.core.errors import InputError
from w2s_groups.experiment import block, job, kept_outputs
from w2s_groups.results import outputs, select, store
from w2s_groups.results.scores.of_cells import scored
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
GRID = ("eta_l=[0.1,0.5]", "eta_u=[0.1,0.5]", "seeds=[0,1]")
KEPT = "store_outputs=true"


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in outputs.files(out / "results/leaderboard")}


def test_they_are_of_every_cell_and_method_and_agree_with_the_records(
    load: Load, tmp_path: Path
) -> None:
    cfg = load(*SMALL, *GRID, *places(tmp_path), KEPT)
    done = job.run(cfg)
    folder = job.results_folder(cfg)
    found = outputs.load(folder, done.keys)
    assert set(found) == set(done.keys)
    assert all(set(cell.values) == {"teacher", "w2s", "ceiling"} for cell in found.values())
    table = store.load(folder, done.keys)
    table = table[(table["split"] == "test") & (table["metric"] == "accuracy")]
    accuracy = table.set_index(["cell", "method", "group"])["value"]
    test = done.dataset.split == 2
    for key, cell in found.items():
        rows = cell.samples.rows
        assert np.array_equal(rows["y"], done.dataset.y[test])
        assert np.array_equal(rows["row"], np.flatnonzero(test))
        for method in cell.values:
            proba = cell.proba(method)
            right = proba.argmax(axis=1) == rows["y"]
            even = proba[:, 0] == proba[:, 1]  # as float16: either was decided
            for group, own in rows.groupby("group").groups.items():
                share = accuracy[key, method, group]
                assert (right & ~even)[own].mean() <= share + 1e-12
                assert (right | even)[own].mean() >= share - 1e-12
    assert np.abs(accuracy - accuracy.mean()).max() > 0.02


def test_records_and_keys_are_those_of_a_run_without(load: Load, tmp_path: Path) -> None:
    """Cells that are stored already are run again for their outputs, and stay byte for byte."""
    with_, without = tmp_path / "with", tmp_path / "without"
    job.run(load(*SMALL, *GRID, *places(with_), KEPT))
    plain = load(*SMALL, *GRID, *places(without))
    job.run(plain)
    assert not files(without)
    assert cells(with_) == cells(without)
    stamps = {p: p.stat().st_mtime_ns for p in (without / "results/leaderboard").glob("*.json")}
    job.run(load(*SMALL, *GRID, *places(without), KEPT))
    assert files(without) == files(with_)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_second_run_solves_nothing(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = load(*SMALL, *GRID, *places(tmp_path), KEPT)
    job.run(cfg)
    before = files(tmp_path)
    monkeypatch.setattr(job, "run_block", None)
    job.run(cfg)
    assert files(tmp_path) == before


@pytest.mark.parametrize("which", ["block", "samples"])
def test_a_damaged_file_is_said_and_made_again(
    load: Load, tmp_path: Path, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = load(*SMALL, *GRID, *places(tmp_path), KEPT)
    job.run(cfg)
    before = files(tmp_path)
    (path,) = (tmp_path / "results/leaderboard/outputs").glob(f"{which}-*")
    path.write_bytes(path.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING):
        job.run(cfg)
    assert f"{path.name} is damaged" in caplog.text
    assert files(tmp_path) == before


def test_a_larger_grid_keeps_what_is_there(load: Load, tmp_path: Path) -> None:
    job.run(load(*SMALL, *GRID, *places(tmp_path), KEPT))
    first = files(tmp_path)
    larger = load(*SMALL, *GRID[:2], "seeds=[0,1,2]", *places(tmp_path), KEPT)
    done = job.run(larger)
    assert first.items() < files(tmp_path).items()
    assert set(outputs.held(job.results_folder(larger))) == set(done.keys)


def test_a_block_that_stops_is_kept_cell_by_cell(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = job.run_block

    def failing(of: list, *rest: object, **more: object) -> object:
        if len(of) > 1 or of[0].request.eta_u > 0.3:
            raise RuntimeError("no")
        return whole(of, *rest, **more)

    cfg = load(*SMALL, *GRID, *places(tmp_path), KEPT)
    monkeypatch.setattr(job, "run_block", failing)
    done = job.run(cfg)
    assert len(done.failed) == 4
    folder = job.results_folder(cfg)
    assert len(outputs.held(folder)) == 4
    monkeypatch.undo()
    assert not job.run(cfg).failed
    assert set(outputs.held(folder)) == set(done.keys)


def test_variants_are_kept_and_trials_only_with_a_rule(load: Load, tmp_path: Path) -> None:
    asked = (
        *SMALL, "methods=[teacher,w2s]", "eta_l=0.1", "eta_u=0.5", "seeds=[0,1]",
        "+vary.teacher.l2=[0.01,0.1]", "+trials.w2s.l2_per_feature=[0.001,0.1]",
        *places(tmp_path), KEPT,
    )  # fmt: skip
    fixed, chosen = load(*asked), load(*asked, "select=labelled")
    done = job.run(fixed)
    folder = job.results_folder(fixed)
    assert outputs.held(folder)[done.keys[0]].methods == {
        "teacher", "w2s", "teacher[l2=0.01]", "teacher[l2=0.1]",
    }  # fmt: skip
    again = job.run(chosen)
    assert again.keys == done.keys
    names = {f"w2s[l2_per_feature={value}]" for value in ("0.001", "0.1")}
    assert names < outputs.held(folder)[done.keys[0]].methods
    settings = again.settings
    table = store.load(folder, done.keys)
    shown = select.shown(table, select.Rule.labelled, settings)
    keyed = shown.merge(table[["cell", *select.CELL]].drop_duplicates(), on=select.CELL)
    scores = scored(outputs.cells(folder, done.keys), keyed)
    assert scores is not None
    assert set(scores.table["method"]) == {"teacher", "w2s", "teacher[labelled]"}
    own = keyed[keyed["shown"] == "w2s"].set_index("cell")["method"]
    for key, cell in outputs.load(folder).items():
        right = (cell.proba(own[key]).argmax(axis=1) == cell.samples.truth)[cell.samples.codes == 0]
        here = scores.table[
            (scores.table["method"] == "w2s") & (scores.table["seed"] == cell.fields["seed"])
            & (scores.table["group"] == cell.samples.coding.names[0])
        ]  # fmt: skip
        assert here["accuracy"].item() == pytest.approx(right.mean(), abs=1e-6)


KINDS = {
    "head=ridge": ("methods=[teacher,w2s,ceiling]", {"accuracy", "auroc", "error_similarity"}),
    "task=regression": ("head=ridge", {"bias", "error_correlation"}),
    "head=mlp": ("mlp.epochs=2", {"log_loss", "blind_spots", "calibration_error"}),
    "splits=random": ("splits.every_seed=true", {"log_loss"}),
}


@pytest.mark.parametrize("setting", KINDS)
def test_other_heads_tasks_and_splits_are_reported(
    load: Load, tmp_path: Path, setting: str
) -> None:
    more, measures = KINDS[setting]
    command.run(
        load(*SMALL, "eta_l=0.25", "eta_u=0.5", "seeds=[0]", setting, more, *places(tmp_path), KEPT)
    )
    folder = next((tmp_path / "reports/leaderboard").iterdir())
    table = pd.read_csv(folder / "outputs.csv.gz")
    assert measures <= set(table)
    assert ("log_loss" in table) == (setting in ("head=mlp", "splits=random"))
    text = (folder / "leaderboard.md").read_text()
    assert "## Calibration and errors of each method" in text
    assert ("nothing to calibrate" in text) == ("log_loss" not in table)
    assert (folder / "reliability.png").exists() == ("log_loss" in table)


Usage = namedtuple("Usage", "total used free")


def test_much_is_announced_and_more_than_the_disk_holds_is_refused(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = load(*SMALL, *GRID, *places(tmp_path), KEPT)
    size = 8 * 3 * 200 * 2  # cells, methods, test rows, bytes
    monkeypatch.setattr(kept_outputs, "ANNOUNCED", size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, size - 1))
    with pytest.raises(InputError, match=r"^store_outputs=true would write about .* are free; "):
        job.run(cfg)
    assert not cells(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, size))
    with caplog.at_level(logging.INFO, "w2s_groups"):
        job.run(cfg)
    assert caplog.text.count("store_outputs=true will write about") == 1
    caplog.clear()
    with caplog.at_level(logging.INFO, "w2s_groups"):
        job.run(cfg)  # nothing is left to write
    assert "will write" not in caplog.text


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked(environment()) as server:
        yield server


def killed_and_resumed(out: Path, forked: Forked, kills: tuple[int, ...], *asked: str) -> None:
    """Two runs to their end, one killed after its first records, again and again: the same files.

    kills: how many more records each time.
    """
    whole, killed = out / "whole", out / "killed"
    multirun = len(kills) > 1
    for one in (whole, killed):
        one.mkdir()
    assert forked.run(whole, *arguments(whole, *asked, KEPT, multirun=multirun)) == 0
    for more in kills:
        own = arguments(killed, *asked, KEPT, multirun=multirun)
        status = forked.run(killed, *own, at_file=more)
        assert status == -signal.SIGKILL
        assert cells(killed).items() < cells(whole).items()
    assert forked.run(killed, *arguments(killed, *asked, KEPT, multirun=multirun)) == 0
    assert cells(killed) == cells(whole)
    assert files(killed) == files(whole)
    reports = [next((one / "reports/leaderboard").iterdir()) for one in (whole, killed)]
    pd.testing.assert_frame_equal(*(pd.read_csv(one / "outputs.csv.gz") for one in reports))


@pytest.mark.parametrize("where", ["outputs.write", "store.save"])
def test_a_stop_between_two_files_loses_nothing(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """After the first file of outputs, or the third cell of a block: the same files in the end."""
    asked = (*GRID, KEPT)
    job.run(load(*SMALL, *asked, *places(tmp_path / "whole")))
    cfg = load(*SMALL, *asked, *places(tmp_path / "stopped"))
    of, name = (
        {"outputs": outputs, "store": store}[where.partition(".")[0]],
        where.partition(".")[2],
    )
    real, left = getattr(of, name), [1 if name == "write" else 3]

    def stopping(*args: object) -> object:
        done = real(*args)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(of, name, stopping)
    with pytest.raises(KeyboardInterrupt):
        job.run(cfg)
    monkeypatch.undo()
    assert len(cells(tmp_path / "stopped")) == (0 if name == "write" else 3)
    job.run(cfg)
    assert cells(tmp_path / "stopped") == cells(tmp_path / "whole")
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_files(tmp_path: Path, forked: Forked) -> None:
    killed_and_resumed(tmp_path, forked, (3,), *GRID)


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_to_the_same_files(tmp_path: Path, forked: Forked) -> None:
    killed_and_resumed(tmp_path, forked, (2, 4, 3), *GRID[:2], "seeds=[0],[1],[2]")


def test_blocks_keep_nothing_unasked(load: Load, tmp_path: Path) -> None:
    assert block.Ran([], None).outputs == {}
    cfg = load(*SMALL, *GRID, *places(tmp_path))
    job.run(cfg)
    assert not (tmp_path / "results/leaderboard/outputs").exists()
