"""The z⊗ξ group model as a dataset, so that every method runs on it.

Classes are the sign of its label, the numeric target is the label itself: the papers' regression.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from omegaconf import MISSING

from w2s_groups.core import machine
from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream
from w2s_groups.data.base import TEST, TRAIN, DatasetConfig, FeatureDataset, in_range
from w2s_groups.data.files.cache import Progress, silent
from w2s_groups.design.groups import Groups
from w2s_groups.theory.build import equal_cosines, model_with_overlap


@dataclass
class Gaussian(DatasetConfig):
    """y = sign(t), t = zᵀβ* + ε the target; groups y × g; both sides see z ⊗ ψ of their own.

    n_pool samples to draw from and n_test to test on, half of each in the minority g = 1.
    p_sw, mu_w = ‖Wᵀμ‖ and mu_s = ‖Sᵀμ‖ are hit exactly. Source: LDL25 section 3, mixture law.
    """

    n_pool: int = MISSING
    n_test: int = MISSING
    d_z: int = MISSING
    p_w: int = MISSING
    p_s: int = MISSING
    p_sw: float = MISSING
    mu_w: float = MISSING
    mu_s: float = MISSING
    sigma_xi: float = MISSING
    sigma_y: float = MISSING
    seed: int = MISSING

    NETWORKS: ClassVar[tuple[str, ...]] = ("gaussian/weak", "gaussian/strong")

    def __post_init__(self) -> None:
        for name in ("n_pool", "n_test", "d_z"):
            in_range(f"data.{name}", getattr(self, name), 1, 10**7)
        for name in ("p_w", "p_s", "p_sw"):
            in_range(f"data.{name}", getattr(self, name), 1, 1000)
        for name in ("mu_w", "mu_s", "sigma_xi", "sigma_y"):
            in_range(f"data.{name}", getattr(self, name), 0, 10**6)
        in_range("data.seed", self.seed, 0, 2**63)

    def _check_memory(self) -> None:
        """InputError where the features do not fit into the memory of this machine."""
        n, sides = self.n_pool + self.n_test, self.p_w + self.p_s
        need = n * self.d_z * (4 * sides + 8 * (1 + max(self.p_w, self.p_s)))
        held = machine.memory()
        if need > held:
            raise InputError(
                f"data.n_pool={self.n_pool}, data.n_test={self.n_test} and data.d_z={self.d_z} "
                f"take {need / 1e9:.4g} GB, and this machine has {held / 1e9:.3g} GB of memory; "
                "lower one of them"
            )

    def load(self, cache: Path, progress: Progress = silent) -> FeatureDataset:
        """Features in memory; nothing is read or cached."""
        self._check_memory()
        model = model_with_overlap(
            p_w=self.p_w,
            cos=equal_cosines(self.p_w, self.p_s, self.p_sw),
            mu_w=self.mu_w,
            mu_s=self.mu_s,
            sigma_xi=self.sigma_xi,
            sigma_y=self.sigma_y,
        )
        n = self.n_pool + self.n_test
        rng = stream(self.seed, "data/gaussian")
        sample = model.draw(n, 0.5, self.d_z, rng)
        assert sample.g is not None  # the mixture law names a group for every sample
        return FeatureDataset(
            name=self.name,
            features={
                "teacher": model.features("teacher", sample.z, sample.xi).astype(np.float32),
                "student": model.features("student", sample.z, sample.xi).astype(np.float32),
            },
            key=repr(sorted(asdict(self).items())),
            y=(sample.y >= 0).astype(np.int64),
            a=sample.g,
            target=sample.y,
            noise=self.sigma_y**2,
            split=np.where(np.arange(n) < self.n_pool, TRAIN, TEST),
            groups=Groups(
                ("negative", "positive"), ("majority", "minority"), frozenset({(0, 1), (1, 1)})
            ),
        )
