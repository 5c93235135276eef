"""W2S gain against eta_u on the Gaussian model: exact limits as lines, simulation as circles.

The exact limits are this project's own (docs/theory.md, section 2); layout after LDL25's Figures
2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import MISSING

from w2s_groups.core.lazy import pandas as pd
from w2s_groups.figures import style
from w2s_groups.theory.simulate import Case
from w2s_groups.theory_figures import study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {
    "eta_l": r"\eta_\ell",
    "xi2": r"\|\Xi\|_F^2",
    "nu_z": r"\nu_z",
    "mu_s2": r"\|\mu_S\|^2",
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D31")


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
        self.simulation.validate()
        study.check_folders(out_dir, work_dir)
        d_z, curves = self.simulation.d_z, self._curves()
        cases = tuple(dict.fromkeys(curves.values()))
        point = study.Point("all", cases, self.n, tuple(self.eta_u), tuple(self.eta_t))
        exact = dict(zip(cases, study.exact_risks(point, d_z), strict=True))  # before the hours
        simulated = study.simulated([point], self.simulation, work_dir, progress)["all"]
        risks = dict(zip(cases, simulated, strict=True))
        tables = []
        for (panel, value), case in curves.items():
            teacher, student = exact[case]
            curve = study.curve_table(risks[case].gain[:, 0], teacher[0, None] - student[0], point)
            tables.append(curve.assign(panel=panel, value=value))
        table = pd.concat(tables, ignore_index=True)
        title = (
            rf"W2S gain, {self.law} law, $d_z={d_z}$, $n={self.n}$, $N={self.N_base}$, "
            rf"$\eta_\ell={self.eta_l_base:g}$ unless varied"
        )
        study.write_figure(out_dir, "gain_vs_eta_u_theory", table, draw(table, title))

    def _curves(self) -> dict[tuple[str, float], Case]:
        """(panel, value) -> the case of each curve."""
        law = study.law_of(self.law)
        base, one = self.setting.model(law), (float(self.eta_l_base),)
        curves: dict[tuple[str, float], Case] = {
            ("eta_l", value): Case(base, self.N_base, (float(value),)) for value in self.eta_l
        }
        d_z = self.simulation.d_z
        curves |= {("nu_z", d_z / value): Case(base, value, one) for value in self.N}
        for name, values in (("xi2", self.xi2), ("mu_s2", self.mu_s2)):
            for value in values:
                model = self.setting.model(law, **{name: value})
                curves[name, value] = Case(model, self.N_base, one)
        return curves


def draw(table: pd.DataFrame, title: str) -> Figure:
    """Figure from rows (panel, value, eta_u, eta_t, mean, low, high, exact, replicates)."""
    tests = list(dict.fromkeys(table["eta_t"]))
    figure = style.new_figure(12, 2.9 * len(tests) + 0.8)
    axes = figure.subplots(len(tests), len(PANELS), sharex=True, sharey="row", squeeze=False)
    for row, eta_t in enumerate(tests):
        for column, (panel, symbol) in enumerate(PANELS.items()):
            ax = axes[row, column]
            here = table[(table["panel"] == panel) & (table["eta_t"] == eta_t)]
            _draw_curves(ax, here, symbol)
            if row == 0:
                ax.set_title(f"varied: ${symbol}$", fontsize=10)
                ax.legend(frameon=False, fontsize=8, labelcolor=style.INK)
            if row == len(tests) - 1:
                ax.set_xlabel(r"$\eta_u$")
            if column == 0:
                ax.set_ylabel(f"gain, {study.mix_label(eta_t)}", fontsize=9)
            style.dress(ax)
    replicates = int(table["replicates"].min())
    figure.suptitle(
        f"{title}\nlines: exact limits; markers: simulation, mean and 95 % interval over "
        f"{replicates} replicates (positive: the student beats its teacher)",
        fontsize=10,
        color=style.INK,
    )
    return figure


def _draw_curves(ax: Axes, rows: pd.DataFrame, symbol: str) -> None:
    """One curve a value: its exact line, simulated means and their intervals."""
    for k, value in enumerate(dict.fromkeys(rows["value"])):
        curve = rows[rows["value"] == value].sort_values("eta_u")
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(curve["eta_u"], curve["exact"], color=colour, linewidth=1.4)
        ax.errorbar(
            curve["eta_u"],
            curve["mean"],
            [curve["mean"] - curve["low"], curve["high"] - curve["mean"]],
            fmt=style.MARKERS[k],
            color=colour,
            markersize=4,
            markerfacecolor=style.BACKGROUND,
            linewidth=1,
            label=f"${symbol}={value:g}$",
        )
    ax.axhline(0, color=style.MUTED, linewidth=0.9)
