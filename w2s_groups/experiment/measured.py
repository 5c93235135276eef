"""Heads that are trained to be compared with what was predicted of them."""

from __future__ import annotations

from dataclasses import replace

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.experiment import job
from w2s_groups.experiment.forecast import Engine
from w2s_groups.experiment.inputs import Memory
from w2s_groups.prediction import table
from w2s_groups.results import store
from w2s_groups.results.grid import Grid
from w2s_groups.results.pivot import grids
from w2s_groups.schema.cells import Cell, cells
from w2s_groups.schema.choices import HeadKind
from w2s_groups.schema.prediction import PredictConfig

FINER = 4  # times the samples, where bands are compared with draws


def cells_of(cfg: PredictConfig, original: float) -> list[Cell]:
    """Cells in which heads are trained."""
    if not cfg.measure:
        return []
    return cells(replace(cfg, eta_l=cfg.measure_eta, eta_u=cfg.measure_eta), original)


def compare(
    cfg: PredictConfig, engine: Engine, pair: tuple[str, str], alpha: float, memory: Memory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of table.compare and of table.order: heads are trained, and predicted where they are.

    pair: teacher, student. alpha: of the predicted heads. memory: holds what was read before.

    Heads are measured on the test images, so that is where they are predicted to be compared.
    """
    trained = _measure(cfg, engine, pair, alpha, memory)
    mixes_l = sorted({(trained.n_l, point[0]) for point in trained.points})
    mixes_u = sorted({(trained.n_u, point[1]) for point in trained.points})
    predicted = engine.table(mixes_l, mixes_u, alpha, engine.test(), "measured cells", FINER)
    compared = table.compare(predicted, table.measurements(trained))
    return compared, table.order(predicted, trained, seed=0)


def _measure(
    cfg: PredictConfig, engine: Engine, pair: tuple[str, str], alpha: float, memory: Memory
) -> Grid:
    """Heads trained at measure_eta, with the l2 that alpha stands for where such are predicted."""
    methods = dict(cfg.methods)
    if cfg.head is not HeadKind.mlp:
        methods = {
            name: replace(
                method, l2=engine.l2("teacher" if name == "teacher" else "student", alpha)
            )
            for name, method in methods.items()
        }
    trained = replace(
        cfg,
        teacher=[pair[0]],
        student=[pair[1]],
        eta_l=cfg.measure_eta,
        eta_u=cfg.measure_eta,
        methods=methods,
        vary={},
        measure=False,
    )
    done = job.run(trained, memory)
    rows = store.load(job.results_folder(trained), done.keys)
    if rows.empty or done.failed:
        raise InputError(
            f"{len(done.failed)} of {len(done.keys)} measured cells failed, the first: "
            f"{done.failed[0] if done.failed else 'none stored'}; mend that, or set measure=false"
        )
    [grid] = grids(rows, done.settings.get("class_priors"))
    return grid
