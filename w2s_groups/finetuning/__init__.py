"""Fine-tuning: none, LoRA or full. Name -> settings."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from w2s_groups.core.roles import Role, role
from w2s_groups.methods.base import check_range


@dataclass
class Frozen:
    """Networks as they come: heads are fitted on their features."""

    name: str = MISSING


@dataclass
class Tuned:
    """Settings of both ways. epochs, batch_size, lr: as in heads.training.Schedule.

    checkpoint_minutes: how often a fit is saved on its way; plays no part in its result.
    """

    name: str = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    lr: float = MISSING
    checkpoint_minutes: float = role(Role.machine)

    def __post_init__(self) -> None:
        check_range(self, "epochs", 1, 100_000)
        check_range(self, "batch_size", 1, 65536)
        check_range(self, "lr", 0.0, 1.0)
        check_range(self, "checkpoint_minutes", 0.0, 1e6)


@dataclass
class Full(Tuned):
    """Every weight of the network is trained."""


@dataclass
class Lora(Tuned):
    """Only low-rank additions to its linear and convolution layers are trained.

    rank: of each addition; alpha: it is scaled by alpha / rank. Source: Hu et al., LoRA: Low-Rank
    Adaptation of Large Language Models, ICLR 2022, section 4.1.
    """

    rank: int = MISSING
    alpha: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "rank", 1, 65536)
        check_range(self, "alpha", 1e-6, 1e6)


TUNINGS: dict[str, type[Frozen] | type[Tuned]] = {"none": Frozen, "lora": Lora, "full": Full}
