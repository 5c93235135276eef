"""DLLL25's synthetic figures: simulated, exact and printed risks in one table."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import check_writable, write_atomic
from w2s_groups.core.seeds import stream
from w2s_groups.figures import intrinsic_dimension, style
from w2s_groups.theory.intrinsic import MODELS, exact_risks, opr, pgr, printed_risks
from w2s_groups.theory.intrinsic_simulate import Setting, interval, ratio_interval, simulate


@dataclass
class IntrinsicDimension:
    """Excess risk against n (at N_fixed) and against N (at n_fixed), for each d_sw and noise case.

    cases: stem of a figure -> σ². trials: at least 2. Source: DLLL25, synthetic regression.
    """

    d: int = MISSING
    d_star: int = MISSING
    d_w: int = MISSING
    d_s: int = MISSING
    d_sw: list[int] = MISSING
    n: list[int] = MISSING
    N: list[int] = MISSING
    n_fixed: int = MISSING
    N_fixed: int = MISSING
    cases: dict[str, float] = field(default_factory=lambda: MISSING)
    trials: int = MISSING
    seed: int = MISSING

    def points(self) -> list[tuple[str, int, int]]:
        """(sweep, n, N) of every point."""
        return [("n", n, self.N_fixed) for n in self.n] + [("N", self.n_fixed, N) for N in self.N]

    def check(self) -> None:
        """InputError for anything that would fail later."""
        if not self.trials >= 2:
            raise InputError(f"trials={self.trials}: an interval needs at least 2; raise trials")
        if not self.seed >= 0:
            raise InputError(f"seed={self.seed} must be >= 0; choose another")
        for name in ("d_sw", "n", "N", "cases"):
            if not getattr(self, name):
                raise InputError(f"{name} is empty: name at least one value")
        for name in ("d_sw", "n", "N"):
            values = list(getattr(self, name))
            if len(set(values)) < len(values):
                raise InputError(f"{name}={values} repeats a value; list each once")
        if len(self.d_sw) > len(intrinsic_dimension.PAIRS):
            raise InputError(
                f"d_sw={list(self.d_sw)} has {len(self.d_sw)} values: the figure has colours for "
                f"{len(intrinsic_dimension.PAIRS)}; drop some"
            )
        for case in self.cases:
            if not re.fullmatch(r"\w[\w.-]*", case):
                raise InputError(
                    f"cases: {case!r} is to name a file; use letters, digits, '_', '-' and '.'"
                )
        setting = Setting(self.d, self.d_star, self.d_w, self.d_s)
        for d_sw in self.d_sw:
            for _, n, N in self.points():
                exact_risks(setting.pair(d_sw), n, N, list(self.cases.values()))

    def run(self, out_dir: Path, work_dir: Path, progress: Callable[[int, int], None]) -> None:
        """Write <case>.csv, .pdf and .png into out_dir; done points are kept in work_dir.

        progress(done, total) is called after each point. A stopped run goes on where it was.
        """
        self.check()
        check_writable(out_dir, "out_dir")
        check_writable(work_dir, "work_dir")
        setting = Setting(self.d, self.d_star, self.d_w, self.d_s)
        sigma2 = [float(value) for value in self.cases.values()]
        key = [asdict(setting), list(self.d_sw), sigma2, self.trials, self.seed]
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
        tables: dict[str, list[pd.DataFrame]] = {case: [] for case in self.cases}
        for done, (sweep, n, N) in enumerate(self.points()):
            path = work_dir / digest / f"{sweep}_n{n}_N{N}.npy"
            if path.exists():
                risks = np.load(path)
            else:
                draws = stream(self.seed, f"intrinsic_dimension/{sweep}/{n}/{N}")
                risks = simulate(setting, list(self.d_sw), n, N, sigma2, self.trials, draws)
                buffer = io.BytesIO()
                np.save(buffer, risks)
                write_atomic(path, buffer.getvalue())
            for case, noise, values in zip(
                self.cases, sigma2, np.moveaxis(risks, 2, 0), strict=True
            ):
                for d_sw, of_pair in zip(self.d_sw, np.moveaxis(values, 1, 0), strict=True):
                    tables[case].append(point_table(setting, d_sw, sweep, n, N, noise, of_pair))
            progress(done + 1, len(self.points()))
        for case, parts in tables.items():
            table = pd.concat(parts, ignore_index=True)
            figure = intrinsic_dimension.draw(table)
            write_atomic(out_dir / f"{case}.csv", table.to_csv(index=False).encode())
            write_atomic(out_dir / f"{case}.pdf", style.pdf(figure))
            write_atomic(out_dir / f"{case}.png", style.png(figure))


def point_table(
    setting: Setting,
    d_sw: int,
    sweep: str,
    n: int,
    N: int,
    sigma2: float,
    risks: NDArray[np.float64],
) -> pd.DataFrame:
    """Rows of one point: the risk of each of MODELS, PGR and OPR. risks: (trials, 4).

    mean, low, high: simulation and its 95 % interval over trials. exact, printed: closed forms;
    PGR and OPR are ratios of mean risks throughout.
    """
    pair = setting.pair(d_sw)
    forms = [exact_risks(pair, n, N, sigma2), printed_risks(pair, n, N, sigma2)]
    weak, student, baseline, ceiling = (risks[:, k] for k in range(len(MODELS)))
    rows = [
        (model, *interval(risks[:, k]), *(float(form[model]) for form in forms))
        for k, model in enumerate(MODELS)
    ]
    rows.append(
        (
            "PGR",
            *ratio_interval(weak - student, weak - ceiling),
            *(float(pgr(form["teacher"], form["w2s"], form["ceiling"])) for form in forms),
        )
    )
    rows.append(
        (
            "OPR",
            *ratio_interval(baseline, student),
            *(float(opr(form["baseline"], form["w2s"])) for form in forms),
        )
    )
    table = pd.DataFrame(rows, columns=["quantity", "mean", "low", "high", "exact", "printed"])
    place: dict[str, Any] = {
        "sweep": sweep,
        "n": n,
        "N": N,
        "sigma2": sigma2,
        "d_sw": d_sw,
        "trials": len(risks),
    }
    return table.assign(**place)[[*place, *table.columns]]
