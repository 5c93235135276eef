"""Gain over (eta_l, eta_u): exact under both laws beside LDL25's printed form."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from w2s_groups.figures import style
from w2s_groups.theory.phase import PhaseMap

TESTS = {
    0.5: r"average, $\eta_t=1/2$",
    1.0: r"worst group, $\eta_t=1$",
    0.0: r"best group, $\eta_t=0$",
}


def draw(mixture: PhaseMap, location: PhaseMap) -> Figure:
    """Figure from the maps of one setting under both laws, on one grid."""
    columns = (
        ("exact, mixture law", mixture.gain_exact, mixture.best_eta_u_exact),
        ("exact, location law", location.gain_exact, location.best_eta_u_exact),
        ("printed in LDL25", location.gain_printed, location.best_eta_u_printed),
    )
    tests = mixture.eta_t
    figure = style.new_figure(11, 3.2 * len(tests) + 0.9)
    axes = figure.subplots(len(tests), len(columns), sharex=True, sharey=True, squeeze=False)
    for t, eta_t in enumerate(tests):
        reach = max(float(np.abs(gain[t]).max()) for _, gain, _ in columns)
        for column, (name, gain, best) in enumerate(columns):
            ax = axes[t, column]
            mesh = ax.pcolormesh(
                mixture.eta_l, mixture.eta_u, gain[t].T, cmap="RdBu", vmin=-reach, vmax=reach,
                shading="gouraud", rasterized=True,
            )  # fmt: skip
            if gain[t].min() < 0 < gain[t].max():
                ax.contour(
                    mixture.eta_l, mixture.eta_u, gain[t].T, [0.0], colors="black", linewidths=1.5
                )
            ax.plot(mixture.eta_l, best[t], color="black", linestyle="--", linewidth=1.4)
            style.dress(ax)
            ax.grid(False)
            if t == 0:
                ax.set_title(name, fontsize=10, color=style.INK)
            if t == len(tests) - 1:
                ax.set_xlabel(r"$\eta_\ell$")
            if column == 0:
                ax.set_ylabel(rf"{TESTS.get(float(eta_t), f'{eta_t:g}')}" + "\n" + r"$\eta_u$")
        bar = figure.colorbar(mesh, ax=list(axes[t]), pad=0.01, aspect=15)
        bar.set_label("gain", color=style.INK)
        bar.ax.tick_params(labelcolor=style.INK, labelsize=8)
    figure.legend(
        handles=[
            Line2D([], [], color="black", linewidth=1.5, label="zero gain"),
            Line2D([], [], color="black", linestyle="--", label=r"best $\eta_u$ for the student"),
        ],
        loc="outside lower center", ncols=2, frameon=False, fontsize=9,
    )  # fmt: skip
    error = max(mixture.error, location.error)
    figure.suptitle(
        "W2S gain (blue: the student beats its teacher); relative error of the exact risks below "
        f"{max(error, 1e-12):.0e}",
        fontsize=10, color=style.INK,
    )  # fmt: skip
    return figure
