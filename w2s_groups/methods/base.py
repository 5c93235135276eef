"""What a method is: a head to fit, given the draw and the heads that it builds on."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.heads.problem import Predictor, Problem, choose, one_hot


@dataclass(frozen=True, eq=False)
class Fitted:
    """A solved head; `proba(rows)` gives its (n, C) class probabilities on rows of its own side.

    Of a numeric target: its (n, 1) predictions.
    """

    head: Predictor
    proba: Callable[[NDArray[np.int64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Draws:
    """The sets of one cell. Rows index the feature matrices; labels are one-hot (n, C), or (n, 1).

    Those of one column are a numeric target, in standard deviations from its mean over the pool.

    shuffle: (n_u,) distinct ranks of the unlabelled rows in a random order that follows from the
    seed: what breaks ties and deals folds, since rows lie group after group.
    seed: of the cell, for what a method draws itself by `core.seeds.stream`.
    neighbours: k -> (n_u, k) positions in the unlabelled set of each row's nearest others in the
    student's features.
    prompted: templates such as "a photo of a {}" -> the zero-shot head of the student's network.
    What a method does not declare that it needs is None: the true labels of the unlabelled set
    (`needs_truth`), the group codes of both sets (`needs_groups`), `neighbours`
    (`needs_neighbours`) and `prompted` (`needs_prompts`).
    """

    labelled: NDArray[np.int64]
    y_labelled: NDArray[np.float64]
    unlabelled: NDArray[np.int64]
    shuffle: NDArray[np.int64]
    y_unlabelled: NDArray[np.float64] | None = None
    codes_labelled: NDArray[np.int64] | None = None
    codes_unlabelled: NDArray[np.int64] | None = None
    seed: int = 0
    neighbours: Callable[[int], NDArray[np.int32]] | None = None
    prompted: Callable[[Sequence[str]], Predictor] | None = None

    def for_method(self, method: Method) -> Draws:
        """What `method` may see."""
        uses_groups = method.needs_groups == "train"
        return replace(
            self,
            y_unlabelled=self.y_unlabelled if method.needs_truth else None,
            codes_labelled=self.codes_labelled if uses_groups else None,
            codes_unlabelled=self.codes_unlabelled if uses_groups else None,
            neighbours=self.neighbours if method.needs_neighbours else None,
            prompted=self.prompted if method.needs_prompts else None,
        )


# Problems that a method wants solved, the heads it gets for them, and its own problem in the end.
Steps = Generator[Sequence[Problem], Sequence[Fitted], Problem]


@dataclass
class Method(ABC):
    """Settings of one method. Subclass it or OneFit, add fields, say what it needs.

    side: whose features the head reads, "teacher" or "student".
    needs: methods that have to be solved first, in the same cell.
    summary: what it is, in a line of a table.
    sources: papers, with section or equation; "this suite" where it is ours.
    needs_groups: the group labels that it uses: "none", those of validation or of training data.
    needs_truth: whether it reads the unlabelled set's true labels: only references do.
    needs_neighbours: whether it reads which unlabelled rows are near each other.
    needs_prompts: whether it reads names of classes, by the text side of the student's network.
    reference: whether it is there to be compared with, as a control or an end of the scale, and so
        is not ranked among the ways to train a student.
    upweights: whether its weights single out rows, the larger against the smaller ones.
    unsupported: what cannot take the place of its logistic head on frozen features ("ridge", "mlp",
        "finetune"; "regression": a numeric target) -> why, as the end of a sentence that begins
        with its name.
    tunes: what it chooses from data, and on which; "" for nothing.
    paper_tunes: what its paper tunes, and on which data; "" where no paper says.
    colour: in figures, hexadecimal; "" for the next free one.
    name: of a method from outside this package; "" for its class's name in small letters.
    version: of the package that it comes from, and code: hash of its source, which is part of the
        key of its cells; "" for the methods of this package, whose numbers `NUMERICS` counts.
    """

    l2: float = MISSING
    summary: ClassVar[str] = ""
    sources: ClassVar[tuple[str, ...]] = ()
    side: ClassVar[str] = "student"
    needs: ClassVar[tuple[str, ...]] = ()
    needs_groups: ClassVar[Literal["none", "val", "train"]] = "none"
    needs_truth: ClassVar[bool] = False
    needs_neighbours: ClassVar[bool] = False
    needs_prompts: ClassVar[bool] = False
    reference: ClassVar[bool] = False
    upweights: ClassVar[bool] = False
    unsupported: ClassVar[Mapping[str, str]] = {}
    tunes: ClassVar[str] = ""
    paper_tunes: ClassVar[str] = ""
    colour: ClassVar[str] = ""
    name: ClassVar[str] = ""
    version: ClassVar[str] = ""
    code: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_range(self, "l2", 1e-12, 1e6)

    @abstractmethod
    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        """Yields problems that it needs solved on its way; returns the problem of its own head.

        Each yield is answered by the fitted heads of its problems, in order. All cells of a grid
        are solved together, one yield of each at a time.
        """


class OneFit(Method):
    """A method that is one fit."""

    @abstractmethod
    def problem(self, draws: Draws, solved: Mapping[str, Fitted]) -> Problem:
        """The head to fit in one cell."""

    def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
        yield from ()
        return self.problem(draws, solved)


def check_range(config: Any, name: str, low: float, high: float) -> None:
    """InputError unless low <= config.name <= high; nan fails."""
    value = getattr(config, name)
    if not (isinstance(value, int | float) and low <= value <= high):
        own = config.name if isinstance(config, Method) else ""
        owner = own or snake_case(type(config).__name__)
        raise InputError(
            f"{owner}.{name}={value} is outside [{low:g}, {high:g}]; choose a value in that range"
        )


def snake_case(name: str) -> str:
    """Such as group_dro of GroupDRO."""
    return re.sub("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def hardened(targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, C) one-hot rows of the largest target; of those that tie, the first."""
    return one_hot(choose(targets), targets.shape[1])
