"""W2S gain over (eta_l, eta_u) with its zero line and the best eta_u, exact beside printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.figures import phase_map
from w2s_groups.theory.phase import phase_map as limits_map
from w2s_groups.theory_figures import study


@dataclass
class GainPhaseMap:
    """Gain over (eta_l, eta_u) at each eta_t: exact under both laws beside LDL25's printed form.

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
        axis = np.linspace(0, 0.5, self.size)
        maps = {}
        for done, law in enumerate(study.LAWS):
            maps[law] = limits_map(
                self.setting.model(law),
                gamma_z=self.gamma_z,
                nu_z=self.nu_z,
                eta_l=axis,
                eta_u=axis,
                eta_t=tuple(self.eta_t),
                rtol=self.rtol,
            )
            progress(done + 1, len(study.LAWS))
        rows = [
            (eta_t, axis[k], *(maps[law].best_eta_u_exact[t, k] for law in study.LAWS),
             maps["location"].best_eta_u_printed[t, k])
            for t, eta_t in enumerate(self.eta_t)
            for k in range(self.size)
        ]  # fmt: skip
        columns = ["eta_t", "eta_l", "best_exact_mixture", "best_exact_location", "best_printed"]
        figure = phase_map.draw(maps["mixture"], maps["location"])
        study.write(out_dir, "phase_map", pd.DataFrame(rows, columns=columns), figure)
