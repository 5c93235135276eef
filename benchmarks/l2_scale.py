"""Does l2 = d / 1000 carry over to other sets? Accuracy against l2 -> reports/l2_scale.md

    python benchmarks/l2_scale.py                      # every set below, five seeds
    python benchmarks/l2_scale.py colored_digits cache_dir=DIR seeds=[0,1]

The scale was first judged on birds_mammals and on texts of tweets, with their test images in view.
Here it is held against sets that had no part in that, and birds_mammals again for comparison. The
teacher keeps l2 = 1e-3; every student has the same l2 in units of d / 1000, d the number of
features that vary.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from w2s_groups.experiment import job
from w2s_groups.interface import hydra_config
from w2s_groups.methods.variants import SCALE
from w2s_groups.results import select, store
from w2s_groups.results.format import fixed, plus_minus
from w2s_groups.results.grid import Grid
from w2s_groups.results.method_facts import method_label
from w2s_groups.results.pivot import grids
from w2s_groups.results.stats import mean_interval
from w2s_groups.schema.config import Config

PAGE = Path(__file__).resolve().parents[1] / "reports" / "l2_scale.md"
SETS = {
    "colored_digits": ("data=colored_digits",),
    "gaussian": ("data=gaussian", "teacher=model/weak", "student=model/strong"),
    "birds_mammals": ("data=birds_mammals",),
}
CENTRES = (1.0, 0.3, 0.1)  # units of d / 1000 that the rule of one standard error may draw to
METHODS = ("w2s", "hard", "gce_only", "selective")
PATH = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # units of d / 1000


def configuration(data: str, extra: list[str], results: str) -> Config:
    path = ",".join(f"{SCALE * value:g}" for value in PATH)
    hydra_config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(hydra_config.conf_dir())):
        composed = hydra_compose(
            "config",
            [
                *SETS[data], f"methods=[teacher,{','.join(METHODS)},ceiling]", "select=labelled",
                *(f"+trials.{name}.l2_per_feature=[{path}]" for name in METHODS),
                "eta_l=[0.05,0.5]", "eta_u=[0.05,0.5]", "seeds=[0,1,2,3,4]", *extra,
                f"results_dir={results}", f"reports_dir={results}",
            ],
        )  # fmt: skip
    return hydra_config.from_hydra(composed)


def measured(data: str, extra: list[str]) -> str:
    """The section of one set."""
    with tempfile.TemporaryDirectory() as results:
        cfg = configuration(data, extra, results)
        done = job.run(cfg)
        table = store.load(job.results_folder(cfg), done.keys)
    (grid,) = grids(table)
    tuned = grids(select.apply(table, select.Rule.labelled, done.settings)[0])[0]
    width = done.settings["pair"][0]["width"]
    few = f"{len(grid.points)} points (η_ℓ, η_u) and {len(grid.seeds)} seeds"
    lines = [
        f"## {data}",
        "",
        f"{grid.teacher} (d = {width['teacher']}) → {grid.student} (d = {width['student']}), "
        f"n_ℓ = {grid.n_l}, n_u = {grid.n_u}; average / worst-group accuracy "
        f"(n = {grid.smallest_n}), means over {few}. Teacher: {_pair(grid, 'teacher')}, ceiling: "
        f"{_pair(grid, 'ceiling')}. l2 of the students in units of d / 1000:",
        "",
        _row("method", *(f"{value:g}" for value in PATH)),
        _row(*["---"] * (1 + len(PATH))),
        *(
            _row(method_label(name), *(_pair(grid, _trial(name, value)) for value in PATH))
            for name in METHODS
        ),
        "",
        "How far below the best l2 of the curve, paired over seeds (Student t):",
        "",
        _row(
            "method", "best l2, average", "l2 = d / 1000", "l2 = 0.001", "select = labelled",
            "best l2, worst group", "l2 = d / 1000", "l2 = 0.001", "select = labelled",
        ),
        _row(*["---"] * 9),
        *(_lost(name, grid, tuned) for name in METHODS),
        "",
        "By labelled accuracy, the best (of equal ones the larger l2), or within one standard "
        "error of it the nearest to a centre; in brackets the centre without any choice:",
        "",
        _row("method", "best", *(f"one error, {c:g} d / 1000" for c in CENTRES)),
        _row(*["---"] * (2 + len(CENTRES))),
        *(_by_rules(name, grid, table) for name in METHODS),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _lost(name: str, grid: Grid, tuned: Grid) -> str:
    cells = []
    for metric in ("average", "worst_group"):
        value = grid.over_points(grid.metric(metric))
        of_tuned = tuned.over_points(tuned.metric(metric))[tuned.methods.index(name)]
        curve = value[[grid.methods.index(_trial(name, l2)) for l2 in PATH]]
        best = int(curve.mean(axis=1).argmax())
        others = (curve[PATH.index(1.0)], value[grid.methods.index(name)], of_tuned)
        cells += [
            f"{PATH[best]:g}",
            *(plus_minus(mean_interval(curve[best] - other)) for other in others),
        ]
    return _row(method_label(name), *cells)


def _by_rules(name: str, grid: Grid, table: pd.DataFrame) -> str:
    """Average / worst group of what each rule takes, over points and seeds."""
    trials = [_trial(name, value) for value in PATH]
    seen = table[(table["split"] == "labelled") & (table["metric"] == "accuracy")]
    right = (
        seen.pivot_table(index=["eta_l", "eta_u", "seed"], columns="method", values="value")[trials]
        .to_numpy()
        .reshape(len(grid.points), len(grid.seeds), -1)
    )
    best = right.max(axis=-1, keepdims=True)
    slack = np.sqrt(best * (1 - best) / grid.n_l)
    positions = [grid.methods.index(trial) for trial in trials]

    def means(pick: np.ndarray) -> str:
        found = []
        for metric in ("average", "worst_group"):
            value = grid.metric(metric)[:, positions].transpose(0, 2, 1)
            found.append(fixed(float(np.take_along_axis(value, pick[..., None], 2).mean())))
        return " / ".join(found)

    cells = [means((right >= best - 1e-12).argmax(axis=-1))]
    for centre in CENTRES:
        away = np.round(np.abs(np.log(PATH) - np.log(centre)), 9)  # of equal ones the larger l2
        near = np.where(right >= best - slack - 1e-12, away, np.inf).argmin(axis=-1)
        cells.append(f"{means(near)} ({means(np.full_like(near, away.argmin()))})")
    return _row(method_label(name), *cells)


def _trial(name: str, value: float) -> str:
    return f"{name}[l2_per_feature={SCALE * value:g}]"


def _pair(grid: Grid, method: str) -> str:
    """`0.812 / 0.744`."""
    found = []
    for metric in ("average", "worst_group"):
        values = grid.over_points(grid.metric(metric))[grid.methods.index(method)]
        found.append(fixed(float(np.mean(values))))
    return " / ".join(found)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str]) -> None:
    named = [name for name in arguments if name in SETS] or list(SETS)
    extra = [argument for argument in arguments if argument not in SETS]
    intro = (__doc__ or "").split("\n\n")[-1].strip().replace("\n", " ")
    head = f"# l2 = d / 1000 on further sets\n\nMade by `benchmarks/l2_scale.py`. {intro}\n"
    PAGE.write_text("\n".join([head, *(measured(name, extra) for name in named)]))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
