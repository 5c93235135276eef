"""`w2s-groups predict`: phase maps of teacher, student and gain, before any head is trained."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.text import wrapped
from w2s_groups.data.base import TEST, Dataset, original_eta
from w2s_groups.experiment import collapsed, inputs, job
from w2s_groups.experiment.forecast import Engine
from w2s_groups.experiment.inputs import Memory
from w2s_groups.experiment.pool import Pool, check_requests, make_pool
from w2s_groups.features import extraction
from w2s_groups.prediction import report, table
from w2s_groups.prediction.logistic import check_two_classes
from w2s_groups.prediction.population import Points
from w2s_groups.prediction.ridge_retraining import Selection
from w2s_groups.prediction.storage import PairPrediction, save, short, to_csv
from w2s_groups.prediction.table import CELL
from w2s_groups.reports import places
from w2s_groups.results import store
from w2s_groups.results.committed import packed
from w2s_groups.results.format import IMAGE
from w2s_groups.results.grid import Grid
from w2s_groups.results.pivot import grids
from w2s_groups.schema import config
from w2s_groups.schema.config import HeadKind
from w2s_groups.schema.prediction import PredictConfig, ReadFrom

FINER = 4  # times the samples, where bands are held against draws

log = logging.getLogger("w2s_groups")


def run(cfg: PredictConfig) -> None:
    """Predict every pair, measure what is asked for, write and print."""
    for name in ("eta_l", "eta_u"):
        if len(getattr(cfg, name)) < 2:
            raise InputError(
                f"{name}={getattr(cfg, name)}: a map needs two values of {name} or more, such as "
                f"{name}=[0.05,0.5]"
            )
    root = Path(cfg.reports_dir) / cfg.experiment_name
    check_writable(root, "reports_dir")
    memory = Memory(8)
    dataset = inputs.load_dataset(cfg)
    if cfg.head is HeadKind.logistic:
        check_two_classes(len(dataset.groups.class_names))
    original = original_eta(dataset) if cfg.eta_o is None else cfg.eta_o
    cells = config.cells(replace(cfg, seeds=[0]), original)
    check_pool(dataset, np.ones(len(dataset.y), dtype=bool), cfg, cells)
    matrices, usable, *_ = inputs.load_features(dataset, cfg)
    check_pool(dataset, usable, cfg, cells)
    collapsed.check(matrices, dataset, usable)
    device = extraction.best_device(cfg.device)
    compared = []
    asked = job.digest_asked(cfg, dataset)
    for teacher, student in cfg.pairs:
        sides = {"teacher": matrices["teacher", teacher], "student": matrices["student", student]}
        pool = make_pool(dataset, sides, usable, cfg.class_balance.value)
        started = time.monotonic()
        found = _pair(cfg, pool, (teacher, student), cells, memory, device)
        noun = {"noun": dataset.NOUN} if dataset.NOUN != IMAGE else {}
        found = replace(found, settings=found.settings | noun | {"asked": asked})
        name = f"{short(teacher)}__{short(student)}"
        folder, elsewhere = places.place(
            root / dataset.name, name, found.settings, asked=partial(question, asked)
        )
        found = save(found, folder)
        for name, content in report.files(found).items():
            write_atomic(folder / name, content)
        print(report.summary(found))
        print(f"\n{time.monotonic() - started:.0f} s; report in {folder}/")
        print(f"{wrapped(elsewhere)}\n" if elsewhere else "")
        if found.compared is not None:
            compared.append(found.compared.assign(teacher=teacher, student=student, **noun))
    if len(compared) > 1:
        folder = root / dataset.name
        every = pd.concat(compared, ignore_index=True)
        write_atomic(folder / report.EVERY, packed(to_csv(every)))
        for name, content in report.files_of_all(dataset.name, every).items():
            write_atomic(folder / name, content)
        print(f"all pairs together in {folder}/")


def question(asked: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a prediction answers; `asked` where its report does not say, as those of old do not."""
    rest = {key: value for key, value in settings.items() if key not in ("alpha", "asked")}
    return {**rest, "asked": settings.get("asked", asked)}


def check_pool(
    dataset: Dataset, usable: NDArray[np.bool_], cfg: PredictConfig, cells: Sequence[config.Cell]
) -> None:
    """InputError unless the pool serves every cell of the map."""
    requests = [cell.request for cell in cells]
    if_all = cfg.data.if_all(dataset)
    check_requests(dataset, usable, cfg.class_balance.value, requests, if_all)
    if cfg.read_from is ReadFrom.test or cfg.measure:
        codes = dataset.codes[usable & (dataset.split == TEST)]
        there = np.bincount(codes, minlength=dataset.groups.n_groups)
        drawn = np.bincount(dataset.codes[usable], minlength=len(there))
        absent = np.flatnonzero((there == 0) & (drawn > 0))
        if len(absent):
            raise InputError(
                f"read_from=test and measure=true need test images of every group, and there is "
                f"none of {dataset.groups.names[absent[0]]}; set read_from=pool and measure=false"
            )


def _pair(
    cfg: PredictConfig,
    pool: Pool,
    pair: tuple[str, str],
    grid: Sequence[config.Cell],
    memory: Memory,
    device: str,
) -> PairPrediction:
    engine = Engine(pool, cfg.samples, device, cfg.head)
    n_l, n_u = cfg.n_l[0], cfg.n_u[0]
    eta_l = list(dict.fromkeys(cell.request.eta_l for cell in grid))
    eta_u = list(dict.fromkeys(cell.request.eta_u for cell in grid))
    at = engine.test() if cfg.read_from is ReadFrom.test else None
    log.info("%s -> %s: %d cells at %d values of alpha, no head is trained", *pair,
             len(grid), len(cfg.alpha))  # fmt: skip
    labelled, unlabelled = [(n_l, eta) for eta in eta_l], [(n_u, eta) for eta in eta_u]
    corners = [list(dict.fromkeys([mixes[0], mixes[-1]])) for mixes in (labelled, unlabelled)]
    path = pd.concat(
        [
            engine.table(corners[0], corners[1], alpha, None, f"alpha={alpha:g}")
            for alpha in cfg.alpha
        ],
        ignore_index=True,
    )
    alpha = best_alpha(path)
    selection = None if cfg.keep is None else Selection(cfg.keep)
    cells = engine.table(
        labelled, unlabelled, alpha, at, f"map, alpha={alpha:g}", selection=selection
    )
    sizes = _sizes(engine, cfg, (eta_l[0], eta_l[-1]), (eta_u[0], eta_u[-1]), alpha, at)
    compared = order = None
    if cfg.measure:
        trained = _measure(cfg, engine, pair, alpha, memory)
        mixes_l = sorted({(trained.n_l, point[0]) for point in trained.points})
        mixes_u = sorted({(trained.n_u, point[1]) for point in trained.points})
        # Heads are measured on the test images, so that is where they are predicted to be compared.
        predicted = engine.table(mixes_l, mixes_u, alpha, engine.test(), "measured cells", FINER)
        compared = table.compare(predicted, table.measurements(trained))
        order = table.order(predicted, trained, seed=0)
    settings = {
        "data": cfg.data.name, "teacher": pair[0], "student": pair[1], "n_l": n_l, "n_u": n_u,
        "samples": cfg.samples, "read_from": cfg.read_from.value, "alpha": alpha,
        "head": cfg.head.value, "draws": len(cfg.seeds), "keep": cfg.keep,
    }  # fmt: skip
    return PairPrediction(settings, path, cells, sizes, compared, order)


def best_alpha(path: pd.DataFrame) -> float:
    """The alpha of the highest predicted worst-group accuracy of the student, mean over cells."""
    rows = path[(path["method"] == "w2s") & (path["metric"] == "worst_group")]
    return float(rows.groupby("alpha")["mean"].mean().idxmax())


def _sizes(
    engine: Engine,
    cfg: PredictConfig,
    eta_l: tuple[float, float],
    eta_u: tuple[float, float],
    alpha: float,
    at: Points | None,
) -> pd.DataFrame:
    """Gains at the corners of the map against n_l, then n_u, as far as the pool serves them."""
    n_l, n_u = cfg.n_l[0], cfg.n_u[0]
    parts = []
    for name, path in (("n_l", cfg.n_l_path), ("n_u", cfg.n_u_path)):
        here = n_l if name == "n_l" else n_u
        wanted = sorted({*path, here})
        ls, us = (wanted, [n_u]) if name == "n_l" else ([n_l], wanted)

        def served(n: int, name: str = name) -> bool:
            size_l, size_u = (n, n_u) if name == "n_l" else (n_l, n)
            return all(
                engine.fits((size_l, left), (size_u, right)) for left in eta_l for right in eta_u
            )

        dropped = [n for n in wanted if not served(n)]
        if dropped:
            log.info("%s_path: the pool does not serve %s at every eta; left out", name,
                     ", ".join(map(str, dropped)))  # fmt: skip
        labelled = [(n, eta) for n in ls for eta in dict.fromkeys(eta_l) if n not in dropped]
        unlabelled = [(n, eta) for n in us for eta in dict.fromkeys(eta_u) if n not in dropped]
        found = engine.table(labelled, unlabelled, alpha, at, f"gain against {name}")
        parts.append(found[found["method"] == "gain"])
    return pd.concat(parts, ignore_index=True).drop_duplicates([*CELL, "metric"])


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
    found = store.load(job.results_folder(trained), done.keys)
    if found.empty or done.failed:
        raise InputError(
            f"{len(done.failed)} of {len(done.keys)} measured cells failed, the first: "
            f"{done.failed[0] if done.failed else 'none stored'}; mend that, or set measure=false"
        )
    [grid] = grids(found, done.settings.get("class_priors"))
    return grid
