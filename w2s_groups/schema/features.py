"""The schema of `features`: a run's configuration, and how its features are extracted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from w2s_groups.core.errors import InputError
from w2s_groups.core.roles import Role, role
from w2s_groups.schema.choices import Engine
from w2s_groups.schema.config import Config
from w2s_groups.schema.fields import names, numbers

_PART = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


@dataclass
class RayConfig:
    """How Ray runs the extraction. init: keywords of ray.init.

    concurrency: actors of each network, None for one on each GPU, or on every `workers` cores.
    """

    init: dict[str, Any] = field(default_factory=lambda: {"address": None})
    concurrency: int | None = None


@dataclass
class FeaturesConfig(Config):
    """Networks and the samples that they read.

    backbone: a network or a list of them, which then stands for teacher and student; None for those
    two. part: "K/N", the K-th of N parts of the shards, or (K, N) once it is checked; None for all.
    """

    backbone: Any = role(Role.shorthand)
    engine: Engine = role(Role.machine)
    part: Any = role(Role.machine)
    ray: RayConfig = role(Role.machine)

    def __post_init__(self) -> None:
        if self.backbone is not None:
            self.teacher = self.student = names("backbone", self.backbone)
            self.backbone = None
        super().__post_init__()
        if self.part is not None:
            self.part = part_of(self.part)
        if self.ray.concurrency is not None:
            numbers("ray.concurrency", self.ray.concurrency, int, 1, 10**6)
        if self.engine is Engine.ray and self.device.startswith("cuda:"):
            raise InputError(
                f"device={self.device} with engine=ray: Ray gives each actor a GPU of its own; set "
                "device=cuda"
            )


def part_of(text: Any) -> tuple[int, int]:
    """(K, N) of "K/N". InputError unless 1 <= K <= N."""
    if isinstance(text, tuple):  # checked before
        return text
    match = _PART.fullmatch(str(text))
    if match is None or int(match[1]) > int(match[2]):
        raise InputError(
            f"part={text} must be K/N, the K-th of N parts, with 1 <= K <= N; such as part=1/8"
        )
    return int(match[1]), int(match[2])
