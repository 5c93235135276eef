"""Maps of teacher, student and gain over the minority fractions, before any head is trained."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.text import short
from w2s_groups.data.base import TEST, Dataset
from w2s_groups.experiment import measured
from w2s_groups.experiment import settings as of_report
from w2s_groups.experiment.forecast import Engine
from w2s_groups.experiment.inputs import Memory
from w2s_groups.experiment.prepare import Prepared, check_cells, prepare
from w2s_groups.prediction import report
from w2s_groups.prediction.logistic import check_two_classes
from w2s_groups.prediction.population import Points
from w2s_groups.prediction.ridge_retraining import Selection
from w2s_groups.prediction.storage import PairPrediction, save, to_csv
from w2s_groups.prediction.table import CELL
from w2s_groups.reports import places
from w2s_groups.results.committed import packed
from w2s_groups.results.format import IMAGE
from w2s_groups.schema.cells import Cell
from w2s_groups.schema.choices import HeadKind, ReadFrom
from w2s_groups.schema.config import Config
from w2s_groups.schema.prediction import PredictConfig

log = logging.getLogger("w2s_groups")


class Page(NamedTuple):
    """The report of one pair. sentence: why its folder has not the plain name, or ""."""

    pair: PairPrediction
    folder: Path
    sentence: str
    seconds: float


def prepare_maps(cfg: PredictConfig) -> Prepared:
    """Data and features, checked for the map and for the heads that are measured.

    Raises InputError for what cannot be predicted or measured.
    """
    for name in ("eta_l", "eta_u"):
        if len(getattr(cfg, name)) < 2:
            raise InputError(
                f"{name}={getattr(cfg, name)}: a map needs two values of {name} or more, such as "
                f"{name}=[0.05,0.5]"
            )
    check_writable(_root(cfg), "reports_dir")
    trained = partial(measured.cells_of, cfg)
    one_seed = replace(cfg, seeds=[0])
    return prepare(one_seed, Memory(8), check=partial(_check, cfg), trained=trained)


def pages(cfg: PredictConfig, prepared: Prepared) -> Iterator[Page]:
    """Predict every pair, measure heads where that is asked for, and write the reports."""
    dataset = prepared.dataset
    asked = of_report.digest(cfg, dataset)
    for teacher, student in cfg.pairs:
        started = time.monotonic()
        pair = predict_pair(cfg, prepared, teacher, student)
        pair = replace(pair, settings=pair.settings | _noun(dataset) | {"asked": asked})
        folder, sentence = places.place(
            _root(cfg) / dataset.name,
            f"{short(teacher)}__{short(student)}",
            pair.settings,
            asked=question,
        )
        pair = save(pair, folder)
        _write(folder, report.files(pair))
        yield Page(pair, folder, sentence, time.monotonic() - started)


def write_together(
    cfg: PredictConfig, dataset: Dataset, written: Sequence[Page]
) -> tuple[Path, str] | None:
    """One page over the pairs whose heads were measured: its folder, and why it has not the plain
    name or "". None where fewer than two were.
    """
    compared = [
        page.pair.compared.assign(
            teacher=page.pair.settings["teacher"],
            student=page.pair.settings["student"],
            **_noun(dataset),
        )
        for page in written
        if page.pair.compared is not None
    ]
    if len(compared) < 2:
        return None
    asked = of_report.digest(cfg, dataset)
    settings = {
        "data": dataset.name,
        "teacher": sorted(cfg.teacher),
        "student": sorted(cfg.student),
        "asked": asked,
    }
    folder, sentence = places.place(_root(cfg), dataset.name, settings, asked=question)
    every = pd.concat(compared, ignore_index=True)
    write_atomic(folder / report.EVERY, packed(to_csv(every)))
    _write(folder, report.files_of_all(dataset.name, every))
    return folder, sentence


def question(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a prediction answers; alpha is part of the answer.

    An older report without `asked` may be of any grid, so it answers no question and is kept.
    """
    return {key: value for key, value in settings.items() if key != "alpha"}


def _root(cfg: PredictConfig) -> Path:
    return Path(cfg.reports_dir) / cfg.experiment_name


def _noun(dataset: Dataset) -> dict[str, str]:
    return {"noun": dataset.NOUN} if dataset.NOUN != IMAGE else {}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_atomic(folder / name, content)


def _check(
    asked: PredictConfig,
    cfg: Config,
    dataset: Dataset,
    usable: NDArray[np.bool_],
    wanted: Sequence[Cell],
) -> None:
    """InputError unless the usable rows serve the map and the cells that are measured."""
    if asked.head is HeadKind.logistic:
        check_two_classes(len(dataset.groups.class_names))
    check_cells(cfg, dataset, usable, wanted)
    if asked.read_from is ReadFrom.test or asked.measure:
        codes = dataset.codes[usable & (dataset.split == TEST)]
        there = np.bincount(codes, minlength=dataset.groups.n_groups)
        drawn = np.bincount(dataset.codes[usable], minlength=len(there))
        absent = np.flatnonzero((there == 0) & (drawn > 0))
        if len(absent):
            raise InputError(
                f"read_from=test and measure=true need test images of every group, and there is "
                f"none of {dataset.groups.names[absent[0]]}; set read_from=pool and measure=false"
            )


def predict_pair(
    cfg: PredictConfig, prepared: Prepared, teacher: str, student: str
) -> PairPrediction:
    """The tables of one pair, at the alpha that is best at the corners of the map."""
    engine = Engine(prepared.pair(teacher, student).pool, cfg.samples, prepared.device, cfg.head)
    log.info("%s -> %s: %d cells at %d values of alpha, no head is trained", teacher, student,
             len(prepared.cells), len(cfg.alpha))  # fmt: skip
    n_l, n_u = cfg.n_l[0], cfg.n_u[0]
    eta_l = list(dict.fromkeys(cell.request.eta_l for cell in prepared.cells))
    eta_u = list(dict.fromkeys(cell.request.eta_u for cell in prepared.cells))
    labelled, unlabelled = [(n_l, eta) for eta in eta_l], [(n_u, eta) for eta in eta_u]
    corners = [list(dict.fromkeys([mixes[0], mixes[-1]])) for mixes in (labelled, unlabelled)]
    of_alpha = [
        engine.table(corners[0], corners[1], alpha, None, f"alpha={alpha:g}") for alpha in cfg.alpha
    ]
    path = pd.concat(of_alpha, ignore_index=True)
    alpha = best_alpha(path)
    at = engine.test() if cfg.read_from is ReadFrom.test else None
    selection = None if cfg.keep is None else Selection(cfg.keep)
    of_map = engine.table(
        labelled, unlabelled, alpha, at, f"map, alpha={alpha:g}", selection=selection
    )
    sizes = _sizes(engine, cfg, (eta_l[0], eta_l[-1]), (eta_u[0], eta_u[-1]), alpha, at)
    compared = order = None
    if cfg.measure:
        pair, memory = (teacher, student), prepared.memory
        compared, order = measured.compare(cfg, engine, pair, alpha, memory)
    settings = {
        "data": cfg.data.name, "teacher": teacher, "student": student, "n_l": n_l, "n_u": n_u,
        "samples": cfg.samples, "read_from": cfg.read_from.value, "alpha": alpha,
        "head": cfg.head.value, "draws": len(cfg.seeds), "keep": cfg.keep,
    }  # fmt: skip
    return PairPrediction(settings, path, of_map, sizes, compared, order)


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
    parts = []
    for name in ("n_l", "n_u"):
        now = {"n_l": cfg.n_l[0], "n_u": cfg.n_u[0]}
        wanted = sorted({*getattr(cfg, f"{name}_path"), now[name]})
        served = {
            n: all(
                engine.fits((size["n_l"], left), (size["n_u"], right))
                for size in [{**now, name: n}]
                for left in eta_l
                for right in eta_u
            )
            for n in wanted
        }
        dropped = [n for n in wanted if not served[n]]
        if dropped:
            log.info("%s_path: the pool does not serve %s at every eta; left out", name,
                     ", ".join(map(str, dropped)))  # fmt: skip
        sizes = {**{key: [n] for key, n in now.items()}, name: [n for n in wanted if served[n]]}
        labelled = [(n, eta) for n in sizes["n_l"] for eta in dict.fromkeys(eta_l)]
        unlabelled = [(n, eta) for n in sizes["n_u"] for eta in dict.fromkeys(eta_u)]
        rows = engine.table(labelled, unlabelled, alpha, at, f"gain against {name}")
        parts.append(rows[rows["method"] == "gain"])
    return pd.concat(parts, ignore_index=True).drop_duplicates([*CELL, "metric"])
