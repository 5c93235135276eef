"""`w2s-groups plan`: which images to collect or label next, by predicted worst-group accuracy."""

from __future__ import annotations

from w2s_groups.core.text import wrapped
from w2s_groups.schema.prediction import PlanConfig


def run(cfg: PlanConfig) -> None:
    """Predict the student of each option, write and print the table, best first."""
    from w2s_groups.experiment import plan  # torch, which a refusal need not wait for

    made = plan.run(cfg)
    print(plan.summary(made.table, cfg, made.data))
    print(f"table in {made.folder / 'plan.csv'}")
    if made.sentence:
        print(wrapped(made.sentence))
