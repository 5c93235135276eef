"""The contract of a method, checked on small cells of the z⊗ξ model with the real solver."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import MISSING, OmegaConf

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import shipped
from w2s_groups.data.gaussian import Gaussian
from w2s_groups.design.groups import Groups
from w2s_groups.design.sampling import Request
from w2s_groups.experiment.block import run_block
from w2s_groups.experiment.pool import Pool, make_pool
from w2s_groups.heads.problem import Problem
from w2s_groups.heads.solve import solve
from w2s_groups.methods import METHODS, registry
from w2s_groups.methods.base import Draws, Fitted, Method, Steps
from w2s_groups.methods.plugins import as_method
from w2s_groups.schema.cells import Cell

L2 = 1e-2
_CELLS = [
    Cell(Request(60, 90, *etas), seed) for etas in ((0.1, 0.5), (0.5, 0.2)) for seed in (0, 1)
]
_Seen = dict[tuple[int, ...], Problem]  # labelled rows of a cell -> the method's own problem there


def check_method(
    given: Any, *, classes: Sequence[int] = (2, 3), settings: Mapping[str, Any] | None = None
) -> None:
    """Raise AssertionError unless a decorated function or Method subclass keeps the contract.

    In cells of `classes` classes it sees only what it declares, answers with problems that can be
    solved on the cell's own rows, and answers the same whenever it is asked and whichever cells are
    solved with it. It names what it fits and its source, refuses nan, and can be pickled.
    settings: values of its fields, for those that have no default.
    """
    name, kind = as_method(given)
    _require(bool(kind.summary), name, "has no summary; say in one line what it fits")
    _require(bool(kind.sources), name, "has no sources; name its paper, or who it is from")
    unknown = [need for need in kind.needs if need not in METHODS]
    _require(not unknown, name, f"needs {', '.join(unknown)}, which is not a method")
    if kind not in METHODS.built_in.values():
        registry.mark(kind, registry.origin_of(kind))
    method = _default(kind, settings or {})
    _check_nan(name, method)
    _check_pickle(name, method)
    for n in classes:
        _check_answers(name, method, _pool(n), f"with {n} classes")


def _require(holds: bool, name: str, rule: str) -> None:
    if not holds:
        raise AssertionError(f"the method {name} {rule}")


def _default(kind: type[Method], settings: Mapping[str, Any]) -> Method:
    """The method at its defaults; those without one are in settings."""
    values = {"l2": L2, **settings}
    return kind(**{key: value for key, value in values.items() if _open(kind, key, settings)})


def _open(kind: type[Method], key: str, settings: Mapping[str, Any]) -> bool:
    """Whether a field is to be set: it has no default of its own, or is asked for."""
    own = {field.name: field.default for field in fields(kind)}
    return key in settings or own.get(key) == MISSING


def _check_nan(name: str, method: Method) -> None:
    for field in fields(method):
        if isinstance(getattr(method, field.name), float):
            try:
                replace(method, **{field.name: float("nan")})
            except InputError:
                continue
            raise AssertionError(
                f"the method {name} takes {field.name}=nan; give the setting a range"
            )


def _check_pickle(name: str, method: Method) -> None:
    try:
        same = pickle.loads(pickle.dumps(method)) == method
    except Exception as error:
        raise AssertionError(f"the method {name} cannot be pickled: {error}") from error
    _require(same, name, "is another one after pickling; keep its settings in dataclass fields")


def _check_answers(name: str, method: Method, pool: Pool, where: str) -> None:
    first = _answers(name, method, pool, _CELLS, where)
    again = _answers(name, method, pool, _CELLS, where)
    _same(name, first, again, f"answers otherwise when asked again {where}; draw numbers from "
          "core.seeds.stream(draws.seed, NAME) only, and break ties by draws.shuffle")  # fmt: skip
    alone: _Seen = {}
    for cell in _CELLS:
        alone |= _answers(name, method, pool, [cell], where)
    _same(name, first, alone, f"answers otherwise when a cell is solved by itself {where}; keep "
          "nothing from one cell to the next")  # fmt: skip


def _same(name: str, one: _Seen, other: _Seen, rule: str) -> None:
    for cell, problem in one.items():
        here = other[cell]
        alike = np.array_equal(problem.rows, here.rows) and _close(problem.targets, here.targets)
        _require(alike and _close(problem.weights, here.weights), name, rule)


def _close(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and np.allclose(one, other, atol=1e-4)


def _answers(name: str, method: Method, pool: Pool, cells: Sequence[Cell], where: str) -> _Seen:
    """The problems that a method came to in each cell; AssertionError where it failed."""
    seen: _Seen = {}
    watched = _watched(method, seen)
    methods = {**_needed(method.needs), name: watched}
    for ran in run_block(cells, pool, methods, solve):
        if name in ran.failed:
            reason = ran.failed[name].reason
            hint = "; is it a part of draws that it does not declare?" if "None" in reason else ""
            raise AssertionError(f"the method {name} fails {where}: {reason}{hint}")
        rows = [r for r in ran.records if r["method"] == name and r["split"] == "test"]
        _require(all(r["value"] is not None for r in rows), name, f"has no accuracy {where}")
    return seen


def _watched(method: Method, seen: _Seen) -> Method:
    """The same method, whose own problems are noted."""

    class Watched(type(method)):  # type: ignore[misc]
        def steps(self, draws: Draws, solved: Mapping[str, Fitted]) -> Steps:
            problem: Problem = yield from super().steps(draws, solved)
            seen[tuple(draws.labelled.tolist())] = problem
            return problem

    return Watched(**{field.name: getattr(method, field.name) for field in fields(method)})


def _needed(needs: Iterable[str]) -> dict[str, Method]:
    """The methods that a method needs, and those that they need, at the settings of conf/."""
    found: dict[str, Method] = {}
    waiting = ["teacher", *needs]
    while waiting:
        need = waiting.pop()
        if need not in found:
            found[need] = _configured(need)
            waiting += METHODS[need].needs
    return found


def _configured(name: str) -> Method:
    path = shipped("conf", "conf") / "methods" / f"{name}.yaml"
    loaded = OmegaConf.load(path) if path.is_file() else OmegaConf.create({"l2": "${l2}"})
    own: dict[str, Any] = OmegaConf.to_container(loaded)  # type: ignore[assignment]
    own.pop("defaults", None)
    schema = OmegaConf.structured(METHODS[name])
    root = OmegaConf.create({"l2": L2, "own": OmegaConf.merge(schema, own)})
    made: dict[str, Any] = OmegaConf.to_object(root)  # type: ignore[assignment]
    method: Method = made["own"]
    return method


def _pool(classes: int) -> Pool:
    """600 samples to draw from and 300 to test on; classes cut the model's label at quantiles."""
    data = Gaussian(
        name="gaussian", n_pool=600, n_test=300, d_z=4, p_w=5, p_s=3, p_sw=1.5, mu_w=2.0, mu_s=0.5,
        sigma_xi=0.7, sigma_y=0.5, seed=0,
    ).load(Path())  # fmt: skip
    if classes > 2:
        assert data.target is not None
        edges = np.quantile(data.target, np.arange(1, classes) / classes)
        names = tuple(f"class{k}" for k in range(classes))
        rare = frozenset((k, 1) for k in range(classes))
        data = replace(
            data,
            y=np.searchsorted(edges, data.target).astype(np.int64),
            groups=Groups(names, ("majority", "minority"), rare),
        )
    return make_pool(data, data.features, np.ones(len(data.y), dtype=bool), "uniform")
