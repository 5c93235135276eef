"""W2S gain against eta_u, simulated on exact limits: LDL25's Figures 2 and 3."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from omegaconf import MISSING

from w2s_groups.figures import gain_vs_eta_u_theory
from w2s_groups.theory.simulate import Case
from w2s_groups.theory_figures import study


@dataclass
class GainVsEtaU:
    """W2S gain against eta_u, one panel per quantity that is varied; LDL25's Figures 2 and 3.

    eta_l_base, N_base and the setting hold in every panel but the one that varies them.
    """

    setting: study.Setting = field(default_factory=study.Setting)
    simulation: study.MonteCarlo = field(default_factory=study.MonteCarlo)
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

    def run(self, out_dir: Path, work_dir: Path, progress: study.Progress) -> None:
        """Write gain_vs_eta_u_theory.*; progress(done, total) after each replicate."""
        self.simulation.check()
        study.check_folders(out_dir, work_dir)
        law = study.law_of(self.law)
        n, N, axes = self.n, self.N_base, (tuple(self.eta_u), tuple(self.eta_t))
        d_z = self.simulation.d_z
        base, one = self.setting.model(law), (float(self.eta_l_base),)
        curves = {("eta_l", value): Case(base, N, (float(value),)) for value in self.eta_l}
        curves |= {("nu_z", d_z / value): Case(base, value, one) for value in self.N}
        for name, values in (("xi2", self.xi2), ("mu_s2", self.mu_s2)):
            for value in values:
                model = self.setting.model(law, **{name: value})
                curves[name, value] = Case(model, N, one)
        cases = tuple(dict.fromkeys(curves.values()))
        point = study.Point("all", cases, n, *axes)
        exact = dict(zip(cases, study.exact_risks(point, d_z), strict=True))  # before the hours
        found = study.simulated([point], self.simulation, work_dir, progress)["all"]
        risks = dict(zip(cases, found, strict=True))
        tables = []
        for (panel, value), case in curves.items():
            teacher, student = exact[case]
            curve = study.curve_table(risks[case].gain[:, 0], teacher[0, None] - student[0], point)
            tables.append(curve.assign(panel=panel, value=value))
        table = pd.concat(tables, ignore_index=True)
        title = (
            rf"W2S gain, {law} law, $d_z={d_z}$, $n={self.n}$, $N={self.N_base}$, "
            rf"$\eta_\ell={self.eta_l_base:g}$ unless varied"
        )
        figure = gain_vs_eta_u_theory.draw(table, title)
        study.write(out_dir, "gain_vs_eta_u_theory", table, figure)
