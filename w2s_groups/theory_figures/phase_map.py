"""W2S gain over (eta_l, eta_u) with its zero line and the best eta_u: exact and as printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.lazy import lines as mpl_lines
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.figures import style
from w2s_groups.theory.model import Array
from w2s_groups.theory.phase import PhaseMap, phase_map
from w2s_groups.theory.regime import Regime
from w2s_groups.theory_figures import study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure


@dataclass
class GainPhaseMap:
    """Gain over (eta_l, eta_u) at each eta_t: exact under both laws, and LDL25's printed form.

    size: points an axis, on [0, 1/2]; no simulation. rtol: relative error of the exact risks.
    """

    setting: study.Setting = field(default_factory=study.Setting)
    gamma_z: float = MISSING
    nu_z: float = MISSING
    eta_t: list[float] = MISSING
    size: int = MISSING
    rtol: float = MISSING

    def run(self, out_dir: Path, work_dir: Path, progress: study.Progress) -> None:
        """Write phase_map.*; the table holds the best eta_u, not the map."""
        study.check_folders(out_dir, work_dir)
        if self.size < 3:
            raise InputError(f"size={self.size}: a map needs at least 3 points an axis; raise size")
        axis, regime = np.linspace(0, 0.5, self.size), Regime(self.gamma_z, self.nu_z)
        grid = {"eta_l": axis, "eta_u": axis}
        maps = {}
        for done, law in enumerate(study.LAWS):
            model = self.setting.model(law)
            maps[law] = phase_map(model, regime, **grid, eta_t=tuple(self.eta_t), rtol=self.rtol)
            progress(done + 1, len(study.LAWS))
        rows = [
            (eta_t, axis[k], *(maps[law].best_eta_u_exact[t, k] for law in study.LAWS),
             maps["location"].best_eta_u_printed[t, k])
            for t, eta_t in enumerate(self.eta_t)
            for k in range(self.size)
        ]  # fmt: skip
        columns = ["eta_t", "eta_l", "best_exact_mixture", "best_exact_location", "best_printed"]
        figure = draw(maps["mixture"], maps["location"])
        study.write_figure(out_dir, "phase_map", pd.DataFrame(rows, columns=columns), figure)


def draw(mixture: PhaseMap, location: PhaseMap) -> Figure:
    """Figure from the maps of one setting under both laws, on one grid."""
    columns = (
        ("exact, mixture law", mixture.gain_exact, mixture.best_eta_u_exact),
        ("exact, location law", location.gain_exact, location.best_eta_u_exact),
        ("printed in LDL25", location.gain_printed, location.best_eta_u_printed),
    )
    tests = [float(eta) for eta in mixture.eta_t]
    figure = style.new_figure(11, 3.2 * len(tests) + 0.9)
    axes = figure.subplots(len(tests), len(columns), sharex=True, sharey=True, squeeze=False)
    for t, eta_t in enumerate(tests):
        reach = max(float(np.abs(gain[t]).max()) for _, gain, _ in columns)
        for column, (name, gain, best) in enumerate(columns):
            ax = axes[t, column]
            mesh = _draw_map(ax, mixture, gain[t], best[t], reach)
            if t == 0:
                ax.set_title(name, fontsize=10, color=style.INK)
            if t == len(tests) - 1:
                ax.set_xlabel(r"$\eta_\ell$")
            if column == 0:
                ax.set_ylabel(f"{study.mix_label(eta_t)}\n" + r"$\eta_u$")
        bar = figure.colorbar(mesh, ax=list(axes[t]), pad=0.01, aspect=15)
        bar.set_label("gain", color=style.INK)
        bar.ax.tick_params(labelcolor=style.INK, labelsize=8)
    line = mpl_lines.Line2D
    figure.legend(
        handles=[
            line([], [], color="black", linewidth=1.5, label="zero gain"),
            line([], [], color="black", linestyle="--", label=r"best $\eta_u$ for the student"),
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


def _draw_map(ax: Axes, grid: PhaseMap, gain: Array, best: Array, reach: float) -> QuadMesh:
    """Gain (L, U) in colour, its zero line where it has one, and the best eta_u (L,)."""
    mesh = ax.pcolormesh(
        grid.eta_l, grid.eta_u, gain.T, cmap="RdBu", vmin=-reach, vmax=reach,
        shading="gouraud", rasterized=True,
    )  # fmt: skip
    if gain.min() < 0 < gain.max():
        ax.contour(grid.eta_l, grid.eta_u, gain.T, [0.0], colors="black", linewidths=1.5)
    ax.plot(grid.eta_l, best, color="black", linestyle="--", linewidth=1.4)
    style.dress(ax)
    ax.grid(False)
    return mesh
