"""Exported draws are those of a run, and predictions of a method of ours give its own numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from layouts import pictures
from tiny_nets import MEANS_AND_QUARTERS

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.experiment import block, exported, identity, job, records, score
from w2s_groups.experiment.draws import Drawing, draws_of
from w2s_groups.experiment.prepare import Prepared, prepare
from w2s_groups.reports import leaderboard
from w2s_groups.results import quantity, store, submitted
from w2s_groups.schema.cells import Cell
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
GAUSSIAN = (
    *("data=gaussian", "data.n_pool=900", "data.n_test=300", "data.d_z=4", "n_l=40", "n_u=80"),
    *("eta_l=[0.2,0.5]", "eta_u=[0.25]", "methods=[teacher,w2s,ceiling]", "n_seeds=3"),
)
CARD: dict[str, Any] = {
    "name": "copy", "authors": ["A. Body"], "url": "https://example.org", "summary": "a copy",
    "group_labels_used": "none", "uses_true_labels": False, "reference": False,
    "tuning": {"what": "nothing", "data": "nothing", "trials": 0},
    "compute": {"hardware": "a core", "hours": 0.1},
    "networks": {"teacher": "weak", "student": "strong"},
}  # fmt: skip


def places(root: Path) -> tuple[str, ...]:
    return (
        f"cache_dir={root / 'cache'}",
        f"results_dir={root / 'results'}",
        f"reports_dir={root / 'reports'}",
    )


def crossed(root: Path) -> tuple[str, ...]:
    """Overrides of a run on composed images with crossed folds, audits, and two pairs."""
    (root / "net.py").write_text(MEANS_AND_QUARTERS)
    sources = [
        f"+data.{kind}={{{','.join(f'{name}: {folder}' for name, folder in of.items())}}}"
        for kind, of in pictures(root / "pictures").items()
    ]
    return (
        *("data=composite", "data.name=pets", *sources, "data.n_pool=480", "data.n_test=0"),
        *("data.size=24", "image_size=32", "n_l=8", "n_u=16", "eta_l=0.25", "eta_u=[0.25,0.5]"),
        *("splits=crossed", "splits.identity_folds=2", "splits.place_folds=2", "n_seeds=4"),
        *(f"teacher=[module/{root}/net.py:means,module/{root}/net.py:quarters]",),
        *(
            f"student=[module/{root}/net.py:means,module/{root}/net.py:quarters]",
            "methods=[teacher,w2s,ceiling]",
        ),
        *places(root),
    )


def real_rows(
    cfg: Config, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[tuple[Cell, Any]], list[Any], job.Job]:
    """Every draw that the real block made, with what methods were shown, and w2s's decisions."""
    drawn: list[tuple[Cell, Any]] = []
    decided: list[Any] = []

    def draw_of(cell: Cell, pool: Any, permute: bool) -> Any:
        made = draw(cell, pool, permute)
        drawn.append((cell, (pool, *made)))
        return made

    def of_cell(pool: Any, drew: Any, solved: Any, tested: Any, upweighting: Any) -> Any:
        decided.append(tested[id(solved["w2s"].fitted.head)].decided)
        return recorded(pool, drew, solved, tested, upweighting)

    draw, recorded = block.draw_of, records.of_cell
    monkeypatch.setattr(block, "draw_of", draw_of)
    monkeypatch.setattr(records, "of_cell", of_cell)
    return drawn, decided, job.run(cfg)


def by_cell(drawing: Drawing, teacher: str) -> dict[tuple[Any, ...], Any]:
    names = ("eta_l", "eta_u", "seed", "fold", "audit")
    return {
        tuple({"fold": -1, "audit": "", **own.fields}[name] for name in names): own
        for own in drawing.cells
        if own.fields["teacher"] == teacher
    }


def key_of(cell: Cell) -> tuple[Any, ...]:
    request = cell.request
    return request.eta_l, request.eta_u, cell.seed, cell.part.fold, cell.part.audit


def assert_the_same(drawing: Drawing, prepared: Prepared, drawn: list[tuple[Cell, Any]]) -> None:
    pairs = prepared.cfg.pairs
    per_pair = len(drawn) // len(pairs)
    assert len(drawing.cells) == len(drawn)
    for k, (teacher, _) in enumerate(pairs):
        mine = by_cell(drawing, teacher)
        for cell, (pool, draw, shown) in drawn[k * per_pair : (k + 1) * per_pair]:
            own = mine[key_of(cell)]
            rows = np.flatnonzero(prepared.division.rows(cell.part)[1])
            for name in ("labelled", "unlabelled", "validation"):
                np.testing.assert_array_equal(own.rows[name], np.sort(rows[getattr(draw, name)]))
            np.testing.assert_array_equal(own.rows["test"], rows[pool.test])
            order = np.argsort(draw.labelled)
            np.testing.assert_array_equal(own.shown, shown.y_labelled[order].argmax(axis=1))


@pytest.mark.parametrize(
    "more",
    [(), ("permute_labels=true",), ("n_val=20", "class_balance=dataset"), ("splits=random",)],
    ids=" ".join,
)
def test_draws_and_keys_are_those_of_the_run(
    load: Load, tmp_path: Path, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("splits=random", "splits.splits=3") if more == ("splits=random",) else more
    asked = (*GAUSSIAN, *more, *places(tmp_path))
    drawing = draws_of(load(*asked, of="draws"))
    cfg = load(*asked)
    drawn, _, done = real_rows(cfg, monkeypatch)
    prepared = prepare(cfg)
    assert_the_same(drawing, prepared, drawn)
    cells = [store.read(job.results_folder(cfg) / f"{key}.json") for key in done.keys]
    samples = identity.samples(prepared.dataset)
    assert samples == drawing.samples
    assert {identity.draw_key(cell.identity, samples) for cell in cells} == {
        own.key for own in drawing.cells
    }


def test_a_key_follows_the_draw_and_no_setting_of_a_method(load: Load, tmp_path: Path) -> None:
    def keys(*more: str) -> list[str]:
        cfg = load(*GAUSSIAN, *places(tmp_path), *more, of="draws")
        return [own.key for own in draws_of(cfg).cells]

    own = keys()
    assert len(set(own)) == 6
    assert keys("l2=0.1", "methods=[teacher,w2s]", "head=ridge", "tol=1e-4") == own
    assert keys("eta_u=[0.25,0.5]")[::2] == own
    for other in ("permute_labels=true", "n_val=20", "class_balance=dataset", "data.n_test=301"):
        assert not set(keys(other)) & set(own)


@pytest.fixture(scope="module")
def copied(
    load: Load, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, job.Job, Drawing, submitted.Attached]:
    """A run over crossed folds, with the predictions of its own w2s handed in as a method."""
    root = tmp_path_factory.mktemp("crossed")
    asked = crossed(root)
    with pytest.MonkeyPatch.context() as patch:
        cfg = load(*asked)
        drawn, decided, _ = real_rows(cfg, patch)
    drawing = draws_of(load(*asked, of="draws"))
    assert_the_same(drawing, prepare(cfg), drawn)
    teachers = [teacher for teacher, _ in cfg.pairs]
    per_pair = len(drawn) // len(teachers)
    parts = []
    for k, ((cell, _), classes) in enumerate(zip(drawn, decided, strict=True)):
        own = by_cell(drawing, teachers[k // per_pair])[key_of(cell)]
        ids = [drawing.ids[row] for row in own.rows["test"]]
        names = np.array(drawing.dataset.groups.class_names)[classes]
        parts.append(pd.DataFrame({"cell": own.key, "id": ids, "prediction": names}))
    order = stream(0, "test/order").permutation(sum(map(len, parts)))
    pd.concat(parts).iloc[order].to_parquet(root / "predictions.parquet", index=False)
    one = score.score(root / "predictions.parquet", CARD, drawing, cfg.data.name)
    folder = job.results_folder(cfg)
    assert submitted.read(submitted.save(folder, one)).cells == one.cells
    done = job.run(cfg)
    table = store.load(folder, done.keys)
    return cfg, done, drawing, submitted.attached(folder, table, done.draws)


def test_the_predictions_of_a_method_give_its_accuracies(copied: Any) -> None:
    table = copied[3].table
    test = table[(table["split"] == "test") & (table["metric"] == "accuracy")]
    where = ["cell", "group"]
    copy, w2s = (test[test["method"] == name].set_index(where) for name in ("copy", "w2s"))
    assert len(copy) == len(w2s) > 0
    np.testing.assert_array_equal(copy["value"], w2s.loc[copy.index, "value"])
    np.testing.assert_array_equal(copy["n"], w2s.loc[copy.index, "n"])


def test_its_intervals_for_new_identities_are_those_of_the_method(copied: Any) -> None:
    cfg, done, _, attached = copied
    settings = {**done.settings, **attached.settings}
    counts = leaderboard.counts_of(
        job.results_folder(cfg), done.keys, attached.table, settings, attached
    )
    assert counts is not None
    for grid in leaderboard.grids_of(attached.table, settings, counts):
        for metric in ("average", "worst_group"):
            one = quantity.accuracies(grid, metric)
            copy, w2s = grid.methods.index("copy"), grid.methods.index("w2s")
            assert np.isfinite(one.low).all()
            for end in one[:3]:
                np.testing.assert_allclose(end[:, copy], end[:, w2s], atol=1e-12)


def test_more_methods_in_the_run_keep_what_was_submitted(copied: Any, load: Load) -> None:
    cfg, done, *_ = copied
    more = replace(cfg, methods={k: v for k, v in cfg.methods.items() if k != "ceiling"})
    again = job.run(more)
    assert not set(again.keys) & set(done.keys)
    table = store.load(job.results_folder(cfg), again.keys)
    attached = submitted.attached(job.results_folder(cfg), table, again.draws)
    assert "copy" in set(attached.table["method"])


def test_part_of_a_setup_is_left_out_with_a_warning(
    copied: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cfg, done, *_ = copied
    table = store.load(job.results_folder(cfg), done.keys)
    lost = done.keys[0]
    draws = {**done.draws, lost: "draw-of-none"}
    attached = submitted.attached(job.results_folder(cfg), table, draws)
    own = attached.table[attached.table["method"] == "copy"]
    assert own["teacher"].nunique() == 1
    assert "is left out there" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("samples", "is of another data set"),
        ("cells", "is of other draws: 1 cell of 6"),
        ("sha256", "was changed after it was written"),
        ("format", "has format 99"),
    ],
)
def test_a_manifest_of_something_else_is_refused(
    load: Load, tmp_path: Path, change: str, message: str
) -> None:
    cfg: Any = load(*GAUSSIAN, *places(tmp_path), f"to={tmp_path / 'draws'}", of="draws")
    drawing = draws_of(cfg)
    folder = exported.write(cfg, drawing, GAUSSIAN)
    manifest = exported.read(folder)
    exported.check(folder, manifest, drawing)
    if change == "cells":
        manifest["cells"][2]["draw"] = "0" * 64
    else:
        manifest[change] = 99 if change == "format" else "0" * 64
    if change != "sha256":
        rest = {name: value for name, value in manifest.items() if name != "sha256"}
        manifest["sha256"] = store.digest(rest)
    (folder / "manifest.json").write_text(pd.Series(manifest).to_json())
    with pytest.raises(InputError, match=message):
        exported.check(folder, exported.read(folder), drawing)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_table_shows_no_label_but_of_labelled_and_validation_samples(
    load: Load, tmp_path: Path, kind: str
) -> None:
    more = (*places(tmp_path), f"to={tmp_path / 'draws'}", "n_val=20", f"format={kind}")
    cfg: Any = load(*GAUSSIAN, *more, "group_labels=val", of="draws")
    drawing = draws_of(cfg)
    folder = exported.write(cfg, drawing, [])
    path = folder / f"draws.{kind}"
    table = pd.read_parquet(path) if kind == "parquet" else pd.read_csv(path, dtype=str)
    known = table["label"].notna().groupby(table["set"].astype(str)).agg(["min", "max"])
    assert known.loc[["labelled", "validation"]].all(axis=None)
    assert not known.loc[["unlabelled", "test"]].any(axis=None)
    assert set(table.loc[table["attribute"].notna(), "set"]) == {"validation"}
    sizes = table.groupby(["cell", "set"], observed=True).size().unstack()
    assert (sizes[["labelled", "unlabelled", "validation", "test"]] == [40, 80, 20, 300]).all(None)
    # In the order of the data: a draw itself lists group after group.
    assert (table.groupby(["cell", "set"], observed=True)["id"]
            .apply(lambda ids: ids.astype(int).is_monotonic_increasing).all())  # fmt: skip
    with pytest.raises(InputError, match="holds other draws"):
        exported.write(replace(cfg, group_labels=type(cfg.group_labels).none), drawing, [])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("task=regression", "predictions of a numeric target"),
        ("on_bad_image=skip", "known only once networks"),
        ("group_labels=val", "n_val=0"),
        ("n_l=5000", "too few"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    load: Load, tmp_path: Path, asked: str, message: str
) -> None:
    head = ("head=ridge",) if "regression" in asked else ()
    with pytest.raises(InputError, match=message):
        draws_of(load(*GAUSSIAN, *head, *places(tmp_path), asked, of="draws"))
