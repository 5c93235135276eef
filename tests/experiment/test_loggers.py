"""What a logger wrote, read back by the tool's own reader, is what is stored."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
from hydra.core.utils import JobReturn, JobStatus
from multirun import SMALL, command, environment, places
from omegaconf import DictConfig

from w2s_groups.cli import run
from w2s_groups.experiment import loggers
from w2s_groups.interface import hydra_config
from w2s_groups.results import store
from w2s_groups.schema.config import Config

Load = Callable[..., Config]
Cells = dict[str, tuple[dict[str, Any], dict[str, float]]]  # key -> its fields, its values

GRID = ("eta_l=0.25", "eta_u=[0.25,0.5]", "seeds=[0]")


def test_each_has_a_configuration_and_is_off_by_default() -> None:
    hydra_config.register()
    with hydra.initialize_config_dir(str(hydra_config.conf_dir()), version_base="1.3"):
        names = "tensorboard", "mlflow", "wandb"
        plain = hydra.compose("config", [], return_hydra_config=True)
        assert list(plain.hydra.callbacks) == ["one_report"]
        chosen = [f"hydra/callbacks=[{','.join(names)}]", "results_dir=there"]
        asked = hydra.compose("config", chosen, return_hydra_config=True).hydra.callbacks
        for name in names:
            logger = hydra.utils.instantiate(asked[name])
            assert isinstance(logger, loggers.Logger)
            assert logger.module == name
        assert hydra.utils.instantiate(asked.mlflow).uri == "sqlite:///there/mlflow.db"


@pytest.mark.parametrize(
    "logger", [loggers.TensorBoard("d"), loggers.MLflow("u"), loggers.WandB("p", "offline", "d")]
)
def test_what_is_not_installed_is_one_sentence(
    logger: loggers.Logger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    for start in (logger.on_run_start, logger.on_multirun_start):
        with pytest.raises(SystemExit) as stopped:
            start(DictConfig({}))
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            f"error: hydra/callbacks={logger.module} needs {logger.module}, which is not "
            f"installed; install it: pip install 'w2s_groups[{logger.module}]'"
        )


def read_tensorboard(folder: Path) -> Cells:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for path in sorted((folder / "board/leaderboard").iterdir()):
        events = EventAccumulator(str(path)).Reload()
        values = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
        assert all(len(points) == 1 for points in values.values())
        session = events.summary_metadata["_hparams_/session_start_info"]
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        start = HParamsPluginData.FromString(session.plugin_data.content).session_start_info
        fields = {
            name: value.string_value or value.number_value for name, value in start.hparams.items()
        }
        found[path.name] = fields, {tag: points[0].value for tag, points in values.items()}
    return found


def read_mlflow(folder: Path) -> Cells:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("leaderboard")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    return {run.data.tags["cell"]: (dict(run.data.params), run.data.metrics) for run in runs}


def records(data: bytes) -> Iterator[bytes]:
    """Records of an offline run: LevelDB's log format behind a header of 7 bytes."""
    at, parts = 7, b""
    while at < len(data):
        if (left := -at % 32768) < 7 and left:  # the rest of a block that fits no record
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def read_wandb(folder: Path) -> Cells:
    from wandb.proto.wandb_internal_pb2 import Record

    found = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        fields: dict[str, Any] = {}
        values: dict[str, float] = {}
        for raw in records(path.read_bytes()):
            record = Record.FromString(raw)
            for item in record.run.config.update:
                fields[item.key] = json.loads(item.value_json)
            for item in record.history.item:
                values["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
        key = path.stem.removeprefix("run-")
        assert key not in found
        found[key] = fields, {k: v for k, v in values.items() if not k.startswith("_")}
    return found


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_what_is_written_is_what_is_stored(
    load: Load, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name)
    cfg = load(*SMALL, *GRID, *places(tmp_path))
    done = JobReturn(status=JobStatus.COMPLETED)
    done.return_value = run.run(cfg).outcome(cfg)
    logger: loggers.Logger = {
        "tensorboard": lambda: loggers.TensorBoard(str(tmp_path / "board")),
        "mlflow": lambda: loggers.MLflow(f"sqlite:///{tmp_path}/mlflow.db"),
        "wandb": lambda: loggers.WandB("p", "offline", str(tmp_path)),
    }[name]()
    logger.on_job_end(DictConfig({}), job_return=done)
    read = {"tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}[name]
    found = read(tmp_path)

    folder = tmp_path / "results/leaderboard"
    keys = store.keys(folder)
    assert sorted(found) == keys
    assert len(keys) == 2
    for key, rows in store.load(folder, keys).groupby("cell"):
        fields, values = found[key]
        expected = loggers.values_of(rows)
        assert len(expected) > 20
        if name == "mlflow":
            expected = {re.sub(r"[\[\]=,]", "_", k): v for k, v in expected.items()}
        if name == "tensorboard":  # which keeps float32
            expected = {k: float(np.float32(v)) for k, v in expected.items()}
        assert values == expected
        for field in loggers.FIELDS:
            value = rows.iloc[0][field]
            assert type(value)(fields[field]) == value

    # A cell is written once, and again where the mark of it was lost, but never double.
    def refuse(*_: Any) -> None:
        raise AssertionError("written twice")

    with monkeypatch.context() as patch:
        patch.setattr(type(logger), "write", refuse)
        logger.on_job_end(DictConfig({}), job_return=done)
    next(folder.glob(f"logged/*/{keys[0]}")).unlink()
    if name != "wandb":  # there the id makes them one, once they are sent
        logger.on_job_end(DictConfig({}), job_return=done)
        assert read(tmp_path) == found


@pytest.mark.slow
def test_a_sweep_with_every_logger_that_is_installed(tmp_path: Path) -> None:
    names = [name for name in ("tensorboard", "mlflow", "wandb") if loggers.find_spec(name)]
    if not names:
        pytest.skip("needs w2s_groups[tensorboard], [mlflow] or [wandb]")
    done = subprocess.run(
        command(tmp_path, *GRID[:1], "eta_u=0.25,0.5", "seeds=0",
                f"hydra/callbacks=[{','.join(names)}]"),
        capture_output=True, text=True, env=environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "raised" not in done.stderr
    written = [len(list(path.iterdir())) for path in tmp_path.glob("results/leaderboard/logged/*")]
    assert written == [2] * len(names)
