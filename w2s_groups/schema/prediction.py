"""The schemas of `predict` and `plan`: a run's configuration and what a prediction adds to it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from w2s_groups.core.errors import InputError, unknown_name
from w2s_groups.core.roles import Role, role
from w2s_groups.schema.choices import HeadKind, ReadFrom
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import etas, numbers


@dataclass
class PredictConfig(Config):
    """One map. n_l and n_u: the map's; n_l_path and n_u_path: of the gain against sizes.

    alpha: candidates for the ridge weight of features divided by sqrt(d): l2 = alpha d; with
    head=logistic for l2 itself.
    keep: share of the unlabelled set on which students are retrained; None: they are not.
    measure: train heads at measure_eta too, with `seeds` draws a cell.
    """

    alpha: Any = role(Role.prediction)
    keep: Any = role(Role.prediction)
    samples: int = role(Role.prediction)
    read_from: ReadFrom = role(Role.prediction)
    n_l_path: Any = role(Role.prediction)
    n_u_path: Any = role(Role.prediction)
    measure: bool = role(Role.prediction)
    measure_eta: Any = role(Role.prediction)

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_split(self)
        self.alpha = numbers("alpha", self.alpha, float, 1e-9, 1e6)
        if self.keep is not None:
            shares = numbers("keep", self.keep, float, 1e-6, 1.0)
            if len(shares) > 1:
                raise InputError(f"keep={shares}: a map has one keep; run again for another")
            self.keep = shares[0]
            if self.head is HeadKind.logistic:
                raise InputError(
                    f"keep={self.keep:g} with head=logistic: retraining is predicted for ridge "
                    "heads only; set head=ridge or keep=null"
                )
        _even("samples", self.samples)
        for name in ("n_l_path", "n_u_path"):
            values = getattr(self, name)
            setattr(self, name, numbers(name, values, int, 2, 2**31 - 1) if values else [])
        if self.read_from is ReadFrom.auto:
            self.read_from = ReadFrom.test if self.measure else ReadFrom.pool
        self.measure_eta = etas("measure_eta", self.measure_eta)
        for name in ("n_l", "n_u"):
            if len(getattr(self, name)) > 1:
                raise InputError(
                    f"{name}={getattr(self, name)}: a map has one {name}; list the others in "
                    f"{name}_path"
                )


@dataclass
class Addition:
    """Images that an option adds, at the present mix, or of minority or majority groups only."""

    labelled: int = 0
    labelled_minority: int = 0
    labelled_majority: int = 0
    unlabelled: int = 0
    unlabelled_minority: int = 0
    unlabelled_majority: int = 0


@dataclass
class PlanConfig(Config):
    """What to collect next. n_l, n_u, eta_l, eta_u: one value each, what there is now.

    options: name -> fields of Addition; None: those of `standard`.
    """

    alpha: Any = role(Role.prediction)
    samples: int = role(Role.prediction)
    standard: dict[str, Addition] = role(Role.prediction)
    options: Any = role(Role.prediction)

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_split(self)
        self.alpha = numbers("alpha", self.alpha, float, 1e-9, 1e6)
        _even("samples", self.samples)
        for name in ("n_l", "n_u", "eta_l", "eta_u", "teacher", "student"):
            if len(getattr(self, name)) > 1:
                raise InputError(
                    f"{name}={getattr(self, name)}: a plan starts from one {name}; name one"
                )
        self.options = self.standard if self.options is None else _additions(self.options)


def _one_split(cfg: Config) -> None:
    if cfg.several is not None:
        raise InputError(
            f"splits={cfg.splits.name}: a prediction is made for one split; set splits=given"
        )


def _additions(options: Any) -> dict[str, Addition]:
    if not isinstance(options, dict) or not options:
        raise InputError(
            f"options={options!r} must name at least one, such as 'options={{label: "
            "{labelled: 200}}'"
        )
    known = [f.name for f in fields(Addition)]
    checked = {}
    for name, parts in options.items():
        if isinstance(parts, Addition):  # checked before
            checked[name] = parts
            continue
        for part, n in (parts if isinstance(parts, dict) else {}).items():
            if part not in known:
                raise unknown_name(f"options.{name}", part, known)
            if not isinstance(n, int) or isinstance(n, bool) or n < 0:
                raise InputError(f"options.{name}.{part}={n!r} must be a whole number, 0 or more")
        if not isinstance(parts, dict) or not any(parts.values()):
            raise InputError(f"options.{name} adds no image; set one of {', '.join(known)}")
        checked[name] = Addition(**parts)
    return checked


def _even(name: str, value: int) -> None:
    if value < 4 or value % 2:
        raise InputError(f"{name}={value} must be an even number, 4 or more")
