"""W2S gain against eta_u on the Gaussian model: exact limits as lines, simulation as circles.

The exact limits are this project's own (docs/theory.md, section 2); layout after LDL25's Figures
2 and 3.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from w2s_groups.figures import style

PANELS = {
    "eta_l": r"\eta_\ell",
    "xi2": r"\|\Xi\|_F^2",
    "nu_z": r"\nu_z",
    "mu_s2": r"\|\mu_S\|^2",
}
TESTS = {
    0.5: r"average, $\eta_t=1/2$",
    1.0: r"worst group, $\eta_t=1$",
    0.0: r"best group, $\eta_t=0$",
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D31")


def draw(table: pd.DataFrame, title: str) -> Figure:
    """Figure from rows (panel, value, eta_u, eta_t, mean, low, high, exact, replicates)."""
    tests = list(dict.fromkeys(table["eta_t"]))
    figure = style.new_figure(12, 2.9 * len(tests) + 0.8)
    axes = figure.subplots(len(tests), len(PANELS), sharex=True, sharey="row", squeeze=False)
    for row, eta_t in enumerate(tests):
        for column, (panel, symbol) in enumerate(PANELS.items()):
            ax = axes[row, column]
            here = table[(table["panel"] == panel) & (table["eta_t"] == eta_t)]
            for k, value in enumerate(dict.fromkeys(here["value"])):
                curve = here[here["value"] == value].sort_values("eta_u")
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
            if row == 0:
                ax.set_title(f"varied: ${symbol}$", fontsize=10)
                ax.legend(frameon=False, fontsize=8, labelcolor=style.INK)
            if row == len(tests) - 1:
                ax.set_xlabel(r"$\eta_u$")
            if column == 0:
                ax.set_ylabel(f"gain, {TESTS.get(eta_t, f'η_t={eta_t:g}')}", fontsize=9)
            style.dress(ax)
    replicates = int(table["replicates"].min())
    figure.suptitle(
        f"{title}\nlines: exact limits; markers: simulation, mean and 95 % interval over "
        f"{replicates} replicates (positive: the student beats its teacher)",
        fontsize=10,
        color=style.INK,
    )
    return figure
