"""One job: the cells of a configuration that are not in the store yet are run and stored."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable
from w2s_groups.core.progress import Blocks
from w2s_groups.data.base import Dataset
from w2s_groups.experiment import dimensions, identity, memory_limit, settings, solvers
from w2s_groups.experiment.block import Ran, at_once, run_block
from w2s_groups.experiment.division import by_part
from w2s_groups.experiment.fit import Solver
from w2s_groups.experiment.inputs import Memory
from w2s_groups.experiment.kept_outputs import Kept
from w2s_groups.experiment.lockstep import Failed
from w2s_groups.experiment.pool import Pair
from w2s_groups.experiment.prepare import Prepared, prepare
from w2s_groups.experiment.threads import Threads
from w2s_groups.results import failures, store, submitted
from w2s_groups.results.select import Rule
from w2s_groups.results.store import Stored
from w2s_groups.schema.cells import OWN, Cell
from w2s_groups.schema.config import Config

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True, eq=False)
class Job:
    """What a job did. keys: of all its cells, made now or before; settings: for the report.

    content: what was read -> key of its content, the same in jobs that read the same. draws: key of
    a cell -> key of its draw, where the experiment has submitted methods; else empty.
    """

    dataset: Dataset
    usable: NDArray[np.bool_]
    settings: dict[str, Any]
    keys: list[str]
    failed: list[dict[str, Any]]
    content: dict[str, str]
    draws: dict[str, str] = field(default_factory=dict)

    def outcome(self, cfg: Config) -> dict[str, Any]:
        """What is handed to Hydra's callbacks, from another process too."""
        return {"folder": str(results_folder(cfg)), "keys": self.keys, "failed": len(self.failed)}


def results_folder(cfg: Config) -> Path:
    """Where the cells of an experiment are kept."""
    return Path(cfg.results_dir) / cfg.experiment_name


def run(cfg: Config, memory: Memory | None = None) -> Job:
    """Run what is not stored. InputError for what cannot be done, before the first long step.

    memory: keeps datasets, features and pools from one job of a sweep to the next. A cell that
    fails is recorded and the others go on, unless cfg.fail_fast.
    """
    folder = results_folder(cfg)
    unwritable = _unwritable(folder)
    check_writable(Path(cfg.reports_dir), "reports_dir")
    prepared = prepare(cfg, memory, blocks=True)
    if cfg.vary and cfg.select is Rule.fixed:
        log.info(
            "select=fixed: every setting of vary is a method of its own in the report; "
            "select=labelled would choose one of them in each cell"
        )
    planned: list[Stored] = []
    measured = []
    dataset, loaded = prepared.dataset, prepared.loaded
    content = {f"{side} {name}": key for (side, name), key in loaded.content.items()}
    for teacher, student in cfg.pairs:
        pair = prepared.pair(teacher, student)
        content[f"rows of {teacher} -> {student}"] = pair.rows
        planned += _run_pair(prepared, pair.networks, folder, unwritable)
        numbers = dimensions.of_pair(prepared, pair, unwritable)
        measured.append({**pair.networks, "width": pair.widths, "numbers": numbers})
    shown = settings.of_run(
        cfg, dataset, prepared.cells, prepared.original, measured,
        pair.priors, loaded.shared, pair.variance,
    )  # fmt: skip
    keys, failed = [cell.key for cell in planned], failures.load(folder, [c.key for c in planned])
    draws = {}
    if submitted.paths(folder):
        samples = identity.samples(dataset)
        draws = {cell.key: identity.draw_key(cell.identity, samples) for cell in planned}
    return Job(dataset, loaded.usable, shown, keys, failed, content, draws)


def _unwritable(folder: Path) -> InputError | None:
    """Why no cell can be stored in `folder`: raised at once, unless all may be stored already.

    A finished store can lie on a read-only disk and be reported from there.
    """
    try:
        check_writable(folder, "results_dir")
    except InputError as error:
        if not store.holds_cells(folder):
            raise
        return error
    return None


Planned = Mapping[Cell, Stored]


def _run_pair(
    prepared: Prepared,
    networks: Mapping[str, str],
    folder: Path,
    unwritable: InputError | None = None,
) -> list[Stored]:
    """Run and store the cells that are left, a block at a time; all of them, without records.

    unwritable: raised where cells are left.

    A stop loses at most the block that ran. Blocks follow from the grid and not from what is
    stored, and a block is solved whole, so that a run that is stopped and resumed gives the bytes
    of one that was not.
    """
    parts: list[tuple[Pair, Planned]] = []
    planned: dict[Cell, Stored] = {}
    for part, cells in by_part(prepared.cells):
        pair = prepared.pair(**networks, part=part)
        parts.append((pair, identity.planned(prepared, pair, cells)))
        planned |= parts[-1][1]
    keys = [stored.key for stored in planned.values()]
    done = store.there(folder, keys)
    done -= {str(row["cell"]) for row in failures.load(folder, keys)}  # a method of it failed
    todo = {cell for cell, stored in planned.items() if stored.key not in done}
    kept = Kept(folder, prepared, planned)
    log.info(
        "%s -> %s: %d cells, %d of them stored already",
        *networks.values(), len(planned), len(planned) - len(todo),
    )  # fmt: skip
    if (todo or kept.lacking) and unwritable is not None:
        raise unwritable
    if kept.lacking:
        kept.announce(parts[0][0].pool)
    if todo:
        _warn_of_other_code(folder, [planned[cell].key for cell in todo])
    if todo or kept.lacking:
        _run_cells(prepared, parts, todo, kept, folder)
    return list(planned.values())


def _warn_of_other_code(folder: Path, keys: Sequence[str]) -> None:
    old = store.other_versions(folder, keys)
    if old:
        versions = ", ".join(sorted({key.rpartition("-")[2] for key in old}))
        log.warning(
            "%d cells of this configuration are stored by other code (%s, this is v%d): they are "
            "kept and not used", len(old), versions, identity.NUMERICS,
        )  # fmt: skip


def _run_cells(
    prepared: Prepared,
    parts: Sequence[tuple[Pair, Planned]],
    todo: set[Cell],
    kept: Kept,
    folder: Path,
) -> None:
    """Run the blocks that hold cells of `todo` or that lack outputs, and store these."""
    cfg, asked = prepared.cfg, todo | kept.lacking
    most = max(_at_once(prepared, pair, planned) for pair, planned in parts)
    total = sum(len(planned) for _, planned in parts)
    if total > 1:
        log.info(
            "heads of %d cells at a time, in at most memory_limit_gb=%g and the features",
            most,
            cfg.memory_limit_gb,
        )
    with Blocks(len(asked), quiet=total == 1) as bar, Threads(cfg.threads) as threads:
        for pair, planned in parts:
            if not asked.intersection(planned):
                continue
            networks = partial(solvers.sides, cfg, prepared.dataset, pair)
            progress = threads.after(bar.heads)
            solver = solvers.of(cfg, prepared.device, progress, networks, _room(prepared))
            methods = cfg.resolved(pair.widths)
            runner = _Runner(cfg, pair, methods, solver, folder, bar, todo, kept)
            cells, size = list(planned), _at_once(prepared, pair, planned)
            for start in range(0, len(cells), size):
                block = {cell: planned[cell] for cell in cells[start : start + size]}
                left = asked.intersection(block)
                if left:
                    bar.block(len(left))
                    threads.look()
                    runner.run(block, left)
                    bar.ended()


def _room(prepared: Prepared) -> int | None:
    """Bytes for heads by blocks of rows; None where heads are solved in memory."""
    if not prepared.blocks:
        return None
    return memory_limit.for_blocks(prepared.cfg, len(prepared.dataset.y), prepared.cells)


def _at_once(prepared: Prepared, pair: Pair, planned: Planned) -> int:
    """Cells of a part that are solved together: whole seeds, or as many as fit with their rows."""
    cfg = prepared.cfg
    per_seed = len(planned) // len({cell.seed for cell in planned})
    if solvers.by_steps(cfg):
        return per_seed
    if prepared.blocks:
        return memory_limit.cells_at_once(cfg, list(planned))
    size = at_once(per_seed, prepared.device, len(cfg.resolved(pair.widths)))
    return min(size, len(planned))


@dataclass(frozen=True, eq=False)
class _Runner:
    """Solves blocks of cells of a pair and stores those of `todo` below `folder`."""

    cfg: Config
    pair: Pair
    methods: Mapping[str, Any]
    solver: Solver
    folder: Path
    bar: Blocks
    todo: set[Cell]
    kept: Kept

    def run(self, block: Planned, left: set[Cell]) -> None:
        """Solve a block and store the cells of `left`; where that fails, each of them by itself."""
        cfg = self.cfg
        args = (self.pair.pool, self.methods, self.solver, cfg.ridge, cfg.permute_labels)
        try:
            of_cells = run_block(
                list(block), *args, solvers.by_steps(cfg), cfg.built_on(), self.bar.step_of,
                self.kept.names,
            )  # fmt: skip
        except Exception as error:  # whatever stops one cell must not take the others with it
            if cfg.fail_fast:
                raise
            self._failed(block, left, error)
            return
        first = _first_error(of_cells) if cfg.fail_fast else None
        if first is not None:
            raise first
        self.kept.save(self.pair, block, of_cells, left)
        for (cell, planned), ran in zip(block.items(), of_cells, strict=True):
            if cell in left & self.todo:
                tested = ran.tested if cell.part.fold != OWN and not cell.part.audit else None
                store.save(self.folder, replace(planned, records=ran.records, tested=tested))
            if cell in left:
                self._without(planned, ran.failed)

    def _without(self, planned: Stored, failed: Mapping[str, Failed]) -> None:
        """A row for a cell some of whose methods failed, so that it is tried again."""
        if not failed:
            failures.forget(self.folder, [planned.key])
            return
        reasons = "; ".join(f"method {name}: {one.reason}" for name, one in failed.items())
        log.warning("seed %s: %s", planned.fields["seed"], reasons)
        traces = "\n".join(one.log for one in failed.values() if one.log)
        error = failures.MethodError(reasons)
        failures.save(self.folder, planned.key, planned.fields, error, traces)

    def _failed(self, block: Planned, left: set[Cell], error: Exception) -> None:
        """Each cell of a block by itself; a row for one that fails so too."""
        if len(block) > 1:
            log.warning("%s: its %d cells are run one by one", failures.short(error), len(block))
            for cell, planned in block.items():
                if cell in left:
                    self.run({cell: planned}, {cell})
            return
        log.warning("a cell failed: %s", failures.short(error))
        ((_, planned),) = block.items()
        failures.save(self.folder, planned.key, planned.fields, error, traceback.format_exc())


def _first_error(of_cells: Sequence[Ran]) -> Exception | None:
    every = (one.error for ran in of_cells for one in ran.failed.values())
    return next((error for error in every if error is not None), None)
