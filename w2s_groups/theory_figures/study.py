"""Shared by LDL25's theory figures: settings, simulated points kept on disk, tables of curves.

A point is one file of work a replicate, written atomically, so a stopped run goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.figures import style
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.intervals import mean_interval
from w2s_groups.theory.model import Array, GroupModel, Law
from w2s_groups.theory.phase import risk_map
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.simulate import Case, Risks, Simulation, simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], None]
LAWS: tuple[Law, ...] = ("mixture", "location")
_TESTS = {
    0.5: r"average, $\eta_t=1/2$",
    1.0: r"worst group, $\eta_t=1$",
    0.0: r"best group, $\eta_t=0$",
}


@dataclass
class Setting:
    """A model by its invariants; equal principal cosines. xi2 = ‖Ξ‖_F², mu_s2 = ‖Sᵀμ‖² ..."""

    p_w: int = MISSING
    p_s: int = MISSING
    xi2: float = MISSING
    mu_w2: float = MISSING
    mu_s2: float = MISSING
    sigma_xi: float = MISSING
    sigma_y: float = MISSING

    def model(self, law: Law, **changes: float) -> GroupModel:
        """The model, with some invariants changed."""
        values = asdict(self) | changes
        return model_with_overlap(
            p_w=self.p_w,
            cos=equal_cosines(self.p_w, self.p_s, 1 + values["xi2"]),
            mu_w=float(np.sqrt(values["mu_w2"])),
            mu_s=float(np.sqrt(values["mu_s2"])),
            sigma_xi=values["sigma_xi"],
            sigma_y=values["sigma_y"],
            law=law,
        )


@dataclass
class MonteCarlo:
    """Simulated part: size, independent replicates (at least 2), seed, bytes of Z held, device."""

    d_z: int = MISSING
    replicates: int = MISSING
    seed: int = MISSING
    memory: float = MISSING
    device: str = MISSING

    def validate(self) -> None:
        """InputError for anything that would fail later."""
        if not (self.d_z >= 1 and self.seed >= 0 and self.memory > 0):
            raise InputError(
                f"d_z={self.d_z}, seed={self.seed}, memory={self.memory:g}: need d_z >= 1, "
                "seed >= 0 and memory > 0; correct the one that breaks it"
            )
        if not self.replicates >= 2:
            raise InputError(
                f"replicates={self.replicates}: an interval needs at least 2; raise replicates"
            )


@dataclass(frozen=True)
class Point:
    """One file's work: cases on shared draws, n labels, these fractions."""

    name: str
    cases: tuple[Case, ...]
    n: int
    eta_u: tuple[float, ...]
    eta_t: tuple[float, ...]


def simulated(
    points: list[Point], run: MonteCarlo, work_dir: Path, progress: Progress
) -> dict[str, list[Risks]]:
    """Risks of every case of every point, from work_dir where a file has them already."""
    total = len(points) * run.replicates
    parts: dict[str, list[list[Risks]]] = {point.name: [] for point in points}
    for k in range(run.replicates):
        for done, point in enumerate(points):
            path = work_dir / _digest(point, run) / f"{point.name.replace('/', '_')}_{k}.npz"
            parts[point.name].append(_replicate(point, run, k, path))
            progress(k * len(points) + done + 1, total)
    return {
        name: [
            Risks(
                np.concatenate([risks.teacher for risks in of_case]),
                np.concatenate([risks.student for risks in of_case]),
            )
            for of_case in zip(*of_point, strict=True)
        ]
        for name, of_point in parts.items()
    }


def _replicate(point: Point, run: MonteCarlo, k: int, path: Path) -> list[Risks]:
    """Risks of replicate k of a point, one a case: from `path`, or simulated and kept there."""
    if path.exists():
        with np.load(path) as stored:
            return [Risks(stored[f"w{i}"], stored[f"s{i}"]) for i in range(len(point.cases))]
    shared = Simulation(
        run.d_z, point.n, point.eta_u, point.eta_t, run.seed, memory=run.memory, device=run.device
    )
    cases = simulate(point.cases, shared, [k])
    arrays = {f"w{i}": risks.teacher for i, risks in enumerate(cases)}
    arrays |= {f"s{i}": risks.student for i, risks in enumerate(cases)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomic(path, buffer.getvalue())
    return cases


def exact_risks(point: Point, d_z: int) -> list[tuple[Array, Array]]:
    """(teacher (L, T), student (L, U, T)) exact limits of each case of a point."""
    maps = [
        risk_map(
            case.model,
            Regime(d_z / point.n, d_z / case.N),
            eta_l=np.array(case.eta_l),
            eta_u=np.array(point.eta_u),
            eta_t=point.eta_t,
        )
        for case in point.cases
    ]
    return [(grid.teacher.T, np.moveaxis(grid.student, 0, 2)) for grid in maps]


def curve_table(values: Array, exact: Array, point: Point) -> pd.DataFrame:
    """Rows over (eta_u, eta_t) of values (R, U, T): mean, 95 % interval, exact limit (U, T)."""
    mean, half = mean_interval(values)
    eta_u, eta_t = np.meshgrid(point.eta_u, point.eta_t, indexing="ij")
    columns = {"eta_u": eta_u, "eta_t": eta_t, "mean": mean, "low": mean - half}
    columns |= {"high": mean + half, "exact": exact}
    table = pd.DataFrame({name: column.ravel() for name, column in columns.items()})
    return table.assign(replicates=len(values))


def law_of(name: str) -> Law:
    """`name` if it is a law; InputError otherwise."""
    for law in LAWS:
        if name == law:
            return law
    raise InputError(f"law={name!r} is unknown: give one of {', '.join(LAWS)}")


def _digest(point: Point, run: MonteCarlo) -> str:
    cases = [
        [
            *(case.model.W.tolist(), case.model.S.tolist(), case.model.mu_xi.tolist()),
            *(case.model.sigma_xi, case.model.sigma_y, case.model.beta_norm, case.model.law),
            *(case.N, case.eta_l),
        ]
        for case in point.cases
    ]
    key = [cases, point.n, point.eta_u, point.eta_t, run.d_z, run.seed]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]


def mix_label(eta_t: float) -> str:
    """Label of a test mix: average, worst group or best group where it is one of these."""
    return _TESTS.get(eta_t, rf"$\eta_t={eta_t:g}$")


def check_folders(out_dir: Path, work_dir: Path) -> None:
    """InputError where one of the folders cannot be written."""
    check_writable(out_dir, "out_dir")
    check_writable(work_dir, "work_dir")


def write_figure(
    out_dir: Path, stem: str, table: pd.DataFrame, figure: Figure, float_format: str | None = "%.6g"
) -> None:
    """Write <stem>.csv, .pdf and .png into out_dir. float_format: None gives every digit."""
    csv = table.to_csv(index=False, float_format=float_format)
    write_atomic(out_dir / f"{stem}.csv", csv.encode())
    write_atomic(out_dir / f"{stem}.pdf", style.pdf(figure))
    write_atomic(out_dir / f"{stem}.png", style.png(figure))
