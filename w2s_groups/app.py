"""The Hydra entry point: config -> dataset -> features -> cells -> run -> store -> report."""

from __future__ import annotations

import json
import logging
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import DictConfig
from tqdm import tqdm

from w2s_groups import backbones, compose, config, features
from w2s_groups.config import Cell, ClassBalance, Config, plain
from w2s_groups.data.base import TEST, Dataset, ImageDataset, original_eta
from w2s_groups.errors import InputError
from w2s_groups.files import check_writable, write_atomic
from w2s_groups.gaussian.group_dimensions import pair_report
from w2s_groups.heads.grid import solve
from w2s_groups.pool import Pool, check_requests, make_pool
from w2s_groups.progress import Steps
from w2s_groups.reports import leaderboard, pair
from w2s_groups.results import select, store
from w2s_groups.results.provenance import provenance
from w2s_groups.results.schema import COLUMNS
from w2s_groups.run import run_block

# Raised whenever the same configuration would give other numbers, so that old cells are not reused.
NUMERICS = 2
# Cells that are solved together: enough for shared products to pay, few enough to store often.
BLOCK = 128

Side = tuple[str, str]  # "teacher" or "student", and the network

log = logging.getLogger("w2s_groups")


def main() -> None:
    """`w2s-groups` and `python -m w2s_groups`: a user's mistake is one line and exit status 2."""
    compose.register()
    try:
        compose.check_names(sys.argv[1:])
    except InputError as error:
        _fail(str(error))
    hydra.main(version_base="1.3", config_path=str(compose.conf_dir()), config_name="config")(
        _job
    )()


def _job(composed: DictConfig) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        cfg = compose.from_hydra(composed)
        if cfg.experiment is None:
            run(cfg)
        else:
            run_theory(cfg)
    except InputError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("stopped; what was finished is stored: run the same command to go on")


def _fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def run_theory(cfg: Config) -> None:
    """A figure of the z⊗ξ model or of DLLL25: its points are kept, so that it can be resumed."""
    with tqdm(unit="point") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        cfg.experiment.run(
            Path(cfg.reports_dir) / "figures", Path(cfg.results_dir) / "theory", progress
        )


def run(cfg: Config) -> None:
    """One grid. Everything that can be refused is refused before the first long step."""
    started = time.monotonic()
    results_dir = Path(cfg.results_dir) / cfg.experiment_name
    check_writable(results_dir, "results_dir")
    check_writable(Path(cfg.reports_dir), "reports_dir")

    with Steps() as steps:
        dataset: Dataset = cfg.data.load(Path(cfg.cache_dir).absolute(), steps)
    original = cfg.eta_o
    if original is None:
        original = original_eta(dataset)
    if config.ORIGINAL in (*cfg.eta_l, *cfg.eta_u):
        own = "of the data's own train split" if cfg.eta_o is None else "as set by eta_o"
        log.info("original stands for a minority fraction of %.5g, %s", original, own)
    cells, balance = config.cells(cfg, original), cfg.class_balance.value
    requests = [cell.request for cell in cells]
    check_requests(dataset, np.ones(len(dataset.y), dtype=bool), balance, requests)
    matrices, usable, content = _features(dataset, cfg)
    check_requests(dataset, usable, balance, requests)

    tables, pairs = [], []
    for teacher, student in cfg.pairs:
        networks = {"teacher": teacher, "student": student}
        sides = {side: matrices[side, name] for side, name in networks.items()}
        pool = make_pool(dataset, sides, usable, balance)
        identity = {
            "numerics": NUMERICS,
            "features": {side: content[side, name] for side, name in networks.items()},
            "rows": [pool.codes.tolist(), pool.drawable.tolist(), pool.test.tolist()],
            "class_balance": balance,
            "tol": cfg.tol,
            **({"ridge": cfg.l2_path} if cfg.ridge is not None else {}),
            **({"permute_labels": True} if cfg.permute_labels else {}),
            "methods": plain(cfg.methods),
        }
        base = store.cell_key(identity)
        keys = {cell: store.cell_key({"base": base, "cell": plain(cell)}) for cell in cells}
        todo = {cell for cell in cells if store.read(results_dir, keys[cell]) is None}
        log.info(
            "%s -> %s: %d cells, %d of them stored already",
            teacher, student, len(cells), len(cells) - len(todo),
        )  # fmt: skip
        fields = {"data": cfg.data.name, **networks}
        _run_cells(cells, todo, keys, fields, pool, cfg, results_dir)
        tables.append(store.read_all(results_dir, keys.values()))
        measured = {name: identity[name] for name in ("numerics", "features", "rows")}
        where = Path(cfg.results_dir) / "pairs" / f"{store.cell_key(measured)}.json"
        numbers = _pair(dataset, sides, usable, where)
        pairs.append({"teacher": teacher, "student": student, "numbers": numbers})

    table = pd.concat(tables, ignore_index=True)
    folder = Path(cfg.reports_dir) / cfg.experiment_name / dataset.name
    priors = pool.priors.tolist() if cfg.class_balance is ClassBalance.dataset else None
    settings = {**_settings(cfg, cells, original), "class_priors": priors, "pair": pairs}
    leaderboard.write(table, settings, folder)
    if isinstance(dataset, ImageDataset):
        leaderboard.write_samples(dataset.only(usable), folder)
    print(leaderboard.summary_text(table, settings))
    n = len(cells) * len(cfg.pairs)
    print(f"\n{n} cells in {time.monotonic() - started:.0f} s; report in {folder}/")


def _features(
    dataset: Dataset, cfg: Config
) -> tuple[dict[Side, NDArray[np.float32]], NDArray[np.bool_], dict[Side, str]]:
    """Features by (side, network), the rows that could be read, and a key for their content."""
    usable = np.ones(len(dataset.y), dtype=bool)
    if not isinstance(dataset, ImageDataset):
        if len(cfg.pairs) > 1:
            raise InputError(
                f"data={dataset.name} brings the features of one teacher and one student: "
                f"teacher={cfg.teacher}, student={cfg.student} name more; give one of each"
            )
        own = {
            (side, name): dataset.features[side]
            for side, (name,) in (("teacher", cfg.teacher), ("student", cfg.student))
        }
        return own, usable, {key: f"{dataset.key} {key[0]}" for key in own}
    names = dict.fromkeys(name for pair in cfg.pairs for name in pair)
    # All are looked up before any is used: a wrong name must not wait for the others' features.
    networks = {name: backbones.get_backbone(name, cfg.image_size) for name in names}
    matrices, content = {}, {}
    for name, backbone in networks.items():
        found = features.extract(
            dataset.root,
            dataset.files,
            backbone,
            Path(cfg.cache_dir).absolute(),
            batch_size=cfg.batch_size,
            workers=cfg.workers,
            device=cfg.device,
            on_bad_image=cfg.on_bad_image.value,
            progress=True,
        )
        for side in ("teacher", "student"):
            matrices[side, name], content[side, name] = found.matrix, found.key
        usable[[index for index, *_ in found.bad]] = False
    if not usable.all():
        log.warning("%d unreadable images are left out of every draw", (~usable).sum())
    return matrices, usable, content


def _pair(
    dataset: Dataset,
    matrices: dict[str, NDArray[np.float32]],
    usable: NDArray[np.bool_],
    path: Path,
) -> list[dict[str, Any]]:
    """Dimensions of two networks on the pool, kept at `path`: reports/pair.py says what."""
    if path.is_file():
        stored: list[dict[str, Any]] = json.loads(path.read_bytes())
        return stored
    rows = np.flatnonzero((dataset.split != TEST) & usable)
    log.info("measuring the dimensions of both networks on %d images", len(rows))
    report = pair_report(
        matrices["teacher"][rows],
        matrices["student"][rows],
        dataset.codes[rows],
        dataset.groups,
        seed=0,
    )
    write_atomic(path, json.dumps(pair.rows(report)).encode())
    return pair.rows(report)


def _run_cells(
    cells: list[Cell],
    todo: set[Cell],
    keys: dict[Cell, str],
    fields: dict[str, str],
    pool: Pool,
    cfg: Config,
    folder: Path,
) -> None:
    """Run and store what is left, a block at a time: a stop loses at most the block that ran.

    Blocks follow from the grid and not from what is stored, and a block is solved whole, so that a
    run that is stopped and resumed gives the bytes of one that was not.
    """
    solver = partial(
        solve, tol=cfg.tol, memory_limit=int(cfg.memory_limit_gb * 2**30), device=cfg.device
    )
    meta = {"config": plain(cfg), **provenance()}
    per_seed = len(cells) // len(cfg.seeds)
    size = per_seed * max(1, BLOCK // per_seed)
    if todo:
        log.info(
            "heads of %d cells at a time, in at most memory_limit_gb=%g beside the features",
            min(size, len(cells)),
            cfg.memory_limit_gb,
        )
    with tqdm(total=len(todo), unit="cell", desc="heads", disable=not todo) as bar:
        for start in range(0, len(cells), size):
            block = cells[start : start + size]
            left = todo.intersection(block)
            if not left:
                continue
            found = run_block(block, pool, cfg.methods, solver, cfg.ridge, cfg.permute_labels)
            for cell, atoms in zip(block, found, strict=True):
                if cell not in left:
                    continue
                request = {k: v for k, v in plain(cell.request).items() if k in COLUMNS}
                row = {**fields, **request, "seed": cell.seed}
                stamp = {**meta, "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
                store.save(folder, keys[cell], row, atoms, stamp)
            bar.update(len(left))


def _settings(cfg: Config, cells: list[Cell], original: float) -> dict[str, Any]:
    """What a reader of the report has to know; nothing that differs between machines."""
    shown = plain(cfg)
    for name in ("eta_l", "eta_u"):  # as numbers, whatever they were called
        shown[name] = list(dict.fromkeys(getattr(cell.request, name) for cell in cells))
    # Variants follow from `vary`.
    shown["methods"] = {k: v for k, v in shown["methods"].items() if select.base_of(k) == k}
    named = config.ORIGINAL in (*cfg.eta_l, *cfg.eta_u)
    shown["eta_o"] = original if named else None
    for unused, default in (("vary", {}), ("n_val", 0), ("eta_o", None), ("permute_labels", False)):
        if shown[unused] == default:
            del shown[unused]
    if not cfg.n_val:
        del shown["eta_val"], shown["select"]
    for machine in ("batch_size", "workers", "device", "memory_limit_gb", "cache_dir"):
        del shown[machine]
    del shown["results_dir"], shown["reports_dir"], shown["on_bad_image"], shown["experiment"]
    for place in ("root", "archive", "cutouts", "backgrounds"):
        shown["data"].pop(place, None)
    return {"experiment": shown.pop("experiment_name"), **shown}
