"""Where LDL25's printed limits part from simulation and from the exact limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import MISSING

from w2s_groups.figures import printed_vs_exact
from w2s_groups.theory import expansions
from w2s_groups.theory.model import Array, GroupModel
from w2s_groups.theory.simulate import Case, Risks
from w2s_groups.theory_figures import study


@dataclass
class PrintedVsExact:
    """Where LDL25's printed limits part from simulation: finite γ_z, the law, the zero of the gain.

    (a) gamma_z is swept under the location law at eta_l and eta_u_sweep; (b) both laws over eta_u
    at gamma_z_low; (c) the same with eta_l_zero and nu_z_zero, where both gains change sign.
    Risks at eta_t.
    """

    setting: study.Setting = field(default_factory=study.Setting)
    simulation: study.MonteCarlo = field(default_factory=study.MonteCarlo)
    gamma_z: list[float] = MISSING
    gamma_z_low: float = MISSING
    nu_z: float = MISSING
    nu_z_zero: float = MISSING
    eta_l: float = MISSING
    eta_l_zero: float = MISSING
    eta_t: float = MISSING
    eta_u_sweep: float = MISSING
    eta_u: list[float] = MISSING

    def run(self, out_dir: Path, work_dir: Path, progress: study.Progress) -> None:
        """Write printed_vs_exact.*; progress(done, total) after each point."""
        self.simulation.check()
        study.check_folders(out_dir, work_dir)
        d_z, test = self.simulation.d_z, (float(self.eta_t),)
        laws = [self.setting.model(law) for law in study.LAWS]

        def cases(models: list[GroupModel], nu_z: float, eta_l: float) -> tuple[Case, ...]:
            return tuple(Case(model, round(d_z / nu_z), (float(eta_l),)) for model in models)

        sweep = cases([self.setting.model("location")], self.nu_z, self.eta_l)
        low, etas = round(d_z / self.gamma_z_low), tuple(self.eta_u)
        points = [
            study.Point(f"a/{g}", sweep, round(d_z / g), (self.eta_u_sweep,), test)
            for g in self.gamma_z
        ]
        points.append(study.Point("b", cases(laws, self.nu_z, self.eta_l), low, etas, test))
        zero = cases(laws, self.nu_z_zero, self.eta_l_zero)
        points.append(study.Point("c", zero, low, etas, test))
        exact = [study.exact_risks(point, d_z) for point in points]
        found = study.simulated(points, self.simulation, work_dir, progress)
        tables = [
            _table(case, point, d_z, risks, limits)
            for point, of_point in zip(points, exact, strict=True)
            for case, risks, limits in zip(point.cases, found[point.name], of_point, strict=True)
        ]
        table = pd.concat(tables, ignore_index=True)
        scale = self.setting.mu_w2 / self.setting.sigma_xi**2
        title = (
            rf"$p_w={self.setting.p_w}$, $p_s={self.setting.p_s}$, "
            rf"$\|a\|^2/\sigma_\xi^2={scale:g}$, $\eta_t={self.eta_t:g}$, $d_z={d_z}$"
        )
        figure = printed_vs_exact.draw(table, title, self.setting.p_w)
        study.write(out_dir, "printed_vs_exact", table, figure)


def _table(
    case: Case, point: study.Point, d_z: int, risks: Risks, limits: tuple[Array, Array]
) -> pd.DataFrame:
    """Rows over (quantity, eta_u) of one case: simulated, exact and printed."""
    ratios = {"gamma_z": d_z / point.n, "nu_z": d_z / case.N}
    printed = _printed(case, point, ratios)
    teacher, student = limits
    tables = []
    for quantity, values, line in (
        ("teacher", risks.teacher[:, 0, None].repeat(len(point.eta_u), 1), teacher[0]),
        ("student", risks.student[:, 0], student[0]),
        ("gain", risks.gain[:, 0], teacher[0] - student[0]),
    ):
        line = np.broadcast_to(line, values.shape[1:])
        part = study.curve_table(values, line, point).assign(printed=printed[quantity])
        tables.append(part.assign(quantity=quantity))
    finding, law = point.name[0], case.model.law
    table = pd.concat(tables, ignore_index=True)
    return table.assign(finding=finding, law=law, **ratios, eta_l=case.eta_l[0])


def _printed(case: Case, point: study.Point, ratios: dict[str, float]) -> dict[str, Array]:
    """(U,) LDL25's printed risks and gain at each eta_u of a point, one eta_l and eta_t."""
    model, eta_l, eta_t = case.model, case.eta_l[0], point.eta_t[0]
    teacher = expansions.teacher_location(
        model, gamma_z=ratios["gamma_z"], eta_l=eta_l, eta_t=eta_t
    )
    student = np.array(
        [
            expansions.student_location(model, **ratios, eta_l=eta_l, eta_u=eta_u, eta_t=eta_t)
            for eta_u in point.eta_u
        ]
    )
    teachers = np.full(len(student), teacher)
    return {"teacher": teachers, "student": student, "gain": teachers - student}
