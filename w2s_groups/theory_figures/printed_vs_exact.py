"""Where LDL25's printed limits part from simulation and from the exact limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.lazy import lines as mpl_lines
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.figures import style
from w2s_groups.theory import expansions
from w2s_groups.theory.model import Array, GroupModel
from w2s_groups.theory.regime import Regime
from w2s_groups.theory.simulate import Case, Risks
from w2s_groups.theory_figures import study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAWS = {"mixture": "#0072B2", "location": "#D55E00"}
SIDES = {"teacher": "#000000", "student": "#0072B2"}


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
        self.simulation.validate()
        study.check_folders(out_dir, work_dir)
        d_z, points = self.simulation.d_z, self._points()
        exact = [study.exact_risks(point, d_z) for point in points]
        simulated = study.simulated(points, self.simulation, work_dir, progress)
        tables = [
            _table(case, point, d_z, risks, limits)
            for point, of_point in zip(points, exact, strict=True)
            for case, risks, limits in zip(
                point.cases, simulated[point.name], of_point, strict=True
            )
        ]
        table = pd.concat(tables, ignore_index=True)
        scale = self.setting.mu_w2 / self.setting.sigma_xi**2
        title = (
            rf"$p_w={self.setting.p_w}$, $p_s={self.setting.p_s}$, "
            rf"$\|a\|^2/\sigma_\xi^2={scale:g}$, $\eta_t={self.eta_t:g}$, $d_z={d_z}$"
        )
        figure = draw(table, title, self.setting.p_w)
        study.write_figure(out_dir, "printed_vs_exact", table, figure)

    def _points(self) -> list[study.Point]:
        """Points of (a), one a gamma_z, of (b) and of (c); the name starts with the panel."""
        d_z, test = self.simulation.d_z, (float(self.eta_t),)
        laws = [self.setting.model(law) for law in study.LAWS]

        def cases(models: list[GroupModel], nu_z: float, eta_l: float) -> tuple[Case, ...]:
            return tuple(Case(model, round(d_z / nu_z), (float(eta_l),)) for model in models)

        sweep = cases([self.setting.model("location")], self.nu_z, self.eta_l)
        zero = cases(laws, self.nu_z_zero, self.eta_l_zero)
        low, etas = round(d_z / self.gamma_z_low), tuple(self.eta_u)
        return [
            *(
                study.Point(f"a/{g}", sweep, round(d_z / g), (self.eta_u_sweep,), test)
                for g in self.gamma_z
            ),
            study.Point("b", cases(laws, self.nu_z, self.eta_l), low, etas, test),
            study.Point("c", zero, low, etas, test),
        ]


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
    at = {"eta_l": case.eta_l[0], "eta_t": point.eta_t[0]}
    regime = Regime(**ratios)
    teacher = expansions.teacher_location(case.model, regime, **at)
    student = np.array(
        [expansions.student_location(case.model, regime, eta_u=u, **at) for u in point.eta_u]
    )
    teachers = np.full(len(student), teacher)
    return {"teacher": teachers, "student": student, "gain": teachers - student}


def draw(table: pd.DataFrame, title: str, p_w: int) -> Figure:
    """Figure from rows (finding, law, quantity, gamma_z, eta_l, eta_u, mean, low, high, ...)."""
    figure = style.new_figure(13, 4.8)
    left, middle, right = figure.subplots(1, 3)
    _draw_sweep(left, table[table["finding"] == "a"], p_w)
    _draw_laws(middle, table[table["finding"] == "b"])
    _draw_gain(right, table[table["finding"] == "c"])
    for ax in (left, middle, right):
        style.dress(ax)
    line = mpl_lines.Line2D
    figure.legend(
        handles=[
            line([], [], color=style.MUTED, label="exact limit"),
            line([], [], color=style.MUTED, linestyle="--", label="printed (LDL25)"),
            line([], [], color=style.MUTED, marker="o", linestyle="", label="teacher, simulated"),
            line([], [], color=style.MUTED, marker="s", linestyle="", label="student, simulated"),
            line([], [], color=LAWS["mixture"], label="(b, c) mixture law"),
            line([], [], color=LAWS["location"], label="(b, c) location law"),
        ],
        loc="outside lower center", ncols=6, frameon=False, fontsize=9, labelcolor=style.INK,
    )  # fmt: skip
    replicates = int(table["replicates"].min())
    figure.suptitle(
        f"{title}; markers: mean and 95 % interval over {replicates} replicates",
        fontsize=10, color=style.INK,
    )  # fmt: skip
    return figure


def _draw_sweep(ax: Axes, rows: pd.DataFrame, p_w: int) -> None:
    """(a): risk over γ_z against γ_z p_w, both sides."""
    for side, colour in SIDES.items():
        of_side = rows[rows["quantity"] == side].sort_values("gamma_z")
        gamma_z = of_side["gamma_z"]
        values = ("mean", "low", "high", "exact", "printed")
        scaled = of_side.assign(**{name: of_side[name] / gamma_z for name in values})
        _draw_curve(ax, scaled, gamma_z * p_w, colour, "o" if side == "teacher" else "s")
        ax.annotate(
            side, (float(gamma_z.iloc[-1]) * p_w, float(scaled["exact"].iloc[-1])),
            xytext=(-6, 4), textcoords="offset points", ha="right", color=colour, fontsize=9,
        )  # fmt: skip
    ax.set_xlabel(r"$\gamma_z\,p_w$")
    ax.set_ylabel(r"excess risk / $\gamma_z$")
    own = rf"$\eta_u={rows['eta_u'].iloc[0]:g}$"
    _set_title(ax, r"(a) no factor $1/(1-\gamma_z p_w)$ is printed (location law)", rows, own)


def _draw_laws(ax: Axes, rows: pd.DataFrame) -> None:
    """(b): risk of both sides against η_u, both laws."""
    for law, colour in LAWS.items():
        of_law = rows[rows["law"] == law].sort_values("eta_u")
        for side, marker in (("teacher", "o"), ("student", "s")):
            of_side = of_law[of_law["quantity"] == side]
            _draw_curve(ax, of_side, of_side["eta_u"], colour, marker)
    ax.set_xlabel(r"$\eta_u$")
    ax.set_ylabel("excess risk")
    own = rf"$\gamma_z={rows['gamma_z'].iloc[0]:.2g}$"
    _set_title(ax, "(b) printed student fails where the mixture's works", rows, own)


def _draw_gain(ax: Axes, rows: pd.DataFrame) -> None:
    """(c): gain against (η_u - η_ℓ)², both laws."""
    for law, colour in LAWS.items():
        gain = rows[(rows["law"] == law) & (rows["quantity"] == "gain")].sort_values("eta_u")
        _draw_curve(ax, gain, (gain["eta_u"] - gain["eta_l"]) ** 2, colour, "D")
    ax.axhline(0, color=style.MUTED, linewidth=0.9)
    ax.set_xlabel(r"$(\eta_u-\eta_\ell)^2$")
    ax.set_ylabel("W2S gain")
    own = rf"$\gamma_z={rows['gamma_z'].iloc[0]:.2g}$"
    _set_title(ax, r"(c) gain falls with $(\eta_u-\eta_\ell)^2$; its zero moves", rows, own)


def _set_title(ax: Axes, words: str, rows: pd.DataFrame, own: str) -> None:
    """Title of a panel and the setting of its rows; own: the value that only this panel fixes."""
    eta_l, nu_z = rows["eta_l"].iloc[0], rows["nu_z"].iloc[0]
    setting = rf"$\eta_\ell={eta_l:g}$, $\nu_z={nu_z:.2g}$, {own}"
    ax.set_title(f"{words}\n{setting}", fontsize=10)


def _draw_curve(ax: Axes, rows: pd.DataFrame, x: pd.Series, colour: str, marker: str) -> None:
    """Exact line, printed line (dashed), and simulated means with their intervals."""
    ax.plot(x, rows["exact"], color=colour, linewidth=1.5)
    ax.plot(x, rows["printed"], color=colour, linewidth=1.2, linestyle=(0, (3, 2)), alpha=0.8)
    reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
    ax.errorbar(
        x, rows["mean"], reach, fmt=marker, color=colour, markersize=4.5, linewidth=1,
        markerfacecolor="white",
    )  # fmt: skip
