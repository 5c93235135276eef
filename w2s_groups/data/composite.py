"""Cut-outs of one's own composed on backgrounds of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from w2s_groups.core.files import user_path
from w2s_groups.core.roles import Role, role
from w2s_groups.data.base import ImageDataset
from w2s_groups.data.compositing.dataset import Settings, compose
from w2s_groups.data.compositing.sources import sources_in
from w2s_groups.data.files.cache import Progress, silent


@dataclass
class Composite(Settings):
    """Class (attribute value) -> folder of cut-outs (of backgrounds), in the order of the coding.

    minority: (y, a) pairs; empty means a != y.
    """

    cutouts: dict[str, str] = role(Role.place)
    backgrounds: dict[str, str] = role(Role.place)
    minority: list[list[int]] = MISSING

    def load(self, cache: Path, progress: Progress = silent) -> ImageDataset:
        """The composed images."""
        cutouts, backgrounds = (
            sources_in(_paths(f"data.{key}", folders), f"data.{key}.")
            for key, folders in (("cutouts", self.cutouts), ("backgrounds", self.backgrounds))
        )
        return compose(cutouts, backgrounds, self, cache, progress, minority=self.minority)


def _paths(field: str, folders: Mapping[str, str]) -> list[tuple[str, Path]]:
    return [(name, user_path(f"{field}.{name}", text)) for name, text in folders.items()]
