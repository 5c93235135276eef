"""Two half circles, each most often of one colour, as features."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from w2s_groups.data.base import TEST, TRAIN, DatasetConfig, FeatureDataset
from w2s_groups.design.groups import Groups


@dataclass
class TwoMoons(DatasetConfig):
    """n samples, half of them to test on. noise: standard deviation of each coordinate."""

    n: int = 2000
    noise: float = 0.3
    seed: int = 0

    NETWORKS: ClassVar[tuple[str, ...]] = ("moons/raw", "moons/squares")

    def load(self, cache: Path, progress=None) -> FeatureDataset:
        rng = np.random.default_rng(self.seed)
        y, a = rng.integers(0, 2, (2, self.n))
        angle = np.pi * rng.random(self.n)
        points = np.stack([np.cos(angle) + y, (1 - 2 * y) * np.sin(angle) + y / 2], axis=1)
        colour = a + 0.3 * rng.normal(size=self.n)
        raw = np.column_stack([points + self.noise * rng.normal(size=(self.n, 2)), colour])
        raw = raw.astype(np.float32)
        return FeatureDataset(
            name=self.name,
            features={"teacher": raw, "student": np.column_stack([raw, raw**2, raw**3])},
            key=repr(sorted(asdict(self).items())),
            y=y,
            a=a,
            split=np.where(np.arange(self.n) < self.n // 2, TRAIN, TEST),
            groups=Groups(("upper", "lower"), ("red", "blue"), frozenset({(0, 1), (1, 0)})),
        )
