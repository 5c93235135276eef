"""Tiny cut-outs and backgrounds as inputs of the compositor."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_pictures import write_background, write_cutout

from w2s_groups.data.composite import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(
        name="tiny",
        n_pool=18,
        n_test=10,
        size=24,
        split_seed=0,
        test_fraction=0.4,
        crop=[0.6, 1.0],
        scale=[0.5, 0.8],
        quality=90,
    )


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Folders with five identities for each class and each attribute value."""
    folders: dict[str, dict[str, str]] = {"cutouts": {}, "backgrounds": {}}
    for k, (kind, names) in enumerate(
        (("cutouts", ("cat", "dog")), ("backgrounds", ("in", "out")))
    ):
        for j, name in enumerate(names):
            folder = tmp_path / "pictures" / kind / name
            folders[kind][name] = str(folder)
            for i in range(5):
                seed = 100 * k + 10 * j + i
                if kind == "cutouts":
                    write_cutout(folder / f"{name}{i}.png", seed)
                else:
                    write_background(folder / f"{name}{i}.png", seed)
    return folders
