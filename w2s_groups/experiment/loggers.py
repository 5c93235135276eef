"""Finished cells to TensorBoard, MLflow or W&B: Hydra callbacks, off unless one is asked for.

`hydra/callbacks=tensorboard` (or mlflow, wandb) writes one run a cell when its job ends, in the
process that ran it. The store stays the one source: a logger reads it, and a cell that a logger
cannot write is written when the same command is run again.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from abc import abstractmethod
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, cast

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from w2s_groups.core.errors import InputError
from w2s_groups.results import store
from w2s_groups.results.columns import POINT, SETUP

FIELDS = (*SETUP, *POINT, "seed")


class Logger(Callback):
    """Writes cells somewhere, each once. A subclass names its module and writes one cell."""

    module: ClassVar[str]  # that has to be there; the extra that brings it has its name

    @abstractmethod
    def place(self) -> str:
        """Where it writes to: a cell is written once to each place."""

    @abstractmethod
    def write(
        self, experiment: str, key: str, fields: dict[str, Any], values: dict[str, float]
    ) -> None:
        """Write one cell in place of any part of it that is there. values: as values_of gives."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse before any work if the package is not installed."""
        self._check()

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Refuse before any work if the package is not installed."""
        self._check()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Write the cells of a finished job that are not written yet."""
        if job_return.status is not JobStatus.COMPLETED or not job_return.return_value:
            return
        folder = Path(job_return.return_value["folder"])
        written = folder / "logged" / f"{self.module}-{store.digest(self.place())[:8]}"
        new = [key for key in job_return.return_value["keys"] if not (written / key).exists()]
        for key, rows in store.load(folder, new).groupby("cell"):
            fields = {name: _plain(rows.iloc[0][name]) for name in FIELDS}
            self.write(folder.name, str(key), fields, values_of(rows))
            written.mkdir(parents=True, exist_ok=True)
            (written / str(key)).touch()

    def _check(self) -> None:
        if find_spec(self.module) is None:
            error = InputError(
                f"hydra/callbacks={self.module} needs {self.module}, which is not installed; "
                f"install it: pip install 'w2s_groups[{self.module}]'"
            )
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)


def values_of(rows: Any) -> dict[str, float]:
    """method/split/metric/group -> value of one cell's rows of the long table; no absent group."""
    names = rows["method"] + "/" + rows["split"] + "/" + rows["metric"] + "/" + rows["group"]
    values = zip(names, rows["value"], strict=True)
    return {name: float(value) for name, value in values if value == value}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


class TensorBoard(Logger):
    """dir/<experiment>/<cell>: values at step 0 (float32), fields as hyperparameters."""

    module = "tensorboard"

    def __init__(self, dir: str) -> None:
        self.dir = dir

    def place(self) -> str:
        """See Logger."""
        return str(Path(self.dir).absolute())

    def write(
        self, experiment: str, key: str, fields: dict[str, Any], values: dict[str, float]
    ) -> None:
        """See Logger."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        folder = Path(self.dir) / experiment / key
        shutil.rmtree(folder, ignore_errors=True)
        with SummaryWriter(str(folder)) as writer:
            for summary in hparams(fields, values):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(summary)
            for name, value in values.items():
                writer.add_scalar(name, value, 0)


class MLflow(Logger):
    """A run a cell in the MLflow experiment of that name; uri: a database or a tracking server."""

    module = "mlflow"

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def place(self) -> str:
        """See Logger."""
        return self.uri

    def write(
        self, experiment: str, key: str, fields: dict[str, Any], values: dict[str, float]
    ) -> None:
        """See Logger."""
        from mlflow import MlflowClient, MlflowException
        from mlflow.entities import Metric, Param

        client = MlflowClient(self.uri)
        logged = client.get_experiment_by_name(experiment)
        if logged is None:
            with suppress(MlflowException):  # another job was faster
                client.create_experiment(experiment)
            logged = client.get_experiment_by_name(experiment)
        assert logged is not None
        for part in client.search_runs([logged.experiment_id], f"tags.cell = '{key}'"):
            client.delete_run(part.info.run_id)
        run = client.create_run(logged.experiment_id, tags={"cell": key}, run_name=key)
        now = time.time_ns() // 10**6
        # Its names hold no other characters than these.
        metrics = [
            Metric(re.sub(r"[^\w\-./ :]", "_", name), value, now, 0)
            for name, value in values.items()
        ]
        params = [Param(name, str(value)) for name, value in fields.items()]
        client.log_batch(run.info.run_id, params=params)
        for start in range(0, len(metrics), 1000):  # as many as a batch may hold
            client.log_batch(run.info.run_id, metrics[start : start + 1000])
        client.set_terminated(run.info.run_id)


class WandB(Logger):
    """A run a cell, its id the cell's key; mode: offline, for `wandb sync` later, or online."""

    module = "wandb"

    def __init__(self, project: str, mode: str, dir: str) -> None:
        self.project, self.mode, self.dir = project, mode, dir

    def place(self) -> str:
        """See Logger."""
        return f"{self.project} {self.mode} {Path(self.dir).absolute()}"

    def write(
        self, experiment: str, key: str, fields: dict[str, Any], values: dict[str, float]
    ) -> None:
        """See Logger."""
        import wandb

        Path(self.dir).mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=self.project,
            id=key,
            name=key,
            group=experiment,
            dir=self.dir,
            config=fields,
            mode=cast(Any, self.mode),  # its type is a literal of wandb's own
            resume="allow" if self.mode == "online" else None,
            settings=wandb.Settings(silent=True, console="off"),
        )
        run.log(values)
        run.finish()
