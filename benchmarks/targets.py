"""Where people wait: the rows of the table at the top of reports/benchmarks.md, and their targets.

A row reads its figures in the section of its benchmark, so one that was not run again keeps its
own, with the date of that run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

SECONDS = "seconds"  # the best of a benchmark's rounds


class Target(NamedTuple):
    """One row. section, figure, ratio: names in the page; most, least: bounds of the figure."""

    what: str
    section: str
    figure: str
    unit: str
    ratio: str
    against: str
    most: float | None = None
    least: float | None = None


_GRID = "bench_logistic_grid.py::test_logistic_grid_against_one_fit_at_a_time"
_FEATURES = "bench_features.py::test_extraction_against_bare_forward"
_THREADS = "bench_threads.py::test_threads_beside_other_work"
TARGETS = (
    Target("`w2s-groups --help`", "bench_app.py::test_help_and_version",
           "seconds of one page", "s", "ratio", "times as fast as `import torch`", 1.5),
    Target("a command until its first own line, above `import torch`",
           "bench_app.py::test_first_line", "seconds above import torch", "s", "ratio",
           "times `import torch` in all", 1.5),
    Target("one cell, 18 methods, features cached", "bench_app.py::test_one_cell", SECONDS, "s",
           "ratio", "times `import torch`", 8.0),
    *(
        Target(f"threads, {name}", f"{_THREADS}[{n}]", "largest ratio", "",
               "largest ratio", "of the better of one and all threads", 1.3)
        for n, name in ((0, "quiet"), (1, "one busy process"), (3, "three busy processes"))
    ),
    Target("repeat of `make leaderboard`", "bench_app.py::test_repeat_of_the_leaderboard", SECONDS,
           "s", "ratio", "times `import torch`", 8.0),
    Target("logistic heads, 9 x 9 x 10 x 5, to 1e-8", f"{_GRID}[cpu]", SECONDS, "s",
           "ratio to scikit-learn, per cell, extrapolated", "times as fast as scikit-learn", 30.0),
    Target("ridge heads, 20 x 20 x 10", "bench_ridge.py::test_ridge_grid_against_scikit_learn[cpu]",
           SECONDS, "s", "ratio per cell extrapolated", "times as fast as scikit-learn", 8.0),
    Target("the logistic grid on a GPU", f"{_GRID}[cuda]", SECONDS, "s",
           "ratio to scikit-learn, per cell, extrapolated", "times as fast as scikit-learn", 1.0),
    *(
        Target(f"extraction, {name}", f"{_FEATURES}[{name}]", "ratio to that", "",
               "ratio to that", "of a bare forward, a batch on each core", least=0.95)
        for name in ("squeezenet1_1", "efficientnet_lite2")
    ),
    Target("one draw, 1,000 classes, n = 50,000", "bench_draw.py::test_one_draw", SECONDS, "s",
           "ratio", "times one permutation of the pool", 1.0),
    Target("dimensions of 3,000 x 4,096 features, of the time announced",
           "bench_dimensions.py::test_dimensions_against_what_is_announced", "ratio", "",
           "gigabytes at the peak, of those planned", "of the memory planned", 1.5),
)  # fmt: skip


def table(sections: Mapping[str, str]) -> list[str]:
    """Lines of the table: each target that has been measured, and whether it is met."""
    lines = ["| what | figure | target | | ratio | |", "|---|---:|---:|---|---:|---|"]
    for row in TARGETS:
        text = sections.get(row.section)
        target = f"at most {row.most:g}" if row.most is not None else f"at least {row.least:g}"
        value, ratio = (entry(text or "", name) for name in (row.figure, row.ratio))
        if text is None or value is None or ratio is None:
            lines.append(f"| {row.what} | - | {target} {row.unit} | not measured | | |")
            continue
        met = value <= (row.most or value) and value >= (row.least or value)
        found = re.search(r", on (\d{4}-\d\d-\d\d)", text)
        when = f", {found[1]}" if found else ""
        lines.append(
            f"| {row.what} | {value:.3g} {row.unit} | {target} {row.unit} "
            f"| {'met' if met else '**missed**'}{when} | {ratio:.3g} | {row.against} |"
        )
    return lines


def entry(text: str, name: str) -> float | None:
    """The number of a line of a section; None where there is none."""
    found = re.search(rf"^\* {re.escape(name)}: (-?[\d.e+-]+)", text, re.MULTILINE)
    return float(found[1]) if found else None
