"""The schemas of `predict` and `plan`: a run's configuration and what a prediction adds to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from w2s_groups.config import Config, _etas, _numbers
from w2s_groups.errors import InputError


class ReadFrom(Enum):
    """Images that accuracies are predicted for: the pool's own, each as if not drawn, or test."""

    pool = "pool"
    test = "test"


@dataclass
class PredictConfig(Config):
    """One map. n_l and n_u: the map's; n_l_path and n_u_path: of the gain against sizes.

    alpha: candidates for the ridge weight of features divided by sqrt(d): l2 = alpha d.
    measure: train heads at measure_eta too, with `seeds` draws a cell.
    """

    alpha: Any = MISSING
    samples: int = MISSING
    read_from: ReadFrom = MISSING
    n_l_path: Any = MISSING
    n_u_path: Any = MISSING
    measure: bool = MISSING
    measure_eta: Any = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alpha = _numbers("alpha", self.alpha, float, 1e-9, 1e6)
        _even("samples", self.samples)
        for name in ("n_l_path", "n_u_path"):
            values = getattr(self, name)
            setattr(self, name, _numbers(name, values, int, 2, 2**31 - 1) if values else [])
        self.measure_eta = _etas("measure_eta", self.measure_eta)
        for name in ("n_l", "n_u"):
            if len(getattr(self, name)) > 1:
                raise InputError(
                    f"{name}={getattr(self, name)}: a map has one {name}; list the others in "
                    f"{name}_path"
                )


@dataclass
class Addition:
    """Images that an option adds, at the present mix, or of minority or majority groups alone."""

    labelled: int = 0
    labelled_minority: int = 0
    labelled_majority: int = 0
    unlabelled: int = 0
    unlabelled_minority: int = 0
    unlabelled_majority: int = 0


@dataclass
class PlanConfig(Config):
    """What to collect next. n_l, n_u, eta_l, eta_u: one value each, what there is now."""

    alpha: Any = MISSING
    samples: int = MISSING
    options: dict[str, Addition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alpha = _numbers("alpha", self.alpha, float, 1e-9, 1e6)
        _even("samples", self.samples)
        for name in ("n_l", "n_u", "eta_l", "eta_u", "teacher", "student"):
            if len(getattr(self, name)) > 1:
                raise InputError(
                    f"{name}={getattr(self, name)}: a plan starts from one {name}; name one"
                )
        if not self.options:
            raise InputError(
                "options is empty: name at least one, such as options.label.labelled=200"
            )
        for name, option in self.options.items():
            for part, n in vars(option).items():
                if n < 0:
                    raise InputError(f"options.{name}.{part}={n} must be 0 or more")
            if not any(vars(option).values()):
                raise InputError(
                    f"options.{name} adds no image; set one of {', '.join(vars(option))}"
                )


def _even(name: str, value: int) -> None:
    if value < 4 or value % 2:
        raise InputError(f"{name}={value} must be an even number, 4 or more")
