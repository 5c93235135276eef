"""What a method is: one linear head to fit, given the draw and the heads that it builds on."""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.errors import InputError
from w2s_groups.heads.problem import Head, Problem


@dataclass(frozen=True, eq=False)
class Fitted:
    """A solved head; `proba(rows)` gives its (n, C) class probabilities on rows of its own side."""

    head: Head
    proba: Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Draws:
    """The sets of one cell. Rows index the feature matrices; labels are one-hot (n, C).

    y_unlabelled is there for the ceiling alone: no other method may read it.
    """

    labelled: NDArray[np.int64]
    y_labelled: NDArray[np.float64]
    unlabelled: NDArray[np.int64]
    y_unlabelled: NDArray[np.float64]


@dataclass
class Method(ABC):
    """Settings of one method. Subclass, add fields, say what it needs, write its problem.

    side: whose features the head reads, "teacher" or "student".
    needs: methods that have to be solved first, in the same cell.
    needs_groups: what it is told about groups: "none", those of validation or of training data.
    by_ridge: whether ridge regression can take the place of its logistic head.
    """

    l2: float = MISSING
    side: ClassVar[str] = "student"
    needs: ClassVar[tuple[str, ...]] = ()
    needs_groups: ClassVar[Literal["none", "val", "train"]] = "none"
    by_ridge: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self, "l2", 1e-12, 1e6)

    @classmethod
    def about(cls) -> str:
        """What it is, in the one line that its file opens with."""
        return (sys.modules[cls.__module__].__doc__ or "").partition("\n")[0]

    @abstractmethod
    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        """The head to fit in one cell."""


def check_range(config: Any, name: str, low: float, high: float) -> None:
    """InputError unless low <= config.name <= high; nan fails."""
    value = getattr(config, name)
    if not (isinstance(value, int | float) and low <= value <= high):
        owner = re.sub("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(config).__name__)
        raise InputError(
            f"{owner.lower()}.{name}={value} is outside [{low:g}, {high:g}]; "
            f"choose a value in that range"
        )


def one_hot(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """(n, C) rows of the identity."""
    return np.asarray(np.eye(n_classes)[labels], dtype=np.float64)


def hardened(targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, C) one-hot rows of the largest target; the first of equal ones."""
    return one_hot(targets.argmax(axis=1), targets.shape[1])
