"""One fit of a network with its head: its steps, where it stops and goes on, what it answers."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from w2s_groups.core.files import write_atomic
from w2s_groups.core.seeds import stream
from w2s_groups.features.compute import mixed
from w2s_groups.finetuning import HeadPlace, Subspace, Tuned, laziness, trainings
from w2s_groups.finetuning.displaced import Tangent, valued
from w2s_groups.finetuning.laziness import Watch
from w2s_groups.finetuning.network import Tunable
from w2s_groups.finetuning.side import Side
from w2s_groups.finetuning.trainings import Start
from w2s_groups.heads.mlp import Layer
from w2s_groups.heads.problem import Problem
from w2s_groups.heads.training import Diverged, Training
from w2s_groups.kernel.gradients import Gradients

FACTORS = (1 / 3, 1.0, 3.0)  # of lr, that a search tries
HELD_OUT = 5  # one of so many rows judges them

log = logging.getLogger("w2s_groups")


@dataclass(frozen=True, eq=False)
class How:
    """What fits share. progress(what, done, total): of the steps and the scoring of a fit."""

    settings: Tuned
    device: str
    precision: str
    progress: Callable[[str, int, int], None]


class Fit:
    """A problem on its way. layers: of the head on frozen features; name: in messages.

    checkpoint: the file that its state is kept in.
    """

    def __init__(
        self,
        problem: Problem,
        layers: tuple[Layer, ...],
        side: Side,
        how: How,
        name: str,
        checkpoint: Path,
    ) -> None:
        self.problem, self.side, self.how, self.name = problem, side, how, name
        self.settings, self.checkpoint = how.settings, checkpoint
        if isinstance(self.settings, Subspace) and self.settings.head is HeadPlace.inside:
            *hidden, (weight, bias) = layers
            layers = (*hidden, (np.zeros_like(weight), np.zeros_like(bias)))
        self.layers = layers
        self.blank = side.backbone.blank().to(how.device)
        self.start = self.network()
        self.at_start: tuple[NDArray[np.int64], Tensor] | None = None  # rows, outputs

    def network(self) -> Start:
        """The network and the head at θ0, with weights of their own."""
        side = self.side
        module = Tunable(
            side.network(), side.backbone.preprocessing, side.mean, side.scale,
            self.layers, self.settings, self.problem.seed,
        ).to(self.how.device)  # fmt: skip
        return Start(module, self.blank)

    def answer(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """(m, K) logits of the rows that will be asked about, and (p, 4) as Watch.found."""
        assert self.problem.asked is not None
        began = time.monotonic()
        if self.settings.scale != 1:
            rows = np.union1d(self.problem.rows, self.problem.asked)
            self.at_start = rows, torch.from_numpy(self.score(rows, "images at first"))
        state = _read(self.checkpoint) or {}
        rate, losses = self._searched(state)
        training = self._training(rate)
        watch = self._watch(training, rate) if self.settings.diagnostics else None
        values = self._steps(training, state, losses, self.name, watch)
        found = self.score(self.problem.asked, "images")
        if values:
            log.info(
                "%s: %s on %d images, %d steps in %.0f s, objective of a batch %.4g -> %.4g",
                self.name, self.side.backbone.name, training.n, len(values),
                time.monotonic() - began, values[0], values[-1],
            )  # fmt: skip
        return found, np.empty((0, 4)) if watch is None else watch.found

    def _watch(self, training: Training, lr: float) -> Watch:
        """The linearised model on the same way, and what is compared with it on test rows."""
        assert self.problem.asked is not None
        twin, seed = self.network(), self.problem.seed
        tangent = Tangent(twin.module, twin.live)
        linear = trainings.linear(
            twin, self.problem, self.settings, lr, self.forward, tangent, self.batch
        )
        test = self.problem.asked if self.side.test is None else self.side.test
        drawn = stream(seed, "tuning/watched").permutation(test)[: laziness.ROWS]
        some, drawn = np.sort(drawn[: laziness.KERNEL_ROWS]), np.sort(drawn)
        outputs = self.score(some[:1], "tangent features").shape[1]
        names = {id(p): name for name, p in self.start.module.named_parameters()}
        gradients = Gradients(
            self.start.module, [names[id(p)] for p in self.start.live],
            torch.eye(outputs), laziness.SKETCH, seed,
        ).to(self.how.device)  # fmt: skip

        def of_tangent() -> NDArray[np.float32]:
            size, parts = self.settings.batch_size, []
            for i in range(0, len(drawn), size):
                rows = drawn[i : i + size]
                with torch.no_grad():
                    found = self.forward(twin.module, rows)
                    found = found + tangent(self.batch(rows), linear.delta)
                parts.append(found.cpu().numpy())
            return np.concatenate(parts)

        return Watch(
            self.settings.diagnostics, training, linear,
            weights=lambda: laziness.weights(self.start.module.network, self.start.body),
            pairs=lambda: (self.score(drawn, "test images"), of_tangent()),
            features=lambda: gradients(self.batch(some)).cpu().numpy(),
            unmoved=laziness.unmoved(self.start.module, self.blank),
        )  # fmt: skip

    def _training(self, lr: float, among: NDArray[np.int64] | None = None) -> Training:
        return trainings.fit(
            self.start, self.problem, self.settings, lr, self._with_gradient, among
        )

    def _searched(self, state: dict[str, Any]) -> tuple[float, list[float]]:
        """The learning rate, and the held-out losses of those tried; `state` is used up by them."""
        lr, n = self.settings.lr, len(self.problem.rows)
        losses: list[float] = list(state.pop("losses", []))
        if not (isinstance(self.settings, Subspace) and self.settings.search and n >= HELD_OUT):
            return lr, losses
        order = stream(self.problem.seed, "tuning/held out").permutation(n)
        held, rest = np.sort(order[: n // HELD_OUT]), np.sort(order[n // HELD_OUT :])
        rates = [lr * factor for factor in FACTORS]
        for k in range(len(losses), len(rates)):
            training = self._training(rates[k], rest)
            name = f"{self.name}, learning rate {k + 1} of {len(rates)}"
            try:
                self._steps(training, state, losses, name)
                logits = torch.from_numpy(self.score(self.problem.rows[held], "held-out images"))
                loss = training.loss(held, logits.to(self.how.device))
            except Diverged:
                loss = float("inf")
            losses.append(loss if np.isfinite(loss) else float("inf"))
            state.clear()
        best = int(np.argmin(losses))
        log.info(
            "%s: on %d held-out images lr = %s give the losses %s; lr = %.3g is taken",
            self.name, len(held), ", ".join(f"{rate:.3g}" for rate in rates),
            ", ".join(f"{loss:.4g}" for loss in losses), rates[best],
        )  # fmt: skip
        return rates[best], losses

    def _steps(
        self,
        training: Training,
        state: dict[str, Any],
        losses: list[float],
        name: str,
        watch: Watch | None = None,
    ) -> list[float]:
        """Run what is left; the objectives of its batches. losses: kept with a checkpoint."""
        if state:
            training.restore(state)
            if watch is not None:
                watch.restore(state["watch"])
            log.info("%s: goes on at step %d of %d", name, training.done, training.total)
        values, saved = [], time.monotonic()
        for value in training.run():
            values.append(value)
            if watch is not None:
                watch.step()
            self.how.progress(f"{name}: steps", training.done, training.total)
            due = time.monotonic() - saved >= 60 * self.settings.checkpoint_minutes
            if due and training.done < training.total:
                more: dict[str, Any] = {} if watch is None else {"watch": watch.state()}
                buffer = io.BytesIO()
                torch.save({**training.state(), **more, "losses": losses}, buffer)
                write_atomic(self.checkpoint, buffer.getvalue())
                saved = time.monotonic()
        return values

    def score(self, rows: NDArray[np.int64], what: str) -> NDArray[np.float32]:
        """(m, K) logits of rows (m,), by the weights as they are."""
        size, parts = self.settings.batch_size, []
        with torch.inference_mode():
            for i in range(0, len(rows), size):
                batch = rows[i : i + size]
                outputs = self.forward(self.start.module, batch)
                parts.append(self._scaled(batch, outputs).cpu().numpy())
                self.how.progress(f"{self.name}: {what}", min(i + size, len(rows)), len(rows))
        return np.concatenate(parts)

    def batch(self, rows: NDArray[np.int64]) -> Tensor:
        """(b, H, W, 3) pixels of rows (b,), where the network is."""
        return self.side.pixels(rows).to(self.how.device)

    def forward(self, module: Tunable, rows: NDArray[np.int64]) -> Tensor:
        """(b, K) outputs of a network, with their gradient."""
        with mixed(self.how.device, self.how.precision):
            logits: Tensor = module(self.batch(rows))
        return logits.float()

    def _with_gradient(self, module: Tunable, rows: NDArray[np.int64]) -> Tensor:
        outputs = self.forward(module, rows)
        if self.at_start is None:
            return outputs
        return valued(outputs, lambda plain: self._scaled(rows, plain))

    def _scaled(self, rows: NDArray[np.int64], outputs: Tensor) -> Tensor:
        """f(x|θ0) + α (f(x|θ) − f(x|θ0)); the outputs themselves at α = 1."""
        if self.at_start is None:
            return outputs
        known, values = self.at_start
        start = values[torch.from_numpy(np.searchsorted(known, rows))].to(outputs.device)
        return start + self.settings.scale * (outputs - start)


def _read(path: Path) -> dict[str, Any] | None:
    """The state in a checkpoint; None where there is none or it is not whole."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:  # pickle, zip and torch each have their own for a broken file
        log.warning("%s is damaged (%s): the fit begins again", path, type(error).__name__)
        return None
    return state
