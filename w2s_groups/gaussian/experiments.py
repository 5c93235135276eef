"""Experiments behind LDL25's theory figures: simulated, exact and printed values in one table.

Each is its configuration; `run` computes what is missing in work_dir (one atomic file a point, so
a stopped run goes on where it was), then writes <name>.csv, .pdf and .png into out_dir.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import MISSING

from w2s_groups.errors import InputError
from w2s_groups.figures import gain_vs_eta_u_theory, phase_map, printed_vs_exact, style
from w2s_groups.files import check_writable, write_atomic
from w2s_groups.gaussian import expansions
from w2s_groups.gaussian.build import equal_cosines, model_with_overlap
from w2s_groups.gaussian.model import Array, GroupModel, Law
from w2s_groups.gaussian.phase import phase_map as limits_map
from w2s_groups.gaussian.phase import risk_map
from w2s_groups.gaussian.simulate import Risks, mean_interval, simulate_each

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
    """One file's work: models on shared draws at sizes n, N and these fractions."""

    name: str
    models: tuple[GroupModel, ...]
    n: int
    N: int
    eta_l: tuple[float, ...]
    eta_u: tuple[float, ...]
    eta_t: tuple[float, ...]


def simulated(
    points: list[Point], run: MonteCarlo, work_dir: Path, progress: Progress
) -> dict[str, list[Risks]]:
    """Risks of every model of every point, from work_dir where a file has them already."""
    total = len(points) * run.replicates
    parts: dict[str, list[list[Risks]]] = {point.name: [] for point in points}
    for k in range(run.replicates):
        for done, point in enumerate(points):
            path = work_dir / _digest(point, run) / f"{point.name.replace('/', '_')}_{k}.npz"
            if path.exists():
                with np.load(path) as stored:
                    risks = [
                        Risks(w, s)
                        for w, s in zip(stored["teacher"], stored["student"], strict=True)
                    ]
            else:
                risks = simulate_each(
                    point.models,
                    d_z=run.d_z,
                    n=point.n,
                    N=point.N,
                    eta_l=point.eta_l,
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
                np.savez(
                    buffer,
                    teacher=np.stack([r.teacher for r in risks]),
                    student=np.stack([r.student for r in risks]),
                )
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


@dataclass
class GainVsEtaU:
    """W2S gain against eta_u, one panel per quantity that is varied; LDL25's Figures 2 and 3.

    eta_l_base, N_base and the setting hold in every panel but the one that varies them.
    """

    setting: Setting = field(default_factory=Setting)
    simulation: MonteCarlo = field(default_factory=MonteCarlo)
    law: str = MISSING
    n: int = MISSING
    N_base: int = MISSING
    eta_l_base: float = MISSING
    eta_u: list[float] = MISSING
    eta_t: list[float] = MISSING
    eta_l: list[float] = MISSING
    xi2: list[float] = MISSING
    N: list[int] = MISSING
    mu_s2: list[float] = MISSING

    def run(self, out_dir: Path, work_dir: Path, progress: Progress) -> None:
        """Write gain_vs_eta_u_theory.*; progress(done, total) after each point."""
        self.simulation.check()
        _check_folders(out_dir, work_dir)
        law = _law(self.law)
        axes = (tuple(self.eta_u), tuple(self.eta_t))
        base, one = self.setting.model(law), (float(self.eta_l_base),)
        by_xi = tuple(self.setting.model(law, xi2=value) for value in self.xi2)
        by_mu = tuple(self.setting.model(law, mu_s2=value) for value in self.mu_s2)
        points = [Point("eta_l", (base,), self.n, self.N_base, tuple(self.eta_l), *axes)]
        points += [Point(f"N/{N}", (base,), self.n, N, one, *axes) for N in self.N]
        points += [Point("xi2", by_xi, self.n, self.N_base, one, *axes)]
        points += [Point("mu_s2", by_mu, self.n, self.N_base, one, *axes)]
        exact = [_exact(point, self.simulation.d_z) for point in points]  # fails before the hours
        found = simulated(points, self.simulation, work_dir, progress)
        tables = []
        for point, limits in zip(points, exact, strict=True):
            panel = point.name.split("/")[0]
            for m, risks in enumerate(found[point.name]):
                for row, eta_l in enumerate(point.eta_l):
                    value = {
                        "eta_l": eta_l,
                        "N": self.simulation.d_z / point.N,
                        "xi2": dict(enumerate(self.xi2)).get(m),
                        "mu_s2": dict(enumerate(self.mu_s2)).get(m),
                    }[panel]
                    teacher, student = limits[m]
                    curve = _curve_table(
                        risks.gain[:, row], teacher[row, None] - student[row], point
                    )
                    name = "nu_z" if panel == "N" else panel
                    tables.append(curve.assign(panel=name, value=value))
        table = pd.concat(tables, ignore_index=True)
        title = (
            rf"W2S gain, {law} law, $d_z={self.simulation.d_z}$, $n={self.n}$, $N={self.N_base}$, "
            rf"$\eta_\ell={self.eta_l_base:g}$ unless varied"
        )
        figure = gain_vs_eta_u_theory.draw(table, title)
        _write(out_dir, "gain_vs_eta_u_theory", table, figure)


@dataclass
class GainPhaseMap:
    """Gain over (eta_l, eta_u) at each eta_t: exact under both laws beside LDL25's printed form.

    size: points an axis, on [0, 1/2]; no simulation. rtol: relative error of the exact risks.
    """

    setting: Setting = field(default_factory=Setting)
    gamma_z: float = MISSING
    nu_z: float = MISSING
    eta_t: list[float] = MISSING
    size: int = MISSING
    rtol: float = MISSING

    def run(self, out_dir: Path, work_dir: Path, progress: Progress) -> None:
        """Write phase_map.*; the table holds the best eta_u, not the map."""
        _check_folders(out_dir, work_dir)
        if self.size < 3:
            raise InputError(f"size={self.size}: a map needs at least 3 points an axis; raise size")
        axis = np.linspace(0, 0.5, self.size)
        maps = {}
        for done, law in enumerate(LAWS):
            maps[law] = limits_map(
                self.setting.model(law),
                gamma_z=self.gamma_z,
                nu_z=self.nu_z,
                eta_l=axis,
                eta_u=axis,
                eta_t=tuple(self.eta_t),
                rtol=self.rtol,
            )
            progress(done + 1, len(LAWS))
        rows = [
            (eta_t, axis[k], *(maps[law].best_eta_u_exact[t, k] for law in LAWS),
             maps["location"].best_eta_u_printed[t, k])
            for t, eta_t in enumerate(self.eta_t)
            for k in range(self.size)
        ]  # fmt: skip
        columns = ["eta_t", "eta_l", "best_exact_mixture", "best_exact_location", "best_printed"]
        figure = phase_map.draw(maps["mixture"], maps["location"])
        _write(out_dir, "phase_map", pd.DataFrame(rows, columns=columns), figure)


@dataclass
class PrintedVsExact:
    """Where LDL25's printed limits part from simulation: finite γ_z, the law, the zero of the gain.

    gamma_z: the sweep of finding (a), under the location law, at eta_l and eta_u_sweep;
    (b) and (c) take eta_u at gamma_z_low. Risks at eta_t.
    """

    setting: Setting = field(default_factory=Setting)
    simulation: MonteCarlo = field(default_factory=MonteCarlo)
    gamma_z: list[float] = MISSING
    gamma_z_low: float = MISSING
    nu_z: float = MISSING
    eta_l: float = MISSING
    eta_t: float = MISSING
    eta_u_sweep: float = MISSING
    eta_u: list[float] = MISSING

    def run(self, out_dir: Path, work_dir: Path, progress: Progress) -> None:
        """Write printed_vs_exact.*; progress(done, total) after each point."""
        self.simulation.check()
        _check_folders(out_dir, work_dir)
        d_z = self.simulation.d_z
        N, one, test = round(d_z / self.nu_z), (float(self.eta_l),), (float(self.eta_t),)
        location = self.setting.model("location")
        points = [
            Point(f"a/{g}", (location,), round(d_z / g), N, one, (self.eta_u_sweep,), test)
            for g in self.gamma_z
        ]
        both = tuple(self.setting.model(law) for law in LAWS)
        low = round(d_z / self.gamma_z_low)
        points.append(Point("b", both, low, N, one, tuple(self.eta_u), test))
        exact = [_exact(point, d_z) for point in points]
        found = simulated(points, self.simulation, work_dir, progress)
        tables = []
        for point, limits in zip(points, exact, strict=True):
            ratios = {"gamma_z": d_z / point.n, "nu_z": d_z / point.N}
            for m, risks in enumerate(found[point.name]):
                printed = _printed(point.models[m], point, ratios)
                teacher, student = limits[m]
                for quantity, values, line in (
                    ("teacher", risks.teacher[:, 0, None].repeat(len(point.eta_u), 1), teacher[0]),
                    ("student", risks.student[:, 0], student[0]),
                    ("gain", risks.gain[:, 0], teacher[0] - student[0]),
                ):
                    line = np.broadcast_to(line, values.shape[1:])
                    part = _curve_table(values, line, point).assign(printed=printed[quantity])
                    tables.append(
                        part.assign(finding=point.name[0], law=point.models[m].law, **ratios,
                                    eta_l=self.eta_l, quantity=quantity)
                    )  # fmt: skip
        table = pd.concat(tables, ignore_index=True)
        scale = self.setting.mu_w2 / self.setting.sigma_xi**2
        title = (
            rf"$p_w={self.setting.p_w}$, $p_s={self.setting.p_s}$, "
            rf"$\|a\|^2/\sigma_\xi^2={scale:g}$, "
            rf"$\eta_\ell={self.eta_l:g}$, $\eta_t={self.eta_t:g}$, $d_z={d_z}$"
        )
        figure = printed_vs_exact.draw(table, title, self.setting.p_w)
        _write(out_dir, "printed_vs_exact", table, figure)


def _exact(point: Point, d_z: int) -> list[tuple[Array, Array]]:
    """(teacher (L, T), student (L, U, T)) exact limits of each model of a point."""
    maps = [
        risk_map(
            model,
            gamma_z=d_z / point.n,
            nu_z=d_z / point.N,
            eta_l=np.array(point.eta_l),
            eta_u=np.array(point.eta_u),
            eta_t=point.eta_t,
        )
        for model in point.models
    ]
    return [(grid.teacher.T, np.moveaxis(grid.student, 0, 2)) for grid in maps]


def _printed(model: GroupModel, point: Point, ratios: dict[str, float]) -> dict[str, Array]:
    """(U,) LDL25's printed risks and gain at each eta_u of a point, one eta_l and eta_t."""
    eta_l, eta_t, gamma_z = point.eta_l[0], point.eta_t[0], ratios["gamma_z"]
    teacher = expansions.teacher_location(model, gamma_z=gamma_z, eta_l=eta_l, eta_t=eta_t)
    student = np.array(
        [
            expansions.student_location(model, **ratios, eta_l=eta_l, eta_u=eta_u, eta_t=eta_t)
            for eta_u in point.eta_u
        ]
    )
    teachers = np.full(len(student), teacher)
    return {"teacher": teachers, "student": student, "gain": teachers - student}


def _curve_table(values: Array, exact: Array, point: Point) -> pd.DataFrame:
    """Rows over (eta_u, eta_t) of values (R, U, T): mean, 95 % interval, exact limit (U, T)."""
    mean, half = mean_interval(values)
    eta_u, eta_t = np.meshgrid(point.eta_u, point.eta_t, indexing="ij")
    columns = {"eta_u": eta_u, "eta_t": eta_t, "mean": mean, "low": mean - half}
    columns |= {"high": mean + half, "exact": exact}
    table = pd.DataFrame({name: column.ravel() for name, column in columns.items()})
    return table.assign(replicates=len(values))


def _law(name: str) -> Law:
    for law in LAWS:
        if name == law:
            return law
    raise InputError(f"law={name!r} is unknown: give one of {', '.join(LAWS)}")


def _digest(point: Point, run: MonteCarlo) -> str:
    models = [
        [m.W.tolist(), m.S.tolist(), m.mu_xi.tolist(), m.sigma_xi, m.sigma_y, m.beta_norm, m.law]
        for m in point.models
    ]
    key = [models, point.n, point.N, point.eta_l, point.eta_u, point.eta_t, run.d_z, run.seed]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]


def _check_folders(out_dir: Path, work_dir: Path) -> None:
    check_writable(out_dir, "out_dir")
    check_writable(work_dir, "work_dir")


def _write(out_dir: Path, stem: str, table: pd.DataFrame, figure: Figure) -> None:
    csv = table.to_csv(index=False, float_format="%.6g")
    write_atomic(out_dir / f"{stem}.csv", csv.encode())
    write_atomic(out_dir / f"{stem}.pdf", style.pdf(figure))
    write_atomic(out_dir / f"{stem}.png", style.png(figure))
