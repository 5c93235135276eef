"""`run`, `draw` and `extract`: what the command `run` does, of Python values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import torch
from w2s_groups.experiment import inputs, job
from w2s_groups.experiment.draws import SETS, draws_of
from w2s_groups.experiment.job import Job
from w2s_groups.interface.asked import asked, folders_of
from w2s_groups.interface.data import Data
from w2s_groups.interface.results import Results
from w2s_groups.methods import METHODS, files
from w2s_groups.reports import leaderboard
from w2s_groups.results import store, submitted
from w2s_groups.results.columns import DEFAULTS
from w2s_groups.schema.cells import OWN
from w2s_groups.schema.config import Config

Ints = NDArray[np.int64]
Fractions = float | str | Sequence[float | str]


class Draw(NamedTuple):
    """Rows of one cell, in the order in which the data were given: disjoint sets of indices.

    labelled (n_l,), unlabelled (n_u,), validation (n_val,), test (T,).
    """

    labelled: Ints
    unlabelled: Ints
    validation: Ints
    test: Ints


def run(
    data: Data | str,
    *,
    eta_l: Fractions | None = None,
    eta_u: Fractions | None = None,
    n_l: int | Sequence[int] | None = None,
    n_u: int | Sequence[int] | None = None,
    methods: Sequence[Any] | Mapping[str, Mapping[str, Any]] | None = None,
    n_seeds: int | None = None,
    teacher: str | Sequence[str] | None = None,
    student: str | Sequence[str] | None = None,
    results_dir: str | Path | None = None,
    **settings: Any,
) -> Results:
    """Fit teachers and students over a grid, as `w2s-groups run` does: the same cells and numbers.

    data: a `Data`, or the name of a data set. eta_l, eta_u: minority fractions in [0, 0.5] of the
    labelled and the unlabelled set; n_l, n_u: their sizes; lists are crossed. methods: names, or
    name -> settings of each. n_seeds: draws of every point. teacher, student: networks, for data
    that are no features yet. settings: every other key of the command line; a dotted key is written
    as a dict (splits="crossed", mlp={"width": 64}), or as **{"methods.w2s.l2": 0.01}. What is None
    keeps its default (conf/config.yaml).
    results_dir: where finished cells are kept, so that the same call goes on after a stop; None
    keeps none. Raises InputError for what cannot be done, before the first long step.
    """
    given = {"eta_l": eta_l, "eta_u": eta_u, "n_l": n_l, "n_u": n_u, "n_seeds": n_seeds}
    given |= {"teacher": teacher, "student": student}
    wanted = {**{key: value for key, value in given.items() if value is not None}, **settings}
    with folders_of(results_dir) as folders:
        cfg, memory = asked(data, {**_methods(methods), **wanted}, folders)
        with _threads(cfg):
            return collected(cfg, job.run(cfg, memory))


def collected(cfg: Config, done: Job) -> Results:
    """The stored results of a job, with what was submitted for its draws."""
    folder = job.results_folder(cfg)
    attached = submitted.attached(folder, store.load(folder, done.keys), done.draws)
    # Without the place of the log, which is a folder of this machine.
    failed = [{key: value for key, value in row.items() if key != "log"} for row in done.failed]
    settings = {**done.settings, **attached.settings, **({"failed": failed} if failed else {})}
    table = attached.table
    if not len(table):
        return Results(table, settings, failed=failed)
    stored = folder, done.keys, table, settings
    counts, scores = leaderboard.counts_of(*stored, attached), leaderboard.scores_of(*stored)
    return Results(table, settings, counts, failed, scores)


def draw(
    data: Data | str,
    *,
    eta_l: float | str,
    eta_u: float | str,
    n_l: int,
    n_u: int,
    seed: int = 0,
    fold: int = OWN,
    **settings: Any,
) -> Draw:
    """The rows of one cell of `run`: the same samples under the same seed; no network is used.

    fold: number of the split, where `splits` makes several. settings: as for `run`, of which n_val,
    eta_val, class_balance and splits matter. Raises InputError as `run` does.
    """
    point: dict[str, Any] = {"eta_l": eta_l, "eta_u": eta_u, "n_l": n_l, "n_u": n_u}
    if settings.get("splits", "given") != "given":
        point["splits.every_seed"] = True  # a draw follows from seed and fold, whoever asks
    with folders_of(None) as folders:
        cfg, memory = asked(data, {**point, "seeds": [seed], **settings}, folders)
        drawing = draws_of(cfg, memory)
    fields = [{**DEFAULTS, **cell.fields} for cell in drawing.cells]
    every = zip(fields, drawing.cells, strict=True)
    own = {known["fold"]: cell for known, cell in every if not known["audit"]}
    if fold not in own:
        folds = ", ".join(map(str, sorted(own)))
        raise InputError(f"fold={fold} is none of the splits of the run, which are {folds}")
    given = data.rows if isinstance(data, Data) else np.arange(len(drawing.ids))
    return Draw(*(given[own[fold].rows[name]] for name in SETS))


def extract(data: Data, network: str, **settings: Any) -> NDArray[np.float32]:
    """(N, d) penultimate features of a network on a data set by name, in its order; cached.

    network: as `teacher` on the command line, such as "packaged/squeezenet1_1". settings: such as
    image_size, device and batch_size.
    """
    with folders_of(None) as folders:
        both = {"teacher": network, "student": network}
        cfg, _ = asked(data, {**both, **settings}, folders)
        return inputs.load_features(data.dataset, cfg).matrices["teacher", network]


@contextmanager
def _threads(cfg: Config) -> Iterator[None]:
    """torch's threads as cfg.threads says, and as they were afterwards."""
    before = torch.get_num_threads()
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
        cfg.workers = min(cfg.workers or cfg.threads, cfg.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _methods(given: Sequence[Any] | Mapping[str, Mapping[str, Any]] | None) -> dict[str, Any]:
    """Settings that list the methods, and those of each."""
    if given is None:
        return {}
    if isinstance(given, str):
        raise InputError(f"methods={given!r} must be a list; give [{given!r}]")
    own = given if isinstance(given, Mapping) else {one: {} for one in given}
    named = {_named(one): settings for one, settings in own.items()}
    of_each = {f"methods.{name}": settings for name, settings in named.items() if settings}
    return {"methods": list(named), **of_each}


def _named(given: Any) -> str:
    """A method's name. An object, or method/FILE.py:NAME, is registered under its own."""
    if not isinstance(given, str):
        return METHODS.add(given)
    return files.load(given) if given.startswith(files.PREFIX) else given
