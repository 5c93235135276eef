"""The schema of the whole configuration, and the cells that it stands for.

Numbers live in conf/*.yaml; here are only their types and ranges. A list-valued field is crossed
inside one run, and every cell is validated before the first one runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from w2s_groups.data import DATASETS
from w2s_groups.errors import InputError, unknown_name
from w2s_groups.experiments import EXPERIMENTS
from w2s_groups.heads.problem import Squared
from w2s_groups.methods import METHODS
from w2s_groups.sampling import Request


class ClassBalance(Enum):
    """Class shares of every draw: equal, or those of the dataset's own pool."""

    uniform = "uniform"
    dataset = "dataset"


class HeadKind(Enum):
    """What every head is: logistic or softmax regression, or ridge regression in closed form."""

    logistic = "logistic"
    ridge = "ridge"


class OnBadImage(Enum):
    """An unreadable image ends the run before training, or is left out of the pool."""

    stop = "stop"
    skip = "skip"


@dataclass
class Config:
    """One run. eta_l, eta_u, n_l, n_u and seeds take one value or a list and are crossed."""

    experiment_name: str = MISSING
    experiment: Any = None
    data: Any = MISSING
    teacher: str = MISSING
    student: str = MISSING
    methods: dict[str, Any] = MISSING
    eta_l: Any = MISSING
    eta_u: Any = MISSING
    n_l: Any = MISSING
    n_u: Any = MISSING
    seeds: Any = MISSING
    class_balance: ClassBalance = MISSING
    l2: float = MISSING
    head: HeadKind = MISSING
    l2_path: Any = MISSING
    tol: float = MISSING
    image_size: int = MISSING
    batch_size: int = MISSING
    workers: int = MISSING
    device: str = MISSING
    on_bad_image: OnBadImage = MISSING
    memory_limit_gb: float = MISSING
    cache_dir: str = MISSING
    results_dir: str = MISSING
    reports_dir: str = MISSING

    def __post_init__(self) -> None:
        for name, low, high in (("eta_l", 0.0, 0.5), ("eta_u", 0.0, 0.5)):
            setattr(self, name, _numbers(name, getattr(self, name), float, low, high))
        for name, low in (("n_l", 2), ("n_u", 2), ("seeds", 0)):
            setattr(self, name, _numbers(name, getattr(self, name), int, low, 2**31 - 1))
        _numbers("l2", self.l2, float, 1e-12, 1e6)
        self.l2_path = _numbers("l2_path", self.l2_path, float, 1e-12, 1e6) if self.l2_path else []
        self._check_head()
        _numbers("tol", self.tol, float, 1e-12, 1e-1)
        _numbers("image_size", self.image_size, int, 32, 4096)
        _numbers("batch_size", self.batch_size, int, 1, 65536)
        _numbers("workers", self.workers, int, 0, 256)
        _numbers("memory_limit_gb", self.memory_limit_gb, float, 0.05, 65536)
        if not self.methods:
            raise InputError("methods is empty: name at least methods=[teacher]")
        for name in self.methods:
            missing = [need for need in METHODS[name].needs if need not in self.methods]
            if missing:
                raise InputError(
                    f"methods: {name} builds on {' and '.join(missing)}, which is not listed; "
                    f"add it: methods=[{','.join([*missing, *self.methods])}]"
                )
        if "teacher" not in self.methods:
            raise InputError(
                "methods: every gain is measured against the teacher, which is not listed; "
                f"add it: methods=[{','.join(['teacher', *self.methods])}]"
            )

    def _check_head(self) -> None:
        if self.head is HeadKind.logistic and self.l2_path:
            raise InputError(
                f"l2_path={self.l2_path}: leave-one-out is in closed form for head=ridge alone; "
                "set head=ridge or drop l2_path"
            )
        unfit = [name for name in self.methods if not METHODS[name].by_ridge]
        if self.head is HeadKind.ridge and unfit:
            rest = ",".join(name for name in self.methods if name not in unfit)
            raise InputError(
                f"methods={' and '.join(unfit)} cannot be fitted by head=ridge, whose scores are "
                f"no probabilities; leave out: methods=[{rest}]"
            )

    @property
    def ridge(self) -> Squared | None:
        """The loss of ridge heads; None for logistic ones."""
        return Squared(tuple(self.l2_path)) if self.head is HeadKind.ridge else None


def _numbers(name: str, value: Any, kind: type, low: float, high: float) -> list[Any]:
    """The value or list of values as a list without repeats, each checked against its range."""
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not values:
        raise InputError(f"{name}=[] is empty; give at least one value")
    for v in values:
        whole = isinstance(v, int) and not isinstance(v, bool)
        if not (whole or (kind is float and isinstance(v, float))) or not low <= v <= high:
            raise InputError(
                f"{name}={v!r} must be {'a whole number' if kind is int else 'a number'} in "
                f"[{low:g}, {high:g}]; change {name}"
            )
    converted = [kind(v) for v in values]
    if len(set(converted)) < len(converted):
        raise InputError(f"{name}={value} repeats a value; list each once")
    return converted


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a draw and its seed."""

    request: Request
    seed: int


def cells(config: Config) -> list[Cell]:
    """The cross product of the list-valued fields, seeds outermost so that blocks share draws."""
    return [
        Cell(Request(n_l, n_u, eta_l, eta_u), seed)
        for seed, n_l, n_u, eta_l, eta_u in itertools.product(
            config.seeds, config.n_l, config.n_u, config.eta_l, config.eta_u
        )
    ]


def plain(value: Any) -> Any:
    """Dataclasses, enums and paths as what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def register() -> None:
    """Put every schema where the YAML files ask for it."""
    store = ConfigStore.instance()
    store.store(group="schema", name="config", node=Config)
    for name, dataset in DATASETS.items():
        store.store(group="schema/data", name=name, node=dataset)
    for name, method in METHODS.items():
        store.store(group="schema/methods", name=name, node=method)
    for name, experiment in EXPERIMENTS.items():
        store.store(group="schema/experiment", name=name, node=experiment)


def conf_dir() -> Path:
    """The YAML folder: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def check_names(overrides: Sequence[str]) -> None:
    """InputError with near matches for a config-group option that does not exist."""
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    for override in overrides:
        key, _, value = override.partition("=")
        group = key.lstrip("+~").split("@")[0]
        if group not in groups or not value:
            continue
        known = {path.stem for path in (conf_dir() / group).glob("*.yaml")}
        for name in value.strip("[]").split(","):
            if name.strip() not in known | {"null", "~"}:
                raise unknown_name(group, name.strip(), known)


def from_hydra(composed: DictConfig) -> Config:
    """The composed configuration as objects, with every range checked."""
    missing = sorted(OmegaConf.missing_keys(composed))
    if missing:
        raise InputError(f"{missing[0]} has no value; set it: {missing[0]}=...")
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    parts = [("", config), ("data.", config.data), ("experiment.", config.experiment)]
    for owner, part in parts:
        _refuse_extra(owner, part)
    for name, method in config.methods.items():
        _refuse_extra(f"methods.{name}.", method)
    return config


def _refuse_extra(prefix: str, part: Any) -> None:
    """`+key=` slips past a schema, so an unknown field is caught here."""
    if is_dataclass(part):
        known = {f.name for f in fields(part)}
        for name in vars(part):
            if name not in known:
                raise unknown_name("field", prefix + name, {prefix + k for k in known})
