"""One preparation for every command: what a configuration needs, loaded once and checked.

Everything that can be refused is refused as soon as it can be known, before the first long step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, names, plain
from w2s_groups.data.base import TEST, Dataset, original_eta
from w2s_groups.experiment import collapsed, inputs, memory_limit, prompts, solvers
from w2s_groups.experiment.division import Division, by_part, divided
from w2s_groups.experiment.inputs import Loaded, Memory
from w2s_groups.experiment.pool import Affine, Pair, Pool, affine, check_requests, make_pool, width
from w2s_groups.features import extraction
from w2s_groups.schema.cells import WHOLE, Cell, Part, cells
from w2s_groups.schema.choices import Task
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import ORIGINAL

Check = Callable[[Config, Dataset, NDArray[np.bool_], Sequence[Cell]], None]

log = logging.getLogger("w2s_groups")


class _Facts(NamedTuple):
    """What is known of a pair on a part: as in Pair, and by which maps it is standardised."""

    widths: dict[str, int]
    rows: str
    priors: list[float]
    variance: float | None
    maps: dict[str, Affine]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a configuration stands for, on this machine.

    original: the minority fraction that "original" stands for. device: where products run.
    blocks: whether heads are solved by blocks of rows, since they do not fit into memory.
    question: what `memory` knows the features by. division: the dataset under its splits.
    """

    cfg: Config
    dataset: Dataset
    original: float
    cells: list[Cell]
    device: str
    loaded: Loaded
    memory: Memory
    question: list[Any]
    division: Division
    blocks: bool = False

    def pair(self, teacher: str, student: str, part: Part = WHOLE) -> Pair:
        """One pair of the configuration's networks, on the rows of a part."""
        balance, task = self.cfg.class_balance.value, self.cfg.task
        numeric = task is Task.regression
        networks = {"teacher": teacher, "student": student}
        features = {side: self.loaded.matrices[side, name] for side, name in networks.items()}
        dataset, inside = self.division.rows(part)
        usable = inside & self.loaded.usable
        facts: dict[Part, _Facts]
        facts, pools = (
            self.memory.get([*self.question, networks, balance, task.value, what], dict)
            for what in (f"facts {self.blocks}", f"pools {self.blocks}")
        )
        drawn = np.flatnonzero(usable & (dataset.split != TEST))
        if part not in facts:
            maps: dict[str, Affine] = {}
            if self.blocks:  # the pool is standardised by the same maps
                maps = {side: affine(x, drawn, ordered=False) for side, x in features.items()}
                widths = {side: int(np.count_nonzero(scale)) for side, (_, scale) in maps.items()}
            else:
                widths = {side: width(x, drawn) for side, x in features.items()}
            labels = make_pool(dataset, {}, usable, balance, None, numeric)
            variance = None if labels.target is None else labels.target.variance
            priors = labels.priors.tolist()
            facts[part] = _Facts(widths, labels.digest(), priors, variance, maps)
        known = facts[part]

        def pool() -> Pool:
            of = part.fold, part.half
            if of not in pools:
                pools.clear()  # one at a time, each as large as the features
                own = {
                    side: self.loaded.on(side, name, dataset, usable)
                    if self.division.folds
                    else features[side]
                    for side, name in networks.items()
                }
                origin = self.division.origin if self.division.known else None
                stored = {
                    side: known.maps[side] if matrix is features[side] else affine(matrix, drawn)
                    for side, matrix in (own.items() if self.blocks else ())
                }
                plain_pool = make_pool(
                    dataset, own, usable, balance, origin, numeric, stored or None
                )
                head = prompts.of_pool(self.cfg, student, own["student"], usable, plain_pool)
                pools[of] = replace(plain_pool, prompted=head)
            made: Pool = pools[of]
            return made

        content = {side: self.loaded.content[side, name] for side, name in networks.items()}
        facts_of = known.widths, known.rows, known.priors, known.variance
        return Pair(networks, features, content, *facts_of, usable, pool)


def prepare(
    cfg: Config,
    memory: Memory | None = None,
    *,
    check: Check | None = None,
    trained: Callable[[float], Sequence[Cell]] | None = None,
    blocks: bool = False,
) -> Prepared:
    """Load and check. InputError for everything that cannot be done, before it is begun.

    memory: keeps datasets, features and pools from one job of a sweep to the next.
    check: of the dataset's usable rows (N,) and of all cells; None: whether the pool serves them.
    trained: cells in which heads are fitted, where those are not the configuration's own; called
    with what "original" stands for. blocks: whether heads on more rows than memory holds may be
    solved by blocks of rows; otherwise they are refused.
    """
    memory, check = memory or Memory(8), check or check_cells
    device = extraction.best_device(cfg.device)
    if cfg.device == "auto":
        log.info("device=auto: %s", device)
    whole: Dataset = memory.get(inputs.question_of(cfg), lambda: inputs.load_dataset(cfg))
    _check_target(cfg, whole)
    original = original_of(cfg, whole)
    division = divided(cfg, whole)
    dataset = division.dataset
    own = cells(cfg, original)
    fitted = own if trained is None else trained(original)
    if fitted:
        solvers.check(cfg, dataset)
        prompts.check(cfg, dataset)
    everything = np.ones(len(dataset.y), dtype=bool)
    wanted = own if trained is None else [*own, *fitted]
    check_parts(cfg, check, division, everything, wanted)
    reading = names(cfg, Role.network, Role.features, Role.conduct, Role.place)
    of_features = [type(cfg.data).__name__, {name: plain(getattr(cfg, name)) for name in reading}]
    if cfg.several is not None:  # then no sentence on test samples that are also in the pool
        of_features.append(plain(cfg.splits))
    fits = partial(memory_limit.check, cfg, dataset, everything, fitted, blocks=blocks)
    loaded: Loaded = memory.get(of_features, lambda: inputs.load_features(dataset, cfg, fits))
    by_blocks = fits(lambda side, name: loaded.matrices[side, name].shape[1])
    varied = partial(collapsed.check, loaded.matrices, dataset, loaded.usable)
    memory.get([*of_features, "varied"], varied)
    check_parts(cfg, check, division, loaded.usable, wanted)
    return Prepared(
        cfg, dataset, original, own, device, loaded, memory, of_features, division, by_blocks
    )


def check_parts(
    cfg: Config,
    check: Check,
    division: Division,
    usable: NDArray[np.bool_],
    cells: Sequence[Cell],
) -> None:
    """`check` on the rows of each part, with its cells."""
    for part, own in by_part(cells):
        dataset, inside = division.rows(part)
        try:
            check(cfg, dataset, usable & inside, own)
        except InputError as error:
            if part.half is None:
                raise
            raise InputError(
                f"splits.audit={cfg.splits.audit} draws from halves of each pool, too: {error}; or "
                "take them from splits.audit"
            ) from error


def _check_target(cfg: Config, dataset: Dataset) -> None:
    """InputError where heads are to learn a target that the data do not have."""
    if cfg.task is Task.regression and dataset.target is None:
        has = hasattr(cfg.data, "target_column")
        remedy = "set data.target_column to its column" if has else "choose data that have one"
        raise InputError(
            f"task=regression learns a numeric target, and data={dataset.name} has none; {remedy}"
        )


def check_cells(
    cfg: Config, dataset: Dataset, usable: NDArray[np.bool_], own: Sequence[Cell]
) -> None:
    """InputError unless the usable rows of the pool serve every cell."""
    if_all = cfg.data.if_all(dataset)
    requests = [cell.request for cell in own]
    check_requests(dataset, usable, cfg.class_balance.value, requests, if_all)


def original_of(cfg: Config, dataset: Dataset) -> float:
    """What "original" stands for; a line that says so where it is asked for."""
    original = original_eta(dataset) if cfg.eta_o is None else cfg.eta_o
    if ORIGINAL in (*cfg.eta_l, *cfg.eta_u):
        own = "of the data's own train split" if cfg.eta_o is None else "as set by eta_o"
        log.info("original stands for a minority fraction of %.5g, %s", original, own)
    return original
