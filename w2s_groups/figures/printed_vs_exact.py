"""Three places where LDL25's printed limits part from simulation and from the exact limits."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from w2s_groups.figures import style

LAWS = {"mixture": "#0072B2", "location": "#D55E00"}
SIDES = {"teacher": "#000000", "student": "#0072B2"}


def _curve(ax: Axes, rows: pd.DataFrame, x: pd.Series, colour: str, marker: str) -> None:
    ax.plot(x, rows["exact"], color=colour, linewidth=1.5)
    ax.plot(x, rows["printed"], color=colour, linewidth=1.2, linestyle=(0, (3, 2)), alpha=0.8)
    reach = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
    ax.errorbar(
        x, rows["mean"], reach, fmt=marker, color=colour, markersize=4.5, linewidth=1,
        markerfacecolor="white",
    )  # fmt: skip


def draw(table: pd.DataFrame, title: str, p_w: int) -> Figure:
    """Figure from rows (finding, law, quantity, gamma_z, eta_l, eta_u, mean, low, high, ...)."""
    figure = style.new_figure(13, 4.8)
    left, middle, right = figure.subplots(1, 3)

    def title_of(ax: Axes, words: str, finding: str) -> None:
        row = table[table["finding"] == finding].iloc[0]
        values = [rf"$\eta_\ell={row['eta_l']:g}$", rf"$\nu_z={row['nu_z']:.2g}$"]
        if finding == "a":
            values.append(rf"$\eta_u={row['eta_u']:g}$")
        else:
            values.append(rf"$\gamma_z={row['gamma_z']:.2g}$")
        ax.set_title(f"{words}\n{', '.join(values)}", fontsize=10)

    sweep = table[table["finding"] == "a"]
    for side, colour in SIDES.items():
        rows = sweep[sweep["quantity"] == side].sort_values("gamma_z")
        scaled = rows.assign(
            **{c: rows[c] / rows["gamma_z"] for c in ("mean", "low", "high", "exact", "printed")}
        )
        marker = "o" if side == "teacher" else "s"
        _curve(left, scaled, rows["gamma_z"] * p_w, colour, marker)
        left.annotate(
            side, (float(rows["gamma_z"].iloc[-1]) * p_w, float(scaled["exact"].iloc[-1])),
            xytext=(-6, 4), textcoords="offset points", ha="right", color=colour, fontsize=9,
        )  # fmt: skip
    left.set_xlabel(r"$\gamma_z\,p_w$")
    left.set_ylabel(r"excess risk / $\gamma_z$")
    title_of(left, r"(a) no factor $1/(1-\gamma_z p_w)$ is printed (location law)", "a")
    for law, colour in LAWS.items():
        of_law = table[(table["finding"] == "b") & (table["law"] == law)].sort_values("eta_u")
        for side, marker in (("teacher", "o"), ("student", "s")):
            rows = of_law[of_law["quantity"] == side]
            _curve(middle, rows, rows["eta_u"], colour, marker)
        rows = table[(table["finding"] == "c") & (table["law"] == law)]
        rows = rows[rows["quantity"] == "gain"].sort_values("eta_u")
        _curve(right, rows, (rows["eta_u"] - rows["eta_l"]) ** 2, colour, "D")
    middle.set_xlabel(r"$\eta_u$")
    middle.set_ylabel("excess risk")
    title_of(middle, "(b) printed student fails where the mixture's works", "b")
    right.axhline(0, color=style.MUTED, linewidth=0.9)
    right.set_xlabel(r"$(\eta_u-\eta_\ell)^2$")
    right.set_ylabel("W2S gain")
    title_of(right, r"(c) gain falls with $(\eta_u-\eta_\ell)^2$; its zero moves", "c")
    for ax in (left, middle, right):
        style.dress(ax)
    figure.legend(
        handles=[
            Line2D([], [], color=style.MUTED, label="exact limit"),
            Line2D([], [], color=style.MUTED, linestyle="--", label="printed (LDL25)"),
            Line2D([], [], color=style.MUTED, marker="o", linestyle="", label="teacher, simulated"),
            Line2D([], [], color=style.MUTED, marker="s", linestyle="", label="student, simulated"),
            Line2D([], [], color=LAWS["mixture"], label="(b, c) mixture law"),
            Line2D([], [], color=LAWS["location"], label="(b, c) location law"),
        ],
        loc="outside lower center", ncols=6, frameon=False, fontsize=9, labelcolor=style.INK,
    )  # fmt: skip
    replicates = int(table["replicates"].min())
    figure.suptitle(
        f"{title}; markers: mean and 95 % interval over {replicates} replicates",
        fontsize=10, color=style.INK,
    )  # fmt: skip
    return figure
