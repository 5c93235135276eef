"""Long tables for tests, made from a rule and a seed: never shown as results of anything."""

from __future__ import annotations

import numpy as np
import pandas as pd

GROUPS = (
    ("bird-on-water", 0, 0, False),
    ("bird-on-land", 0, 1, True),
    ("mammal-on-water", 1, 0, True),
    ("mammal-on-land", 1, 1, False),
)
METHODS = ("teacher", "w2s", "selective", "baseline", "ceiling")
LIFT = {"teacher": 0.0, "w2s": 0.04, "selective": 0.1, "baseline": 0.06, "ceiling": 0.15}


def grid_table(
    eta_l: tuple[float, ...] = (0.05, 0.5),
    eta_u: tuple[float, ...] = (0.05, 0.2, 0.35, 0.5),
    seeds: int = 6,
    methods: tuple[str, ...] = METHODS,
    lift: dict[str, float] = LIFT,
    absent: str = "",
    n: int = 60,
    data: str = "birds_mammals",
) -> pd.DataFrame:
    """Accuracies that fall with the distance of eta_u from eta_l and differ by `lift`."""
    rows = []
    for seed in range(seeds):
        for low in eta_l:
            for high in eta_u:
                noise = np.random.default_rng([seed, round(low * 100), round(high * 100)])
                cell = {
                    "cell": f"{seed}-{low}-{high}", "data": data, "teacher": "squeezenet",
                    "student": "lite2", "n_l": 300, "n_u": 1000, "eta_l": low, "eta_u": high,
                    "seed": seed,
                }  # fmt: skip
                common = noise.normal(0, 0.01)
                for method in methods:
                    for group, y, a, few in GROUPS:
                        size = 0 if group == absent else n
                        base = 0.72 + 0.1 * low - (0.12 - 0.2 * low) * few
                        drop = 0.08 * abs(high - low) if method == "w2s" else 0.0
                        value = base + lift[method] - drop + common + noise.normal(0, 0.012)
                        rows.append(
                            {
                                **cell, "method": method, "split": "test", "metric": "accuracy",
                                "group": group, "y": y, "a": a, "minority": few, "n": size,
                                "value": round(value * n) / n if size else np.nan,
                            }
                        )  # fmt: skip
                for group, y, a, few in GROUPS:
                    share = {"labelled": low, "unlabelled": high}
                    for split, total in (("labelled", 300), ("unlabelled", 1000)):
                        number = round(total * (share[split] if few else 1 - share[split]) / 2)
                        rows.append(
                            {
                                **cell, "method": "teacher", "split": split, "metric": "count",
                                "group": group, "y": y, "a": a, "minority": few, "n": number,
                                "value": float(number),
                            }
                        )  # fmt: skip
                    part = (high if few else 1 - high) / 2
                    for method, split, metric, value in (
                        ("teacher", "unlabelled", "accuracy", 0.7),
                        ("selective", "kept", "fraction", part + (-0.01 if few else 0.01)),
                    ):
                        if method in methods:
                            rows.append(
                                {
                                    **cell, "method": method, "split": split, "metric": metric,
                                    "group": group, "y": y, "a": a, "minority": few,
                                    "n": round(500 * part), "value": value,
                                }
                            )  # fmt: skip
    return pd.DataFrame(rows)
