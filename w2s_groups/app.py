"""The Hydra entry point: config -> dataset -> features -> cells -> run -> store -> report."""

from __future__ import annotations

import dataclasses
import logging
import platform
import subprocess
import sys
import time
from enum import Enum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from omegaconf import DictConfig
from tqdm import tqdm

from w2s_groups import backbones, config, features, sampling
from w2s_groups.config import Cell, Config
from w2s_groups.data.base import TEST, ImageDataset
from w2s_groups.errors import InputError
from w2s_groups.files import check_writable
from w2s_groups.heads.grid import solve
from w2s_groups.reports import leaderboard
from w2s_groups.results import store
from w2s_groups.run import Pool, run_block, standardise

# Raised whenever the same configuration would give other numbers, so that old cells are not reused.
NUMERICS = 1

log = logging.getLogger("w2s_groups")


def main() -> None:
    """`w2s-groups` and `python -m w2s_groups`: a user's mistake is one line and exit status 2."""
    config.register()
    try:
        config.check_names(sys.argv[1:])
    except InputError as error:
        fail(error)
    hydra.main(version_base="1.3", config_path=str(config.conf_dir()), config_name="config")(_job)()


def fail(error: InputError) -> None:
    """Say it in one line and leave."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


def _job(composed: DictConfig) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        run(config.from_hydra(composed))
    except InputError as error:
        fail(error)
    except KeyboardInterrupt:
        fail(InputError("stopped; every finished cell is stored: run the same command to go on"))


def run(cfg: Config) -> None:
    """One whole run. Everything that can be refused is refused before the first long step."""
    started = time.monotonic()
    results_dir = Path(cfg.results_dir) / cfg.experiment_name
    check_writable(results_dir, "results_dir")
    check_writable(Path(cfg.reports_dir), "reports_dir")
    sides = {
        side: backbones.get_backbone(spec, cfg.image_size)
        for side, spec in (("teacher", cfg.teacher), ("student", cfg.student))
    }
    cells = config.cells(cfg)

    dataset: ImageDataset = cfg.data.load(Path(cfg.cache_dir))
    check_cells(dataset, cfg, cells)
    extracted = {side: _extract(dataset, backbone, cfg) for side, backbone in sides.items()}
    readable = np.ones(len(dataset.files), dtype=bool)
    for found in extracted.values():
        readable[[index for index, *_ in found.bad]] = False
    if not readable.all():
        log.warning("%d unreadable images are left out of every draw", (~readable).sum())
    pool = make_pool(dataset, {s: f.matrix for s, f in extracted.items()}, readable, cfg)
    check_cells(dataset, cfg, cells, readable)

    identity = {
        "numerics": NUMERICS,
        "features": {side: found.key for side, found in extracted.items()},
        "labels": store.cell_key({"codes": pool.codes.tolist(), "test": pool.test.tolist()}),
        "class_balance": cfg.class_balance.value,
        "tol": cfg.tol,
        "methods": {name: plain(method) for name, method in cfg.methods.items()},
    }
    keys = {cell: store.cell_key({**identity, "cell": plain(cell)}) for cell in cells}
    done = [cell for cell in cells if store.read(results_dir, keys[cell]) is not None]
    if done:
        log.info("%d of %d cells are stored already", len(done), len(cells))
    _run_cells([c for c in cells if c not in set(done)], keys, pool, cfg, results_dir)

    table = store.read_all(results_dir, keys.values())
    folder = Path(cfg.reports_dir) / cfg.experiment_name / dataset.name
    leaderboard.write(table, _settings(cfg, dataset), folder)
    leaderboard.write_samples(dataset, folder)
    print(leaderboard.summary_text(table))
    print(f"\n{len(cells)} cells in {time.monotonic() - started:.0f} s; report: {folder}/")


def _extract(dataset: ImageDataset, backbone: backbones.Backbone, cfg: Config) -> Any:
    return features.extract(
        dataset.root,
        dataset.files,
        backbone,
        Path(cfg.cache_dir),
        batch_size=cfg.batch_size,
        workers=cfg.workers,
        device=cfg.device,
        on_bad_image=cfg.on_bad_image.value,
        progress=True,
    )


def check_cells(
    dataset: ImageDataset, cfg: Config, cells: list[Cell], readable: np.ndarray | None = None
) -> None:
    """InputError unless the pool serves every cell."""
    usable = dataset.split != TEST
    if readable is not None:
        usable = usable & readable
    codes = dataset.codes[usable]
    priors = sampling.class_priors(dataset.groups, codes, cfg.class_balance.value)
    for request in dict.fromkeys(cell.request for cell in cells):
        sampling.check_feasible(dataset.groups, codes, priors, request)


def make_pool(
    dataset: ImageDataset, matrices: dict[str, Any], readable: np.ndarray, cfg: Config
) -> Pool:
    """Standardised features with the rows that sets are drawn from and the test rows."""
    drawable = np.flatnonzero((dataset.split != TEST) & readable)
    codes = dataset.codes
    return Pool(
        features={side: standardise(matrix, drawable) for side, matrix in matrices.items()},
        y=dataset.y,
        codes=codes,
        drawable=drawable,
        test=np.flatnonzero((dataset.split == TEST) & readable),
        groups=dataset.groups,
        priors=sampling.class_priors(dataset.groups, codes[drawable], cfg.class_balance.value),
    )


def _run_cells(
    cells: list[Cell], keys: dict[Cell, str], pool: Pool, cfg: Config, folder: Path
) -> None:
    """Run and store what is left, one seed at a time: a stop loses at most the seed that ran."""
    solver = partial(
        solve, tol=cfg.tol, memory_limit=int(cfg.memory_limit_gb * 2**30), device=cfg.device
    )
    meta = {
        "config": plain(cfg),
        "versions": {p: version(p) for p in ("torch", "torchvision", "numpy", "scipy", "Pillow")},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "commit": commit(),
    }
    with tqdm(total=len(cells), unit="cell", desc="heads", disable=not cells) as bar:
        for seed in dict.fromkeys(cell.seed for cell in cells):
            block = [cell for cell in cells if cell.seed == seed]
            for cell, atoms in zip(block, run_block(block, pool, cfg.methods, solver), strict=True):
                fields = {
                    "data": cfg.data.name,
                    "teacher": cfg.teacher,
                    "student": cfg.student,
                    **plain(cell.request),
                    "seed": cell.seed,
                }
                stamp = {**meta, "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
                store.save(folder, keys[cell], fields, atoms, stamp)
            bar.update(len(block))


def _settings(cfg: Config, dataset: ImageDataset) -> dict[str, Any]:
    """What a reader of the report has to know; nothing that differs between machines."""
    return {
        "experiment": cfg.experiment_name,
        "data": plain(cfg.data),
        "teacher": cfg.teacher,
        "student": cfg.student,
        "image_size": cfg.image_size,
        "n_l": cfg.n_l,
        "n_u": cfg.n_u,
        "seeds": cfg.seeds,
        "class_balance": cfg.class_balance.value,
        "l2": cfg.l2,
        "methods": {name: plain(method) for name, method in cfg.methods.items()},
        "class_priors": None,
    }


def plain(value: Any) -> Any:
    """Dataclasses, enums and paths as what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def commit() -> str | None:
    """Commit of the checkout that runs, None for an installed package."""
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
