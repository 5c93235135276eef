"""Excess risk, PGR and OPR against n and N in DLLL25's synthetic setting, one noise level a figure.

Solid lines are exact at finite n and N; dashed ones are the paper's printed forms, which count
label noise alone. They part in three places: the target a model cannot see adds to its noise
(σ² -> σ² + ρ), a finite N costs d_s/(N − d_s − 1) and not d_s/N, and the student's bias is below
its printed bound ρ_w + ρ_s by what both models miss.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from w2s_groups.core.errors import InputError
from w2s_groups.figures import style

NAMES = {
    "teacher": "teacher (weak, n labels)",
    "w2s": "W2S student (N pseudolabels)",
    "baseline": "strong baseline (n labels)",
    "ceiling": "strong ceiling (n + N labels)",
}
AXIS = {"n": "labelled samples n", "N": "unlabelled samples N"}
# Not the colours of the models above them.
PAIRS = ("#CC79A7", "#E69F00", "#5E4FA2", "#8C6D31", "#56B4E9")


def _curve(panel: Axes, rows: pd.DataFrame, sweep: str, colour: str, marker: str) -> None:
    x = rows[sweep].to_numpy()
    mean = rows["mean"].to_numpy()
    panel.plot(x, rows["exact"], color=colour, linewidth=1.4)
    panel.plot(x, rows["printed"], color=colour, linewidth=1.2, linestyle=(0, (3, 2)), alpha=0.85)
    reach = [mean - rows["low"].to_numpy(), rows["high"].to_numpy() - mean]
    panel.errorbar(
        x,
        mean,
        reach,
        color=colour,
        fmt=marker,
        markersize=3.5,
        linewidth=1,
        markerfacecolor="white",
    )


def draw(table: pd.DataFrame) -> Figure:
    """Figure from the experiment's table; columns as `intrinsic_experiment.point_table` makes them.

    InputError for no rows or more than one sigma2.
    """
    if table["sigma2"].nunique() != 1:
        raise InputError(
            f"table holds {table['sigma2'].nunique()} values of sigma2: a figure shows one; "
            "select its rows"
        )
    pairs = sorted(table["d_sw"].unique())
    if len(pairs) > len(PAIRS):
        raise InputError(
            f"table holds {len(pairs)} values of d_sw: at most {len(PAIRS)} fit; select"
        )
    figure = style.new_figure(10.5, 10.5)
    grid = figure.add_gridspec(3, 4 * len(pairs))
    risk_panels: list[Axes] = []
    for row, sweep in enumerate(("n", "N")):
        first = len(risk_panels)
        for column, d_sw in enumerate(pairs):
            share = risk_panels[first] if column else None
            panel = figure.add_subplot(grid[row, 4 * column : 4 * column + 4], sharey=share)
            risk_panels.append(panel)
            here = table[(table["sweep"] == sweep) & (table["d_sw"] == d_sw)]
            for k, model in enumerate(NAMES):
                rows = here[here["quantity"] == model].sort_values(sweep)
                _curve(panel, rows, sweep, style.colour(model, ()), style.MARKERS[k])
            fixed = "N" if sweep == "n" else "n"
            panel.set_yscale("log")
            held = ", ".join(str(value) for value in here[fixed].unique())
            panel.set_title(rf"$d_{{s\wedge w}} = {d_sw}$,  ${fixed} = {held}$", fontsize=10)
            panel.set_xlabel(AXIS[sweep], fontsize=9)
            if column:
                panel.tick_params(labelleft=False, which="both")
            else:
                panel.set_ylabel("excess risk", fontsize=9)
    for k, (quantity, sweep) in enumerate((q, s) for q in ("PGR", "OPR") for s in ("n", "N")):
        width = len(pairs)
        panel = figure.add_subplot(grid[2, width * k : width * (k + 1)])
        risk_panels.append(panel)
        for j, d_sw in enumerate(pairs):
            chosen = (table["sweep"] == sweep) & (table["quantity"] == quantity)
            rows = table[chosen & (table["d_sw"] == d_sw)].sort_values(sweep)
            _curve(panel, rows, sweep, PAIRS[j], style.MARKERS[j])
        held = table.loc[table["sweep"] == sweep, "N" if sweep == "n" else "n"].iloc[0]
        panel.set_title(rf"{quantity},  ${'N' if sweep == 'n' else 'n'} = {held}$", fontsize=10)
        panel.set_xlabel(AXIS[sweep], fontsize=9)
        for level in (0, 1):  # PGR 0: no gain; OPR 1: weak labels worth as much as the n true ones
            if panel.get_ylim()[0] < level < panel.get_ylim()[1]:
                panel.axhline(level, color=style.MUTED, linewidth=0.8, linestyle=":")
    for panel in risk_panels:
        style.dress(panel)
    trials = int(table["trials"].iloc[0])
    keys = [
        Line2D([], [], color=style.colour(m, ()), marker=style.MARKERS[k], label=NAMES[m])
        for k, m in enumerate(NAMES)
    ]
    keys += [
        Line2D(
            [], [], color=PAIRS[j], marker=style.MARKERS[j], label=rf"$d_{{s\wedge w}} = {d_sw}$"
        )
        for j, d_sw in enumerate(pairs)
    ]
    keys += [
        Line2D([], [], color=style.MUTED, label="exact, finite n and N"),
        Line2D([], [], color=style.MUTED, linestyle=(0, (3, 2)),
        label="printed (label noise only)"), Line2D(
            [], [], color=style.MUTED, marker="o", linestyle="", markerfacecolor="white",
            label=f"simulation, 95 % over {trials} trials",
        ),
    ]  # fmt: skip
    figure.legend(
        handles=keys, loc="outside lower center", ncols=3, frameon=False, fontsize=9,
        labelcolor=style.INK,
    )  # fmt: skip
    figure.suptitle(
        rf"DLLL25 synthetic regression, $\sigma^2 = {table['sigma2'].iloc[0]:g}$",
        fontsize=12, color=style.INK,
    )  # fmt: skip
    return figure
