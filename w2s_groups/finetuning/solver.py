"""Heads whose networks are trained with them, from the head on the frozen features on.

Start and objective are those of the frozen features: the network's weights are not held back but by
the number of steps. Source: Kumar et al., Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution, ICLR 2022 (LP-FT: first the head, then everything).
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from w2s_groups.core.files import write_atomic
from w2s_groups.core.roles import HIDDEN, plain
from w2s_groups.finetuning import Subspace, Tuned
from w2s_groups.finetuning.fit import Fit, How
from w2s_groups.finetuning.side import Side
from w2s_groups.heads.mlp import Layer, Mlp, spread
from w2s_groups.heads.problem import Head, Predictor, Problem, identity, present_classes
from w2s_groups.heads.training import logit_columns

Answer = tuple[NDArray[np.float32], NDArray[np.float64]]  # of Fit.answer
UNWATCHED = np.empty((0, 4))
FORMAT = "1"  # a change of what is stored, or of how it is computed, is a new key

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True, eq=False)
class Scored:
    """A tuned network by what it says: logits (m, K) of rows (m,), ascending.

    start: the head on frozen features that it started from; where another fit starts too.
    measured: (p, 4) of its way, as laziness.Watch.found; p = 0 where nothing was measured.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    start: Predictor
    measured: NDArray[np.float64]

    @property
    def scores(self) -> bool:
        """See Predictor."""
        return False

    def logits(self, X: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """See Predictor; the features are not looked at."""
        where = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        assert np.array_equal(self.rows[where], rows)
        return self.values[where]

    def arrays(self) -> Sequence[NDArray[np.floating]]:
        """See Predictor."""
        return self.start.arrays()


@dataclass(eq=False)
class Tuner:
    """Solves problems as `heads.solve.solve` does, and then tunes the network under each head.

    frozen: the solver of the heads on frozen features; head: what sets it apart. sides: "teacher",
    "student" -> network. folder: where finished fits, and checkpoints of others, are kept by
    everything that they depend on. exclusive: a lock by name, held during a fit.
    progress(what, done, total): of the steps and the scoring of a fit.
    """

    frozen: Callable[[Mapping[str, NDArray[np.float32]], Sequence[Problem]], Sequence[Predictor]]
    head: str
    sides: Mapping[str, Side]
    settings: Tuned
    folder: Path
    exclusive: Callable[[str], AbstractContextManager[None]]
    device: str = "cpu"
    precision: str = "float32"
    progress: Callable[[str, int, int], None] = field(default=lambda what, done, total: None)

    def __call__(
        self, features: Mapping[str, NDArray[np.float32]], problems: Sequence[Problem]
    ) -> list[Predictor]:
        """The answer to every problem, in order."""
        at_start = [
            replace(p, init=p.init.start) if isinstance(p.init, Scored) else p for p in problems
        ]
        starts = self.frozen(features, at_start)
        return [
            self._one(problem, start, f"{problem.side} {k} of {len(problems)}")
            for k, (problem, start) in enumerate(zip(at_start, starts, strict=True), start=1)
        ]

    def _one(self, problem: Problem, start: Predictor, name: str) -> Predictor:
        """One fit: a stored one, or a new one that is stored."""
        if len(present_classes(problem)) == 1:
            return start  # only one class is named: no network could say it better
        if isinstance(self.settings, Subspace) and self.settings.d == 0:
            return start
        assert problem.asked is not None
        side = self.sides[problem.side]
        digest = hashlib.sha256(repr((FORMAT, side.content, self.head, self.shown)).encode())
        for part in (side.mean.tobytes(), side.scale.tobytes(), identity(problem)):
            digest.update(part)
        path = self.folder / f"{digest.hexdigest()[:32]}.npz"
        with self.exclusive(f"finetuned {path.stem}"):
            stored = _read(path, problem.asked)
            if stored is None:
                stored = self._fit(problem, start, side, path.with_suffix(".pt"), name)
                buffer = io.BytesIO()
                arrays: dict[str, Any] = {"rows": problem.asked, "logits": stored[0]}
                if self.settings.diagnostics:
                    arrays["measured"] = stored[1]
                np.savez(buffer, **arrays)
                write_atomic(path, buffer.getvalue())
                path.with_suffix(".pt").unlink(missing_ok=True)
        columns, n_classes = logit_columns(problem), problem.targets.shape[1]
        logits, measured_on_the_way = stored
        values = spread(logits, columns, n_classes)
        return Scored(problem.asked, values, start, measured_on_the_way)

    def _fit(
        self, problem: Problem, start: Predictor, side: Side, checkpoint: Path, name: str
    ) -> Answer:
        how = How(self.settings, self.device, self.precision, self.progress)
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            return Fit(problem, _layers(start, problem), side, how, name, checkpoint).answer()

    @property
    def shown(self) -> dict[str, Any]:
        """Settings that a result depends on."""
        return dict(plain(self.settings, HIDDEN))


def _layers(start: Predictor, problem: Problem) -> tuple[Layer, ...]:
    """The head on frozen features as layers."""
    if isinstance(start, Mlp):
        return start.layers
    assert isinstance(start, Head)
    columns = logit_columns(problem)
    coef = np.ascontiguousarray(start.coef[:, columns], dtype=np.float32)
    return ((coef, start.intercept[columns].astype(np.float32)),)


def _read(path: Path, asked: NDArray[np.int64]) -> Answer | None:
    """A stored answer on the rows asked about; None where none is whole and of all of them."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            rows, logits = stored["rows"], stored["logits"]
            measured = stored.get("measured", UNWATCHED)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("%s is damaged (%s) and will be made again", path, error)
        return None
    where = np.searchsorted(rows, asked)
    if len(rows) == 0 or not np.array_equal(rows[np.minimum(where, len(rows) - 1)], asked):
        return None
    return np.asarray(logits[where], dtype=np.float32), measured
