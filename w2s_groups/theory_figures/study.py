"""What LDL25's theory experiments share: settings, simulated points kept on disk, curve tables.

A point is one file of work a replicate, written atomically, so a stopped run goes on where it was.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.figures import style
from w2s_groups.theory.build import equal_cosines, model_with_overlap
from w2s_groups.theory.model import Array, GroupModel, Law
from w2s_groups.theory.phase import risk_map
from w2s_groups.theory.simulate import Case, Risks, mean_interval, simulate_cases

Progress = Callable[[int, int], None]
LAWS: tuple[Law, ...] = ("mixture", "location")


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

    def check(self) -> None:
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
            if path.exists():
                with np.load(path) as stored:
                    of_case = range(len(point.cases))
                    risks = [Risks(stored[f"w{i}"], stored[f"s{i}"]) for i in of_case]
            else:
                risks = simulate_cases(
                    point.cases,
                    d_z=run.d_z,
                    n=point.n,
                    eta_u=point.eta_u,
                    eta_t=point.eta_t,
                    alpha_w=0.0,
                    alpha_s=0.0,
                    seed=run.seed,
                    replicates=[k],
                    tol=1e-4,
                    memory=run.memory,
                    device=run.device,
                )
                buffer = io.BytesIO()
                arrays = {f"w{i}": risk.teacher for i, risk in enumerate(risks)}
                arrays |= {f"s{i}": risk.student for i, risk in enumerate(risks)}
                np.savez(buffer, allow_pickle=False, **arrays)
                write_atomic(path, buffer.getvalue())
            parts[point.name].append(risks)
            progress(k * len(points) + done + 1, total)
    return {
        name: [
            Risks(
                np.concatenate([risks[m].teacher for risks in of_point]),
                np.concatenate([risks[m].student for risks in of_point]),
            )
            for m in range(len(of_point[0]))
        ]
        for name, of_point in parts.items()
    }


def exact_risks(point: Point, d_z: int) -> list[tuple[Array, Array]]:
    """(teacher (L, T), student (L, U, T)) exact limits of each case of a point."""
    maps = [
        risk_map(
            case.model,
            gamma_z=d_z / point.n,
            nu_z=d_z / case.N,
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


def check_folders(out_dir: Path, work_dir: Path) -> None:
    """InputError where one of the folders cannot be written."""
    check_writable(out_dir, "out_dir")
    check_writable(work_dir, "work_dir")


def write(out_dir: Path, stem: str, table: pd.DataFrame, figure: Figure) -> None:
    """<stem>.csv, .pdf and .png into out_dir."""
    csv = table.to_csv(index=False, float_format="%.6g")
    write_atomic(out_dir / f"{stem}.csv", csv.encode())
    write_atomic(out_dir / f"{stem}.pdf", style.pdf(figure))
    write_atomic(out_dir / f"{stem}.png", style.png(figure))
