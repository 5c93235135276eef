"""Shards on a Ray cluster: Ray Data hands their numbers to actors, a network and a device each."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.features import shards
from w2s_groups.features.compute import Items, Progress, Run
from w2s_groups.features.shards import Shard

Work = Callable[[], tuple[Items, Run]]  # what an actor calls on its own machine


@dataclass(frozen=True)
class Actors:
    """What each actor is given, and how many there may be. size: None for as many as there fit."""

    cpus: int
    device: str
    size: int | None


class Maker:
    """An actor: its network is loaded once, and makes one shard after another."""

    def __init__(self, work: Work, cache_dir: Path, here: Path) -> None:
        """here: the folder of the command, which relative paths of data and networks start from."""
        self.mistake = ""
        with contextlib.suppress(OSError):  # another machine may lack it, and then need no path
            os.chdir(here)
        try:
            self.items, self.run = work()
            self.shards = shards.cut(self.items, self.run, cache_dir)
        except InputError as mistake:  # such as a file that this machine lacks
            self.mistake = str(mistake)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Numbers of shards, which are on disk then, and what the user has to change, or ""."""
        numbers = batch["shard"].tolist()
        try:
            if not self.mistake:
                shards.take(self.items, self.run, [self.shards[number] for number in numbers])
        except InputError as mistake:
            self.mistake = str(mistake)
        return {"shard": numbers, "mistake": [self.mistake] * len(numbers)}


@contextmanager
def cluster(init: Mapping[str, Any]) -> Iterator[None]:
    """A Ray cluster: the one that `init` (keywords of ray.init) names or that runs here, or a new
    one of this machine, which ends with the context. Nothing is reported to anybody.

    Within it sys.stdout is stderr: Ray prints at any time, such as that a process was killed.

    Raises InputError where Ray is not installed or does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # to the user's terminal
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            "engine=ray needs Ray Data, which is not installed; install it: "
            "pip install 'w2s_groups[ray]'"
        ) from error
    known = inspect.signature(ray.init).parameters
    for name in init:
        if name not in known:
            raise unknown_name("ray.init", str(name), known)
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    own = not ray.is_initialized()
    try:
        with _no_stderr():
            ray.init(**{**quiet, "ignore_reinit_error": True, **init})
    except (OSError, ValueError, TypeError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"ray.init={dict(init)}: Ray does not start ({reason}); change ray.init, or set "
            "engine=local"
        ) from error
    try:
        _silence(ray.data.DataContext.get_current())
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if own:
            ray.shutdown()


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Nothing on the descriptor of stderr, to which Ray's C++ says what level it logs at."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _silence(context: Any) -> None:
    """No bars and lines of Ray Data's own: its log is a file of Ray's session."""
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL + 1)


def make(
    work: Work, cache_dir: Path, missing: Sequence[Shard], actors: Actors, shown: Progress
) -> None:
    """Have actors make shards that are missing. Call it within `cluster`.

    An actor whose process is killed is started again, and makes its shard anew. Raises InputError
    for what a shard is refused for, and for a cluster that lacks the cores or the GPU of an actor.
    """
    import ray
    from ray.exceptions import RayError

    size, gpus = _fitting(ray, actors)
    data = ray.data.from_items(
        [{"shard": shard.number} for shard in missing], override_num_blocks=len(missing)
    )
    made = data.map_batches(
        Maker,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(size, len(missing))),
        fn_constructor_args=(work, cache_dir, Path.cwd()),
        num_cpus=actors.cpus,
        num_gpus=gpus,
    )
    rows = {shard.number: len(shard.rows) for shard in missing}
    try:
        for row in made.iter_rows():
            if row["mistake"]:
                raise InputError(row["mistake"])
            shown.done(rows[row["shard"]])
    except RayError as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise InputError(
            f"engine=ray: an actor failed ({last}); "
            "Ray's logs, in session_latest/logs of its folder, say more; run the same command "
            "to go on, or set engine=local"
        ) from error


def _fitting(ray: Any, actors: Actors) -> tuple[int, int]:
    """How many actors there are, and the GPUs of each. InputError where none fits."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpu = actors.device == "cuda" or (
        actors.device == "auto" and any(node.get("GPU", 0) >= 1 for node in nodes)
    )
    fit = [
        int(min(node.get("CPU", 0) // actors.cpus, node.get("GPU", 0) if gpu else float("inf")))
        for node in nodes
    ]
    if not sum(fit):
        what = f"workers={actors.cpus}" + (" cores and a GPU (device=cuda)" if gpu else " cores")
        raise InputError(
            f"engine=ray: an actor takes {what}, and no machine of the cluster has them; "
            f"lower workers{' or set device=cpu' if gpu else ''}"
        )
    return min(sum(fit), actors.size or sum(fit)), int(gpu)
