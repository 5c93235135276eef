"""One job: a configuration's grid run and stored, whatever of it was not stored already."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.text import count
from w2s_groups.data.base import TEST, Dataset, Listed, original_eta
from w2s_groups.experiment import collapsed, inputs, solvers
from w2s_groups.experiment.block import BuiltOn, Solver, run_block
from w2s_groups.experiment.inputs import Memory
from w2s_groups.experiment.pool import Pool, check_requests, make_pool
from w2s_groups.features import extraction
from w2s_groups.finetuning.solver import Side
from w2s_groups.methods.base import Method
from w2s_groups.results import failures, store
from w2s_groups.results.columns import COLUMNS
from w2s_groups.results.format import IMAGE
from w2s_groups.results.provenance import provenance
from w2s_groups.results.select import Rule
from w2s_groups.results.store import Stored
from w2s_groups.schema import config
from w2s_groups.schema.config import Cell, ClassBalance, Config, HeadKind, plain
from w2s_groups.schema.fields import ORIGINAL
from w2s_groups.similarity import table
from w2s_groups.similarity.group_dimensions import pair_report

# Raised whenever the same configuration would give other numbers: part of every cell's key.
NUMERICS = 5
# Cells that are solved together: enough for shared products to pay, few enough to store often. Ten
# times as many take a GPU twice as long (docs/speed.md).
BLOCK, GPU_BLOCK = 128, 1024
METHODS_OF_BLOCK = 40  # methods of a cell that these sizes are for

# Fields that no report shows: of the machine, or in another field of the settings.
_MACHINE = (
    "batch_size", "workers", "threads", "device", "memory_limit_gb", "cache_dir", "fail_fast",
    "n_seeds", "results_dir", "reports_dir", "on_bad_image", "experiment",
)  # fmt: skip
_NETWORKS = ("teacher", "student")

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True, eq=False)
class Job:
    """What a job did. keys: of all its cells, made now or before; settings: for the report.

    content: what was read -> key of its content, the same in jobs that read the same.
    """

    dataset: Dataset
    usable: NDArray[np.bool_]
    settings: dict[str, Any]
    keys: list[str]
    failed: list[dict[str, Any]]
    content: dict[str, str]

    def outcome(self, cfg: Config) -> dict[str, Any]:
        """What is handed to Hydra's callbacks, from another process too."""
        return {"folder": str(results_folder(cfg)), "keys": self.keys, "failed": len(self.failed)}


def results_folder(cfg: Config) -> Path:
    """Where the cells of an experiment are kept."""
    return Path(cfg.results_dir) / cfg.experiment_name


def run(cfg: Config, memory: Memory | None = None) -> Job:
    """Run what is not stored. Everything that can be refused is refused before the first long step.

    memory: keeps datasets, features and pools from one job of a sweep to the next. A cell that
    fails is recorded and the others go on, unless cfg.fail_fast.
    """
    memory = memory or Memory(8)
    folder = results_folder(cfg)
    check_writable(folder, "results_dir")
    check_writable(Path(cfg.reports_dir), "reports_dir")

    of_data = [plain(cfg.data), type(cfg.data).__name__, cfg.cache_dir]
    device = extraction.best_device(cfg.device)
    if cfg.device == "auto":
        log.info("device=auto: %s", device)
    dataset: Dataset = memory.get(of_data, lambda: inputs.load_dataset(cfg))
    solvers.check(cfg, dataset)
    original = original_eta(dataset) if cfg.eta_o is None else cfg.eta_o
    if ORIGINAL in (*cfg.eta_l, *cfg.eta_u):
        own = "of the data's own train split" if cfg.eta_o is None else "as set by eta_o"
        log.info("original stands for a minority fraction of %.5g, %s", original, own)
    cells, balance = config.cells(cfg, original), cfg.class_balance.value
    requests = [cell.request for cell in cells]
    if_all = cfg.data.if_all(dataset)
    check_requests(dataset, np.ones(len(dataset.y), dtype=bool), balance, requests, if_all)
    of_features = [
        *(*of_data, cfg.teacher, cfg.student),
        *(cfg.image_size, cfg.precision.value, cfg.on_bad_image.value),
    ]
    matrices, usable, content, in_both = memory.get(
        of_features, lambda: inputs.load_features(dataset, cfg)
    )
    varied = partial(collapsed.check, matrices, dataset, usable)
    memory.get([*of_features, "varied"], varied)
    check_requests(dataset, usable, balance, requests, if_all)

    if cfg.vary and cfg.select is Rule.fixed:
        log.info(
            "select=fixed: every setting of vary is a method of its own in the report; "
            "select=labelled would choose one of them in each cell"
        )
    keys: list[str] = []
    pairs = []
    read = {f"{side} {name}": key for (side, name), key in content.items()}
    for teacher, student in cfg.pairs:
        networks = {"teacher": teacher, "student": student}
        sides = {side: matrices[side, name] for side, name in networks.items()}
        of_pool = [*of_features, networks, balance]
        pool: Pool = memory.get(of_pool, partial(make_pool, dataset, sides, usable, balance))
        widths = {side: pool.width(side) for side in networks}
        methods, built_on = cfg.resolved(widths), cfg.built_on()
        measured = {
            "features": {side: content[side, name] for side, name in networks.items()},
            "rows": memory.get([*of_pool, "rows"], partial(_rows, pool)),
        }
        read[f"rows of {teacher} -> {student}"] = measured["rows"]
        shared = {
            "numerics": NUMERICS,
            "data": cfg.data.name,
            **networks,
            **measured,
            "class_balance": balance,
            "tol": cfg.tol,
            **({"ridge": cfg.l2_path} if cfg.ridge is not None else {}),
            **({"mlp": plain(cfg.mlp)} if cfg.head is HeadKind.mlp else {}),
            **({"finetune": _tuning(cfg)} if cfg.tuned else {}),
            **({"permute_labels": True} if cfg.permute_labels else {}),
            "methods": plain(methods),
            **({"built_on": built_on} if any(built_on.values()) else {}),
        }
        planned = {}
        for cell in cells:
            request = {k: v for k, v in plain(cell.request).items() if k in COLUMNS}
            fields = {"data": cfg.data.name, **networks, **request, "seed": cell.seed}
            identity = {**shared, "cell": plain(cell)}
            made_with = {**provenance(), "device": device}
            planned[cell] = Stored(store.cell_key(identity), identity, fields, made_with, [])
        keys += [stored.key for stored in planned.values()]
        of_sides = {
            side: (name, sides[side], content[side, name]) for side, name in networks.items()
        }
        tuned = partial(solvers.sides, cfg, dataset, usable, pool, of_sides)
        _run_cells(planned, pool, cfg, device, folder, tuned, (methods, built_on))
        where = Path(cfg.results_dir) / "pairs" / f"{store.digest(measured)[:16]}.json"
        numbers = _pair(dataset, sides, usable, where)
        pairs.append({**networks, "width": widths, "numbers": numbers})

    priors = pool.priors.tolist() if cfg.class_balance is ClassBalance.dataset else None
    settings = {
        **_settings(cfg, cells, original),
        **_brought(cfg, dataset),
        "class_priors": priors,
        "pair": pairs,
    }
    if in_both:
        settings["data"]["shared"] = in_both
    return Job(dataset, usable, settings, keys, failures.load(folder, keys), read)


def _rows(pool: Pool) -> str:
    """Digest of which image is of which group and which may be drawn."""
    return store.digest([pool.codes.tolist(), pool.drawable.tolist(), pool.test.tolist()])


def _run_cells(
    planned: dict[Cell, Stored],
    pool: Pool,
    cfg: Config,
    device: str,
    folder: Path,
    networks: Callable[[], Mapping[str, Side]],
    methods: tuple[Mapping[str, Method], BuiltOn],
) -> None:
    """Run and store what is left, a block at a time: a stop loses at most the block that ran.

    Blocks follow from the grid and not from what is stored, and a block is solved whole, so that a
    run that is stopped and resumed gives the bytes of one that was not.
    """
    wanted = [cell.key for cell in planned.values()]
    done = set(store.load(folder, wanted)["cell"].unique())
    todo = {cell for cell, stored in planned.items() if stored.key not in done}
    first = next(iter(planned.values()))
    log.info(
        "%s -> %s: %d cells, %d of them stored already",
        first.fields["teacher"], first.fields["student"], len(planned), len(planned) - len(todo),
    )  # fmt: skip
    if not todo:
        return
    old = store.other_versions(folder, [planned[cell].key for cell in todo])
    if old:
        versions = ", ".join(sorted({key.rpartition("-")[2] for key in old}))
        log.warning(
            "%d cells of this configuration are stored by other code (%s, this is v%d): they are "
            "kept and not used", len(old), versions, NUMERICS,
        )  # fmt: skip
    cells = list(planned)
    per_seed = len(cells) // len(cfg.seeds)
    size = per_seed if solvers.by_steps(cfg) else at_once(per_seed, device, len(methods[0]))
    if len(cells) > 1:
        log.info(
            "heads of %d cells at a time, in at most memory_limit_gb=%g beside the features",
            min(size, len(cells)),
            cfg.memory_limit_gb,
        )
    with tqdm(total=len(todo), unit="cell", desc="heads", disable=len(cells) == 1) as bar:

        def progress(ended: int, asked: int) -> None:
            bar.set_postfix_str(f"{ended} of {asked} heads of this step")

        solver = solvers.of(cfg, device, progress, networks)
        for start in range(0, len(cells), size):
            block = cells[start : start + size]
            left = todo.intersection(block)
            if left:
                of_block = [planned[c] for c in block]
                _run_block(of_block, block, left, pool, cfg, solver, folder, methods)
                bar.update(len(left))


def at_once(per_seed: int, device: str, methods: int = METHODS_OF_BLOCK) -> int:
    """Cells of a block: whole seeds of `per_seed` cells, at least one of them; fewer cells where
    each has many methods, so that what a stop loses stays small."""
    cells = (BLOCK if device == "cpu" else GPU_BLOCK) * METHODS_OF_BLOCK
    return per_seed * max(1, cells // max(methods, METHODS_OF_BLOCK) // per_seed)


def _run_block(
    stored: Sequence[Stored],
    block: Sequence[Cell],
    left: set[Cell],
    pool: Pool,
    cfg: Config,
    solver: Solver,
    folder: Path,
    methods: tuple[Mapping[str, Method], BuiltOn],
) -> None:
    """Solve a block and store those that are left; where that fails, each of them by itself."""
    of_methods, built_on = methods
    args = (pool, of_methods, solver, cfg.ridge, cfg.permute_labels, solvers.by_steps(cfg))
    try:
        found = run_block(block, *args, built_on)
    except Exception as error:  # whatever stops one cell must not take the others with it
        if cfg.fail_fast:
            raise
        if len(block) > 1:
            log.warning("%s: its %d cells are run one by one", _short(error), len(block))
            for cell, planned in zip(block, stored, strict=True):
                if cell in left:
                    _run_block([planned], [cell], {cell}, pool, cfg, solver, folder, methods)
            return
        log.warning("a cell failed: %s", _short(error))
        failures.save(folder, stored[0].key, stored[0].fields, error, traceback.format_exc())
        return
    for cell, planned, atoms in zip(block, stored, found, strict=True):
        if cell in left:
            store.save(folder, replace(planned, records=atoms))
            failures.forget(folder, [planned.key])


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


def _pair(
    dataset: Dataset,
    matrices: dict[str, NDArray[np.float32]],
    usable: NDArray[np.bool_],
    path: Path,
) -> list[dict[str, Any]]:
    """Dimensions of two networks on the pool, kept at `path`: reports/table.py says what.

    Empty, with a warning, where they cannot be measured: the cells are there and are reported.
    """
    with suppress(OSError, ValueError):  # not measured yet, or a damaged file: measured again
        return table.read(path)
    rows = np.flatnonzero((dataset.split != TEST) & usable)
    log.info("measuring the dimensions of both networks on %s", count(len(rows), dataset.NOUN))
    try:
        report = pair_report(
            matrices["teacher"][rows],
            matrices["student"][rows],
            dataset.codes[rows],
            dataset.groups,
            seed=0,
        )
    except Exception as error:  # whatever it is, the work before it must not be lost
        log.warning("the dimensions cannot be measured (%s): left blank", _short(error))
        return []
    write_atomic(path, json.dumps(table.rows(report)).encode())
    return table.rows(report)


def _tuning(cfg: Config) -> dict[str, Any]:
    """How networks are tuned, as far as results depend on it."""
    return {k: v for k, v in plain(cfg.finetune).items() if k != "checkpoint_minutes"}


def _brought(cfg: Config, dataset: Dataset) -> dict[str, Any]:
    """A digest of the data that the user brought, whose place is no setting: it tells reports of
    two folders apart, the same on every machine. And what a sample is called."""
    files = {}
    places = cfg.data.local_fields()
    if isinstance(dataset, Listed) and any(getattr(cfg.data, place) for place in places):
        rows = [list(dataset.identities), dataset.codes.tolist(), dataset.split.tolist()]
        files[dataset.name] = store.digest(rows)[:8]
    noun = {"noun": dataset.NOUN} if dataset.NOUN != IMAGE else {}
    return {**({"files": files} if files else {}), **noun}


def digest_asked(cfg: Config, dataset: Dataset) -> str:
    """Stands for all that a question about one pair of networks asks, in 8 hexadecimal digits."""
    shown = {key: value for key, value in plain(cfg).items() if key not in (*_MACHINE, *_NETWORKS)}
    for place in cfg.data.local_fields():
        shown["data"].pop(place, None)
    brought = _brought(cfg, dataset)
    return store.digest([shown, brought.get("files", {}).get(dataset.name)])[:8]


def _settings(cfg: Config, cells: list[Cell], original: float) -> dict[str, Any]:
    """What a reader of the report has to know; nothing that differs between machines."""
    shown = plain(cfg)
    for name in ("eta_l", "eta_u"):  # as numbers, whatever they were called
        shown[name] = list(dict.fromkeys(getattr(cell.request, name) for cell in cells))
    named = ORIGINAL in (*cfg.eta_l, *cfg.eta_u)
    shown["eta_o"] = original if named else None
    for unused, default in (
        *(("vary", {}), ("trials", {}), ("n_val", 0), ("eta_o", None), ("select", "fixed")),
        *(("permute_labels", False), ("precision", "float32")),
    ):
        if shown[unused] == default:
            del shown[unused]
    if not cfg.n_val:
        del shown["eta_val"]
    if cfg.head is not HeadKind.mlp:
        del shown["mlp"]
    if cfg.tuned is None:
        del shown["finetune"]
    else:
        shown["finetune"] = _tuning(cfg)
    for unshown in _MACHINE:
        del shown[unshown]
    for place in cfg.data.local_fields():
        shown["data"].pop(place, None)
    return {"experiment": shown.pop("experiment_name"), **shown}
