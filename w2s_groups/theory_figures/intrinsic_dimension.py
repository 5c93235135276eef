"""Excess risk, PGR and OPR against n and N in DLLL25's synthetic setting, one noise level a figure.

Markers are simulated. Solid lines are exact at finite n and N; dashed ones are the paper's printed
forms, which count label noise only. They part in three places: the target a model cannot see adds
to its noise (σ² -> σ² + ρ), a finite N costs d_s/(N − d_s − 1) and not d_s/N, and the student's
bias is below its printed bound ρ_w + ρ_s by what both models miss.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import MISSING

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import write_atomic
from w2s_groups.core.lazy import lines as mpl_lines
from w2s_groups.core.lazy import pandas as pd
from w2s_groups.core.seeds import stream
from w2s_groups.figures import style
from w2s_groups.theory.intervals import mean_interval, ratio_interval
from w2s_groups.theory.intrinsic import MODELS, exact_risks, opr, pgr, printed_risks
from w2s_groups.theory.intrinsic_simulate import Sizes, simulate_risks
from w2s_groups.theory.model import Array
from w2s_groups.theory_figures import study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

NAMES = {
    "teacher": "teacher (weak, n labels)",
    "w2s": "W2S student (N pseudolabels)",
    "baseline": "strong baseline (n labels)",
    "ceiling": "strong ceiling (n + N labels)",
}
AXIS = {"n": "labelled samples n", "N": "unlabelled samples N"}
HELD = {"n": "N", "N": "n"}  # swept size -> the one that is held
PAIRS = ("#CC79A7", "#E69F00", "#5E4FA2", "#8C6D31", "#56B4E9")  # no colour of a model


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

    def validate(self) -> None:
        """InputError for anything that would fail later."""
        if not self.trials >= 2:
            raise InputError(f"trials={self.trials}: an interval needs at least 2; raise trials")
        if not self.seed >= 0:
            raise InputError(f"seed={self.seed} must be >= 0; choose another")
        self._validate_lists()
        sizes = self._sizes()
        for d_sw in self.d_sw:
            for _, n, N in self.points():
                exact_risks(sizes.pair(d_sw), n, N, list(self.cases.values()))

    def _validate_lists(self) -> None:
        for name in ("d_sw", "n", "N", "cases"):
            values = list(getattr(self, name))
            if not values:
                raise InputError(f"{name} is empty: name at least one value")
            if len(set(values)) < len(values):
                raise InputError(f"{name}={values} repeats a value; list each once")
        if len(self.d_sw) > len(PAIRS):
            raise InputError(
                f"d_sw={list(self.d_sw)} has {len(self.d_sw)} values: the figure has colours for "
                f"{len(PAIRS)}; drop some"
            )
        for case in self.cases:
            if not re.fullmatch(r"\w[\w.-]*", case):
                raise InputError(
                    f"cases: {case!r} is to name a file; use letters, digits, '_', '-' and '.'"
                )

    def _sizes(self) -> Sizes:
        return Sizes(self.d, self.d_star, self.d_w, self.d_s)

    def run(self, out_dir: Path, work_dir: Path, progress: study.Progress) -> None:
        """Write <case>.csv, .pdf and .png into out_dir; done points are kept in work_dir.

        progress(done, total) is called after each point. A stopped run goes on where it was.
        """
        self.validate()
        study.check_folders(out_dir, work_dir)
        sizes, points = self._sizes(), self.points()
        sigma2 = [float(value) for value in self.cases.values()]
        key = [asdict(sizes), list(self.d_sw), sigma2, self.trials, self.seed]
        folder = work_dir / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
        tables: dict[str, list[pd.DataFrame]] = {case: [] for case in self.cases}
        for done, (sweep, n, N) in enumerate(points):
            risks = self._risks(sweep, n, N, sigma2, folder)
            for s, (case, noise) in enumerate(zip(self.cases, sigma2, strict=True)):
                for k, d_sw in enumerate(self.d_sw):
                    values = risks[:, k, s]
                    tables[case].append(point_table(sizes, d_sw, sweep, n, N, noise, values))
            progress(done + 1, len(points))
        for case, parts in tables.items():
            table = pd.concat(parts, ignore_index=True)
            study.write_figure(out_dir, case, table, draw(table), float_format=None)

    def _risks(self, sweep: str, n: int, N: int, sigma2: list[float], folder: Path) -> Array:
        """(trials, d_sw, σ², 4) risks of a point: from `folder`, or simulated and kept there."""
        path = folder / f"{sweep}_n{n}_N{N}.npy"
        if path.exists():
            stored: Array = np.load(path)
            return stored
        draws = stream(self.seed, f"intrinsic_dimension/{sweep}/{n}/{N}")
        risks = simulate_risks(self._sizes(), list(self.d_sw), n, N, sigma2, self.trials, draws)
        buffer = io.BytesIO()
        np.save(buffer, risks)
        write_atomic(path, buffer.getvalue())
        return risks


def point_table(
    sizes: Sizes, d_sw: int, sweep: str, n: int, N: int, sigma2: float, risks: Array
) -> pd.DataFrame:
    """Rows of one point: the risk of each of MODELS, PGR and OPR. risks: (trials, 4).

    mean, low, high: simulation and its 95 % interval over trials. exact, printed: closed forms;
    PGR and OPR are ratios of mean risks throughout.
    """
    pair = sizes.pair(d_sw)
    forms = [exact_risks(pair, n, N, sigma2), printed_risks(pair, n, N, sigma2)]
    mean, half = mean_interval(risks)
    weak, student, baseline, ceiling = risks.T
    rows = [
        (model, mean[k], mean[k] - half[k], mean[k] + half[k], *(float(f[model]) for f in forms))
        for k, model in enumerate(MODELS)
    ]
    recovered = [float(pgr(f["teacher"], f["w2s"], f["ceiling"])) for f in forms]
    rows.append(("PGR", *ratio_interval(weak - student, weak - ceiling), *recovered))
    outperformed = [float(opr(f["baseline"], f["w2s"])) for f in forms]
    rows.append(("OPR", *ratio_interval(baseline, student), *outperformed))
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


def draw(table: pd.DataFrame) -> Figure:
    """Figure from rows as `point_table` makes them; InputError unless they have one sigma2."""
    noises, pairs = table["sigma2"].unique(), sorted(table["d_sw"].unique())
    if len(noises) != 1:
        raise InputError(
            f"table holds {len(noises)} values of sigma2: a figure shows one; select its rows"
        )
    if len(pairs) > len(PAIRS):
        raise InputError(
            f"table holds {len(pairs)} values of d_sw: at most {len(PAIRS)} fit; select"
        )
    figure = style.new_figure(10.5, 10.5)
    grid = figure.add_gridspec(3, 4 * len(pairs))
    for row, sweep in enumerate(AXIS):
        first: Axes | None = None
        for column, d_sw in enumerate(pairs):
            place = grid[row, 4 * column : 4 * column + 4]
            panel = figure.add_subplot(place, sharey=first)
            here = table[(table["sweep"] == sweep) & (table["d_sw"] == d_sw)]
            _draw_risks(panel, here, sweep, labelled=first is None)
            first = first or panel
    ratios = [(quantity, sweep) for quantity in ("PGR", "OPR") for sweep in AXIS]
    for k, (quantity, sweep) in enumerate(ratios):
        panel = figure.add_subplot(grid[2, len(pairs) * k : len(pairs) * (k + 1)])
        here = table[(table["sweep"] == sweep) & (table["quantity"] == quantity)]
        _draw_ratio(panel, here, sweep, pairs)
    for panel in figure.axes:
        style.dress(panel)
    figure.legend(
        handles=_handles(pairs, int(table["trials"].iloc[0])), loc="outside lower center",
        ncols=3, frameon=False, fontsize=9, labelcolor=style.INK,
    )  # fmt: skip
    figure.suptitle(
        rf"DLLL25 synthetic regression, $\sigma^2 = {noises[0]:g}$", fontsize=12, color=style.INK
    )
    return figure


def _draw_risks(panel: Axes, rows: pd.DataFrame, sweep: str, labelled: bool) -> None:
    """Excess risk of every model of one d_sw against the swept size."""
    for k, model in enumerate(NAMES):
        of_model = rows[rows["quantity"] == model].sort_values(sweep)
        _draw_curve(panel, of_model, sweep, style.colour(model, ()), style.MARKERS[k])
    panel.set_yscale("log")
    held = ", ".join(str(value) for value in rows[HELD[sweep]].unique())
    d_sw = rows["d_sw"].iloc[0]
    panel.set_title(rf"$d_{{s\wedge w}} = {d_sw}$,  ${HELD[sweep]} = {held}$", fontsize=10)
    panel.set_xlabel(AXIS[sweep], fontsize=9)
    if labelled:
        panel.set_ylabel("excess risk", fontsize=9)
    else:
        panel.tick_params(labelleft=False, which="both")


def _draw_ratio(panel: Axes, rows: pd.DataFrame, sweep: str, pairs: list[int]) -> None:
    """PGR or OPR of every d_sw against the swept size."""
    for j, d_sw in enumerate(pairs):
        of_pair = rows[rows["d_sw"] == d_sw].sort_values(sweep)
        _draw_curve(panel, of_pair, sweep, PAIRS[j], style.MARKERS[j])
    quantity, held = rows["quantity"].iloc[0], rows[HELD[sweep]].iloc[0]
    panel.set_title(rf"{quantity},  ${HELD[sweep]} = {held}$", fontsize=10)
    panel.set_xlabel(AXIS[sweep], fontsize=9)
    for level in (0, 1):  # PGR 0: no gain; OPR 1: weak labels worth as much as the n true ones
        if panel.get_ylim()[0] < level < panel.get_ylim()[1]:
            panel.axhline(level, color=style.MUTED, linewidth=0.8, linestyle=":")


def _draw_curve(panel: Axes, rows: pd.DataFrame, sweep: str, colour: str, marker: str) -> None:
    """Exact line, printed line (dashed), and simulated means with their intervals."""
    x, mean = rows[sweep].to_numpy(), rows["mean"].to_numpy()
    panel.plot(x, rows["exact"], color=colour, linewidth=1.4)
    panel.plot(x, rows["printed"], color=colour, linewidth=1.2, linestyle=(0, (3, 2)), alpha=0.85)
    reach = [mean - rows["low"].to_numpy(), rows["high"].to_numpy() - mean]
    panel.errorbar(
        x, mean, reach, color=colour, fmt=marker, markersize=3.5, linewidth=1,
        markerfacecolor="white",
    )  # fmt: skip


def _handles(pairs: list[int], trials: int) -> list[Line2D]:
    """Legend: models, values of d_sw, and the three kinds of line."""

    def handle(label: str, colour: str = style.MUTED, **look: object) -> Line2D:
        return mpl_lines.Line2D([], [], color=colour, label=label, **look)  # type: ignore[arg-type]

    return [
        *(
            handle(NAMES[model], style.colour(model, ()), marker=style.MARKERS[k])
            for k, model in enumerate(NAMES)
        ),
        *(
            handle(rf"$d_{{s\wedge w}} = {d_sw}$", PAIRS[j], marker=style.MARKERS[j])
            for j, d_sw in enumerate(pairs)
        ),
        handle("exact, finite n and N"),
        handle("printed (label noise only)", linestyle=(0, (3, 2))),
        handle(
            f"simulation, 95 % over {trials} trials",
            marker="o", linestyle="", markerfacecolor="white",
        ),
    ]  # fmt: skip
