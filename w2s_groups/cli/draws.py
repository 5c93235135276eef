"""`w2s-groups draws export`: which samples each cell of a run draws, for training elsewhere."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig

from w2s_groups.core.text import count
from w2s_groups.schema.draws import DrawsConfig


def run(cfg: DrawsConfig) -> None:
    """Draw every cell, write the folder, and say where it is."""
    from w2s_groups.experiment import exported  # torch, which a refusal need not wait for
    from w2s_groups.experiment.draws import draws_of

    drawing = draws_of(cfg)
    folder = exported.write(cfg, drawing, HydraConfig.get().overrides.task)
    tested = sum(len(drawn.rows["test"]) for drawn in drawing.cells)
    print(f"draws of {count(len(drawing.cells), 'cell')} in {folder}/")
    print(f"a method predicts {tested} test {drawing.dataset.NOUN}s in all; then score it:")
    print(f"w2s-groups score PREDICTIONS.parquet --card CARD.yaml --draws {folder}")
