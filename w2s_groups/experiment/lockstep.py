"""Methods of many cells, solved together: round after round, one yield of each at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

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


def solve_methods(
    methods: Mapping[str, Method],
    draws: Sequence[Draws],
    fit: Fit,
    built_on: BuiltOn | None = None,
    begins: Callable[[int, int], None] | None = None,
) -> list[dict[str, Solved]]:
    """Of each cell (a draw): method -> its own problem and head, in the order they were ended.

    fit: called with the problems that the methods of all cells ask for at a time. begins: called
    with (k, K) as round k of K begins.
    """
    solved: list[dict[str, Solved]] = [{} for _ in draws]
    rounds = levels(methods, built_on)
    for k, names in enumerate(rounds, 1):
        if begins is not None:
            begins(k, len(rounds))
        running = {
            (i, name): methods[name].steps(
                drawn.for_method(methods[name]),
                {
                    need: solved[i][other].fitted
                    for need, other in _needs(name, methods[name], built_on).items()
                },
            )
            for i, drawn in enumerate(draws)
            for name in names
        }
        for (i, name), own in _lockstep(running, fit):
            solved[i][name] = own
    return solved


def _lockstep(running: dict[Key, Steps], fit: Fit) -> Iterable[tuple[Key, Solved]]:
    """The own problem and head of each method, once its steps have returned."""
    answers: dict[Key, list[Fitted]] = {}
    while running:
        asked, ending = _asked(running, answers)
        found = fit(asked)
        for key in asked:
            if key in ending:
                yield key, found[key][0]
                del running[key]
            else:
                answers[key] = [solved.fitted for solved in found[key]]


def _asked(
    running: Mapping[Key, Steps], answers: Mapping[Key, list[Fitted]]
) -> tuple[dict[Key, Sequence[Problem]], set[Key]]:
    """The next problems of each method, and which of them are a method's own and last."""
    asked: dict[Key, Sequence[Problem]] = {}
    ending = set()
    for key, steps in running.items():
        try:
            asked[key] = steps.send(answers[key]) if key in answers else next(steps)
        except StopIteration as stop:
            asked[key] = [stop.value]
            ending.add(key)
    return asked, ending
