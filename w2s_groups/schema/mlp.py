"""Settings of a head of two layers."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from w2s_groups.core.errors import InputError


@dataclass
class MLP:
    """Settings. width: hidden ReLUs; the others as in heads.training.Schedule."""

    width: int = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    lr: float = MISSING

    def __post_init__(self) -> None:
        for name, low, high in (
            ("width", 1, 65536),
            ("epochs", 1, 100_000),
            ("batch_size", 1, 65536),
            ("lr", 1e-9, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"mlp.{name}={value} is outside [{low:g}, {high:g}]; choose a value in it"
                )
