"""What a plug-in is shown of a cell, and what it may answer with: checked before it is fitted.

The methods of this package are shown the same, and are tested; only plug-ins are checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2s_groups.core.errors import InputError
from w2s_groups.heads import checks
from w2s_groups.heads.problem import CrossEntropy, Head, Problem, Squared
from w2s_groups.methods.base import Draws, Fitted, Method

_FORMS = "targets of all unlabelled rows, (rows, targets), (rows, targets, weights) or a Problem"


@dataclass(frozen=True)
class Answers:
    """Of a block: what its plug-ins see and answer. widths: side -> features.

    ridge: the loss that stands in the place of cross-entropy.
    """

    widths: Mapping[str, int]
    ridge: Squared | None = None

    def shown(
        self, method: Method, draws: Draws, solved: Mapping[str, Fitted]
    ) -> tuple[Draws, Mapping[str, Fitted]]:
        """What a method sees. A plug-in's arrays cannot be written to, and it can ask for
        probabilities on the cell's own rows only."""
        own = draws.for_method(method)
        if not method.code:
            return own, solved
        values: dict[str, Any] = {name: _read_only(value) for name, value in vars(own).items()}
        drawn = _drawn(draws)
        return replace(own, **values), {name: _asked(head, drawn) for name, head in solved.items()}

    def problems(self, method: Method, draws: Draws, given: Any) -> Sequence[Problem]:
        """What a method yields, checked if it is a plug-in. Raises InputError."""
        if not method.code:
            problems: Sequence[Problem] = given
            return problems
        if not isinstance(given, list | tuple):
            raise InputError(f"it yielded {_said(given)}; yield a list of problems, even of one")
        return [self.problem(method, draws, one) for one in given]

    def problem(self, method: Method, draws: Draws, given: Any) -> Problem:
        """A problem that a method wants solved, checked if it is a plug-in. Raises InputError."""
        if not method.code and isinstance(given, Problem):
            return given
        if not isinstance(given, Problem):
            raise InputError(f"it returned {_said(given)}; return {_FORMS}")
        if given.side not in self.widths:
            raise InputError(f"side={given.side!r} is unknown; use {' or '.join(self.widths)}")
        problem = replace(
            given,
            rows=_array("rows", given.rows, np.int64),
            targets=_array("targets", given.targets, np.float64),
            weights=None if given.weights is None
            else _array("weights", given.weights, np.float64),
        )  # fmt: skip
        self._check(problem, draws)
        return problem

    def _check(self, problem: Problem, draws: Draws) -> None:
        outside = ~np.isin(problem.rows, _drawn(draws))
        if outside.any():
            raise InputError(
                f"rows hold {problem.rows[outside][0]}, which this cell has not drawn; use rows of "
                "draws.labelled and draws.unlabelled"
            )
        classes = draws.y_labelled.shape[1]
        if problem.targets.ndim == 2 and problem.targets.shape[1] != classes:
            raise InputError(
                f"targets have shape {problem.targets.shape}: must be (n, {classes}), a column for "
                "each class"
            )
        swapped = self.ridge is not None and isinstance(problem.loss, CrossEntropy)
        as_solved = replace(problem, loss=self.ridge) if swapped and self.ridge else problem
        width = self.widths[problem.side]
        checks.check(as_solved, (int(problem.rows.max(initial=0)) + 1, width))
        if all(isinstance(head, Head | None) for head in (problem.init, problem.centre)):
            checks.check_init(problem, width)


def _drawn(draws: Draws) -> NDArray[np.int64]:
    """Rows that a method of a cell may fit a head on and ask about."""
    return np.concatenate([draws.labelled, draws.unlabelled])


def _read_only(value: Any) -> Any:
    """An array as one that cannot be written to; any other value as it is."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def _asked(fitted: Fitted, drawn: NDArray[np.int64]) -> Fitted:
    """A head that answers on rows of the cell only."""

    def proba(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        wanted = np.asarray(rows)
        if wanted.dtype.kind not in "iu" or not np.isin(wanted, drawn).all():
            raise InputError(
                "it asks for probabilities on rows that this cell has not drawn; ask for rows of "
                "draws.labelled and draws.unlabelled"
            )
        return fitted.proba(wanted.astype(np.int64))

    return Fitted(fitted.head, proba)


def _array(name: str, given: Any, kind: type) -> NDArray[Any]:
    """A copy, so that nothing that the plug-in does later changes what is fitted."""
    array = np.asarray(given)
    kinds = "iu" if kind is np.int64 else "fiu"
    if array.dtype.kind not in kinds:
        wanted = "whole numbers" if kind is np.int64 else "numbers"
        raise InputError(f"{name} have the type {array.dtype}: must be {wanted}")
    return array.astype(kind)


def _said(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return "nothing" if value is None else f"a {type(value).__name__}"
