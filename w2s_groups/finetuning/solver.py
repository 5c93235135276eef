"""Heads whose networks are trained with them, from the head on the frozen features on.

Start and objective are those of the frozen features: the network's weights are not held back but by
the number of steps. Source: Kumar et al., Fine-Tuning can Distort Pretrained Features and
Underperform Out-of-Distribution, ICLR 2022 (LP-FT: first the head, then everything).
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from w2s_groups.backbones.base import Backbone
from w2s_groups.core.files import write_atomic
from w2s_groups.core.roles import HIDDEN, plain
from w2s_groups.features.compute import mixed
from w2s_groups.finetuning import Tuned
from w2s_groups.finetuning.network import Tunable
from w2s_groups.finetuning.pixels import Pixels
from w2s_groups.heads.mlp import Layer, Mlp, spread
from w2s_groups.heads.problem import Head, Predictor, Problem, identity, present_classes
from w2s_groups.heads.training import Schedule, Training, logit_columns

FORMAT = "1"  # a change of what is stored, or of how it is computed, is a new key

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True, eq=False)
class Scored:
    """A tuned network by what it says: logits (m, K) of rows (m,), ascending.

    start: the head on frozen features that it started from; where another fit starts too.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    start: Predictor

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
class Side:
    """A network to tune. mean, scale: pool.affine of its features; content: key of the features."""

    backbone: Backbone
    pixels: Pixels
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    content: str
    body: nn.Module | None = None

    def network(self) -> nn.Module:
        """The network as it comes, loaded when first needed."""
        if self.body is None:
            self.body = self.backbone.load()
        return self.body


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
        assert problem.asked is not None
        side = self.sides[problem.side]
        digest = hashlib.sha256(repr((FORMAT, side.content, self.head, self.shown)).encode())
        for part in (side.mean.tobytes(), side.scale.tobytes(), identity(problem)):
            digest.update(part)
        path = self.folder / f"{digest.hexdigest()[:32]}.npz"
        with self.exclusive(f"finetuned {path.stem}"):
            stored = _read(path, problem.asked)
            if stored is None:
                stored = self._fit(problem, start, side, path, name)
                buffer = io.BytesIO()
                np.savez(buffer, rows=problem.asked, logits=stored)
                write_atomic(path, buffer.getvalue())
                path.with_suffix(".pt").unlink(missing_ok=True)
        columns, n_classes = logit_columns(problem), problem.targets.shape[1]
        return Scored(problem.asked, spread(stored, columns, n_classes), start)

    @property
    def shown(self) -> dict[str, Any]:
        """Settings that a result depends on."""
        return dict(plain(self.settings, HIDDEN))

    def _fit(
        self, problem: Problem, start: Predictor, side: Side, path: Path, name: str
    ) -> NDArray[np.float32]:
        """(m, K) logits of the rows that will be asked about."""
        assert problem.asked is not None
        began = time.monotonic()
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with exact:
            module = Tunable(
                side.network(), side.backbone.preprocessing, side.mean, side.scale,
                _layers(start, problem), self.settings, problem.seed,
            ).to(self.device)  # fmt: skip

            def logits(positions: NDArray[np.int64]) -> torch.Tensor:
                return self._forward(module, side, problem.rows[positions])

            schedule = Schedule(self.settings.epochs, self.settings.batch_size, self.settings.lr)
            training = Training(
                problem, logits, module.trained, list(module.head.weights), schedule
            )
            values = self._steps(training, path.with_suffix(".pt"), name)
            found = self._score(module, side, problem.asked, name)
        if values:
            log.info(
                "%s: %s on %d images, %d steps in %.0f s, objective of a batch %.4g -> %.4g",
                name, side.backbone.name, training.n, len(values),
                time.monotonic() - began, values[0], values[-1],
            )  # fmt: skip
        return found

    def _steps(self, training: Training, checkpoint: Path, name: str) -> list[float]:
        """Run what is left; the objectives of its batches."""
        state = _checkpoint(checkpoint)
        if state is not None:
            training.restore(state)
            log.info("%s: goes on at step %d of %d", name, training.done, training.total)
        values, saved = [], time.monotonic()
        for value in training.run():
            values.append(value)
            self.progress(f"{name}: steps", training.done, training.total)
            due = time.monotonic() - saved >= 60 * self.settings.checkpoint_minutes
            if due and training.done < training.total:
                buffer = io.BytesIO()
                torch.save(training.state(), buffer)
                write_atomic(checkpoint, buffer.getvalue())
                saved = time.monotonic()
        return values

    def _score(
        self, module: Tunable, side: Side, rows: NDArray[np.int64], name: str
    ) -> NDArray[np.float32]:
        size, parts = self.settings.batch_size, []
        with torch.inference_mode():
            for i in range(0, len(rows), size):
                parts.append(self._forward(module, side, rows[i : i + size]).cpu().numpy())
                self.progress(f"{name}: images", min(i + size, len(rows)), len(rows))
        return np.concatenate(parts)

    def _forward(self, module: Tunable, side: Side, rows: NDArray[np.int64]) -> torch.Tensor:
        with mixed(self.device, self.precision):
            logits: torch.Tensor = module(side.pixels(rows).to(self.device))
        return logits.float()


def _layers(start: Predictor, problem: Problem) -> tuple[Layer, ...]:
    """The head on frozen features as layers."""
    if isinstance(start, Mlp):
        return start.layers
    assert isinstance(start, Head)
    columns = logit_columns(problem)
    coef = np.ascontiguousarray(start.coef[:, columns], dtype=np.float32)
    return ((coef, start.intercept[columns].astype(np.float32)),)


def _read(path: Path, asked: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Stored logits of the rows asked about; None where there are none, not whole or not of all."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            rows, logits = stored["rows"], stored["logits"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("%s is damaged (%s) and will be made again", path, error)
        return None
    where = np.searchsorted(rows, asked)
    if len(rows) == 0 or not np.array_equal(rows[np.minimum(where, len(rows) - 1)], asked):
        return None
    return np.asarray(logits[where], dtype=np.float32)


def _checkpoint(path: Path) -> dict[str, Any] | None:
    """The state in a checkpoint; None where there is none or it is not whole."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:  # pickle, zip and torch each have their own for a broken file
        log.warning("%s is damaged (%s): the fit begins again", path, type(error).__name__)
        return None
    return state
