"""How often 95 % intervals over seeds hold the truth, as tests/results/test_coverage.py measures.

Accuracies like those of a leaderboard: four groups of 250 test images around 0.77 to 0.88, a shared
draw effect and one of each group's own; the mean over groups, the lowest group, and the paired
difference of the lowest group of two methods. `skewed`: 0.85 less an exponential, skewness -2.
"""

from __future__ import annotations

from typing import NamedTuple


class Coverage(NamedTuple):
    """Shares of simulated tables whose interval held the true mean."""

    student_t: float
    bca: float


# 10,000 tables each; 2,000 where the test measures again.
MEASURED: dict[str, dict[int, Coverage]] = {
    "average": {5: Coverage(0.942, 0.832), 10: Coverage(0.949, 0.901), 20: Coverage(0.949, 0.928)},
    "worst_group": {
        5: Coverage(0.943, 0.832),
        10: Coverage(0.947, 0.896),
        20: Coverage(0.949, 0.924),
    },
    "difference": {
        5: Coverage(0.949, 0.832),
        10: Coverage(0.950, 0.896),
        20: Coverage(0.947, 0.919),
    },
    "skewed": {5: Coverage(0.885, 0.806), 10: Coverage(0.896, 0.869), 20: Coverage(0.923, 0.917)},
}
