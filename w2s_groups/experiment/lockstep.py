"""Methods of many cells, solved together: round after round, one yield of each at a time."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from w2s_groups.core.errors import InputError
from w2s_groups.experiment.answers import Answers
from w2s_groups.heads.problem import Problem
from w2s_groups.methods.base import Draws, Fitted, Method, Steps

BuiltOn = Mapping[str, Mapping[str, str]]  # variant -> need of its method -> what stands for it
Key = tuple[int, str]  # position of the cell, method


class Solved(NamedTuple):
    """A problem as it was solved, and its head."""

    problem: Problem
    fitted: Fitted


Fit = Callable[[Mapping[Key, Sequence[Problem]]], Mapping[Key, Sequence[Solved]]]


def levels(methods: Mapping[str, Method], built_on: BuiltOn | None = None) -> list[list[str]]:
    """Method names in rounds: each round needs only what earlier rounds solved.

    References that nothing builds on go with the first students, on whose rows they are fitted:
    heads that share rows are cheapest together.
    """
    needs = {name: set(_needs(name, method, built_on).values()) for name, method in methods.items()}
    needed = set().union(*needs.values())
    rounds: list[list[str]] = []
    done: set[str] = set()
    while len(done) < len(methods):
        ready = [m for m in methods if m not in done and done.issuperset(needs[m])]
        if not rounds and needed:
            ready = [m for m in ready if m in needed]
        rounds.append(ready)
        done.update(ready)
    return rounds


def _needs(name: str, method: Method, built_on: BuiltOn | None) -> dict[str, str]:
    """Each need of a method -> the name of what it is built on."""
    instead = (built_on or {}).get(name, {})
    return {need: instead.get(need, need) for need in method.needs}


class Failed(NamedTuple):
    """Why a method of a cell has no head. error: its own, or None where one that it needs failed.

    log: the traceback.
    """

    reason: str
    error: Exception | None
    log: str


@dataclass(frozen=True, eq=False)
class Ended:
    """Of a cell: method -> its own problem and head, in the order they were ended; and failures."""

    solved: dict[str, Solved]
    failed: dict[str, Failed]


def solve_methods(
    methods: Mapping[str, Method],
    draws: Sequence[Draws],
    fit: Fit,
    built_on: BuiltOn | None = None,
    begins: Callable[[int, int], None] | None = None,
    answers: Answers | None = None,
) -> list[Ended]:
    """What the methods of each cell (a draw) came to.

    fit: called with the problems that the methods of all cells ask for at a time. begins: called
    with (k, K) as round k of K begins. answers: what plug-ins see and may answer.
    A method that raises is a failure of that cell, as are those that need it; the others go on.
    """
    ended = [Ended({}, {}) for _ in draws]
    rounds = levels(methods, built_on)
    for k, names in enumerate(rounds, 1):
        if begins is not None:
            begins(k, len(rounds))
        running = {}
        for (i, drawn), name in itertools.product(enumerate(draws), names):
            needs, own = _needs(name, methods[name], built_on), ended[i]
            lacking = [other for other in needs.values() if other in own.failed]
            if lacking:
                own.failed[name] = Failed(f"it needs {lacking[0]}, which failed", None, "")
                continue
            heads = {need: own.solved[other].fitted for need, other in needs.items()}
            running[i, name] = _Running(methods[name], drawn, heads, answers or Answers({}))
        for (i, name), outcome in _lockstep(running, fit):
            if isinstance(outcome, Failed):
                ended[i].failed[name] = outcome
            else:
                ended[i].solved[name] = outcome
    return ended


class _Running:
    """A method of one cell on its way."""

    def __init__(
        self, method: Method, draws: Draws, solved: Mapping[str, Fitted], answers: Answers
    ) -> None:
        self.method, self.draws, self.answers = method, draws, answers
        self.steps: Steps | None = None
        self.solved = solved
        self.ending = False

    def problems(self, heads: Sequence[Fitted] | None) -> Sequence[Problem]:
        """The problems that it asks for next, once it has the heads of those before.

        Raises whatever the method raises.
        """
        try:
            if self.steps is None:
                seen = self.answers.shown(self.method, self.draws, self.solved)
                self.steps = self.method.steps(*seen)
                asked = next(self.steps)
            else:
                asked = self.steps.send(heads or [])
        except StopIteration as stop:
            self.ending = True
            return [self.answers.problem(self.method, self.draws, stop.value)]
        return self.answers.problems(self.method, self.draws, asked)


def _lockstep(running: dict[Key, _Running], fit: Fit) -> Iterable[tuple[Key, Solved | Failed]]:
    """The own problem and head of each method, once its steps have returned, or its failure."""
    heads: dict[Key, list[Fitted]] = {}
    while running:
        asked: dict[Key, Sequence[Problem]] = {}
        for key, own in list(running.items()):
            try:
                asked[key] = own.problems(heads.get(key))
            except Exception as error:  # it may be anybody's code
                yield key, Failed(_reason(error), error, traceback.format_exc())
                del running[key]
        found = fit(asked) if asked else {}
        for key in asked:
            if running[key].ending:
                yield key, found[key][0]
                del running[key]
            else:
                heads[key] = [solved.fitted for solved in found[key]]


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
